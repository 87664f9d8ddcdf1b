/** The demo shop with the real modules: it re-ranks, explains, remembers, and can be used by all. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { violations } from "./axe.mjs";
import { browserSuite, ROOT } from "./harness.mjs";
import { MODEL, REAL } from "./real.mjs";

const PRODUCTS = readFileSync(join(MODEL, "products.json"));

const suite = browserSuite("chromium", {
  ...REAL,
  mounts: { ...REAL.mounts, "/": join(ROOT, "dist/shop") },
  intercept(request, response) {
    if (request.url !== "/products.json") return false;
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(PRODUCTS);
    return true;
  },
});

const id = (name) => `[data-testid="${name}"]`;

/** Opens the shop on the CPU and waits for the first personal shelf. */
async function openShop(page, { width = 1280, height = 900, path = "" } = {}) {
  const { raw } = page;
  await raw.setViewportSize({ width, height });
  await raw.goto(`${new URL(raw.url()).origin}/index.html?device=cpu${path}`);
  await raw.waitForFunction(() => document.documentElement.dataset.ready === "true");
  return raw;
}

const shelf = (raw, name) =>
  raw.$$eval(`${id(name)} ${id("product-card")}`, (cards) => cards.map((c) => c.dataset.itemId));

suite.test(
  "the shop re-ranks after clicks, remembers after a reload, forgets on request",
  async ({ page }) => {
    const raw = await openShop(page);
    const cold = await shelf(raw, "shelf-for-you");
    assert.ok(cold.length >= 6);
    for (const at of [1, 2, 3]) {
      await raw
        .click(`${id("shelf-popular")} ${id("product-card")}:nth-of-type(${at}) a >> nth=0`)
        .catch(async () => {
          await raw
            .locator(`${id("shelf-popular")} ${id("product-card")}`)
            .nth(at)
            .locator("a")
            .first()
            .click();
        });
      await raw.waitForSelector(id("add-to-basket"));
      await raw.waitForFunction(() => window.onshelfDemo !== undefined);
      await raw.waitForTimeout(400);
      await raw.goto(`${new URL(raw.url()).origin}/index.html?device=cpu#/`);
      await raw.waitForFunction(() => document.documentElement.dataset.ready === "true");
      await raw.waitForSelector(`${id("shelf-for-you")} ${id("product-card")}`);
    }
    await raw.waitForTimeout(600);
    const warm = await shelf(raw, "shelf-for-you");
    assert.notDeepEqual(warm, cold);
    const before = await raw.evaluate(() => window.onshelfDemo.shelf.inspect());
    assert.ok(before.session.length >= 2, JSON.stringify(before.session));
    assert.ok(before.steps > 0);
    await raw.reload();
    await raw.waitForFunction(() => document.documentElement.dataset.ready === "true");
    await raw.waitForSelector(`${id("shelf-for-you")} ${id("product-card")}`);
    const again = await raw.evaluate(() => window.onshelfDemo.shelf.inspect());
    assert.deepEqual(again.session, before.session);
    assert.equal(again.steps, before.steps);
    await raw.evaluate(() => window.onshelfDemo.shelf.erase());
    const erased = await raw.evaluate(() => window.onshelfDemo.shelf.inspect());
    assert.deepEqual([erased.session.length, erased.steps], [0, 0]);
  },
);

suite.test(
  "Global Privacy Control: the shop ranks, says why it learns nothing, and keeps nothing",
  async ({ page }) => {
    await page.raw.addInitScript(() =>
      Object.defineProperty(navigator, "globalPrivacyControl", { configurable: true, value: true }),
    );
    const raw = await openShop(page);
    assert.ok((await shelf(raw, "shelf-for-you")).length >= 6);
    await raw
      .locator(`${id("shelf-popular")} ${id("product-card")} a`)
      .first()
      .click();
    await raw.waitForSelector(id("add-to-basket"));
    await raw.waitForTimeout(800);
    const { consent, consent_limited_by, steps, storage } = await raw.evaluate(() =>
      window.onshelfDemo.shelf.inspect(),
    );
    assert.deepEqual([consent, consent_limited_by, steps, storage], ["denied", "gpc", 0, "none"]);
    await raw.waitForFunction((id) => document.querySelector(id)?.disabled === true, id("pause"));
    const databases = await raw.evaluate(async () => (await indexedDB.databases()).length);
    assert.equal(databases, 0);
  },
);

suite.test(
  "the shop keeps what the shopper agreed to, and says what was uploaded",
  async ({ page }) => {
    const consent = (raw) =>
      raw.evaluate(() => window.onshelfDemo.shelf.inspect().then((i) => i.consent));
    assert.equal(await consent(await openShop(page)), "device");
    const raw = await openShop(page, { path: "&consent=device%2Bsync" });
    assert.equal(await consent(raw), "device+sync");
    assert.equal(await consent(await openShop(page)), "device+sync");
    assert.match(await raw.textContent(id("panel-uploaded")), /nothing/);
  },
);

suite.test("a search typed while the model loads is ranked once it is there", async ({ page }) => {
  await page.raw.route("**/public-keys.json", async (route) => {
    // Longer than it takes for a search to count: that event waits for the model, too.
    await new Promise((done) => setTimeout(done, 2500));
    await route.continue();
  });
  const raw = await openShop(page, { path: "#/search?q=mug" });
  assert.match(await raw.textContent(".grid-state"), /what fits your words and you/);
});

for (const scheme of ["light", "dark"]) {
  suite.test(`accessibility rules hold, ${scheme}`, async ({ page }) => {
    await page.raw.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
    const [{ item_id, category }] = JSON.parse(PRODUCTS).products;
    const views = [
      "",
      "#/search?q=mug",
      "#/basket",
      `#/p/${item_id}`,
      `#/c/${encodeURIComponent(category[0])}`,
    ];
    for (const path of views) {
      const raw = await openShop(page, { path: path.startsWith("#") ? path : "" });
      await raw.waitForTimeout(300);
      assert.deepEqual(await violations(raw), [], path);
    }
  });
}
