/**
 * What the shopper agreed to, around a fake engine: who says it, what follows from it, and what happens where
 * they change their mind in the middle of something.
 */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { withShelf } from "./with-shelf.mjs";

const kept = (consent, more = {}) => ({ options: { storage: "indexeddb", consent, ...more } });

for (const browser of ["chromium", "firefox"]) {
  const suite = browserSuite(browser);

  suite.test("denied: ranks, learns nothing, keeps nothing", async ({ page }) => {
    const got = await withShelf(
      page,
      "",
      async (t) => {
        await t.click(4);
        const { items } = await t.shelf.recommend({ slot: "home", count: 1 });
        const tuned = await t.shelf.fineTune();
        await t.shelf.pause();
        await new Promise((done) => setTimeout(done, 700));
        const inspection = await t.shelf.inspect();
        dispatchEvent(new Event("pagehide"));
        await t.shelf.erase();
        const databases = (await indexedDB.databases()).map(({ name }) => name);
        const left = [databases, Object.keys(localStorage), await caches.keys()];
        return { first: items[0].item_id, tuned, inspection, left, consent: t.shelf.consent };
      },
      kept("denied", { learning: "idle" }),
    );
    assert.equal(got.first, "item-5", "the session of this page orders the shelf");
    assert.deepEqual([got.tuned.steps, got.tuned.reason], [0, "no consent"]);
    assert.equal(got.consent, "denied");
    const { consent, consent_limited_by, steps, storage, stored_bytes } = got.inspection;
    assert.deepEqual([consent, consent_limited_by], ["denied", "page"]);
    assert.deepEqual([steps, storage, stored_bytes], [0, "none", 0]);
    assert.deepEqual(got.left, [[], [], []]);
  });

  suite.test("Global Privacy Control: never more than denied", async ({ page }) => {
    await page.run(() =>
      Object.defineProperty(navigator, "globalPrivacyControl", { configurable: true, value: true }),
    );
    const got = await withShelf(
      page,
      "",
      async (t) => {
        await t.click(1);
        const asked = await t.shelf.setConsent("device+sync");
        const tuned = await t.shelf.fineTune();
        const { consent_limited_by, storage } = await t.shelf.inspect();
        return { asked, tuned, consent_limited_by, storage, now: t.shelf.consent };
      },
      kept("device+sync"),
    );
    assert.deepEqual([got.asked, got.now], ["denied", "denied"]);
    assert.deepEqual([got.tuned.steps, got.tuned.reason], [0, "no consent"]);
    assert.deepEqual([got.consent_limited_by, got.storage], ["gpc", "none"]);
  });

  suite.test("withdrawn in a learning step: it stops, and is forgotten", async ({ page }) => {
    const got = await withShelf(
      page,
      "step_ms=60",
      async (t) => {
        await t.click(1);
        await t.shelf.fineTune({ steps: 1 });
        await t.until(async () => (await t.shelf.inspect()).stored_bytes > 0);
        const learning = t.shelf.fineTune({ steps: 60, budget_ms: 60_000 });
        await new Promise((done) => setTimeout(done, 100));
        const now = await t.shelf.setConsent("denied");
        const report = await learning;
        const { session, steps, stored_bytes } = await t.shelf.inspect();
        return { now, report, left: [session, steps, stored_bytes], changes: t.changes };
      },
      kept("device"),
    );
    assert.equal(got.now, "denied");
    assert.ok(got.report.steps < 5, `${got.report.steps} steps`);
    assert.equal(got.report.reason, "no consent");
    assert.deepEqual(got.left, [[], 0, 0]);
    assert.ok(got.changes.includes("consent") && got.changes.includes("erased"));
    await page.open("/blank.html");
    const later = await withShelf(page, "", async (t) => t.shelf.inspect(), kept("device"));
    assert.deepEqual([later.session, later.steps], [[], 0]);
  });
}

const suite = browserSuite("chromium");

/** Leaves a click and two steps in storage. */
async function earlierVisit(page) {
  await withShelf(
    page,
    "",
    async (t) => {
      await t.click(1);
      await t.shelf.fineTune({ steps: 2 });
      await t.until(async () => (await t.shelf.inspect()).stored_bytes > 0);
    },
    kept("device"),
  );
  await page.open("/blank.html");
}

suite.test(
  "undecided: nothing is read or erased; after a yes all of it is there",
  async ({ page }) => {
    await earlierVisit(page);
    const got = await withShelf(
      page,
      "",
      async (t) => {
        await t.click(5);
        const before = await t.shelf.inspect();
        const now = await t.shelf.setConsent("device");
        const after = await t.shelf.inspect();
        return { before, now, after, ids: await t.ids() };
      },
      kept(null),
    );
    assert.deepEqual([got.before.steps, got.before.session.length], [0, 1]);
    assert.deepEqual([got.now, got.after.steps, got.after.storage], ["device", 2, "indexeddb"]);
    assert.deepEqual(got.ids, ["item-1", "item-5"]);
    // And what this page saw meanwhile is kept from then on.
    await page.open("/blank.html");
    const later = await withShelf(page, "", async (t) => t.ids(), kept("device"));
    assert.deepEqual(later, ["item-1", "item-5"]);
  },
);

suite.test("undecided until the page is left: what was stored stays", async ({ page }) => {
  await earlierVisit(page);
  await withShelf(page, "", async (t) => t.click(5), kept(null));
  await page.open("/blank.html");
  const ids = await withShelf(page, "", async (t) => t.ids(), kept("device"));
  assert.deepEqual(ids, ["item-1"]);
});

suite.test("denied at load erases what earlier visits left", async ({ page }) => {
  await earlierVisit(page);
  await withShelf(page, "", async () => null, kept("denied"));
  await page.open("/blank.html");
  const later = await withShelf(page, "", async (t) => t.shelf.inspect(), kept("device"));
  assert.deepEqual([later.session, later.steps], [[], 0]);
});

suite.test("withdrawn and given again at once: what came before is gone", async ({ page }) => {
  const got = await withShelf(
    page,
    "step_ms=30",
    async (t) => {
      await t.click(1);
      void t.shelf.fineTune({ steps: 20, budget_ms: 10_000 });
      await new Promise((done) => setTimeout(done, 50));
      await Promise.all([t.shelf.setConsent("denied"), t.shelf.setConsent("device"), t.click(2)]);
      await t.shelf.fineTune({ steps: 1 });
      const { steps, consent } = await t.shelf.inspect();
      return { steps, consent, ids: await t.ids() };
    },
    kept("device"),
  );
  assert.deepEqual(got, { steps: 1, consent: "device", ids: ["item-2"] });
});

suite.test("a crash right after the withdrawal brings nothing back", async ({ page }) => {
  const got = await withShelf(
    page,
    "panic_on=exportAfterErase&times=1",
    async (t) => {
      await t.click(1);
      await t.shelf.fineTune({ steps: 2 });
      await t.shelf.setConsent("denied");
      await t.until(async () => (await t.shelf.inspect()).worker_restarts === 1);
      const { session, steps, consent } = await t.shelf.inspect();
      await t.click(3);
      const tuned = await t.shelf.fineTune();
      return { left: [session, steps, consent], reason: tuned.reason, ids: await t.ids() };
    },
    kept("device"),
  );
  assert.deepEqual(got, {
    left: [[], 0, "denied"],
    reason: "no consent",
    ids: ["item-3"],
  });
});

suite.test("withdrawn in one tab: the others stop and forget, too", async ({ page }) => {
  const start = async () => {
    const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu", consent: "device" };
    globalThis.shelf = await globalThis.onshelf.Onshelf.load(options);
    globalThis.changes = [];
    globalThis.shelf.onChange((what) => what === "tracked" || globalThis.changes.push(what));
  };
  const click = (n) => globalThis.shelf.track({ event: "view_item", item_id: `item-${n}` });
  const other = await page.sibling();
  await page.run(start);
  await other.run(start);
  await other.run(click, 1);
  await page.run(() => globalThis.shelf.setConsent("denied"));
  await other.raw.waitForFunction(() => globalThis.changes.includes("erased"));
  const after = await other.run(async () => {
    const tuned = await globalThis.shelf.fineTune();
    const { session, consent, consent_limited_by } = await globalThis.shelf.inspect();
    return { reason: tuned.reason, session, consent, consent_limited_by };
  });
  assert.deepEqual(after, {
    reason: "no consent",
    session: [],
    consent: "denied",
    consent_limited_by: "another tab",
  });
  // Neither hears of the other's clicks any more, until it is agreed to again.
  await page.run(click, 2);
  await other.run(click, 3);
  await other.run(() => globalThis.shelf.setConsent("device"));
  const ids = await other.run(async () =>
    (await globalThis.shelf.inspect()).session.map((event) => event.item_id),
  );
  assert.deepEqual(ids, ["item-3"]);
  await other.close();
});

suite.test("Global Privacy Control switched on meanwhile", async ({ page }) => {
  const got = await withShelf(
    page,
    "",
    async (t) => {
      await t.click(1);
      await t.until(async () => (await t.shelf.inspect()).stored_bytes > 0);
      Object.defineProperty(navigator, "globalPrivacyControl", { configurable: true, value: true });
      document.dispatchEvent(new Event("visibilitychange"));
      await t.until(() => t.changes.includes("erased"));
      const { session, consent, consent_limited_by } = await t.shelf.inspect();
      return { session, consent, consent_limited_by };
    },
    kept("device"),
  );
  assert.deepEqual(got, { session: [], consent: "denied", consent_limited_by: "gpc" });
});

suite.test("Consent Mode: defaults, regions, updates, other entries", async ({ page }) => {
  const got = await page.run(async () => {
    const { Onshelf, consentMode } = globalThis.onshelf;
    globalThis.dataLayer = [{ event: "gtm.js" }, "text", null, () => 1];
    function gtag() {
      globalThis.dataLayer.push(arguments);
    }
    gtag("js", new Date());
    gtag("consent", "default", { personalization_storage: "granted", analytics_storage: "denied" });
    gtag("consent", "default", { personalization_storage: "denied", region: ["DE"] });
    const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu" };
    const shelf = await Onshelf.load({ ...options, consent: consentMode() });
    const seen = [];
    const note = async () => {
      const { consent, consent_limited_by } = await shelf.inspect();
      seen.push([consent, consent_limited_by]);
    };
    await note();
    await shelf.track({ event: "view_item", item_id: "item-1" });
    gtag("consent", "update", { personalization_storage: "granted" });
    await note();
    gtag("event", "view_item", {});
    gtag("consent", "update", { analytics_storage: "granted", ad_storage: "denied" });
    await note();
    gtag("consent", "update", { personalization_storage: "denied" });
    await note();
    const { session } = await shelf.inspect();
    await shelf.dispose();
    const pushed = globalThis.dataLayer.push({ event: "after" });
    return { seen, session, pushed };
  });
  assert.deepEqual(got.seen, [
    ["denied", "consent-mode"],
    ["device", "consent-mode"],
    ["device+sync", null],
    ["denied", "consent-mode"],
  ]);
  assert.deepEqual(got.session, [], "erased");
  assert.equal(got.pushed, 12);
});

suite.test(
  "Consent Mode with the four names of version 2, and names of the page's own",
  async ({ page }) => {
    const got = await page.run(() => {
      const { consentMode } = globalThis.onshelf;
      const judge = (state, options) => {
        globalThis.dataLayer = [["consent", "update", state]];
        return consentMode(options).get();
      };
      const yes = "granted";
      return [
        judge({ analytics_storage: yes, ad_personalization: yes }),
        judge({ analytics_storage: yes, ad_personalization: "denied" }),
        judge({ ad_personalization: yes }),
        judge({ personalization_storage: yes, analytics_storage: "denied" }),
        judge({ analytics_storage: "maybe" }),
        judge({ functionality_storage: yes }, { device: ["functionality_storage"], sync: [] }),
      ];
    });
    assert.deepEqual(got, ["device+sync", "denied", null, "device", null, "device+sync"]);
  },
);

suite.test("TCF: choices, vendors, restrictions, where it does not apply", async ({ page }) => {
  const got = await page.run(async () => {
    const { Onshelf, tcf } = globalThis.onshelf;
    let tell;
    let removed = null;
    globalThis.__tcfapi = (command, version, callback, argument) => {
      if (command === "addEventListener")
        tell = (data) => callback({ listenerId: 7, ...data }, true);
      if (command === "removeEventListener") removed = argument;
    };
    const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu" };
    const shelf = await Onshelf.load({ ...options, consent: tcf({ vendor: 42 }) });
    const seen = [shelf.consent];
    const consents = { 1: true, 5: true, 6: true };
    const vendor = { consents: { 42: true } };
    const all = { eventStatus: "tcloaded", vendor, purpose: { consents } };
    for (const data of [
      { ...all, eventStatus: "cmpuishown" },
      all,
      { ...all, purpose: { consents: { ...consents, 10: true } } },
      { ...all, purpose: { consents: { ...consents, 5: false } } },
      { ...all, vendor: { consents: {} } },
      { ...all, publisher: { restrictions: { 6: { 42: 0 } } } },
      { gdprApplies: false },
    ]) {
      tell(data);
      seen.push((await shelf.inspect()).consent);
    }
    await shelf.dispose();
    return { seen, removed };
  });
  assert.deepEqual(got.seen, [
    "denied",
    "denied",
    "device",
    "device+sync",
    "denied",
    "denied",
    "denied",
    "device",
  ]);
  assert.equal(got.removed, 7);
});

suite.test("said nothing: device, or what the page's own signals say", async ({ page }) => {
  const got = await page.run(async () => {
    const { Onshelf } = globalThis.onshelf;
    const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu", storage: "none" };
    const look = async () => {
      const shelf = await Onshelf.load(options);
      const { consent, consent_limited_by } = await shelf.inspect();
      await shelf.dispose();
      return [consent, consent_limited_by];
    };
    const seen = [await look()];
    globalThis.dataLayer = [{ event: "page_view" }];
    seen.push(await look());
    globalThis.dataLayer.push(["consent", "default", { analytics_storage: "denied" }]);
    seen.push(await look());
    globalThis.dataLayer = undefined;
    globalThis.__tcfapi = () => undefined;
    seen.push(await look());
    return seen;
  });
  assert.deepEqual(got, [
    ["device", "default"],
    ["device", "default"],
    ["denied", "consent-mode"],
    ["denied", "tcf"],
  ]);
});

suite.test(
  "several sources: the strictest holds; the page's own word ends them",
  async ({ page }) => {
    const got = await page.run(async () => {
      const { Onshelf, consentMode } = globalThis.onshelf;
      globalThis.dataLayer = [["consent", "update", { personalization_storage: "granted" }]];
      let word = "device+sync";
      let stopped = false;
      const own = { name: "banner", get: () => word, watch: () => () => (stopped = true) };
      const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu", storage: "none" };
      const shelf = await Onshelf.load({ ...options, consent: [consentMode(), own] });
      const seen = [shelf.consent];
      word = "denied";
      seen.push(shelf.consent, (await shelf.inspect()).consent_limited_by);
      seen.push(await shelf.setConsent("device+sync"), stopped);
      const wrong = await shelf.setConsent("all").catch((error) => error.code);
      const none = await Onshelf.load({ ...options, consent: [] }).catch((error) => error.code);
      const odd = await Onshelf.load({ ...options, consent: {} }).catch((error) => error.code);
      await shelf.dispose();
      return { seen, wrong, none, odd };
    });
    assert.deepEqual(got.seen, ["device", "denied", "banner", "device+sync", true]);
    assert.deepEqual([got.wrong, got.none, got.odd], Array(3).fill("INVALID_REQUEST"));
  },
);
