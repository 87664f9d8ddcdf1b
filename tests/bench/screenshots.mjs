/**
 * Screenshots of the demo shop, the privacy element and the operator's console into docs/screenshots, light and
 * dark, desktop and phone.
 *
 *     node tests/bench/screenshots.mjs [DEMO FOLDER] [--console ADDRESS]
 *
 * The folder is the one that `./build.sh demo` filled. ADDRESS is what `./build.sh demo --sync` prints for
 * the console, token included; without it the console's pictures stay as they are.
 */

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../browser/harness.mjs";
import { openDemo } from "./served.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { console: { type: "string" } },
});
const demo = resolve(positionals[0] ?? join(ROOT, "build/demo"));
const out = join(ROOT, "docs/screenshots");
mkdirSync(out, { recursive: true });

const { server, browser, close: closeDemo } = await openDemo(demo);
const id = (name) => `[data-testid="${name}"]`;

async function open(colorScheme, viewport, query = "") {
  const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  page.on(
    "console",
    (message) => message.type() === "error" && console.error(`console: ${message.text()}`),
  );
  await page.goto(`${server.url}/index.html?device=cpu${query}`);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "true");
  return { page, close: () => context.close() };
}

/** Looks at the first few products of the personal shelf, so that there is something to see. */
async function shop(page, times) {
  for (let n = 0; n < times; n++) {
    await page
      .locator(`${id("shelf-for-you")} ${id("product-card")}`)
      .nth(n)
      .locator("a")
      .first()
      .click();
    await page.waitForSelector(id("add-to-basket"));
    await page.waitForTimeout(1300);
    if (n + 1 < times) {
      await page.evaluate(() => (location.hash = "#/"));
      await page.waitForSelector(`${id("shelf-for-you")} ${id("product-card")}`);
      await page.waitForTimeout(500);
    }
  }
}

/** The page of the two shoppers, after each has shopped by themselves. */
async function twoShoppers(colorScheme) {
  // As high as the page: a frame of another site may be left out of a picture beyond the window.
  const viewport = { width: 1400, height: 1792 };
  // A server of its own, since the page shows what the server was asked.
  const own = await openDemo(demo);
  const context = await own.browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(`${own.server.url}/two.html?device=cpu`);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "true");
  await page.waitForTimeout(2500);
  await page.click(id("go"));
  await page.waitForTimeout(23_000);
  await page.screenshot({ path: join(out, `two-${colorScheme}.png`) });
  console.log(`two-${colorScheme}.png`);
  await own.close();
}

/** A page of a shop about privacy: nothing on it but the element. */
const PRIVACY = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Privacy</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark }
  body { margin: 0; padding: 28px; background: light-dark(#faf5ee, #1a1613); font: 16px/1.5 system-ui, sans-serif }
  onshelf-privacy { max-width: 42rem; margin: auto; padding: 22px; border-radius: 16px; border: 1px solid light-dark(#e6dacb, #3d352e); --onshelf-ground: light-dark(#fffdfa, #25201c) }
</style>
<onshelf-privacy></onshelf-privacy>
<script type="module">
  import { Onshelf } from "/onshelf/index.js";
  import { definePrivacyElement } from "/onshelf/privacy.js";
  const json = async (path) => (await fetch(path)).json();
  const { products } = await json("/products.json");
  const names = new Map(products.map(({ item_id, name }) => [item_id, name]));
  const shelf = await Onshelf.load({
    model: "/models/latest.json",
    publicKeys: await json("/models/public-keys.json"),
    device: "cpu",
    consent: "device",
  });
  definePrivacyElement();
  const element = document.querySelector("onshelf-privacy");
  element.itemName = (id) => names.get(id);
  element.shelf = shelf;
  for (const { item_id } of products.filter(({ category }) => category.includes("Mugs")).slice(0, 3))
    await shelf.track({ event: "view_item", item_id, dwell_ms: 9000 });
  await shelf.track({ event: "view_item", item_id: products[4].item_id, dwell_ms: 9000 });
  await shelf.fineTune({ steps: 8 });
  document.documentElement.dataset.ready = "true";
</script></html>`;

async function privacyElement(colorScheme) {
  const viewport = { width: 760, height: 820 };
  const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.route("**/privacy.html", (route) =>
    route.fulfill({ contentType: "text/html", body: PRIVACY }),
  );
  await page.goto(`${server.url}/privacy.html`);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "true");
  await page.waitForTimeout(600);
  await page.screenshot({ path: join(out, `privacy-${colorScheme}.png`), fullPage: true });
  console.log(`privacy-${colorScheme}.png`);
  await context.close();
}

async function operatorsConsole(colorScheme) {
  const viewport = { width: 1280, height: 1000 };
  const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(values.console);
  await page.waitForSelector('html[data-ready="true"]');
  await page.waitForTimeout(600);
  await page.screenshot({ path: join(out, `console-${colorScheme}.png`), fullPage: true });
  console.log(`console-${colorScheme}.png`);
  await context.close();
}

const shot = async (page, name) => {
  await page.waitForTimeout(600);
  await page.screenshot({ path: join(out, `${name}.png`) });
  console.log(`${name}.png`);
};

try {
  for (const scheme of ["light", "dark"]) {
    const { page, close } = await open(scheme, { width: 1280, height: 860 });
    await shop(page, 3);
    await shot(page, `product-${scheme}`);
    await page.evaluate(() => (location.hash = "#/"));
    await page.waitForSelector(`${id("shelf-for-you")} ${id("product-card")}`);
    await shot(page, `shop-${scheme}`);
    await page
      .locator(`${id("shelf-for-you")} ${id("why-button")}`)
      .first()
      .click();
    await page.waitForSelector(`${id("why-dialog")}[open]`);
    await shot(page, `why-${scheme}`);
    await page.keyboard.press("Escape");
    const panel = page.locator(id("panel"));
    await page.waitForTimeout(300);
    await panel.first().screenshot({ path: join(out, `panel-${scheme}.png`) });
    console.log(`panel-${scheme}.png`);
    await close();
  }
  for (const scheme of ["light", "dark"]) {
    await privacyElement(scheme);
    await twoShoppers(scheme);
    if (values.console !== undefined) await operatorsConsole(scheme);
  }
  for (const [name, query, viewport] of [
    ["phone", "", { width: 360, height: 740 }],
    ["arabic", "&lang=ar", { width: 1280, height: 860 }],
  ]) {
    const { page, close } = await open("light", viewport, query);
    await shot(page, name);
    await close();
  }
} finally {
  await closeDemo();
}
