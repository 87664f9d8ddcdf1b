/** Writes the personal state to storage, soon after it changed but not after every click. */

import { codeOf } from "./errors.js";
import type { Inspection } from "./types.js";

/** A burst of clicks becomes one write: it follows this long after the first, in milliseconds. */
const DEBOUNCE_MS = 300;

/** Whether an error says that storage failed, rather than the engine. */
export function isStorageFailure(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return code === "STORAGE_UNAVAILABLE" || code === "STORAGE_FULL";
}

/** See the file's head. */
export class Saver {
  /** Bytes of the newest write; 0 before the first. */
  bytes = 0;
  #status: Inspection["storage"];
  #readOnly = false;
  #permitted = true;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #write: () => Promise<{ bytes: number }>;
  readonly #onCrash: (error: unknown) => void;

  /**
   * @param status whether to write at all
   * @param write runs `Engine.save` in turn
   * @param onCrash told of every failure that is not storage's
   */
  constructor(
    status: "indexeddb" | "none",
    write: () => Promise<{ bytes: number }>,
    onCrash: (error: unknown) => void,
  ) {
    this.#status = status;
    this.#write = write;
    this.#onCrash = onCrash;
  }

  /** As `Inspection.storage` has it. */
  get status(): Inspection["storage"] {
    return this.#status;
  }

  /**
   * Storage failed. Later changes still try: space may be freed, site data allowed.
   *
   * @param readOnly write nothing from now on: what is stored was written by a newer release,
   *   which will want it back
   */
  failed(readOnly = false): void {
    this.#status = "unavailable";
    this.#readOnly ||= readOnly;
  }

  /** Whether the shopper agreed to have anything kept; if not, nothing is written, not even what is due. */
  permit(permitted: boolean): void {
    this.#permitted = permitted;
    if (!permitted) this.cancel();
  }

  /** Whether changes are written. */
  get writes(): boolean {
    return this.#status !== "none" && !this.#readOnly && this.#permitted;
  }

  /** The state changed. */
  touch(): void {
    if (!this.writes) return;
    this.#timer ??= setTimeout(() => void this.flush(), DEBOUNCE_MS);
  }

  /** Writes now what is not yet written. */
  async flush(): Promise<void> {
    if (this.#timer === undefined) return;
    this.cancel();
    try {
      this.bytes = (await this.#write()).bytes;
      this.#status = "indexeddb";
    } catch (error) {
      if (isStorageFailure(error)) this.failed();
      else this.#onCrash(error);
    }
  }

  /** What was stored is gone, on the shopper's wish. */
  erased(): void {
    this.bytes = 0;
    this.#readOnly = false;
    this.cancel();
  }

  /** Forgets a write that is due. */
  cancel(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
