/** A PostgreSQL of a test's own: the system's programs, a temporary folder, a user without privileges, a free port. */

import { execFileSync, spawn } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, stop } from "../demo/aggregators.mjs";

const ROOT = "/usr/lib/postgresql";

/** The newest PostgreSQL's programs, or `null`. */
export function postgresPrograms() {
  if (!existsSync(ROOT)) return null;
  const found = readdirSync(ROOT).map((version) => join(ROOT, version, "bin"));
  const whole = found.filter((path) => existsSync(join(path, "initdb")));
  return whole.sort().at(-1) ?? null;
}

/** Who may run a server: ourselves, unless we are root. */
function user() {
  if (process.getuid() !== 0) return {};
  const users = readFileSync("/etc/passwd", "utf8").split("\n");
  const of = (name) => users.map((line) => line.split(":")).find(([own]) => own === name);
  const found = of("postgres") ?? of("nobody");
  return { uid: Number(found[2]), gid: Number(found[3]) };
}

/** Starts it; `database(name, sql)` makes a database, runs files of SQL in it and gives its address. */
export async function startPostgres() {
  const [programs, owner] = [postgresPrograms(), user()];
  const folder = mkdtempSync(join(tmpdir(), "onshelf-postgres-"));
  if (owner.uid !== undefined) chownSync(folder, owner.uid, owner.gid);
  const [data, port] = [join(folder, "data"), await freePort()];
  const quiet = { cwd: folder, stdio: ["ignore", "ignore", "pipe"] };
  const made = ["-A", "trust", "-U", "onshelf", "-E", "UTF8", "--no-sync", "-D", data];
  execFileSync(join(programs, "initdb"), made, { ...quiet, ...owner });
  const log = openSync(join(folder, "log"), "w");
  const args = ["-D", data, "-p", String(port), "-k", folder];
  args.push("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=200");
  const child = spawn(join(programs, "postgres"), args, {
    ...owner,
    cwd: folder,
    stdio: ["ignore", log, log],
  });
  const url = (database) => `postgres://onshelf@127.0.0.1:${port}/${database}`;
  const sql = (database, ...what) =>
    execFileSync(
      join(programs, "psql"),
      ["-X", "-q", "-v", "ON_ERROR_STOP=1", ...what, url(database)],
      { ...quiet, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" },
    );
  const close = async () => {
    await stop(child, "SIGINT");
    rmSync(folder, { recursive: true, force: true });
  };
  for (let attempt = 0; ; attempt++) {
    try {
      sql("postgres", "-c", "SELECT 1");
      break;
    } catch (error) {
      if (attempt < 100 && child.exitCode === null) {
        await new Promise((done) => setTimeout(done, 100));
        continue;
      }
      const said = readFileSync(join(folder, "log"), "utf8");
      await close();
      throw new Error(`PostgreSQL did not start: ${said}`, { cause: error });
    }
  }
  return {
    close,
    database(name, files = []) {
      sql("postgres", "-c", `CREATE DATABASE ${name}`);
      for (const file of files) sql(name, "-f", file);
      return url(name);
    },
    /** The one value that a query gives. */
    ask: (database, query) => sql(database, "-A", "-t", "-c", query).trim(),
  };
}
