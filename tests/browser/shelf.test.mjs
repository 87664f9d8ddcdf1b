/** The whole package with the real modules, as a page uses it. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { ITEMS, KEYS, MANIFEST, REAL } from "./real.mjs";

const suites = {
  chromium: browserSuite("chromium", REAL),
  firefox: browserSuite("firefox", REAL),
};
const suite = suites.chromium;
const given = { keys: KEYS, model: MANIFEST, items: ITEMS.slice(0, 6) };

for (const [name, browser] of Object.entries(suites)) {
  browser.test("clicks change the shelf, and it is remembered after a reload", async ({ page }) => {
    const first = await page.run(async ({ keys, model, items }) => {
      const options = { model, publicKeys: keys, device: "cpu", storage: "indexeddb" };
      const shelf = await onshelf.Onshelf.load(options);
      const home = async () =>
        (await shelf.recommend({ slot: "home" })).items.map((i) => i.item_id);
      const cold = await home();
      for (const item_id of items.slice(0, 3)) {
        await shelf.track({ event: "view_item", item_id });
        await shelf.fineTune();
        // A double click is told from a second look by a second.
      }
      const warm = await home();
      const { steps, learned, stored_bytes } = await shelf.inspect();
      await shelf.dispose();
      return { cold, warm, steps, learned, stored_bytes };
    }, given);
    assert.equal(first.cold.length, 12);
    assert.notDeepEqual(first.warm, first.cold);
    assert.ok(first.steps > 0);
    assert.ok(first.learned.length > 0);
    await page.open("/blank.html");
    const second = await page.run(async ({ keys, model }) => {
      const options = { model, publicKeys: keys, device: "cpu", storage: "indexeddb" };
      const shelf = await onshelf.Onshelf.load(options);
      const warm = (await shelf.recommend({ slot: "home" })).items.map((i) => i.item_id);
      const { steps, session } = await shelf.inspect();
      await shelf.erase();
      const erased = await shelf.inspect();
      const cold = (await shelf.recommend({ slot: "home" })).items.map((i) => i.item_id);
      await shelf.dispose();
      return { warm, steps, session, erased, cold };
    }, given);
    assert.deepEqual(second.warm, first.warm, name);
    assert.equal(second.steps, first.steps);
    assert.equal(second.session.length, 3);
    assert.deepEqual([second.erased.steps, second.erased.session.length], [0, 0]);
    assert.deepEqual(second.cold, first.cold);
  });
}

suite.test("WebGPU on request: takes over, ranks as the CPU does, and learns", async ({ page }) => {
  const got = await page.run(async ({ keys, model, items }) => {
    const options = { model, publicKeys: keys, device: "webgpu", storage: "none" };
    const shelf = await onshelf.Onshelf.load(options);
    const { device, adapter } = await shelf.inspect();
    for (const item_id of items.slice(0, 3)) await shelf.track({ event: "view_item", item_id });
    const rank = async () => (await shelf.recommend({ slot: "home" })).items;
    const gpu = await rank();
    const tuned = await shelf.fineTune({ steps: 2, budget_ms: 60_000 });
    const back = await shelf.setDevice("cpu");
    const { steps } = await shelf.inspect();
    await shelf.dispose();
    return { device, adapter, gpu, tuned, back, steps };
  }, given);
  assert.equal(got.device, "webgpu");
  assert.ok(got.adapter.length > 0);
  assert.equal(got.tuned.device, "webgpu");
  assert.equal(got.tuned.steps, 2);
  assert.ok(got.tuned.loss_after < got.tuned.loss_before);
  assert.equal(got.back, "cpu");
  assert.equal(got.steps, 2, "what the GPU learned is there");
});

suite.test(
  "the graphics process dies while learning: the CPU goes on, no click is lost",
  async ({ page }) => {
    await page.run(async ({ keys, model, items }) => {
      const options = { model, publicKeys: keys, device: "webgpu", storage: "none" };
      globalThis.shelf = await onshelf.Onshelf.load(options);
      for (const item_id of items.slice(0, 3)) await shelf.track({ event: "view_item", item_id });
    }, given);
    const before = await page.run(() => shelf.inspect());
    assert.equal(before.device, "webgpu");
    const learning = page.run(() => shelf.fineTune({ steps: 20, budget_ms: 60_000 }));
    const session = await page.raw.context().browser().newBrowserCDPSession();
    await session.send("Browser.crashGpuProcess").catch(() => undefined);
    page.expectProblem(/GPU|WebGPU|device|context/i);
    const tuned = await learning;
    const after = await page.run(() => shelf.inspect());
    assert.equal(tuned.device, "cpu");
    assert.equal(after.device, "cpu");
    assert.deepEqual(
      after.session.map((c) => c.item_id),
      given.items.slice(0, 3),
    );
    await page.run(() => shelf.dispose());
  },
);

suite.test("a full disk: learning goes on and says that nothing is kept", async ({ page, url }) => {
  const session = await page.raw.context().newCDPSession(page.raw);
  await session.send("Storage.overrideQuotaForOrigin", { origin: url, quotaSize: 1 });
  const got = await page.run(async ({ keys, model, items }) => {
    const options = { model, publicKeys: keys, device: "cpu", storage: "indexeddb" };
    const shelf = await onshelf.Onshelf.load(options);
    for (const item_id of items.slice(0, 3)) {
      await shelf.track({ event: "view_item", item_id });
      await shelf.fineTune();
    }
    await new Promise((done) => setTimeout(done, 1500));
    const told = await shelf.inspect();
    await shelf.dispose();
    return told;
  }, given);
  assert.equal(got.session.length, 3);
  assert.ok(got.steps > 0);
  assert.equal(got.storage, "unavailable");
});
