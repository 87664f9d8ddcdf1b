/** Learning in the worker's queue: because the page asks for it, or by itself after a click. */

import { fail } from "./errors.js";
import { fineTune } from "./learn.js";
import type { Loaded } from "./loaded.js";
import type { Methods } from "./protocol.js";
import type { Queue } from "./queue.js";

type Report = Methods["fineTune"]["result"];

/** How the worker holds the reins. */
export interface LessonsHost {
  readonly queue: Queue;
  need(): Loaded;
  paused(): boolean;
  /** Whether the shopper agreed to learning here. */
  may(): boolean;
  /** Whether the page gave up this call. */
  aborted(id: number): boolean;
  /** Hands the page a copy of the state as it is now. */
  snapshot(): Promise<Uint8Array>;
  learned(): void;
  failed(error: unknown): void;
}

/** See the file's head. */
export class Lessons {
  readonly #host: LessonsHost;
  /** How long the newest one took, in milliseconds; `null` before the first. */
  took_ms: number | null = null;

  constructor(host: LessonsHost) {
    this.#host = host;
  }

  /** There was a click: learns from it by itself, where that is wanted. */
  consider(): void {
    const { config, facts, loop } = this.#host.need();
    if (config.learning !== "idle" || this.#host.paused() || !this.#host.may()) return;
    loop.click(facts.steps_per_click);
  }

  /** A slice of learning that no page asked for; what it changes is kept as after a page's own. */
  async byItself(steps: number, budget_ms: number): Promise<{ steps: number; goOn: boolean }> {
    try {
      return await this.#host.queue.own(async () => {
        const report = await this.run(null, { steps, budget_ms });
        await this.after(report);
        return { steps: report.steps, goOn: report.reason === undefined && report.steps > 0 };
      }, true);
    } catch (error) {
      this.#host.failed(error);
      return { steps: 0, goOn: false };
    }
  }

  /**
   * To be called in a job of the queue.
   *
   * @param id of the call; `null` for the worker's own learning
   */
  async run(id: number | null, limits: Methods["fineTune"]["args"][0]): Promise<Report> {
    const { devices, facts, log } = this.#host.need();
    log.demand();
    const begin = performance.now();
    const wanted = { ...limits, steps: limits.steps ?? facts.steps_per_click };
    const report = await devices.serve((engine) =>
      fineTune(engine, wanted, {
        stop: () => this.#stop(id),
        pause: async () => {
          await this.#host.queue.pause();
          if (devices.current !== engine) throw fail("DEVICE_LOST", "WebGPU was lost meanwhile");
        },
      }),
    );
    const took_ms = performance.now() - begin;
    if (report.steps > 0) this.took_ms = took_ms;
    return { ...report, took_ms, device: devices.kind };
  }

  #stop(id: number | null): string | null {
    const { config, loop } = this.#host.need();
    if (!config.learning) return "learning is off";
    if (!this.#host.may()) return "no consent";
    if (this.#host.paused()) return "paused";
    if (id === null) return loop.waits;
    return this.#host.aborted(id) ? "aborted" : null;
  }

  /** Other tabs, storage, private rounds and the page hear of what was learned. */
  async after({ steps, kept }: Report): Promise<void> {
    // What was withdrawn meanwhile is erased next.
    if (steps === 0 || !this.#host.may()) return;
    const { tabs, saver, sync } = this.#host.need();
    tabs.send(await this.#host.snapshot());
    saver.touch();
    sync.wake();
    if (kept) this.#host.learned();
  }
}
