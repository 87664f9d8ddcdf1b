/** Every example, from the packed package, in Chromium under the policy that its README names. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { integrity } from "../../www/integrity.mjs";
import { startServer } from "../../www/serve.mjs";
import * as shop from "./examples.mjs";
import { ROOT, launchChromium, skipWithout } from "./harness.mjs";

const skip = skipWithout("chromium");
const options = { skip, timeout: 300_000 };
const POLICY = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'";
const CDN = "https://cdn.jsdelivr.net/npm/onshelf@0.1.0";

let browser;
let packed;
let tarball;

if (skip === false) {
  before(async () => {
    packed = shop.workFolder();
    tarball = shop.pack(packed.folder);
    browser = await launchChromium();
  });
  after(async () => {
    await browser?.close();
    packed?.remove();
  });
}

/** Serves a folder with a policy; an icon that pages do not have is answered with nothing. */
function serve(folder, policy, intercept = () => false) {
  return startServer({
    mounts: { "/": folder },
    intercept(request, response) {
      response.setHeader(
        "Content-Security-Policy",
        typeof policy === "string" ? policy : policy(request),
      );
      if (request.url !== "/favicon.ico") return intercept(request, response);
      response.writeHead(204).end();
      return true;
    },
  });
}

async function open(url) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems = [];
  const asked = [];
  page.on("pageerror", (error) => problems.push(`uncaught: ${error.message}`));
  page.on("console", (message) => {
    const about = message.text() + message.location().url;
    const ours = ["error", "warning"].includes(message.type());
    if (ours && !about.includes("favicon.ico")) problems.push(message.text());
  });
  context.on("request", (request) => asked.push(request.url()));
  await page.goto(url);
  return { page, problems, asked, close: () => context.close() };
}

const shown = (page) =>
  page.$$eval("#shelf [data-item]", (cards) => cards.map((card) => card.dataset.item));

/** Waits until the shelf shows something else than before, and gives it. */
async function next(page, before) {
  await page.waitForFunction(
    (before) =>
      [...document.querySelectorAll("#shelf [data-item]")].map((c) => c.dataset.item).join() !==
      before,
    before.join(),
    { timeout: 20_000 },
  );
  return shown(page);
}

/** The shelf is filled, a click orders it anew, another one again; gives the shelves. */
async function shopsAt(url, { also = [] } = {}) {
  const { page, problems, asked, close } = await open(url);
  try {
    const filled = await next(page, ["sku-0001", "sku-0002"]);
    assert.equal(filled.length, 8);
    await page.click(`[data-item="${filled[5]}"]`);
    const once = await next(page, filled);
    await page.click(`[data-item="${once[6]}"]`);
    const twice = await next(page, once);
    assert.equal(new Set(twice).size, 8);
    assert.deepEqual(problems, []);
    for (const address of asked) {
      assert.ok(
        [url, ...also].some(
          (origin) => address.startsWith(`${origin}/`) || address.startsWith("blob:"),
        ),
        address,
      );
    }
    return { shelves: [filled, once], asked };
  } catch (error) {
    const said = problems.join("; ") || "nothing";
    throw new Error(`${error.message}; the page said: ${said}`, { cause: error });
  } finally {
    await close();
  }
}

/** Shelves before anything is learned are the same numbers in every bundle. */
let first = null;
function sameAsOthers(shelves) {
  first ??= shelves;
  assert.deepEqual(shelves, first);
}

/** Prepares an example in a folder of its own and has `body` try it there. */
async function withExample(t, name, [publicFolder, keysFolder], body) {
  const work = shop.workFolder();
  try {
    shop.copyExample(name, work.folder, publicFolder, keysFolder);
    const why = shop.install(name, work.folder, tarball);
    if (why !== null) return t.skip(why);
    await body(work.folder);
  } finally {
    work.remove();
  }
}

test("the tarball has what integrity.json lists, and nothing else", options, () => {
  const folder = join(packed.folder, "unpacked");
  shop.unpack(tarball, folder);
  const listed = JSON.parse(readFileSync(join(folder, "integrity.json"), "utf8"));
  const found = Object.fromEntries(
    readdirSync(folder)
      .filter((name) => name !== "integrity.json")
      .map((name) => [name, integrity(readFileSync(join(folder, name)))]),
  );
  assert.deepEqual(listed, found);
  const { exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const targets = Object.values(exports).flatMap((to) =>
    typeof to === "string" ? to : Object.values(to),
  );
  for (const target of targets) assert.ok(existsSync(join(folder, target)), target);
});

const TYPED = `import { consentMode, Onshelf, OnshelfError, type Shelf } from "onshelf";
import { definePrivacyElement } from "onshelf/privacy";
definePrivacyElement();
await using shelf = await Onshelf.load({ model: "/m.json", publicKeys: [], consent: consentMode() });
const list: Shelf = await shelf.recommend({ slot: "home", filter: { in_stock: true } });
const ids: string[] = list.items.map(({ item_id }) => item_id);
export const code = (error: unknown) => (error instanceof OnshelfError ? error.code : ids[0]);
// @ts-expect-error: a request needs a place
await shelf.recommend({ count: 8 });
`;

for (const [module, resolution] of [
  ["nodenext", "nodenext"],
  ["esnext", "bundler"],
]) {
  test(`the package's types under strict TypeScript, ${resolution}`, options, () => {
    const work = shop.workFolder();
    shop.unpack(tarball, join(work.folder, "node_modules/onshelf"));
    writeFileSync(join(work.folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(work.folder, "shop.ts"), TYPED);
    const flags = `--noEmit --strict --target esnext --lib esnext,dom,dom.iterable --types`.split(
      " ",
    );
    const more = ["", "--module", module, "--moduleResolution", resolution, "shop.ts"];
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const done = spawnSync(process.execPath, [tsc, ...flags, ...more], {
      cwd: work.folder,
      encoding: "utf8",
    });
    work.remove();
    assert.equal(done.status, 0, done.stdout + done.stderr);
  });
}

test("plain HTML", options, async () => {
  const work = shop.workFolder();
  shop.copyExample("html", work.folder, ".", ".");
  shop.unpack(tarball, join(work.folder, "onshelf"));
  const site = await serve(work.folder, POLICY);
  try {
    sameAsOthers((await shopsAt(site.url)).shelves);
  } finally {
    await site.close();
    work.remove();
  }
});

/** The shop's pages and the CDN's files on two origins. */
async function onTwoOrigins(value, body) {
  const work = shop.workFolder();
  shop.copyExample("cdn", work.folder, ".", ".");
  shop.unpack(tarball, join(packed.folder, "cdn"));
  const cdn = await serve(join(packed.folder, "cdn"), "", (request, response) => {
    response.setHeader("Access-Control-Allow-Origin", "*");
    return false;
  });
  for (const name of ["index.html", "shop.js"]) {
    const path = join(work.folder, name);
    const text = readFileSync(path, "utf8").replaceAll(CDN, cdn.url).replace("sha384-VALUE", value);
    writeFileSync(path, text);
  }
  const policy =
    `default-src 'self'; script-src 'self' ${cdn.url} 'wasm-unsafe-eval'; ` +
    `connect-src 'self' ${cdn.url}; worker-src blob: ${cdn.url}`;
  const site = await serve(work.folder, policy);
  try {
    await body(site.url, cdn.url);
  } finally {
    await site.close();
    await cdn.close();
    work.remove();
  }
}

const values = () => JSON.parse(readFileSync(join(ROOT, "dist/onshelf/integrity.json"), "utf8"));

test("a CDN on another origin, with the published integrity value", options, async () => {
  await onTwoOrigins(values()["index.js"], async (url, cdn) => {
    const { shelves, asked } = await shopsAt(url, { also: [cdn] });
    sameAsOthers(shelves);
    for (const name of ["index.js", "onshelf-worker.js?v=0.1.0", "onshelf_cpu_bg.wasm?v=0.1.0"]) {
      assert.ok(asked.includes(`${cdn}/${name}`), name);
    }
  });
});

test("a CDN whose file is not the published one: the server's list stays", options, async () => {
  await onTwoOrigins(values()["privacy.js"], async (url) => {
    const { page, problems, close } = await open(url);
    await page.waitForTimeout(2_000);
    assert.deepEqual(await shown(page), ["sku-0001", "sku-0002"]);
    assert.match(problems.join("\n"), /integrity/);
    await close();
  });
});

test("Vite, in production and while developing", options, async (t) => {
  await withExample(t, "vite", ["public", "src"], async (folder) => {
    const vite = "vite/bin/vite.js";
    shop.run(folder, vite, "build");
    for (const args of [["preview"], []]) {
      const server = await shop.serveWith(folder, vite, ...args);
      try {
        sameAsOthers((await shopsAt(server.url)).shelves);
      } finally {
        await server.close();
      }
    }
  });
});

test("webpack 5", options, async (t) => {
  await withExample(t, "webpack", ["public", "src"], async (folder) => {
    shop.run(folder, "webpack/bin/webpack.js");
    const site = await serve(join(folder, "public"), POLICY);
    try {
      sameAsOthers((await shopsAt(site.url)).shelves);
    } finally {
      await site.close();
    }
  });
});

/** The policy for a page with scripts of its framework's in it: their hashes, and nothing looser. */
function withHashes(html) {
  const hashes = [...html.matchAll(/<script(?![^>]* src=)[^>]*>([^]*?)<\/script>/g)].map(
    ([, script]) => `'sha256-${createHash("sha256").update(script).digest("base64")}'`,
  );
  return POLICY.replace("'wasm-unsafe-eval'", `'wasm-unsafe-eval' ${hashes.join(" ")}`);
}

test("Next.js: the server renders the list, the browser fills it", options, async (t) => {
  await withExample(t, "next", ["public", "app"], async (folder) => {
    shop.run(folder, "next/dist/bin/next", "build");
    const html = readFileSync(join(folder, "out/index.html"), "utf8");
    assert.match(html, /<li><button data-item="sku-0001">/, "the page needs no browser");
    const site = await serve(join(folder, "out"), withHashes(html));
    try {
      sameAsOthers((await shopsAt(site.url)).shelves);
    } finally {
      await site.close();
    }
  });
});

test("six lines in an empty Vite project put a shelf into the page", options, async (t) => {
  const work = shop.workFolder();
  try {
    const readme = readFileSync(join(ROOT, "www/onshelf/README.md"), "utf8");
    const lines = /<!-- six lines -->\s*```js\n([^]*?)```/.exec(readme)[1];
    const code = lines.split("\n").filter((line) => line.trim() !== "");
    assert.ok(code.length <= 6, `${code.length} lines`);
    shop.copyModel(work.folder, "public", "src");
    // As `npm create vite` leaves it: a package.json with vite in it, and a page.
    cpSync(join(ROOT, "examples/vite/package.json"), join(work.folder, "package.json"));
    writeFileSync(
      join(work.folder, "index.html"),
      '<!doctype html><html lang="en"><title>shop</title><body><script type="module" src="/src/main.js"></script></body></html>\n',
    );
    writeFileSync(join(work.folder, "src/main.js"), lines);
    const why = shop.install("vite", work.folder, tarball);
    if (why !== null) return t.skip(why);
    shop.run(work.folder, "vite/bin/vite.js", "build");
    const site = await serve(join(work.folder, "dist"), POLICY);
    const { page, problems, close } = await open(site.url);
    try {
      await page.waitForFunction(() => document.body.innerText.includes("sku-"), null, {
        timeout: 20_000,
      });
      const text = await page.evaluate(() => document.body.innerText);
      assert.equal(new Set(text.match(/sku-\d{4}/g)).size, 12, text);
      assert.deepEqual(problems, []);
    } finally {
      await close();
      await site.close();
    }
  } finally {
    work.remove();
  }
});
