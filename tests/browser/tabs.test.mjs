/**
 * Several tabs of one shop, around a fake engine: one session, one learned state, no click lost, whichever
 * tab it was made in and whichever comes to an end first.
 */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";

const suite = browserSuite("chromium");

/** Loads onshelf in a tab; `shelf`, `changes` and `settle` are global there. */
const open = (page, learning = false, switches = "") =>
  page.run(
    async ({ learning, switches }) => {
      const { Onshelf } = globalThis.onshelf;
      const about = { publicKeys: ["key"], device: "cpu", learning };
      globalThis.shelf = await Onshelf.load({ model: `/fake.json?${switches}`, ...about });
      globalThis.changes = [];
      globalThis.shelf.onChange((what) => what === "tracked" || globalThis.changes.push(what));
    },
    { learning, switches },
  );

const click = (page, n) =>
  page.run((n) => globalThis.shelf.track({ event: "view_item", item_id: `item-${n}` }), n);

const inspect = (page) => page.run(() => globalThis.shelf.inspect());

const ids = async (page) => (await inspect(page)).session.map((event) => event.item_id);

/** Waits until a tab's session is this. */
async function expectSession(page, expected) {
  let found;
  for (let round = 0; round < 100; round++) {
    found = await ids(page);
    if (JSON.stringify(found) === JSON.stringify(expected)) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.deepEqual(found, expected);
}

const items = (...numbers) => numbers.map((n) => `item-${n}`);

suite.test("clicks in three tabs are one session in all of them", async ({ page }) => {
  const tabs = [page, await page.sibling(), await page.sibling()];
  for (const tab of tabs) await open(tab);
  for (let n = 0; n < 9; n++) {
    await click(tabs[n % 3], n);
    await expectSession(tabs[(n + 1) % 3], items(...Array(n + 1).keys()));
  }
  for (const tab of tabs) await expectSession(tab, items(...Array(9).keys()));
  const heard = await tabs[1].run(() => globalThis.changes);
  assert.ok(heard.length > 0 && heard.every((what) => what === "session"), String(heard));
  // What any of them stored last has all clicks in it.
  for (const tab of tabs) await tab.run(() => globalThis.shelf.dispose());
  await open(page);
  assert.deepEqual(await ids(page), items(...Array(9).keys()));
});

suite.test("clicks at once in two tabs: each has all of them", async ({ page }) => {
  const other = await page.sibling();
  await open(page);
  await open(other);
  const burst = (tab, from) =>
    tab.run(async (from) => {
      const all = [];
      for (let n = from; n < from + 50; n++) {
        all.push(globalThis.shelf.track({ event: "view_item", item_id: `item-${n}` }));
      }
      await Promise.all(all);
    }, from);
  await Promise.all([burst(page, 0), burst(other, 50)]);
  for (const tab of [page, other]) {
    let found = [];
    for (let round = 0; round < 100 && found.length < 100; round++) {
      await new Promise((done) => setTimeout(done, 50));
      found = await ids(tab);
    }
    assert.deepEqual(new Set(found), new Set(items(...Array(100).keys())));
    assert.equal(found.length, 100, "each once");
    // A tab's own clicks keep their order.
    const own = found.filter((id) => Number(id.slice(5)) < 50);
    assert.deepEqual(own, items(...Array(50).keys()));
  }
});

suite.test("what one tab learns the others know", async ({ page }) => {
  const other = await page.sibling();
  await open(page, "idle");
  await open(other, "idle");
  await click(page, 1);
  await page.raw.waitForFunction(async () => (await globalThis.shelf.inspect()).steps === 4);
  // A click there is owed there, and learned here: this tab holds the lock.
  await other.raw.waitForFunction(async () => (await globalThis.shelf.inspect()).steps === 4);
  assert.deepEqual(await ids(other), items(1));
  await click(page, 2);
  await other.raw.waitForFunction(async () => (await globalThis.shelf.inspect()).steps === 8);
  assert.deepEqual(await ids(other), items(1, 2));
});

suite.test("a click in one tab is learned from by the tab that learns", async ({ page }) => {
  const other = await page.sibling();
  await open(page, "idle");
  await open(other, "idle");
  await click(page, 1);
  await page.raw.waitForFunction(async () => (await globalThis.shelf.inspect()).steps === 4);
  await click(other, 2);
  for (const tab of [page, other]) {
    await tab.raw.waitForFunction(async () => (await globalThis.shelf.inspect()).steps === 8);
    assert.deepEqual(await ids(tab), items(1, 2));
  }
});

suite.test("a tab opened later knows what is not stored yet", async ({ page }) => {
  await open(page);
  await page.run(async () => {
    for (let n = 0; n < 5; n++) {
      await globalThis.shelf.track({ event: "view_item", item_id: `item-${n}` });
    }
  });
  const other = await page.sibling();
  await open(other);
  await expectSession(other, items(0, 1, 2, 3, 4));
  await click(other, 5);
  await expectSession(page, items(0, 1, 2, 3, 4, 5));
});

suite.test("a frozen tab catches up, and brings nothing old back", async ({ page }) => {
  const other = await page.sibling();
  await open(page, "idle");
  await open(other, "idle");
  await click(page, 1);
  await expectSession(other, items(1));
  const session = await other.raw.context().newCDPSession(other.raw);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  await click(page, 2);
  await click(page, 3);
  await page.raw.waitForFunction(async () => (await globalThis.shelf.inspect()).steps >= 4);
  await session.send("Page.setWebLifecycleState", { state: "active" });
  await expectSession(other, items(1, 2, 3));
  await click(other, 4);
  await expectSession(page, items(1, 2, 3, 4));
});

suite.test("a tab whose worker dies comes back with the others' clicks", async ({ page }) => {
  const other = await page.sibling();
  await open(page, false, "panic_item=item-13&times=1");
  await open(other);
  await click(page, 1);
  await click(other, 2);
  await expectSession(page, items(1, 2));
  await click(page, 13);
  assert.equal((await inspect(page)).worker_restarts, 1);
  await expectSession(page, items(1, 2, 13));
  await expectSession(other, items(1, 2, 13));
});

suite.test(
  "erased in one tab while another is clicked in: nothing comes back",
  async ({ page }) => {
    const tabs = [page, await page.sibling(), await page.sibling()];
    for (const tab of tabs) await open(tab, "idle");
    for (let n = 0; n < 6; n++) await click(tabs[n % 3], n);
    await tabs[2].run(() => globalThis.shelf.erase());
    for (const tab of tabs) await expectSession(tab, []);
    await click(tabs[0], 7);
    for (const tab of tabs) await expectSession(tab, items(7));
    await new Promise((done) => setTimeout(done, 800));
    for (const tab of tabs) assert.deepEqual(await ids(tab), items(7));
  },
);

suite.test("after an erasure a new tab's lessons still reach the old ones", async ({ page }) => {
  await open(page);
  await page.run(() => globalThis.shelf.erase());
  const other = await page.sibling();
  await open(other, "idle");
  await click(other, 1);
  await other.raw.waitForFunction(async () => (await globalThis.shelf.inspect()).steps === 4);
  await page.raw.waitForFunction(async () => (await globalThis.shelf.inspect()).steps === 4);
  assert.deepEqual(await ids(page), items(1));
});

suite.test("erased in one tab right after an update in another", async ({ page }) => {
  const other = await page.sibling();
  await open(page, false, "versions=2");
  await open(other);
  await click(page, 1);
  await expectSession(other, items(1));
  const updated = await page.run(() => globalThis.shelf.update());
  assert.equal(updated.changed, true);
  await other.run(() => globalThis.shelf.erase());
  await expectSession(page, []);
  await click(page, 2);
  assert.deepEqual(await ids(page), items(2));
  assert.equal((await inspect(page)).worker_restarts, 0);
});
