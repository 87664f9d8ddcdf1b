/**
 * Ranking and learning in Chromium, as a page sees them: through the package, its worker and back.
 *
 *     node tests/bench/browser.mjs [--model FOLDER] [--replay FILE] [--gpu] [--json FILE]
 *
 * FOLDER is a published model version (default: the small one of the tests). With a replay the
 * native rankings are checked first, on both devices.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { openBrowser, ROOT, startSite } from "../browser/harness.mjs";
import { assertReplay, engineWorker } from "../browser/real.mjs";
import { readVersion } from "./served.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: join(ROOT, "build/test/models") },
    replay: { type: "string" },
    gpu: { type: "boolean", default: false },
    json: { type: "string" },
  },
});

const models = resolve(values.model);
const { keys, manifest, ids, trained } = readVersion(models);
const items = trained.slice(0, 20);

const site = await startSite({
  dist: "dist/onshelf",
  mounts: { "/models/": models, "/pages/": join(ROOT, "tests/browser/pages") },
});
const browser = await openBrowser("chromium");
const report = { items: ids.length, bytes: manifest.files.reduce((sum, f) => sum + f.bytes, 0) };

try {
  if (values.replay !== undefined) await check(JSON.parse(readFileSync(values.replay, "utf8")));
  report.cpu = await measure("cpu", 200, 100);
  if (values.gpu) report.webgpu = await measure("webgpu", 10, 5);
  print();
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
} finally {
  await browser.close();
  await site.close();
}

async function check(replay) {
  for (const [kind, count] of [
    ["cpu", replay.length],
    ["webgpu", values.gpu ? 20 : 0],
  ]) {
    if (count === 0) continue;
    const page = await browser.newPage(site.url);
    const call = await engineWorker(page);
    const loaded = await call("load", { kind, manifest: "/models/latest.json", keys });
    if (loaded.code !== undefined) throw new Error(`${kind}: ${loaded.message}`);
    const sessions = replay.slice(0, count);
    const shelves = await assertReplay(call, sessions);
    console.log(
      `${kind}: ${shelves} shelves of ${sessions.length} real sessions are the native rankings`,
    );
    report[`${kind}_equal_shelves`] = shelves;
    await page.close();
  }
}

async function measure(device, rankings, steps) {
  const page = await browser.newPage(site.url);
  const told = await page.run(work, { device, rankings, steps, items, keys });
  await page.close();
  return told;
}

/** Runs in the page. */
async function work({ device, rankings, steps, items, keys }) {
  const began = performance.now();
  const options = { model: "/models/latest.json", publicKeys: keys, device, storage: "none" };
  const shelf = await onshelf.Onshelf.load(options);
  const loaded = performance.now() - began;
  const used = (await shelf.inspect()).device;
  if (used !== device) throw new Error(`asked for ${device}, got ${used}`);
  for (const item_id of items) await shelf.track({ event: "view_item", item_id });
  const times = async (count, run) => {
    const list = [];
    for (let n = 0; n < count; n++) {
      const start = performance.now();
      await run(n);
      list.push(performance.now() - start);
    }
    list.sort((a, b) => a - b);
    const at = (q) =>
      Number(list[Math.min(list.length - 1, Math.floor(q * list.length))].toFixed(2));
    return { p50: at(0.5), p95: at(0.95), n: list.length };
  };
  const rank = () => shelf.recommend({ slot: "bench", count: 20 });
  await times(Math.min(20, rankings), rank);
  const again = await times(rankings, rank);
  // One more click each time: the session is encoded anew.
  const events = ["add_to_cart", "select_item", "view_item"];
  const fresh = await times(Math.min(25, rankings), async (n) => {
    await shelf.track({ event: events[n % 3], item_id: items[(n * 7) % items.length] });
    await rank();
  });
  await times(2, () => shelf.fineTune({ steps: 1, budget_ms: 60_000 }));
  const step = await times(steps, () => shelf.fineTune({ steps: 1, budget_ms: 60_000 }));
  const { session } = await shelf.inspect();
  await shelf.dispose();
  return {
    load_ms: Math.round(loaded),
    recommend: again,
    click_and_recommend: fresh,
    learn: step,
    session: session.length,
  };
}

function print() {
  console.log(
    `model version: ${report.items} items, ${report.bytes} bytes of weights and catalogue`,
  );
  console.log(
    "device   load ms   recommend p50/p95   click + recommend p50/p95   learning step p50/p95   (ms)",
  );
  for (const device of ["cpu", "webgpu"]) {
    const r = report[device];
    if (r === undefined) continue;
    const pair = (x) => `${x.p50} / ${x.p95}`;
    console.log(
      `${device.padEnd(8)} ${String(r.load_ms).padStart(7)}   ${pair(r.recommend).padStart(17)}   ` +
        `${pair(r.click_and_recommend).padStart(25)}   ${pair(r.learn).padStart(21)}`,
    );
  }
}
