/**
 * Notices a worker that answers nothing any more. Only counts its own ticks: a laptop that slept
 * for an hour ticks once on waking, and its worker must not be taken for dead.
 */

const TICK_MS = 5_000;

/** So many ticks without a sign of life: 30 seconds. */
const MISSES = 6;

/** See the file's head. */
export class Pulse {
  #timer: ReturnType<typeof setInterval> | undefined;
  #waiting = false;
  #missed = 0;
  readonly #ping: () => void;
  readonly #onDead: () => void;

  /** @param ping asks for a sign of life; `onDead` is called at most once a start */
  constructor(ping: () => void, onDead: () => void) {
    this.#ping = ping;
    this.#onDead = onDead;
  }

  /** Something is expected of the worker from now on. */
  start(): void {
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  /** Nothing is expected. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.beat();
  }

  /** The worker said something. */
  beat(): void {
    this.#waiting = false;
    this.#missed = 0;
  }

  #tick(): void {
    if (!this.#waiting) {
      this.#waiting = true;
      this.#ping();
    } else if (++this.#missed >= MISSES) {
      this.stop();
      this.#onDead();
    }
  }
}
