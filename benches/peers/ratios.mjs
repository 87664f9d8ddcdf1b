/**
 * Reads what the peers' benchmark wrote and prints ours against theirs: agreement with the fixture first,
 * then medians over the repetitions with their spread, then the ratios and what was aimed at.
 *
 *     node benches/peers/ratios.mjs RESULTS.json
 *
 * Fails where ours was not measured, or does not give what the fixture expects.
 */

import { readFileSync } from "node:fs";

const { fixture, rows, machine, versions } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const student = fixture === "student";

const MEASURES = {
  [student ? "one more click ms" : "inference ms"]: (row) => row.infer.p50,
  ...(student ? { "p95 ms": (row) => row.infer.p95 } : {}),
  "step ms, items frozen": (row) => row.train?.head?.p50,
  "step ms, rows": (row) => row.train?.rows?.p50,
  "step ms, everything": (row) => row.train?.full?.p50,
  "cold start ms": (row) => row.cold.total,
  "bytes, brotli": (row) => row.bytes.brotli,
};

const STUDENTS = ["tfjs-wasm", "tfjs-wasm-dense", "ort-wasm", "ort-wasm-dense"];

/**
 * Ours against the best of theirs, by measure, with the aim where there is one. `off` is how far a score of
 * ours may be from the expected one: the student's are divided by a temperature, so they are larger.
 */
const TABLES = [
  {
    title: "CPU",
    ours: "onshelf-cpu",
    off: 1e-4,
    lines: [
      ["inference", "inference ms", ["ort-wasm"], 1],
      ["fine-tuning step, items frozen", "step ms, items frozen", ["tfjs-wasm"], 0.2],
      ["cold start to first ranking", "cold start ms", ["tfjs-wasm"], 0.8],
    ],
  },
  {
    title: "WebGPU",
    ours: "onshelf-webgpu",
    off: 1e-4,
    lines: [
      ["inference", "inference ms", ["tfjs-webgpu", "ort-webgpu"], 1],
      ["fine-tuning step, items frozen", "step ms, items frozen", ["tfjs-webgpu"], 0.5],
    ],
  },
  {
    title: "shipped student, CPU",
    ours: "onshelf-student",
    off: 1e-3,
    lines: [
      ["one more click", "one more click ms", STUDENTS],
      ["cold start to first ranking", "cold start ms", STUDENTS],
      ["bytes", "bytes, brotli", STUDENTS],
    ],
  },
];
/** How far a loss of ours may be from the expected one over ten steps, in nats. */
const LOSS_OFF = 1e-3;

for (const row of rows) if (row.fatal) console.error(`${row.peer}: ${row.fatal}`);
const good = rows.filter((row) => !row.fatal);
const peers = [...new Set(good.map((row) => row.peer))];
const rowsOf = (peer) => good.filter((row) => row.peer === peer);
const numbers = (list) => list.filter((n) => typeof n === "number").sort((a, b) => a - b);
const of = (peer, what) => numbers(rowsOf(peer).map(what));
const median = (list) => list[Math.floor(list.length / 2)];
const short = (n) => String(n >= 1000 ? Math.round(n) : Number(n.toPrecision(3)));
const spread = (list) =>
  list.length === 0
    ? "–"
    : list[0] === list.at(-1)
      ? short(list[0])
      : `${short(median(list))} (${short(list[0])} to ${short(list.at(-1))})`;

/** Largest difference of a score and of a loss, and in how many sessions the best twenty are the expected. */
function agreement(peer) {
  const same = [...new Set(rowsOf(peer).map((row) => row.infer.top20SameOrder))];
  const losses = of(peer, (row) => row.train?.head?.maxLossDiff10StepsVsF64);
  // JSON has no infinity: a score that was no number comes as null.
  const offs = rowsOf(peer).map((row) => row.infer.maxAbsDiffVsF64 ?? Infinity);
  return { off: Math.max(...offs), loss: losses.at(-1), same };
}

function overview() {
  const shown = Object.entries(MEASURES).filter(([, what]) =>
    peers.some((peer) => of(peer, what).length),
  );
  const head = ["peer", "score off by", "loss off by", "top 20 as expected"];
  const names = [...head, ...shown.map(([name]) => name)];
  console.log(`\n| ${names.join(" | ")} |\n|${" --- |".repeat(names.length)}`);
  for (const peer of peers) {
    const { off, loss, same } = agreement(peer);
    const cells = [off.toExponential(1), loss?.toExponential(1) ?? "–", same.join(", ")];
    cells.push(...shown.map(([, what]) => spread(of(peer, what))));
    console.log(`| ${peer} | ${cells.join(" | ")} |`);
  }
}

/** Median of ours by the median of theirs, and the ratio within each repetition, least and most. */
function ratio(ours, theirs, what) {
  const pairs = rowsOf(ours).map((row) => {
    const other = rowsOf(theirs).find((candidate) => candidate.rep === row.rep);
    return other === undefined ? undefined : what(row) / what(other);
  });
  const each = numbers(pairs);
  return { value: median(of(ours, what)) / median(of(theirs, what)), each };
}

function compare({ title, ours, lines }) {
  console.log(`\n| ${title}, ours / theirs | ratio | aim | |\n| --- | --- | --- | --- |`);
  for (const [name, measure, others, aim] of lines) {
    const what = MEASURES[measure];
    const known = others.filter((peer) => of(peer, what).length > 0);
    if (known.length === 0 || of(ours, what).length === 0) {
      console.log(`| ${name} / ${others.join(" or ")} | not measured | | |`);
      continue;
    }
    // The best of theirs.
    const best = known.reduce((a, b) => (median(of(b, what)) < median(of(a, what)) ? b : a));
    const { value, each } = ratio(ours, best, what);
    const range = each.length > 1 ? ` (${each[0].toFixed(3)} to ${each.at(-1).toFixed(3)})` : "";
    const told = aim === undefined ? "–" : `≤ ${aim}`;
    const met = aim === undefined ? "" : value <= aim ? "met" : "missed";
    console.log(`| ${name} / ${best} | ${value.toFixed(3)}${range} | ${told} | ${met} |`);
  }
}

console.log(
  `${machine.cpu}, ${machine.cores} cores, Chromium ${machine.chromium}; ${rows.length} runs`,
);
console.log(
  Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", "),
);
overview();
let wrong = false;
const tables = TABLES.filter(({ ours }) => rows.some((row) => row.peer === ours));
for (const table of tables) {
  const { ours, off: limit } = table;
  if (!peers.includes(ours)) {
    console.error(`${ours}: not measured`);
    wrong = true;
    continue;
  }
  const { off, loss, same } = agreement(ours);
  if (off > limit || loss > LOSS_OFF || same.some((text) => !/^(\d+)\/\1$/.test(text))) {
    console.error(`${ours} does not give what the fixture expects: its times mean nothing`);
    wrong = true;
  }
  compare(table);
}
if (tables.length === 0) console.error("none of ours was measured");
if (wrong || tables.length === 0) process.exitCode = 1;
