/** What private rounds need of this worker. */

import type { Engine } from "./engine.js";
import type { Loaded } from "./loaded.js";
import type { LoadConfig } from "./protocol.js";
import type { Queue } from "./queue.js";
import type { SyncHost } from "./sync.js";

/** The parts of the worker that are touched. */
export interface Worker {
  readonly queue: Queue;
  need(): Loaded;
  /** Whether the shopper agreed to it. */
  may(): boolean;
  paused(): boolean;
  snapshot(): Promise<Uint8Array>;
  changed(): void;
  failed(error: unknown): void;
}

/** See the file's head. */
export function syncHost(config: LoadConfig, worker: Worker): SyncHost {
  const { queue, need } = worker;
  const serve = <T>(work: (engine: Engine) => T | Promise<T>) => need().devices.serve(work);
  return {
    config,
    forbids: () => {
      if (!worker.may()) return "no consent";
      if (config.storage !== "indexeddb") return "no storage";
      if (config.learning === false) return "learning is off";
      return worker.paused() ? "paused" : null;
    },
    model: () => need().facts.model_digest,
    contribution: (round) => queue.own(() => serve((engine) => engine.contribution(round))),
    contributed: () =>
      queue.own(async () => {
        await serve((engine) => engine.contributed());
        need().tabs.send(await worker.snapshot());
        need().saver.touch();
      }),
    changed: worker.changed,
    failed: worker.failed,
  };
}
