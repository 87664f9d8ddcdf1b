/**
 * The words a page and onshelf share. Field names follow the GA4 e-commerce events, so that an
 * existing analytics call can be passed on as it is. Every duration is in milliseconds.
 */

import type { Consent, ConsentSource } from "./consent.js";

/** Where the model runs: `cpu` is WebAssembly with SIMD, `webgpu` the graphics processor. */
export type DeviceKind = "cpu" | "webgpu";

/** One report of {@link LoadOptions.onProgress}. */
export interface Progress {
  /**
   * What is being done: the signed manifest, the weights, the catalogue, the check of signature
   * and hashes, the start of WebGPU, the return of what was learned on earlier visits.
   */
  stage: "manifest" | "weights" | "catalogue" | "verify" | "device" | "restore";
  /** Done so far, `0..total`: bytes where something is fetched, otherwise steps. */
  loaded: number;
  /** What `loaded` will reach; 0 while it is not known. */
  total: number;
}

/** Options of `Onshelf.load`. */
export interface LoadOptions {
  /** Address of the model's signed manifest; relative addresses start at the page. */
  model: string | URL;
  /** The keys this page trusts, at least one; a model signed by any other is refused. */
  publicKeys: readonly string[];
  /**
   * - `auto` (default): the CPU serves at once; WebGPU is measured in idle time after the first
   *   click and takes over only where it is at least 1.2 times as fast.
   * - `cpu`: never look at WebGPU.
   * - `webgpu`: `load` resolves when WebGPU has taken over, or has failed and the CPU goes on.
   */
  device?: "auto" | DeviceKind;
  /**
   * Most bytes of model versions that are kept in Cache Storage for later visits, also those without a connection;
   * 0 keeps none. Default 64 MiB. Kept only with `storage: "indexeddb"`, where the shopper agreed to `device` or more.
   */
  modelCache?: number;
  /**
   * How the public log of versions beside the model (`versions.log`) is used, which shows that nobody was given a model
   * of their own:
   *
   * - `auto` (default): where the shop publishes one, in idle time after the first shelf. A version that it does not name
   *   ranks no more: `recommend` rejects with `LOG_INVALID`, and listeners are told `refused`.
   * - `required`: before `load` resolves; without a log that names the version it rejects with `LOG_INVALID`.
   * - `off`: not at all.
   *
   * But for `off` an update is checked before it serves.
   */
  log?: "auto" | "required" | "off";
  /**
   * Whether the package looks for a newer model version by itself, while the page is seen and nothing else is to be done:
   * `manual` (default) only by `update()`; `idle` every 30 minutes; or every so many minutes. It is fetched beside the one
   * that serves, and changed over to between two rankings. Not where data or battery are to be saved; after a failure less often.
   */
  updates?: "manual" | "idle" | { every: number };
  /** Where the personal part is kept between visits. Default `indexeddb`. */
  storage?: "indexeddb" | "none";
  /**
   * - `true` (default): learns when the page calls `fineTune`.
   * - `"idle"`: learns by itself from every click that counts, shortly after it, a few milliseconds at a
   *   time; not in a hidden tab, nor where data or battery are to be saved, and in one of the shop's
   *   tabs at a time.
   * - `false`: ranks for the session, but never learns.
   */
  learning?: boolean | "idle";
  /**
   * What the shopper agreed to, or who knows: {@link Consent}, `consentMode()`, `tcf()`, a source of the
   * page's own, or several, of which the strictest holds. `null`: nobody has decided yet; as `denied`, but
   * what earlier visits left stays.
   *
   * Left out: `device`, or less where the page's Consent Mode commands or its TCF consent manager say less.
   * Never more than `denied` with Global Privacy Control on.
   */
  consent?: Consent | null | ConsentSource | readonly ConsentSource[];
  /** Private rounds, where the shopper agreed to `device+sync`. */
  sync?: {
    /** Address of the signed task; relative addresses start at the page. Default: `task.json` beside the model. */
    task?: string | URL;
    /**
     * A report is sent after a random time of up to so many milliseconds, on a later visit if need be, so
     * that its moment tells nothing. Default ten minutes.
     */
    max_delay_ms?: number;
    /**
     * Relays of another party (oblivious HTTP, RFC 9458), one before each aggregator's gateway: what the aggregators are
     * asked and sent goes through them, sealed, so that neither aggregator sees an address. Where a relay fails nothing is
     * sent. Default: none; the aggregators are spoken to directly.
     */
    relay?: { leader: Relay; helper: Relay };
  };
  /**
   * How the device keeps from forgetting while it learns: `shipped` (default) is what the model version
   * says; the others are one strategy alone, in what strength the version gives it. `replay` keeps up to
   * eight earlier sessions of ten clicks on the device. `ewc` needs a version that was exported with its
   * Fisher information; on another one `load` rejects with `INVALID_REQUEST`.
   */
  strategy?: Strategy;
  /**
   * Events from before onshelf was there: an array of the page's own, made by a script that comes first. What it
   * holds is tracked in its order, as of now, before `load` resolves; from then on `queue.push(event)` is `track`, but
   * for its answer (a wrong event is reported as an uncaught error). Where `load` fails, and after `dispose`,
   * it is a plain array again, which another `load` may be given.
   */
  queue?: ShelfEvent[];
  /**
   * For whoever builds the page: says every command with its answer, why the first items of a shelf are there, and
   * what is behind each change that onshelf made by itself. `true` says it to `console.debug`. It costs three
   * `explain`s a shelf, and shows what the shopper clicked: not for a page in use.
   */
  debug?: boolean | ((what: string, details: Readonly<Record<string, unknown>>) => void);
  /** Called on the page while `load` runs; an exception in it is reported and does no harm. */
  onProgress?: (progress: Progress) => void;
  /** Aborting makes `load` reject with `ABORTED` and stops the worker. */
  signal?: AbortSignal;
  /**
   * Folder with `onshelf-worker.js` and the WebAssembly modules, on the page's own origin.
   * Default: the folder this module was loaded from. Set it if a bundler moved this module.
   */
  assets?: string | URL;
}

/** See `LoadOptions.strategy`. */
export type Strategy = "shipped" | "gradient" | "proximal" | "ewc" | "replay" | "distillation";

/** One thing the shopper did. It stays on this device. */
export interface ShelfEvent {
  /**
   * The GA4 name of the event. `add_to_wishlist` counts as `select_item`, `view_search_results` as `search`;
   * those of {@link Notice} are left out with the reason `not_an_item_event`.
   */
  event:
    | "view_item"
    | "select_item"
    | "add_to_cart"
    | "remove_from_cart"
    | "purchase"
    | "search"
    | "add_to_wishlist"
    | "view_search_results"
    | Notice;
  /** The catalogue's id of the item; needed by every event that an item belongs to. */
  item_id?: string;
  /** What was searched for. */
  search_term?: string;
  /** How long the item was looked at, in milliseconds, 0 or more. */
  dwell_ms?: number;
  /** The `shelf_id` of the shelf the item was chosen from, for attribution. */
  shelf_id?: string;
  /** GA4's list that the item was chosen from. Not used by the model; nor are the next two. */
  item_list_id?: string;
  /** How many, 0 or more. */
  quantity?: number;
  /** What one costs, in the shop's currency. */
  price?: number;
}

/** GA4 events that say nothing of what a shopper wants that another event does not say. */
export type Notice =
  | "view_item_list"
  | "view_promotion"
  | "select_promotion"
  | "view_cart"
  | "begin_checkout"
  | "add_shipping_info"
  | "add_payment_info"
  | "refund";

/** What became of a {@link ShelfEvent}. */
export interface TrackResult {
  /** Whether the event is now part of the session. */
  accepted: boolean;
  /** Why not, where `accepted` is false. */
  reason?: "unknown_item" | "duplicate" | "flood" | "bounce" | "robot" | "not_an_item_event";
  /** Events in the session now. */
  session_length: number;
}

/** Which items may be on a shelf; every condition given must hold. */
export interface Filter {
  /** Beginning of the category path, from the root: `["Home", "Kitchen"]`. */
  category?: readonly string[];
  /** Any of these brands. */
  brand?: readonly string[];
  /** `true`: only items whose stock is unknown or above 0. `false` does not restrict. */
  in_stock?: boolean;
  /** Lowest price, inclusive, in the catalogue's currency. */
  price_min?: number;
  /** Highest price, inclusive, in the catalogue's currency. */
  price_max?: number;
  /** Item ids that must not appear. */
  exclude?: readonly string[];
}

/**
 * - `for_you`: ranked for this shopper, by the session and what was learned here.
 * - `similar`: the nearest neighbours of an item, by the model's item vectors. What could replace it.
 * - `bought_together`: what goes with an item, or with what lies in the cart as this session knows it: what the model
 *   expects after a session in which just that was put into the cart, without the categories of these items. Empty
 *   without an item and a cart.
 * - `popular`: what everybody clicks, as the model version knows it.
 * - `continue`: the session's own items, newest first.
 */
export type ShelfKind = "for_you" | "similar" | "bought_together" | "popular" | "continue";

/** Moves some items up or down. Every condition given must hold; at least one must be given. */
export interface Boost {
  /** Any of these items; unknown ids are passed over. */
  item_ids?: readonly string[];
  /** Any of these brands. */
  brand?: readonly string[];
  /** Beginning of the category path, from the root. */
  category?: readonly string[];
  /** Added to the score (a logit), -10 to 10: 0.7 doubles the odds, 2.3 make them ten times as high. */
  by: number;
}

/** A shelf the page wants filled. */
export interface RecommendRequest {
  /** The page's name for the place, such as `home-top`; not empty. */
  slot: string;
  /** What kind of shelf. Default `for_you`. */
  kind?: ShelfKind;
  /** The item that a `similar` or `bought_together` shelf is about; the latter is about the cart without one. */
  item_id?: string;
  /** How many items, 1 or more; fewer come back where the filter leaves fewer. Default 12, at most 1,000. */
  count?: number;
  /** Which items may appear. */
  filter?: Filter;
  /** Rank only these item ids. */
  candidates?: readonly string[];
  /** At most this many items of one category, 1 or more. */
  max_per_category?: number;
  /** What the page pushes or holds back, at most 64; those that fit an item add up. Not for `continue`. */
  boosts?: readonly Boost[];
  /**
   * 0 (default) to 1: how much items unlike those before them are preferred. The next item is the one with the largest
   * `(1 - diversity) * relevance - diversity * likeness` (maximal marginal relevance): its score between the worst (0)
   * and the best (1) of those in question, and the largest cosine between its vector and one on the shelf already.
   * The best item stays first. Not for `continue`.
   */
  diversity?: number;
  /** Aborting rejects with `ABORTED`; a request that still waits is never run. */
  signal?: AbortSignal;
}

/** One item of a {@link Shelf}. */
export interface ShelfItem {
  /** The catalogue's id. */
  item_id: string;
  /** The model's score; comparable within one shelf only. */
  score: number;
  /** Place on the shelf, from 1. */
  rank: number;
}

/** A filled shelf. */
export interface Shelf {
  /** Quote it in later events, so that a choice can be attributed to this shelf. */
  shelf_id: string;
  /** The slot asked for. */
  slot: string;
  /** The kind of shelf that was made. */
  kind: string;
  /** Best first. */
  items: ShelfItem[];
  /** Where it was ranked. */
  device: DeviceKind;
  /** Version of the model. */
  model_version: string;
  /** Whether what was learned from this shopper had a say, beyond the session itself. */
  personal: boolean;
  /** Milliseconds of ranking inside the worker, without waiting in its queue. */
  took_ms: number;
}

/** Options of `Onshelf.fineTune`. */
export interface FineTuneOptions {
  /** Optimiser steps, 1 to 64. Default: what the model version asks for. */
  steps?: number;
  /** Milliseconds after which no further step begins; the first always runs. Default 200. */
  budget_ms?: number;
  /** Aborting rejects with `ABORTED`; steps already made stay. */
  signal?: AbortSignal;
}

/** What one call of `Onshelf.fineTune` did. */
export interface FineTuneReport {
  /** Optimiser steps made. */
  steps: number;
  /** Loss before the first step; 0 where no step was made. */
  loss_before: number;
  /** Loss after the last step kept; 0 where no step was made. */
  loss_after: number;
  /** Milliseconds from the first step to the last. */
  took_ms: number;
  /** Where it was computed. */
  device: DeviceKind;
  /** Whether any of it was kept; the guard rolls back what would make the shelf worse. */
  kept: boolean;
  /** Why it stopped early or was not kept, such as `paused` or `learning is off`. */
  reason?: string;
}

/** Why an item has its score. */
export interface Explanation {
  /** The item asked about. */
  item_id: string;
  /** Its score now. */
  score: number;
  /** The session's events that moved the score, most helpful first; `position` counts from 0, oldest first. */
  because: { item_id: string; position: number; contribution: number }[];
  /**
   * The share of the score that comes from what was learned on this device. On a shelf it counts among the 15 items
   * that the shipped model likes best there; those behind keep the shipped order.
   */
  personal_contribution: number;
}

/** Everything onshelf holds on this device, for a page that shows it to the shopper. */
export interface Inspection {
  /** Where ranking happens now. */
  device: DeviceKind;
  /** Name of the graphics adapter in use; `null` on the CPU. */
  adapter: string | null;
  /** Version of the model. */
  model_version: string;
  /** Items in the catalogue. */
  items: number;
  /** Parameters of the shipped model. */
  parameters: number;
  /** Parameters that are learned on this device and never leave it. */
  personal_parameters: number;
  /** The session's events, oldest first. */
  session: { item_id: string; event: string }[];
  /** `LoadOptions.learning`. */
  learning: boolean | "idle";
  /** With `learning: "idle"`: what it waits for before it learns again; `null` for nothing. */
  waits_for: "hidden" | "saving" | "another tab learns" | null;
  /** Whether the shopper paused learning. */
  paused: boolean;
  /** Optimiser steps made since the last erase. */
  steps: number;
  /**
   * Every click is predicted by the shipped and by the personal model before it is learned from: how many
   * were, by how many nats a click the personal model is ahead (a mean that fades; below 0: behind), and
   * whether shelves follow it. They do from three clicks and 0.15 nats on.
   */
  guard: Guard;
  /** Milliseconds of the newest ranking in this worker; `null` before the first. */
  last_rank_ms: number | null;
  /** Milliseconds of the newest fine-tuning in this worker; `null` before the first. */
  last_learn_ms: number | null;
  /** Bytes kept in storage. */
  stored_bytes: number;
  /** `unavailable`: asked for but full, forbidden or broken; everything goes on in memory. */
  storage: "indexeddb" | "none" | "unavailable";
  /** Categories that this shopper's shelves lean to, beyond everybody's: share gained, 0 to 1, largest first. */
  learned: { category: string; weight: number }[];
  /** What the shopper agreed to, all sources considered. */
  consent: Consent;
  /**
   * Why it is not `device+sync`: `gpc` (Global Privacy Control), `page`, `default`, `consent-mode`, `tcf`,
   * `another tab` or the name of the page's own source; `null` where it is.
   */
  consent_limited_by: string | null;
  /**
   * The loaded version in the public log: `named`; `unchecked` so far; the shop has `none`; it was `unreachable`, and is
   * asked for again; `refused`: it does not name this version, which ranks no more; `off`.
   */
  version_log: "named" | "unchecked" | "none" | "unreachable" | "refused" | "off";
  /** The newest look for a newer version: when (milliseconds since 1970), and `same`, `changed` or an error's code. */
  looked_for_update: { at_ms: number; outcome: string } | null;
  /** Private rounds: what this device took part in, and what is left. */
  sync: SyncInspection;
  /** How often the worker was replaced after a crash. */
  worker_restarts: number;
}

/** How the personal model does against the shipped one, each foretelling a click before it is learned from. */
export interface Guard {
  /** Clicks compared since the beginning or the last roll-back. */
  compared: number;
  /** Faded mean lead of the personal model, nats a click. */
  lead_nats: number;
  /**
   * Log-odds that the personal model, rather than the shipped one, foretells this shopper, after the clicks
   * compared: 0 is even, above 2.2 (9 to 1) it has the whole say, below -2.2 none.
   */
  evidence_nats: number;
  /** Whether the personal model has a say in the order of shelves. */
  personal: boolean;
  /** How much of a say it has in the order of the best items: 0 to 1; between them the two are blended. */
  say: number;
  /** How often the personal model was put back to its last good state because it had lost its lead. */
  rolled_back: number;
}

/** A relay, and how to tell the key of the gateway behind it. */
export interface Relay {
  /** Requests are posted to it, and `ohttp-keys` below it are the gateway's key configurations. */
  url: string | URL;
  /**
   * SHA-256 of the key configurations, 64 hexadecimal digits. Others are not used: a key of a shopper's own would tell who
   * they are.
   */
  keys: string;
}

/** What a device did in private rounds. Never what it contributed. */
export interface SyncInspection {
  /** `waiting`: a sealed report will be sent at `next_attempt_ms`. */
  state: "off" | "idle" | "waiting" | "uploading";
  /**
   * Why it is off (`no consent`, `no storage`, `learning is off`, `paused`), why nothing is on its way (`no task`,
   * `already sent`, `nothing learned`, `another tab`), or the code that the newest attempt failed with.
   */
  reason: string | null;
  /** Rounds taken part in within the past year, of the newest one's line of models. */
  participations: number;
  /** How many more there may be. */
  budget_left: number;
  /** The newest round. */
  last_task: {
    task_id: string;
    model_version: string;
    /** When its report was sealed, in milliseconds since 1970. */
    at_ms: number;
    outcome: "waiting" | "sent" | "refused" | "expired" | "withdrawn";
  } | null;
  /** When a report that waits is tried next, in milliseconds since 1970. */
  next_attempt_ms: number | null;
}

/** What `Onshelf.sync` did. */
export interface SyncReport {
  /** `sent`: the leader has the report. `waiting`: sealed, and sent at `send_at_ms`. Otherwise nothing was done. */
  outcome: "sent" | "waiting" | "no task" | "already sent" | "nothing learned" | "another tab";
  /** The round, where one was found. */
  task_id: string | null;
  /** When it is tried next, in milliseconds since 1970. */
  send_at_ms: number | null;
  /** What the newest attempt to send failed with. */
  why?: string;
}

/** What `Onshelf.forget` did. */
export interface ForgetReport {
  /** Clicks on the item that were removed; 0 where none was kept, and then nothing changed. */
  removed: number;
  /** Clicks of this session that are left. */
  left: number;
  /** Clicks of these that were learned from again. Less than `left` where learning is off, paused or not agreed to. */
  relearned: number;
}

/** What `Onshelf.update` did. */
export interface UpdateReport {
  /** The version that serves now. */
  model_version: string;
  /** Whether it is another one than before. */
  changed: boolean;
}

/**
 * What an `Onshelf.onChange` listener is told. `tracked`: an event of this page became part of the session. `session`:
 * another tab of the shop was clicked in, or learned. `refused`: the public log does not name the loaded version.
 */
export type Change =
  | "tracked"
  | "learned"
  | "session"
  | "updated"
  | "refused"
  | "erased"
  | "forgotten"
  | "device"
  | "restarted"
  | "paused"
  | "resumed"
  | "consent"
  | "sync";
