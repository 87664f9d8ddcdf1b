/**
 * Links of a bound book that lead nowhere: files and anchors.
 *
 *     node docs/book/links.mjs SITE
 */

import { readdirSync, readFileSync } from "node:fs";
import { join, posix, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** What stands in the book's own pages, without the frame that mdBook puts around them. */
const content = (text) => /<main>([\s\S]*)<\/main>/.exec(text)?.[1] ?? "";

function reader(site) {
  const texts = new Map();
  return (path) => {
    if (!texts.has(path)) {
      try {
        texts.set(path, readFileSync(join(site, path), "utf8"));
      } catch {
        texts.set(path, null);
      }
    }
    return texts.get(path);
  };
}

/** @returns {string[]} `page: link` for each link that leads nowhere */
export function deadLinks(site) {
  const read = reader(site);
  const found = readdirSync(site, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.name.endsWith(".html") && !/^(print|toc|404)\.html$/.test(entry.name))
    .map((entry) => relative(site, join(entry.parentPath ?? entry.path, entry.name)));
  const dead = [];
  for (const path of found.sort()) {
    for (const [, link] of content(read(path)).matchAll(/\s(?:href|src)="([^"]*)"/g)) {
      if (/^(https?|mailto|data):/.test(link)) continue;
      const [file, fragment] = decodeURIComponent(link.replaceAll("&amp;", "&")).split("#");
      const to = file === "" ? path : posix.normalize(posix.join(posix.dirname(path), file));
      const text = read(to);
      const there = text !== null && (!fragment || text.includes(`id="${fragment}"`));
      if (!there) dead.push(`${path}: ${link}`);
    }
  }
  return dead;
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const dead = deadLinks(resolve(process.argv[2]));
  for (const line of dead) console.error(`leads nowhere: ${line}`);
  process.exitCode = dead.length === 0 ? 0 : 1;
}
