/** Brings back what was known of the shopper before this worker: from the page, or from storage. */

import type { Engine } from "./engine.js";
import { codeOf } from "./errors.js";
import { replay } from "./journal.js";
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
  try {
    if (config.snapshot !== null || config.events.length > 0) {
      replay(engine, config.snapshot, config.events);
      saver.touch();
    } else if (config.restore && config.storage === "indexeddb" && (await engine.restore())) {
      saver.bytes = engine.exportState().byteLength;
    }
  } catch (error) {
    // A shelf without the past is better than none; but never write over a newer release's state.
    if (isStorageFailure(error)) saver.failed();
    else if (codeOf(error) === "STATE_VERSION") saver.failed(true);
    else if (!String(codeOf(error)).startsWith("STATE_")) throw error;
    engine.importState(pristine);
  }
}
