/**
 * Learns by itself when nobody is disturbed by it: some time after a click, in short slices, never in
 * a hidden tab or where the device is to be spared, and in one tab of a shop at a time.
 */

import type { Conditions } from "./protocol.js";

/** What the loop needs of the worker. */
export interface LoopHost {
  /** Whether no command runs or waits. */
  idle(): boolean;
  /**
   * Makes up to so many steps, none after the budget (milliseconds) is used up.
   *
   * @returns steps made, and whether more of the same would be of use
   */
  learn(steps: number, budget_ms: number): Promise<{ steps: number; goOn: boolean }>;
  /** Name of the lock that one tab holds while it learns; `null` where tabs have nothing in common. */
  lock: string | null;
}

/** A click is learned from so long after it, in milliseconds: first the shelf, then the lesson. */
const SETTLE_MS = 200;

/** No step begins after so many milliseconds of a slice. */
const SLICE_MS = 12;

/** Between two slices, in milliseconds: the processor belongs to the page. */
const REST_MS = 24;

/** See the file's head. */
export class Loop {
  readonly #host: LoopHost;
  #conditions: Conditions;
  #owed = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lock: "none" | "asked" | "held" = "none";
  /** Where site data are blocked, locks are, too: then tabs have nothing in common, and each learns for itself. */
  #forbidden = false;
  #letGo: (() => void) | null = null;
  #closed = false;

  constructor(host: LoopHost, conditions: Conditions) {
    this.#host = host;
    this.#conditions = conditions;
  }

  /** Why it does not learn although there is something to learn; `null` where nothing stops it. */
  get waits(): "hidden" | "saving" | "another tab learns" | null {
    if (this.#conditions.hidden) return "hidden";
    if (this.#conditions.saving) return "saving";
    return this.#lock === "asked" ? "another tab learns" : null;
  }

  /** A click to learn from, with so many steps. */
  click(steps: number): void {
    this.#owed = steps;
    // A shopper who never rests is learned from all the same.
    if (this.#timer === undefined) this.#plan(SETTLE_MS);
  }

  /** There is nothing to learn any more. */
  clear(): void {
    this.#owed = 0;
  }

  /** The page is shown or hidden, the battery low or not. What is owed is made up for later. */
  mind(conditions: Conditions): void {
    this.#conditions = conditions;
    // Whoever looks at another tab wants that one to learn.
    if (conditions.hidden) this.#release();
    this.#plan(SETTLE_MS);
  }

  /** Learns no more. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#release();
  }

  #plan(after_ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#closed || this.#owed === 0 || this.waits !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      void this.#turn();
    }, after_ms);
  }

  async #turn(): Promise<void> {
    if (!this.#host.idle()) return this.#plan(SETTLE_MS);
    if (!this.#owns()) return;
    const { steps, goOn } = await this.#host.learn(this.#owed, SLICE_MS);
    this.#owed = goOn ? Math.max(0, this.#owed - steps) : 0;
    this.#plan(REST_MS);
  }

  /** Whether this tab may learn now; if not, the lock was asked for, and its coming goes on from here. */
  #owns(): boolean {
    const { lock } = this.#host;
    if (this.#lock === "held" || lock === null || this.#forbidden) return true;
    if (navigator.locks === undefined) return true;
    this.#lock = "asked";
    const giveUp = new AbortController();
    this.#letGo = () => giveUp.abort();
    const held = () =>
      new Promise<void>((letGo) => {
        this.#lock = "held";
        this.#letGo = letGo;
        this.#plan(0);
      });
    navigator.locks.request(lock, { signal: giveUp.signal }, held).catch((error: unknown) => {
      // Refused where it was given up, or where locks are forbidden.
      if (this.#lock !== "asked" || giveUp.signal.aborted) return;
      this.#lock = "none";
      this.#forbidden = error instanceof DOMException && error.name === "SecurityError";
      if (this.#forbidden) this.#plan(0);
    });
    return false;
  }

  #release(): void {
    this.#lock = "none";
    this.#letGo?.();
    this.#letGo = null;
  }
}
