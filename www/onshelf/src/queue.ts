/**
 * The worker's one command queue. The engine borrows itself across an await, so a second call
 * meanwhile would throw: every use of it is a job here, one at a time, first come first served.
 */

/** One thing to do. */
export interface Job {
  /** The call it answers; `null` for the worker's own work. */
  id: number | null;
  /** Only reads, so it may run inside another job that offers a pause. */
  reads: boolean;
  /** Must not throw. */
  run: () => Promise<void>;
}

/**
 * Lets the messages that wait come in. A timeout of 0 would cost 4 ms when nested; a message to
 * oneself does not.
 */
export function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** A burst of commands may hold up pings and aborts for this long, in milliseconds. */
const BURST_MS = 16;

/** See the file's head. */
export class Queue {
  #jobs: Job[] = [];
  #background: Job[] = [];
  #running = false;
  #halted = false;
  readonly #onIdle: () => void;

  /** @param onIdle called whenever the last waiting command is done */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  /** Whether nothing runs and nothing waits. */
  get idle(): boolean {
    return !this.#running && this.#jobs.length === 0;
  }

  /** Adds a job at the end. */
  push(job: Job): void {
    this.#jobs.push(job);
    void this.#drain();
  }

  /** Runs the worker's own work in turn and gives its result. */
  async own<T>(work: () => T | Promise<T>, background = false): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const run = async () => {
        try {
          resolve(await work());
        } catch (error) {
          reject(error);
        }
      };
      (background ? this.#background : this.#jobs).push({ id: null, reads: false, run });
      void this.#drain();
    });
  }

  /** Takes a waiting call out; `false` if it runs already or is done. */
  drop(id: number): boolean {
    const at = this.#jobs.findIndex((job) => job.id === id);
    if (at < 0) return false;
    this.#jobs.splice(at, 1);
    return true;
  }

  /** Drops all waiting calls; the worker's own jobs stay. */
  dropCalls(): void {
    this.#jobs = this.#jobs.filter((job) => job.id === null);
  }

  /** Runs nothing any more. */
  halt(): void {
    this.#halted = true;
    this.#jobs = [];
    this.#background = [];
  }

  /** For a job between two of its steps: lets messages in, and readers that are next in line. */
  async pause(): Promise<void> {
    await macrotask();
    while (this.#jobs[0]?.reads === true && !this.#halted) {
      await this.#jobs.shift()?.run();
      await macrotask();
    }
  }

  async #drain(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    let since = performance.now();
    while (!this.#halted) {
      const job = this.#jobs.shift() ?? this.#background.shift();
      if (job === undefined) break;
      await job.run();
      if (this.#jobs.length === 0 && !this.#halted) this.#onIdle();
      if (performance.now() - since > BURST_MS) {
        await macrotask();
        since = performance.now();
      }
    }
    this.#running = false;
  }
}
