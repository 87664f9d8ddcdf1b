/** Model versions in Cache Storage: a later visit without a connection, a damaged copy, the cap, consent. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { KEYS, MANIFEST, REAL } from "./real.mjs";

let asked = [];
let offline = false;

const suite = browserSuite("chromium", {
  ...REAL,
  timeout: 60_000,
  intercept(request, response) {
    if (!request.url.startsWith("/models/")) return false;
    asked.push(request.url);
    // What a browser may keep by itself would hide what is kept here.
    const set = response.setHeader.bind(response);
    response.setHeader = (name, value) => set(name, name === "Cache-Control" ? "no-store" : value);
    if (offline) request.socket.destroy();
    return offline;
  },
});

/** Loads, ranks, disposes; gives the shelf or the error's code. What is kept is written a moment later. */
async function visit(page, more = {}, kept = null) {
  asked = [];
  const got = await page.run(
    async ([model, publicKeys, more]) => {
      try {
        const options = { model, publicKeys, device: "cpu", log: "off", ...more };
        const shelf = await globalThis.onshelf.Onshelf.load(options);
        const { items } = await shelf.recommend({ slot: "home", count: 8 });
        globalThis.shelf = shelf;
        return items.map(({ item_id }) => item_id);
      } catch (error) {
        return error.code;
      }
    },
    [MANIFEST, KEYS, more],
  );
  if (kept !== null) await until(page, kept);
  await page.run(() => globalThis.shelf?.dispose());
  return got;
}

/** Names of what is kept, without their hashes. */
const keptIn = (page) =>
  page.run(async () => {
    if (!(await caches.has("onshelf-models"))) return null;
    const cache = await caches.open("onshelf-models");
    const names = (await cache.keys()).map(({ url }) => url.replace(/^.*\/models\//, ""));
    return names.map((name) => name.replace(/[0-9a-f]{64}/, "#")).sort();
  });

const ALL = ["blobs/#.json", "blobs/#.safetensors", "latest.json"];

async function until(page, wanted) {
  let found;
  for (let round = 0; round < 100; round++) {
    found = await keptIn(page);
    if (JSON.stringify(found) === JSON.stringify(wanted)) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  assert.deepEqual(found, wanted);
}

suite.test("a later visit fetches the manifest only, and needs no connection", async ({ page }) => {
  page.expectProblem(/ERR_EMPTY_RESPONSE|ERR_FAILED/);
  const first = await visit(page, {}, ALL);
  assert.equal(asked.length, 3, asked.join());
  await page.open("/blank.html");
  assert.deepEqual(await visit(page), first);
  assert.deepEqual(asked, [MANIFEST]);
  offline = true;
  try {
    await page.open("/blank.html");
    assert.deepEqual(await visit(page), first);
    const updated = await page.run(
      async ([model, publicKeys]) => {
        const shelf = await globalThis.onshelf.Onshelf.load({ model, publicKeys, device: "cpu" });
        const code = await shelf.update().catch((error) => error.code);
        await shelf.dispose();
        return code;
      },
      [MANIFEST, KEYS],
    );
    assert.equal(updated, "NETWORK", "who asks for a newer version is not told that there is none");
  } finally {
    offline = false;
  }
});

suite.test("a log of versions that must be there is kept with the model", async ({ page }) => {
  page.expectProblem(/ERR_EMPTY_RESPONSE|ERR_FAILED/);
  const more = { log: "required" };
  const first = await visit(page, more, [...ALL, "versions.log"]);
  assert.equal(first.length, 8);
  offline = true;
  try {
    await page.open("/blank.html");
    assert.deepEqual(await visit(page, more), first);
  } finally {
    offline = false;
  }
  await visit(page, { consent: "denied" });
  await until(page, null);
});

suite.test("a damaged copy is thrown away and fetched again", async ({ page }) => {
  const first = await visit(page, {}, ALL);
  await page.run(async () => {
    const cache = await caches.open("onshelf-models");
    for (const { url } of await cache.keys()) {
      const bytes = new Uint8Array(await (await cache.match(url)).arrayBuffer());
      bytes[bytes.length >> 1] ^= 1;
      await cache.put(url, new Response(bytes));
    }
  });
  await page.open("/blank.html");
  assert.deepEqual(await visit(page, {}, ALL), first);
  assert.equal(asked.filter((url) => url.includes("/blobs/")).length, 2, asked.join());
  await page.open("/blank.html");
  assert.deepEqual(await visit(page), first);
  assert.deepEqual(asked, [MANIFEST], "what was fetched again is whole");
});

suite.test(
  "the cap: the oldest goes, what is in use stays, too small a cap keeps nothing",
  async ({ page }) => {
    await page.run(async () => {
      const cache = await caches.open("onshelf-models");
      const old = (digit) => `/models/blobs/${digit.repeat(64)}.safetensors`;
      for (const digit of ["1", "2"]) {
        const headers = { "Content-Length": "100000" };
        await cache.put(old(digit), new Response(new Uint8Array(100_000), { headers }));
      }
    });
    // The version takes 143 kB, so one of the old files has room beside it.
    await visit(page, { modelCache: 260_000 }, [...ALL.slice(0, 2), ALL[1], ALL[2]].sort());
    const left = await page.run(async () => {
      const cache = await caches.open("onshelf-models");
      return (await cache.keys()).map(({ url }) => /\/([12])\1{63}\./.exec(url)?.[1]).join("");
    });
    assert.equal(left, "2");
    await page.open("/blank.html");
    await visit(page, { modelCache: 0 }, null);
    assert.equal(await keptIn(page), null);
    await visit(page, { modelCache: 10_000 });
    await new Promise((done) => setTimeout(done, 300));
    assert.equal(await keptIn(page), null);
    assert.equal(await visit(page, { modelCache: -1 }), "INVALID_REQUEST");
  },
);

suite.test("nothing is kept without consent, and denied takes it away", async ({ page }) => {
  for (const more of [{ consent: "denied" }, { consent: null }, { storage: "none" }]) {
    await visit(page, more);
    await new Promise((done) => setTimeout(done, 300));
    assert.equal(await keptIn(page), null, JSON.stringify(more));
  }
  await visit(page, { consent: "device" }, ALL);
  await visit(page, { consent: null }, ALL);
  await visit(page, { consent: "denied" }, null);
  await until(page, null);
  await visit(page, { consent: "device" }, ALL);
  const got = await page.run(
    async ([model, publicKeys]) => {
      const options = { model, publicKeys, device: "cpu", consent: "device" };
      const shelf = await globalThis.onshelf.Onshelf.load(options);
      await shelf.setConsent("denied");
      const { items } = await shelf.recommend({ slot: "home", count: 8 });
      globalThis.shelf = shelf;
      return items.length;
    },
    [MANIFEST, KEYS],
  );
  assert.equal(got, 8);
  await until(page, null);
});
