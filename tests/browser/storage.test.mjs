/** What stays between visits, what does not, and what happens where nothing can be kept. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { KEPT, withShelf } from "./with-shelf.mjs";

const suite = browserSuite("chromium");

for (const storage of ["full", "unavailable"]) {
  suite.test(`storage ${storage}: goes on in memory and says so`, async ({ page }) => {
    const got = await withShelf(
      page,
      `storage=${storage}`,
      async (t) => {
        const clicked = await t.click(1);
        const report = await t.shelf.fineTune({ steps: 1 });
        await t.until(async () => (await t.shelf.inspect()).storage === "unavailable");
        const filled = await t.shelf.recommend({ slot: "home" });
        const erased = await t.attempt(t.shelf.erase());
        return { clicked, report, filled: filled.items.length, erased, ids: await t.ids() };
      },
      KEPT,
    );
    assert.equal(got.clicked.accepted, true);
    assert.equal(got.report.kept, true);
    assert.equal(got.filled, 10);
    assert.equal(got.erased.code, undefined);
    assert.deepEqual(got.ids, []);
  });
}

suite.test("what was learned is there on the next page, and gone after erase", async ({ page }) => {
  const first = await withShelf(
    page,
    "",
    async (t) => {
      await t.click(1);
      await t.shelf.fineTune({ steps: 2, budget_ms: 10_000 });
      await t.shelf.pause();
      return null;
    },
    KEPT,
  );
  assert.equal(first, null);
  await page.open("/blank.html");
  const second = await withShelf(
    page,
    "",
    async (t) => {
      const found = await t.shelf.inspect();
      await t.shelf.erase();
      return { found, left: await t.shelf.inspect(), changes: t.changes };
    },
    KEPT,
  );
  assert.deepEqual(second.found.session, [{ item_id: "item-1", event: "view_item" }]);
  assert.equal(second.found.steps, 2);
  assert.equal(second.found.paused, true, "the shopper's choice holds");
  assert.ok(second.found.stored_bytes > 0);
  assert.deepEqual([second.left.session, second.left.steps, second.left.stored_bytes], [[], 0, 0]);
  assert.deepEqual(second.changes, ["erased"]);
  await page.open("/blank.html");
  const third = await withShelf(page, "", async (t) => t.shelf.inspect(), KEPT);
  assert.deepEqual([third.session, third.steps, third.paused], [[], 0, true]);
});

suite.test("a page that is left writes at once", async ({ page }) => {
  await page.run(async () => {
    const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu" };
    globalThis.shelf = await globalThis.onshelf.Onshelf.load(options);
    await globalThis.shelf.track({ event: "view_item", item_id: "item-1" });
    dispatchEvent(new Event("pagehide"));
    // Well before the usual 300 ms.
    await new Promise((done) => setTimeout(done, 100));
    if ((await globalThis.shelf.inspect()).stored_bytes === 0) throw new Error("not written");
  });
});

suite.test("a state of a newer release is not written over", async ({ page }) => {
  const got = await withShelf(
    page,
    "restore=STATE_VERSION",
    async (t) => {
      await t.click(1);
      await new Promise((done) => setTimeout(done, 500));
      return t.shelf.inspect();
    },
    KEPT,
  );
  assert.deepEqual([got.storage, got.stored_bytes, got.session.length], ["unavailable", 0, 1]);
});

suite.test("erase reaches the shop's other tabs", async ({ page }) => {
  const start = async () => {
    const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu" };
    globalThis.shelf = await globalThis.onshelf.Onshelf.load(options);
    globalThis.changes = [];
    globalThis.shelf.onChange((what) => what === "tracked" || globalThis.changes.push(what));
    await globalThis.shelf.track({ event: "view_item", item_id: "item-1" });
  };
  const other = await page.sibling();
  await page.run(start);
  await other.run(start);
  await page.run(async () => {
    await globalThis.shelf.pause();
    await globalThis.shelf.erase();
  });
  await other.raw.waitForFunction(() => globalThis.changes.includes("erased"));
  const { session, paused } = await other.run(() => globalThis.shelf.inspect());
  assert.deepEqual([session, paused], [[], true]);
  await other.close();
});
