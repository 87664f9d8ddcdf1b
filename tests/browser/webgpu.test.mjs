/** The kernels of the WebGPU module: the same shelves as the CPU's, however they are asked for. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { engineWorker, ITEMS, loadReal, REAL } from "./real.mjs";

const suite = browserSuite("chromium", REAL);
const NOW = 1_700_000_000_000;

const REQUESTS = [
  { slot: "x", count: 20 },
  { slot: "x", count: 1 },
  { slot: "x", count: 20, kind: "popular" },
  { slot: "x", count: 20, kind: "similar", item_id: ITEMS[0] },
  { slot: "x", count: 12, max_per_category: 1 },
  // So strict that the best of all items hold too few: all scores have to be looked at.
  { slot: "x", count: 20, candidates: ITEMS.slice(-30) },
  { slot: "x", count: 20, filter: { exclude: ITEMS.slice(0, 200) } },
  // All there are.
  { slot: "x", count: 1000 },
];

/** Shelves before any click, after three, and after learning from them. */
async function shelves(call) {
  const all = [];
  const ask = async () => {
    for (const request of REQUESTS) {
      const shelf = await call("call", { method: "recommend", args: [request, NOW] });
      assert.ok(shelf.items, JSON.stringify([request, shelf]));
      all.push(shelf.items.map((i) => [i.item_id, i.score]));
    }
  };
  await ask();
  for (const [at, item_id] of ITEMS.slice(0, 3).entries()) {
    const event = { event: "view_item", item_id };
    await call("call", { method: "track", args: [event, NOW + at * 60_000] });
  }
  await ask();
  return { all, ask };
}

suite.test("every kind of shelf is the CPU's", async ({ page, newPage }) => {
  const cpu = await engineWorker(page);
  await loadReal(cpu, "cpu");
  const gpu = await engineWorker(await newPage());
  await loadReal(gpu, "webgpu");
  const [here, there] = [await shelves(cpu), await shelves(gpu)];
  // A shopper who leans: what the CPU learned goes over, so that both have the same leanings.
  const learned = { clicks: Array(9).fill(ITEMS.slice(0, 3)).flat(), steps: 4 };
  await cpu("learn", { ...learned, state: await cpu("pristine") });
  const { guard } = await cpu("call", { method: "inspect", args: [] });
  const state = await cpu("state");
  assert.equal(await gpu("importBytes", state), undefined);
  await here.ask();
  await there.ask();
  assert.ok(guard.compared > 0 || guard.rolled_back > 0);
  assert.equal(here.all.length, 3 * REQUESTS.length);
  for (const [at, shelf] of here.all.entries()) {
    const other = there.all[at];
    const what = JSON.stringify(REQUESTS[at % REQUESTS.length]);
    assert.equal(other.length, shelf.length, what);
    for (const [rank, [id, score]] of shelf.entries()) {
      assert.ok(
        Math.abs(other[rank][1] - score) <= 1e-4,
        `${what}, rank ${rank + 1}: ${score} and ${other[rank][1]}`,
      );
      if (other[rank][0] === id) continue;
      const tie = shelf.some(([i, s]) => i === other[rank][0] && Math.abs(s - score) <= 1e-4);
      assert.ok(
        tie || rank === shelf.length - 1,
        `${what}, rank ${rank + 1}: ${id}, ${other[rank][0]}`,
      );
    }
  }
});
