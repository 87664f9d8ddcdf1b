/**
 * Keeps a worker at work: sends it the page's commands, and when it dies starts another, brings
 * it to the same state and sends again what was not answered.
 */

import { startWorker } from "./assets.js";
import type { Agreed } from "./consent.js";
import { fail, fromWire, OnshelfError } from "./errors.js";
import type { ModelFacts } from "./engine.js";
import { Journal, type TimedEvent } from "./journal.js";
import type {
  Conditions,
  FromWorker,
  LoadConfig,
  Method,
  Methods,
  Note,
  Reply,
  ToWorker,
} from "./protocol.js";
import { Pulse } from "./pulse.js";

/** A command that is blamed for this many crashes is given up. */
const MAX_BLAMES = 2;

/** Attempts to start a worker after a crash; the last begins without what was learned. */
const BOOT_ATTEMPTS = 3;

/** With so many crashes in a minute a new worker is started only when the page wants something. */
const MAX_CRASHES_A_MINUTE = 5;

/** Pause before a new attempt where the model could not be fetched, in ms. */
const RETRY_MS = 500;

/** How long the worker may take to write and free before it is ended, in ms. */
const FAREWELL_MS = 1_000;

interface Pending {
  method: Method;
  args: unknown[];
  resolve: (result: never) => void;
  reject: (error: OnshelfError) => void;
  blames: number;
}

/** Another worker serves, and why. */
export interface Restarted {
  note: "restarted";
  why: string;
}

/** The worker died; not for the page's eyes. */
class Crash extends Error {}

/** See the file's head. */
export class Supervisor {
  /** Hears of every command that was answered, and of every error, if somebody wants to. */
  onAnswered: ((method: Method, args: unknown[], took_ms: number, answer: unknown) => void) | null =
    null;
  /** Workers started after a crash. */
  restarts = 0;
  readonly #config: LoadConfig;
  readonly #onNote: (note: Note | Restarted) => void;
  readonly #journal = new Journal();
  readonly #pulse = new Pulse(
    () => this.#post({ control: "ping" }),
    () => this.#crashed("no answer for 30 seconds"),
  );
  #worker: Worker | null = null;
  #state: "starting" | "running" | "broken" | "disposed" = "starting";
  #pending = new Map<number, Pending>();
  #nextId = 1;
  #boot: { id: number; resolve: (facts: ModelFacts) => void; reject: (e: Error) => void } | null =
    null;
  #crashes: number[] = [];
  #sawRestore = false;
  #sawReady = false;

  /** @param config what a worker begins with; `paused` and `verdict` may be changed later */
  constructor(config: LoadConfig, onNote: (note: Note | Restarted) => void) {
    this.#config = config;
    this.#onNote = onNote;
  }

  /** The configuration of the next worker. */
  get config(): LoadConfig {
    return this.#config;
  }

  /**
   * Starts the first worker.
   *
   * @throws OnshelfError what loading failed with; `WORKER_CRASHED` if it died twice
   */
  async start(): Promise<ModelFacts> {
    try {
      return await this.#spawn(true).catch((error: unknown) => {
        if (!(error instanceof Crash) || this.#state === "disposed") throw error;
        this.restarts++;
        // Bytes in storage that kill the engine would do so on every visit.
        if (this.#sawRestore) this.#config.restore = false;
        return this.#spawn(true);
      });
    } catch (error) {
      this.#end();
      throw error instanceof Crash ? this.#gaveUp(error) : error;
    }
  }

  /** The first worker is complete: from now on commands go through. */
  open(): void {
    if (this.#state === "starting") this.#state = "running";
    this.#sendAll();
  }

  /**
   * Has the worker carry out a command.
   *
   * @throws OnshelfError the worker's; `ABORTED`; `DISPOSED`; `WORKER_CRASHED`
   */
  call<M extends Method>(
    method: M,
    args: Methods[M]["args"],
    signal?: AbortSignal,
  ): Promise<Methods[M]["result"]> {
    return new Promise((resolve, reject) => {
      if (this.#state === "disposed") return reject(fail("DISPOSED", "it was disposed"));
      if (signal?.aborted) return reject(aborted(signal));
      const onAbort = () => {
        for (const [id, candidate] of this.#pending) {
          if (candidate !== pending) continue;
          this.#pending.delete(id);
          if (this.#state === "running") this.#post({ control: "abort", id });
        }
        if (signal !== undefined) pending.reject(aborted(signal));
      };
      const begin = performance.now();
      const settle = (answer: unknown) => {
        signal?.removeEventListener("abort", onAbort);
        this.onAnswered?.(method, args, performance.now() - begin, answer);
      };
      const pending: Pending = {
        method,
        args,
        resolve: (result) => (settle(result), resolve(result)),
        reject: (error) => (settle(error), reject(error)),
        blames: 0,
      };
      signal?.addEventListener("abort", onAbort);
      const id = this.#nextId++;
      this.#pending.set(id, pending);
      if (this.#state === "broken") void this.#recover("");
      else if (this.#state === "running") this.#send(id, pending);
    });
  }

  /**
   * Tells this worker, and those to come, what the shopper agreed to.
   *
   * @throws OnshelfError what `call` rejects with
   */
  async agree(agreed: Agreed): Promise<void> {
    const config = this.#config;
    config.agreed = agreed;
    if (agreed.consent === "denied" && agreed.settled) {
      // At once: a crash in between must not bring back what is to be forgotten.
      config.restore = false;
      this.#journal.clear();
    }
    await this.call("setConsent", [agreed]);
  }

  /** Tells this worker, and those to come, how things stand around the page. */
  mind(conditions: Conditions): void {
    this.#config.conditions = conditions;
    if (this.#state === "running") this.#post({ control: "conditions", conditions });
  }

  /** Has the worker write what is not yet written. */
  flush(): void {
    if (this.#state === "running") this.#post({ control: "flush" });
  }

  /** Rejects all that waits with `DISPOSED`, lets the worker write and free, and ends it. */
  async dispose(): Promise<void> {
    if (this.#state === "disposed") return;
    const wasRunning = this.#state === "running";
    this.#state = "disposed";
    this.#rejectAll(fail("DISPOSED", "it was disposed"));
    this.#boot?.reject(new Crash("disposed"));
    if (wasRunning) {
      await new Promise<void>((resolve) => {
        const id = this.#nextId++;
        const [done, args] = [() => resolve(), [] as unknown[]];
        this.#pending.set(id, { method: "dispose", args, resolve: done, reject: done, blames: 0 });
        setTimeout(done, FAREWELL_MS);
        this.#post({ id, method: "dispose", args: [] });
      });
    }
    this.#end();
  }

  #end(): void {
    this.#state = "disposed";
    this.#terminate();
    this.#pending.clear();
    this.#journal.clear();
  }

  #terminate(): void {
    this.#pulse.stop();
    this.#worker?.terminate();
    this.#worker = null;
  }

  /** Starts a worker and has it load; rejects with `Crash` if it dies over it. */
  #spawn(withState: boolean): Promise<ModelFacts> {
    this.#terminate();
    return new Promise<ModelFacts>((resolve, reject) => {
      const id = this.#nextId++;
      this.#boot = { id, resolve, reject };
      let worker: Worker;
      try {
        worker = startWorker(this.#config.assets);
      } catch (cause) {
        this.#boot = null;
        return reject(this.#unreachable(cause));
      }
      this.#worker = worker;
      worker.onmessage = (event: MessageEvent<FromWorker>) => {
        if (worker === this.#worker) this.#receive(event.data);
      };
      worker.onmessageerror = () => {
        if (worker === this.#worker) this.#crashed("a message could not be read");
      };
      worker.onerror = (event) => {
        // It is answered here; without this the page's own error reporting would see it, too.
        event.preventDefault();
        if (worker === this.#worker) {
          // Without a word it is the file itself that did not come.
          const absent = this.#boot !== null && !this.#sawReady && !event.message;
          if (absent) this.#terminate();
          if (absent) this.#boot?.reject(this.#unreachable(event));
          else this.#crashed(event.message || "it did not start");
        }
      };
      const snapshot = withState ? this.#journal.snapshot : null;
      const events = withState ? this.#journal.events : [];
      const restore = withState && this.#config.restore;
      const config = { ...this.#config, restore, snapshot, events };
      this.#post({ id, method: "load", args: [config] });
    });
  }

  #receive(message: FromWorker): void {
    this.#pulse.beat();
    if (!("note" in message)) return this.#reply(message);
    if (message.note === "crashed") return this.#crashed(message.message);
    if (message.note === "ready") {
      this.#sawReady = true;
      this.#pulse.start();
    } else if (message.note === "snapshot") this.#journal.take(message.bytes, message.through);
    else if (message.note === "change" && message.what === "erased") {
      // Also where another tab erased: no page may open with it again.
      this.#config.restore = false;
    } else if (message.note === "progress") {
      this.#sawRestore ||= message.progress.stage === "restore";
    }
    this.#onNote(message);
  }

  #reply(message: Reply): void {
    if (!message.ok && message.fatal) return this.#crashed(message.error.message, message.id);
    if (this.#boot?.id === message.id) {
      const boot = this.#boot;
      this.#boot = null;
      this.#rest();
      if (message.ok) boot.resolve(message.result as ModelFacts);
      else boot.reject(fromWire(message.error));
      return;
    }
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    this.#pending.delete(message.id);
    this.#rest();
    if (!message.ok) return pending.reject(fromWire(message.error));
    if (pending.method === "track") this.#journal.note(message.id, pending.args as TimedEvent);
    // Before the copy that follows: a crash in between must not bring back what is gone.
    const erased = pending.method === "setConsent" && message.result === true;
    if (pending.method === "erase" || erased) this.#journal.clear();
    pending.resolve(message.result as never);
  }

  /** Asks for no sign of life while nothing is expected. */
  #rest(): void {
    if (this.#pending.size === 0 && this.#boot === null) this.#pulse.stop();
  }

  #crashed(message: string, culprit?: number): void {
    this.#terminate();
    const boot = this.#boot;
    if (boot !== null) {
      this.#boot = null;
      return boot.reject(new Crash(message));
    }
    if (this.#state === "disposed") return this.#rejectAll(fail("DISPOSED", "it was disposed"));
    // The queue is served in turn, so without a name it was most likely the oldest.
    this.#blame(culprit ?? this.#pending.keys().next().value, message);
    const now = performance.now();
    this.#crashes = this.#crashes.filter((at) => now - at < 60_000);
    this.#crashes.push(now);
    this.#state = "broken";
    if (this.#pending.size === 0 && this.#crashes.length > MAX_CRASHES_A_MINUTE) return;
    void this.#recover(message);
  }

  #blame(id: number | undefined, message: string): void {
    const pending = id === undefined ? undefined : this.#pending.get(id);
    if (id === undefined || pending === undefined || ++pending.blames < MAX_BLAMES) return;
    this.#pending.delete(id);
    pending.reject(this.#gaveUp(new Crash(`${pending.method}: ${message}`)));
  }

  async #recover(message: string): Promise<void> {
    this.#state = "starting";
    // Whatever it was, it does not happen to the page's wish for a faster device again.
    this.#config.device = "cpu";
    let failure: unknown = new Crash(message);
    for (let attempt = 1; attempt <= BOOT_ATTEMPTS; attempt++) {
      this.restarts++;
      try {
        await this.#spawn(attempt < BOOT_ATTEMPTS);
        this.#sendAll();
        this.#onNote({ note: "restarted", why: message });
        return;
      } catch (error) {
        failure = error;
        if (this.#isDisposed()) return;
        if (!(error instanceof Crash)) {
          await new Promise((resolve) => setTimeout(resolve, RETRY_MS * attempt));
        }
        if (this.#isDisposed()) return;
      }
    }
    this.#terminate();
    this.#state = "broken";
    this.#rejectAll(this.#gaveUp(failure));
  }

  // A method, since the compiler does not see that the state changes during an await.
  #isDisposed(): boolean {
    return this.#state === "disposed";
  }

  /** Sends all that waits, under new ids: the copy of the state covers all lower ones. */
  #sendAll(): void {
    this.#state = "running";
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of waiting) {
      const id = this.#nextId++;
      this.#pending.set(id, pending);
      this.#send(id, pending);
    }
  }

  #send(id: number, pending: Pending): void {
    this.#pulse.start();
    try {
      this.#post({ id, method: pending.method, args: pending.args } as ToWorker);
    } catch (cause) {
      this.#pending.delete(id);
      pending.reject(fail("INVALID_REQUEST", "an argument cannot be sent to a worker", cause));
    }
  }

  #post(message: ToWorker): void {
    this.#worker?.postMessage(message);
  }

  #rejectAll(error: OnshelfError): void {
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of waiting) pending.reject(error);
  }

  /** A server, a policy or a content blocker kept the worker's file from the page. */
  #unreachable(cause: unknown): OnshelfError {
    const message = `the worker could not be started from ${this.#config.assets.worker}`;
    const remedy =
      "Show what the server rendered. Check `assets`, the page's worker-src, and content blockers.";
    return new OnshelfError("NETWORK", message, remedy, { cause });
  }

  #gaveUp(cause: unknown): OnshelfError {
    const what = cause instanceof Error ? cause.message : String(cause);
    return fail("WORKER_CRASHED", `the worker stopped: ${what}`, cause);
  }
}

/** The error of an aborted call. */
export function aborted(signal: AbortSignal): OnshelfError {
  return fail("ABORTED", "the page aborted it", signal.reason);
}
