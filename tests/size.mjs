// Bytes of the shipped modules with their JavaScript: raw, gzip and brotli. Fails above budget.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const [dist, cpu, webgpu, sync, page] = process.argv.slice(2);
const budgets = { cpu: Number(cpu), webgpu: Number(webgpu), sync: Number(sync) };

function sizes(name) {
  const bytes = readFileSync(join(dist, "onshelf", name));
  const brotli = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    },
  });
  return {
    name,
    raw: bytes.length,
    gzip: gzipSync(bytes, { level: 9 }).length,
    brotli: brotli.length,
  };
}

const shared = ["index.js", "onshelf-worker.js"].map(sizes);
const line = (s) =>
  `${s.name.padEnd(28)} ${[s.raw, s.gzip, s.brotli].map((n) => String(n).padStart(9)).join(" ")}`;
console.log(`${"".padEnd(28)} ${["raw", "gzip", "brotli"].map((h) => h.padStart(9)).join(" ")}`);
shared.forEach((s) => console.log(line(s)));

let over = false;
function judge(what, bytes, budget) {
  const ok = bytes <= budget;
  console.log(`${what}: ${bytes} bytes of brotli, budget ${budget}: ${ok ? "within" : "ABOVE"}`);
  over ||= !ok;
}

for (const [kind, budget] of Object.entries(budgets)) {
  const own = [`onshelf_${kind}.js`, `onshelf_${kind}_bg.wasm`].map(sizes);
  own.forEach((s) => console.log(line(s)));
  // The sync module comes beside another, which brought the JavaScript along.
  const all = kind === "sync" ? own : [...own, ...shared];
  const sum = (key) => all.reduce((total, s) => total + s[key], 0);
  console.log(
    line({
      name: `${kind} with its JavaScript`,
      raw: sum("raw"),
      gzip: sum("gzip"),
      brotli: sum("brotli"),
    }),
  );
  judge(kind, sum("brotli"), budget);
}
// What runs on the page's main thread: the client, and what a page may add to it; the worker fetches the rest.
const pages = {
  "index.js": Number(page),
  "privacy.js": 6_656,
  "shelf.js": 4_096,
  "react.js": 3_072,
  // In the shop's service worker.
  "service-worker.js": 1_536,
};
for (const [name, budget] of Object.entries(pages)) judge(name, sizes(name).brotli, budget);
process.exitCode = over ? 1 : 0;
