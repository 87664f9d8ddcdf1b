/**
 * The client and the worker around a fake engine: fields, order, abort, dispose, pause. The real
 * engine has tests of its own.
 */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { browserSuite, buildWithFakes, ROOT } from "./harness.mjs";
import { KEPT, withShelf } from "./with-shelf.mjs";

const suite = browserSuite("chromium");

suite.test("answers from the CPU, with every field", async ({ page }) => {
  const { progress, ...got } = await page.run(async () => {
    const stages = [];
    const shelf = await globalThis.onshelf.Onshelf.load({
      model: new URL("/fake.json", location.href),
      publicKeys: ["key"],
      assets: "/onshelf",
      onProgress: (one) => stages.push(one.stage),
    });
    const tracked = await shelf.track({ event: "view_item", item_id: "item-4", dwell_ms: 900 });
    const unknown = await shelf.track({ event: "view_item", item_id: "no-such" });
    const filled = await shelf.recommend({ slot: "home", count: 3, filter: { in_stock: true } });
    const report = await shelf.fineTune();
    const explained = await shelf.explain("item-5");
    const blob = await shelf.exportPersonal();
    const inspection = await shelf.inspect();
    const exported = { type: blob.type, session: JSON.parse(await blob.text()).session.length };
    await shelf.dispose();
    return { tracked, unknown, filled, report, explained, exported, inspection, progress: stages };
  });
  assert.deepEqual(got.tracked, { accepted: true, session_length: 1 });
  assert.deepEqual(got.unknown, { accepted: false, reason: "unknown_item", session_length: 1 });
  assert.equal(got.filled.items[0].item_id, "item-5");
  assert.equal(got.filled.items.length, 3);
  assert.equal(got.filled.device, "cpu");
  assert.ok(got.filled.took_ms >= 0);
  assert.equal(got.report.steps, 4);
  assert.equal(got.report.kept, true);
  assert.ok(got.report.loss_after < got.report.loss_before);
  assert.equal(got.explained.because.length, 1);
  assert.deepEqual(got.exported, { type: "application/json", session: 1 });
  assert.equal(got.inspection.worker_restarts, 0);
  assert.equal(got.inspection.storage, "indexeddb");
  assert.equal(got.inspection.adapter, null);
  assert.deepEqual(got.inspection.guard, {
    compared: 1,
    lead_nats: 0.25,
    evidence_nats: 0.5,
    personal: false,
    say: 0,
    rolled_back: 0,
  });
  assert.equal(typeof got.inspection.last_learn_ms, "number");
  assert.deepEqual(
    new Set(progress),
    new Set(["manifest", "verify", "weights", "catalogue", "restore"]),
  );
});

suite.test("10,000 events at once keep their order", async ({ page }) => {
  const got = await withShelf(page, "", async (t) => {
    const burst = Array.from({ length: 10_000 }, (_, n) => t.click(n % 1000));
    const lengths = (await Promise.all(burst)).map((one) => one.session_length);
    const ids = await t.ids();
    return {
      ordered: lengths.every((length, at) => length === at + 1),
      kept: ids.every((id, at) => id === `item-${at % 1000}`),
      length: ids.length,
    };
  });
  assert.deepEqual(got, { ordered: true, kept: true, length: 10_000 });
});

suite.test("commands of every kind at once never overlap", async ({ page }) => {
  const got = await withShelf(page, "rank_ms=3&step_ms=3", async (t) => {
    await t.click(0);
    const calls = Array.from({ length: 60 }, (_, n) => [
      t.click(n),
      t.shelf.recommend({ slot: "home" }),
      t.shelf.fineTune({ steps: 2 }),
      t.shelf.explain("item-1"),
      t.shelf.inspect(),
    ]).flat();
    await Promise.all(calls);
    const { worker_restarts } = await t.shelf.inspect();
    return { worker_restarts, length: (await t.ids()).length };
  });
  assert.deepEqual(got, { worker_restarts: 0, length: 61 });
});

suite.test("a shelf asked for during fine-tuning comes between two steps", async ({ page }) => {
  const order = await withShelf(page, "step_ms=40", async (t) => {
    await t.click(1);
    const order = [];
    const tuned = t.shelf
      .fineTune({ steps: 10, budget_ms: 10_000 })
      .then(() => order.push("tuned"));
    await new Promise((done) => setTimeout(done, 60));
    await t.shelf.recommend({ slot: "home" }).then(() => order.push("shelf"));
    await tuned;
    return order;
  });
  assert.deepEqual(order, ["shelf", "tuned"]);
});

suite.test("fine-tuning keeps its budget, and stops at a roll-back", async ({ page }) => {
  const got = await withShelf(page, "step_ms=40&roll_back_at=6", async (t) => {
    await t.click(1);
    const begin = performance.now();
    const first = await t.shelf.fineTune({ steps: 64, budget_ms: 100 });
    const took = performance.now() - begin;
    const { steps } = await t.shelf.inspect();
    const second = await t.shelf.fineTune({ steps: 10, budget_ms: 10_000 });
    const third = await t.shelf.fineTune();
    return { first, took, steps, second, third };
  });
  assert.ok(got.first.steps >= 1 && got.first.steps <= 3, `${got.first.steps} steps in 100 ms`);
  assert.ok(got.took < 2_000);
  assert.equal(got.steps + got.second.steps, 6);
  assert.equal(got.second.kept, true, "the steps before the roll-back are kept");
  assert.equal(got.second.reason, "rolled back");
  assert.ok(got.second.loss_after < got.second.loss_before);
  assert.equal(got.third.kept, false);
});

suite.test("abort: waiting requests are dropped, running fine-tuning stops", async ({ page }) => {
  const got = await withShelf(page, "step_ms=30&rank_ms=30", async (t) => {
    await t.click(1);
    const gone = new AbortController();
    gone.abort();
    const before = await t.attempt(t.shelf.recommend({ slot: "home", signal: gone.signal }));
    const stop = new AbortController();
    const { signal } = stop;
    const calls = [
      t.attempt(t.shelf.fineTune({ steps: 64, budget_ms: 60_000, signal })),
      t.attempt(t.click(2)),
      ...Array.from({ length: 50 }, () => t.attempt(t.shelf.recommend({ slot: "home", signal }))),
    ];
    await new Promise((done) => setTimeout(done, 50));
    stop.abort();
    const begin = performance.now();
    const codes = (await Promise.all(calls)).map((one) => one.code ?? "done");
    const { steps } = await t.shelf.inspect();
    return { before: before.code, codes, steps, took: performance.now() - begin };
  });
  assert.equal(got.before, "ABORTED");
  assert.equal(got.codes[0], "ABORTED");
  assert.equal(got.codes[1], "done");
  assert.ok(got.codes.slice(2).every((code) => code === "ABORTED"));
  assert.ok(got.steps < 10, `${got.steps} steps`);
  assert.ok(got.took < 1_000, "fifty dropped requests cost no time");
});

suite.test("abort of load", async ({ page }) => {
  const codes = await page.run(async () => {
    const { Onshelf } = globalThis.onshelf;
    const base = { model: "/fake.json?load_ms=5000", publicKeys: ["key"] };
    const now = await Onshelf.load({ ...base, signal: AbortSignal.abort() }).catch((e) => e.code);
    const soon = new AbortController();
    setTimeout(() => soon.abort(), 200);
    const begin = performance.now();
    const later = await Onshelf.load({ ...base, signal: soon.signal }).catch((e) => e.code);
    return { now, later, quick: performance.now() - begin < 3_000 };
  });
  assert.deepEqual(codes, { now: "ABORTED", later: "ABORTED", quick: true });
});

suite.test("dispose rejects what waits, and all that comes later", async ({ page }) => {
  const got = await withShelf(
    page,
    "rank_ms=50",
    async (t) => {
      await t.click(1);
      const waiting = [1, 2, 3].map(() => t.attempt(t.shelf.recommend({ slot: "home" })));
      const disposed = t.shelf.dispose();
      const codes = (await Promise.all(waiting)).map((one) => one.code);
      await disposed;
      await t.shelf.dispose();
      await t.shelf[Symbol.asyncDispose]();
      for (const late of [
        t.click(2),
        t.shelf.inspect(),
        t.shelf.erase(),
        t.shelf.setDevice("cpu"),
      ]) {
        codes.push((await t.attempt(late)).code);
      }
      return codes;
    },
    KEPT,
  );
  assert.deepEqual(got, Array(7).fill("DISPOSED"));
  // The driver hears of it a moment later.
  for (let round = 0; round < 40 && page.raw.workers().length > 0; round++) {
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.equal(page.raw.workers().length, 0, "the worker is gone");
  const session = await withShelf(page, "", async (t) => t.ids(), KEPT);
  assert.deepEqual(session, ["item-1"], "dispose writes what was not yet written");
});

suite.test("paused, or with learning off, it does not learn", async ({ page }) => {
  const paused = await withShelf(page, "step_ms=30", async (t) => {
    await t.click(1);
    await t.shelf.pause();
    const report = await t.shelf.fineTune();
    const clicked = await t.click(2);
    const { steps, paused } = await t.shelf.inspect();
    await t.shelf.resume();
    const long = t.shelf.fineTune({ steps: 64, budget_ms: 60_000 });
    await new Promise((done) => setTimeout(done, 100));
    await t.shelf.pause();
    const stopped = await long;
    await t.until(() => t.changes.length === 4);
    return { report, clicked, steps, paused, stopped, changes: t.changes };
  });
  assert.deepEqual(
    [paused.report.steps, paused.report.kept, paused.report.reason],
    [0, false, "paused"],
  );
  assert.equal(paused.clicked.accepted, true);
  assert.deepEqual([paused.steps, paused.paused], [0, true]);
  assert.equal(paused.stopped.reason, "paused");
  assert.ok(paused.stopped.steps < 20);
  assert.deepEqual(paused.changes, ["paused", "resumed", "learned", "paused"]);
  const off = await withShelf(
    page,
    "",
    async (t) => {
      await t.click(1);
      return { report: await t.shelf.fineTune(), inspection: await t.shelf.inspect() };
    },
    { options: { learning: false } },
  );
  assert.deepEqual(
    [off.report.steps, off.report.kept, off.report.reason],
    [0, false, "learning is off"],
  );
  assert.deepEqual([off.inspection.learning, off.inspection.steps], [false, 0]);
});

suite.test("wrong arguments are INVALID_REQUEST, and harm nothing", async ({ page }) => {
  const got = await withShelf(page, "", async (t) => {
    const { Onshelf } = globalThis.onshelf;
    const wrong = [
      Onshelf.load({ model: "/fake.json", publicKeys: [] }),
      Onshelf.load({ model: "http://[", publicKeys: ["key"] }),
      Onshelf.load({ model: "/fake.json", publicKeys: ["key"], device: "tpu" }),
      Onshelf.load({ model: "/fake.json", publicKeys: ["key"], assets: "http://[" }),
      t.shelf.track(null),
      t.shelf.track({ item_id: "item-1" }),
      t.shelf.track({ event: "view_item", item_id: () => "item-1" }),
      t.shelf.recommend({ slot: "" }),
      t.shelf.recommend({ slot: "home", count: 0 }),
      t.shelf.fineTune({ steps: 1000 }),
      t.shelf.setDevice("tpu"),
    ];
    const codes = [];
    for (const one of wrong) codes.push((await t.attempt(one)).code);
    const unknown = await t.attempt(t.shelf.explain("no-such"));
    const extra = { event: "view_item", item_id: "item-1", element: document.body };
    return { codes, unknown: unknown.code, clicked: await t.shelf.track(extra) };
  });
  assert.deepEqual(got.codes, Array(11).fill("INVALID_REQUEST"));
  assert.equal(got.unknown, "UNKNOWN_ITEM");
  assert.equal(got.clicked.accepted, true);
});

suite.test("a listener or callback that throws is reported and harms nothing", async ({ page }) => {
  page.expectProblem(/listener's own fault/);
  const got = await withShelf(page, "", async (t) => {
    t.shelf.onChange(() => {
      throw new Error("a listener's own fault");
    });
    const heard = [];
    const stop = t.shelf.onChange((what) => heard.push(what));
    await t.shelf.pause();
    await t.until(() => heard.length > 0);
    stop();
    await t.shelf.resume();
    await t.until(() => t.changes.length === 2);
    return heard;
  });
  assert.deepEqual(got, ["paused"]);
});

test("importing the package on a server does nothing, and load says why it cannot", async () => {
  const built = await buildWithFakes();
  try {
    const { Onshelf, OnshelfError, VERSION } = await import(join(built.folder, "index.js"));
    const error = await Onshelf.load({ model: "/m.json", publicKeys: ["key"] }).catch((e) => e);
    assert.ok(error instanceof OnshelfError);
    assert.equal(error.code, "INVALID_REQUEST");
    const manifest = JSON.parse(await readFile(join(ROOT, "www/onshelf/package.json"), "utf8"));
    assert.equal(VERSION, manifest.version, "version.ts and package.json agree");
  } finally {
    await built.remove();
  }
});
