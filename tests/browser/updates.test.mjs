/** A newer model version that the package finds by itself, around a fake engine. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { browserSuite } from "./harness.mjs";
import { withShelf } from "./with-shelf.mjs";

/** When the manifest was asked for, in milliseconds, and how; `down`: nobody answers. */
let looks = [];
let down = false;

const options = {
  intercept(request, response) {
    if (!request.url.startsWith("/fake.json")) return false;
    looks.push([Date.now(), request.headers["cache-control"]]);
    if (down) request.socket.destroy();
    else {
      const { searchParams } = new URL(request.url, "http://localhost");
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(searchParams.get("answer") ?? "{}");
    }
    return true;
  },
};

/** Two a second. */
const OFTEN = { updates: { every: 0.5 / 60 } };

const changing = (page, switches, more = {}) =>
  withShelf(
    page,
    switches,
    async (t) => {
      await t.click(1);
      const shelves = [];
      while (!t.changes.includes("updated") && shelves.length < 200) {
        shelves.push((await t.shelf.recommend({ slot: "home" })).model_version);
        await new Promise((done) => setTimeout(done, 40));
      }
      shelves.push((await t.shelf.recommend({ slot: "home" })).model_version);
      const { looked_for_update } = await t.shelf.inspect();
      return { shelves, ids: await t.ids(), outcome: looked_for_update?.outcome };
    },
    { options: { ...OFTEN, ...more } },
  );

for (const browser of ["chromium", "firefox"]) {
  const suite = browserSuite(browser, options);

  suite.test("found in idle time, and changed over to between two shelves", async ({ page }) => {
    looks = [];
    const got = await changing(page, "versions=2");
    assert.equal(got.shelves[0], "fake-1");
    assert.equal(got.shelves.at(-1), "fake-2");
    assert.deepEqual([...new Set(got.shelves)], ["fake-1", "fake-2"], "no shelf failed");
    assert.deepEqual([got.ids, got.outcome], [["item-1"], "changed"]);
    assert.ok(
      looks.every(([, how]) => how !== undefined),
      "past the HTTP cache",
    );
  });

  suite.test("denied: looked for all the same", async ({ page }) => {
    const got = await changing(page, "versions=2", { consent: "denied" });
    assert.equal(got.shelves.at(-1), "fake-2");
  });
}

const suite = browserSuite("chromium", options);

const times = (from) => looks.map(([at]) => at).filter((at) => at > from);
const rest = (ms) => new Promise((done) => setTimeout(done, ms));

suite.test("manual: never by itself; what it is asked for must make sense", async ({ page }) => {
  looks = [];
  const got = await withShelf(page, "versions=2", async (t) => {
    await new Promise((done) => setTimeout(done, 2_500));
    const { Onshelf } = globalThis.onshelf;
    const base = { model: "/fake.json", publicKeys: ["key"], device: "cpu", storage: "none" };
    const refused = [];
    for (const updates of ["often", { every: -1 }, { every: NaN }, null]) {
      refused.push((await t.attempt(Onshelf.load({ ...base, updates }))).code);
    }
    // Longer than a timer can be set to.
    const patient = await Onshelf.load({ ...base, updates: { every: 1e9 } });
    await new Promise((done) => setTimeout(done, 1_500));
    const { looked_for_update } = await patient.inspect();
    await patient.dispose();
    return { refused, looked_for_update };
  });
  assert.deepEqual(got, { refused: Array(4).fill("INVALID_REQUEST"), looked_for_update: null });
  assert.deepEqual(looks, []);
});

suite.test("the same version: no second engine is made", async ({ page }) => {
  // The fake's digest is its name; a manifest that hashes to it cannot be made, so the fake is given one.
  const payload = Buffer.from("a manifest");
  const digest = createHash("sha256").update(payload).digest("hex");
  const told = await page.run(
    async ({ payload, digest }) => {
      const answer = JSON.stringify({ payload });
      const url = `/fake.json?digest=${digest}&versions=2&answer=${encodeURIComponent(answer)}`;
      const options = { model: url, publicKeys: ["key"], device: "cpu", storage: "none" };
      const shelf = await globalThis.onshelf.Onshelf.load(options);
      const report = await shelf.update();
      await shelf.dispose();
      return report;
    },
    { payload: payload.toString("base64"), digest },
  );
  assert.deepEqual(told, { model_version: "fake-1", changed: false });
});

suite.test("not in a hidden page; what was due follows when it is shown", async ({ page }) => {
  await page.run(async (updates) => {
    globalThis.seen = (state) => {
      Object.defineProperty(document, "visibilityState", { configurable: true, value: state });
      document.dispatchEvent(new Event("visibilitychange"));
    };
    const options = { publicKeys: ["key"], device: "cpu", storage: "none", ...updates };
    globalThis.shelf = await globalThis.onshelf.Onshelf.load({ model: "/fake.json", ...options });
    globalThis.seen("hidden");
  }, OFTEN);
  const hidden = Date.now();
  await rest(2_500);
  assert.deepEqual(times(hidden + 200), []);
  const shown = Date.now();
  await page.run(() => globalThis.seen("visible"));
  await rest(1_600);
  assert.equal(times(shown).length, 1);
  await page.run(() => globalThis.shelf.dispose());
  const disposed = Date.now();
  await rest(2_000);
  assert.deepEqual(times(disposed), [], "disposed");
});

suite.test("nobody answers: it looks less and less often, and shelves go on", async ({ page }) => {
  page.expectProblem(/ERR_EMPTY_RESPONSE/);
  down = true;
  looks = [];
  try {
    const got = await withShelf(
      page,
      "versions=2",
      async (t) => {
        await new Promise((done) => setTimeout(done, 9_000));
        const { looked_for_update } = await t.shelf.inspect();
        const { model_version } = await t.shelf.recommend({ slot: "home" });
        return { outcome: looked_for_update.outcome, model_version };
      },
      { options: OFTEN },
    );
    assert.deepEqual(got, { outcome: "NETWORK", model_version: "fake-1" });
    // A browser asks again by itself where a connection was cut.
    const at = looks.map(([ms]) => ms).filter((ms, n, all) => n === 0 || ms - all[n - 1] > 400);
    const pauses = at.slice(1).map((ms, n) => ms - at[n]);
    assert.ok(at.length >= 3 && at.length <= 5, JSON.stringify(pauses));
    assert.ok(pauses.at(-1) > 1.6 * pauses.at(-2), JSON.stringify(pauses));
  } finally {
    down = false;
  }
});
