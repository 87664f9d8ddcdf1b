/** When what a page shows of a shelf is to be ranked anew; the element and the hooks agree on it. */

import type { Change } from "./types.js";

/** After these a shelf may look different. */
export const STIRS: ReadonlySet<Change> = new Set<Change>([
  "tracked",
  "learned",
  "session",
  "updated",
  "erased",
  "forgotten",
]);

/** A burst of changes is one ranking, so long after the first, in milliseconds. */
export const SETTLE_MS = 100;
