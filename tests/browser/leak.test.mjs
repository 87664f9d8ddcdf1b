/** Memory stays where it is over ten thousand rankings and learning steps. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { engineWorker, ITEMS, loadReal, REAL } from "./real.mjs";

const suite = browserSuite("chromium", { ...REAL, timeout: 3_600_000 });
const LENGTH = 22;

/** So many clicks, each ranked and learned from; gives how many were. */
async function clicks(call, count) {
  const sessions = Math.ceil(count / (LENGTH - 2));
  const about = { items: ITEMS, sessions, length: LENGTH, steps: 1 };
  return (await call("clickByClick", about)).learns.length;
}

suite.test(
  "10,000 rankings and learning steps need no more memory than 2,000",
  async ({ page }) => {
    const call = await engineWorker(page);
    await loadReal(call, "cpu");
    await clicks(call, 2_000);
    const { bytes: before } = await call("memory");
    assert.ok((await clicks(call, 10_000)) >= 10_000);
    const { bytes: after } = await call("memory");
    // Four pages for what the allocator scatters: 26 bytes a step, less than the smallest thing a step makes.
    assert.ok(after - before <= 4 * 65_536, `${before} bytes before, ${after} after`);
  },
);

// A click costs tens of milliseconds on a software adapter: ONSHELF_LEAK_CLICKS=10000 takes a quarter of an hour.
const GPU_CLICKS = Number(process.env.ONSHELF_LEAK_CLICKS ?? 300);

suite.test(
  `${GPU_CLICKS} rankings and learning steps on WebGPU make no buffer that stays`,
  async ({ page }) => {
    const call = await engineWorker(page);
    await loadReal(call, "webgpu", { watch: true });
    await clicks(call, 100);
    const before = await call("memory");
    assert.ok(before.gpuBuffers > 0, "buffers are counted");
    assert.ok((await clicks(call, GPU_CLICKS)) >= GPU_CLICKS);
    const after = await call("memory");
    assert.ok(
      after.gpuBuffers <= before.gpuBuffers,
      `${before.gpuBuffers} buffers, then ${after.gpuBuffers}`,
    );
    assert.ok(
      after.gpuBytes <= before.gpuBytes,
      `${before.gpuBytes} bytes on the GPU, then ${after.gpuBytes}`,
    );
    assert.ok(
      after.bytes - before.bytes <= 4 * 65_536,
      `${before.bytes} bytes, then ${after.bytes}`,
    );
  },
);
