/** `onshelf/service-worker` in a shop's own service worker: what it keeps, for how long, and that nothing else is touched. */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { register, shopsWorker } from "./service-workers.mjs";
import { withShelf } from "./with-shelf.mjs";

/** Everything that the server was asked, and bodies that it has beside its folders. */
let asked = [];
let bodies = {};

const options = {
  intercept(request, response) {
    const { method, url } = request;
    asked.push(`${method} ${url}`);
    const body = bodies[url];
    if (body === undefined) return false;
    const headers = { "Content-Type": "text/javascript", "Cache-Control": "no-store" };
    response.writeHead(200, headers).end(body);
    return true;
  },
};

/** What is kept: bytes by path, of one cache. */
const kept = (page, name = "onshelf-files-0.1.0") =>
  page.run(async (name) => {
    if (!(await caches.has(name))) return null;
    const cache = await caches.open(name);
    const found = {};
    for (const request of await cache.keys()) {
      const { pathname } = new URL(request.url);
      found[pathname] = (await (await cache.match(request)).blob()).size;
    }
    return found;
  }, name);

/** All that a shelf needs of the package around the fake engine; the module is not there, and does not stop it. */
const PLAIN = ["index.js", "onshelf-worker.js", "onshelf_cpu.js"];

/** Registers the service worker of a shop that keeps this. */
async function start(page, settings = `{ assets: "/onshelf/", files: [...FILES, "index.js"] }`) {
  bodies["/sw.js"] = shopsWorker("module", settings);
  await register(page, "module");
}

const suite = browserSuite("chromium", options);

/** How often the server was asked for a path since `asked` was emptied. */
const count = (path) => asked.filter((one) => one === path).length;

suite.test("installed: what a shelf needs is kept, and asked for no more", async ({ page }) => {
  page.expectProblem(/404/);
  bodies = {};
  await start(page);
  assert.deepEqual(
    Object.keys(await kept(page)).sort(),
    PLAIN.map((name) => `/onshelf/${name}`),
  );
  asked = [];
  await page.open("/blank.html");
  await withShelf(page, "", (t) => t.shelf.recommend({ slot: "home" }));
  const own = asked.filter((one) => one.includes("/onshelf/"));
  // The fake's other half is no file of the package, and index.js has no release in its address.
  assert.deepEqual(own, ["GET /onshelf/index.js", "GET /onshelf/fake-engine.js"]);
});

suite.test("nothing else is touched", async ({ page }) => {
  page.expectProblem(/404|405/);
  bodies = { "/cart.json": "1", "/onshelf/README.md": "2", "/assets/index-Bx1yZ3aa.js": "3" };
  bodies["/elsewhere/onshelf_cpu.js?v=0.1.0"] = "4";
  await start(page);
  const before = await kept(page);
  asked = [];
  const got = await page.run(async () => {
    const read = async (...request) => (await fetch(...request)).text();
    const all = [];
    const elsewhere = "/elsewhere/onshelf_cpu.js?v=0.1.0";
    for (let round = 0; round < 2; round++) {
      all.push(await read("/cart.json"), await read("/onshelf/README.md"));
      all.push(await read("/assets/index-Bx1yZ3aa.js"));
      await read("/cart.json", { method: "POST", body: "x" });
      await read("/onshelf/onshelf_cpu.js?v=0.1.0", { method: "POST" });
      await read("/onshelf/onshelf_cpu.js?v=0.1.0", { headers: { Range: "bytes=0-9" } });
      await read("/fake.json");
      await read(elsewhere);
    }
    return all.join("");
  });
  assert.equal(got, "123123");
  for (const path of [
    "GET /cart.json",
    "GET /onshelf/README.md",
    "GET /assets/index-Bx1yZ3aa.js",
    "POST /cart.json",
    "POST /onshelf/onshelf_cpu.js?v=0.1.0",
    "GET /onshelf/onshelf_cpu.js?v=0.1.0",
    "GET /fake.json",
    "GET /elsewhere/onshelf_cpu.js?v=0.1.0",
  ]) {
    assert.equal(count(path), 2, path);
  }
  assert.deepEqual(await kept(page), before);
  const names = await page.run(() => caches.keys());
  assert.deepEqual(names.sort(), ["onshelf-files-0.1.0"]);
});

suite.test("a bundler's names: with a hash once, without one every time", async ({ page }) => {
  const once = [
    "onshelf_cpu_bg-Bx1yZ3aa.wasm",
    "onshelf_cpu.0a1b2c3d.js",
    "0123456789abcdef0123.wasm",
  ];
  const always = ["onshelf-worker.bundle.js", "onshelf_sync.js", "entry.js"];
  bodies = Object.fromEntries([...once, ...always].map((name) => [`/assets/${name}`, name]));
  await start(page, `{ assets: "/assets", files: ["entry.js", "${once[2]}"] }`);
  asked = [];
  for (let round = 0; round < 3; round++) {
    for (const name of [...once, ...always]) {
      const text = await page.run(async (url) => (await fetch(url)).text(), `/assets/${name}`);
      assert.equal(text, name);
    }
  }
  const times = (names) => names.map((name) => count(`GET /assets/${name}`));
  assert.deepEqual(times(once), [1, 1, 0], "the last was fetched when it was installed");
  assert.deepEqual(times(always), [3, 3, 3]);
  bodies = { "/sw.js": bodies["/sw.js"] };
  page.expectProblem(/404/);
  const gone = await page.run(async (url) => (await fetch(url)).status, `/assets/${once[0]}`);
  assert.equal(gone, 200);
});

suite.test("the cap: the oldest go, and one that is too large is not kept", async ({ page }) => {
  const file = (digit) => `/assets/${digit.repeat(20)}.js`;
  bodies = Object.fromEntries([..."1234"].map((digit) => [file(digit), digit.repeat(40_000)]));
  bodies[file("9")] = "9".repeat(200_000);
  const files = JSON.stringify([..."12349"].map((digit) => file(digit).slice(8)));
  await start(page, `{ assets: "/assets/", files: ${files}, maxBytes: 100_000 }`);
  const sizes = await kept(page);
  const sum = Object.values(sizes).reduce((all, size) => all + size, 0);
  assert.ok(sum <= 100_000, JSON.stringify(sizes));
  assert.equal(sizes[file("9")], undefined);
  const fetched = await page.run(
    async (url) => (await (await fetch(url)).text()).length,
    file("9"),
  );
  assert.equal(fetched, 200_000, "it is served all the same");
  for (const digit of "123") {
    await page.run(async (url) => (await fetch(url)).text(), file(digit));
  }
  await page.until(async (newest) => (await caches.match(newest)) !== undefined, file("3"));
  const left = await kept(page);
  assert.deepEqual(Object.keys(left).sort(), [file("2"), file("3")]);
});

suite.test(
  "files of another release go; the model and the shop's caches stay",
  async ({ page }) => {
    page.expectProblem(/404/);
    bodies = {};
    await page.run(async () => {
      for (const name of ["onshelf-files-0.0.9", "onshelf-models", "shop"]) {
        await (await caches.open(name)).put("/x", new Response("x"));
      }
    });
    await start(page);
    const names = await page.run(() => caches.keys());
    assert.deepEqual(names.sort(), ["onshelf-files-0.1.0", "onshelf-models", "shop"]);
  },
);

suite.test("what makes no sense is said at once", async ({ page }) => {
  bodies = {};
  const refused = await page.run(async () => {
    const { keepOnshelf } = await import("/onshelf/service-worker.js");
    return [{ assets: "/onshelf/", maxBytes: -1 }, { assets: "http://[" }].map((options) => {
      try {
        keepOnshelf(options);
      } catch (error) {
        return error.code;
      }
    });
  });
  assert.deepEqual(refused, ["INVALID_REQUEST", "INVALID_REQUEST"]);
});
