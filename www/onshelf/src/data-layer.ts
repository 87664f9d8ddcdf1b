/**
 * Listens to a `dataLayer` that a shop fills already, for Google Tag Manager or gtag.js.
 *
 * It wraps `push` and passes everything on. Whoever wraps it later, as Tag Manager does, calls this one; what goes past
 * it is found with the next push. Nothing in here ever throws into the page.
 */

import type { ShelfEvent, TrackResult } from "./types.js";

/** What became of the entries of a data layer. */
export interface DataLayerCounts {
  /** Entries looked at. */
  entries: number;
  /** Events that were handed to `track`, one for each item. */
  events: number;
  /** Of these: part of the session, left out (by reason), failed (by code). */
  accepted: number;
  left_out: Record<string, number>;
  failed: Record<string, number>;
  /** GA4 e-commerce events that say nothing new about the shopper, such as `view_item_list`, by name. */
  noticed: Record<string, number>;
  /** Events that are not GA4 e-commerce or name no item, by name. */
  ignored: Record<string, number>;
  /** Entries that are no event at all. */
  other: number;
}

/** Options of `Onshelf.observeDataLayer`. */
export interface DataLayerOptions {
  /** GA4 names that are not to be taken in, such as `["select_item"]` where the page calls `track` for them itself. */
  except?: readonly string[];
  /** The shop's own names: `{ product_view: "view_item" }`. */
  names?: Readonly<Record<string, string>>;
  /** The catalogue's id of a GA4 item. Default: its `item_id`, else its `id`. `null` leaves the item out. */
  itemId?: (item: Readonly<Record<string, unknown>>) => string | null;
}

/** Stops listening; what came of it so far can be looked at. */
export type StopObserving = (() => void) & { readonly counts: DataLayerCounts };

/** How many different names are counted each; the rest together. */
const MOST_NAMES = 50;

/** Events that become one of `track`'s for every item. */
const ACTS: ReadonlySet<string> = new Set<ShelfEvent["event"]>([
  "view_item",
  "select_item",
  "add_to_cart",
  "remove_from_cart",
  "purchase",
  "add_to_wishlist",
]);

const SEARCHES: ReadonlySet<string> = new Set(["search", "view_search_results"]);

const NOTICES: ReadonlySet<string> = new Set([
  "view_item_list",
  "view_promotion",
  "select_promotion",
  "view_cart",
  "begin_checkout",
  "add_shipping_info",
  "add_payment_info",
  "refund",
]);

type Bag = Readonly<Record<string, unknown>>;
type Layer = { push: (...entries: unknown[]) => unknown } & ArrayLike<unknown>;

/** What the observer needs of its owner. */
export interface DataLayerHost {
  track(event: ShelfEvent): Promise<TrackResult>;
  /** Entries that were taken in before: an entry counts once, however often somebody begins to listen. */
  seen: WeakSet<object>;
}

const isBag = (value: unknown): value is Bag => typeof value === "object" && value !== null;

const add = (counts: Record<string, number>, name: string) => {
  const known = name in counts || Object.keys(counts).length < MOST_NAMES;
  const key = known ? name : "…";
  counts[key] = (counts[key] ?? 0) + 1;
};

/** The name and parameters of an event, in either form; `null` for anything else. */
function read(entry: Bag): { name: string; params: Bag } | null {
  if (entry[0] === "event" && typeof entry[1] === "string") {
    return { name: entry[1], params: isBag(entry[2]) ? entry[2] : {} };
  }
  if (typeof entry["event"] !== "string") return null;
  const commerce = entry["ecommerce"];
  return { name: entry["event"], params: isBag(commerce) ? { ...entry, ...commerce } : entry };
}

const text = (value: unknown): string | null =>
  typeof value === "string" || typeof value === "number" ? String(value) : null;

const amount = (value: unknown): number | null => {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : null;
};

/** One event for each item, in order; none where there is no item with an id. */
function events(name: string, params: Bag, idOf: NonNullable<DataLayerOptions["itemId"]>) {
  // An event about one item may name it without a list.
  const items = Array.isArray(params["items"]) ? (params["items"] as unknown[]) : [params];
  return items.filter(isBag).flatMap((item): ShelfEvent[] => {
    const item_id = idOf(item);
    if (item_id === null || item_id === "") return [];
    const list = text(item["item_list_id"]) ?? text(params["item_list_id"]);
    const [quantity, price] = [amount(item["quantity"]), amount(item["price"])];
    return [
      {
        event: name as ShelfEvent["event"],
        item_id,
        ...(list !== null && { item_list_id: list }),
        ...(quantity !== null && { quantity }),
        ...(price !== null && { price }),
      },
    ];
  });
}

/** Takes in what is in `layer` and what comes. */
export function observeDataLayer(
  host: DataLayerHost,
  layer: Layer,
  options: DataLayerOptions = {},
): StopObserving {
  const { except = [], names = {} } = options;
  const idOf = options.itemId ?? ((item: Bag) => text(item["item_id"]) ?? text(item["id"]));
  const counts: DataLayerCounts = {
    entries: 0,
    events: 0,
    accepted: 0,
    left_out: {},
    failed: {},
    noticed: {},
    ignored: {},
    other: 0,
  };
  let stopped = false;

  const send = (event: ShelfEvent) => {
    counts.events++;
    host.track(event).then(
      ({ accepted, reason }) => (accepted ? counts.accepted++ : add(counts.left_out, reason ?? "")),
      ({ code }) => add(counts.failed, String(code)),
    );
  };

  const take = (entry: unknown) => {
    counts.entries++;
    try {
      const event = isBag(entry) ? read(entry) : null;
      if (event === null) return void counts.other++;
      const name = Object.hasOwn(names, event.name) ? names[event.name]! : event.name;
      if (except.includes(name)) return add(counts.ignored, name);
      if (NOTICES.has(name)) return add(counts.noticed, name);
      if (SEARCHES.has(name)) {
        const search_term = text(event.params["search_term"]);
        return send({ event: "search", ...(search_term !== null && { search_term }) });
      }
      const found = ACTS.has(name) ? events(name, event.params, idOf) : [];
      if (found.length === 0) add(counts.ignored, name);
      found.forEach(send);
    } catch {
      // A getter of the page's that throws is the page's affair.
      add(counts.ignored, "unreadable");
    }
  };

  const mark = (entry: unknown) => {
    if ((typeof entry === "object" && entry !== null) || typeof entry === "function") {
      host.seen.add(entry);
    }
  };
  const isNew = (entry: unknown) => !(isBag(entry) && host.seen.has(entry));

  /** What is in the layer and was not taken in: at the beginning, or pushed past this. */
  const catchUp = () => {
    let from = layer.length;
    while (from > 0 && isNew(layer[from - 1])) from--;
    for (let at = from; at < layer.length; at++) {
      const entry = layer[at];
      // Of those that are no objects nobody can tell whether they are new; they are no events.
      if (!isBag(entry)) continue;
      mark(entry);
      take(entry);
    }
  };

  const original = layer.push;
  const push = function (this: unknown, ...entries: unknown[]): unknown {
    if (stopped) return original.apply(layer, entries);
    try {
      catchUp();
      // Before the page's own push: what that calls may push again, and comes after.
      entries.forEach(mark);
      entries.forEach(take);
    } catch {
      // Never the page's trouble.
    }
    return original.apply(layer, entries);
  };
  catchUp();
  layer.push = push;
  const stop = () => {
    stopped = true;
    if (layer.push === push) layer.push = original;
  };
  return Object.assign(stop, { counts });
}
