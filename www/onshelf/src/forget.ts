/** Forgets one item, and learns again from what is left. */

import type { Loaded } from "./loaded.js";
import { isStorageFailure } from "./saver.js";
import type { ForgetReport } from "./types.js";

/** How the worker holds the reins. */
export interface ForgetReins {
  /** Whether what is left may be learned from now. */
  mayLearn(): boolean;
  /** Lets messages, and readers that wait, come in between two lessons. */
  pause(): Promise<void>;
  /** Hands the page a copy of the state as it is now. */
  snapshot(): Promise<unknown>;
}

/** Drops the item and what was learned, in the engine that serves; the other one forgets everything. */
export async function drop({ devices, loop, pristine }: Loaded, item_id: string) {
  const dropped = await devices.serve((engine) => engine.forget(item_id));
  if (dropped.removed > 0) {
    loop.clear();
    devices.reset(pristine);
  }
  return dropped;
}

/**
 * To be called in a job of the queue.
 *
 * The copy goes to the page before the answer: a crash in between would bring back what is forgotten, while forgetting
 * it twice does no harm.
 *
 * @throws `STORAGE_UNAVAILABLE`, `STORAGE_FULL` where memory forgot it, but storage refused
 */
export async function forget(
  loaded: Loaded,
  item_id: string,
  reins: ForgetReins,
): Promise<ForgetReport> {
  const { config, devices, facts, sync } = loaded;
  const report = { ...(await drop(loaded, item_id)), relearned: 0 };
  if (report.removed === 0) return report;
  // A sealed report tells of what was learned, though nobody here can read it.
  await sync.withdraw().catch(() => undefined);
  await reins.snapshot();
  const learns = config.learning !== false;
  for (let clicks = 2; learns && clicks <= report.left && reins.mayLearn(); clicks++) {
    const steps = facts.steps_per_click;
    await devices.serve((engine) => engine.relearn(clicks, steps));
    report.relearned = clicks;
    await reins.pause();
  }
  await reins.snapshot();
  await write(loaded);
  return report;
}

/** At once: what is stored still holds the item. */
async function write({ devices, saver }: Loaded): Promise<void> {
  if (!saver.writes) return;
  saver.cancel();
  try {
    saver.bytes = (await devices.serve((engine) => engine.save())).bytes;
  } catch (error) {
    if (isStorageFailure(error)) saver.failed();
    throw error;
  }
}
