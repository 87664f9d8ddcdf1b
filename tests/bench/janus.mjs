/**
 * What a report costs at Janus's servers, and at ours beside them: the same task, machine and PostgreSQL, one after the
 * other. Processor time is without PostgreSQL's. See docs/scale.md for `ONSHELF_JANUS`.
 *
 *     ONSHELF_JANUS=DIR node tests/bench/janus.mjs --server FILE --known FILE [--reports 1000]
 */

import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { KEY } from "../browser/signing.mjs";
import { aggregatorKey, signedTask, task } from "../browser/tasks.mjs";
import { freePort } from "../demo/aggregators.mjs";
import { agreed, processorTime, skipJanus, startRound } from "../interop/janus.mjs";
import { startPostgres } from "../interop/postgres.mjs";

const OPTIONS = {
  server: { type: "string" },
  known: { type: "string" },
  reports: { type: "string", default: "1000" },
};
const { values } = parseArgs({ options: OPTIONS });
if (skipJanus) throw new Error(skipJanus);

const SHAPES = [
  [1_024, 8],
  [4_096, 4],
];
const run = async (program, args, env = {}) => {
  const options = { env: { ...process.env, ...env }, maxBuffer: 1 << 26 };
  return (await promisify(execFile)(program, args, options)).stdout;
};
const known = async (...args) => JSON.parse(await run(values.known, ...args));

/** Processor time of each of Janus's processes so far. */
const used = (processes) => {
  const entries = Object.entries(processes).flatMap(([role, all]) =>
    Object.entries(all).map(([name, child]) => [`${role}'s ${name}`, processorTime(child)]),
  );
  return Object.fromEntries(entries);
};

async function atJanus(postgres, folder, [dimension, bits]) {
  const ports = { leader: await freePort(), helper: await freePort() };
  const keys = { leader: aggregatorKey(1), helper: aggregatorKey(2) };
  const seed = randomBytes(32).toString("hex");
  const place = (role) => ({ url: `http://127.0.0.1:${ports[role]}/`, hpke: keys[role].config });
  const envelope = signedTask({
    ...task({ url: "http://127.0.0.1", model: "ab".repeat(32), dimension, bits }),
    leader: place("leader"),
    helper: place("helper"),
    collector: (await known(["collector", seed])).config,
  });
  const path = join(folder, "task.json");
  writeFileSync(path, envelope);
  const { task: id } = await known([path, KEY, "id"]);
  const { tokens, verifyKey } = agreed();
  const both = { roles: ["leader", "helper"], keys, ports, tokens, verifyKey };
  const round = await startRound({ postgres, folder, envelope, id, ...both });
  try {
    const before = used(round.processes);
    const sent = await known([path, KEY, "upload", values.reports]);
    const job = randomBytes(16).toString("base64url");
    const env = { ONSHELF_COLLECTOR_TOKEN: tokens.collector };
    const sum = await known([path, KEY, "collect", seed, job], env);
    const all = Number(values.reports);
    if (sum.reports !== all || sum.sum.some((value, at) => value !== sent.sum[at]))
      throw new Error("the sum is not exact");
    const spent = Object.entries(used(round.processes)).map(([name, s]) => [
      name,
      s - before[name],
    ]);
    const total = spent.reduce((s, [, one]) => s + one, 0);
    const seconds = sent.uploading_s + sum.collecting_s;
    return [
      `end to end, first upload to the sum at the collector: ${(all / seconds).toFixed(0)} a second`,
      `uploaded and checked: ${(all / sent.uploading_s).toFixed(0)} a second; then ${sum.collecting_s.toFixed(1)} s to the sum`,
      `processor time: ${((total / all) * 1e3).toFixed(2)} ms a report, both roles`,
      ...spent.map(([name, s]) => `  ${name}: ${((s / all) * 1e3).toFixed(2)} ms`),
    ].join("\n");
  } finally {
    await round.close();
  }
}

async function atOurs(postgres, [dimension, bits]) {
  const shape = [
    "--reports",
    values.reports,
    "--dimension",
    String(dimension),
    "--bits",
    String(bits),
  ];
  const databases = ["--leader-database", postgres.database("our_leader")];
  databases.push("--helper-database", postgres.database("our_helper"));
  return run(values.server, ["bench", ...shape, ...databases], { RUST_LOG: "warn" });
}

for (const shape of SHAPES) {
  const folder = mkdtempSync(join(tmpdir(), "onshelf-bench-janus-"));
  const postgres = await startPostgres();
  try {
    console.log(`(${shape.join(", ")}), ${values.reports} reports\nJanus:`);
    console.log(await atJanus(postgres, folder, shape));
    console.log("ours:");
    console.log(await atOurs(postgres, shape));
  } finally {
    await postgres.close();
    rmSync(folder, { recursive: true, force: true });
  }
}
