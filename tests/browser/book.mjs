/** The documentation site, bound for tests. */

import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT, stage } from "../../docs/book/stage.mjs";
import { program } from "./samples.mjs";

const mdbook = program("../../tools/bin/mdbook");
/** For `skip`: false, or why the site cannot be bound. */
export const unbound = mdbook === null && "mdbook is not installed: run ./build.sh setup";

/** Typedoc's pages as `./build.sh docs` left them; typedoc itself is not installed for tests. */
const API = join(ROOT, "build/book/api");

/**
 * Binds the book below a folder and gives the folder of the site. Without the pages of typedoc,
 * two short ones stand for them.
 */
export function bind(folder) {
  let api = API;
  if (!existsSync(join(API, "index.md"))) {
    api = join(folder, "api");
    mkdirSync(api);
    for (const name of ["index", "privacy"])
      writeFileSync(join(api, `${name}.md`), `# ${name}\n\n[one](index.md) [other](privacy.md)\n`);
  }
  stage(join(folder, "src"), api);
  for (const name of ["book.toml", "site.css", "site.js"])
    cpSync(join(ROOT, "docs/book", name), join(folder, name));
  execFileSync(mdbook, ["build", folder, "--dest-dir", join(folder, "site")], { stdio: "pipe" });
  return join(folder, "site");
}
