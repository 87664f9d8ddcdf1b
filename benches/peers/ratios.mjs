/**
 * Reads what the peers' benchmark wrote and prints ours against theirs: agreement with the fixture first,
 * then medians over the repetitions with their spread, then the ratios and what was aimed at.
 *
 *     node benches/peers/ratios.mjs RESULTS.json
 */

import { readFileSync } from "node:fs";

const { rows, machine, versions } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const broken = rows.filter((row) => row.fatal);
for (const row of broken) console.error(`${row.peer}: ${row.fatal}`);
const good = rows.filter((row) => !row.fatal);
const peers = [...new Set(good.map((row) => row.peer))];
const of = (peer, what) =>
  good
    .filter((row) => row.peer === peer)
    .map(what)
    .filter((value) => typeof value === "number")
    .sort((a, b) => a - b);
const median = (list) => list[Math.floor(list.length / 2)];
const spread = (list) =>
  list.length === 0 ? "–" : `${median(list)} (${list[0]} to ${list.at(-1)})`;

const measures = {
  "inference ms": (row) => row.infer.p50,
  "step ms, items frozen": (row) => row.train?.head?.p50,
  "step ms, rows": (row) => row.train?.rows?.p50,
  "step ms, everything": (row) => row.train?.full?.p50,
  "cold start ms": (row) => row.cold.total,
  "bytes, brotli": (row) => row.bytes.brotli,
};
console.log(
  `${machine.cpu}, ${machine.cores} cores, Chromium ${machine.chromium}; ${rows.length} runs`,
);
console.log(
  Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", "),
);
console.log(
  `\n| peer | largest difference of a score | top 20 as expected | ${Object.keys(measures).join(" | ")} |`,
);
console.log(`| --- |${" --- |".repeat(2 + Object.keys(measures).length)}`);
let wrong = false;
for (const peer of peers) {
  const off = Math.max(...of(peer, (row) => row.infer.maxAbsDiffVsF64));
  const same = [
    ...new Set(good.filter((row) => row.peer === peer).map((row) => row.infer.top20SameOrder)),
  ];
  if (peer === "onshelf-cpu")
    wrong ||= off > 1e-4 || same.some((text) => !/^(\d+)\/\1$/.test(text));
  const cells = Object.values(measures).map((what) => spread(of(peer, what)));
  console.log(`| ${peer} | ${off.toExponential(1)} | ${same.join(", ")} | ${cells.join(" | ")} |`);
}

const aims = [
  ["inference", "inference ms", "ort-wasm", 1],
  ["fine-tuning step, items frozen", "step ms, items frozen", "tfjs-wasm", 0.2],
  ["cold start to first ranking", "cold start ms", "tfjs-wasm", 0.8],
];
console.log("\n| CPU, ours / theirs | ratio | aim | |\n| --- | --- | --- | --- |");
for (const [name, measure, peer, aim] of aims) {
  const [ours, theirs] = ["onshelf-cpu", peer].map((who) => median(of(who, measures[measure])));
  if (ours === undefined || theirs === undefined) continue;
  const ratio = ours / theirs;
  console.log(
    `| ${name} / ${peer} | ${ratio.toFixed(3)} | ≤ ${aim} | ${ratio <= aim ? "met" : "missed"} |`,
  );
}
if (wrong || !peers.includes("onshelf-cpu")) {
  console.error("our scores are not the fixture's: the times mean nothing");
  process.exit(1);
}
