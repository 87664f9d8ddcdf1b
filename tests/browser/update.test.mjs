/** A new model version arrives while a shopper browses: around a fake engine, and for real. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { blob, folder, KEY, publish, withTensor } from "./made.mjs";
import { ITEMS, REAL } from "./real.mjs";
import { KEPT, withShelf } from "./with-shelf.mjs";

const suite = browserSuite("chromium");

suite.test("an update changes the version and keeps the session", async ({ page }) => {
  const got = await withShelf(page, "versions=2", async (t) => {
    await t.click(1);
    const before = await t.shelf.recommend({ slot: "home" });
    const first = await t.shelf.update();
    const again = await t.shelf.update();
    const after = await t.shelf.recommend({ slot: "home" });
    const { model_version } = await t.shelf.inspect();
    const versions = [before.model_version, after.model_version, model_version];
    return { first, again, versions, ids: await t.ids(), changes: t.changes };
  });
  assert.deepEqual(got, {
    first: { model_version: "fake-2", changed: true },
    again: { model_version: "fake-2", changed: false },
    versions: ["fake-1", "fake-2", "fake-2"],
    ids: ["item-1"],
    changes: ["updated"],
  });
});

suite.test("it arrives while learning: no click is lost, shelves go on", async ({ page }) => {
  const got = await withShelf(page, "versions=2&step_ms=60&load_ms=150", async (t) => {
    await t.click(1);
    const learning = t.shelf.fineTune({ steps: 8, budget_ms: 5_000 });
    const updating = t.shelf.update();
    const shelves = [];
    for (let n = 2; n < 6; n++) {
      await t.click(n);
      shelves.push((await t.shelf.recommend({ slot: "home" })).items[0].item_id);
    }
    const [report, update] = await Promise.all([learning, updating]);
    const inspection = await t.shelf.inspect();
    return { shelves, report, update, steps: inspection.steps, ids: await t.ids() };
  });
  assert.equal(got.update.model_version, "fake-2");
  assert.deepEqual([got.report.steps, got.steps], [8, 8]);
  assert.deepEqual(got.ids, ["item-1", "item-2", "item-3", "item-4", "item-5"]);
  assert.deepEqual(got.shelves, ["item-3", "item-4", "item-5", "item-6"]);
});

for (const code of ["NETWORK", "SIGNATURE_INVALID", "HASH_MISMATCH"]) {
  suite.test(`an update that fails (${code}) leaves the version in place`, async ({ page }) => {
    const got = await withShelf(page, `update_error=${code}`, async (t) => {
      await t.click(1);
      const update = await t.attempt(t.shelf.update());
      const { model_version } = await t.shelf.recommend({ slot: "home" });
      return { code: update.code, model_version, ids: await t.ids(), changes: t.changes };
    });
    assert.deepEqual(got, { code, model_version: "fake-1", ids: ["item-1"], changes: [] });
  });
}

suite.test("what happens after an update is stored, and erased", async ({ page }) => {
  const stored = await withShelf(
    page,
    "versions=2",
    async (t) => {
      await t.click(1);
      await t.shelf.update();
      await t.click(2);
      await t.until(async () => (await t.shelf.inspect()).stored_bytes > 0);
      return { restarts: (await t.shelf.inspect()).worker_restarts, ids: await t.ids() };
    },
    KEPT,
  );
  assert.deepEqual(stored, { restarts: 0, ids: ["item-1", "item-2"] });
  const erased = await withShelf(
    page,
    "",
    async (t) => {
      const before = await t.ids();
      await t.shelf.erase();
      return { before, after: await t.ids() };
    },
    KEPT,
  );
  assert.deepEqual(erased, { before: ["item-1", "item-2"], after: [] });
});

suite.test("two updates at once: one of them is made", async ({ page }) => {
  const got = await withShelf(page, "versions=2&load_ms=100", async (t) => {
    const both = await Promise.all([t.attempt(t.shelf.update()), t.attempt(t.shelf.update())]);
    await t.click(1);
    return { both, ids: await t.ids(), changes: t.changes };
  });
  assert.deepEqual(got.both.filter(({ value }) => value?.changed === true).length, 1);
  assert.deepEqual([got.ids, got.changes], [["item-1"], ["updated"]]);
});

suite.test("a crash after the update brings the new version back", async ({ page }) => {
  const got = await withShelf(page, "versions=2&panic_item=item-13&times=1", async (t) => {
    await t.click(1);
    await t.shelf.update();
    await t.click(13);
    const { model_version, worker_restarts } = await t.shelf.inspect();
    return { model_version, worker_restarts, ids: await t.ids() };
  });
  assert.deepEqual(got, {
    model_version: "fake-2",
    worker_restarts: 1,
    ids: ["item-1", "item-13"],
  });
});

const real = browserSuite("chromium", { ...REAL, mounts: { ...REAL.mounts, "/made/": folder } });

real.test("what was learned moves with the shared adapter, or is dropped", async ({ page }) => {
  const model = publish("moving");
  await page.run(
    async ({ model, key, items }) => {
      const options = { model, publicKeys: [key], device: "cpu", storage: "none" };
      globalThis.shelf = await globalThis.onshelf.Onshelf.load(options);
      for (const item_id of items) {
        await globalThis.shelf.track({ event: "view_item", item_id });
        await globalThis.shelf.fineTune({ steps: 2 });
      }
    },
    { model, key: KEY, items: ITEMS.slice(0, 3) },
  );
  const look = () =>
    page.run(async () => {
      const update = await globalThis.shelf.update();
      const { model_version, steps, session } = await globalThis.shelf.inspect();
      const { items } = await globalThis.shelf.recommend({ slot: "home", count: 5 });
      const shown = items.map((item) => item.item_id);
      const adapter = JSON.parse(await (await globalThis.shelf.exportPersonal()).text()).adapter;
      return { update, model_version, steps, session: session.length, shown, up: adapter.up };
    });
  const first = await look();
  assert.equal(first.update.changed, false);
  assert.ok(first.steps > 0);

  // A sync moves the adapter, and nothing else.
  const weights = withTensor(blob("weights"), "adapter.up", (x) => x + 0.125);
  publish("moving", { weights });
  const second = await look();
  assert.equal(second.update.changed, true);
  assert.notEqual(second.model_version, first.model_version);
  assert.deepEqual([second.steps, second.session], [first.steps, 3]);
  second.up.forEach((x, at) => assert.ok(Math.abs(x - first.up[at] - 0.125) < 1e-6));

  // A new training: what was learned means nothing there.
  publish("moving", { weights, change: (m) => ({ ...m, frozen: "0".repeat(64) }) });
  const third = await look();
  assert.equal(third.update.changed, true);
  assert.deepEqual([third.steps, third.session, third.shown.length], [0, 3, 5]);

  // And one that cannot be read leaves the third in place.
  publish("moving", { weights: Buffer.from("broken") });
  const failed = await page.run(() =>
    globalThis.shelf.update().then(
      () => "none",
      (error) => error.code,
    ),
  );
  assert.notEqual(failed, "none");
  const after = await page.run(() => globalThis.shelf.inspect());
  assert.deepEqual([after.model_version, after.session.length], [third.model_version, 3]);
  await page.run(() => globalThis.shelf.dispose());
});
