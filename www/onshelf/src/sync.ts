/**
 * Private rounds: looks whether the shop has one open, and takes part in it at most once, with one sealed
 * report. Only where the shopper agreed, while the budget lasts, and in one tab at a time.
 */

import { codeOf, fail, isFatal } from "./errors.js";
import type { LoadConfig } from "./protocol.js";
import { verifyTask, type SyncTask, type TaskFacts } from "./sync-module.js";
import { get, put, type Way } from "./sync-net.js";
import { through } from "./sync-relay.js";
import { SyncStore, type Participation, type Pending } from "./sync-store.js";
import type { SyncInspection, SyncReport } from "./types.js";
import { LOG_LIMIT, logOf } from "./version-log.js";

/** Participations of one shopper in one lineage of models within a year, whatever a task would allow. */
const MOST_A_YEAR = 12;
const YEAR_MS = 365 * 86_400_000;

/** Something was learned: look for a task so long after it, in milliseconds. */
const SETTLE_MS = 5_000;

/** Between two looks for a task, in milliseconds. */
const LOOK_EVERY_MS = 3_600_000;

/** Longest pause between two attempts to send, in milliseconds. */
const MOST_PAUSE_MS = 3_600_000;

/** What sync needs of the worker. */
export interface SyncHost {
  readonly config: LoadConfig;
  /** Why nothing may be sent now, or `null`. */
  forbids(): SyncInspection["reason"];
  /** SHA-256 (hex) of the model version that serves. */
  model(): string;
  /** What to contribute to a round, in turn; `undefined` where nothing happened since the last time. */
  contribution(round: number): Promise<Float32Array | undefined>;
  /** It was written down for sending: the next one is of what comes later; in turn. */
  contributed(): Promise<void>;
  /** `inspect().sync` says something new. */
  changed(): void;
  failed(error: unknown): void;
}

/** See the file's head. */
export class Sync {
  readonly #host: SyncHost;
  #running: Promise<SyncReport> | null = null;
  #round = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timer_at_ms = Infinity;
  #attempts = 0;
  #looked_ms = -Infinity;
  #past: Participation[] | null = null;
  #uploading = false;
  #waits_until_ms: number | null = null;
  #reason: SyncInspection["reason"] = null;
  #closed = false;

  constructor(host: SyncHost) {
    this.#host = host;
  }

  /** There may be something to do: looks at it in its own time. */
  wake(): void {
    if (this.#host.forbids() !== null || this.#host.config.conditions.saving) return;
    const soon = Date.now() + SETTLE_MS;
    // What was sealed already, perhaps on an earlier page, is not a matter of looking for tasks.
    const waits = this.#past === null || this.#past.at(-1)?.outcome === "waiting";
    this.#plan(waits ? soon : Math.max(soon, this.#looked_ms + LOOK_EVERY_MS));
  }

  /**
   * Takes part in the round that is open, if there is one.
   *
   * @throws OnshelfError why it may or can not
   */
  async run(): Promise<SyncReport> {
    this.#running ??= this.#guarded().finally(() => (this.#running = null));
    return this.#running;
  }

  /** Stops what runs: the shopper agreed to less, or paused. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer_at_ms = Infinity;
    this.#round.abort(fail("CONSENT_NEEDED", "the shopper stopped it meanwhile"));
    this.#round = new AbortController();
  }

  /** Forgets the report that waits. That this device took part stays written down. */
  async withdraw(): Promise<void> {
    // What runs sees the signal before it writes; what it wrote already is there to be settled.
    this.stop();
    this.#waits_until_ms = null;
    if (!(await SyncStore.exists())) return;
    await this.#stored((store) => store.settle("withdrawn"));
  }

  /** What a page may show of it. */
  async inspect(): Promise<SyncInspection> {
    const forbidden = this.#host.forbids();
    if (this.#past === null && (await SyncStore.exists())) {
      await this.#stored(async () => undefined).catch(() => undefined);
    }
    const past = this.#past ?? [];
    const last = past.at(-1) ?? null;
    const used = last === null ? 0 : recent(past, last.lineage).length;
    const state = this.#uploading
      ? "uploading"
      : this.#waits_until_ms !== null
        ? "waiting"
        : "idle";
    return {
      state: forbidden !== null ? "off" : state,
      reason: forbidden ?? this.#reason,
      participations: used,
      budget_left: Math.max(0, MOST_A_YEAR - used),
      last_task:
        last === null
          ? null
          : {
              task_id: last.task_id,
              model_version: last.model_version,
              at_ms: last.at_ms,
              outcome: last.outcome,
            },
      next_attempt_ms: forbidden === null ? this.#waits_until_ms : null,
    };
  }

  /** Does nothing any more; what waits is sent by a later page. */
  close(): void {
    this.#closed = true;
    this.stop();
  }

  #plan(at_ms: number): void {
    // An earlier look does what a later one would.
    if (this.#closed || at_ms >= this.#timer_at_ms) return;
    clearTimeout(this.#timer);
    this.#timer_at_ms = at_ms;
    this.#timer = setTimeout(
      () => {
        this.#timer_at_ms = Infinity;
        // Whatever it fails with is in `inspect()`.
        if (this.#host.forbids() === null) this.run().catch(() => undefined);
      },
      Math.max(0, at_ms - Date.now()),
    );
  }

  async #guarded(): Promise<SyncReport> {
    const { signal } = this.#round;
    this.#demandAllowed();
    try {
      const report = await alone(() => this.#stored((store) => this.#take(store, signal)));
      this.#reason =
        report.outcome === "sent" || report.outcome === "waiting" ? null : report.outcome;
      return report;
    } catch (error) {
      this.#reason = codeOf(error) ?? "PANIC";
      if (isFatal(error)) this.#host.failed(error);
      throw error;
    } finally {
      this.#host.changed();
    }
  }

  #demandAllowed(): void {
    const why = this.#host.forbids();
    if (why === "no storage") {
      throw fail("SYNC_UNAVAILABLE", "nothing is kept here, so participations cannot be counted");
    }
    if (why !== null) throw fail("CONSENT_NEEDED", `the shopper does not take part: ${why}`);
  }

  /** Uses the record of participations, and knows afterwards what is in it. */
  async #stored<T>(use: (store: SyncStore) => Promise<T>): Promise<T> {
    const store = await SyncStore.open();
    try {
      return await use(store);
    } finally {
      this.#past = await store.participations().catch(() => this.#past);
      store.close();
    }
  }

  async #take(store: SyncStore, signal: AbortSignal): Promise<SyncReport> {
    const waiting = await store.pending();
    if (waiting !== null) return this.#send(store, waiting, signal);
    this.#looked_ms = Date.now();
    const { config } = this.#host;
    const envelope = await get(config.sync.task, signal);
    if (envelope === null) return { outcome: "no task", task_id: null, send_at_ms: null };
    const task = await verifyTask(config.assets, config.sync.task, envelope, config.publicKeys);
    try {
      return await this.#enter(store, task, signal);
    } finally {
      task.free();
    }
  }

  async #enter(store: SyncStore, task: SyncTask, signal: AbortSignal): Promise<SyncReport> {
    const facts = task.facts();
    const { task_id, lineage } = facts;
    const model_version = nameOf(facts.model);
    const nothing = { task_id, send_at_ms: null };
    this.#demandCurrent(facts);
    const past = await store.participations();
    if (past.some((one) => one.lineage === lineage && one.task_id === task_id)) {
      return { outcome: "already sent", ...nothing };
    }
    const allows = (all: Participation[]) => recent(all, lineage).length < budgetOf(facts);
    if (!allows(past)) {
      throw fail("BUDGET_EXHAUSTED", `${budgetOf(facts)} rounds of this model within a year`);
    }
    const vector = await this.#host.contribution(facts.round);
    if (vector === undefined) return { outcome: "nothing learned", ...nothing };
    if (vector.length !== facts.parameters) {
      const text = `the task is about ${facts.parameters} parameters, the model shares ${vector.length}`;
      throw fail("TASK_INVALID", text);
    }
    await this.#checkLog(store, task, signal);
    await this.#checkConfigs(task, facts, signal);
    const now_ms = Date.now();
    const report = task.seal(vector, Math.floor(now_ms / 1000));
    signal.throwIfAborted();
    const send_at_ms = now_ms + Math.random() * this.#host.config.sync.max_delay_ms;
    const pending: Pending = {
      lineage,
      task_id,
      url: new URL(`tasks/${task_id}/reports`, facts.leader).href,
      relayed: this.#host.config.sync.relay !== null,
      report,
      send_at_ms,
      expires_ms: facts.expires_s * 1000,
    };
    const participation = { lineage, task_id, model_version, at_ms: now_ms };
    // From here on it counts, whatever becomes of it: what may have been sent cannot be taken back.
    if (!(await store.enter({ ...participation, outcome: "waiting" }, pending, allows))) {
      return { outcome: "already sent", ...nothing };
    }
    await this.#host.contributed();
    return this.#send(store, pending, signal);
  }

  /** A model that the public log does not name may be meant for this browser alone. */
  async #checkLog(store: SyncStore, task: SyncTask, signal: AbortSignal): Promise<void> {
    const { sync, publicKeys } = this.#host.config;
    const address = logOf(sync.task);
    const log = await get(address, signal, { limit: LOG_LIMIT });
    if (log === null) throw fail("LOG_INVALID", `${address}: there is no log of versions`);
    const seen = await store.head(address);
    const head = task.checkLog(log, publicKeys, seen);
    if (head !== seen) await store.keepHead(address, head);
  }

  /** Both aggregators must use the keys that the task commits to; else a report might be sealed to a third. */
  async #checkConfigs(task: SyncTask, facts: TaskFacts, signal: AbortSignal): Promise<void> {
    const query = `hpke_config?task_id=${facts.task_id}`;
    const lists = await Promise.all(
      (["leader", "helper"] as const).map(async (role) => {
        const url = new URL(query, facts[role]).href;
        const list = await get(url, signal, { way: this.#way(role) });
        if (list === null) throw fail("NETWORK", `${url}: the ${role} does not know the task`);
        return [role, list] as const;
      }),
    );
    for (const [role, list] of lists) task.checkConfig(role, list);
  }

  /** How an aggregator is spoken to. */
  #way(role: "leader" | "helper"): Way {
    const { sync, assets } = this.#host.config;
    return sync.relay === null ? fetch : through(sync.relay[role], assets);
  }

  #demandCurrent({ model, opens_s, expires_s }: TaskFacts): void {
    const loaded = this.#host.model();
    if (model !== loaded) {
      const text = `the task is for model ${nameOf(model)}, loaded is ${nameOf(loaded)}`;
      throw fail("TASK_OTHER_MODEL", text);
    }
    const now_s = Date.now() / 1000;
    if (now_s >= expires_s) throw fail("TASK_EXPIRED", "the task is over");
    if (now_s < opens_s) throw fail("TASK_EXPIRED", "the task is not open yet");
  }

  async #send(store: SyncStore, pending: Pending, signal: AbortSignal): Promise<SyncReport> {
    const { task_id, send_at_ms } = pending;
    const now_ms = Date.now();
    if (now_ms >= pending.expires_ms) {
      await this.#settle(store, "expired");
      throw fail("TASK_EXPIRED", "the task was over before the report could be sent");
    }
    if (now_ms < send_at_ms) return this.#wait(task_id, send_at_ms);
    // What was promised to be relayed is left to a page that does it: sent directly it would show the address.
    if (pending.relayed && this.#host.config.sync.relay === null) {
      throw fail("RELAY_MISMATCH", "the report was made for a relay, and this page names none");
    }
    this.#uploading = true;
    this.#waits_until_ms = null;
    this.#host.changed();
    try {
      const sent = await put(pending.url, pending.report, signal, this.#way("leader"));
      if (sent.outcome === "later") {
        const least = Math.min(
          this.#host.config.sync.retry_ms * 2 ** this.#attempts++,
          MOST_PAUSE_MS,
        );
        // Jitter, so that a server that comes back is not met by everybody at once.
        const pause = Math.max(sent.after_ms, least * (0.5 + Math.random() / 2));
        const report = this.#wait(task_id, now_ms + pause, sent.why);
        // Not to be kept quiet about, but it may come right: the keys of a relay, by its operator.
        if (sent.error !== undefined) throw sent.error;
        return report;
      }
      await this.#settle(store, sent.outcome);
      if (sent.outcome === "refused") throw fail("UPLOAD_REFUSED", sent.why);
      return { outcome: "sent", task_id, send_at_ms: null };
    } finally {
      this.#uploading = false;
    }
  }

  async #settle(store: SyncStore, outcome: Participation["outcome"]): Promise<void> {
    this.#attempts = 0;
    this.#waits_until_ms = null;
    await store.settle(outcome);
  }

  #wait(task_id: string, until_ms: number, why?: string): SyncReport {
    this.#waits_until_ms = until_ms;
    this.#plan(until_ms);
    return { outcome: "waiting", task_id, send_at_ms: until_ms, ...(why !== undefined && { why }) };
  }
}

/** A model version's name is the beginning of its hash. */
function nameOf(model: string): string {
  return model.slice(0, 16);
}

/** Participations in a lineage within the past year. */
function recent(past: Participation[], lineage: string): Participation[] {
  const from = Date.now() - YEAR_MS;
  return past.filter((one) => one.lineage === lineage && one.at_ms > from);
}

function budgetOf({ participations }: TaskFacts): number {
  return Math.min(MOST_A_YEAR, participations);
}

/** In one tab of the shop at a time; where another is at it, there is nothing to do here. */
async function alone(work: () => Promise<SyncReport>): Promise<SyncReport> {
  // Without locks the record's transactions still keep a task from being taken part in twice.
  if (navigator.locks === undefined) return work();
  return navigator.locks.request("onshelf-sync", { ifAvailable: true }, async (lock) =>
    lock === null ? { outcome: "another tab", task_id: null, send_at_ms: null } : work(),
  );
}
