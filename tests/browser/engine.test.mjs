/** The real modules: the same rankings as natively, learning, and state, on every device. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { browserSuite } from "./harness.mjs";
import { repeatNewShoppers } from "./new-shoppers.mjs";
import { assertReplay, engineWorker, ITEMS, loadReal, MODEL, REAL, REPLAY } from "./real.mjs";

const CASES = [
  ["chromium", "cpu", REPLAY.length],
  ["chromium", "webgpu", 8],
  ["firefox", "cpu", 30],
];

const suites = {
  chromium: browserSuite("chromium", REAL),
  firefox: browserSuite("firefox", REAL),
};

for (const [browser, kind, count] of CASES) {
  const suite = suites[browser];

  suite.test(`${kind}: real sessions give the native rankings`, async ({ page }) => {
    const call = await engineWorker(page);
    const loaded = await loadReal(call, kind);
    assert.equal(loaded.device, kind, JSON.stringify(loaded));
    assert.deepEqual(loaded.stages, ["manifest", "weights", "catalogue", "verify", "device"]);
    const shelves = await assertReplay(call, REPLAY.slice(0, count));
    assert.ok(shelves >= count);
  });

  suite.test(
    `${kind}: learns from clicks, explains, and shows what it learned`,
    async ({ page }) => {
      const call = await engineWorker(page);
      await loadReal(call, kind);
      const clicks = ITEMS.slice(0, 4);
      const { reports, shelf, explained, inspection } = await call("learn", { clicks, steps: 4 });
      assert.equal(reports[0].steps, 0, "one click has nothing to learn from");
      for (const report of reports.slice(1)) {
        assert.equal(report.steps, 4);
        assert.ok(report.loss_after < report.loss_before, JSON.stringify(report));
        assert.equal(report.kept, true);
      }
      assert.equal(inspection.steps, 12);
      // Every click but the first was predicted by both models before it was learned from.
      // A roll-back begins the comparison anew.
      const { compared, rolled_back } = inspection.guard;
      if (rolled_back === 0) assert.equal(compared, clicks.length - 1);
      else assert.ok(compared < clicks.length - 1);
      assert.ok(Number.isFinite(inspection.guard.lead_nats));
      assert.ok(Number.isFinite(inspection.guard.evidence_nats));
      assert.equal(typeof inspection.guard.personal, "boolean");
      assert.deepEqual(
        inspection.session.map((c) => c.item_id),
        clicks,
      );
      assert.ok(inspection.learned.length > 0);
      assert.equal(shelf.items.length, 20);
      assert.equal(explained.because.length, clicks.length);
      assert.ok(explained.because.some((share) => share.contribution !== 0));
      assert.ok(Math.abs(explained.score - shelf.items[0].score) < 1e-3);
      const state = await call("call", { method: "exportReadable", args: [] });
      for (const id of clicks) assert.ok(state.includes(id));
    },
  );
}

suites.chromium.test(
  "new shoppers see what they would see natively, learning as they go",
  async ({ page }) => {
    const folder = join(MODEL, "new-shoppers");
    const told = await repeatNewShoppers(page, folder, 40);
    assert.ok(told.shelves > 40, `${told.shelves} shelves`);
    assert.deepEqual(told.inBrowser, told.native);
  },
);

suites.chromium.test("both devices learn the same", async ({ page, newPage }) => {
  const call = await engineWorker(page);
  await loadReal(call, "cpu");
  // One seed for both, so that they sample the same items.
  const lesson = { clicks: ITEMS.slice(0, 4), steps: 4, state: await call("pristine") };
  const cpu = await call("learn", lesson);
  const other = await engineWorker(await newPage());
  await loadReal(other, "webgpu");
  const gpu = await other("learn", lesson);
  for (const [at, report] of cpu.reports.entries()) {
    for (const key of ["loss_before", "loss_after"]) {
      const difference = Math.abs(report[key] - gpu.reports[at][key]);
      assert.ok(
        difference < 1e-2,
        `click ${at}, ${key}: ${report[key]} and ${gpu.reports[at][key]}`,
      );
    }
  }
  assert.equal(gpu.shelf.items[0].item_id, cpu.shelf.items[0].item_id);
});

for (const name of ["chromium", "firefox"]) {
  suites[name].test("10,000 clicks in a second leave a bounded session", async ({ page }) => {
    const call = await engineWorker(page);
    await loadReal(call, "cpu");
    const { reasons, session } = await call("flood", { item: ITEMS[0], count: 10_000 });
    assert.ok(session <= 31, `${session} clicks in the session`);
    assert.equal(
      Object.values(reasons).reduce((a, b) => a + b),
      10_000,
    );
    assert.ok(reasons.flood > 0 || reasons.duplicate > 0, JSON.stringify(reasons));
  });
}

suites.chromium.test("an empty session is ranked by popularity", async ({ page }) => {
  const call = await engineWorker(page);
  await loadReal(call, "cpu");
  const shelf = (kind) =>
    call("call", { method: "recommend", args: [{ slot: "x", kind, count: 10 }, 0] });
  const ids = async (kind) => (await shelf(kind)).items.map((i) => i.item_id);
  assert.deepEqual(await ids("for_you"), await ids("popular"));
  assert.deepEqual(await ids("continue"), []);
});

suites.chromium.test("wrong requests are refused by name", async ({ page }) => {
  const call = await engineWorker(page);
  await loadReal(call, "cpu");
  const recommend = (request) => call("call", { method: "recommend", args: [request, 0] });
  assert.equal((await recommend({ slot: "x", count: 0 })).code, "INVALID_REQUEST");
  assert.equal((await recommend({ slot: "x", count: 1001 })).code, "INVALID_REQUEST");
  assert.equal((await recommend({ slot: "x", count: 1.5 })).code, "INVALID_REQUEST");
  assert.equal((await recommend({ slot: "x", kind: "best" })).code, "INVALID_REQUEST");
  assert.equal((await recommend({ slot: "x", kind: "similar" })).code, "INVALID_REQUEST");
  assert.equal(
    (await recommend({ slot: "x", kind: "similar", item_id: "☃" })).code,
    "UNKNOWN_ITEM",
  );
  assert.equal((await recommend({})).code, "INVALID_REQUEST");
  assert.equal((await call("call", { method: "explain", args: ["☃"] })).code, "UNKNOWN_ITEM");
  const told = await call("call", {
    method: "track",
    args: [{ event: "view_item", item_id: "☃" }, 0],
  });
  assert.deepEqual(told, { accepted: false, reason: "unknown_item", session_length: 0 });
  const event = { event: "look", item_id: ITEMS[0] };
  assert.equal((await call("call", { method: "track", args: [event, 0] })).code, "INVALID_REQUEST");
  assert.equal((await call("importBytes", [1, 2, 3])).code, "STATE_CORRUPT");
});

suites.chromium.test("without IndexedDB the engine says so and goes on", async ({ page }) => {
  const call = await engineWorker(page);
  await loadReal(call, "cpu", { withoutStorage: true });
  assert.equal((await call("call", { method: "save", args: [] })).code, "STORAGE_UNAVAILABLE");
  assert.equal((await call("call", { method: "restore", args: [] })).code, "STORAGE_UNAVAILABLE");
  const { shelf } = await call("learn", { clicks: ITEMS.slice(0, 2), steps: 1 });
  assert.equal(shelf.items.length, 20);
});

suites.chromium.test(
  "a worker ended in the middle of a save leaves the old state whole",
  async ({ page }) => {
    const call = await engineWorker(page);
    await loadReal(call, "cpu");
    await call("learn", { clicks: ITEMS.slice(0, 3), steps: 2 });
    await call("call", { method: "save", args: [] });
    for (const delay of [0, 3, 7, 20]) {
      await page.run(async (wait) => {
        globalThis.engineCall("saveForever");
        await new Promise((done) => setTimeout(done, wait));
        globalThis.engineWorker.terminate();
      }, delay);
      const again = await engineWorker(page);
      await loadReal(again, "cpu");
      assert.equal(await again("call", { method: "restore", args: [] }), true);
      const { session, steps } = await again("call", { method: "inspect", args: [] });
      assert.deepEqual(
        session.map((c) => c.item_id),
        ITEMS.slice(0, 3),
      );
      assert.equal(steps, 4);
    }
  },
);
