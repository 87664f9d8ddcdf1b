/** `observeDataLayer`: a recording of a thousand events, other people's wrappers, and what pages push by mistake. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { browserSuite } from "./harness.mjs";
import { recording } from "./recording.mjs";
import { withShelf } from "./with-shelf.mjs";

const suite = browserSuite("chromium");
const IDS = Array.from({ length: 200 }, (_, at) => `item-${at}`);
const MADE = recording(IDS, 1_000);

test("the recording is what it says", () => {
  assert.equal(MADE.made, 1_000);
  const kinds = new Set(MADE.visits.flatMap(({ expected }) => expected.map(([event]) => event)));
  assert.deepEqual([...kinds].sort(), [
    "add_to_cart",
    "purchase",
    "remove_from_cart",
    "select_item",
    "view_item",
  ]);
  assert.ok(MADE.searches > 20 && MADE.noticed > 100 && MADE.visits.length > 20);
});

suite.test(
  "a recording of 1,000 events is in the session, whole and in order",
  async ({ page }) => {
    const argument = MADE.visits.map(({ entries }) => entries);
    const got = await withShelf(
      page,
      "",
      async ({ shelf, until, argument }) => {
        const dataLayer = (globalThis.dataLayer = []);
        const gtag = function () {
          dataLayer.push(arguments);
        };
        const push = ({ gtag: byGtag, entry }) => (byGtag ? gtag(...entry) : dataLayer.push(entry));
        const half = argument.length >> 1;
        for (const entries of argument.slice(0, half)) entries.forEach(push);
        const stop = shelf.observeDataLayer();
        // Tag Manager comes late, wraps what it finds and keeps the list short.
        const before = dataLayer.push;
        dataLayer.push = function (...entries) {
          const result = before.apply(dataLayer, entries);
          while (dataLayer.length > 300) dataLayer.shift();
          return result;
        };
        for (const entries of argument.slice(half)) entries.forEach(push);
        const { counts } = stop;
        const sum = (of) => Object.values(of).reduce((a, b) => a + b, 0);
        await until(() => counts.accepted + sum(counts.left_out) === counts.events);
        const { session } = await shelf.inspect();
        return { counts, session: session.map(({ event, item_id }) => [event, item_id]) };
      },
      { argument },
    );
    const expected = MADE.visits.flatMap((visit) => visit.expected);
    assert.deepEqual(got.session, expected);
    const { counts } = got;
    assert.equal(counts.accepted, expected.length);
    assert.deepEqual(counts.left_out, { not_an_item_event: MADE.searches });
    assert.equal(
      Object.values(counts.noticed).reduce((a, b) => a + b),
      MADE.noticed,
    );
    assert.deepEqual(counts.failed, {});
    assert.deepEqual(Object.keys(counts.ignored).sort(), ["gtm.dom", "gtm.js", "scroll"]);
    assert.equal(counts.entries, MADE.visits.flatMap(({ entries }) => entries).length);
  },
);

suite.test(
  "both forms, items one by one, ids of other kinds, the shop's own names",
  async ({ page }) => {
    const got = await withShelf(page, "", async ({ shelf, ids }) => {
      const layer = [];
      const seen = [];
      const track = shelf.track.bind(shelf);
      shelf.track = (event) => (seen.push(event), track(event));
      const stop = shelf.observeDataLayer(layer, {
        names: { product_view: "view_item" },
        except: ["remove_from_cart"],
      });
      layer.push({
        event: "purchase",
        ecommerce: {
          item_list_id: "cart",
          items: [
            { item_id: "item-3", quantity: 2, price: "9.5" },
            { item_id: "item-1", item_list_id: "home", price: 4 },
            { item_name: "without an id" },
            null,
            { id: "item-2" },
          ],
        },
      });
      layer.push(["event", "add_to_wishlist", { items: [{ item_id: "item-4" }] }]);
      layer.push({ event: "product_view", item_id: "item-5" });
      layer.push({ event: "remove_from_cart", ecommerce: { items: [{ item_id: "item-3" }] } });
      layer.push({ event: "search", search_term: "mug" }, { event: "view_item", items: "no list" });
      // Of several entries in one push each counts.
      layer.push(
        { event: "view_item", ecommerce: { items: [{ item_id: "item-6" }] } },
        { event: "view_item", ecommerce: { items: [{ item_id: "nobody" }] } },
      );
      const session = await ids();
      return { seen, session, counts: stop.counts };
    });
    assert.deepEqual(
      got.session,
      [3, 1, 2, 4, 5, 6].map((n) => `item-${n}`),
    );
    assert.deepEqual(got.seen.slice(0, 3), [
      { event: "purchase", item_id: "item-3", item_list_id: "cart", quantity: 2, price: 9.5 },
      { event: "purchase", item_id: "item-1", item_list_id: "home", price: 4 },
      { event: "purchase", item_id: "item-2", item_list_id: "cart" },
    ]);
    assert.deepEqual(got.seen[5], { event: "search", search_term: "mug" });
    assert.deepEqual(got.counts.ignored, { remove_from_cart: 1, view_item: 1 });
    assert.deepEqual(got.counts.left_out, { not_an_item_event: 1, unknown_item: 1 });
  },
);

suite.test(
  "nothing that a page pushes throws into it, or is missing from its list",
  async ({ page }) => {
    const got = await withShelf(page, "", async ({ shelf, ids }) => {
      const layer = [undefined, 7, "text", { event: "view_item", items: [{ item_id: "item-1" }] }];
      const stop = shelf.observeDataLayer(layer);
      const trap = new Proxy(
        {},
        {
          get: () => {
            throw new Error("mine");
          },
        },
      );
      const odd = [
        null,
        undefined,
        0,
        "text",
        Symbol("s"),
        () => "a function, as Tag Manager takes them",
        [],
        ["js", new Date()],
        ["event"],
        ["event", 7],
        ["event", "view_item"],
        ["event", "view_item", null],
        { event: "__proto__" },
        { event: "constructor", ecommerce: 3 },
        { event: "view_item", ecommerce: null },
        { event: "view_item", ecommerce: { items: {} } },
        { event: "view_item", ecommerce: { items: [[], {}, { item_id: {} }, { item_id: NaN }] } },
        trap,
      ];
      const lengths = odd.map((entry) => layer.push(entry));
      for (let n = 0; n < 200; n++) layer.push({ event: `made-up-${n}` });
      layer.push({ event: "view_item", ecommerce: { items: [{ item_id: "item-2" }] } });
      const names = Object.keys(stop.counts.ignored).length;
      return {
        lengths,
        length: layer.length,
        session: await ids(),
        names,
        events: stop.counts.events,
      };
    });
    assert.deepEqual(
      got.lengths,
      Array.from({ length: 18 }, (_, at) => at + 5),
    );
    assert.equal(got.length, 4 + 18 + 201);
    assert.deepEqual(got.session, ["item-1", "item-2"]);
    assert.ok(got.names <= 51, `${got.names} names are counted`);
    assert.equal(got.events, 3, "NaN is text, and no item of this shop");
  },
);

suite.test("an entry counts once; stopping leaves the page's push alone", async ({ page }) => {
  const got = await withShelf(page, "", async ({ shelf, ids }) => {
    const view = (n) => ({ event: "view_item", ecommerce: { items: [{ item_id: `item-${n}` }] } });
    const layer = (globalThis.dataLayer = [view(1)]);
    const own = layer.push;
    const stop = shelf.observeDataLayer();
    const same = shelf.observeDataLayer(layer) === stop;
    layer.push(view(2));
    // As a page does that comes back from the back/forward cache and begins again.
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
    stop();
    const restored = layer.push === own;
    layer.push(view(3));
    const again = shelf.observeDataLayer();
    // Past every wrapper: found with the next push, and in its place.
    Array.prototype.push.call(layer, view(4));
    layer.push(view(5));
    // Somebody wraps it, and we stop below.
    const wrapped = layer.push;
    layer.push = (...entries) => wrapped(...entries);
    again();
    layer.push(view(6));
    const other = [view(7)];
    const second = shelf.observeDataLayer(other);
    const third = shelf.observeDataLayer(layer);
    other.push(view(8));
    layer.push(view(9));
    const session = await ids();
    second();
    third();
    return { same, restored, length: layer.length, session };
  });
  assert.deepEqual(
    got.session,
    [1, 2, 3, 4, 5, 7, 6, 8, 9].map((n) => `item-${n}`),
  );
  assert.ok(got.same && got.restored);
  assert.equal(got.length, 7);
});

suite.test(
  "the list is made where there is none; a disposed shelf lets go of it",
  async ({ page }) => {
    const got = await page.run(async () => {
      const { Onshelf } = globalThis.onshelf;
      delete globalThis.dataLayer;
      const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu", storage: "none" };
      const shelf = await Onshelf.load(options);
      let refused = "";
      try {
        shelf.observeDataLayer({});
      } catch (error) {
        refused = error.code;
      }
      const { counts } = shelf.observeDataLayer();
      const made = Array.isArray(globalThis.dataLayer);
      await shelf.dispose();
      globalThis.dataLayer.push({
        event: "view_item",
        ecommerce: { items: [{ item_id: "item-1" }] },
      });
      return { made, refused, own: globalThis.dataLayer.push === Array.prototype.push, counts };
    });
    assert.ok(got.made && got.refused === "INVALID_REQUEST");
    assert.equal(got.counts.events, 0);
  },
);
