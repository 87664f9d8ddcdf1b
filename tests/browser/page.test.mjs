/**
 * What pages do to the package: events before it is there, the back/forward cache, files that do not come, two
 * releases at once. In each the page goes on.
 */

import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { startServer } from "../../www/serve.mjs";
import { browserSuite, launchChromium, ROOT, skipWithout } from "./harness.mjs";
import { KEYS, MODEL } from "./real.mjs";
import { withShelf } from "./with-shelf.mjs";

const fake = browserSuite("chromium");

fake.test("events from before load come first, and in order", async ({ page }) => {
  const got = await page.run(async () => {
    const { Onshelf } = globalThis.onshelf;
    const view = (n) => ({ event: "view_item", item_id: `item-${n}` });
    const options = { publicKeys: ["key"], device: "cpu", storage: "none" };
    const ids = async (shelf) => (await shelf.inspect()).session.map(({ item_id }) => item_id);
    const queue = [];
    queue.push(view(1), view(2));
    const failed = await Onshelf.load({
      ...options,
      queue,
      model: "/fake.json?load_error=HASH_MISMATCH",
    }).catch(({ code }) => code);
    queue.push(view(3));
    const kept = queue.length;
    const shelf = await Onshelf.load({ ...options, queue, model: "/fake.json" });
    queue.push(view(4), view(5));
    await shelf.track(view(6));
    const first = await ids(shelf);
    await shelf.dispose();
    queue.push(view(7));
    const waiting = [...queue];
    const second = await Onshelf.load({ ...options, queue, model: "/fake.json" });
    queue.push(view(8));
    const later = await ids(second);
    await second.dispose();
    return { failed, kept, first, waiting, later, own: Object.hasOwn(queue, "push") };
  });
  assert.deepEqual(got, {
    failed: "HASH_MISMATCH",
    kept: 3,
    first: [1, 2, 3, 4, 5, 6].map((n) => `item-${n}`),
    waiting: [{ event: "view_item", item_id: "item-7" }],
    later: ["item-7", "item-8"],
    own: false,
  });
});

fake.test("a wrong event in the queue is reported, and the others count", async ({ page }) => {
  page.expectProblem(/track needs an event|event must be a string/);
  const got = await withShelf(page, "", async ({ attempt }) => {
    const { Onshelf } = globalThis.onshelf;
    const base = { model: "/fake.json", publicKeys: ["key"], device: "cpu", storage: "none" };
    const heard = [];
    addEventListener("error", ({ error }) => heard.push([error.code, error.message]));
    const queue = [null, { event: "view_item", item_id: "item-1" }];
    const shelf = await Onshelf.load({ ...base, queue });
    queue.push({ event: 7 }, { event: "view_item", item_id: "item-2" });
    const ids = (await shelf.inspect()).session.map(({ item_id }) => item_id);
    await shelf.dispose();
    const refused = [];
    for (const queue of ["view_item", { push() {} }, Object.freeze([])]) {
      refused.push((await attempt(Onshelf.load({ ...base, queue }))).code);
    }
    return { ids, heard, refused };
  });
  assert.deepEqual(got.ids, ["item-1", "item-2"]);
  assert.deepEqual(got.heard, [
    ["INVALID_REQUEST", "track needs an event"],
    ["INVALID_REQUEST", "event must be a string"],
  ]);
  assert.deepEqual(got.refused, Array(3).fill("INVALID_REQUEST"));
});

// From here on the real package in the plain HTML example, whose list the server rendered.

const skip = skipWithout("chromium");
const options = { skip, timeout: 60_000 };
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'";
const LIST = ["sku-0001", "sku-0002"];
const NEWER = "9.9.9";

let browser;
let site;
let policy;
let newer;

if (skip === false) {
  before(async () => {
    newer = newerRelease();
    site = await startServer({
      mounts: {
        "/": join(ROOT, "examples/html"),
        "/onshelf/": join(ROOT, "dist/onshelf"),
        "/newer/": newer,
        "/models/": join(MODEL, "models"),
      },
      intercept(request, response) {
        response.setHeader("Content-Security-Policy", policy);
        if (request.url === "/favicon.ico") return (response.writeHead(204).end(), true);
        if (request.url !== "/public-keys.json") return false;
        response.writeHead(200, { "Content-Type": "application/json" });
        response.end(JSON.stringify(KEYS));
        return true;
      },
    });
    // Playwright switches the back/forward cache off.
    browser = await launchChromium({ ignoreDefaultArgs: ["--disable-back-forward-cache"] });
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    if (newer !== undefined) rmSync(newer, { recursive: true });
  });
}

/** The built package once more, as if it were a later release. */
function newerRelease() {
  const folder = mkdtempSync(join(tmpdir(), "onshelf-newer-"));
  cpSync(join(ROOT, "dist/onshelf"), folder, { recursive: true });
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  for (const name of readdirSync(folder).filter((name) => name.endsWith(".js"))) {
    const path = join(folder, name);
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(`"${version}"`, `"${NEWER}"`));
  }
  return folder;
}

/** A page with storage of its own; `warnings` are what the example writes when onshelf does not come. */
async function open({ csp = POLICY, blocked = null } = {}) {
  policy = csp;
  const context = await browser.newContext();
  const warnings = [];
  const uncaught = [];
  let refused = 0;
  if (blocked !== null) {
    await context.route(blocked, (route) => (refused++, route.abort("blockedbyclient")));
  }
  const page = await context.newPage();
  page.on("pageerror", ({ message }) => uncaught.push(message));
  page.on("console", (message) => message.type() === "warning" && warnings.push(message.text()));
  await page.goto(`${site.url}/index.html`);
  return { page, warnings, uncaught, refused: () => refused, close: () => context.close() };
}

const shown = (page) =>
  page.$$eval("#shelf [data-item]", (cards) => cards.map((card) => card.dataset.item));

/** Waits for a shelf that is not `old`. */
async function next(page, old) {
  const changed = (old) =>
    [...document.querySelectorAll("#shelf [data-item]")].map((c) => c.dataset.item).join() !== old;
  await page.waitForFunction(changed, old.join(), { timeout: 20_000 });
  return shown(page);
}

const BLOCKED = [
  ["the worker", { blocked: /onshelf-worker\.js/ }],
  ["the WebAssembly module", { blocked: /onshelf_cpu_bg\.wasm/ }],
  ["the module's JavaScript", { blocked: /onshelf_cpu\.js/ }],
  ["the model's manifest", { blocked: /\/models\/latest\.json/ }],
  ["the model's files", { blocked: /\/models\/blobs\// }],
  ["workers, by a policy", { csp: `${POLICY}; worker-src 'none'` }],
  ["WebAssembly, by a policy", { csp: "default-src 'self'" }],
];

for (const [what, how] of BLOCKED) {
  test(`blocked: ${what}: a typed error, and the server's list stays`, options, async () => {
    const { page, warnings, uncaught, refused, close } = await open(how);
    for (let round = 0; warnings.length === 0 && round < 200; round++) {
      await page.waitForTimeout(50);
    }
    if (how.blocked) assert.ok(refused() > 0, "the blocker was asked");
    // Code, remedy and address, as the example writes them.
    const ours = warnings.filter((text) => text.includes("errors.md"));
    assert.equal(ours.length, 1, warnings.join("; "));
    assert.match(ours[0], /^NETWORK \S.*\. https:\/\/\S+\/errors\.md#network$/);
    assert.deepEqual(await shown(page), LIST);
    assert.deepEqual(uncaught, []);
    await close();
  });
}

test("a page from the back/forward cache goes on where it was", options, async () => {
  const { page, uncaught, close } = await open();
  await next(page, LIST);
  const first = await shown(page);
  await page.click(`[data-item="${first[5]}"]`);
  const before = await next(page, first);
  await page.evaluate(() => {
    globalThis.shownAgain = [];
    addEventListener("pageshow", ({ persisted }) => globalThis.shownAgain.push(persisted));
  });
  await page.goto(`${site.url}/shop.css`);
  await page.goBack({ waitUntil: "commit" });
  await page.waitForFunction(() => document.readyState === "complete");
  const why = await page.evaluate(() =>
    JSON.stringify(performance.getEntriesByType("navigation")[0]?.notRestoredReasons ?? null),
  );
  assert.deepEqual(await page.evaluate(() => globalThis.shownAgain), [true], why);
  assert.deepEqual(await shown(page), before);
  await page.click(`[data-item="${before[6]}"]`);
  assert.equal(new Set(await next(page, before)).size, 8);
  assert.deepEqual(uncaught, []);
  await close();
});

test(
  "two releases on one page share the session, and neither breaks the other",
  options,
  async () => {
    const { page, uncaught, close } = await open();
    await next(page, LIST);
    const got = await page.evaluate(async (publicKeys) => {
      const folders = ["/onshelf", "/newer"];
      const releases = await Promise.all(folders.map((at) => import(`${at}/index.js`)));
      const privacies = await Promise.all(folders.map((at) => import(`${at}/privacy.js`)));
      for (const { definePrivacyElement } of privacies) definePrivacyElement();
      const load = ({ Onshelf }) =>
        Onshelf.load({ model: "/models/latest.json", publicKeys, learning: "idle", device: "cpu" });
      const [one, two] = await Promise.all(releases.map(load));
      await one.track({ event: "view_item", item_id: "sku-0003" });
      await two.track({ event: "view_item", item_id: "sku-0004" });
      const sessions = async () =>
        (await Promise.all([one.inspect(), two.inspect()])).map(({ session }) =>
          session.map(({ item_id }) => item_id),
        );
      for (let round = 0; round < 100; round++) {
        if ((await sessions()).every(({ length }) => length === 2)) break;
        await new Promise((done) => setTimeout(done, 50));
      }
      const both = await sessions();
      const shelves = [];
      for (const shelf of [one, two]) {
        const { items } = await shelf.recommend({ slot: "home", count: 8 });
        shelves.push(new Set(items.map(({ item_id }) => item_id)).size);
      }
      const element = document.createElement("onshelf-privacy");
      element.shelf = two;
      document.body.append(element);
      await one.dispose();
      const late = await one.recommend({ slot: "home" }).catch((error) => error);
      await two.track({ event: "view_item", item_id: "sku-0005" });
      const after = (await two.inspect()).session.length;
      const buttons = element.shadowRoot?.querySelectorAll("button").length ?? 0;
      await two.dispose();
      const codes = releases.map(({ OnshelfError }) => late instanceof OnshelfError);
      const workers = performance
        .getEntriesByType("resource")
        .filter(({ name }) => name.includes("onshelf-worker.js"))
        .map(({ name }) => new URL(name).pathname + new URL(name).search);
      const versions = releases.map(({ VERSION }) => VERSION);
      return { versions, both, shelves, late: late.code, codes, after, buttons, workers };
    }, KEYS);
    assert.notEqual(got.versions[0], NEWER);
    assert.equal(got.versions[1], NEWER);
    assert.ok(got.workers.includes(`/newer/onshelf-worker.js?v=${NEWER}`), got.workers.join());
    assert.ok(got.workers.includes(`/onshelf/onshelf-worker.js?v=${got.versions[0]}`));
    for (const session of got.both) assert.deepEqual(session.sort(), ["sku-0003", "sku-0004"]);
    assert.deepEqual(got.shelves, [8, 8]);
    assert.equal(got.late, "DISPOSED");
    assert.deepEqual(got.codes, [true, false]);
    assert.equal(got.after, 3);
    assert.ok(got.buttons > 0, "the first release's element shows the second's shelf");
    assert.deepEqual(uncaught, []);
    await close();
  },
);
