/**
 * The public log of versions, around a fake engine: when it is asked for, and what follows where it does not name the
 * version that is loaded.
 */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { KEPT, withShelf } from "./with-shelf.mjs";

/** What the server has; `null`: nothing, `undefined`: it does not answer. */
let log = "*\n";
let asked = [];

const options = {
  intercept(request, response) {
    if (request.url !== "/versions.log") return false;
    const { method, headers } = request;
    asked.push([method, headers.cookie, headers.referer, headers["cache-control"]]);
    if (log === undefined) request.socket.destroy();
    else
      response
        .writeHead(log === null ? 404 : 200, { ETag: `"${encodeURIComponent(log)}"` })
        .end(log ?? "");
    return true;
  },
};

function serve(text) {
  log = text;
  asked = [];
}

for (const browser of ["chromium", "firefox"]) {
  const suite = browserSuite(browser, options);

  suite.test("the first shelf does not wait for the log; once it is enough", async ({ page }) => {
    serve("fake-1\n");
    const got = await withShelf(page, "", async (t) => {
      const before = (await t.shelf.inspect()).version_log;
      await new Promise((done) => setTimeout(done, 1_300));
      const still = (await t.shelf.inspect()).version_log;
      await t.shelf.recommend({ slot: "home" });
      const first = (await t.shelf.inspect()).version_log;
      await t.until(async () => (await t.shelf.inspect()).version_log === "named");
      await t.shelf.recommend({ slot: "home" });
      await new Promise((done) => setTimeout(done, 1_300));
      return { before, still, first, changes: t.changes };
    });
    assert.deepEqual(got, {
      before: "unchecked",
      still: "unchecked",
      first: "unchecked",
      changes: [],
    });
    assert.deepEqual(
      asked.map(([method, cookie, referrer]) => [method, cookie, referrer]),
      [["GET", undefined, undefined]],
    );
  });

  suite.test("a version that the log does not name ranks and learns no more", async ({ page }) => {
    serve("fake-0\n");
    const got = await withShelf(page, "versions=2", async (t) => {
      await t.click(1);
      const first = (await t.shelf.recommend({ slot: "home" })).items[0].item_id;
      await t.until(() => t.changes.includes("refused"));
      const refused = [
        await t.attempt(t.shelf.recommend({ slot: "home" })),
        await t.attempt(t.shelf.explain("item-1")),
        await t.attempt(t.shelf.fineTune()),
      ];
      const { accepted } = await t.click(2);
      return {
        first,
        codes: refused.map(({ code, named }) => [code, named]),
        accepted,
        state: (await t.shelf.inspect()).version_log,
        ids: await t.ids(),
      };
    });
    assert.deepEqual(got, {
      first: "item-2",
      codes: Array(3).fill(["LOG_INVALID", true]),
      accepted: true,
      state: "refused",
      ids: ["item-1", "item-2"],
    });
  });
}

const suite = browserSuite("chromium", options);

suite.test("an update to a version that the log names ends the refusal", async ({ page }) => {
  serve("fake-2\n");
  const got = await withShelf(page, "versions=2", async (t) => {
    await t.shelf.recommend({ slot: "home" });
    await t.until(() => t.changes.includes("refused"));
    const update = await t.shelf.update();
    const { model_version } = await t.shelf.recommend({ slot: "home" });
    return { update, model_version, state: (await t.shelf.inspect()).version_log };
  });
  assert.deepEqual(got, {
    update: { model_version: "fake-2", changed: true },
    model_version: "fake-2",
    state: "named",
  });
});

suite.test("a log that was late: the same version ranks again after update()", async ({ page }) => {
  serve("fake-0\n");
  const load = () =>
    page.run(async () => {
      const options = { publicKeys: ["key"], device: "cpu", storage: "none" };
      const shelf = await globalThis.onshelf.Onshelf.load({ model: "/fake.json", ...options });
      globalThis.shelf = shelf;
      const refused = new Promise((done) => shelf.onChange((what) => what === "refused" && done()));
      await shelf.recommend({ slot: "home" });
      await refused;
    });
  await load();
  const look = () =>
    page.run(async () => {
      const { shelf } = globalThis;
      const update = await shelf.update().catch(({ code }) => code);
      const ranked = await shelf.recommend({ slot: "home" }).catch(({ code }) => code);
      return [update.changed ?? update, ranked.model_version ?? ranked];
    });
  assert.deepEqual(await look(), ["LOG_INVALID", "LOG_INVALID"]);
  serve("fake-0\nfake-1\n");
  assert.deepEqual(await look(), [false, "fake-1"]);
  await page.run(() => globalThis.shelf.dispose());
});

suite.test("an update that the log does not name is not used", async ({ page }) => {
  serve("fake-1\n");
  const got = await withShelf(page, "versions=2", async (t) => {
    await t.click(1);
    const { code } = await t.attempt(t.shelf.update());
    const { model_version } = await t.shelf.recommend({ slot: "home" });
    const { looked_for_update, version_log } = await t.shelf.inspect();
    const changes = [...t.changes];
    return { code, model_version, outcome: looked_for_update.outcome, version_log, changes };
  });
  assert.deepEqual(got, {
    code: "LOG_INVALID",
    model_version: "fake-1",
    outcome: "LOG_INVALID",
    version_log: "unchecked",
    changes: [],
  });
});

suite.test("required: load waits for the log, and rejects without it", async ({ page }) => {
  page.expectProblem(/404|ERR_EMPTY_RESPONSE/);
  const load = (more = {}) =>
    page.run(async (more) => {
      const { Onshelf } = globalThis.onshelf;
      const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu", storage: "none" };
      try {
        const shelf = await Onshelf.load({ ...options, log: "required", ...more });
        const { version_log } = await shelf.inspect();
        await shelf.dispose();
        return version_log;
      } catch (error) {
        return error.code;
      }
    }, more);
  const got = {};
  for (const [name, text] of Object.entries({
    named: "fake-1\n",
    other: "fake-7\n",
    none: null,
    silent: undefined,
  })) {
    serve(text);
    got[name] = await load();
    assert.equal(asked.length > 0, true, name);
  }
  assert.deepEqual(got, {
    named: "named",
    other: "LOG_INVALID",
    none: "LOG_INVALID",
    silent: "NETWORK",
  });
  serve("fake-7\n");
  assert.equal(await load({ log: "off" }), "off");
  assert.deepEqual(asked, []);
  assert.equal(await load({ log: "always" }), "INVALID_REQUEST");
});

/** One visit with a shelf; gives what became of the log. */
const visit = (page, more = {}) =>
  withShelf(
    page,
    "",
    async (t) => {
      await t.shelf.recommend({ slot: "home" });
      const state = async () => (await t.shelf.inspect()).version_log;
      await t.until(async () => (await state()) !== "unchecked");
      return state();
    },
    { options: { ...KEPT.options, ...more } },
  );

suite.test("a shop without a log goes on; one that had one may not lose it", async ({ page }) => {
  page.expectProblem(/404|ERR_EMPTY_RESPONSE/);
  serve(null);
  assert.equal(await visit(page), "none");
  serve(undefined);
  assert.equal(await visit(page), "unreachable");
  serve("fake-0\nfake-1\n");
  assert.equal(await visit(page), "named");
  serve(null);
  assert.equal(await visit(page), "refused");
  serve("fake-1\n");
  assert.equal(await visit(page), "refused", "another log than the one that was seen");
  serve("fake-0\nfake-1\nfake-2\n");
  assert.equal(await visit(page), "named", "one that goes on");
});

suite.test("nothing is remembered without consent, and denied forgets it", async ({ page }) => {
  const seen = () =>
    page.run(async () => {
      const all = (await indexedDB.databases()).map(({ name }) => name);
      if (!all.includes("onshelf-sync")) return null;
      const database = await new Promise((done) => {
        indexedDB.open("onshelf-sync").onsuccess = ({ target }) => done(target.result);
      });
      const request = database.transaction("logs").objectStore("logs").count();
      const count = await new Promise((done) => (request.onsuccess = () => done(request.result)));
      database.close();
      return count;
    });
  serve("fake-1\n");
  for (const more of [{ consent: "denied" }, { consent: null }, { storage: "none" }]) {
    assert.equal(await visit(page, more), "named");
    assert.equal(await seen(), null, JSON.stringify(more));
  }
  await visit(page, { consent: "device" });
  assert.equal(await seen(), 1);
  await visit(page, { consent: null });
  assert.equal(await seen(), 1);
  await withShelf(page, "", (t) => t.shelf.setConsent("denied"), KEPT);
  assert.equal(await seen(), 0);
  await visit(page, { consent: "device" });
  assert.equal(await seen(), 1);
  await withShelf(page, "", () => null, { options: { ...KEPT.options, consent: "denied" } });
  assert.equal(await seen(), 0);
});
