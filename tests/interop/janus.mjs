/**
 * Janus 0.7's aggregators for tests: its own programs, as their operators would run them. Nothing of Janus is part of
 * this repository; `ONSHELF_JANUS` names a folder with the program `janus_aggregator` and the folder `db` of its
 * migrations (docs/scale.md).
 */

import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, ready, stop } from "../demo/aggregators.mjs";
import { postgresPrograms } from "./postgres.mjs";

const FOLDER = process.env.ONSHELF_JANUS ?? "";
const PROGRAM = join(FOLDER, "janus_aggregator");

/** For `skip`: why Janus cannot be run here, or `false`. */
export const skipJanus = (() => {
  if (FOLDER === "" || !existsSync(PROGRAM))
    return "ONSHELF_JANUS names no folder with Janus's programs; see docs/scale.md";
  return postgresPrograms() === null && "PostgreSQL is not installed";
})();

/** Janus's schema, in the order of its migrations. */
const schema = () =>
  readdirSync(join(FOLDER, "db"))
    .filter((name) => name.endsWith(".up.sql"))
    .sort()
    .map((name) => join(FOLDER, "db", name));

const hash = (token) => ({
  type: "Bearer",
  hash: createHash("sha256").update(token).digest("base64url"),
});

/** A key as Janus writes it; `config` is DAP's HpkeConfig in base64url. */
const suite = (config) => {
  const bytes = Buffer.from(config, "base64url");
  const names = { kem_id: "X25519HkdfSha256", kdf_id: "HkdfSha256", aead_id: "Aes128Gcm" };
  return { id: bytes[0], ...names, public_key: bytes.subarray(-32).toString("base64url") };
};

/**
 * What `janus_cli provision-tasks` takes: one of our tasks for one of its aggregators.
 *
 * @param {object} about
 * @param {"leader" | "helper"} about.role
 * @param {string} about.id the task's, base64url
 * @param {object} about.task what our signed task says
 * @param {string} about.secret the role's HPKE secret, hex
 * @param {string} about.verifyKey 16 bytes that both aggregators share, base64url
 * @param {{ helper: string, collector: string }} about.tokens of the leader for the helper, of the collector
 */
function janusTask({ role, id, task, secret, verifyKey, tokens }) {
  const { dimension, bits } = task.encoding;
  const leader = role === "leader";
  const own = leader
    ? {
        aggregator_auth_token: { type: "Bearer", token: tokens.helper },
        collector_auth_token_hash: hash(tokens.collector),
      }
    : { aggregator_auth_token_hash: hash(tokens.helper) };
  const vdaf = {
    bits,
    length: 2 ** Math.ceil(Math.log2(dimension)),
    chunk_length: task.chunk_length,
    dp_strategy: { dp_strategy: "NoDifferentialPrivacy" },
  };
  const provisioned = {
    task_id: id,
    peer_aggregator_endpoint: task[leader ? "helper" : "leader"].url,
    query_type: "TimeInterval",
    vdaf: "VDAF",
    role: leader ? "Leader" : "Helper",
    vdaf_verify_key: verifyKey,
    max_batch_query_count: 1,
    task_expiration: task.expires,
    report_expiry_age: null,
    min_batch_size: task.min_batch,
    time_precision: task.time_precision,
    tolerable_clock_skew: 60,
    collector_hpke_config: suite(task.collector),
    ...own,
    hpke_keys: [
      {
        config: suite(task[role].hpke),
        private_key: Buffer.from(secret, "hex").toString("base64url"),
      },
    ],
  };
  // JSON is YAML, but for the name of the function.
  return JSON.stringify([provisioned], null, 2).replace(
    '"VDAF"',
    `!Prio3SumVec ${JSON.stringify(vdaf)}`,
  );
}

/** What each program of Janus is told beside the database; seconds, where Janus's samples have minutes. */
const driver = {
  job_discovery_interval_s: 1,
  max_concurrent_job_workers: 10,
  worker_lease_duration_s: 600,
  worker_lease_clock_skew_allowance_s: 60,
  maximum_attempts_before_failure: 10,
  batch_aggregation_shard_count: 32,
};
const PROGRAMS = {
  aggregator: {
    max_upload_batch_size: 100,
    max_upload_batch_write_delay_ms: 250,
    batch_aggregation_shard_count: 32,
  },
  aggregation_job_creator: {
    batch_aggregation_shard_count: 32,
    tasks_update_frequency_s: 1,
    aggregation_job_creation_interval_s: 1,
    // Else the last few reports of a round wait for the grace period (an hour by default).
    min_aggregation_job_size: 1,
    max_aggregation_job_size: 100,
  },
  aggregation_job_driver: driver,
  collection_job_driver: {
    ...driver,
    // Else a sum that was asked for too early is looked at again after ten minutes.
    min_collection_job_retry_delay_s: 1,
    max_collection_job_retry_delay_s: 2,
  },
};

/**
 * Starts one aggregator of Janus with all of its components.
 *
 * @param {object} options
 * @param {string} options.folder for configurations and logs
 * @param {"leader" | "helper"} options.role
 * @param {string} options.database a database with Janus's schema
 * @param {number} options.port where the task says that it is
 * @param {string} options.tasks of {@link janusTask}
 * @returns its processes by name, and `close`
 */
async function startJanus({ folder, role, database, port, tasks }) {
  mkdirSync(folder, { recursive: true });
  const env = {
    ...process.env,
    DATASTORE_KEYS: randomBytes(16).toString("base64url"),
    RUST_LOG: process.env.RUST_LOG ?? "warn",
  };
  const write = (name, content) => {
    const path = join(folder, `${role}-${name}`);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const config = async (name, more = {}) => {
    const health = await freePort();
    const common = {
      database: { url: database, check_schema_version: false },
      health_check_listen_address: `127.0.0.1:${health}`,
    };
    return [health, write(`${name}.yaml`, JSON.stringify({ ...common, ...more }))];
  };
  const [, cli] = await config("janus_cli");
  const provision = ["janus_cli", "--config-file", cli, "provision-tasks"];
  const quiet = { env, stdio: ["ignore", "ignore", "inherit"] };
  execFileSync(PROGRAM, [...provision, write("tasks.yaml", tasks)], quiet);
  const processes = {};
  const close = async () => {
    for (const child of Object.values(processes).reverse()) await stop(child);
  };
  const listen = { listen_address: `127.0.0.1:${port}` };
  try {
    for (const [name, told] of Object.entries(PROGRAMS)) {
      if (role === "helper" && name !== "aggregator") continue;
      const more = name === "aggregator" ? { ...told, ...listen } : told;
      const [health, path] = await config(name, more);
      const log = join(folder, `${role}-${name}.log`);
      const out = openSync(log, "w");
      const child = spawn(PROGRAM, [name, "--config-file", path], {
        env,
        stdio: ["ignore", out, out],
      });
      processes[name] = child;
      await ready(`http://127.0.0.1:${health}/healthz`, child, `${role}'s ${name}`, log);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { processes, close };
}

/** Secrets of a round that operators of Janus agree on. */
export const agreed = () => {
  const token = () => randomBytes(32).toString("hex");
  const verifyKey = randomBytes(16).toString("base64url");
  return { verifyKey, tokens: { helper: token(), collector: token() } };
};

/**
 * Starts Janus in one or both roles of a signed task, each with a database of its own.
 *
 * @param {object} options
 * @param {object} options.postgres of `startPostgres`
 * @param {string} options.folder
 * @param {string} options.envelope the signed task
 * @param {string} options.id its id
 * @param {("leader" | "helper")[]} options.roles
 * @param {Record<string, { secret: string }>} options.keys HPKE keys of those roles
 * @param {Record<string, number>} options.ports where the task says that they are
 * @param {string} options.verifyKey
 * @param {{ helper: string, collector: string }} options.tokens
 */
export async function startRound({
  postgres,
  folder,
  envelope,
  id,
  roles,
  keys,
  ports,
  ...secrets
}) {
  const task = JSON.parse(Buffer.from(JSON.parse(envelope).payload, "base64"));
  const [running, processes] = [[], {}];
  const close = async () => {
    for (const one of running.reverse()) await one.close();
  };
  try {
    for (const role of roles) {
      const tasks = janusTask({ role, id, task, secret: keys[role].secret, ...secrets });
      const database = postgres.database(`janus_${role}`, schema());
      const one = await startJanus({ folder, role, database, port: ports[role], tasks });
      running.push(one);
      processes[role] = one.processes;
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { processes, close };
}

/** Processor time of a process of this machine so far, seconds. */
export function processorTime({ pid }) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  // What follows the program's name; a tick is a hundredth of a second on Linux.
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}
