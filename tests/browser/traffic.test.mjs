/**
 * What leaves the page with the real modules: everything that the browser asks for, service workers included,
 * is recorded by the browser and again by the only server that its policy lets it reach.
 */

import assert from "node:assert/strict";
import { aggregators } from "./aggregators.mjs";
import { browserSuite } from "./harness.mjs";
import { DIGEST, dimensionOf, ITEMS, KEYS as SHOP_KEYS, MANIFEST, REAL } from "./real.mjs";
import { register, shopsWorker } from "./service-workers.mjs";
import { KEY } from "./signing.mjs";
import { KEYS, signedTask, task, versionLog } from "./tasks.mjs";

const round = aggregators();
const seen = [];

const suite = browserSuite("chromium", {
  ...REAL,
  intercept(request, response) {
    const { method, url, headers } = request;
    const bytes = Number(headers["content-length"] ?? 0);
    seen.push({ method, url, bytes, cookie: headers.cookie !== undefined });
    if (url === "/sw.js") {
      response.writeHead(200, { "Content-Type": "text/javascript" });
      response.end(shopsWorker("module", SETTINGS));
      return true;
    }
    return round.intercept(request, response);
  },
});

/** Of a shop whose own service worker keeps onshelf's files. */
const SETTINGS = `{ assets: "/onshelf/", files: [...FILES, "index.js"] }`;

/** Every file of the package, the model and its log of versions, the page itself and its service worker; nothing else. */
const ASSET =
  /^\/(sw\.js|onshelf\/service-worker\.js|blank\.html|test-page\.js|favicon\.ico|onshelf\/(index|onshelf-worker|onshelf_cpu|onshelf_webgpu)\.js(\?v=[\d.]+(&instance=\d+)?)?|onshelf\/onshelf_(cpu|webgpu)_bg\.wasm\?v=[\d.]+|models\/latest\.json|models\/versions\.log|models\/blobs\/[0-9a-f]{64}\.[a-z]+)$/;

/** A visit with everything that a shopper can cause; gives what the browser itself saw asked for. */
async function visit(page, consent, worker = false) {
  const asked = [];
  const context = page.raw.context();
  context.on("request", (request) => asked.push([request.method(), request.url()]));
  const channels = [];
  page.raw.on("websocket", (socket) => channels.push(socket.url()));
  await page.open("/blank.html");
  if (worker) {
    await register(page, "module");
    await page.open("/blank.html");
  }
  const left = await page.run(
    async ({ model, keys, items, consent }) => {
      const { Onshelf } = globalThis.onshelf;
      const options = { model, publicKeys: keys, device: "cpu", learning: "idle", consent };
      // Often enough to be seen.
      Object.assign(options, { updates: { every: 1 / 30 } });
      const sync = { task: "/round/task.json", max_delay_ms: 0 };
      const shelf = await Onshelf.load({ ...options, sync });
      for (const item_id of items) {
        await shelf.track({ event: "view_item", item_id, shelf_id: "a", dwell_ms: 2_000 });
        await shelf.recommend({ slot: "home" });
        await shelf.explain(item_id).catch(() => undefined);
        await shelf.fineTune({ steps: 2 });
      }
      await shelf.track({ event: "purchase", item_id: items[0] });
      await shelf.track({ event: "search", search_term: "a private matter" });
      await shelf.exportPersonal();
      await shelf.update();
      await shelf.setDevice("webgpu").catch(() => undefined);
      const refused = await shelf.sync().then(
        ({ outcome }) => outcome,
        ({ code }) => code,
      );
      document.dispatchEvent(new Event("visibilitychange"));
      // Longer than it takes to look for a round by itself.
      await new Promise((done) => setTimeout(done, 7_000));
      dispatchEvent(new Event("pagehide"));
      const { version_log, looked_for_update } = await shelf.inspect();
      await shelf.erase();
      await shelf.dispose();
      const workers = (await navigator.serviceWorker.getRegistrations()).length;
      const looked = looked_for_update?.outcome;
      return { refused, workers, version_log, looked, cookie: document.cookie };
    },
    { model: MANIFEST, keys: [...SHOP_KEYS, KEY], items: ITEMS.slice(0, 3), consent },
  );
  return { asked, channels, left };
}

function prepare(url) {
  const lists = {
    leader: KEYS.leader.list,
    helper: KEYS.helper.list,
    log: versionLog([DIGEST]),
  };
  round.reset({
    ...lists,
    task: signedTask(task({ url, model: DIGEST, dimension: dimensionOf(1) })),
  });
  seen.length = 0;
}

for (const [consent, worker] of [
  ["denied", false],
  ["device", false],
  ["denied", true],
  ["device", true],
]) {
  const where = worker ? ", with a service worker" : "";
  suite.test(`${consent}${where}: no request but for models and assets`, async ({ page, url }) => {
    prepare(url);
    const { asked, channels, left } = await visit(page, consent, worker);
    assert.deepEqual(left, {
      refused: "CONSENT_NEEDED",
      workers: Number(worker),
      version_log: "named",
      looked: "same",
      cookie: "",
    });
    assert.deepEqual(channels, []);
    for (const [method, address] of asked) {
      assert.equal(method, "GET");
      assert.ok(address.startsWith(`${url}/`), address);
      assert.match(address.slice(url.length), ASSET);
    }
    assert.ok(asked.length > 5 && seen.length > 5, "the recorders work");
    for (const { method, url: path, bytes, cookie } of seen) {
      assert.deepEqual([method, bytes, cookie], ["GET", 0, false], path);
      assert.match(path, ASSET);
    }
    const times = (path) => seen.filter(({ url }) => url === path).length;
    assert.ok(times("/models/versions.log") === 1, "the log of versions is a part of the model");
    assert.ok(times(MANIFEST) >= 4, "loaded, updated, and looked for a newer one by itself");
    assert.equal(times("/sw.js") > 0, worker);
    assert.deepEqual(round.state.requests, []);
  });
}

suite.test(
  "device+sync: the task, both keys, and one report (so the recorders would tell)",
  async ({ page, url }) => {
    prepare(url);
    const { asked, left } = await visit(page, "device+sync");
    assert.equal(left.refused, "sent");
    const more = seen.filter(({ url: path }) => !ASSET.test(path));
    const kinds = more.map(
      ({ method, url: path }) => `${method} ${path.replace(/[\w-]{43}/g, "ID")}`,
    );
    assert.deepEqual([...new Set(kinds)].sort(), [
      "GET /onshelf/onshelf_sync.js?v=0.1.0",
      "GET /onshelf/onshelf_sync_bg.wasm?v=0.1.0",
      "GET /round/helper/hpke_config?task_id=ID",
      "GET /round/leader/hpke_config?task_id=ID",
      "GET /round/task.json",
      "GET /round/versions.log",
      "PUT /round/leader/tasks/ID/reports",
    ]);
    assert.equal(more.filter(({ method }) => method === "PUT").length, 1);
    assert.ok(more.every(({ cookie }) => !cookie));
    assert.ok(asked.some(([method]) => method === "PUT"));
  },
);
