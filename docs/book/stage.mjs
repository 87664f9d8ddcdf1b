/**
 * Puts the book's chapters together: its own, and pages that the repository has anyway, with their
 * links turned to where the pages stand in the book.
 *
 *     node docs/book/stage.mjs OUT API
 */

import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";

/** Root of the repository. */
export const ROOT = resolve(fileURLToPath(import.meta.url), "../../..");
const CHAPTERS = "docs/book/chapters";

/** Pages that stand under another name in the book. */
const NAMED = {
  "ARCHITECTURE.md": "architecture.md",
  "CHANGELOG.md": "changelog.md",
  "README.md": "README.md",
  "www/onshelf/README.md": "package.md",
  "www/testing/README.md": "testing.md",
};

/** Folders of pictures. */
const PICTURES = ["docs/plots", "docs/screenshots"];

function markdownIn(folder, deep) {
  return readdirSync(join(ROOT, folder), { withFileTypes: true, recursive: deep })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => relative(ROOT, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

/** Every page of the book: its place in the book by its path in the repository. */
export function pages() {
  const places = new Map();
  for (const path of markdownIn(CHAPTERS, true)) places.set(path, relative(CHAPTERS, path));
  for (const path of markdownIn("docs", false)) places.set(path, path);
  for (const [path, place] of Object.entries(NAMED)) {
    // The repository's own front page has no room of its own: links to it lead to the book's.
    if (path !== "README.md") places.set(path, place);
  }
  return places;
}

/** Where a link of a page leads in the book, `null` for what the book does not hold. */
function target(link, path, places) {
  const [file, fragment] = link.split("#");
  const wanted = posix.normalize(posix.join(posix.dirname(path), file));
  const picture = PICTURES.some((folder) => wanted.startsWith(`${folder}/`));
  const place = picture ? wanted : (places.get(wanted) ?? NAMED[wanted]);
  // A chapter may name a page as it stands in the book.
  const found = place ?? (path.startsWith(CHAPTERS) ? places.get(wanted) : undefined);
  if (found === undefined) return null;
  const from = posix.dirname(places.get(path));
  return posix.relative(from, found) + (fragment === undefined ? "" : `#${fragment}`);
}

/**
 * Turns a page's links to where they lead in the book. A link to a file that the book does not
 * hold becomes its text.
 *
 * @throws Error for a link to a file that does not exist
 */
export function turnLinks(text, path, places) {
  let code = false;
  const lines = text.split("\n").map((line) => {
    if (/^\s*```/.test(line)) code = !code;
    if (code) return line;
    return line.replace(
      /(!?)\[((?:[^\][]|\[[^\]]*\])*)\]\(([^)\s]+)\)/g,
      (whole, mark, words, link) => {
        if (/^([a-z]+:|#)/.test(link)) return whole;
        const to = target(link, path, places);
        if (to !== null) return `${mark}[${words}](${to})`;
        const file = posix.join(posix.dirname(path), link.split("#")[0]);
        if (!existsSync(join(ROOT, file))) throw new Error(`${path}: no file for the link ${link}`);
        return words;
      },
    );
  });
  return lines.join("\n");
}

/** What typedoc wrote of each entry of the package, and where it stands in the book. */
const ENTRIES = { "index.md": "onshelf.md", "privacy.md": "onshelf-privacy.md" };

/** Typedoc numbers an anchor as if its heading came before; where there is one heading of the name it has no number. */
function anchored(text) {
  const headings = [...text.matchAll(/^#+ (\S+)$/gm)].map(([, name]) => name.toLowerCase());
  const count = (name) => headings.filter((heading) => heading === name).length;
  return text.replace(/\]\(#([a-z]+)-\d+\)/g, (whole, name) =>
    count(name) === 1 ? `](#${name})` : whole,
  );
}

/** The API reference: typedoc's pages, under names that are not another page's. */
function stageApi(api, write) {
  for (const [name, place] of Object.entries(ENTRIES)) {
    const text = anchored(readFileSync(join(api, name), "utf8"));
    const turned = text.replace(
      /\]\((index|privacy)\.md/g,
      (_, entry) => `](${ENTRIES[`${entry}.md`]}`,
    );
    write(
      `api/${place}`,
      turned.replace(/^# .*$/m, `# ${place.replace(/\.md$/, "").replace("-", "/")}`),
    );
  }
}

/** Writes the book's sources into a folder, the API reference from the folder that typedoc wrote. */
export function stage(out, api) {
  const places = pages();
  const summary = readFileSync(join(ROOT, CHAPTERS, "SUMMARY.md"), "utf8");
  for (const place of places.values()) {
    if (place !== "SUMMARY.md" && !summary.includes(`](${place})`))
      throw new Error(`${place} has no line in ${CHAPTERS}/SUMMARY.md`);
  }
  const write = (place, text) => {
    mkdirSync(dirname(join(out, place)), { recursive: true });
    writeFileSync(join(out, place), text);
  };
  for (const [path, place] of places) {
    const text = readFileSync(join(ROOT, path), "utf8");
    write(place, place === "SUMMARY.md" ? text : turnLinks(text, path, places));
  }
  for (const folder of PICTURES) cpSync(join(ROOT, folder), join(out, folder), { recursive: true });
  stageApi(api, write);
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [out, api] = process.argv.slice(2);
  if (api === undefined) throw new Error("expected: OUT API");
  stage(resolve(out), resolve(api));
}
