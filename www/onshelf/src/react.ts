"use client";
/**
 * React hooks around an `Onshelf`. Rendered on a server they show what they were given to begin with, and touch nothing.
 *
 * ```tsx
 * import { OnshelfProvider, useShelf } from "onshelf/react";
 *
 * const load = (signal: AbortSignal) =>
 *   import("onshelf").then(({ Onshelf }) => Onshelf.load({ model, publicKeys, learning: "idle", signal }));
 *
 * <OnshelfProvider load={load}><ForYou popular={["sku-1", "sku-2"]} /></OnshelfProvider>
 *
 * function ForYou({ popular }) {
 *   const { items, select, ref } = useShelf({ slot: "home", count: 8 }, { initial: popular });
 *   const cards = items.map(({ item_id }) => <Card key={item_id} id={item_id} onClick={() => select(item_id)} />);
 *   return <ul ref={ref}>{cards}</ul>;
 * }
 * ```
 */

import {
  createContext,
  createElement,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import type { ReactElement, ReactNode } from "react";
import type { Onshelf } from "./client.js";
import type { Consent } from "./consent.js";
import { fail } from "./errors.js";
import { SETTLE_MS, STIRS } from "./stirs.js";
import type { RecommendRequest, Shelf, ShelfEvent, ShelfItem, TrackResult } from "./types.js";
import { viewOf, watchViews, type ShelfView } from "./views.js";

export type { ShelfView } from "./views.js";

/** More calls than this do not wait for `load`; the oldest is given up. */
const MAX_WAITING = 256;

/** What `useOnshelf` gives. */
export interface OnshelfState {
  /** `null` on a server, while it loads, and where it could not. */
  shelf: Onshelf | null;
  /** What `load` rejected with; `null` where it did not. */
  error: unknown;
}

/** Either `load` or `shelf`. */
export interface OnshelfProviderProps {
  /**
   * Called once the provider is in a page; disposed when it goes, when the signal aborts as well. Another function later
   * changes nothing: give the provider another `key` to load anew.
   */
  load?: (signal: AbortSignal) => Promise<Onshelf>;
  /** One that the page has already, and disposes itself. `null`: not yet. */
  shelf?: Onshelf | null;
  children?: ReactNode;
}

type Work = (shelf: Onshelf | null) => void;

interface Held extends OnshelfState {
  /** Runs at once, or when `load` has ended; with `null` where there is no Onshelf and never will be. */
  whenLoaded: (work: Work) => void;
}

const Context = createContext<Held | null>(null);

const LOADING: OnshelfState = { shelf: null, error: null };

/** Gives an `Onshelf` to the hooks below it. */
export function OnshelfProvider({ load, shelf, children }: OnshelfProviderProps): ReactElement {
  const loaded = useLoaded(load);
  const state = useMemo(
    () => (load ? loaded : { shelf: shelf ?? null, error: null }),
    [load === undefined, loaded, shelf],
  );
  const whenLoaded = useWaiting(state);
  const held = useMemo(() => ({ ...state, whenLoaded }), [state, whenLoaded]);
  return createElement(Context.Provider, { value: held }, children);
}

function useLoaded(load: OnshelfProviderProps["load"]): OnshelfState {
  const [state, setState] = useState(LOADING);
  const newest = useRef(load);
  newest.current = load;
  const loads = load !== undefined;
  useEffect(() => {
    if (!loads) return;
    const stop = new AbortController();
    const start = async () => {
      // Strict mode puts every component in twice; by now the first one is gone, and no worker was started for it.
      await Promise.resolve();
      if (stop.signal.aborted) return;
      const shelf = await newest.current!(stop.signal);
      if (stop.signal.aborted) return shelf.dispose();
      stop.signal.addEventListener("abort", () => void shelf.dispose());
      setState({ shelf, error: null });
    };
    start().catch((error: unknown) => {
      if (!stop.signal.aborted) setState({ shelf: null, error });
    });
    return () => {
      stop.abort();
      setState(LOADING);
    };
  }, [loads]);
  return state;
}

/** Keeps work in order until there is an Onshelf. */
function useWaiting(state: OnshelfState): Held["whenLoaded"] {
  const waiting = useRef<Work[]>([]);
  const newest = useRef(state);
  newest.current = state;
  const gone = useRef(false);
  const settle = useCallback(() => {
    const { shelf, error } = newest.current;
    if (shelf === null && error === null && !gone.current) return;
    for (const work of waiting.current.splice(0)) work(gone.current ? null : shelf);
  }, []);
  useEffect(settle, [state, settle]);
  useEffect(() => {
    gone.current = false;
    return () => {
      gone.current = true;
      settle();
    };
  }, [settle]);
  return useCallback(
    (work) => {
      waiting.current.push(work);
      if (waiting.current.length > MAX_WAITING) waiting.current.shift()!(null);
      settle();
    },
    [settle],
  );
}

function useHeld(): Held {
  const held = useContext(Context);
  if (held === null) throw fail("INVALID_REQUEST", "hooks need an <OnshelfProvider> around them");
  return held;
}

/** Asks for something now or once it is loaded; `null` where there is no Onshelf. */
function useLater(): <T>(work: (shelf: Onshelf) => Promise<T>) => Promise<T | null> {
  const { whenLoaded } = useHeld();
  return useCallback(
    (work) =>
      new Promise((done) => {
        whenLoaded((shelf) => done(shelf === null ? null : work(shelf)));
      }),
    [whenLoaded],
  );
}

/**
 * The `Onshelf` itself, for what has no hook.
 *
 * @throws OnshelfError `INVALID_REQUEST` without a provider around it, as all hooks do
 */
export function useOnshelf(): OnshelfState {
  const { shelf, error } = useHeld();
  return useMemo(() => ({ shelf, error }), [shelf, error]);
}

/**
 * A function, always the same one, that tracks an event; what comes before `load` has ended waits, in order. It
 * resolves with `null` where there is no Onshelf, and rejects as `Onshelf.track` does.
 */
export function useTrack(): (event: ShelfEvent) => Promise<TrackResult | null> {
  const later = useLater();
  return useCallback((event) => later((shelf) => shelf.track(event)), [later]);
}

/** Options of `useShelf`. */
export interface UseShelfOptions {
  /** Item ids to show until the first ranking, and where there is none: what the server rendered. */
  initial?: readonly string[];
  /**
   * Told once of every ranking that the shopper has in view, half of it at least, in the words of GA4's `view_item_list`;
   * needs `ref` on the element around the items. As `onshelf-view-item-list` of `<onshelf-shelf>`.
   */
  onViewItemList?: (view: ShelfView) => void;
  /** Told of every choice, as of GA4's `select_item`, beside its being tracked; not of one from `initial`. */
  onSelectItem?: (view: ShelfView) => void;
}

/** What `useShelf` gives. */
export interface UsedShelf {
  /** Best first; those of `initial` before the first ranking. */
  items: readonly ShelfItem[];
  /** The whole answer; `null` before the first. */
  ranked: Shelf | null;
  /** Whether a ranking of this very request is still to come. */
  pending: boolean;
  /** Why there is no newer one: what `load` or `recommend` rejected with. */
  error: unknown;
  /** Tracks `select_item`, attributed to this shelf. */
  select: (item_id: string) => Promise<TrackResult | null>;
  /** For the element around the items: what is seen of it is told to `onViewItemList`. */
  ref: (element: Element | null) => void;
}

interface Got {
  ranked: Shelf | null;
  error: unknown;
  /** The request this answers. */
  key: string | null;
}

const NOTHING: Got = { ranked: null, error: null, key: null };
const NO_IDS: readonly string[] = [];

/**
 * A shelf, ranked anew after clicks and learning. The request may be a new object at every rendering: what counts is
 * what is in it. `null` ranks nothing.
 */
export function useShelf(
  request: Omit<RecommendRequest, "signal"> | null,
  options: UseShelfOptions = {},
): UsedShelf {
  const { initial = NO_IDS } = options;
  const newest = useRef(options);
  newest.current = options;
  const { shelf, error } = useHeld();
  const [got, setGot] = useState(NOTHING);
  const key = request === null ? null : JSON.stringify(request);
  useEffect(() => {
    if (shelf === null || key === null) return undefined;
    const request = JSON.parse(key) as RecommendRequest;
    return follow(shelf, request, (ranked, error) =>
      setGot((before) => ({ ranked: ranked ?? before.ranked, error, key })),
    );
  }, [shelf, key]);
  const later = useLater();
  const { ranked } = got;
  const ref = useViews(ranked, newest);
  const select = useCallback(
    (item_id: string) => {
      const chosen = ranked?.items.filter((item) => item.item_id === item_id) ?? [];
      if (ranked && chosen.length > 0) newest.current.onSelectItem?.(viewOf(ranked, chosen));
      const from = ranked && { shelf_id: ranked.shelf_id, item_list_id: ranked.slot };
      return later((shelf) => shelf.track({ event: "select_item", item_id, ...from }));
    },
    [later, ranked],
  );
  const begin = initial.join("\n");
  const items = useMemo(
    () => ranked?.items ?? initial.map((item_id, at) => ({ item_id, score: 0, rank: at + 1 })),
    [ranked, begin],
  );
  const pending = key !== null && got.key !== key && error === null;
  return { items, ranked, pending, error: error ?? got.error, select, ref };
}

/** Tells once of every ranking that is in view. */
function useViews(
  ranked: Shelf | null,
  newest: { readonly current: UseShelfOptions },
): UsedShelf["ref"] {
  const [element, ref] = useState<Element | null>(null);
  const viewed = useRef("");
  useEffect(() => {
    if (element === null || ranked === null) return undefined;
    return watchViews(element, () => {
      if (viewed.current === ranked.shelf_id) return;
      viewed.current = ranked.shelf_id;
      newest.current.onViewItemList?.(viewOf(ranked));
    });
  }, [element, ranked, newest]);
  return ref;
}

/** Ranks now and after every change, one ranking at a time, until it is stopped. */
function follow(
  shelf: Onshelf,
  request: RecommendRequest,
  tell: (ranked: Shelf | null, error: unknown) => void,
): () => void {
  const stop = new AbortController();
  const { signal } = stop;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let busy = false;
  let again = false;
  const rank = async () => {
    timer = undefined;
    again = busy;
    if (busy) return;
    busy = true;
    try {
      const ranked = await shelf.recommend({ ...request, signal });
      if (!signal.aborted) tell(ranked, null);
    } catch (error) {
      if (!signal.aborted) tell(null, error);
    }
    busy = false;
    if (again && !signal.aborted) refresh();
  };
  const refresh = () => {
    timer ??= setTimeout(() => void rank(), SETTLE_MS);
  };
  const unlisten = shelf.onChange((what) => void (STIRS.has(what) && refresh()));
  void rank();
  return () => {
    unlisten();
    clearTimeout(timer);
    stop.abort();
  };
}

/**
 * What the shopper agreed to (`null` while nobody can tell) and a function that changes it, which waits for `load` and
 * resolves with what holds then, or with `null` where there is no Onshelf.
 */
export function useConsent(): [
  Consent | null,
  (consent: Consent | null) => Promise<Consent | null>,
] {
  const { shelf } = useHeld();
  const subscribe = useCallback(
    (notify: () => void) =>
      shelf?.onChange((what) => void (what === "consent" && notify())) ?? (() => undefined),
    [shelf],
  );
  const now = () => shelf?.consent ?? null;
  const consent = useSyncExternalStore(subscribe, now, () => null);
  const later = useLater();
  const set = useCallback(
    (wanted: Consent | null) => later((shelf) => shelf.setConsent(wanted)),
    [later],
  );
  return [consent, set];
}
