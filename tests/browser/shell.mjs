/** Commands of the documentation, as a person would type them: what their tests share. */

import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { commandsOf, program, SAMPLES } from "./samples.mjs";

/** Commands of a round, which `commands-round.test.mjs` runs in their order. */
export const OF_A_ROUND = [
  /^onshelf (collect|ledger|console)\b/,
  /^onshelf-server .*\bserve$/,
  /^onshelf-server (relay|bench)\b/,
];

/** Every shell command of the documentation with the page that it stands on, as `{ path, command }`. */
export const COMMANDS = SAMPLES.filter(({ language }) => language === "sh").flatMap(
  ({ path, code }) => commandsOf(code).map((command) => ({ path, command })),
);

/** The programs that are not built, as a reason to skip; `false` where none is missing. */
const missing = ["onshelf", "onshelf-server"].filter((name) => program(name) === null);
export const unbuilt =
  missing.length > 0 && `${missing.join(", ")} is not built: run ./build.sh test`;

/** A shell in an empty folder, with the programs in its path and a `build.sh` that only knows `onshelf`. */
export function makeShell() {
  const folder = mkdtempSync(join(tmpdir(), "onshelf-commands-"));
  const bin = join(folder, ".bin");
  mkdirSync(bin);
  for (const name of ["onshelf", "onshelf-server"]) symlinkSync(program(name), join(bin, name));
  writeFileSync(
    join(folder, "build.sh"),
    '#!/bin/sh\n[ "$1" = onshelf ] || exit 9\nshift\nexec onshelf "$@"\n',
    { mode: 0o755 },
  );
  const env = { ...process.env, HOME: folder, PATH: `${bin}${delimiter}${process.env.PATH}` };
  const run = (command, more = {}) =>
    promisify(execFile)("bash", ["-euc", command], {
      cwd: folder,
      env: { ...env, ...more },
      maxBuffer: 1 << 26,
    });
  return { folder, env, run, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/**
 * Starts a program that serves, in a shell: `url` is the address that it prints, or `address`, where it prints none, once that
 * answers; `close` ends it.
 */
export async function served(command, cwd, env, address) {
  // A group of its own, so that what the shell started ends with it.
  const child = spawn("bash", ["-euc", command], { cwd, env, detached: true });
  let said = "";
  child.stdout.on("data", (text) => (said += text));
  child.stderr.on("data", (text) => (said += text));
  const close = () =>
    new Promise((done) => {
      child.once("exit", done);
      process.kill(-child.pid);
    });
  for (let tries = 0; tries < 200; tries++) {
    // eslint-disable-next-line no-control-regex
    const url = address ?? /http:\/\/[\w.]+:\d+/.exec(said.replace(/\u001b\[\d+m/g, ""))?.[0];
    const signal = AbortSignal.timeout(5000);
    const answers = url !== undefined && (await fetch(url, { signal }).catch(() => undefined));
    if (answers) return { url, close };
    if (child.exitCode !== null) break;
    await new Promise((done) => setTimeout(done, 100));
  }
  if (child.exitCode === null) await close();
  throw new Error(`${command}: ${said}`);
}
