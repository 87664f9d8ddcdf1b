/**
 * Ten clicks in the demo shop and the personal shelf after each, as one picture:
 * docs/screenshots/ten-clicks.png.
 *
 *     node tests/bench/ten-clicks.mjs [DEMO FOLDER]
 *
 * The folder is the one that `./build.sh demo` filled. The shopper looks at things of one category, and in
 * the middle turns to another; between clicks the worker learns by itself.
 */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { ROOT } from "../browser/harness.mjs";
import { openDemo } from "./served.mjs";

const demo = resolve(process.argv[2] ?? join(ROOT, "build/demo"));
const out = join(ROOT, "docs/screenshots/ten-clicks.png");
const { products } = JSON.parse(readFileSync(join(demo, "products.json"), "utf8"));

/** Five items of each of two categories that begin differently. */
function tour() {
  const by = new Map();
  for (const product of products) {
    const name = product.category.join(" › ");
    by.set(name, [...(by.get(name) ?? []), product]);
  }
  const large = [...by].filter(([, items]) => items.length >= 5);
  const [first] = large;
  const second = large.find(([name]) => name.split(" › ")[0] !== first[0].split(" › ")[0]);
  return [first, second].flatMap(([category, items]) =>
    items.slice(0, 5).map((item) => ({ id: item.item_id, name: item.name, category })),
  );
}

const { server, browser, close: closeDemo } = await openDemo(demo);
const shelf = '[data-testid="shelf-for-you"]';

try {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 900 },
    reducedMotion: "reduce",
  });
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  await page.goto(`${server.url}/index.html?device=cpu`);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "true");
  const frames = [];
  const frame = async (caption) => {
    await page.waitForSelector(`${shelf} [data-testid="product-card"]`);
    await page.waitForTimeout(900);
    // The first row is what a shopper sees first.
    await page.locator(shelf).first().scrollIntoViewIfNeeded();
    const { x, y, width } = await page.locator(shelf).first().boundingBox();
    const card = await page.locator(`${shelf} [data-testid="product-card"]`).first().boundingBox();
    const clip = { x, y, width, height: card.y + card.height + 8 - y };
    const picture = await page.screenshot({ clip });
    frames.push({ caption, picture: picture.toString("base64") });
  };
  await frame("before the first click");
  for (const [at, { id, name, category }] of tour().entries()) {
    await page.evaluate((item) => (location.hash = `#/p/${item}`), id);
    await page.waitForSelector('[data-testid="add-to-basket"]');
    // Long enough to count as a look, and for the worker to learn.
    await page.waitForTimeout(2200);
    await page.evaluate(() => (location.hash = "#/"));
    await frame(`${at + 1}. ${name} — ${category}`);
  }
  await page.setViewportSize({ width: 1400, height: 900 });
  await page.setContent(
    `<style>body{margin:16px;font:16px system-ui;background:#fff;color:#222;display:grid;
      grid-template-columns:1fr 1fr;gap:14px 20px}figure{margin:0}img{width:100%;border:1px solid #ddd;
      border-radius:6px}figcaption{font-weight:600;padding-bottom:4px}</style>` +
      frames
        .map(
          ({ caption, picture }) =>
            `<figure><figcaption>${caption}</figcaption><img src="data:image/png;base64,${picture}"></figure>`,
        )
        .join(""),
  );
  await page.waitForTimeout(400);
  await page.screenshot({ path: out, fullPage: true });
  console.log(out);
} finally {
  await closeDemo();
}
