/** The client and the worker in Firefox, around the fake engine: what differs between browsers. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";

const suite = browserSuite("firefox");

suite.test("loads, tracks, ranks, learns, survives a crash and disposes", async ({ page }) => {
  const got = await page.run(async () => {
    const model = "/fake.json?panic_item=item-7&times=1";
    const options = { model, publicKeys: ["key"] };
    const shelf = await globalThis.onshelf.Onshelf.load(options);
    const click = (n) => shelf.track({ event: "view_item", item_id: `item-${n}` });
    await click(1);
    const tuned = await shelf.fineTune();
    await Promise.all([7, 8].map(click));
    const filled = await shelf.recommend({ slot: "home", count: 2 });
    const inspection = await shelf.inspect();
    await shelf.dispose();
    const late = await shelf.inspect().catch((error) => error.code);
    return { tuned, filled, inspection, late };
  });
  assert.equal(got.tuned.kept, true);
  assert.deepEqual(
    got.filled.items.map((item) => item.item_id),
    ["item-9", "item-10"],
  );
  assert.deepEqual(
    got.inspection.session.map((event) => event.item_id),
    ["item-1", "item-7", "item-8"],
  );
  assert.equal(got.inspection.worker_restarts, 1);
  assert.equal(got.inspection.steps, 4);
  assert.equal(got.late, "DISPOSED");
});

suite.test("what was learned is there on the next page", async ({ page }) => {
  await page.run(async () => {
    const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu" };
    const shelf = await globalThis.onshelf.Onshelf.load(options);
    await shelf.track({ event: "view_item", item_id: "item-1" });
    await shelf.dispose();
  });
  await page.open("/blank.html");
  const session = await page.run(async () => {
    const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu" };
    const shelf = await globalThis.onshelf.Onshelf.load(options);
    const { session } = await shelf.inspect();
    await shelf.dispose();
    return session;
  });
  assert.deepEqual(session, [{ item_id: "item-1", event: "view_item" }]);
});

suite.test("an explicit wish for WebGPU without an adapter stays on the CPU", async ({ page }) => {
  const got = await page.run(async () => {
    const model = "/fake.json?adapter=none";
    const options = { model, publicKeys: ["key"], device: "webgpu", storage: "none" };
    const shelf = await globalThis.onshelf.Onshelf.load(options);
    const asked = await shelf.setDevice("webgpu").catch((error) => error.code);
    const { device } = await shelf.inspect();
    await shelf.dispose();
    return { asked, device };
  });
  assert.deepEqual(got, { asked: "DEVICE_UNAVAILABLE", device: "cpu" });
});
