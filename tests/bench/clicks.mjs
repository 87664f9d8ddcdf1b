/**
 * What one more click costs in Chromium, inside the worker: ranking all items, then learning from the click
 * (predicting it twice for the guard, and the steps that the model version asks for).
 *
 *     node tests/bench/clicks.mjs FOLDER... [--json FILE]
 *
 * Each FOLDER holds a published model version. Milliseconds; sessions of 22 clicks, so that 20 positions are
 * read at the end.
 */

import { statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { openBrowser, ROOT, startSite } from "../browser/harness.mjs";
import { engineWorker } from "../browser/real.mjs";
import { readVersion } from "./served.mjs";

const { values, positionals } = parseArgs({
  options: { json: { type: "string" } },
  allowPositionals: true,
});

const quantile = (list, q) => {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))];
};

const told = [];
console.log(
  "    items    weights  catalogue    as sent  load ms  rank p50 / p95  learn p50 / p95  (ms, n)  memory MB",
);
for (const folder of positionals.map((name) => resolve(name))) {
  const site = await startSite({
    dist: "dist/onshelf",
    mounts: { "/models/": folder, "/pages/": join(ROOT, "tests/browser/pages") },
  });
  const browser = await openBrowser("chromium");
  try {
    told.push(await measure(folder, site, browser));
  } finally {
    await browser.close();
    await site.close();
  }
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(told, null, 2)}\n`);

async function measure(folder, site, browser) {
  const { keys, manifest, file, ids, trained } = readVersion(folder);
  const items = trained.filter((_, at) => at % Math.ceil(trained.length / 5000) === 0);
  const page = await browser.newPage(site.url);
  const call = await engineWorker(page);
  const began = performance.now();
  const loaded = await call("load", {
    kind: "cpu",
    manifest: "/models/latest.json",
    keys,
  });
  const load_ms = performance.now() - began;
  if (loaded.code !== undefined) throw new Error(`${folder}: ${loaded.message}`);
  const steps = manifest.fine_tune.steps_per_click;
  const run = (sessions) => call("clickByClick", { items, sessions, length: 22, steps });
  await run(2);
  const { ranks, learns } = await run(10);
  const { bytes } = await call("memory", undefined);
  await page.close();
  const pair = (list) => ({ p50: quantile(list, 0.5), p95: quantile(list, 0.95) });
  const out = {
    items: ids.length,
    weights: file("weights").bytes,
    catalogue: file("catalogue").bytes,
    // Weights, and the catalogue compressed, as the server sends it.
    sent: file("weights").bytes + statSync(join(folder, `${file("catalogue").path}.gz`)).size,
    load_ms,
    rank: pair(ranks),
    learn: pair(learns),
    clicks: ranks.length,
    memory: bytes,
  };
  const text = ({ p50, p95 }) => `${p50.toFixed(1)} / ${p95.toFixed(1)}`;
  console.log(
    `${String(out.items).padStart(9)} ${String(out.weights).padStart(10)} ${String(out.catalogue).padStart(10)} ` +
      `${String(out.sent).padStart(10)} ` +
      `${out.load_ms.toFixed(0).padStart(8)} ${text(out.rank).padStart(15)} ${text(out.learn).padStart(16)} ` +
      `${String(out.clicks).padStart(9)} ${(out.memory / 1e6).toFixed(0).padStart(10)}`,
  );
  return out;
}
