/** The third WebAssembly module, which checks tasks and seals reports. Fetched where a task is open only. */

import type { Assets } from "./assets.js";
import { fail } from "./errors.js";

/** What a verified task says of itself. */
export interface TaskFacts {
  /** Base64url of 32 bytes: the hash of everything that matters about the task. */
  task_id: string;
  /** The line of models whose budget a participation counts against. */
  lineage: string;
  /** Number of the round within the lineage: says which part of the shared parameters it is about. */
  round: number;
  /** SHA-256 (hex) of the one model version whose deltas it takes; the version's name are its first 16 digits. */
  model: string;
  /** Parameters of a contribution. */
  parameters: number;
  /** Rounds of one shopper that the promised epsilon covers. */
  participations: number;
  /** Privacy loss over all of them. */
  epsilon: number;
  delta: number;
  /** Shoppers below whom nothing is released. */
  min_batch: number;
  /** No report is taken before, in seconds since 1970. */
  opens_s: number;
  /** No report is taken after, in seconds since 1970. */
  expires_s: number;
  /** Addresses of the aggregators, with a slash at the end. */
  leader: string;
  helper: string;
}

/** A task whose signature and id were checked. */
export interface SyncTask {
  facts(): TaskFacts;
  /**
   * Checks the public log of versions, which must go on from `seen` (a hash, or empty) and name the task's
   * model; gives the hash to remember.
   *
   * @throws `LOG_INVALID`
   */
  checkLog(log: Uint8Array, publicKeys: string[], seen: string): string;
  /** @throws `HPKE_MISMATCH` where the aggregator's list lacks the configuration that the task commits to */
  checkConfig(role: "leader" | "helper", list: Uint8Array): void;
  /** One report: clipped, rotated, rounded, shared and sealed; other bytes at every call. */
  seal(contribution: Float32Array, now_s: number): Uint8Array;
  free(): void;
}

/** A request to an aggregator, sealed for the gateway before it, and the answer to it. */
export interface Exchange {
  /** What the relay is sent; once. */
  message(): Uint8Array;
  /**
   * Opens what came back, once; gives the aggregator's status.
   *
   * @throws `NETWORK` where it is not the gateway's answer to this very request
   */
  open(answer: Uint8Array): number;
  /** A header of what was opened, by its name in lower case. */
  header(name: string): string | undefined;
  /** The body of what was opened; once. */
  content(): Uint8Array;
  free(): void;
}

interface SyncModule {
  default(options: { module_or_path: string }): Promise<unknown>;
  Exchange: {
    /**
     * Other bytes at every call.
     *
     * @param hash of the gateway's `keys`, SHA-256
     * @param media empty where there is no content
     * @throws `RELAY_MISMATCH` for other keys
     */
    seal(
      keys: Uint8Array,
      hash: string,
      method: string,
      url: string,
      media: string,
      content: Uint8Array,
    ): Exchange;
  };
  SyncTask: {
    verify(envelope: Uint8Array, publicKeys: string[], announcedId?: string): SyncTask;
  };
}

/** A task at an address like this is announced under its id. */
const NAMED = /\/tasks\/([A-Za-z0-9_-]{43})\.json$/;

/**
 * Fetches the module and starts it, where it is not there yet.
 *
 * @throws OnshelfError `NETWORK` where it does not come
 */
export async function syncModule(assets: Assets): Promise<SyncModule> {
  try {
    const module = (await import(/* @vite-ignore */ assets.sync)) as SyncModule;
    await module.default({ module_or_path: assets.sync_wasm });
    return module;
  } catch (cause) {
    const what = cause instanceof Error ? cause.message : String(cause);
    throw fail("NETWORK", `the sync module could not be started: ${what}`, cause);
  }
}

/**
 * Fetches the module and has it check a task.
 *
 * @param address where the task came from; where it names an id, the task must have that
 * @throws OnshelfError as {@link syncModule}; what `SyncTask.verify` throws
 */
export async function verifyTask(
  assets: Assets,
  address: string,
  envelope: Uint8Array,
  publicKeys: string[],
): Promise<SyncTask> {
  const { SyncTask } = await syncModule(assets);
  return SyncTask.verify(envelope, publicKeys, NAMED.exec(new URL(address).pathname)?.[1]);
}
