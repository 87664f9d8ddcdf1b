/**
 * Total blocking time that onshelf adds to the demo's product page, on a main thread slowed down
 * fourfold: the same page with the package and with it taken away, several times in turns.
 *
 *     node tests/bench/blocking.mjs [FOLDER] [--rounds 9] [--profile FILE]
 *
 * FOLDER holds `products.json` and `models/` (default: the demo's, build/demo). As in Lighthouse, blocking
 * time is what the tasks after the first contentful paint last beyond 50 ms each, until the page
 * has been quiet for five seconds. A first visit begins without any storage; a return visit finds
 * what the first one left. `--profile` writes a profile of the processor (DevTools reads it) of one
 * more first visit, and prints which functions took longest.
 *
 * The slowing down is DevTools' `Emulation.setCPUThrottlingRate`: it stops the page's main thread
 * three quarters of the time, and leaves workers alone.
 */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cp } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { startServer } from "../../www/serve.mjs";
import { launchChromium, ROOT } from "../browser/harness.mjs";
import { readVersion } from "./served.mjs";

const RATE = 4;
const AIM_MS = 50;
const QUIET_MS = 5000;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "9" }, profile: { type: "string" } },
});
const shop = resolve(positionals[0] ?? join(ROOT, "build/demo"));
if (!existsSync(join(shop, "products.json")) || !existsSync(join(ROOT, "dist/onshelf/index.js")))
  throw new Error(`${shop} holds no shop, or dist/ no package: run ./build.sh build and train`);

/** In the package's place: it never gets ready, so the shop keeps showing what is popular. */
const ABSENT = `export class OnshelfError extends Error {}
export const Onshelf = { load: () => new Promise(() => {}) };`;

/** The shop as build.sh bundles it, with or without the package in it. */
async function bundle(folder, without) {
  const absent = {
    name: "absent",
    setup(made) {
      made.onResolve({ filter: /onshelf\/src\/index\.ts$/ }, () => ({
        path: "absent",
        namespace: "absent",
      }));
      made.onLoad({ filter: /.*/, namespace: "absent" }, () => ({ contents: ABSENT }));
    },
  };
  const source = join(ROOT, "www/shop");
  await build({
    entryPoints: [join(source, "src/main.ts"), join(source, "src/styles.css")],
    bundle: true,
    format: "esm",
    minify: true,
    target: "es2022",
    outdir: folder,
    logLevel: "warning",
    plugins: without ? [absent] : [],
  });
  await cp(join(source, "index.html"), join(folder, "index.html"));
  await cp(join(shop, "products.json"), join(folder, "products.json"));
}

/** Notes, in the page, every long task and the first contentful paint. */
function watch() {
  globalThis.longTasks = [];
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      globalThis.longTasks.push({ startTime, duration });
  }).observe({ type: "longtask", buffered: true });
}

/** Waits, in the page, until it is ready and quiet, and adds up what blocked. */
async function blocked({ without, quiet }) {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const { dataset } = document.documentElement;
  const cards = () => document.querySelectorAll(".card").length;
  while (without ? cards() === 0 : dataset.ready !== "true") await wait(50);
  const ready = performance.now();
  const last = () => {
    const ends = globalThis.longTasks.map(({ startTime, duration }) => startTime + duration);
    return Math.max(ready, ...ends);
  };
  while (performance.now() - last() < quiet) await wait(100);
  const painted = performance.getEntriesByName("first-contentful-paint")[0].startTime;
  const tasks = globalThis.longTasks.map(({ startTime, duration }) => [startTime, duration]);
  const blocking = tasks.map(([start, duration]) => {
    const from = Math.max(start + 50, painted);
    return Math.max(0, start + duration - from);
  });
  return {
    ms: blocking.reduce((sum, one) => sum + one, 0),
    long: blocking.filter((one) => one > 0).length,
    tasks: tasks.map(([start, duration]) => `${Math.round(start)}+${Math.round(duration)}`),
    painted,
  };
}

const folder = mkdtempSync(join(tmpdir(), "onshelf-blocking-"));
const servers = {};
let browser;

async function visit(page, path, without) {
  const session = await page.context().newCDPSession(page);
  await session.send("Emulation.setCPUThrottlingRate", { rate: RATE });
  // A change of the fragment alone would not load the page anew.
  await page.goto("about:blank");
  await page.goto(servers[without ? "without" : "with"].url + path);
  const told = await page.evaluate(blocked, { without, quiet: QUIET_MS });
  await session.detach();
  return told;
}

/** One first visit and one return visit. */
async function measure(path, without) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(watch);
  const first = await visit(page, path, without);
  const again = await visit(page, path, without);
  await context.close();
  return { first, again };
}

async function profile(path, file) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(watch);
  const session = await context.newCDPSession(page);
  await session.send("Profiler.enable");
  await session.send("Profiler.setSamplingInterval", { interval: 200 });
  await session.send("Profiler.start");
  const told = await visit(page, path, false);
  const { profile: taken } = await session.send("Profiler.stop");
  writeFileSync(file, JSON.stringify(taken));
  const spent = new Map();
  const names = new Map(taken.nodes.map(({ id, callFrame }) => [id, callFrame]));
  taken.samples.forEach((id, at) => {
    const { functionName, url, lineNumber, columnNumber } = names.get(id);
    const name = `${functionName || "(unnamed)"} ${url.split("/").pop()}:${lineNumber + 1}:${columnNumber}`;
    spent.set(name, (spent.get(name) ?? 0) + (taken.timeDeltas[at] ?? 0) / 1000);
  });
  console.log(`long tasks (start+duration): ${told.tasks.join(" ")}`);
  for (const [name, ms] of [...spent].sort((a, b) => b[1] - a[1]).slice(0, 20))
    console.log(`${ms.toFixed(0).padStart(7)} ms  ${name}`);
  await context.close();
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const shown = (values) =>
  `${median(values).toFixed(0)} ms (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`;
const load = () =>
  `load ${loadavg()
    .map((one) => one.toFixed(1))
    .join(", ")} on ${cpus().length} cores`;

try {
  for (const name of ["with", "without"]) {
    await bundle(join(folder, name), name === "without");
    const mounts = {
      "/": join(folder, name),
      "/onshelf/": join(ROOT, "dist/onshelf"),
      "/models/": join(shop, "models"),
    };
    servers[name] = await startServer({ mounts });
  }
  browser = await launchChromium();
  const { trained } = readVersion(join(shop, "models"));
  const path = `/index.html?device=cpu#/p/${encodeURIComponent(trained[0])}`;
  console.log(`before: ${load()}`);
  // The first page of a browser pays for what the browser starts late.
  await measure(path, true);
  const told = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const order = round % 2 === 0 ? [false, true] : [true, false];
    const one = {};
    for (const without of order) one[without ? "without" : "with"] = await measure(path, without);
    told.push(one);
  }
  console.log(`after:  ${load()}`);
  for (const kind of ["first", "again"]) {
    const of = (name) => told.map((one) => one[name][kind].ms);
    const apart = told.map((one) => one.with[kind].ms - one.without[kind].ms);
    const added = median(of("with")) - median(of("without"));
    console.log(
      `${kind === "first" ? "first visit" : "return visit"}, ${told.length} rounds: with onshelf ${shown(of("with"))}, ` +
        `without ${shown(of("without"))}; difference of the medians ${added.toFixed(0)} ms, ` +
        `median of the differences ${shown(apart)}; aim ${AIM_MS} ms`,
    );
  }
  if (values.profile !== undefined) await profile(path, resolve(values.profile));
} finally {
  await browser?.close();
  for (const server of Object.values(servers)) await server.close();
  rmSync(folder, { recursive: true, force: true });
}
