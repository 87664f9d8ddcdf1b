/**
 * Looks for a newer model version by itself: at intervals, while the page is seen and nothing else is to be done. What it
 * finds is loaded as `update()` does.
 */

import type { Conditions } from "./protocol.js";

/** What is needed of the worker. */
export interface UpdatesHost {
  /** Milliseconds between two looks; 0 for none. */
  every_ms: number;
  /** Whether no command runs or waits. */
  idle(): boolean;
  /** One look; rejects where it failed. */
  look(): Promise<unknown>;
}

/** Whoever comes back to the page, or is busy with it, comes first, in milliseconds. */
const SETTLE_MS = 1_000;

/** After failures the pause doubles, up to so many times its length. */
const MOST_PATIENCE = 16;

/** Longest time that a timer can be set to, in milliseconds. */
const MOST_TIMER_MS = 2 ** 31 - 1;

/** See the file's head. */
export class Updates {
  readonly #host: UpdatesHost;
  #conditions: Conditions;
  #due_ms = 0;
  #patience = 1;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy = false;
  #closed = false;

  constructor(host: UpdatesHost, conditions: Conditions) {
    this.#host = host;
    this.#conditions = conditions;
    this.#wait();
  }

  /** The page is shown or hidden, the battery low or not. A look that fell due meanwhile follows soon. */
  mind(conditions: Conditions): void {
    this.#conditions = conditions;
    this.#plan();
  }

  /** Looks no more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #wait(): void {
    this.#due_ms = Date.now() + this.#host.every_ms * this.#patience;
    this.#plan();
  }

  #plan(): void {
    clearTimeout(this.#timer);
    const { hidden, saving } = this.#conditions;
    if (this.#closed || this.#busy || this.#host.every_ms === 0 || hidden || saving) return;
    const rest_ms = Math.max(SETTLE_MS, this.#due_ms - Date.now());
    this.#timer = setTimeout(() => void this.#turn(), Math.min(rest_ms, MOST_TIMER_MS));
  }

  async #turn(): Promise<void> {
    if (Date.now() < this.#due_ms || !this.#host.idle()) return this.#plan();
    this.#busy = true;
    try {
      await this.#host.look();
      this.#patience = 1;
    } catch {
      // Whatever it failed with is in `inspect()`.
      this.#patience = Math.min(this.#patience * 2, MOST_PATIENCE);
    }
    this.#busy = false;
    this.#wait();
  }
}
