/**
 * Every sample of code in the documentation is tried: TypeScript against the declarations that are
 * shipped, commands against what the programs say of themselves (`commands.test.mjs` runs those that can be run),
 * whole pages in a browser. And the book's links lead somewhere.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { deadLinks } from "../../docs/book/links.mjs";
import { pages, ROOT, turnLinks } from "../../docs/book/stage.mjs";
import { bind, unbound } from "./book.mjs";
import { browserSuite } from "./harness.mjs";
import { REAL } from "./real.mjs";
import {
  asModule,
  buildCommands,
  commandsOf,
  program,
  SAMPLES,
  samplesOf,
  wrongCall,
} from "./samples.mjs";

const of = (...languages) => SAMPLES.filter(({ language }) => languages.includes(language));
/** Run from its first command to its last by `commands.test.mjs`, its page included. */
const START = "docs/book/chapters/start.md";
const where = ({ path, line }) => `${path}:${line}`;

test("docs: every sample is of a kind that a test tries, or output and drawings", () => {
  // `js` is the six lines that `examples.test.mjs` writes into an empty project.
  const tried = ["ts", "tsx", "sh", "html", "csv", "toml", "js"];
  const shown = ["text", "nginx"];
  for (const sample of SAMPLES)
    assert.ok(
      [...tried, ...shown].includes(sample.language),
      `${where(sample)}: ${sample.language}`,
    );
  assert.deepEqual(of("js").map(where), ["www/onshelf/README.md:8"]);
  assert.ok(of("ts").length >= 10 && of("sh").length >= 15 && of("html").length >= 2);
});

/** What the compiler says of samples, by their names. */
function compile(samples) {
  const folder = mkdtempSync(join(tmpdir(), "onshelf-docs-"));
  try {
    for (const [at, { code, language = "ts" }] of samples.entries())
      writeFileSync(join(folder, `sample${at}.${language}`), asModule(code));
    const options = {
      compilerOptions: {
        strict: true,
        noEmit: true,
        noUncheckedIndexedAccess: true,
        module: "esnext",
        moduleResolution: "bundler",
        target: "es2022",
        lib: ["es2022", "dom", "dom.iterable", "esnext.disposable"],
        types: ["node"],
        typeRoots: [join(ROOT, "node_modules/@types")],
        jsx: "react-jsx",
        paths: {
          onshelf: [join(ROOT, "dist/onshelf/index.d.ts")],
          "onshelf/privacy": [join(ROOT, "dist/onshelf/privacy.d.ts")],
          "onshelf/shelf": [join(ROOT, "dist/onshelf/shelf-element.d.ts")],
          "onshelf/react": [join(ROOT, "dist/onshelf/react.d.ts")],
          "@onshelf/testing": [join(ROOT, "dist/testing/index.d.ts")],
          "@onshelf/testing/playwright": [join(ROOT, "dist/testing/playwright.d.ts")],
          "onshelf/service-worker": [join(ROOT, "dist/onshelf/service-worker.d.ts")],
          react: [join(ROOT, "node_modules/@types/react/index.d.ts")],
          "react/jsx-runtime": [join(ROOT, "node_modules/@types/react/jsx-runtime.d.ts")],
        },
      },
      include: ["*.ts", "*.tsx"],
    };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(options));
    const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
    execFileSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8", stdio: "pipe" });
    return "";
  } catch (error) {
    return error.stdout.replace(/sample(\d+)\.tsx?/g, (_, at) => where(samples[at]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test("docs: TypeScript samples hold against the declarations that are shipped", () => {
  assert.equal(compile(of("ts", "tsx")), "");
  const broken = "await shelf.recommend({ slot: 1 });\nawait shelf.forgetAll();";
  const said = compile([{ path: "broken.md", line: 1, code: broken }]);
  assert.match(said, /broken\.md:1.*not assignable/);
  assert.match(said, /'forgetAll' does not exist/);
});

/** What is wrong with one command of a sample. */
function wrongCommand(line, known) {
  const words = line.split(/\s+/);
  if (words[0] === "./build.sh") {
    if (words[1] !== "onshelf") return known.has(words[1]) ? [] : [`no command ${words[1]}`];
    words.splice(0, 1);
  }
  const path = ["onshelf", "onshelf-server"].includes(words[0]) ? program(words[0]) : null;
  if (path !== null) return wrongCall(path, words.slice(1));
  return [`what is ${words[0]}?`];
}

const built = ["onshelf", "onshelf-server"].filter((name) => program(name) === null);
const unbuilt = built.length > 0 && `${built.join(", ")} is not built: run ./build.sh test`;

test("docs: commands and options are those that the programs know", { skip: unbuilt }, () => {
  const known = buildCommands();
  const wrong = of("sh").flatMap((sample) =>
    commandsOf(sample.code)
      // The start's other commands are run, by `commands.test.mjs`.
      .filter((line) => sample.path !== START || line.startsWith("./build.sh"))
      .flatMap((line) => wrongCommand(line, known).map((what) => `${where(sample)}: ${what}`)),
  );
  assert.deepEqual(wrong, []);
  for (const line of [
    "./build.sh fly",
    "onshelf train --data a --out b --wings 2",
    "onshelf train --data a",
    "onshelf-server dance",
    "rm -rf /",
  ])
    assert.equal(wrongCommand(line, known).length, 1, line);
});

test(
  "docs: the log and the products of the command line's page are read",
  { skip: unbuilt },
  async () => {
    const [clicks, items] = of("csv");
    const folder = await mkdtemp(join(tmpdir(), "onshelf-docs-csv-"));
    try {
      await writeFile(join(folder, "clicks.csv"), clicks.code);
      await writeFile(join(folder, "items.csv"), items.code);
      const args = ["prepare", "--input", folder, "--out", join(folder, "data"), "--json"];
      const { rows, kept, item_rows, quarantined } = JSON.parse(
        run(program("onshelf"), args).stdout,
      );
      assert.deepEqual([rows, kept, item_rows, quarantined], [3, 3, 2, {}]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
);

function run(path, args, env = {}) {
  try {
    const options = { encoding: "utf8", stdio: "pipe", env: { ...process.env, ...env } };
    return { stdout: execFileSync(path, args, options), stderr: "" };
  } catch ({ stdout, stderr }) {
    return { stdout: stdout ?? "", stderr: stderr ?? "" };
  }
}

test("docs: the aggregators take the configurations of their page", { skip: unbuilt }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "onshelf-docs-toml-"));
  const secret = "ab".repeat(32);
  const key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
  const database = `sqlite:${join(folder, "aggregator.db")}`;
  const tokens = { OPERATOR_TOKEN: "o".repeat(32), COLLECTOR_TOKEN: "c".repeat(32) };
  const env = {
    LEADER_DATABASE: database,
    HELPER_DATABASE: database,
    VERIFY_SECRET: secret,
    HELPER_TOKEN: "h".repeat(32),
    ...tokens,
  };
  try {
    for (const sample of of("toml")) {
      const config = join(folder, "config.toml");
      await writeFile(config, sample.code.replace(/<64 hex digits>|<the same>/g, key));
      const { stdout, stderr } = run(program("onshelf-server"), ["-c", config, "keys"], env);
      assert.equal(stderr, "", where(sample));
      assert.notEqual(stdout, "", where(sample));
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

// Parts of pages are not opened by themselves: `page.test.mjs` and `shelf-element.test.mjs` have pages around them.
const whole = of("html").filter(({ flags }) => flags[0] !== "part");
const html = new Map(whole.map((sample) => [sample.flags[0], sample]));
const suite = browserSuite("chromium", {
  ...REAL,
  intercept(request, response) {
    const sample = html.get(`page=${request.url.slice("/sample/".length)}`);
    if (!request.url.startsWith("/sample/") || sample === undefined) return false;
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(sample.code);
    return true;
  },
});

suite.test("docs: the page with the privacy element, under its policy", async ({ page, url }) => {
  const { raw } = page;
  await raw.goto(`${url}/sample/privacy`);
  await raw.waitForFunction(
    () =>
      document.querySelector("onshelf-privacy").shadowRoot?.querySelectorAll("button").length > 1,
  );
});

test("docs: every page sample is opened by a test", () => {
  assert.deepEqual([...html.keys()], ["page=start", "page=privacy"]);
});

test("docs: the book is bound, and its links lead somewhere", { skip: unbound }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "onshelf-book-"));
  try {
    const site = bind(folder);
    assert.deepEqual(deadLinks(site), []);
    const start = readFileSync(join(site, "start.html"), "utf8");
    await writeFile(
      join(site, "start.html"),
      start.replace("<main>", '<main><a href="nowhere.html">x</a><a href="limits.html#no">y</a>'),
    );
    assert.deepEqual(deadLinks(site), ["start.html: nowhere.html", "start.html: limits.html#no"]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test("docs: links are turned to where pages stand in the book", () => {
  const places = pages();
  const turn = (text, path) => turnLinks(text, path, places);
  const privacy = "docs/privacy.md";
  assert.equal(turn("[a](formats.md#task)", privacy), "[a](formats.md#task)");
  assert.equal(turn("[a](../ARCHITECTURE.md)", privacy), "[a](../architecture.md)");
  assert.equal(turn("[a](../build.sh)", privacy), "a");
  assert.equal(turn("```\n[a](../build.sh)\n```", privacy), "```\n[a](../build.sh)\n```");
  assert.throws(() => turn("[a](gone.md)", privacy), /gone\.md/);
});

test("docs: a sample without an end is found", () => {
  assert.throws(() => samplesOf("a\n```ts\nx\n", "a.md"), /a\.md:2/);
});
