/**
 * What a device remembers of private rounds: which tasks it took part in, which is its budget, and the one
 * sealed report that was not acknowledged yet. A database of its own, since erasing what was learned must
 * not give the budget back.
 */

import { fail } from "./errors.js";

const DATABASE = "onshelf-sync";
const PARTICIPATIONS = "participations";
const PENDING = "pending";
const LOGS = "logs";
const KEY = "report";

/** One task that this device took part in; written before anything of it is sent. */
export interface Participation {
  /** Model lineage whose budget it counts against. */
  lineage: string;
  task_id: string;
  model_version: string;
  /** When, in milliseconds since 1970. */
  at_ms: number;
  outcome: "waiting" | "sent" | "refused" | "expired" | "withdrawn";
}

/** A report, sealed to the aggregators: this device itself cannot open it any more. */
export interface Pending {
  lineage: string;
  task_id: string;
  url: string;
  /** Sealed on a page with a relay: not to be sent without one. */
  relayed?: boolean;
  report: Uint8Array;
  /** Not to be sent before, in milliseconds since 1970. */
  send_at_ms: number;
  /** Not to be sent after. */
  expires_ms: number;
}

interface Stores {
  participations: IDBObjectStore;
  pending: IDBObjectStore;
  logs: IDBObjectStore;
}

/** See the file's head. */
export class SyncStore {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  /** @throws OnshelfError `SYNC_UNAVAILABLE` where the browser keeps nothing for this origin */
  static async open(): Promise<SyncStore> {
    try {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => {
        request.result.createObjectStore(PARTICIPATIONS, { keyPath: ["lineage", "task_id"] });
        request.result.createObjectStore(PENDING);
        request.result.createObjectStore(LOGS);
      };
      const database = await new Promise<IDBDatabase>((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error ?? new Error("refused"));
      });
      return new SyncStore(database);
    } catch (cause) {
      throw unavailable(cause);
    }
  }

  /** Whether there is anything to open: opening would make it. */
  static async exists(): Promise<boolean> {
    try {
      return (await indexedDB.databases()).some(({ name }) => name === DATABASE);
    } catch {
      return false;
    }
  }

  /** Forgets which logs were seen. What else is known stays: the budget is not given back. */
  static async forgetLogs(): Promise<void> {
    if (!(await SyncStore.exists())) return;
    const store = await SyncStore.open();
    try {
      await store.#use("readwrite", (stores) => stores.logs.clear());
    } finally {
      store.close();
    }
  }

  close(): void {
    this.#database.close();
  }

  /** All participations, of every lineage, oldest first. */
  async participations(): Promise<Participation[]> {
    const all = await this.#use("readonly", (stores) => stores.participations.getAll());
    return (all as Participation[]).sort((a, b) => a.at_ms - b.at_ms);
  }

  /** The report that waits, or `null`. */
  async pending(): Promise<Pending | null> {
    const found = await this.#use("readonly", (stores) => stores.pending.get(KEY));
    return (found as Pending | undefined) ?? null;
  }

  /** Hash of the newest entry that was seen of the log of versions at an address; empty for none. */
  async head(address: string): Promise<string> {
    const found = await this.#use("readonly", (stores) => stores.logs.get(address));
    return typeof found === "string" ? found : "";
  }

  /** Remembers such a hash. */
  async keepHead(address: string, head: string): Promise<void> {
    await this.#use("readwrite", (stores) => stores.logs.put(head, address));
  }

  /**
   * Writes down a participation together with its report, in one transaction, unless the task is known
   * already, another report waits, or `allows` refuses with regard to all that is written down.
   */
  async enter(
    participation: Participation,
    pending: Pending,
    allows: (past: Participation[]) => boolean,
  ): Promise<boolean> {
    let entered = false;
    await this.#use("readwrite", ({ participations, pending: waiting }) => {
      const past = participations.getAll();
      const other = waiting.count();
      other.onsuccess = () => {
        const { lineage, task_id } = participation;
        const all = past.result as Participation[];
        const known = all.some((one) => one.lineage === lineage && one.task_id === task_id);
        if (known || other.result > 0 || !allows(all)) return;
        participations.add(participation);
        waiting.add(pending, KEY);
        entered = true;
      };
      return other;
    });
    return entered;
  }

  /** Nothing waits any more; the participation of the report stays, with what became of it. */
  async settle(outcome: Participation["outcome"]): Promise<void> {
    await this.#use("readwrite", ({ participations, pending }) => {
      const waiting = pending.get(KEY);
      waiting.onsuccess = () => {
        const report = waiting.result as Pending | undefined;
        if (report === undefined) return;
        pending.delete(KEY);
        const found = participations.get([report.lineage, report.task_id]);
        found.onsuccess = () => {
          const participation = found.result as Participation | undefined;
          if (participation !== undefined) participations.put({ ...participation, outcome });
        };
      };
      return waiting;
    });
  }

  async #use<T>(mode: IDBTransactionMode, work: (stores: Stores) => IDBRequest<T>): Promise<T> {
    try {
      // What is written here must outlive a crash of the whole machine before anything is sent.
      const options = { durability: "strict" } as const;
      const transaction = this.#database.transaction(
        [PARTICIPATIONS, PENDING, LOGS],
        mode,
        options,
      );
      const request = work({
        participations: transaction.objectStore(PARTICIPATIONS),
        pending: transaction.objectStore(PENDING),
        logs: transaction.objectStore(LOGS),
      });
      await new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
      });
      return request.result;
    } catch (cause) {
      throw unavailable(cause);
    }
  }
}

function unavailable(cause: unknown): Error {
  const what = cause instanceof Error ? cause.message : String(cause);
  return fail("SYNC_UNAVAILABLE", `the record of participations cannot be kept: ${what}`, cause);
}
