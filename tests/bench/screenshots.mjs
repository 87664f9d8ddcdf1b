/**
 * Screenshots of the demo shop into docs/screenshots, light and dark, desktop and phone.
 *
 *     node tests/bench/screenshots.mjs [DEMO FOLDER]
 *
 * The folder is the one that `./build.sh demo` filled.
 */

import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { ROOT } from "../browser/harness.mjs";
import { openDemo } from "./served.mjs";

const demo = resolve(process.argv[2] ?? join(ROOT, "build/demo"));
const out = join(ROOT, "docs/screenshots");
mkdirSync(out, { recursive: true });

const { server, browser, close: closeDemo } = await openDemo(demo);
const id = (name) => `[data-testid="${name}"]`;

async function open(colorScheme, viewport) {
  const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(`page: ${error.message}`));
  page.on(
    "console",
    (message) => message.type() === "error" && console.error(`console: ${message.text()}`),
  );
  await page.goto(`${server.url}/index.html?device=cpu`);
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
  const context = await browser.newContext({ colorScheme, viewport, reducedMotion: "reduce" });
  const page = await context.newPage();
  await page.goto(`${server.url}/two.html?device=cpu`);
  await page.waitForFunction(() => document.documentElement.dataset.ready === "true");
  await page.waitForTimeout(2500);
  await page.click(id("go"));
  await page.waitForTimeout(23_000);
  await page.screenshot({ path: join(out, `two-${colorScheme}.png`) });
  console.log(`two-${colorScheme}.png`);
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
  for (const scheme of ["light", "dark"]) await twoShoppers(scheme);
  const { page, close } = await open("light", { width: 360, height: 740 });
  await shot(page, "phone");
  await close();
} finally {
  await closeDemo();
}
