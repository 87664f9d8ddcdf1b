/** What a browser does to those who count on it: see also crash, device, storage, tabs and update. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { ITEMS, KEYS, MANIFEST, REAL } from "./real.mjs";
import { GPU, withShelf } from "./with-shelf.mjs";

const fake = browserSuite("chromium");
const real = browserSuite("chromium", REAL);
const given = { keys: KEYS, model: MANIFEST, items: ITEMS.slice(0, 6) };

fake.test("WebGPU lost in the middle of a step, three times in a row", async ({ page }) => {
  const got = await withShelf(
    page,
    "adapter=real&gpu=fineTune:DEVICE_LOST",
    async (t) => {
      const served = [];
      for (let n = 1; n <= 3; n++) {
        served.push(await t.shelf.setDevice("webgpu"));
        await t.click(n);
        const { steps, device } = await t.shelf.fineTune({ steps: 2, budget_ms: 10_000 });
        served.push(`${steps} on ${device}`);
      }
      const { steps, worker_restarts } = await t.shelf.inspect();
      return { served, steps, worker_restarts, ids: await t.ids() };
    },
    GPU,
  );
  assert.deepEqual(got, {
    served: ["webgpu", "2 on cpu", "webgpu", "2 on cpu", "webgpu", "2 on cpu"],
    steps: 6,
    worker_restarts: 0,
    ids: ["item-1", "item-2", "item-3"],
  });
});

fake.test("an adapter without the limits that are needed: the CPU serves", async ({ page }) => {
  const got = await withShelf(
    page,
    "adapter=real&gpu=load:DEVICE_UNAVAILABLE",
    async (t) => {
      await t.click(1);
      const refused = await t.attempt(t.shelf.setDevice("webgpu"));
      const shelf = await t.shelf.recommend({ slot: "home", count: 1 });
      return { code: refused.code, device: shelf.device, ids: await t.ids() };
    },
    GPU,
  );
  assert.deepEqual(got, { code: "DEVICE_UNAVAILABLE", device: "cpu", ids: ["item-1"] });
});

fake.test("out of memory: a new worker, with every click", async ({ page }) => {
  const got = await withShelf(page, "oom_item=item-13&times=1", async (t) => {
    await t.click(1);
    await t.click(13);
    await t.click(2);
    return { ids: await t.ids(), restarts: (await t.shelf.inspect()).worker_restarts };
  });
  assert.deepEqual(got, { ids: ["item-1", "item-13", "item-2"], restarts: 1 });
});

fake.test("an unknown strategy is refused, a known one reaches the engine", async ({ page }) => {
  const load = (strategy) =>
    page.run(async (strategy) => {
      const { Onshelf } = globalThis.onshelf;
      const about = { model: "/fake.json", publicKeys: ["key"], device: "cpu", storage: "none" };
      try {
        const shelf = await Onshelf.load({ ...about, strategy });
        await shelf.dispose();
        return "loaded";
      } catch (error) {
        return `${error.code}: ${error.message}`;
      }
    }, strategy);
  assert.match(await load("luck"), /^INVALID_REQUEST: .*strategy must be one of shipped, gradient/);
  assert.equal(await load("replay"), "loaded");
});

real.test("every strategy learns, none touches the shipped shelf", async ({ page }) => {
  const got = await page.run(async ({ keys, model, items }) => {
    const out = {};
    for (const strategy of ["shipped", "gradient", "proximal", "ewc", "replay", "distillation"]) {
      const options = { model, publicKeys: keys, device: "cpu", storage: "none", strategy };
      const shelf = await onshelf.Onshelf.load(options);
      const cold = (await shelf.recommend({ slot: "home" })).items.map((i) => i.item_id).join();
      const losses = [];
      for (const item_id of items) {
        await shelf.track({ event: "view_item", item_id });
        const { steps, loss_before, loss_after } = await shelf.fineTune({ steps: 2 });
        if (steps > 0) losses.push([loss_before, loss_after]);
      }
      const { guard, steps } = await shelf.inspect();
      out[strategy] = { cold, losses, guard, steps };
      await shelf.dispose();
    }
    return out;
  }, given);
  const found = Object.values(got);
  assert.equal(new Set(found.map((one) => one.cold)).size, 1);
  for (const [strategy, { losses, guard, steps }] of Object.entries(got)) {
    assert.ok(losses.length === 5 && losses.flat().every(Number.isFinite), strategy);
    assert.equal(steps, 10, strategy);
    assert.ok(guard.say >= 0 && guard.say <= 1 && guard.compared > 0, JSON.stringify(guard));
  }
  // They are different ways to learn: the last losses differ.
  const ends = found.slice(1).map((one) => one.losses.at(-1)[1].toFixed(6));
  assert.ok(new Set(ends).size >= 3, String(ends));
});

real.test("storage evicted while the shopper browses: nothing is lost", async ({ page }) => {
  const got = await page.run(async ({ keys, model, items }) => {
    const options = { model, publicKeys: keys, device: "cpu" };
    const shelf = await onshelf.Onshelf.load(options);
    for (const item_id of items.slice(0, 3)) await shelf.track({ event: "view_item", item_id });
    await new Promise((done) => setTimeout(done, 600));
    const stored = (await shelf.inspect()).stored_bytes;
    const names = (await indexedDB.databases()).map((one) => one.name);
    await Promise.all(
      names.map(
        (name) =>
          new Promise((done, failed) => {
            const request = indexedDB.deleteDatabase(name);
            request.onsuccess = done;
            request.onerror = failed;
          }),
      ),
    );
    await shelf.track({ event: "view_item", item_id: items[3] });
    await new Promise((done) => setTimeout(done, 600));
    const told = await shelf.inspect();
    await shelf.dispose();
    const again = await onshelf.Onshelf.load(options);
    const { session } = await again.inspect();
    await again.erase();
    await again.dispose();
    return { stored, told, session: session.map((event) => event.item_id) };
  }, given);
  assert.ok(got.stored > 0);
  assert.equal(got.told.storage, "indexeddb");
  assert.deepEqual(got.session, given.items.slice(0, 4));
});

real.test("a clock that goes backwards loses no click", async ({ page }) => {
  const got = await page.run(async ({ keys, model, items }) => {
    const options = { model, publicKeys: keys, device: "cpu", storage: "none" };
    const shelf = await onshelf.Onshelf.load(options);
    const now = Date.now();
    const hours = [0, -1, -48, 0, -24 * 365 * 60];
    const accepted = [];
    for (const [at, hour] of hours.entries()) {
      Date.now = () => now + hour * 3_600_000 + at * 60_000;
      accepted.push(await shelf.track({ event: "view_item", item_id: items[at] }));
      await shelf.fineTune({ steps: 1 });
    }
    const { session } = await shelf.inspect();
    const { items: shown } = await shelf.recommend({ slot: "home", count: 5 });
    await shelf.dispose();
    return { accepted: accepted.map((one) => one.accepted), session, shown: shown.length };
  }, given);
  assert.deepEqual(got.accepted, [true, true, true, true, true]);
  // Two days after the third is a new session, however the clock got there.
  assert.deepEqual(
    got.session.map((event) => event.item_id),
    given.items.slice(3, 5),
  );
  assert.equal(got.shown, 5);
});
