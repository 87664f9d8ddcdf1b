/** Brings back what was known of the shopper before this worker: from the page, or from storage. */

import { holdsDatabase } from "./allowed.js";
import type { Engine } from "./engine.js";
import { codeOf } from "./errors.js";
import { replay, type TimedEvent } from "./journal.js";
import type { LoadConfig } from "./protocol.js";
import { isStorageFailure, type Saver } from "./saver.js";

/**
 * @param pristine the state of a shopper about whom nothing is known, taken where nothing can be read
 * @throws what kills the engine; storage's failures are the saver's to tell
 */
export async function restore(
  engine: Engine,
  config: LoadConfig,
  saver: Saver,
  pristine: Uint8Array,
): Promise<void> {
  const denied = config.agreed.consent === "denied";
  try {
    if (config.snapshot !== null || config.events.length > 0) {
      replay(engine, config.snapshot, config.events);
      saver.touch();
    } else if (denied && config.agreed.settled) {
      if (config.storage === "indexeddb" && (await holdsDatabase())) await engine.erase(true);
    } else if (!denied && (await isBack(engine, config))) {
      saver.bytes = engine.exportState().byteLength;
    }
  } catch (error) {
    forgive(error, saver);
    engine.importState(pristine);
  }
  // Where the shopper has not decided yet it is read later; see takeUp.
  if (!denied) config.restore = false;
}

/**
 * The shopper agreed, on a page that began without: what earlier visits left comes back, and what this page
 * saw meanwhile goes on top.
 *
 * @throws what kills the engine
 */
export async function takeUp(
  engine: Engine,
  config: LoadConfig,
  saver: Saver,
  early: TimedEvent[],
): Promise<void> {
  const before = engine.exportState();
  // Once: what is in storage later on was written by this page.
  const wanted = config.restore;
  config.restore = false;
  try {
    if (wanted && (await isBack(engine, { ...config, restore: true }))) {
      replay(engine, null, early);
    }
  } catch (error) {
    forgive(error, saver);
    engine.importState(before);
  }
  saver.touch();
}

/** Whether there was something in storage; it is in the engine then. */
async function isBack(engine: Engine, { restore, storage }: LoadConfig): Promise<boolean> {
  return restore && storage === "indexeddb" && engine.restore();
}

/** A shelf without the past is better than none; but never write over a newer release's state. */
function forgive(error: unknown, saver: Saver): void {
  if (isStorageFailure(error)) saver.failed();
  else if (codeOf(error) === "STATE_VERSION") saver.failed(true);
  else if (!String(codeOf(error)).startsWith("STATE_")) throw error;
}
