/** `@onshelf/testing`: in Node beside the package, and in a page around the real client and worker. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { build } from "esbuild";
import { browserSuite, ROOT } from "./harness.mjs";

/** As installed: `onshelf` is found in `node_modules`. */
const folder = await mkdtemp(join(tmpdir(), "onshelf-testing-"));
after(() => rm(folder, { recursive: true, force: true }));
const sources = join(ROOT, "www/testing/src");
const onshelf = join(folder, "node_modules/onshelf");
const options = { bundle: true, format: "esm", logLevel: "error" };
const node = { ...options, platform: "node", external: ["onshelf"], outdir: folder };
await build({ ...node, entryPoints: [join(sources, "index.ts"), join(sources, "playwright.ts")] });
await build({ ...options, entryPoints: [join(sources, "engine.ts")], outdir: folder });
await build({
  ...options,
  entryPoints: ["index.ts", "server.ts"].map((name) => join(ROOT, "www/onshelf/src", name)),
  outdir: onshelf,
});
await cp(join(ROOT, "www/onshelf/package.json"), join(onshelf, "package.json"));
await cp(join(ROOT, "www/testing/package.json"), join(folder, "package.json"));

const testing = await import(join(folder, "index.js"));
const { serveFake, watchTraffic } = await import(join(folder, "playwright.js"));
const { OnshelfError } = await import(join(onshelf, "server.js"));
const { addToCart, assertNothingUploaded, buy, choose, fakeOnshelf, learn, play, view } = testing;

const ITEMS = [
  { item_id: "tea", category: ["Kitchen", "Tea"], brand: "Ash", price: 5, stock: 0 },
  { item_id: "mug", category: ["Kitchen", "Mugs"], brand: "Oak", price: 9 },
  { item_id: "lamp", category: ["Home", "Light"], brand: "Oak", price: 60 },
  { item_id: "cup", category: ["Kitchen", "Mugs"], brand: "Ash", price: 7 },
  { item_id: "rug", category: ["Home", "Floor"], brand: "Elm", price: 90 },
];

const ids = async (shelf, request) =>
  (await shelf.recommend({ slot: "home", ...request })).items.map(({ item_id }) => item_id);

test("every kind of shelf can be worked out by hand", async () => {
  const shelf = fakeOnshelf({ items: ITEMS });
  const everything = ["tea", "mug", "lamp", "cup", "rug"];
  assert.deepEqual(await ids(shelf), everything);
  assert.deepEqual(await ids(shelf, { kind: "bought_together" }), []);
  await play(shelf, [view("mug")]);
  // Same category; same root; same brand; nothing.
  assert.deepEqual(await ids(shelf), ["cup", "tea", "lamp", "rug"]);
  assert.deepEqual(await ids(shelf, { kind: "popular" }), everything);
  assert.deepEqual(await ids(shelf, { kind: "similar", item_id: "rug", count: 2 }), [
    "lamp",
    "tea",
  ]);
  // 2 for the lamp's root; half of the mug's root, and popularity; half of 2 for the mug's category.
  await play(shelf, [addToCart("lamp")]);
  assert.deepEqual(await ids(shelf), ["rug", "tea", "cup"]);
  assert.deepEqual(await ids(shelf, { kind: "continue" }), ["lamp", "mug"]);
  assert.deepEqual(await ids(shelf, { kind: "bought_together", count: 2 }), ["mug", "tea"]);
  await play(shelf, [buy("lamp")]);
  assert.deepEqual(await ids(shelf, { kind: "bought_together" }), []);
  const popular = (more) => ids(shelf, { kind: "popular", ...more });
  assert.deepEqual(await popular({ filter: { in_stock: true, price_max: 60 } }), [
    "mug",
    "lamp",
    "cup",
  ]);
  assert.deepEqual(await popular({ filter: { category: ["Home"], exclude: ["lamp"] } }), ["rug"]);
  assert.deepEqual(await popular({ filter: { brand: ["Ash"] } }), ["tea", "cup"]);
  assert.deepEqual(await popular({ candidates: ["rug", "cup"] }), ["cup", "rug"]);
  assert.deepEqual(await popular({ max_per_category: 1 }), ["tea", "mug", "lamp", "rug"]);
  assert.deepEqual(await popular({ boosts: [{ item_ids: ["rug"], by: 2 }], count: 2 }), [
    "rug",
    "tea",
  ]);
  assert.deepEqual(await popular({ diversity: 1, count: 2 }), ["tea", "lamp"]);
  const { because } = await shelf.explain("rug");
  assert.deepEqual(because[0].item_id, "lamp");
});

test("the same script gives the same, however often", async () => {
  const script = [
    view("mug"),
    choose({ slot: "home", count: 3 }, 2),
    learn(),
    view("rug"),
    learn(),
  ];
  const once = async () => {
    const shelf = fakeOnshelf({ items: ITEMS });
    const played = await play(shelf, JSON.parse(JSON.stringify(script)));
    return { played, inspection: await shelf.inspect(), tracked: shelf.tracked };
  };
  const first = await once();
  assert.deepEqual(await once(), first);
  const { result, shelf } = first.played[1];
  assert.deepEqual(first.tracked[1], {
    event: "select_item",
    item_id: shelf.items[1].item_id,
    shelf_id: shelf.shelf_id,
    item_list_id: "home",
  });
  assert.deepEqual(result, { accepted: true, session_length: 2 });
  assert.equal(first.inspection.steps, 2);
  await assert.rejects(
    play(fakeOnshelf({ items: ITEMS }), [choose({ slot: "home" }, 9)]),
    RangeError,
  );
});

test("nothing is uploaded unless the shopper agreed to it", async () => {
  const script = [view("mug"), view("cup"), learn()];
  for (const consent of ["denied", "device"]) {
    const shelf = fakeOnshelf({ items: ITEMS, consent });
    await play(shelf, script);
    await assert.rejects(shelf.sync(), { code: "CONSENT_NEEDED" });
    assert.equal((await shelf.inspect()).steps, consent === "denied" ? 0 : 1);
    assertNothingUploaded(shelf);
  }
  const shelf = fakeOnshelf({ items: ITEMS, consent: "device+sync" });
  assert.equal((await shelf.sync()).outcome, "nothing learned");
  await play(shelf, script);
  assert.equal((await shelf.sync()).outcome, "sent");
  assert.equal((await shelf.sync()).outcome, "already sent");
  assert.deepEqual(shelf.uploads, [{ task_id: "fake-task", steps: 1 }]);
  assert.doesNotMatch(JSON.stringify(shelf.uploads), /mug|cup/);
  assert.throws(() => assertNothingUploaded(shelf), {
    name: "AssertionError",
    message: /^1 report would/,
  });
  await shelf.setConsent("denied");
  assert.deepEqual((await shelf.inspect()).session, []);
});

test("it refuses what onshelf refuses, with its errors", async () => {
  assert.throws(() => fakeOnshelf({ items: [ITEMS[0], ITEMS[0]] }), OnshelfError);
  const shelf = fakeOnshelf({ items: ITEMS });
  const cases = [
    ["INVALID_REQUEST", () => shelf.recommend({ slot: "" })],
    ["INVALID_REQUEST", () => shelf.recommend({ slot: "a", count: 0 })],
    ["INVALID_REQUEST", () => shelf.recommend({ slot: "a", kind: "similar" })],
    ["INVALID_REQUEST", () => shelf.recommend({ slot: "a", boosts: [{ by: 1 }] })],
    ["INVALID_REQUEST", () => shelf.track({ event: 7 })],
    ["INVALID_REQUEST", () => shelf.fineTune({ steps: 0 })],
    ["INVALID_REQUEST", () => shelf.setConsent("all")],
    ["UNKNOWN_ITEM", () => shelf.explain("nobody")],
    ["ABORTED", () => shelf.recommend({ slot: "a", signal: AbortSignal.abort() })],
    ["DEVICE_UNAVAILABLE", () => shelf.setDevice("webgpu")],
  ];
  for (const [code, work] of cases) {
    const error = await work().then(
      () => assert.fail(`not ${code}`),
      (thrown) => thrown,
    );
    assert.ok(error instanceof OnshelfError, String(error));
    assert.equal(error.code, code);
    assert.ok(error.remedy.length > 0);
  }
  const left = [
    { event: "view_item", item_id: "nobody" },
    { event: "search", search_term: "mug" },
  ];
  const reasons = (await play(shelf, left.map(testing.track))).map(({ result }) => result.reason);
  assert.deepEqual(reasons, ["unknown_item", "not_an_item_event"]);
  await shelf.dispose();
  await assert.rejects(shelf.inspect(), { code: "DISPOSED" });
});

test("a dataLayer, changes, pausing, forgetting", async () => {
  const shelf = fakeOnshelf({ items: ITEMS, learning: "idle" });
  const changes = [];
  const stop = shelf.onChange((what) => changes.push(what));
  const layer = [
    { event: "view_item", ecommerce: { items: [{ item_id: "mug" }, { item_id: "cup" }] } },
  ];
  const { counts } = shelf.observeDataLayer(layer);
  await new Promise((done) => setTimeout(done, 0));
  assert.equal(counts.accepted, 2);
  await shelf.pause();
  assert.equal((await shelf.fineTune()).reason, "paused");
  await shelf.resume();
  assert.deepEqual(await shelf.forget("mug"), { removed: 1, left: 1, relearned: 0 });
  assert.equal((await shelf.forget("mug")).removed, 0);
  assert.deepEqual(changes, ["tracked", "tracked", "learned", "paused", "resumed", "forgotten"]);
  stop();
  await shelf.erase();
  assert.equal(changes.length, 6);
  assert.deepEqual(JSON.parse(await (await shelf.exportPersonal()).text()).session, []);
});

const suite = browserSuite("chromium");

/** What a page of the shop does; gives its shelf. */
const visit = (page, consent) =>
  page.run(
    async ({ consent }) => {
      const options = { model: "/models/latest.json", publicKeys: ["any"], consent };
      const shelf = await globalThis.onshelf.Onshelf.load(options);
      shelf.observeDataLayer((globalThis.dataLayer = []));
      const items = [{ item_id: "mug" }];
      globalThis.dataLayer.push({ event: "view_item", ecommerce: { items } });
      const ranked = await shelf.recommend({ slot: "home" });
      await shelf.track({ event: "view_item", item_id: "cup" });
      await shelf.fineTune();
      const { steps, device, items: count } = await shelf.inspect();
      const { removed } = await shelf.forget("mug");
      const after = await shelf.recommend({ slot: "home" });
      const synced = await shelf.sync().then(
        ({ outcome }) => outcome,
        ({ code }) => code,
      );
      await shelf.dispose();
      const ids = (shelf) => shelf.items.map(({ item_id }) => item_id);
      return { first: ids(ranked), after: ids(after), steps, device, count, removed, synced };
    },
    { consent },
  );

for (const consent of ["denied", "device", "device+sync"]) {
  suite.test(`a page around the fake in ${consent}: nothing is uploaded`, async ({ page }) => {
    const context = page.raw.context();
    await serveFake(context, { items: ITEMS });
    const traffic = watchTraffic(context);
    if (consent === "device+sync") page.expectProblem(/404|task\.json/);
    const got = await visit(page, consent);
    assert.deepEqual(got, {
      first: ["cup", "tea", "lamp", "rug"],
      after: ["tea", "mug", "lamp", "rug"],
      steps: consent === "denied" ? 0 : 1,
      device: "cpu",
      count: 5,
      removed: 1,
      synced: consent === "device+sync" ? "no task" : "CONSENT_NEEDED",
    });
    assert.ok(
      traffic.all.some(({ url }) => url.includes("onshelf_cpu.js")),
      "workers are watched",
    );
    traffic.assertNothingUploaded();
    traffic.assertNamesNone(["mug", "cup"]);
  });
}

suite.test("what leaves a page is found", async ({ page, url }) => {
  const traffic = watchTraffic(page.raw.context());
  page.expectProblem(/404|405|Failed to load|WebSocket/);
  await page.run(async () => {
    await fetch("/checkout", { method: "POST", body: "mug" }).catch(() => undefined);
    await fetch("/collect?el=red%20mug").catch(() => undefined);
    navigator.sendBeacon("/beacon", "a");
    const socket = new WebSocket(`ws://${location.host}/socket`);
    await new Promise((done) => (socket.onerror = done));
  });
  const found = traffic
    .uploads()
    .map((one) => `${one.method} ${new URL(one.url).pathname} ${one.bytes}`);
  assert.deepEqual(found.sort(), ["POST /beacon 1", "POST /checkout 3", "WEBSOCKET /socket 0"]);
  assert.throws(() => traffic.assertNothingUploaded(), { message: /3 request\(s\).*\nPOST/ });
  assert.throws(() => traffic.assertNamesNone(["red mug"]), { message: /collect/ });
  traffic.assertNamesNone(["red mug"], { allow: [/\/collect/] });
  traffic.assertNothingUploaded({ allow: [/checkout|beacon|socket/] });
  assert.ok(url.length > 0);
});

test("the sample of the README runs", async () => {
  const readme = await readFile(join(ROOT, "www/testing/README.md"), "utf8");
  const sample = /```ts\n(import \{ test \}[\s\S]*?)```/.exec(readme)[1];
  const file = join(folder, "sample.test.mjs");
  await mkdir(join(folder, "node_modules/@onshelf"), { recursive: true });
  await symlink(folder, join(folder, "node_modules/@onshelf/testing"));
  await writeFile(file, sample);
  const env = { ...process.env };
  // Or it would report to this test's runner.
  delete env.NODE_TEST_CONTEXT;
  const ran = spawnSync(process.execPath, ["--test", "--test-reporter=tap", file], {
    env,
    encoding: "utf8",
  });
  assert.equal(ran.status, 0, ran.stdout + ran.stderr);
  assert.match(ran.stdout, /ok 1 - mugs follow mugs/);
});
