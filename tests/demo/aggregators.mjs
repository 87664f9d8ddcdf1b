/** A leader and a helper as two operators would run them: two processes, two databases, two sets of secrets. */

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";

/** A port that nobody uses now. */
export async function freePort() {
  const probe = createServer();
  await new Promise((done) => probe.listen(0, "127.0.0.1", done));
  const { port } = probe.address();
  await new Promise((done) => probe.close(done));
  return port;
}

const secret = () => randomBytes(32).toString("hex");

/** Ends a process by its own id, and waits for it. */
export const stop = (child, signal = "SIGTERM") =>
  new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null) return done();
    child.once("exit", () => done());
    child.kill(signal);
  });

/** Waits until a process answers; `name` says in errors who it is. */
export async function ready(url, child, name, log) {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (child.exitCode !== null) throw new Error(`the ${name} ended at once; see ${log}`);
    const answer = await fetch(url).catch(() => undefined);
    if (answer?.ok) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`the ${name} does not answer at ${url}; see ${log}`);
}

/**
 * Starts one of the two.
 *
 * @param {object} options
 * @param {string[]} options.command the program and what stands before and after the configuration's path, `CONFIG`
 * @param {string} options.folder for its configuration, its database (unless `database` names another) and its log
 * @param {"leader" | "helper"} options.name
 * @param {string} options.taskKey who may sign tasks, hex
 * @param {string} options.verify the secret that it shares with the other one
 * @param {string} options.operator its operator's token
 * @param {string} options.section more lines of its configuration
 * @param {string} [options.database]
 */
export async function startOne({ command, folder, name, database, section, ...secrets }) {
  const [port, path] = [await freePort(), join(folder, `${name}.toml`)];
  const { taskKey, verify, operator } = secrets;
  writeFileSync(
    path,
    `listen = "127.0.0.1:${port}"\n[${name}]\ndatabase = "${database ?? `sqlite:${join(folder, name)}.db`}"\n` +
      `task_keys = ["${taskKey}"]\nverify_secret = "${verify}"\noperator_tokens = ["${operator}"]\n${section}`,
    { mode: 0o600 },
  );
  const log = join(folder, `${name}.log`);
  const [program, ...args] = command.map((word) => (word === "CONFIG" ? path : word));
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.pipe(createWriteStream(log));
  const url = `http://127.0.0.1:${port}/`;
  try {
    await ready(`${url}readyz`, child, name, log);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return { child, url };
}

/**
 * Starts both.
 *
 * @param {object} options
 * @param {string} options.program `onshelf-server`
 * @param {string} options.folder for configurations, databases (unless `databases` names others) and logs
 * @param {string} options.taskKey who may sign tasks, hex
 * @param {{ leader: string, helper: string }} [options.databases]
 * @param {string[]} [options.command] as of {@link startOne}, in the program's place
 * @param {boolean} [options.gateways] each with a gateway of oblivious HTTP
 * @returns addresses, the tokens that `onshelf collect` takes from its environment, and `close`
 */
export async function startPair({ program, folder, taskKey, databases = {}, ...more }) {
  const { command = [program, "--config", "CONFIG", "serve"], gateways = false } = more;
  mkdirSync(folder, { recursive: true });
  const [verify, toHelper, collector] = [secret(), secret(), secret()];
  const operators = { leader: secret(), helper: secret() };
  const sections = {
    leader: `collector_tokens = ["${collector}"]\nhelper = { token = "${toHelper}" }\ntimes = { linger = 1 }\n`,
    helper: `leader_tokens = ["${toHelper}"]\n`,
  };
  const [running, urls] = [[], {}];
  const close = async () => {
    for (const child of running) await stop(child);
  };
  try {
    for (const name of ["leader", "helper"]) {
      const gateway = gateways ? `gateway_secrets = ["${secret()}"]\n` : "";
      const section = gateway + sections[name];
      const own = { operator: operators[name], section, database: databases[name] };
      const one = await startOne({ command, folder, name, taskKey, verify, ...own });
      running.push(one.child);
      urls[name] = one.url;
    }
  } catch (error) {
    await close();
    throw error;
  }
  const env = {
    ONSHELF_LEADER_TOKEN: operators.leader,
    ONSHELF_HELPER_TOKEN: operators.helper,
    ONSHELF_COLLECTOR_TOKEN: collector,
  };
  return { urls, env, running, close };
}

/**
 * Starts a relay of oblivious HTTP before an aggregator's gateway.
 *
 * @param {object} options
 * @param {string} options.program `onshelf-server`
 * @param {string} options.folder for its log
 * @param {string} options.gateway the aggregator's address
 * @param {number} [options.port] where it was before
 */
export async function startRelay({ program, folder, gateway, port }) {
  const [at, log] = [port ?? (await freePort()), join(folder, "relay.log")];
  const args = ["relay", "--listen", `127.0.0.1:${at}`, "--gateway", gateway];
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  child.stderr.pipe(createWriteStream(log, { flags: "a" }));
  const url = `http://127.0.0.1:${at}/`;
  try {
    await ready(`${url}healthz`, child, "relay", log);
  } catch (error) {
    await stop(child);
    throw error;
  }
  return { child, url, port: at };
}
