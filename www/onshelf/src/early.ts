/** Events from before onshelf was there: a page's own array, whose `push` keeps working. */

import { OnshelfError } from "./errors.js";
import type { ShelfEvent } from "./types.js";

/**
 * Tracks what an array holds, in its order, and from then on what is pushed into it.
 *
 * @returns gives the array back: what is pushed afterwards waits in it for another Onshelf
 */
export function takeEarly(
  queue: ShelfEvent[],
  track: (event: ShelfEvent) => Promise<unknown>,
): () => void {
  const send = (event: ShelfEvent) =>
    void track(event).catch((error: unknown) => {
      // Nobody holds this promise; a wrong event is the page's fault, and must not be hidden.
      if (!(error instanceof OnshelfError && error.code === "DISPOSED")) reportError(error);
    });
  const push = (...events: ShelfEvent[]) => {
    events.forEach(send);
    return queue.length;
  };
  queue.splice(0).forEach(send);
  queue.push = push;
  return () => {
    // Another Onshelf of this page may have taken the array meanwhile.
    if (queue.push === push) Reflect.deleteProperty(queue, "push");
  };
}
