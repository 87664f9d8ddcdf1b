/**
 * Total blocking time that onshelf adds to the demo's product page on a main thread a quarter as fast: the same
 * page with the package and with it taken away, several times in turns.
 *
 *     node tests/bench/blocking.mjs [FOLDER] [--rounds 9] [--throttled] [--tasks]
 *
 * FOLDER holds `products.json` and `models/` (default: the demo's, build/demo). Blocking time is, as in Lighthouse,
 * what the main thread's tasks after the first contentful paint last beyond 50 ms each, until the page has been
 * quiet for five seconds. A first visit begins without any storage; a return visit finds what the first one left.
 *
 * Slowed down as Lighthouse's simulated throttling does it: the page runs at full speed, and each task counts four
 * times the processor time that its thread took, by Chromium's trace. So what else the machine does hardly matters.
 * `--throttled` takes DevTools' own slowing down (`Emulation.setCPUThrottlingRate`) and the Long Tasks API
 * instead: wall-clock time, of use on a quiet machine only, since waiting for a core is slowed down as well.
 * Neither slows workers. `--tasks` lists the longest tasks and what was done in them.
 */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { build } from "esbuild";
import { startServer } from "../../www/serve.mjs";
import { launchChromium, ROOT } from "../browser/harness.mjs";
import { readVersion } from "./served.mjs";

const RATE = 4;
const LONG_MS = 50;
const AIM_MS = 50;
const QUIET_MS = 5000;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "9" },
    throttled: { type: "boolean", default: false },
    tasks: { type: "boolean", default: false },
  },
});
const shop = resolve(positionals[0] ?? join(ROOT, "build/demo"));
if (!existsSync(join(shop, "products.json")) || !existsSync(join(ROOT, "dist/onshelf/index.js")))
  throw new Error(`${shop} holds no shop, or dist/ no package: run ./build.sh build and train`);

/** In the package's place: it never gets ready, so the shop keeps showing what is popular. */
const ABSENT = `export class OnshelfError extends Error {}
export const Onshelf = { load: () => new Promise(() => {}) };`;

/** Work of always the same size, some 60 ms of a processor. */
function work() {
  let value = 1;
  for (let at = 0; at < 6e7; at++) value = Math.imul(value, 0x01000193) ^ at;
  return value;
}

/** A package that blocks the page once, on purpose: that much must be measured of it. */
const CONTROL = `export class OnshelfError extends Error {}
${work}
export const Onshelf = { load: () => new Promise(() => setTimeout(work, 500)) };`;

/** What the control blocks a slow page for: the same work here, in the same engine, in processor time. */
function expected() {
  work();
  const times = Array.from({ length: 5 }, () => {
    const before = process.cpuUsage();
    work();
    return process.cpuUsage(before).user / 1000;
  });
  return RATE * median(times) - LONG_MS;
}

/** The shop as build.sh bundles it, with the package or with something else in its place. */
async function bundle(folder, instead) {
  const absent = {
    name: "absent",
    setup(made) {
      made.onResolve({ filter: /onshelf\/src\/index\.ts$/ }, () => ({
        path: "absent",
        namespace: "absent",
      }));
      made.onLoad({ filter: /.*/, namespace: "absent" }, () => ({ contents: instead }));
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
    plugins: instead === null ? [] : [absent],
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

/** Waits, in the page, until it is ready and quiet, and gives the long tasks and the first paint. */
async function settle({ ranks, quiet }) {
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  const { dataset } = document.documentElement;
  const cards = () => document.querySelectorAll(".card").length;
  while (ranks ? dataset.ready !== "true" : cards() === 0) await wait(50);
  const ready = performance.now();
  const ends = () => globalThis.longTasks.map((task) => task.startTime + task.duration);
  while (performance.now() - Math.max(ready, ...ends()) < quiet) await wait(100);
  const [{ startTime: painted }] = performance.getEntriesByName("first-contentful-paint");
  return { painted, tasks: globalThis.longTasks };
}

/** What tasks last beyond 50 ms each, after the first paint. */
const blocking = (tasks, painted) =>
  tasks.reduce((sum, { startTime, duration }) => {
    const from = Math.max(startTime + LONG_MS, painted);
    return sum + Math.max(0, startTime + duration - from);
  }, 0);

/**
 * The tasks of the page's main thread in a trace, with four times the processor time that they took and the
 * names of what was done in each; and when the first contentful paint was.
 */
function slowed(trace) {
  const events = trace.traceEvents;
  const paint = events.filter(({ name }) => name === "firstContentfulPaint").at(-1);
  if (paint === undefined) throw new Error("the trace has no first contentful paint");
  const own = events.filter(
    ({ pid, tid, ph }) => pid === paint.pid && tid === paint.tid && ph === "X",
  );
  const tasks = own.filter(({ name }) => name === "RunTask");
  if (tasks.length === 0 || tasks.some(({ tdur }) => tdur === undefined))
    throw new Error("the trace does not tell the processor time of tasks");
  const slow = tasks.map(({ ts, dur, tdur }) => ({
    startTime: ts / 1000,
    duration: (RATE * tdur) / 1000,
    parts: () => {
      const spent = new Map();
      for (const part of own) {
        if (part.name === "RunTask" || part.ts < ts || part.ts >= ts + dur) continue;
        const name = part.args?.data?.functionName ?? part.args?.data?.type ?? "";
        const key = `${part.name} ${name}`.trim();
        spent.set(key, (spent.get(key) ?? 0) + (RATE * (part.tdur ?? 0)) / 1000);
      }
      return [...spent].sort((a, b) => b[1] - a[1]).slice(0, 6);
    },
  }));
  return { painted: paint.ts / 1000, tasks: slow };
}

const folder = mkdtempSync(join(tmpdir(), "onshelf-blocking-"));
const servers = {};
let browser;

/** Opens the page and gives its blocking time. */
async function visit(page, path, name) {
  const session = await page.context().newCDPSession(page);
  if (values.throttled) await session.send("Emulation.setCPUThrottlingRate", { rate: RATE });
  // A change of the fragment alone would not load the page anew.
  await page.goto("about:blank");
  if (!values.throttled)
    await browser.startTracing(page, {
      categories: ["disabled-by-default-devtools.timeline", "devtools.timeline", "loading"],
    });
  await page.goto(servers[name].url + path);
  const { painted, tasks } = await page.evaluate(settle, {
    ranks: name === "with",
    quiet: QUIET_MS,
  });
  await session.detach();
  if (values.throttled) return { ms: blocking(tasks, painted), whole: blocking(tasks, 0), tasks };
  const trace = slowed(JSON.parse(String(await browser.stopTracing())));
  // Times in a trace are not slowed down, so a task is before the paint or after it.
  const after = trace.tasks.filter(({ startTime }) => startTime >= trace.painted);
  return {
    ms: blocking(after, 0),
    whole: blocking(trace.tasks, 0),
    tasks: trace.tasks.filter(({ duration }) => duration > LONG_MS),
  };
}

/** One first visit and one return visit. */
async function measure(path, name) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript(watch);
  const first = await visit(page, path, name);
  const again = await visit(page, path, name);
  await context.close();
  return { first, again };
}

function list(told) {
  for (const name of ["without", "with"])
    for (const kind of ["first", "again"]) {
      console.log(`\n${kind} visit, ${name} onshelf, tasks over ${LONG_MS} ms:`);
      for (const { startTime, duration, parts } of told[name][kind].tasks) {
        console.log(`  at ${startTime.toFixed(0)}: ${duration.toFixed(0)} ms`);
        for (const [what, ms] of parts?.() ?? []) console.log(`    ${ms.toFixed(0)} ms ${what}`);
      }
    }
}

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const shown = (values) =>
  `${median(values).toFixed(0)} ms (${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`;
const load = () =>
  `load ${loadavg()
    .map((one) => one.toFixed(1))
    .join(", ")} on ${cpus().length} cores`;

try {
  for (const [name, instead] of Object.entries({ with: null, without: ABSENT, control: CONTROL })) {
    await bundle(join(folder, name), instead);
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
  console.log(
    values.throttled
      ? `slowed down ${RATE} times by DevTools, wall-clock time`
      : `processor time of the main thread's tasks, ${RATE} times`,
  );
  console.log(`before: ${load()}`);
  // The first page of a browser pays for what the browser starts late.
  await measure(path, "without");
  const told = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const order = round % 2 === 0 ? ["with", "without"] : ["without", "with"];
    const one = {};
    for (const name of order) one[name] = await measure(path, name);
    told.push(one);
  }
  const control = [];
  for (let round = 0; round < 3; round++) {
    const { first, again } = await measure(path, "control");
    control.push(first.ms - told.at(-1).without.first.ms, again.ms - told.at(-1).without.again.ms);
  }
  console.log(`after:  ${load()}`);
  console.log(
    `control: a task made on purpose adds ${shown(control)}; by its processor time it is ${expected().toFixed(0)} ms`,
  );
  for (const [kind, name] of [
    ["first", "first visit"],
    ["again", "return visit"],
  ])
    for (const [what, from] of [
      ["ms", "from the first paint"],
      ["whole", "from the start, which is no part of the aim"],
    ]) {
      const of = (which) => told.map((one) => one[which][kind][what]);
      const apart = told.map((one) => one.with[kind][what] - one.without[kind][what]);
      const added = median(of("with")) - median(of("without"));
      console.log(
        `${name}, ${from}, ${told.length} rounds: with onshelf ${shown(of("with"))}, without ${shown(of("without"))}; ` +
          `difference of the medians ${added.toFixed(0)} ms, median of the differences ${shown(apart)}` +
          (what === "ms" ? `; aim ${AIM_MS} ms` : ""),
      );
    }
  if (values.tasks) list(told.at(-1));
} finally {
  await browser?.close();
  for (const server of Object.values(servers)) await server.close();
  rmSync(folder, { recursive: true, force: true });
}
