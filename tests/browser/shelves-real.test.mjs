/**
 * Business rules, what goes together, forgetting and a recorded dataLayer, with the real modules: the same tests on the CPU and
 * on WebGPU, and the same rankings.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { browserSuite } from "./harness.mjs";
import { assertSameRanking, ITEMS, KEYS, MANIFEST, REAL } from "./real.mjs";
import { recording } from "./recording.mjs";

const suites = {
  "chromium on the CPU": ["cpu", browserSuite("chromium", REAL)],
  "chromium on WebGPU": ["webgpu", browserSuite("chromium", REAL)],
  "firefox on the CPU": ["cpu", browserSuite("firefox", REAL)],
};

/**
 * What each of them ranked before anything was learned: item ids and scores, in the order in which they were asked for.
 * A lesson draws items by a seed of its own for every page.
 */
const rankings = Object.fromEntries(Object.keys(suites).map((name) => [name, []]));

/**
 * Loads an Onshelf as `globalThis.shelf`, with `globalThis.ids(request)`: what it recommends. Gives the device that serves.
 */
const load = (page, device = "cpu") =>
  page.run(
    async ({ model, keys, device }) => {
      const options = { model, publicKeys: keys, device, storage: "none" };
      globalThis.shelf = await globalThis.onshelf.Onshelf.load(options);
      globalThis.ranked = [];
      globalThis.ids = async (request) => {
        const { items } = await globalThis.shelf.recommend({ slot: "home", ...request });
        globalThis.ranked.push(items.map(({ item_id, score }) => [item_id, score]));
        return items.map(({ item_id }) => item_id);
      };
      return (await globalThis.shelf.inspect()).device;
    },
    { model: MANIFEST, keys: KEYS, device },
  );
const done = (page) => page.run(() => globalThis.shelf.dispose());

for (const [name, [device, suite]] of Object.entries(suites)) {
  suite.test(`boosts, diversity and what goes together, ${device}`, async ({ page }) => {
    assert.equal(await load(page, device), device);
    const got = await page.run(async (items) => {
      const { shelf, ids, ranked } = globalThis;
      for (const item_id of items.slice(0, 2)) await shelf.track({ event: "view_item", item_id });
      const plain = await ids({ count: 10 });
      const last = plain.at(-1);
      const boosted = await ids({ count: 10, boosts: [{ item_ids: [last], by: 10 }] });
      const sunk = await ids({ count: 10, boosts: [{ item_ids: [plain[0]], by: -10 }] });
      const diverse = await ids({ count: 10, diversity: 0.7 });
      const without = await ids({ kind: "bought_together" });
      await shelf.track({ event: "add_to_cart", item_id: items[2] });
      const cart = await ids({ kind: "bought_together", count: 5 });
      const item = await ids({ kind: "bought_together", item_id: items[2], count: 5 });
      const refused = await ids({ boosts: [{ by: 1 }] }).catch(({ code }) => code);
      const { device } = await shelf.inspect();
      return { plain, last, boosted, sunk, diverse, without, cart, item, refused, device, ranked };
    }, ITEMS);
    assert.equal(got.boosted[0], got.last);
    assert.deepEqual(got.boosted.slice(1), got.plain.slice(0, 9));
    assert.ok(!got.sunk.includes(got.plain[0]));
    assert.equal(got.diverse[0], got.plain[0], "the best stays first");
    assert.notDeepEqual(got.diverse, got.plain);
    assert.deepEqual(got.without, [], "no item and no cart");
    assert.equal(got.cart.length, 5);
    assert.deepEqual(got.cart, got.item);
    assert.ok(!got.cart.includes(ITEMS[2]));
    assert.equal(got.refused, "INVALID_REQUEST");
    assert.equal(got.device, device, "no other device stepped in");
    rankings[name].push(...got.ranked);
    await done(page);
  });

  suite.test(
    `a forgotten item leaves no trace in what was learned, ${device}`,
    async ({ page }) => {
      assert.equal(await load(page, device), device);
      const got = await page.run(async (items) => {
        const { shelf } = globalThis;
        const visit = async (clicks) => {
          await shelf.erase();
          for (const item_id of clicks) {
            await shelf.track({ event: "view_item", item_id });
            await shelf.fineTune({ budget_ms: 60_000 });
          }
        };
        const state = async () => {
          const { session, steps, learned } = await shelf.inspect();
          const exported = await (await shelf.exportPersonal()).text();
          return {
            session,
            steps,
            learned,
            items: (await shelf.recommend({ slot: "a" })).items,
            exported,
          };
        };
        await visit([items[0], items[3], items[1], items[2]]);
        const before = await state();
        const report = await shelf.forget(items[3]);
        const forgotten = await state();
        const nothing = await shelf.forget(items[3]);
        await visit([items[0], items[1], items[2]]);
        const never = await state();
        return {
          before,
          report,
          forgotten,
          nothing,
          never,
          device: (await shelf.inspect()).device,
        };
      }, ITEMS);
      assert.deepEqual(got.report, { removed: 1, left: 3, relearned: 3 });
      assert.equal(got.nothing.removed, 0);
      assert.ok(got.before.exported.includes(ITEMS[3]));
      assert.ok(!got.forgotten.exported.includes(ITEMS[3]));
      assert.deepEqual(got.forgotten.session, got.never.session);
      assert.deepEqual(got.forgotten.learned, got.never.learned, name);
      assert.deepEqual(got.forgotten.items, got.never.items);
      assert.equal(got.device, device, "no other device stepped in");
      await done(page);
    },
  );
}

test("the same rankings in each of them", (t) => {
  const [[first, wanted], ...others] = Object.entries(rankings).filter(([, all]) => all.length > 0);
  if (others.length === 0) return t.skip("fewer than two browsers and devices are here");
  assert.equal(wanted.length, 7);
  for (const [name, all] of others) {
    assert.equal(all.length, wanted.length, name);
    all.forEach((shelf, at) => {
      assert.equal(shelf.length, wanted[at].length);
      assertSameRanking(shelf, wanted[at], `${name} and ${first}, shelf ${at}`);
    });
  }
});

suites["chromium on the CPU"][1].test(
  "a recording of 1,000 events by a real session's rules: every visit whole and in order",
  async ({ page }) => {
    const made = recording(ITEMS, 1_000);
    await load(page);
    const got = await page.run(
      async (visits) => {
        const { shelf } = globalThis;
        const dataLayer = (globalThis.dataLayer = []);
        const gtag = function () {
          dataLayer.push(arguments);
        };
        const { counts } = shelf.observeDataLayer();
        // At the pace of the recording, or the gate would take it for a flood; visits are an hour apart.
        let clock = Date.now();
        Date.now = () => clock;
        const sessions = [];
        for (const entries of visits) {
          clock += 3_600_000;
          for (const { after_ms, gtag: byGtag, entry } of entries) {
            clock += after_ms;
            if (byGtag) gtag(...entry);
            else dataLayer.push(entry);
          }
          const { session } = await shelf.inspect();
          sessions.push(session.map(({ event, item_id }) => [event, item_id]));
        }
        return { counts, sessions };
      },
      made.visits.map(({ entries }) => entries),
    );
    const expected = made.visits.map((visit) => visit.expected);
    assert.deepEqual(got.sessions, expected);
    assert.equal(got.counts.accepted, expected.flat().length);
    assert.deepEqual(got.counts.left_out, { not_an_item_event: made.searches });
    assert.deepEqual(got.counts.failed, {});
    await done(page);
  },
);
