/**
 * The demo shop from right to left: the same page, mirrored; a language that is written so; and the
 * rules of accessibility there. Layout needs no model, so the engine is the fake one.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { violations } from "./axe.mjs";
import { browserSuite, ROOT } from "./harness.mjs";

const KINDS = [
  ["Home & Living", "Kitchen", "Mugs"],
  ["Fashion", "Shoes", "Sneakers"],
  ["Electronics", "Audio", "Headphones"],
  ["Books", "Fiction", "Novels"],
  ["Garden", "Plants", "Herbs"],
];
const COLOURS = ["red", "teal", "amber", "grey", "blue", "cream"];
const PRODUCTS = Array.from({ length: 150 }, (_, at) => {
  const category = KINDS[at % KINDS.length];
  const colour = COLOURS[at % COLOURS.length];
  return {
    item_id: `item-${at}`,
    name: `${colour} ${category[2]} no. ${at} (${at % 2 ? "large" : "small, with a longer name"})`,
    brand: ["Osier", "Tolka & Sons", "Veld"][at % 3],
    category,
    price: 4.5 + at,
    stock: [12, 3, 0, 40][at % 4],
    colour,
    pattern: ["plain", "stripes", "dots"][at % 3],
  };
});
const FILES = {
  "/products.json": { shop: "Tiny Shop", currency: "EUR", products: PRODUCTS },
  "/models/public-keys.json": ["a key"],
};

const folder = mkdtempSync(join(tmpdir(), "onshelf-rtl-"));
before(async () => {
  const { build } = await import("esbuild");
  const source = join(ROOT, "www/shop");
  const entryPoints = [join(source, "src/main.ts"), join(source, "src/styles.css")];
  await build({ entryPoints, bundle: true, format: "esm", outdir: folder, logLevel: "warning" });
  await cp(join(source, "index.html"), join(folder, "index.html"));
});
after(() => rmSync(folder, { recursive: true, force: true }));

const suite = browserSuite("chromium", {
  timeout: 240_000,
  mounts: { "/": folder },
  intercept(request, response) {
    if (request.url === "/models/versions.log") {
      response.writeHead(200, { "Content-Type": "text/plain" }).end("*");
      return true;
    }
    const file = FILES[request.url];
    if (file === undefined) return false;
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end(JSON.stringify(file));
    return true;
  },
});

const VIEWS = ["#/", "#/p/item-6", `#/c/${encodeURIComponent("Home & Living")}`, "#/search?q=red"];
const SIZES = [
  { width: 1280, height: 900 },
  { width: 360, height: 740 },
];

/** A shelf that was ranked is on the page. */
const ready = (raw) =>
  raw.waitForFunction(() => document.documentElement.dataset.ready === "true", null, {
    timeout: 60_000,
  });

async function open({ page: { raw }, url }, query, view) {
  // A change of the fragment alone would not load the page anew.
  await raw.goto("about:blank");
  await raw.goto(`${url}/index.html?device=cpu&${query}${view}`);
  await ready(raw);
  await raw.waitForTimeout(300);
  return raw;
}

/**
 * Boxes of the page, but for parts of drawings, whose place from right to left is not the mirror
 * image of their place from left to right; and how many were looked at. All in one turn of the
 * page, which goes on drawing shelves otherwise.
 */
const notMirrored = (raw) =>
  raw.evaluate(() => {
    const shown = [...document.querySelectorAll("#app *:not(svg *):not(.sr-only)")];
    const places = (dir) => {
      document.dir = dir;
      return shown.map((one) => one.getBoundingClientRect());
    };
    const [plain, mirror] = [places("ltr"), places("rtl")];
    const wrong = shown.filter((_, at) => {
      const [one, other] = [plain[at], mirror[at]];
      const apart = [
        innerWidth - other.right - one.left,
        other.top - one.top,
        other.width - one.width,
      ];
      return one.width > 0 && apart.some((pixels) => Math.abs(pixels) > 1);
    });
    const names = wrong.map((one) => `${one.tagName}.${one.getAttribute("class")}`);
    return { wrong: names, boxes: plain.filter(({ width }) => width > 0).length };
  });

for (const size of SIZES)
  suite.test(
    `from right to left the shop is its own mirror image, ${size.width}`,
    async (given) => {
      await given.page.raw.emulateMedia({ reducedMotion: "reduce" });
      await given.page.raw.setViewportSize(size);
      let compared = 0;
      for (const view of VIEWS) {
        const { wrong, boxes } = await notMirrored(await open(given, "dir=ltr", view));
        assert.deepEqual(wrong, [], view);
        compared += boxes;
      }
      assert.ok(compared > 1000, `${compared} boxes`);
    },
  );

suite.test(
  "the shop speaks Arabic, from right to left, and leads back to English",
  async (given) => {
    for (const colorScheme of ["light", "dark"])
      for (const size of SIZES)
        for (const view of VIEWS) {
          await given.page.raw.emulateMedia({ colorScheme, reducedMotion: "reduce" });
          await given.page.raw.setViewportSize(size);
          const raw = await open(given, "lang=ar", view);
          const where = `${view}, ${colorScheme}, ${size.width}`;
          const { lang, dir } = await raw.evaluate(() => ({
            lang: document.documentElement.lang,
            dir: document.dir,
          }));
          assert.deepEqual([lang, dir], ["ar", "rtl"]);
          assert.deepEqual(await violations(raw), [], where);
          const wide = await raw.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${where}: ${wide} pixels too wide`);
        }
    await given.page.raw.setViewportSize(SIZES[0]);
    const raw = await open(given, "lang=ar&dir=rtl", "#/p/item-6");
    await raw.click('[data-testid="languages"] a[lang="en"]');
    await raw.waitForFunction(() => document.documentElement.dataset.ready === "true");
    const { lang, dir } = await raw.evaluate(() => ({
      lang: document.documentElement.lang,
      dir: document.dir,
    }));
    assert.deepEqual([lang, dir], ["en", "ltr"]);
    assert.equal(new URL(raw.url()).hash, "#/p/item-6");
  },
);

suite.test("a shelf's arrows scroll on and back from right to left", async (given) => {
  await given.page.raw.emulateMedia({ reducedMotion: "reduce" });
  await given.page.raw.setViewportSize({ width: 1000, height: 900 });
  const raw = await open(given, "dir=rtl", "#/");
  const popular = '[data-testid="shelf-popular"]';
  const at = () => raw.$eval(`${popular} .cards`, (list) => Math.round(list.scrollLeft));
  assert.equal(await at(), 0);
  const [back, on] = await raw.$$(`${popular} .scroller`);
  await on.click();
  const there = await at();
  assert.ok(there < -300, `${there} pixels`);
  await back.click();
  assert.equal(await at(), 0);
  // Arrows point to where they lead.
  const [backAt, onAt] = [await back.boundingBox(), await on.boundingBox()];
  assert.ok(onAt.x < backAt.x, "the arrow that leads on stands further left");
});

test("the shop: every language says everything that English says", async () => {
  const { build } = await import("esbuild");
  const outfile = join(folder, "i18n.mjs");
  await build({
    stdin: {
      contents: 'export { ar } from "./texts/ar.ts"; export { en } from "./texts/en.ts";',
      resolveDir: join(ROOT, "www/shop/src"),
    },
    bundle: true,
    format: "esm",
    outfile,
    logLevel: "warning",
  });
  const { ar, en } = await import(outfile);
  const said = (table, path = "") =>
    Object.entries(table).flatMap(([key, text]) =>
      typeof text === "object" ? said(text, `${path}${key}.`) : [[`${path}${key}`, text]],
    );
  const same = new Set(["dir", "none", "movedUp"]);
  const english = said(en);
  const arabic = new Map(said(ar));
  for (const [key, text] of english) {
    const other = arabic.get(key);
    assert.equal(typeof other, typeof text, key);
    const spoken = (one) => (typeof one === "function" ? one("3", 3, 5) : one);
    if (!same.has(key)) assert.match(String(spoken(other)), /[\u0600-\u06ff]/u, key);
  }
});
