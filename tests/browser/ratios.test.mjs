/** What the peers' benchmark makes of its results (`benches/peers/ratios.mjs`); needs no browser. */

import { test } from "node:test";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT } from "./harness.mjs";

const row = (peer, rep, { infer = 1, step, off = 1e-6, same = "64/64", loss = 1e-6 } = {}) => ({
  peer,
  rep,
  infer: { n: 64, p50: infer, p95: infer, maxAbsDiffVsF64: off, top20SameOrder: same },
  train: step && { head: { p50: step, maxLossDiff10StepsVsF64: loss } },
  cold: { total: 100 },
  bytes: { brotli: 1000 },
});

function ratios(rows, fixture = "sasrec") {
  const folder = mkdtempSync(join(tmpdir(), "onshelf-ratios-"));
  const file = join(folder, "results.json");
  const machine = { cpu: "none", cores: 1, chromium: "0" };
  writeFileSync(file, JSON.stringify({ fixture, rows, machine, versions: {} }));
  try {
    const told = spawnSync("node", [join(ROOT, "benches/peers/ratios.mjs"), file], {
      encoding: "utf8",
    });
    return { good: told.status === 0, text: told.stdout + told.stderr };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test("ratios are of medians, with their range over the repetitions", () => {
  const rows = [1, 2, 6].flatMap((infer, rep) => [
    row("onshelf-cpu", rep, { infer, step: 2 }),
    row("ort-wasm", rep, { infer: 4 }),
    row("tfjs-wasm", rep, { infer: 9, step: 8 }),
  ]);
  const { good, text } = ratios(rows);
  assert.ok(good, text);
  assert.match(text, /\| inference \/ ort-wasm \| 0\.500 \(0\.250 to 1\.500\) \| ≤ 1 \| met \|/);
  assert.match(text, /items frozen \/ tfjs-wasm \| 0\.250 \(.*\| ≤ 0\.2 \| missed \|/);
  assert.doesNotMatch(text, /WebGPU/);
});

test("on WebGPU the better of theirs counts", () => {
  const { good, text } = ratios([
    row("onshelf-webgpu", 0, { infer: 10, step: 1 }),
    row("tfjs-webgpu", 0, { infer: 40, step: 4 }),
    row("ort-webgpu", 0, { infer: 20 }),
  ]);
  assert.ok(good, text);
  assert.match(text, /\| inference \/ ort-webgpu \| 0\.500 \|/);
  assert.match(text, /items frozen \/ tfjs-webgpu \| 0\.250 \| ≤ 0\.5 \| met \|/);
});

test("times of what does not agree, or was not measured, are refused", () => {
  const theirs = [row("ort-wasm", 0), row("tfjs-wasm", 0, { step: 8 })];
  const wrong = [
    { off: 0.1 },
    // A score that was no number, as JSON writes it.
    { off: null },
    { same: "63/64" },
    { step: 1, loss: 0.5 },
  ];
  for (const ours of wrong) {
    const { good, text } = ratios([row("onshelf-cpu", 0, ours), ...theirs]);
    assert.ok(!good, `${JSON.stringify(ours)}: ${text}`);
    assert.match(text, /does not give what the fixture expects/);
  }
  const absent = [theirs, [{ peer: "onshelf-cpu", rep: 0, fatal: "no result" }, ...theirs]];
  for (const rows of absent) assert.ok(!ratios(rows).good);
});
