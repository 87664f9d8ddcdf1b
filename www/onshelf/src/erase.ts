/** Forgets the shopper: in memory always, in storage where there is any. */

import { holdsDatabase } from "./allowed.js";
import type { Loaded } from "./loaded.js";
import { isStorageFailure } from "./saver.js";

/**
 * To be called in a job of the queue.
 *
 * @param snapshot hands the page a copy of the state as it is now
 * @throws `STORAGE_UNAVAILABLE` where memory was emptied, but storage refused
 */
export async function erase(
  { devices, saver, loop, sync, pristine }: Loaded,
  snapshot: () => Promise<unknown>,
): Promise<void> {
  loop.clear();
  const wasStored = saver.status === "indexeddb" && (await holdsDatabase());
  saver.cancel();
  let failure: unknown = null;
  try {
    await devices.serve((engine) => engine.erase(wasStored));
    saver.erased();
  } catch (error) {
    if (!isStorageFailure(error)) throw error;
    failure = error;
  }
  // A sealed report tells of what was learned, though nobody here can read it.
  await sync.withdraw().catch(() => undefined);
  // Memory is emptied in any case, by the state that knows nobody.
  if (failure !== null) await devices.serve((engine) => engine.importState(pristine));
  devices.reset(pristine);
  if (failure !== null) saver.failed();
  if (failure !== null && wasStored) {
    await snapshot();
    throw failure;
  }
}
