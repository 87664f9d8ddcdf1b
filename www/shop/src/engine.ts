import { Onshelf, OnshelfError } from "../../onshelf/src/index.ts";
import type {
  Consent,
  DeviceKind,
  Explanation,
  Inspection,
  Progress,
  RecommendRequest,
  ShelfEvent,
} from "../../onshelf/src/index.ts";
import { t } from "./i18n.ts";
import { readStored, writeStored } from "./storage.ts";

export interface Trouble {
  readonly message: string;
  readonly code: string;
  readonly remedy: string;
}

export interface Ranked {
  readonly ids: readonly string[];
  readonly byModel: boolean;
  readonly personal: boolean;
  readonly shelfId: string | null;
}

export type Status = "loading" | "ready" | "failed";

/** Several causes often come at once (a click, a learning step): one refresh answers them all. */
const REFRESH_AFTER_MS = 40;
/** Clicks made while the model loads are kept, but not without end. */
const MOST_WAITING = 50;

export function describeTrouble(error: unknown, message: string): Trouble {
  if (error instanceof OnshelfError) return { message, code: error.code, remedy: error.remedy };
  const code = error instanceof Error && error.name !== "Error" ? error.name : "UNEXPECTED";
  return { message, code, remedy: t.unknownRemedy };
}

function wantedDevice(): "auto" | DeviceKind {
  const wanted = new URLSearchParams(location.search).get("device");
  return wanted === "cpu" || wanted === "webgpu" ? wanted : "auto";
}

/** What the shopper chose here before; `?consent=` chooses, too, since this shop has no banner that asks. */
function wantedConsent(): Consent {
  const asked = new URLSearchParams(location.search).get("consent");
  const known = ["denied", "device", "device+sync"] as const;
  const chosen = known.find((one) => one === asked?.replace(" ", "+"));
  if (chosen !== undefined) writeStored("consent", chosen);
  return chosen ?? known.find((one) => one === readStored("consent")) ?? "device";
}

async function readKeys(url: URL): Promise<string[]> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(String(response.status));
  const keys: unknown = await response.json();
  if (!Array.isArray(keys)) throw new Error("not a list");
  return keys.filter((key): key is string => typeof key === "string");
}

/** The shop's one connection to the recommender. Never throws at a view: without a model, lists keep their order. */
export class Engine {
  status: Status = "loading";
  progress: Progress | null = null;
  paused = false;
  shelf: Onshelf | null = null;

  #waiting: ShelfEvent[] = [];
  #refreshTimer = 0;
  #refreshers = new Set<() => void>();
  #watchers = new Set<() => void>();

  constructor(readonly report: (trouble: Trouble) => void) {}

  /** Called when shelves should be asked for again. */
  onRefresh(listener: () => void): void {
    this.#refreshers.add(listener);
  }

  /** Called when something worth showing in the panel changed. */
  onStatus(listener: () => void): void {
    this.#watchers.add(listener);
  }

  /** True when the browser asks for privacy: then onshelf ranks, and neither learns nor keeps anything. */
  heldByPrivacySignal = false;

  async load(): Promise<void> {
    const base = document.baseURI;
    let keys: string[];
    try {
      keys = await readKeys(new URL("models/public-keys.json", base));
    } catch {
      this.#fail({ message: t.modelFailed, code: "PUBLIC_KEYS_UNREADABLE", remedy: t.keysFailed });
      return;
    }
    try {
      const shelf = await Onshelf.load({
        model: new URL("models/latest.json", base),
        publicKeys: keys,
        device: wantedDevice(),
        storage: "indexeddb",
        learning: "idle",
        updates: "idle",
        // Before the first shelf, so that two shoppers side by side see no request once both shelves are there.
        log: "required",
        consent: wantedConsent(),
        assets: new URL("onshelf/", base),
        onProgress: (progress) => {
          this.progress = progress;
          this.#tellWatchers();
        },
      });
      await this.#begin(shelf);
    } catch (error) {
      this.#fail(describeTrouble(error, t.modelFailed));
    }
  }

  async #begin(shelf: Onshelf): Promise<void> {
    const look = async (): Promise<void> => {
      const { paused, consent_limited_by } = await shelf.inspect();
      this.paused = paused;
      this.heldByPrivacySignal = consent_limited_by === "gpc";
      this.#tellWatchers();
    };
    await look();
    this.shelf = shelf;
    this.status = "ready";
    shelf.onChange((what) => {
      // Whoever tracked it draws what follows from it.
      if (what === "tracked") return;
      if (what === "paused") this.paused = true;
      if (what === "resumed") this.paused = false;
      // It was disposed meanwhile: then there is nothing to look at.
      if (what === "consent") look().catch(() => undefined);
      this.#tellWatchers();
      if (what !== "paused" && what !== "resumed") this.refresh();
    });
    const waiting = this.#waiting.splice(0);
    if (waiting.length > 0) await this.track(...waiting);
    // Not every event calls for a new ranking, and this is the first.
    this.refresh();
    this.#tellWatchers();
  }

  #fail(trouble: Trouble): void {
    this.status = "failed";
    document.documentElement.dataset["model"] = "failed";
    this.report(trouble);
    this.#tellWatchers();
    this.refresh();
  }

  refresh(): void {
    clearTimeout(this.#refreshTimer);
    this.#refreshTimer = setTimeout(() => {
      for (const refresher of this.#refreshers) refresher();
      this.#tellWatchers();
    }, REFRESH_AFTER_MS);
  }

  #tellWatchers(): void {
    for (const watcher of this.#watchers) watcher();
  }

  /** Takes events into account, shows their effect at once; the worker learns from them when it is idle. */
  async track(...events: ShelfEvent[]): Promise<void> {
    const shelf = this.shelf;
    if (shelf === null) {
      if (this.status === "loading")
        this.#waiting = [...this.#waiting, ...events].slice(-MOST_WAITING);
      return;
    }
    let counted = false;
    for (const event of events) {
      try {
        const result = await shelf.track(event);
        counted ||= result.accepted && event.item_id !== undefined;
      } catch (error) {
        this.report(describeTrouble(error, t.lostEvent));
        return;
      }
    }
    if (!counted) {
      this.#tellWatchers();
      return;
    }
    this.refresh();
  }

  async recommend(request: RecommendRequest, fallback: readonly string[]): Promise<Ranked> {
    const unranked: Ranked = { ids: fallback, byModel: false, personal: false, shelfId: null };
    if (this.shelf === null) return unranked;
    try {
      const shelf = await this.shelf.recommend(request);
      const ids = shelf.items.map((item) => item.item_id);
      return { ids, byModel: true, personal: shelf.personal, shelfId: shelf.shelf_id };
    } catch (error) {
      if (!request.signal?.aborted) console.warn("shelf not ranked", request.slot, error);
      return unranked;
    }
  }

  async explain(id: string): Promise<Explanation | null> {
    try {
      return (await this.shelf?.explain(id)) ?? null;
    } catch {
      return null;
    }
  }

  async inspect(): Promise<Inspection | null> {
    try {
      return (await this.shelf?.inspect()) ?? null;
    } catch {
      return null;
    }
  }

  async setPaused(paused: boolean): Promise<void> {
    await (paused ? this.shelf?.pause() : this.shelf?.resume());
    this.paused = paused;
    this.#tellWatchers();
  }
}
