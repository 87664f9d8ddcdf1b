/** An `Onshelf` without a browser: the same methods, answers without chance, nothing stored, nothing sent. */

import { OnshelfError } from "onshelf";
import type {
  Change,
  Consent,
  DataLayerOptions,
  DeviceKind,
  Explanation,
  FineTuneOptions,
  FineTuneReport,
  ForgetReport,
  Inspection,
  Onshelf,
  RecommendRequest,
  Shelf,
  ShelfEvent,
  StopObserving,
  SyncReport,
  TrackResult,
  UpdateReport,
} from "onshelf";
import { observeDataLayer } from "../../onshelf/src/data-layer.js";
import { toEvent, toLimits, toRequest } from "../../onshelf/src/options.js";
import type { FakeItem } from "./model.js";
import { blank, FakeShopper } from "./state.js";

/** Options of `fakeOnshelf`. */
export interface FakeOptions {
  /** The made-up shop, most popular first. */
  items: readonly FakeItem[];
  /** What the shopper agreed to. Default `device`, as with `Onshelf.load`. */
  consent?: Consent;
  /** As of `Onshelf.load`, but `"idle"` learns right after each click. Default `true`. */
  learning?: boolean | "idle";
  /** Whether a private round is open, in which a shopper with `device+sync` takes part once. Default `true`. */
  round?: boolean;
  /** Name of the model version. */
  version?: string;
}

/** What would have been sent to an aggregator. A report tells how a model would move, never what was clicked. */
export interface FakeUpload {
  task_id: string;
  /** Steps of learning that the report sums up. */
  steps: number;
}

const TASK = "fake-task";

/** See the file's head. What an `Onshelf` does is documented there; here is what differs. */
export class FakeOnshelf implements Pick<Onshelf, keyof Onshelf> {
  /** What would have been uploaded so far: empty in `denied` and `device`. */
  readonly uploads: FakeUpload[] = [];
  /** All events that were tracked, those included that were left out. */
  readonly tracked: ShelfEvent[] = [];

  readonly #shopper: FakeShopper;
  readonly #options: Required<Pick<FakeOptions, "learning" | "round" | "version">>;
  readonly #listeners = new Set<(what: Change) => void>();
  readonly #layers = new Map<unknown, StopObserving>();
  readonly #seen = new WeakSet<object>();
  #consent: Consent;
  #paused = false;
  #shelves = 0;
  #disposed = false;

  constructor({ items, consent = "device", learning = true, ...rest }: FakeOptions) {
    this.#shopper = guarded(() => new FakeShopper(items));
    this.#consent = consent;
    this.#options = { learning, round: rest.round ?? true, version: rest.version ?? "fake" };
  }

  get consent(): Consent {
    return this.#consent;
  }

  async track(event: ShelfEvent): Promise<TrackResult> {
    this.#demandAlive();
    const own = guarded(() => toEvent(event));
    this.tracked.push(own);
    const result = this.#shopper.track(own);
    if (!result.accepted) return result;
    this.#tell("tracked");
    if (this.#options.learning === "idle" && this.#why() === null) {
      if (this.#shopper.learn(1).steps > 0) this.#tell("learned");
    }
    return result;
  }

  observeDataLayer(layer?: unknown[], options?: DataLayerOptions): StopObserving {
    const from = layer ?? ((globalThis as { dataLayer?: unknown[] }).dataLayer ??= []);
    const known = this.#layers.get(from);
    if (known !== undefined) return known;
    const host = { track: (event: ShelfEvent) => this.track(event), seen: this.#seen };
    const observed = observeDataLayer(host, from, options);
    const stop = () => (observed(), void this.#layers.delete(from));
    const stopped = Object.assign(stop, { counts: observed.counts });
    this.#layers.set(from, stopped);
    return stopped;
  }

  async recommend(request: RecommendRequest): Promise<Shelf> {
    this.#demandAlive();
    const own = guarded(() => toRequest(request));
    if (request.signal?.aborted) throw new OnshelfError("ABORTED", "the request was aborted");
    const items = guarded(() => this.#shopper.rank(own));
    const { slot, kind = "for_you" } = own;
    const shelf_id = `fake-${++this.#shelves}`;
    const { version: model_version } = this.#options;
    return {
      shelf_id,
      slot,
      kind,
      items,
      model_version,
      device: "cpu",
      personal: false,
      took_ms: 0,
    };
  }

  async fineTune(options: FineTuneOptions = {}): Promise<FineTuneReport> {
    this.#demandAlive();
    const { steps } = guarded(() => toLimits(options));
    const reason = this.#why();
    const none = { steps: 0, loss_before: 0, loss_after: 0, kept: false };
    const report = reason === null ? this.#shopper.learn(steps ?? 1) : { ...none, reason };
    if (report.steps > 0) this.#tell("learned");
    return { ...report, took_ms: 0, device: "cpu" };
  }

  async explain(item_id: string): Promise<Explanation> {
    this.#demandAlive();
    return guarded(() => this.#shopper.explain(item_id));
  }

  async inspect(): Promise<Inspection> {
    this.#demandAlive();
    const { session, steps } = this.#shopper.memory;
    const guard = { compared: 0, lead_nats: 0, evidence_nats: 0, say: 0, rolled_back: 0 };
    return {
      device: "cpu",
      adapter: null,
      model_version: this.#options.version,
      items: this.#shopper.model.size,
      parameters: 0,
      personal_parameters: 0,
      session: structuredClone(session),
      learning: this.#options.learning,
      waits_for: null,
      paused: this.#paused,
      steps,
      guard: { ...guard, personal: false },
      last_rank_ms: this.#shelves === 0 ? null : 0,
      last_learn_ms: steps === 0 ? null : 0,
      stored_bytes: 0,
      storage: "none",
      learned: this.#shopper.learned(),
      consent: this.#consent,
      consent_limited_by: this.#consent === "device+sync" ? null : "page",
      version_log: "none",
      looked_for_update: null,
      sync: this.#sync(),
      worker_restarts: 0,
    };
  }

  async pause(): Promise<void> {
    this.#setPaused(true);
  }

  async resume(): Promise<void> {
    this.#setPaused(false);
  }

  async setConsent(consent: Consent | null): Promise<Consent> {
    this.#demandAlive();
    if (consent !== null && !["denied", "device", "device+sync"].includes(consent)) {
      throw new OnshelfError(
        "INVALID_REQUEST",
        "consent must be denied, device, device+sync or null",
      );
    }
    const before = this.#consent;
    this.#consent = consent ?? "denied";
    if (consent === "denied") this.#shopper.memory = blank();
    if (before !== this.#consent) this.#tell("consent");
    return this.#consent;
  }

  async exportPersonal(): Promise<Blob> {
    this.#demandAlive();
    return new Blob([JSON.stringify(this.#shopper.memory)], { type: "application/json" });
  }

  async erase(): Promise<void> {
    this.#demandAlive();
    this.#shopper.memory = blank();
    this.#tell("erased");
  }

  async forget(item_id: string): Promise<ForgetReport> {
    this.#demandAlive();
    const { removed, left } = this.#shopper.forget(item_id);
    if (removed === 0) return { removed, left, relearned: 0 };
    const learns = this.#why() === null && left > 1;
    if (learns) this.#shopper.learn(left - 1);
    this.#tell("forgotten");
    return { removed, left, relearned: learns ? left : 0 };
  }

  /** Always stays on the CPU. */
  async setDevice(device: DeviceKind): Promise<DeviceKind> {
    this.#demandAlive();
    if (device === "cpu") return device;
    throw new OnshelfError("DEVICE_UNAVAILABLE", "a fake has no graphics device");
  }

  /** There is never a newer version. */
  async update(): Promise<UpdateReport> {
    this.#demandAlive();
    return { model_version: this.#options.version, changed: false };
  }

  /** Takes part at once; what would have been sent is in `uploads`. */
  async sync(): Promise<SyncReport> {
    this.#demandAlive();
    if (this.#consent !== "device+sync") {
      throw new OnshelfError("CONSENT_NEEDED", "the shopper did not agree to device+sync");
    }
    const none = { task_id: null, send_at_ms: null };
    if (!this.#options.round) return { ...none, outcome: "no task" };
    const { memory } = this.#shopper;
    if (this.uploads.length > 0) return { ...none, task_id: TASK, outcome: "already sent" };
    const steps = memory.steps - memory.contributed;
    if (steps === 0) return { ...none, task_id: TASK, outcome: "nothing learned" };
    memory.contributed = memory.steps;
    this.uploads.push({ task_id: TASK, steps });
    this.#tell("sync");
    return { ...none, task_id: TASK, outcome: "sent" };
  }

  async dispose(): Promise<void> {
    for (const stop of [...this.#layers.values()]) stop();
    this.#listeners.clear();
    this.#disposed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  onChange(listener: (what: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Why nothing is learned now; `null` where it is. */
  #why(): string | null {
    if (this.#consent === "denied") return "no consent";
    if (this.#options.learning === false) return "learning is off";
    return this.#paused ? "paused" : null;
  }

  #sync(): Inspection["sync"] {
    const newest = this.uploads.at(-1);
    const { version: model_version } = this.#options;
    return {
      state: this.#consent === "device+sync" ? "idle" : "off",
      reason: this.#consent === "device+sync" ? (newest ? "already sent" : null) : "no consent",
      participations: this.uploads.length,
      budget_left: 12 - this.uploads.length,
      last_task: newest
        ? { task_id: newest.task_id, model_version, at_ms: 0, outcome: "sent" }
        : null,
      next_attempt_ms: null,
    };
  }

  #setPaused(paused: boolean): void {
    this.#demandAlive();
    this.#paused = paused;
    this.#tell(paused ? "paused" : "resumed");
  }

  #demandAlive(): void {
    if (this.#disposed) throw new OnshelfError("DISPOSED", "this fake was disposed");
  }

  #tell(what: Change): void {
    for (const listener of [...this.#listeners]) listener(what);
  }
}

/**
 * An `Onshelf` for tests in Node: give it to the code under test wherever that takes what `Onshelf.load` resolves with.
 *
 * @throws OnshelfError `INVALID_REQUEST` if an item is there twice
 */
export function fakeOnshelf(options: FakeOptions): Onshelf & FakeOnshelf {
  // The class has private fields, which no other class has; what can be called is the same.
  return new FakeOnshelf(options) as unknown as Onshelf & FakeOnshelf;
}

/** The shop's own class of errors, whoever found the mistake. */
function guarded<T>(work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    const { code, message } = thrown as { code?: unknown; message: string };
    if (typeof code !== "string") throw thrown;
    throw new OnshelfError(code, message);
  }
}
