/** Assertions. They throw `AssertionError`, which every test runner shows. */

import { AssertionError } from "node:assert";
import type { FakeOnshelf } from "./fake.js";

/**
 * Fails if the fake would have uploaded anything.
 *
 * @throws AssertionError
 */
export function assertNothingUploaded(shelf: Pick<FakeOnshelf, "uploads">): void {
  const { length } = shelf.uploads;
  if (length === 0) return;
  throw new AssertionError({
    message: `${length} report${length === 1 ? "" : "s"} would have been uploaded`,
    actual: [...shelf.uploads],
    expected: [],
    operator: "assertNothingUploaded",
  });
}
