/**
 * The peers' benchmark: every peer of `list.mjs` on one fixture, each repetition in a fresh browser.
 *
 *     node benches/peers/run.mjs WORK FIXTURE [--reps 3] [--only a,b] [--cpu] [--budget-ms 4000] [--dist dist/onshelf]
 *
 * WORK is the folder that `prepare.sh` filled, FIXTURE `sasrec` or `student`. Writes WORK/FIXTURE.json, which
 * `ratios.mjs` reads.
 */

import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import { chromium } from "playwright-core";
import { browserPath, CHROMIUM_ARGS, ROOT } from "../../tests/browser/harness.mjs";
import { startServer } from "../../www/serve.mjs";
import { PACKAGES, PEERS } from "./list.mjs";

const { values, positionals } = parseArgs({
  options: {
    reps: { type: "string", default: "3" },
    only: { type: "string" },
    cpu: { type: "boolean", default: false },
    "budget-ms": { type: "string", default: "4000" },
    dist: { type: "string", default: join(ROOT, "dist/onshelf") },
  },
  allowPositionals: true,
});
const [work, fixture] = [resolve(positionals[0]), positionals[1]];

const TIMEOUT_MS = 600_000;
const PAGE =
  '<!doctype html><meta charset="utf-8"><script type="module" src="/page/measure.mjs"></script>';

const mounts = {
  "/www/": join(work, "www"),
  "/node_modules/": join(work, "node_modules"),
  "/fixture/": join(work, "fixture"),
  "/onshelf/": resolve(values.dist),
  "/page/": join(ROOT, "benches/peers/page"),
};

/** Bytes of what was fetched, raw and compressed; compressing large files takes long, so it is remembered. */
function bytesOf(paths) {
  const memory = join(work, "sizes.json");
  const known = existsSync(memory) ? JSON.parse(readFileSync(memory, "utf8")) : {};
  const total = { raw: 0, gzip: 0, brotli: 0 };
  for (const path of paths) {
    const prefix = Object.keys(mounts).find((start) => path.startsWith(start));
    const bytes = readFileSync(join(mounts[prefix], path.slice(prefix.length)));
    const sum = createHash("sha256").update(bytes).digest("hex");
    const quality = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 };
    known[sum] ??= {
      raw: bytes.length,
      gzip: gzipSync(bytes, { level: 9 }).length,
      brotli: brotliCompressSync(bytes, { params: quality }).length,
    };
    for (const kind of Object.keys(total)) total[kind] += known[sum][kind];
  }
  writeFileSync(memory, JSON.stringify(known));
  return total;
}

/** One peer in a browser of its own; what goes wrong is part of the row. */
async function run(peer, url) {
  const browser = await chromium.launch({
    executablePath: browserPath("chromium"),
    args: CHROMIUM_ARGS,
  });
  const logs = new Set();
  let timer;
  try {
    const page = await browser.newPage();
    page.on("console", (message) => {
      if (message.type() === "error") logs.add(message.text().slice(0, 300));
    });
    page.on("pageerror", (error) => logs.add(error.message.slice(0, 300)));
    await page.goto(`${url}/measure.html`);
    await page.waitForFunction(() => globalThis.measure !== undefined);
    const { module, opts } = peer;
    const task = { fixture, module, opts, budget_ms: Number(values["budget-ms"]) };
    const late = new Promise((_, fail) => {
      timer = setTimeout(
        () => fail(new Error(`no result after ${TIMEOUT_MS / 1000} s`)),
        TIMEOUT_MS,
      );
    });
    const row = await Promise.race([page.evaluate((told) => globalThis.measure(told), task), late]);
    return { ...row, chromium: browser.version(), logs: [...logs] };
  } catch (error) {
    return { fatal: String(error.message ?? error).slice(0, 600), logs: [...logs] };
  } finally {
    clearTimeout(timer);
    await browser.close();
  }
}

function told(row) {
  if (row.fatal !== undefined) return `FAILED: ${row.fatal}`;
  const { infer, train, cold } = row;
  const step = train === undefined ? "" : `, step ${train.head.p50} ms`;
  return (
    `off by ${infer.maxAbsDiffVsF64.toExponential(1)}, top 20 in ${infer.top20SameOrder}; ` +
    `${infer.p50} ms (p95 ${infer.p95}, ${infer.n})${step}, cold ${cold.total.toFixed(0)} ms`
  );
}

const chosen = PEERS.filter((peer) => {
  const wanted = values.only === undefined || values.only.split(",").includes(peer.peer);
  if (!wanted || !peer.fixtures.includes(fixture) || (values.cpu && peer.gpu)) return false;
  if (peer.needs === undefined || existsSync(join(work, peer.needs))) return true;
  console.log(`${peer.peer}: left out, ${peer.needs} was not built`);
  return false;
});
const server = await startServer({
  mounts,
  intercept(request, response) {
    // Isolated, a page's clock is exact to 5 µs instead of 100.
    response.setHeader("Cross-Origin-Opener-Policy", "same-origin");
    response.setHeader("Cross-Origin-Embedder-Policy", "require-corp");
    if (request.url === "/favicon.ico") return (response.writeHead(204).end(), true);
    if (request.url !== "/measure.html") return false;
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
    return (response.end(PAGE), true);
  },
});
const rows = [];
try {
  // In turns, so that what else the machine does hits all alike.
  for (let rep = 0; rep < Number(values.reps); rep++) {
    for (const peer of chosen) {
      const measured = await run(peer, server.url);
      const row = { peer: peer.peer, rep, ...measured, load: loadavg()[0] };
      // With the browser closed: compressing is work, too.
      if (row.files !== undefined) row.bytes = bytesOf(row.files);
      rows.push(row);
      console.log(`${peer.peer.padEnd(16)} ${told(row)}`);
      for (const line of row.logs) console.log(`   console: ${line}`);
    }
  }
} finally {
  await server.close();
}
const machine = {
  cpu: cpus()[0].model,
  cores: cpus().length,
  chromium: rows.find((row) => row.chromium)?.chromium,
};
writeFileSync(
  join(work, `${fixture}.json`),
  `${JSON.stringify({ fixture, machine, versions: PACKAGES, rows }, null, 1)}\n`,
);
