/** The worker dies: no acknowledged click is lost, and nothing is done twice. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { KEPT, range, withShelf } from "./with-shelf.mjs";

const suite = browserSuite("chromium");

for (const kind of ["panic_item", "trap_item"]) {
  suite.test(`a crash (${kind}) loses no acknowledged click`, async ({ page }) => {
    const got = await withShelf(page, `${kind}=item-7&times=1`, async (t) => {
      for (let n = 0; n < 6; n++) await t.click(n);
      const learned = await t.shelf.fineTune({ steps: 2, budget_ms: 10_000 });
      await t.click(6);
      // All of these wait in the worker's queue when it dies; none may be lost or doubled.
      const burst = await Promise.all([7, 8, 9].map((n) => t.click(n)));
      const { worker_restarts, steps } = await t.shelf.inspect();
      const lengths = burst.map((one) => one.session_length);
      return { ids: await t.ids(), lengths, worker_restarts, steps, learned, changes: t.changes };
    });
    assert.deepEqual(got.ids, range(0, 10));
    assert.deepEqual(got.lengths, [8, 9, 10]);
    assert.equal(got.worker_restarts, 1);
    assert.equal(got.steps, 2, "what was learned survives");
    assert.deepEqual(got.changes, ["learned", "restarted"]);
  });
}

suite.test("clicks of a burst survive a crash before their copy was made", async ({ page }) => {
  const ids = await withShelf(page, "panic_item=item-900&times=1", async (t) => {
    const burst = Array.from({ length: 600 }, (_, n) => t.click(n));
    await Promise.all([...burst, t.click(900)]);
    return t.ids();
  });
  assert.deepEqual(ids, [...range(0, 600), "item-900"]);
});

suite.test("a command that crashes twice is given up, the others go on", async ({ page }) => {
  const got = await withShelf(page, "panic_item=item-7", async (t) => {
    await t.click(1);
    const [bad, good, filled] = await Promise.all([
      t.attempt(t.click(7)),
      t.attempt(t.click(8)),
      t.attempt(t.shelf.recommend({ slot: "home" })),
    ]);
    const { worker_restarts } = await t.shelf.inspect();
    return { bad, good, filled: filled.value.items.length, ids: await t.ids(), worker_restarts };
  });
  assert.equal(got.bad.code, "WORKER_CRASHED");
  assert.ok(got.bad.named && got.bad.remedy.length > 10);
  assert.deepEqual(got.good, { value: { accepted: true, session_length: 2 } });
  assert.equal(got.filled, 10);
  assert.deepEqual(got.ids, ["item-1", "item-8"]);
  assert.equal(got.worker_restarts, 2);
});

suite.test("a worker that hangs is replaced after 30 seconds", async ({ page }) => {
  await page.raw.clock.install();
  const running = withShelf(page, "hang_item=item-7&times=1", async (t) => {
    await t.click(1);
    globalThis.hanging = true;
    await t.click(7);
    const { worker_restarts } = await t.shelf.inspect();
    return { ids: await t.ids(), worker_restarts };
  });
  await page.raw.waitForFunction(() => globalThis.hanging === true, null, { polling: 50 });
  let got;
  running.then(
    (value) => (got = value),
    (error) => (got = error),
  );
  for (let round = 0; round < 40 && got === undefined; round++) {
    await page.raw.clock.runFor(2_000);
    await new Promise((done) => setTimeout(done, 100));
  }
  assert.deepEqual(got, { ids: ["item-1", "item-7"], worker_restarts: 1 });
});

suite.test("a worker that dies while it saves comes back with the session", async ({ page }) => {
  const got = await withShelf(
    page,
    "panic_on=save&times=1",
    async (t) => {
      await t.click(3);
      await t.until(() => t.changes.includes("restarted"));
      await t.until(async () => (await t.shelf.inspect()).stored_bytes > 0);
      return t.ids();
    },
    KEPT,
  );
  assert.deepEqual(got, ["item-3"]);
});

suite.test("stored bytes that kill the engine do not lock the shopper out", async ({ page }) => {
  const got = await withShelf(
    page,
    "panic_on=restore",
    async (t) => ({ click: await t.click(1), inspection: await t.shelf.inspect() }),
    KEPT,
  );
  assert.equal(got.click.accepted, true);
  assert.equal(got.inspection.worker_restarts, 1);
});

suite.test("a crash right after erase does not bring back what was erased", async ({ page }) => {
  const got = await withShelf(page, "panic_on=exportAfterErase&times=1", async (t) => {
    await t.click(1);
    await t.shelf.fineTune();
    await t.shelf.erase();
    await t.until(() => t.changes.includes("restarted"));
    return t.shelf.inspect();
  });
  assert.deepEqual([got.session, got.steps, got.worker_restarts], [[], 0, 1]);
});

suite.test("loading that crashes twice says so; its errors keep their codes", async ({ page }) => {
  const codes = await page.run(async () => {
    const codes = [];
    for (const query of ["panic_on=load", "load_error=SIGNATURE_INVALID"]) {
      const options = { model: `/fake.json?${query}`, publicKeys: ["key"] };
      const error = await globalThis.onshelf.Onshelf.load(options).catch((e) => e);
      codes.push([error instanceof globalThis.onshelf.OnshelfError, error.code, error.remedy]);
    }
    return codes;
  });
  assert.equal(codes[0][1], "WORKER_CRASHED");
  assert.deepEqual(codes[1], [true, "SIGNATURE_INVALID", "remedy of SIGNATURE_INVALID"]);
});

suite.test("a missing assets folder is an error, not silence", async ({ page }) => {
  page.expectProblem(/404/);
  const { code, message, docs } = await page.run(async () => {
    const options = { model: "/fake.json", publicKeys: ["key"], assets: "/nowhere/" };
    const { code, message, docs } = await globalThis.onshelf.Onshelf.load(options).catch((e) => e);
    return { code, message, docs };
  });
  assert.equal(code, "NETWORK");
  assert.match(message, /\/nowhere\/onshelf-worker\.js/);
  assert.match(docs, /\/errors\.md#network$/);
});

suite.test("a pause survives a crash", async ({ page }) => {
  const got = await withShelf(page, "panic_item=item-7&times=1", async (t) => {
    await t.shelf.pause();
    await t.click(7);
    return t.shelf.inspect();
  });
  assert.deepEqual([got.paused, got.worker_restarts], [true, 1]);
});
