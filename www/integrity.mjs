#!/usr/bin/env node
/**
 * Writes `integrity.json` into a finished package: the Subresource Integrity value (SHA-384) of every file that
 * `npm pack` ships, but for itself. Run by `./build.sh build`.
 *
 *     node www/integrity.mjs dist/onshelf
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const NAME = "integrity.json";

/** The value for an `integrity` attribute. */
export function integrity(bytes) {
  return `sha384-${createHash("sha384").update(bytes).digest("base64")}`;
}

/**
 * Names of the files that a package ships, sorted.
 *
 * @param {string} folder of its package.json
 */
export function shipped(folder) {
  // npm asks no registry for this; offline it is the same list.
  const options = { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] };
  const [{ files }] = JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", "--offline", "--ignore-scripts"], options),
  );
  return files.map(({ path }) => path).sort();
}

/** What `integrity.json` of a package should hold. */
export function integrityOf(folder) {
  const names = shipped(folder).filter((name) => name !== NAME);
  return Object.fromEntries(
    names.map((name) => [name, integrity(readFileSync(join(folder, name)))]),
  );
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const folder = process.argv[2] ?? "dist/onshelf";
  writeFileSync(join(folder, NAME), `${JSON.stringify(integrityOf(folder), null, 2)}\n`);
}
