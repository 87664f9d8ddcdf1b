/**
 * The public log of versions beside the model: shows that the version that is loaded is everybody's. Looked at after the
 * first shelf, where the page does not ask for it earlier, and before an update serves.
 */

import { codeOf, fail } from "./errors.js";
import type { LoadConfig } from "./protocol.js";
import { get } from "./sync-net.js";
import { SyncStore } from "./sync-store.js";
import type { Inspection } from "./types.js";

/** Longest log that is read, in bytes; as `docs/formats.md` says. */
export const LOG_LIMIT = 16 << 20;

/** After the first shelf the page has other things to do for so long, in milliseconds. */
const SETTLE_MS = 1_000;

/** A log that was not reached is asked for again so much later at the earliest, in milliseconds. */
const RETRY_MS = 60_000;

/** The part of an engine that checks. */
export interface Checker {
  checkLog(log: Uint8Array, publicKeys: string[], seen: string): string;
}

/** What is needed of the worker. */
export interface VersionLogHost {
  readonly config: LoadConfig;
  /** Whether no command runs or waits. */
  idle(): boolean;
  /** Whether something may be kept on the device. */
  keeps(): boolean;
  /** Uses the engine of the CPU when nothing else is to be done. */
  inTurn<T>(use: (engine: Checker) => T): Promise<T>;
  /** The version that serves is not everybody's. */
  refused(): void;
  failed(error: unknown): void;
}

/** See the file's head. */
export class VersionLog {
  readonly #host: VersionLogHost;
  #state: Inspection["version_log"] = "unchecked";
  #refusal: unknown = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #next_ms = 0;
  #over = new AbortController();

  constructor(host: VersionLogHost) {
    this.#host = host;
    if (host.config.log === "off") this.#state = "off";
  }

  /** As `Inspection.version_log` has it. */
  get state(): Inspection["version_log"] {
    return this.#state;
  }

  /** @throws OnshelfError `LOG_INVALID` where the version that serves was refused */
  demand(): void {
    if (this.#refusal !== null) throw this.#refusal;
  }

  /** The version was used: it is looked up soon, once. */
  wake(): void {
    if (this.#state !== "unchecked" && this.#state !== "unreachable") return;
    if (this.#over.signal.aborted || this.#timer !== undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        if (this.#host.idle()) void this.#look();
        else this.wake();
      },
      Math.max(SETTLE_MS, this.#next_ms - Date.now()),
    );
  }

  /**
   * Checks a version that does not serve yet.
   *
   * @param must whether there has to be a log
   * @returns what is known of the version once it serves, for `adopt`
   * @throws OnshelfError `LOG_INVALID`, `NETWORK`
   */
  async approve(engine: Checker, must: boolean): Promise<Inspection["version_log"]> {
    if (this.#host.config.log === "off") return "off";
    return this.#check(must, async (use) => use(engine));
  }

  /** Another version serves, of which this is known. */
  adopt(state: Inspection["version_log"]): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#state = state;
    this.#refusal = null;
  }

  /** The shopper wants nothing kept: not which logs were seen, either. */
  async forget(): Promise<void> {
    await SyncStore.forgetLogs().catch(() => undefined);
  }

  /** Looks no more. */
  close(): void {
    clearTimeout(this.#timer);
    this.#over.abort();
  }

  async #look(): Promise<void> {
    const before = this.#state;
    try {
      const state = await this.#check(false, (use) => this.#host.inTurn(use));
      // An update may have been faster.
      if (this.#state === before) this.#state = state;
    } catch (error) {
      if (this.#state !== before || this.#over.signal.aborted) return;
      if (codeOf(error) === "LOG_INVALID") {
        this.#state = "refused";
        this.#refusal = error;
        return this.#host.refused();
      }
      this.#state = "unreachable";
      this.#next_ms = Date.now() + RETRY_MS;
      this.#host.failed(error);
    }
  }

  async #check(
    must: boolean,
    within: (use: (engine: Checker) => string) => Promise<string>,
  ): Promise<"named" | "none"> {
    const { model, publicKeys } = this.#host.config;
    const address = logOf(model);
    const log = await get(address, this.#over.signal, { limit: LOG_LIMIT });
    const seen = await this.#seen(address);
    if (log === null) {
      if (!must && seen === "") return "none";
      const past = seen === "" ? "" : " any more";
      throw fail("LOG_INVALID", `${address}: there is no log of versions${past}`);
    }
    const head = await within((engine) => engine.checkLog(log, publicKeys, seen));
    if (head !== seen) await this.#remember(address, head);
    return "named";
  }

  async #seen(address: string): Promise<string> {
    if (!this.#keeps || !(await SyncStore.exists())) return "";
    return using((store) => store.head(address)).catch(() => "");
  }

  async #remember(address: string, head: string): Promise<void> {
    // Where nothing can be kept, the next visit begins anew.
    if (this.#keeps) await using((store) => store.keepHead(address, head)).catch(() => undefined);
  }

  get #keeps(): boolean {
    return this.#host.config.storage === "indexeddb" && this.#host.keeps();
  }
}

async function using<T>(work: (store: SyncStore) => Promise<T>): Promise<T> {
  const store = await SyncStore.open();
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

/** Where the log is: beside `latest.json` and `task.json`, one folder above `manifests/` and `tasks/`. */
export function logOf(address: string): string {
  const isBelow = /\/(manifests|tasks)\/[^/]*$/.test(new URL(address).pathname);
  return new URL(isBelow ? "../versions.log" : "versions.log", address).href;
}
