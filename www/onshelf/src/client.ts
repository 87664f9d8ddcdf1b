/** The page's side: everything a shop calls. All work happens in a worker. */

import { Agreement, isConsent, said, toSources, type Agreed, type Consent } from "./consent.js";
import { usualSources } from "./consent-sources.js";
import type { Narrator, Say } from "./debug.js";
import { takeEarly } from "./early.js";
import { observeDataLayer, type DataLayerOptions, type StopObserving } from "./data-layer.js";
import { OnshelfError } from "./errors.js";
import { rememberPaused, rememberVerdict } from "./memory.js";
import { demand, demandPage, isDevice, toConfig, toEvent, toLimits, toRequest } from "./options.js";
import type { Note } from "./protocol.js";
import { aborted, Supervisor, type Restarted } from "./supervisor.js";
import { watchSurroundings } from "./surroundings.js";
import type {
  Change,
  DeviceKind,
  Explanation,
  FineTuneOptions,
  FineTuneReport,
  ForgetReport,
  Inspection,
  LoadOptions,
  RecommendRequest,
  Shelf,
  ShelfEvent,
  SyncReport,
  TrackResult,
  UpdateReport,
} from "./types.js";

/**
 * A recommender that learns in this browser. Every method rejects with an {@link OnshelfError}
 * and with nothing else; beside the codes named at each, all may reject with `WORKER_CRASHED`
 * (after one more attempt in a new worker) and with `DISPOSED`.
 *
 * @example
 * ```ts
 * const model = "/models/latest.json";
 * const shelf = await Onshelf.load({ model, publicKeys: [KEY], learning: "idle" });
 * await shelf.track({ event: "view_item", item_id: "sku-1" });
 * const { items } = await shelf.recommend({ slot: "home-top", count: 8 });
 * ```
 */
export class Onshelf {
  readonly #supervisor: Supervisor;
  readonly #agreement: Agreement;
  readonly #listeners = new Set<(what: Change) => void>();
  readonly #onProgress: LoadOptions["onProgress"];
  readonly #layers = new Map<object, StopObserving>();
  readonly #seenEntries = new WeakSet<object>();
  readonly #flush = () => this.#supervisor.flush();
  readonly #flushHidden = () => {
    if (document.visibilityState === "hidden") this.#supervisor.flush();
  };

  #stopWatching: (() => void) | null = null;
  #narrator: Narrator | null = null;
  #giveBack: (() => void) | null = null;

  private constructor(options: LoadOptions) {
    demandPage();
    this.#onProgress = options.onProgress;
    const { consent } = options;
    const sources = consent === undefined ? usualSources() : toSources(consent);
    this.#agreement = new Agreement(sources, (agreed) => void this.#heard(agreed));
    try {
      const config = toConfig(options, this.#agreement.now);
      this.#supervisor = new Supervisor(config, (note) => this.#onNote(note));
    } catch (error) {
      this.#agreement.close();
      throw error;
    }
  }

  /**
   * Starts the worker, fetches the model, verifies its signature and hashes, and brings back what
   * was learned on earlier visits. The CPU serves as soon as this resolves.
   *
   * @throws OnshelfError `INVALID_REQUEST`, `NETWORK`, `ABORTED`, `MANIFEST_INVALID`,
   *   `SIGNATURE_INVALID`, `UNTRUSTED_KEY`, `HASH_MISMATCH`, `FILE_TRUNCATED`, `FORMAT_TOO_NEW`,
   *   `CATALOGUE_INVALID`, `LOG_INVALID` (with `log: "required"`)
   */
  static async load(options: LoadOptions): Promise<Onshelf> {
    const { signal } = options;
    if (signal?.aborted) throw aborted(signal);
    const shelf = new Onshelf(options);
    // One listener for the whole of it: ending the worker makes whatever waits reject.
    const onAbort = () => void shelf.#supervisor.dispose();
    signal?.addEventListener("abort", onAbort);
    try {
      if (options.debug) await shelf.#narrate(options.debug);
      await shelf.#supervisor.start();
      shelf.#supervisor.open();
      if (options.device === "webgpu") await shelf.#tryGpu();
      if (signal?.aborted) throw aborted(signal);
    } catch (error) {
      shelf.#agreement.close();
      await shelf.#supervisor.dispose();
      throw signal?.aborted ? aborted(signal) : error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
    window.addEventListener("pagehide", shelf.#flush);
    document.addEventListener("visibilitychange", shelf.#flushHidden);
    const { learning, updates_ms } = shelf.#supervisor.config;
    if (learning === "idle" || updates_ms > 0) {
      shelf.#stopWatching = watchSurroundings((conditions) => shelf.#supervisor.mind(conditions));
    }
    void shelf.#narrator?.changed("loaded");
    const { queue } = options;
    // Before the page is given this object, so that its first shelf knows of them.
    if (queue !== undefined) shelf.#giveBack = takeEarly(queue, (event) => shelf.track(event));
    return shelf;
  }

  /**
   * Adds an event to the session. Tell it of every click; it never leaves the device.
   *
   * @throws OnshelfError `INVALID_REQUEST`
   */
  async track(event: ShelfEvent): Promise<TrackResult> {
    // Global Privacy Control may have been switched on since, and says so to nobody.
    this.#agreement.look();
    const result = await this.#supervisor.call("track", [toEvent(event), Date.now()]);
    if (result.accepted) this.#tell("tracked");
    return result;
  }

  /**
   * Takes in the GA4 e-commerce events of a `dataLayer`, those that are there already and those that come: pushed as
   * `{ event, ecommerce: { items } }` or by `gtag("event", …)`. Each item becomes an event of its own, in order. Other
   * entries are counted and left alone; nothing ever throws into the page. An entry counts once, however often this is
   * called.
   *
   * @param layer `window.dataLayer` if left out, which is made if there is none
   * @returns stops it; its `counts` tell what became of the entries
   * @throws OnshelfError `INVALID_REQUEST` if the layer is no list
   */
  observeDataLayer(layer?: unknown[], options?: DataLayerOptions): StopObserving {
    const from = layer ?? ((globalThis as { dataLayer?: unknown }).dataLayer ??= []);
    demand(typeof (from as unknown[] | null)?.push === "function", "a dataLayer must be a list");
    const known = this.#layers.get(from as object);
    if (known !== undefined) return known;
    const host = { track: (event: ShelfEvent) => this.track(event), seen: this.#seenEntries };
    const observed = observeDataLayer(host, from as unknown[], options);
    const stop = () => (observed(), void this.#layers.delete(from as object));
    const stopped = Object.assign(stop, { counts: observed.counts });
    this.#layers.set(from as object, stopped);
    return stopped;
  }

  /**
   * Fills a shelf.
   *
   * @throws OnshelfError `INVALID_REQUEST`, `UNKNOWN_ITEM`, `NOT_FINITE`, `ABORTED`, `LOG_INVALID` (see `LoadOptions.log`)
   */
  async recommend(request: RecommendRequest): Promise<Shelf> {
    return this.#supervisor.call("recommend", [toRequest(request), Date.now()], request.signal);
  }

  /**
   * Learns from the session's newest click. Call it in idle time; requests for shelves that
   * arrive meanwhile are answered between two steps.
   *
   * Resolves with `steps: 0` and a `reason` where learning is off or paused.
   *
   * @throws OnshelfError `INVALID_REQUEST`, `NOT_FINITE`, `ABORTED`
   */
  async fineTune(options: FineTuneOptions = {}): Promise<FineTuneReport> {
    this.#agreement.look();
    return this.#supervisor.call("fineTune", [toLimits(options)], options.signal);
  }

  /**
   * Why an item has its score now.
   *
   * @throws OnshelfError `UNKNOWN_ITEM`, `INVALID_REQUEST`
   */
  async explain(item_id: string): Promise<Explanation> {
    demand(typeof item_id === "string", "item_id must be a string");
    return this.#supervisor.call("explain", [item_id]);
  }

  /** Everything onshelf holds and does on this device. */
  async inspect(): Promise<Inspection> {
    const inspection = await this.#supervisor.call("inspect", []);
    return {
      ...inspection,
      consent: this.consent,
      consent_limited_by: this.#agreement.limitedBy,
      worker_restarts: this.#supervisor.restarts,
    };
  }

  /**
   * Stops learning; a fine-tuning that runs ends after its step. The session still counts for
   * the shelf. With `storage: "indexeddb"` the choice holds on later visits, until `resume`.
   */
  async pause(): Promise<void> {
    await this.#setPaused(true);
  }

  /** Learns again. */
  async resume(): Promise<void> {
    await this.#setPaused(false);
  }

  /** What the shopper agreed to now, all sources considered. */
  get consent(): Consent {
    return this.#agreement.now.consent;
  }

  /**
   * Tells what the shopper agreed to; from now on the page decides, whatever `load` was given. Less than
   * before stops a learning step or an upload that runs. `denied` erases what was learned and stored, here and
   * in the shop's other tabs; `null` (nobody decided) stops as well, but erases nothing. With Global
   * Privacy Control on everything counts as `denied`.
   *
   * Events of this page from before the agreement are part of the session that is kept from then on.
   *
   * @returns what holds now
   * @throws OnshelfError `INVALID_REQUEST`; `STORAGE_UNAVAILABLE` where memory was emptied, but storage refused
   */
  async setConsent(consent: Consent | null): Promise<Consent> {
    demand(
      consent === null || isConsent(consent),
      "consent must be denied, device, device+sync or null",
    );
    await this.#agree(this.#agreement.replace([said(consent)]));
    return this.consent;
  }

  /** What was learned and the session, as JSON for the shopper. */
  async exportPersonal(): Promise<Blob> {
    const json = await this.#supervisor.call("exportPersonal", []);
    return new Blob([json], { type: "application/json" });
  }

  /**
   * Deletes what was learned and the session, here, in storage and in the shop's other tabs. The
   * choice to pause stays.
   *
   * @throws OnshelfError `STORAGE_UNAVAILABLE` where memory was emptied, but storage refused
   */
  async erase(): Promise<void> {
    await this.#supervisor.call("erase", []);
    const { config } = this.#supervisor;
    config.verdict = null;
    if (config.storage === "indexeddb") rememberVerdict(null);
  }

  /**
   * Forgets one item: removes every click on it that is kept, drops all that was learned, and learns again from the
   * clicks of this session that are left, one after the other. What was learned from earlier visits whose clicks are no
   * longer kept is lost with it, because nobody can tell any more whether the item was among them. Other tabs follow,
   * and a sealed report that was not sent yet is withdrawn. Where no click names the item nothing changes.
   *
   * @throws OnshelfError `INVALID_REQUEST`; `STORAGE_UNAVAILABLE` where memory forgot it, but storage refused
   */
  async forget(item_id: string): Promise<ForgetReport> {
    demand(typeof item_id === "string", "item_id must be a string");
    this.#agreement.look();
    return this.#supervisor.call("forget", [item_id]);
  }

  /**
   * Moves to another device; the present one serves until the other has shown that it ranks the
   * same. Resolves with the device that serves.
   *
   * @throws OnshelfError `DEVICE_UNAVAILABLE`, `INVALID_REQUEST`; `ABORTED` if another call chose
   *   the other device meanwhile
   */
  async setDevice(device: DeviceKind): Promise<DeviceKind> {
    demand(isDevice(device), "device must be cpu or webgpu");
    return this.#supervisor.call("setDevice", [device]);
  }

  /**
   * Looks whether the shop has published a newer model version, and changes over to it between two
   * commands; until then the present one serves. The session stays. What was learned is carried over where
   * the versions differ in the shared adapter alone, and dropped otherwise. Happens by itself with `LoadOptions.updates`.
   *
   * @throws OnshelfError as `load`, also `LOG_INVALID`; the present version goes on then. `ABORTED` if another call was faster
   */
  async update(): Promise<UpdateReport> {
    return this.#supervisor.call("update", []);
  }

  /**
   * Takes part in the private round that is open, if the shopper agreed to `device+sync` and their budget
   * allows it. Happens by itself as well; call it to hear what became of it.
   *
   * @throws OnshelfError `CONSENT_NEEDED`, `SYNC_UNAVAILABLE`, `NETWORK`, `SIGNATURE_INVALID`, `UNTRUSTED_KEY`,
   *   `FORMAT_TOO_NEW`, `TASK_INVALID`, `TASK_MISMATCH`, `TASK_OTHER_MODEL`, `TASK_EXPIRED`,
   *   `HPKE_MISMATCH`, `RELAY_MISMATCH`, `LOG_INVALID`, `BUDGET_EXHAUSTED`, `UPLOAD_REFUSED`, `ABORTED`
   */
  async sync(options: { signal?: AbortSignal } = {}): Promise<SyncReport> {
    this.#agreement.look();
    return this.#supervisor.call("sync", [], options.signal);
  }

  /** Writes what is not yet written, frees the model and ends the worker. May be called twice. */
  async dispose(): Promise<void> {
    window.removeEventListener("pagehide", this.#flush);
    document.removeEventListener("visibilitychange", this.#flushHidden);
    this.#stopWatching?.();
    this.#giveBack?.();
    for (const stop of [...this.#layers.values()]) stop();
    this.#agreement.close();
    this.#listeners.clear();
    await this.#supervisor.dispose();
  }

  /** As {@link dispose}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /**
   * Calls back after a change. `device` also comes once after a `load` with `device: "webgpu"`
   * that had to stay on the CPU.
   *
   * @returns stops calling back
   */
  onChange(listener: (what: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get #remembers(): boolean {
    return this.#supervisor.config.storage === "indexeddb" && this.consent !== "denied";
  }

  /** One of the sources said something new. */
  async #heard(agreed: Agreed): Promise<void> {
    try {
      await this.#agree(agreed);
    } catch (error) {
      // Nobody waits for it; a storage that refuses is the one thing worth telling.
      if (!(error instanceof OnshelfError && error.code === "DISPOSED")) reportError(error);
    }
  }

  async #agree(agreed: Agreed): Promise<void> {
    const { config } = this.#supervisor;
    const before = config.agreed;
    if (agreed.consent === "denied" && agreed.settled) {
      config.verdict = null;
      if (config.storage === "indexeddb") rememberVerdict(null);
    }
    const done = this.#supervisor.agree(agreed);
    if (before.consent !== agreed.consent) this.#tell("consent");
    await done;
  }

  async #setPaused(paused: boolean): Promise<void> {
    await this.#supervisor.call(paused ? "pause" : "resume", []);
    this.#supervisor.config.paused = paused;
    // Without consent nothing is kept; but a choice kept earlier may be taken back.
    const { storage } = this.#supervisor.config;
    if (storage === "indexeddb" && (!paused || this.#remembers)) rememberPaused(paused);
  }

  /** Only who builds a page fetches what explains it. */
  async #narrate(debug: true | Say): Promise<void> {
    try {
      const { Narrator } = await import("./debug.js");
      const narrator = new Narrator(debug, (...call) => this.#supervisor.call(...call));
      this.#supervisor.onAnswered = (...answer) => narrator.answered(...answer);
      this.#narrator = narrator;
    } catch (error) {
      reportError(error);
    }
  }

  async #tryGpu(): Promise<void> {
    try {
      await this.setDevice("webgpu");
    } catch (error) {
      if (error instanceof OnshelfError && error.code === "DISPOSED") throw error;
      // The CPU serves. The page can only listen once it has been given this object.
      setTimeout(() => this.#tell("device"), 0);
    }
  }

  #onNote(note: Note | Restarted): void {
    const { config } = this.#supervisor;
    switch (note.note) {
      case "progress":
        callBack(() => this.#onProgress?.(note.progress));
        return;
      case "verdict":
        config.verdict = note.verdict;
        if (this.#remembers) rememberVerdict(note.verdict);
        return;
      case "change":
        // A new worker begins as this one is, whichever tab decided it.
        if (note.what === "paused" || note.what === "resumed") {
          config.paused = note.what === "paused";
        }
        this.#tell(note.what);
        return;
      case "lowered":
        this.#agreement.lower(note.consent);
        this.#supervisor.config.agreed = this.#agreement.now;
        this.#tell("consent");
        return;
      case "restarted":
        this.#tell("restarted", note.why);
        return;
      default:
    }
  }

  #tell(what: Change, why?: string): void {
    void this.#narrator?.changed(what, why);
    for (const listener of [...this.#listeners]) callBack(() => listener(what));
  }
}

/** The page's own fault must not stop onshelf, but must not be hidden either. */
function callBack(call: () => void): void {
  try {
    call();
  } catch (error) {
    reportError(error);
  }
}
