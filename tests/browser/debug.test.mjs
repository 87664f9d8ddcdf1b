/** `load({ debug })`: every decision is told with its reasons, and costs nothing where nobody asked. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";

const suite = browserSuite("chromium");

/** Loads with `debug`, does the same few things, and gives what was said. */
const narrated = (page, model, kind) =>
  page.run(
    async ([model, kind]) => {
      const said = [];
      const note = (what, details) => said.push([what, JSON.parse(JSON.stringify(details))]);
      if (kind === "console" || kind === "none") {
        console.debug = (what, details) => note(what.replace("onshelf ", ""), details);
      }
      const thrower = (what, details) => {
        note(what, details);
        if (what === "track") throw new Error("the narrator's own fault");
      };
      const debug = { console: true, function: note, thrower, none: false }[kind];
      const options = { model, publicKeys: ["key"], device: "cpu", storage: "none", debug };
      const shelf = await globalThis.onshelf.Onshelf.load(options);
      await shelf.track({ event: "view_item", item_id: "item-7" });
      await shelf.track({ event: "view_item", item_id: "no such item" });
      await shelf.fineTune({ steps: 1 });
      const { items } = await shelf.recommend({ slot: "home", count: 5 });
      const code = await shelf.recommend({ slot: "" }).catch((error) => error.code);
      await shelf.explain("item-1");
      await shelf.explain("no such item").catch(() => null);
      for (let round = 0; round < 100 && !said.some(([what]) => what === "places"); round++) {
        if (kind === "none") break;
        await new Promise((done) => setTimeout(done, 20));
      }
      const calls = await shelf.inspect();
      await shelf.dispose();
      return { said, items: items.map(({ item_id }) => item_id), code, session: calls.session };
    },
    [model, kind],
  );

for (const kind of ["console", "function"]) {
  suite.test(`debug to a ${kind}: what was asked, what came of it, and why`, async ({ page }) => {
    const { said, items } = await narrated(page, "/fake.json", kind);
    const told = (what) => said.filter(([name]) => name === what).map(([, details]) => details);
    assert.equal(told("loaded")[0].device, "cpu");
    const [seen, unknown] = told("track");
    assert.deepEqual(seen.asked, { event: "view_item", item_id: "item-7" });
    assert.equal(seen.answer.accepted, true);
    assert.deepEqual([unknown.answer.accepted, unknown.answer.reason], [false, "unknown_item"]);
    assert.equal(told("fineTune")[0].answer.steps, 1);
    const [shelf] = told("recommend");
    assert.equal(shelf.asked.slot, "home");
    assert.ok(shelf.took_ms >= 0);
    const [{ shelf_id, places }] = told("places");
    assert.equal(shelf_id, shelf.answer.shelf_id);
    assert.deepEqual(
      places.map(({ item_id }) => item_id),
      items.slice(0, 3),
    );
    assert.ok(places.every(({ because }) => Array.isArray(because)));
    const names = new Set(said.map(([what]) => what));
    assert.ok(!names.has("explain") && !names.has("inspect"), "what explains is not explained");
  });
}

suite.test("debug tells why a worker was replaced", async ({ page }) => {
  const { said, session } = await narrated(
    page,
    "/fake.json?panic_item=item-7&times=1",
    "function",
  );
  const restarted = said.find(([what]) => what === "restarted");
  assert.match(restarted[1].why, /PANIC|panic/);
  assert.equal(session.length, 1);
});

suite.test("a narrator that throws is reported and harms nothing", async ({ page }) => {
  page.expectProblem(/the narrator's own fault/);
  const { said, items, code } = await narrated(page, "/fake.json", "thrower");
  assert.ok(said.length > 3);
  assert.deepEqual([items.length, code], [5, "INVALID_REQUEST"]);
});

suite.test("without debug nothing is said, and a wrong one is refused", async ({ page }) => {
  assert.deepEqual((await narrated(page, "/fake.json", "none")).said, []);
  const code = await page.run(() =>
    globalThis.onshelf.Onshelf.load({
      model: "/fake.json",
      publicKeys: ["key"],
      debug: "yes",
    }).catch((error) => error.code),
  );
  assert.equal(code, "INVALID_REQUEST");
});
