/** Every page of the documentation site: readable, usable by keyboard, and as wide as a telephone. */

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { after, before, test } from "node:test";
import { startServer } from "../../www/serve.mjs";
import { bind, unbound } from "./book.mjs";
import { violations } from "./axe.mjs";
import { launchChromium, skipWithout } from "./harness.mjs";

const skip = skipWithout("chromium") || unbound;
let folder;
let server;
let browser;
let pages = [];

if (skip === false) {
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "onshelf-site-"));
    const site = bind(folder);
    pages = readdirSync(site, { withFileTypes: true, recursive: true })
      .filter((entry) => entry.name.endsWith(".html") && entry.name !== "toc.html")
      .map((entry) => relative(site, join(entry.parentPath ?? entry.path, entry.name)))
      .sort();
    server = await startServer({ mounts: { "/": site } });
    browser = await launchChromium();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });
}

async function open(path, { colorScheme = "light", width = 1280 } = {}) {
  const viewport = { width, height: 800 };
  const page = await browser.newPage({ colorScheme, viewport, reducedMotion: "reduce" });
  await page.goto(`${server.url}/${path}`);
  return page;
}

for (const colorScheme of ["light", "dark"])
  test(
    `docs: no page breaks a rule of accessibility, ${colorScheme}`,
    { skip, timeout: 600_000 },
    async (t) => {
      assert.ok(pages.length >= 20, `${pages.length} pages`);
      const found = [];
      for (const path of pages) {
        const page = await open(path, { colorScheme });
        found.push(...(await violations(page)).map((what) => `${path}: ${what}`));
        await page.close();
      }
      t.diagnostic(`${pages.length} pages`);
      assert.deepEqual(found, []);
    },
  );

test(
  "docs: no page is wider than a telephone, and its parts open there",
  { skip, timeout: 300_000 },
  async () => {
    const wide = [];
    for (const path of pages) {
      const page = await open(path, { width: 360 });
      const pixels = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (pixels > 0) wide.push(`${path}: ${pixels} pixels`);
      await page.close();
    }
    assert.deepEqual(wide, []);
    for (const colorScheme of ["light", "dark"]) {
      const page = await open("start.html", { width: 360, colorScheme });
      await page.click("#mdbook-sidebar-toggle");
      await page.waitForSelector("#mdbook-sidebar a", { state: "visible" });
      assert.deepEqual(await violations(page), [], `contents, ${colorScheme}`);
      await page.click("#mdbook-sidebar-toggle");
      await page.click("#mdbook-theme-toggle");
      assert.deepEqual(await violations(page), [], `themes, ${colorScheme}`);
      const themes = await page.$$eval("#mdbook-theme-list button", (all) =>
        all.filter((one) => one.checkVisibility()).map((one) => one.textContent.trim()),
      );
      assert.deepEqual(themes, ["Auto", "Light", "Navy"]);
      await page.keyboard.press("Escape");
      await page.click("#mdbook-search-toggle");
      // mdBook looks when a key is let go: a text that is only put in is not searched once the index is there.
      await page.locator("#mdbook-searchbar").pressSequentially("consent");
      await page.waitForSelector("#mdbook-searchresults a");
      assert.deepEqual(await violations(page), [], `search, ${colorScheme}`);
      await page.close();
    }
  },
);

test("docs: the site is used by keyboard alone", { skip, timeout: 60_000 }, async () => {
  const page = await open("docs/cli.html", { width: 700 });
  const focused = () =>
    page.evaluate(() => {
      const { id, tagName, className } = document.activeElement;
      return id || `${tagName}.${className}`;
    });
  await page.keyboard.press("Tab");
  assert.equal(await focused(), "A.skip");
  const box = await page.$eval(".skip", (link) => link.getBoundingClientRect().top);
  assert.ok(box >= 0, "the link to the text is seen when it has the focus");
  await page.keyboard.press("Enter");
  assert.equal(await focused(), "main");
  // From the text on: every block that scrolls can be reached, and scrolled.
  const code = 'main code[tabindex="0"]';
  assert.ok((await page.$$(code)).length > 0);
  await page.focus(code);
  await page.keyboard.press("ArrowRight");
  await page.waitForFunction((one) => document.querySelector(one).scrollLeft > 0, code);
  assert.match(page.url(), /cli\.html/, "an arrow scrolls, and does not turn the page");
  // A letter alone opens nothing.
  await page.keyboard.press("s");
  assert.equal(await page.isVisible("#mdbook-searchbar"), false);
  await page.focus("#mdbook-search-toggle");
  await page.keyboard.press("Enter");
  assert.equal(await page.isVisible("#mdbook-searchbar"), true);
  await page.keyboard.press("Escape");
  // The table of contents opens and shuts.
  const shown = () =>
    page.$eval("#mdbook-sidebar", (nav) => getComputedStyle(nav).display !== "none");
  assert.equal(await shown(), false);
  await page.focus("#mdbook-sidebar-toggle");
  await page.keyboard.press("Enter");
  assert.equal(await shown(), true);
  assert.equal(await page.getAttribute("#mdbook-sidebar-toggle", "aria-expanded"), "true");
  await page.keyboard.press("Space");
  assert.equal(await page.getAttribute("#mdbook-sidebar-toggle", "aria-expanded"), "false");
  await page.close();
});
