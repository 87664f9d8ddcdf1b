/** Two shoppers side by side, with the real modules: their shelves drift apart, and the server hears nothing of it. */

import assert from "node:assert/strict";
import { mkdtemp, rm, cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { violations } from "./axe.mjs";
import { browserPath, ROOT, skipWithout } from "./harness.mjs";
import { MODEL } from "./real.mjs";
import { startServer } from "../../www/serve.mjs";

const skip = skipWithout("chromium");
const id = (name) => `[data-testid="${name}"]`;
const BROWSER = {
  executablePath: browserPath("chromium") ?? undefined,
  args: ["--no-sandbox", "--disable-gpu"],
};
let site;
let folder;
let browser;

if (skip === false) {
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "onshelf-two-"));
    await cp(join(ROOT, "dist/shop"), folder, { recursive: true });
    await cp(join(MODEL, "products.json"), join(folder, "products.json"));
    const mounts = {
      "/": folder,
      "/onshelf/": join(ROOT, "dist/onshelf"),
      "/models/": join(MODEL, "models"),
    };
    site = await startServer({ mounts, log: true });
    const { chromium } = await import("playwright-core");
    browser = await chromium.launch(BROWSER);
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });
}

/** Opens the page on one of the server's names and waits for both shelves. */
async function openTwo(context, host = "localhost", size = { width: 1400, height: 1000 }) {
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
  await page.setViewportSize(size);
  await page.goto(`http://${host}:${site.port}/two.html?device=cpu`);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "true");
  return { page, problems };
}

/** The shop of one shopper: its frame, and what its own storage holds. */
const frameOf = async (page, name) => (await page.$(id(`frame-${name}`))).contentFrame();
const inspect = (frame) => frame.evaluate(() => window.onshelfDemo.shelf.inspect());
const shelves = (page) =>
  page.$$eval(".two-shelf", (lists) =>
    lists.map((list) => [...list.children].map((item) => item.dataset.itemId)),
  );
const common = ([one, other]) => one.filter((item) => other.includes(item)).length;
const readLog = async () => (await fetch(`${site.url}/onshelf-log.json`)).json();
const KNOWN = /^\/(onshelf\/|models\/|products\.json|[a-z]+\.(html|js|css)(\?|$)|favicon\.ico$)/;

test(
  "two: the shelves drift apart, each shopper's storage is their own, the server hears nothing",
  {
    skip,
    timeout: 180_000,
  },
  async (t) => {
    // A private window denies storage to the frame of another site: so this one is an ordinary profile.
    const profile = await mkdtemp(join(tmpdir(), "onshelf-profile-"));
    const { chromium } = await import("playwright-core");
    const context = await chromium.launchPersistentContext(profile, BROWSER);
    t.after(async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true });
    });
    const { page, problems } = await openTwo(context);
    const cold = await shelves(page);
    assert.deepEqual(cold[0], cold[1], "strangers are shown the same shelf");
    assert.equal(cold[0].length, 12);
    assert.match(await page.textContent(id("common")), /^100% in common: 12 of the 12/);

    const [a, b] = [await frameOf(page, "A"), await frameOf(page, "B")];
    // One shopper alone first: the other's shelf must not move.
    const card = `${id("shelf-popular")} ${id("product-card")} a`;
    await a.locator(card).nth(2).click();
    await a.waitForSelector(id("add-to-basket"));
    await page.waitForFunction(() => document.documentElement.dataset.common !== "12");
    assert.deepEqual((await shelves(page))[1], cold[1]);
    assert.equal((await inspect(a)).session.length, 1);
    assert.equal((await inspect(b)).session.length, 0);
    await page.waitForTimeout(2500);

    const quiet = await readLog();
    await page.click(id("go"));
    await page.waitForTimeout(3200 * 6 + 2500);
    const warm = await shelves(page);
    assert.notDeepEqual(warm[0], cold[0]);
    assert.notDeepEqual(warm[1], cold[1]);
    const shared = common(warm);
    assert.ok(shared < 12, `${shared} of 12 in common`);
    const words = await page.textContent(id("common"));
    assert.match(words, new RegExp(`in common: ${shared} of the 12`));
    for (const [at, frame] of [a, b].entries())
      assert.ok(
        (await inspect(frame)).session.length >= 5,
        `shopper ${"AB"[at]} looked at products`,
      );

    const log = await readLog();
    assert.equal(log.requests, quiet.requests, "shopping asked the server for something");
    assert.equal(log.bodies, 0);
    for (const { method, path } of log.rows) {
      assert.equal(method, "GET", path);
      assert.match(path, KNOWN);
    }
    assert.match(await page.textContent(id("seen-clicks")), /: \d+ clicks, 0 requests\.$/);
    assert.deepEqual(problems, []);
  },
);

test(
  "two: in a private window, where one of them may keep nothing, both are learned from all the same",
  { skip, timeout: 60_000 },
  async () => {
    const context = await browser.newContext();
    const { page } = await openTwo(context);
    const b = await frameOf(page, "B");
    assert.equal((await inspect(b)).storage, "unavailable");
    for (const at of [1, 2, 3]) {
      const add = `${id("shelf-popular")} ${id("quick-add")}`;
      await b.locator(add).nth(at).click();
      await page.waitForTimeout(700);
    }
    const { steps, waits_for } = await inspect(b);
    assert.equal(waits_for, null);
    assert.ok(steps > 0, "nothing was learned where locks are forbidden");
    await context.close();
  },
);

test(
  "two: under the server's other name, and accessible in both schemes and on a phone",
  {
    skip,
    timeout: 120_000,
  },
  async () => {
    for (const [colorScheme, width] of [
      ["light", 1400],
      ["dark", 1400],
      ["light", 360],
    ]) {
      const context = await browser.newContext({ colorScheme, reducedMotion: "reduce" });
      const { page, problems } = await openTwo(context, "127.0.0.1", { width, height: 900 });
      await page.waitForSelector(".two-list td");
      const found = await violations(page, { iframes: false });
      assert.deepEqual(found, [], `${colorScheme}, ${width}`);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${wide} pixels too wide at ${width}`);
      assert.deepEqual(problems, []);
      await context.close();
    }
  },
);

test("two: a shop in somebody else's frame tells nothing", { skip, timeout: 60_000 }, async (t) => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const shop = `http://127.0.0.1:${site.port}/index.html?device=cpu`;
  const around = `<!doctype html><title>x</title>
    <script>heard = []; onmessage = (event) => heard.push(event.data)</script>
    <iframe src="${shop}&twin=elsewhere.test"></iframe>
    <iframe src="${shop}&twin=localhost"></iframe>`;
  // The same name as the shop's own page, another port: another origin.
  const other = await startServer({
    mounts: { "/": folder },
    intercept: (_request, response) => {
      response.writeHead(200, { "Content-Type": "text/html" }).end(around);
      return true;
    },
  });
  // After a failure as well: an open server keeps the run from ending.
  t.after(() => other.close());
  await page.goto(other.url);
  const frames = page.frames().slice(1);
  assert.equal(frames.length, 2);
  for (const frame of frames)
    await frame.waitForFunction(() => document.documentElement.dataset.ready === "true");
  await page.waitForTimeout(500);
  assert.deepEqual(await page.evaluate(() => heard), []);
  await context.close();
});
