/** Tasks of private rounds made here, with Node's own cryptography; docs/formats.md says what is in them. */

import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KEY, seal } from "./signing.mjs";

const TYPE = "application/vnd.onshelf.task+json";

/** An aggregator's or collector's key: its configuration, DAP's list of it, and its secret in hex. */
export function aggregatorKey(id) {
  const { privateKey, publicKey } = generateKeyPairSync("x25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  // HpkeConfig of DAP-09: id, X25519-HKDF-SHA256, HKDF-SHA256, AES-128-GCM, the key behind its length.
  const config = Buffer.concat([Buffer.from([id, 0, 0x20, 0, 1, 0, 1, 0, 32]), raw]);
  const secret = privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32).toString("hex");
  return {
    config: config.toString("base64url"),
    list: Buffer.concat([Buffer.from([0, config.length]), config]),
    secret,
  };
}

/** Keys of the leader, the helper and the collector of these tasks. */
export const KEYS = {
  leader: aggregatorKey(1),
  helper: aggregatorKey(2),
  collector: aggregatorKey(3),
};

/** The chunk length with the shortest proof: as `prio` chooses it, by trying powers of two as sizes of polynomials. */
function chunkLength(bits) {
  let best = { length: bits, proof: Infinity };
  for (let size = 2; size <= 2 * bits; size *= 2) {
    const length = Math.ceil(bits / (size - 1));
    const proof = 2 * length + 2 * (size - 1) + 1;
    if (proof < best.proof) best = { length, proof };
  }
  return best.length;
}

/**
 * A task, not yet signed, whose aggregators answer below `url`/round/.
 *
 * @param {{ url: string, model: string, dimension: number, clip?: number, bits?: number }} about `model` is
 *   the SHA-256 of the signed manifest
 */
export function task({ url, model, dimension, clip = 1, bits = 4 }, changes = {}) {
  const hour = 3_600;
  const start = Math.floor(Date.now() / 1000 / hour) * hour;
  const length = 2 ** Math.ceil(Math.log2(dimension));
  return {
    format: 1,
    model,
    lineage: "test",
    round: 1,
    encoding: { dimension, bits, clip, rotation_seed: "07".repeat(32) },
    chunk_length: chunkLength(length * bits),
    policy: {
      epsilon: 4,
      delta: 1e-6,
      participations: 2,
      noise_multiplier: 1.7,
      adjacency: "zero-out",
    },
    min_batch: 1_000,
    leader: { url: `${url}/round/leader/`, hpke: KEYS.leader.config },
    helper: { url: `${url}/round/helper/`, hpke: KEYS.helper.config },
    collector: KEYS.collector.config,
    time_precision: hour,
    start,
    expires: start + 48 * hour,
    ...changes,
  };
}

/** Signed: what `task.json` holds. */
export const signedTask = (one) => JSON.stringify(seal(one, TYPE));

/** A log of versions, signed: the whole SHA-256 (hex) of each manifest, oldest first. */
export function versionLog(models) {
  let previous = "";
  const lines = models.map((model, sequence) => {
    const entry = { format: 1, sequence, previous, event: "published", model, at: 1_800_000_000 };
    previous = createHash("sha256").update(JSON.stringify(entry)).digest("hex");
    return `${JSON.stringify(seal(entry, "application/vnd.onshelf.version-log-entry+json"))}\n`;
  });
  return lines.join("");
}

/** Where `build.sh` put the program that opens reports natively; see crates/core/examples/open_report.rs. */
export const OPENER = process.env.ONSHELF_OPEN_REPORT;

/** For `skip`: why reports cannot be opened here, or `false`. */
export const skipOpening =
  OPENER !== undefined && existsSync(OPENER)
    ? false
    : "ONSHELF_OPEN_REPORT names no program; ./build.sh test builds it";

/**
 * Has both aggregators' parts of a report opened, verified and added up, natively.
 *
 * @param {string} envelope the signed task
 * @param {Buffer} report
 * @param {{ key: string, secrets: [string, string] }} [of] who signed the task, and both aggregators' HPKE secrets
 */
export function openReport(envelope, report, of = OWN) {
  const folder = mkdtempSync(join(tmpdir(), "onshelf-report-"));
  try {
    const [about, bytes] = [join(folder, "task.json"), join(folder, "report")];
    writeFileSync(about, envelope);
    writeFileSync(bytes, report);
    const args = [about, of.key, bytes, ...of.secrets];
    return JSON.parse(execFileSync(OPENER, args, { encoding: "utf8" }));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const OWN = { key: KEY, secrets: [KEYS.leader.secret, KEYS.helper.secret] };
