/** Memory stays where it is over ten thousand rankings and learning steps. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { engineWorker, ITEMS, loadReal, REAL } from "./real.mjs";

const suite = browserSuite("chromium", REAL);
const LENGTH = 22;

suite.test(
  "10,000 rankings and learning steps need no more memory than 2,000",
  async ({ page }) => {
    const call = await engineWorker(page);
    await loadReal(call, "cpu");
    const run = async (clicks) => {
      const sessions = Math.ceil(clicks / (LENGTH - 2));
      const { learns } = await call("clickByClick", {
        items: ITEMS,
        sessions,
        length: LENGTH,
        steps: 1,
      });
      return learns.length;
    };
    await run(2_000);
    const { bytes: before } = await call("memory");
    assert.ok((await run(10_000)) >= 10_000);
    const { bytes: after } = await call("memory");
    // Four pages for what the allocator scatters: 26 bytes a step, less than the smallest thing a step makes.
    assert.ok(after - before <= 4 * 65_536, `${before} bytes before, ${after} after`);
  },
);
