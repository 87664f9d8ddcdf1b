/**
 * Learning by itself, around a fake engine: after clicks, not in a hidden tab, not where data are to be
 * saved, not while paused, and in one tab at a time.
 */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { withShelf } from "./with-shelf.mjs";

const suite = browserSuite("chromium");
const BY_ITSELF = { options: { learning: "idle" } };

suite.test("a click is learned from without being asked", async ({ page }) => {
  const got = await withShelf(
    page,
    "",
    async (t) => {
      const unknown = await t.shelf.track({ event: "view_item", item_id: "no-such" });
      await new Promise((done) => setTimeout(done, 600));
      const before = (await t.shelf.inspect()).steps;
      await t.click(1);
      await t.until(async () => (await t.shelf.inspect()).steps === 4);
      await t.click(2);
      await t.until(async () => (await t.shelf.inspect()).steps === 8);
      await new Promise((done) => setTimeout(done, 600));
      const { steps, learning, waits_for } = await t.shelf.inspect();
      return { unknown, before, steps, learning, waits_for, changes: t.changes };
    },
    BY_ITSELF,
  );
  assert.equal(got.unknown.accepted, false);
  assert.equal(got.before, 0, "nothing to learn from an event that does not count");
  assert.deepEqual([got.steps, got.learning, got.waits_for], [8, "idle", null]);
  assert.ok(got.changes.length >= 2 && got.changes.every((what) => what === "learned"));
});

suite.test("slow steps are cut into slices, and shelves come in between", async ({ page }) => {
  const got = await withShelf(
    page,
    "step_ms=40",
    async (t) => {
      await t.click(1);
      await t.until(async () => (await t.shelf.inspect()).steps > 0);
      const begin = performance.now();
      await t.shelf.recommend({ slot: "home" });
      const took = performance.now() - begin;
      await t.until(async () => (await t.shelf.inspect()).steps === 4 && t.changes.length >= 4);
      // A slice of 12 ms has room for one step of 40.
      return { took, slices: t.changes.filter((what) => what === "learned").length };
    },
    BY_ITSELF,
  );
  assert.ok(got.took < 120, `${got.took} ms`);
  assert.equal(got.slices, 4);
});

suite.test("nothing is learned while nobody looks; it is made up for later", async ({ page }) => {
  const got = await withShelf(
    page,
    "",
    async (t) => {
      const show = (state) => {
        Object.defineProperty(document, "visibilityState", {
          configurable: true,
          get: () => state,
        });
        document.dispatchEvent(new Event("visibilitychange"));
      };
      show("hidden");
      await t.click(1);
      await new Promise((done) => setTimeout(done, 700));
      const hidden = await t.shelf.inspect();
      show("visible");
      await t.until(async () => (await t.shelf.inspect()).steps === 4);
      return { steps: hidden.steps, waits_for: hidden.waits_for };
    },
    BY_ITSELF,
  );
  assert.deepEqual(got, { steps: 0, waits_for: "hidden" });
});

suite.test("Save-Data is respected", async ({ page }) => {
  const got = await withShelf(
    page,
    "",
    async (t) => {
      Object.defineProperty(navigator.connection, "saveData", {
        configurable: true,
        get: () => true,
      });
      navigator.connection.dispatchEvent(new Event("change"));
      await t.click(1);
      await new Promise((done) => setTimeout(done, 700));
      const { steps, waits_for } = await t.shelf.inspect();
      return { steps, waits_for };
    },
    BY_ITSELF,
  );
  assert.deepEqual(got, { steps: 0, waits_for: "saving" });
});

suite.test("paused or erased, nothing is owed any more", async ({ page }) => {
  const got = await withShelf(
    page,
    "",
    async (t) => {
      await t.click(1);
      await t.shelf.pause();
      await new Promise((done) => setTimeout(done, 600));
      const paused = (await t.shelf.inspect()).steps;
      await t.shelf.resume();
      await t.click(2);
      await t.shelf.erase();
      await new Promise((done) => setTimeout(done, 600));
      return { paused, erased: (await t.shelf.inspect()).steps };
    },
    BY_ITSELF,
  );
  assert.deepEqual(got, { paused: 0, erased: 0 });
});

suite.test("of two tabs one learns; when it closes, the other does", async ({ page }) => {
  const second = await page.sibling();
  const open = async () => {
    globalThis.shelf = await globalThis.onshelf.Onshelf.load({
      model: "/fake.json",
      publicKeys: ["key"],
      device: "cpu",
      learning: "idle",
    });
  };
  const click = (item_id) => globalThis.shelf.track({ event: "view_item", item_id });
  const learned = async (wanted) => {
    for (let round = 0; round < 400; round++) {
      const { steps, waits_for } = await globalThis.shelf.inspect();
      if (steps >= wanted) return { steps, waits_for };
      await new Promise((done) => setTimeout(done, 25));
    }
    throw new Error("never learned");
  };
  await page.run(open);
  await page.run(click, "item-1");
  assert.deepEqual(await page.run(learned, 4), { steps: 4, waits_for: null });
  await second.run(open);
  await second.run(click, "item-2");
  // The first learns from it, and the second knows.
  assert.deepEqual(await page.run(learned, 8), { steps: 8, waits_for: null });
  const there = await second.run(learned, 8);
  assert.deepEqual(there, { steps: 8, waits_for: "another tab learns" });
  await page.run(() => globalThis.shelf.dispose());
  await second.run(click, "item-3");
  assert.deepEqual(await second.run(learned, 12), { steps: 12, waits_for: null });
  await second.run(async () => {
    await globalThis.shelf.erase();
    await globalThis.shelf.dispose();
  });
});

suite.test("any other word for learning is refused", async ({ page }) => {
  const code = await page.run(() =>
    globalThis.onshelf.Onshelf.load({
      model: "/fake.json",
      publicKeys: ["key"],
      learning: "always",
    }).then(
      () => "none",
      (error) => error.code,
    ),
  );
  assert.equal(code, "INVALID_REQUEST");
});
