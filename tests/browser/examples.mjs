/**
 * Builds the examples as a shop would: the packed package (`npm pack`) into a temporary folder, npm's packages by
 * the example's lock file, the test's model version. npm's packages are kept by lock file beside the other tools.
 */

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { freePort } from "../demo/aggregators.mjs";
import { ROOT } from "./harness.mjs";
import { MODEL } from "./real.mjs";

const SHARED =
  process.env.ONSHELF_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "onshelf");
const HOME = join(SHARED, "examples");

/** What npm says where there is no registry, rather than something wrong with an example. */
const UNREACHABLE =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|E40[134]|E5\d\d|FETCH_ERROR)\b/;

const ENVIRONMENT = {
  ...process.env,
  NEXT_TELEMETRY_DISABLED: "1",
  npm_config_cache: join(SHARED, "npm"),
};

/** A folder for one test; `remove` takes it away. In the cache's file system, so that packages can be linked. */
export function workFolder() {
  mkdirSync(HOME, { recursive: true });
  const folder = mkdtempSync(join(HOME, "work-"));
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Packs `dist/onshelf` and gives the tarball's path. */
export function pack(into) {
  const args = ["pack", "--silent", "--offline", "--ignore-scripts", "--pack-destination", into];
  const options = { cwd: join(ROOT, "dist/onshelf"), encoding: "utf8", env: ENVIRONMENT };
  return join(into, execFileSync("npm", args, options).trim());
}

/** Unpacks a tarball into a folder, as a shop without npm does. */
export function unpack(tarball, into) {
  mkdirSync(into, { recursive: true });
  execFileSync("tar", ["-xzf", tarball, "-C", into, "--strip-components=1"]);
}

/** Copies an example's own files, and the model version where its README says. */
export function copyExample(name, into, publicFolder, keysFolder) {
  const from = join(ROOT, "examples", name);
  const own = (path) =>
    !/node_modules|[/](dist|out|\.next|models)([/]|$)/.test(path.slice(from.length));
  cpSync(from, into, { recursive: true, filter: own });
  copyModel(into, publicFolder, keysFolder);
}

/** Puts the test's model version and its keys into a project. */
export function copyModel(into, publicFolder, keysFolder) {
  cpSync(join(MODEL, "models"), join(into, publicFolder, "models"), { recursive: true });
  mkdirSync(join(into, keysFolder), { recursive: true });
  cpSync(join(MODEL, "models/public-keys.json"), join(into, keysFolder, "public-keys.json"));
}

/**
 * Installs the packages of an example's lock file, and the tarball on top.
 *
 * @returns {string | null} why it cannot be done here, or `null` where it is done
 */
export function install(example, into, tarball) {
  const lock = readFileSync(join(ROOT, "examples", example, "package-lock.json"));
  const kept = join(
    HOME,
    `${example}-${createHash("sha256").update(lock).digest("hex").slice(0, 16)}`,
  );
  if (!existsSync(kept)) {
    const fresh = mkdtempSync(join(HOME, "new-"));
    for (const file of ["package.json", "package-lock.json"]) {
      cpSync(join(ROOT, "examples", example, file), join(fresh, file));
    }
    const why = npm(fresh, "ci", "--prefer-offline", "--no-fund", "--no-audit", "--ignore-scripts");
    if (why !== null) return (rmSync(fresh, { recursive: true, force: true }), why);
    // Another checkout may have been faster.
    if (existsSync(kept)) rmSync(fresh, { recursive: true, force: true });
    else renameSync(fresh, kept);
  }
  execFileSync("cp", ["-al", join(kept, "node_modules"), into]);
  // Written in place by the next line, so it must not be the kept one.
  rmSync(join(into, "node_modules/.package-lock.json"));
  return npm(
    into,
    "install",
    "--no-save",
    "--no-package-lock",
    "--prefer-offline",
    "--no-fund",
    "--no-audit",
    tarball,
  );
}

function npm(cwd, ...args) {
  const done = spawnSync("npm", args, {
    cwd,
    encoding: "utf8",
    env: ENVIRONMENT,
    timeout: 300_000,
  });
  if (done.status === 0) return null;
  const code = UNREACHABLE.exec(done.stderr)?.[0] ?? done.error?.code;
  if (code === undefined) throw new Error(`npm ${args.join(" ")}: ${done.stderr}`);
  return `the npm registry cannot be reached (${code})`;
}

/** Runs a program of the example's packages to its end. */
export function run(folder, program, ...args) {
  const options = { cwd: folder, encoding: "utf8", env: ENVIRONMENT, timeout: 240_000 };
  const done = spawnSync(
    process.execPath,
    [join(folder, "node_modules", program), ...args],
    options,
  );
  if (done.status !== 0) throw new Error(`${program}: ${done.stdout}${done.stderr}`);
  return done.stdout + done.stderr;
}

/** Starts a server of the example's packages, such as Vite's; ends it by its own process id. */
export async function serveWith(folder, program, ...args) {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    [
      join(folder, "node_modules", program),
      ...args,
      "--host",
      "127.0.0.1",
      "--port",
      String(port),
      "--strictPort",
    ],
    { cwd: folder, env: ENVIRONMENT, stdio: ["ignore", "pipe", "pipe"] },
  );
  let said = "";
  child.stdout.on("data", (text) => (said += text));
  child.stderr.on("data", (text) => (said += text));
  const url = `http://localhost:${port}`;
  for (let tries = 0; ; tries++) {
    const up = await fetch(url.replace("localhost", "127.0.0.1")).then(
      (r) => r.ok,
      () => false,
    );
    if (up) break;
    if (tries === 100 || child.exitCode !== null)
      throw new Error(`${program} did not start: ${said}`);
    await new Promise((done) => setTimeout(done, 100));
  }
  const close = () =>
    new Promise((done) => {
      child.once("exit", done);
      child.kill();
    });
  return { url, close };
}
