/**
 * What browser tests need: the package (built here, or a finished `dist/`), a server, a browser
 * and a page that reports every error.
 *
 * ```js
 * import { test } from "node:test";
 * import { browserSuite } from "./harness.mjs";
 *
 * const suite = browserSuite("chromium", { dist: "dist/onshelf", mounts: { "/models/": "…" } });
 * suite.test("ranks", async ({ page, url }) => {
 *   const items = await page.run(async (model) => {
 *     const shelf = await onshelf.Onshelf.load({ model, publicKeys: ["…"] });
 *     return (await shelf.recommend({ slot: "home" })).items;
 *   }, `${url}/models/manifest.json`);
 *   assert.equal(items.length, 10);
 * });
 * ```
 *
 * In the page, `onshelf` is the package's module. A function given to `page.run` runs there: it
 * sees nothing of the test's variables but its one argument, and both ways go through JSON.
 */

import { after, before, test } from "node:test";
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { accessSync, constants, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { startServer } from "../../www/serve.mjs";

/** Root of the repository. */
export const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");

const FAKE = join(ROOT, "tests/browser/fake");

/** What Chromium is started with; WebGPU on the software adapter where there is no GPU. */
export const CHROMIUM_ARGS = [
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--use-webgpu-adapter=swiftshader",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * The strictest policy a shop might have: nothing from elsewhere, and no eval but wasm's. Images
 * only for the icon that Firefox asks for by itself.
 */
export const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; " +
  "connect-src 'self'; img-src 'self'";

const BLANK = `<!doctype html><html lang="en"><meta charset="utf-8"><title>onshelf test</title>
<script type="module" src="/test-page.js"></script></html>`;

const PAGE_SCRIPT = `import * as onshelf from "/onshelf/index.js";\nglobalThis.onshelf = onshelf;\n`;

/**
 * Where a browser's program is: `CHROMIUM` and `FIREFOX` in the environment go before Debian's
 * paths.
 *
 * @param {"chromium" | "firefox"} name
 * @returns {string | null} null where it is not installed
 */
export function browserPath(name) {
  const usual = { chromium: "/usr/bin/chromium", firefox: "/usr/bin/firefox-esr" };
  const path = process.env[name.toUpperCase()] ?? usual[name];
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return null;
  }
}

/**
 * For the `skip` option of `test`: `false`, or the reason why tests in this browser cannot run.
 *
 * @param {"chromium" | "firefox"} name
 */
export function skipWithout(name) {
  return browserPath(name) === null
    ? `${name} is not installed; set ${name.toUpperCase()} to its path`
    : false;
}

/**
 * Bundles the package into a new temporary folder, together with the fake engines.
 *
 * @returns {Promise<{ folder: string, remove: () => Promise<void> }>}
 */
export async function buildWithFakes() {
  const { build } = await import("esbuild");
  const folder = await mkdtemp(join(tmpdir(), "onshelf-test-"));
  const source = join(ROOT, "www/onshelf/src");
  await build({
    entryPoints: {
      index: join(source, "index.ts"),
      "onshelf-worker": join(source, "worker.ts"),
      privacy: join(source, "privacy.ts"),
      shelf: join(source, "shelf-element.ts"),
      react: join(source, "react.ts"),
      "service-worker": join(source, "service-worker.ts"),
    },
    bundle: true,
    external: ["react"],
    format: "esm",
    outdir: folder,
    logLevel: "warning",
  });
  await cp(FAKE, folder, { recursive: true });
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}

/**
 * Starts the server of one suite: the package at `/onshelf/`, the blank page at `/blank.html`
 * under {@link POLICY}, and the given mounts.
 *
 * @param {object} options
 * @param {string} [options.dist] a finished package; default: bundled here with the fakes
 * @param {Record<string, string>} [options.mounts] more folders by prefix
 * @param {(request, response) => boolean} [options.intercept] goes first; true where it answered
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function startSite({ dist, mounts = {}, intercept } = {}) {
  if (dist !== undefined && !existsSync(resolve(ROOT, dist, "index.js"))) {
    throw new Error(`${dist} holds no package: run the build first`);
  }
  const built = dist === undefined ? await buildWithFakes() : null;
  const counts = new Map();
  const pages = {
    "/blank.html": ["text/html; charset=utf-8", () => BLANK],
    "/test-page.js": ["text/javascript; charset=utf-8", () => PAGE_SCRIPT],
    // Of the fake's model: no manifest, and a log of versions that names all of them.
    "/fake.json": ["application/json", () => "{}"],
    "/versions.log": ["text/plain", () => "*\n"],
    // See countedBelow in fake/fake-engine.js.
    "/fake-count": [
      "text/plain",
      (query) => {
        const name = query.get("name");
        counts.set(name, (counts.get(name) ?? 0) + 1);
        return String(counts.get(name));
      },
    ],
  };
  const server = await startServer({
    mounts: { "/onshelf/": built?.folder ?? resolve(ROOT, dist), ...mounts },
    intercept(request, response) {
      if (intercept?.(request, response)) return true;
      const { pathname, searchParams } = new URL(request.url, "http://localhost");
      const page = pages[pathname];
      if (pathname !== "/favicon.ico" && page === undefined) return false;
      response.setHeader("Cache-Control", "no-store");
      if (page === undefined) return (response.writeHead(204).end(), true);
      response.writeHead(200, { "Content-Type": page[0], "Content-Security-Policy": POLICY });
      response.end(page[1](searchParams));
      return true;
    },
  });
  return {
    url: server.url,
    counts,
    async close() {
      await server.close();
      await built?.remove();
    },
  };
}

/**
 * @typedef {object} TestPage one tab
 * @property {(work: Function, argument?: unknown) => Promise<any>} run runs a function in it
 * @property {(condition: Function, argument?: unknown) => Promise<void>} until waits until a function, run in it,
 *   gives something true; fails after ten seconds
 * @property {(pattern: RegExp) => void} expectProblem errors that match are part of the test
 * @property {string[]} problems console errors and uncaught exceptions so far
 * @property {(path: string) => Promise<void>} open goes to another path of the same site
 * @property {() => Promise<TestPage>} sibling another tab with the same storage
 * @property {object} raw the page of playwright-core (Chromium) or puppeteer-core (Firefox)
 * @property {() => Promise<void>} close closes it, and throws if there was an unexpected error
 */

/**
 * Starts a browser.
 *
 * @param {"chromium" | "firefox"} name
 * @returns {Promise<{ name: string, newPage: (url: string) => Promise<TestPage>,
 *   close: () => Promise<void> }>} every `newPage` has storage of its own
 */
export async function openBrowser(name) {
  const executablePath = browserPath(name);
  if (executablePath === null) throw new Error(skipWithout(name));
  if (name === "chromium") {
    const browser = await launchChromium();
    const newPage = async (url) => openPage(await browser.newContext(), url, true);
    return { name, newPage, close: () => browser.close() };
  }
  const { launch } = await import("puppeteer-core");
  // A fine pointer that hovers: a machine without a mouse would say that there is none.
  const mouse = { "ui.primaryPointerCapabilities": 6, "ui.allPointerCapabilities": 6 };
  const options = { browser: "firefox", executablePath, headless: true, extraPrefsFirefox: mouse };
  const browser = await launch(options);
  const newPage = async (url) => openPage(await browser.createBrowserContext(), url, true);
  return { name, newPage, close: () => browser.close() };
}

/** Chromium by itself, for tests with sites and pages of their own; `more` goes to playwright's `launch`. */
export async function launchChromium(more = {}) {
  const { chromium } = await import("playwright-core");
  const executablePath = browserPath("chromium");
  return chromium.launch({ executablePath, args: CHROMIUM_ARGS, ...more });
}

/** Playwright and puppeteer agree on every method used here. */
async function openPage(context, url, ownsContext) {
  const raw = await context.newPage();
  const problems = [];
  const expected = [];
  raw.on("pageerror", (error) => problems.push(`uncaught: ${error?.message ?? error}`));
  raw.on("console", (message) => {
    if (message.type() === "error") problems.push(`console: ${message.text()}`);
  });
  const open = async (path) => {
    await raw.goto(url + path);
    await raw.waitForFunction(() => globalThis.onshelf !== undefined);
  };
  await open("/blank.html");
  return {
    raw,
    problems,
    open,
    run: (work, argument) => raw.evaluate(work, argument),
    // The drivers' own ways to wait take their arguments in different places.
    async until(condition, argument) {
      const end = Date.now() + 10_000;
      while (!(await raw.evaluate(condition, argument))) {
        if (Date.now() > end) throw new Error(`waited in vain: ${condition}`);
        await new Promise((done) => setTimeout(done, 25));
      }
    },
    expectProblem: (pattern) => expected.push(pattern),
    sibling: () => openPage(context, url, false),
    async close() {
      await (ownsContext ? context.close() : raw.close());
      const left = problems.filter((text) => !expected.some((pattern) => pattern.test(text)));
      assert.deepEqual(left, [], "the page reported errors");
    },
  };
}

/**
 * One server and one browser for a file's tests; each test gets a page with storage of its own,
 * and fails on any error that the page reports. Where the browser is absent every test is
 * skipped, with the reason.
 *
 * @param {"chromium" | "firefox"} name
 * @param {object} [options] as of {@link startSite}; `timeout` in ms for each test (60,000)
 * @returns {{ test: (title: string, body: (context: { page: TestPage, url: string,
 *   newPage: () => Promise<TestPage>, site: object }) => Promise<void>) => void }}
 */
export function browserSuite(name, { timeout = 60_000, ...options } = {}) {
  const skip = skipWithout(name);
  let site;
  let browser;
  if (skip === false) {
    before(async () => {
      site = await startSite(options);
      browser = await openBrowser(name);
    });
    after(async () => {
      await browser?.close();
      await site?.close();
    });
  }
  return {
    test(title, body) {
      test(`${name}: ${title}`, { skip, timeout }, async () => {
        const pages = [];
        const newPage = async () => {
          const page = await browser.newPage(site.url);
          pages.unshift(page);
          return page;
        };
        const page = await newPage();
        site.counts.clear();
        let failure;
        try {
          await body({ page, url: site.url, newPage, site });
        } catch (error) {
          failure = error;
        }
        for (const open of pages) {
          // The body's own failure tells more than an error that followed from it.
          await open.close().catch((error) => (failure ??= error));
        }
        if (failure !== undefined) throw failure;
      });
    },
  };
}
