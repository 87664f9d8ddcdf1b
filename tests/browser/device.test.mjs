/** WebGPU beside the CPU: who serves, and what happens when the device is lost. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { GPU, range, withShelf } from "./with-shelf.mjs";

const suite = browserSuite("chromium");

for (const [method, code] of [
  ["fineTune", "DEVICE_LOST"],
  ["recommend", "DEVICE_LOST"],
  ["recommend", "NOT_FINITE"],
  ["recommend", "PANIC"],
]) {
  suite.test(`${code} in ${method} on WebGPU: the CPU serves it`, async ({ page }) => {
    const got = await withShelf(
      page,
      `adapter=real&gpu=${method}:${code}`,
      async (t) => {
        const first = await t.shelf.inspect();
        await t.click(1);
        await t.click(2);
        const result =
          t.argument === "fineTune"
            ? await t.shelf.fineTune({ steps: 3, budget_ms: 10_000 })
            : await t.shelf.recommend({ slot: "home", count: 2 });
        const last = await t.shelf.inspect();
        return { first, result, last, ids: await t.ids(), changes: t.changes };
      },
      { ...GPU, argument: method },
    );
    assert.equal(got.first.device, "webgpu");
    assert.equal(got.first.adapter, "fake adapter");
    assert.equal(got.result.device, "cpu");
    if (method === "fineTune") assert.equal(got.result.steps, 3);
    else
      assert.deepEqual(
        got.result.items.map((item) => item.item_id),
        range(3, 5),
      );
    assert.equal(got.last.device, "cpu");
    assert.equal(got.last.adapter, null);
    assert.equal(got.last.worker_restarts, 0);
    assert.deepEqual(got.ids, ["item-1", "item-2"]);
    assert.ok(got.changes.includes("device"));
  });
}

suite.test("the state moves with the device, there and back and there", async ({ page }) => {
  const got = await withShelf(page, "adapter=real", async (t) => {
    await t.click(1);
    await t.shelf.fineTune({ steps: 1 });
    const there = await t.shelf.setDevice("webgpu");
    await t.click(2);
    await t.shelf.fineTune({ steps: 1 });
    const back = await t.shelf.setDevice("cpu");
    await t.click(3);
    const again = await t.shelf.setDevice("webgpu");
    const { steps, device } = await t.shelf.inspect();
    return { there, back, again, steps, device, ids: await t.ids(), changes: t.changes };
  });
  assert.deepEqual([got.there, got.back, got.again], ["webgpu", "cpu", "webgpu"]);
  assert.equal(got.steps, 2);
  assert.equal(got.device, "webgpu");
  assert.deepEqual(got.ids, range(1, 4));
  assert.equal(got.changes.filter((what) => what === "device").length, 3);
});

for (const switches of ["adapter=none", "adapter=real&gpu=wrong", "adapter=real&gpu=load:PANIC"]) {
  suite.test(`WebGPU that does not work (${switches}) is refused`, async ({ page }) => {
    const got = await withShelf(
      page,
      switches,
      async (t) => {
        await t.until(() => t.changes.includes("device"));
        await t.click(1);
        const asked = await t.attempt(t.shelf.setDevice("webgpu"));
        const { device, adapter } = await t.shelf.inspect();
        return { asked, device, adapter, ids: await t.ids() };
      },
      GPU,
    );
    assert.equal(got.asked.code, "DEVICE_UNAVAILABLE");
    assert.deepEqual([got.device, got.adapter], ["cpu", null]);
    assert.deepEqual(got.ids, ["item-1"], "the comparison's own click is taken back");
  });
}

suite.test("the browser's own adapter is seen from the worker", async ({ page }) => {
  const device = await withShelf(page, "", async (t) => (await t.shelf.inspect()).device, GPU);
  assert.equal(device, "webgpu");
});

suite.test("auto takes WebGPU only where it is faster, and remembers", async ({ page }) => {
  const outcome = async (switches) =>
    withShelf(
      page,
      switches,
      async (t) => {
        await t.click(1);
        await t.until(() => localStorage.getItem("onshelf:device") !== null);
        const { device } = await t.shelf.inspect();
        return { device, ids: await t.ids(), verdict: localStorage.getItem("onshelf:device") };
      },
      { options: { device: "auto", storage: "indexeddb" } },
    );
  const faster = await outcome("adapter=real&rank_ms=60&gpu_rank_ms=5");
  assert.equal(faster.device, "webgpu");
  assert.equal(JSON.parse(faster.verdict).device, "webgpu");
  await page.run(() => (localStorage.clear(), indexedDB.deleteDatabase("onshelf-fake"), null));
  const slower = await outcome("adapter=real&rank_ms=5&gpu_rank_ms=60");
  assert.equal(slower.device, "cpu");
  assert.equal(JSON.parse(slower.verdict).device, "cpu");
  assert.deepEqual(slower.ids, ["item-1"]);
});

suite.test("auto never takes a fallback adapter", async ({ page }) => {
  const got = await withShelf(
    page,
    "adapter=fallback&rank_ms=30",
    async (t) => {
      await t.click(1);
      await new Promise((done) => setTimeout(done, 3_000));
      return (await t.shelf.inspect()).device;
    },
    { options: { device: "auto" } },
  );
  assert.equal(got, "cpu");
});
