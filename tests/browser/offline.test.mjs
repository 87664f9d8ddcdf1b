/** One visit, then the server is stopped: page, package and model come from what was kept, with the real modules. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { openBrowser, skipWithout, startSite } from "./harness.mjs";
import { KEYS, MANIFEST, REAL } from "./real.mjs";
import { register, shopsWorker } from "./service-workers.mjs";

const SETTINGS = `{ assets: "/onshelf/", files: [...FILES, "index.js", "missing.js"] }`;

/** Ranks a shelf; gives the ids. What is kept of the model is written a moment later. */
const rank = (page) =>
  page.run(
    async ([model, publicKeys]) => {
      const options = { model, publicKeys, device: "cpu" };
      const shelf = await globalThis.onshelf.Onshelf.load(options);
      const { items } = await shelf.recommend({ slot: "home", kind: "popular", count: 8 });
      for (let round = 0; round < 100; round++) {
        const cache = (await caches.has("onshelf-models")) && (await caches.open("onshelf-models"));
        if (cache && (await cache.keys()).length >= 3) break;
        await new Promise((done) => setTimeout(done, 50));
      }
      await shelf.dispose();
      return items.map(({ item_id }) => item_id);
    },
    [MANIFEST, KEYS],
  );

for (const [browser, kind] of [
  ["chromium", "module"],
  ["chromium", "classic"],
  // Firefox runs no modules as service workers.
  ["firefox", "classic"],
]) {
  const options = { skip: skipWithout(browser), timeout: 120_000 };
  test(
    `${browser}, ${kind}: the server is stopped, a reload shows the shelf`,
    options,
    async () => {
      const site = await startSite({
        ...REAL,
        intercept(request, response) {
          if (request.url !== "/sw.js") return false;
          response.writeHead(200, { "Content-Type": "text/javascript" });
          response.end(shopsWorker(kind, SETTINGS));
          return true;
        },
      });
      const started = await openBrowser(browser);
      try {
        const page = await started.newPage(site.url);
        page.expectProblem(/404|ERR_|NetworkError|Failed to (load|fetch)/);
        const first = await rank(page);
        assert.equal(first.length, 8);
        await register(page, kind);
        // The page itself was fetched before there was a service worker; it is the shop's to keep.
        await page.run(async () => (await caches.open("shop")).add(location.href));
        await site.close();
        // The page's script is not kept, so the package is imported by hand.
        await page.raw.goto(`${site.url}/blank.html`);
        assert.equal(await page.run(() => globalThis.onshelf === undefined), true, "a new page");
        await page.run(async () => {
          globalThis.onshelf = await import("/onshelf/index.js");
        });
        assert.deepEqual(await rank(page), first);
        await page.close();
      } finally {
        await started.close();
        await site.close().catch(() => undefined);
      }
    },
  );
}
