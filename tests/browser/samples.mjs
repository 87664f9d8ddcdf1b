/** Samples of code in the documentation: where they stand, and what a test needs to try each kind. */

import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pages, ROOT } from "../../docs/book/stage.mjs";

/** What a reader is assumed to have from the page before, where a sample does not make it itself. */
const GIVEN = {
  shelf: "declare const shelf: Onshelf;",
  KEY: "declare const KEY: string;",
  model: "declare const model: string;",
  publicKeys: "declare const publicKeys: string[];",
  shelf_id: "declare const shelf_id: string;",
  popularIds: "declare const popularIds: string[];",
  context:
    'declare const context: import("@onshelf/testing/playwright").ContextLike & { newPage(): Promise<{ goto(url: string): Promise<unknown> }> };',
  items: "declare const items: { item_id: string; category: string[] }[];",
};

/** Every file whose samples are tried. */
export const SOURCES = [...pages().keys(), "README.md", "CONTRIBUTING.md"];

/**
 * The fenced samples of a text.
 *
 * @returns {{ path: string, line: number, language: string, flags: string[], code: string }[]}
 */
export function samplesOf(text, path) {
  const found = [];
  let open = null;
  for (const [at, line] of text.split("\n").entries()) {
    const fence = /^(\s*)```(.*)$/.exec(line);
    if (fence === null) {
      open?.lines.push(line.slice(open.indent));
    } else if (open === null) {
      const [language = "", ...flags] = fence[2].trim().split(",");
      open = { path, line: at + 1, language, flags, lines: [], indent: fence[1].length };
    } else {
      const { lines, indent, ...sample } = open;
      found.push({ ...sample, code: `${lines.join("\n")}\n` });
      open = null;
    }
  }
  if (open !== null) throw new Error(`${path}:${open.line}: a sample that does not end`);
  return found;
}

/** Samples in the comments of the declarations, of which the API reference is made. */
function samplesInTypes() {
  const folder = "dist/onshelf";
  const files = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".d.ts"));
  return files.flatMap((name) => {
    const text = readFileSync(join(ROOT, folder, name), "utf8");
    return samplesOf(text.replace(/^\s*\* ?/gm, ""), `${folder}/${name}`);
  });
}

/** Every sample of the documentation. */
export const SAMPLES = [
  ...SOURCES.flatMap((path) => samplesOf(readFileSync(join(ROOT, path), "utf8"), path)),
  ...samplesInTypes(),
];

/** A TypeScript sample as a module: with what the pages before it are assumed to have given. */
export function asModule(code) {
  const imported = [...code.matchAll(/import\s*\{([^}]*)\}/g)].flatMap(([, names]) =>
    names.split(",").map((name) => name.trim()),
  );
  const made = (name) =>
    imported.includes(name) || new RegExp(`(const|let)\\s+(\\{[^}]*)?\\b${name}\\b`).test(code);
  const needs = (name) => new RegExp(`\\b${name}\\b`).test(code) && !made(name);
  const given = Object.entries(GIVEN).filter(([name]) => needs(name));
  const all = code + given.map(([, line]) => line).join("\n");
  const missing = ["Onshelf", "OnshelfError"].filter(
    (name) => new RegExp(`\\b${name}\\b`).test(all) && !imported.includes(name),
  );
  const header = missing.length === 0 ? "" : `import { ${missing.join(", ")} } from "onshelf";\n`;
  return `${header}${given.map(([, line]) => `${line}\n`).join("")}${code}\nexport {};\n`;
}

/** The commands of a shell sample: one a line, continued lines joined, comments left out. */
export function commandsOf(code) {
  return code
    .replace(/\\\n\s*/g, " ")
    .split("\n")
    .map((line) => line.replace(/\s+#.*$|^#.*$/, "").trim())
    .filter((line) => line !== "");
}

const CACHE =
  process.env.ONSHELF_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(process.env.HOME, ".cache"), "onshelf");

/** Where a program that `./build.sh test` builds is, `null` where it was not built. */
export function program(name) {
  const path = join(CACHE, "native/release", name);
  return existsSync(path) ? path : null;
}

const helps = new Map();

/** What a program says of itself; throws where it has no such command. */
function help(path, command) {
  const key = [path, ...command].join(" ");
  if (!helps.has(key)) {
    const text = execFileSync(path, [...command, "--help"], { encoding: "utf8", stdio: "pipe" });
    helps.set(key, text);
  }
  return helps.get(key);
}

/**
 * What is wrong with a call of `onshelf` or `onshelf-server`: commands and options that it does not
 * know, arguments where it takes none.
 */
export function wrongCall(path, words) {
  const options = (text) => new Set(text.match(/(?<![\w-])--?[a-z][a-z-]*/g));
  const subs = (text) =>
    new Set(
      (/^Commands:\n((?: .*\n)+)/m.exec(text)?.[1] ?? "").match(/(?<=^ {2})[a-z][a-z-]*/gm) ?? [],
    );
  const command = [];
  let text = help(path, command);
  const rest = [];
  for (const word of words) {
    if (rest.at(-1) !== "--config" && subs(text).has(word)) {
      command.push(word);
      const before = text;
      text = `${help(path, command)}\n${before.replace(/^Commands:\n(?: .*\n)+/m, "")}`;
    } else {
      rest.push(word);
    }
  }
  if (command.length === 0) return [`no command in ${words.join(" ")}`];
  const known = options(text);
  const given = new Set(rest.map((word) => word.split("=")[0]));
  const usage = /^Usage: .*$/m.exec(text)[0];
  const missing = (usage.match(/(?<= )--[a-z-]+(?= <)/g) ?? [])
    .filter((option) => !given.has(option))
    .map((option) => `${command.join(" ")} needs ${option}`);
  const unknown = rest
    .map((word) => word.replace(/^\[/, "").replace(/[\]=].*$/, ""))
    .filter((word) => word.startsWith("-") && !known.has(word))
    .map((word) => `${command.join(" ")} does not know ${word}`);
  return [...unknown, ...missing];
}

/** The commands that `./build.sh` takes. */
export function buildCommands() {
  const script = readFileSync(join(ROOT, "build.sh"), "utf8");
  const cases = script.slice(script.lastIndexOf("case $command in"));
  return new Set(
    [...cases.matchAll(/^ {2}([a-z|\s-]+)\)/gm)].flatMap(([, n]) => n.split(/[|\s]+/)),
  );
}
