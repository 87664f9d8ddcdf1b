/**
 * Commands of the documentation, run as they stand there: the five-minute start in an empty folder, and every
 * command of the programs that ends soon without servers or data sets that are not ours. What is only
 * compared with `--help` (`docs.test.mjs`) is named here, each with the reason.
 */

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import * as shop from "./examples.mjs";
import { launchChromium, ROOT, skipWithout } from "./harness.mjs";
import { MODEL } from "./real.mjs";
import { commandsOf, program, SAMPLES } from "./samples.mjs";

const START = "docs/book/chapters/start.md";
const sh = SAMPLES.filter(({ language }) => language === "sh");

/** Commands that are not run here, by their beginnings. */
const ONLY_CHECKED = [
  [
    /^\.\/build\.sh (build|train|demo|docs|test)\b/,
    "compiles or trains for minutes; run before these tests, or by `test` itself",
  ],
  [/^\.\/build\.sh (diginetica|new-shoppers|federated)\b/, "wants a data set that is not ours"],
  [
    /^\.\/build\.sh onshelf benchmark (?!.*--quick)/,
    "wants a data set that is not ours, and hours",
  ],
  [
    /^onshelf collect\b/,
    "wants two aggregators: demo-sync.test.mjs and tests/pipeline run whole rounds",
  ],
  [/^onshelf ledger\b/, "wants a round that was opened: tests/pipeline"],
  [/^onshelf console\b/, "serves until it is ended: console.test.mjs"],
  [/^onshelf-server .*\bserve$/, "serves until it is ended: sync-real.test.mjs"],
  [/^onshelf-server relay\b/, "serves until it is ended: crates/server/tests/oblivious.rs"],
  [/^onshelf-server bench\b/, "wants PostgreSQL"],
  [/^onshelf push .*s3:/, "wants an object store"],
];
const reasonOf = (command) => ONLY_CHECKED.find(([start]) => start.test(command))?.[1];

/** Logs for commands that read some: `simulate` itself, and small. */
const LOGS = (folder) =>
  `onshelf simulate --out ${folder} --products 150 --shoppers 200 --days 63 --seed 3`;
/** In the words of a page, what is made smaller: log sizes, and nothing else. */
const SMALLER = [
  ["--products 600 --shoppers 1200 --days 56", "--products 150 --shoppers 200 --days 56"],
  ["--shoppers 285000", "--shoppers 120"],
];

/** What must be there before a page's commands. */
const BEFORE = {
  "README.md": [LOGS("~/shop/logs")],
  "docs/cli.md": [LOGS("logs"), "mkdir -p DIR && cp -r MODEL/. DIR"],
  "docs/book/chapters/migration.md": [LOGS("export")],
};

/** A shell in an empty folder, with the programs in its path and a `build.sh` that only knows `onshelf`. */
function makeShell() {
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
  return { folder, run, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Users of made-up tastes, in the layout of the public data set of that name. */
function writeBeauty(folder) {
  const lines = Array.from({ length: 400 }, (_, user) => {
    const items = Array.from(
      { length: 6 + (user % 5) },
      (_, at) => 1 + ((user % 8) * 20 + ((user * 7 + at * 5) % 20)),
    );
    return [user + 1, ...new Set(items)].join(" ");
  });
  mkdirSync(join(folder, "data"));
  writeFileSync(join(folder, "data/Beauty.txt.gz"), gzipSync(`${lines.join("\n")}\n`));
}

/** The leader's configuration of the aggregators' page, and the secrets that it names. */
function writeConfiguration(folder) {
  const { code } = SAMPLES.find(
    ({ path, language }) => path === "docs/server.md" && language === "toml",
  );
  const key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
  const text = code.replace(/<64 hex digits>|<the same>/g, key);
  writeFileSync(join(folder, "onshelf-server.toml"), text);
  const database = `sqlite:${join(folder, "aggregator.db")}`;
  return {
    LEADER_DATABASE: database,
    HELPER_DATABASE: database,
    VERIFY_SECRET: "ab".repeat(32),
    HELPER_TOKEN: "h".repeat(32),
    OPERATOR_TOKEN: "o".repeat(32),
    COLLECTOR_TOKEN: "c".repeat(32),
  };
}

/** Samples of every page but the start's, which has a test of its own. */
const pages = new Map();
for (const sample of sh.filter(({ path }) => path !== START))
  pages.set(sample.path, [...(pages.get(sample.path) ?? []), sample]);
const missing = ["onshelf", "onshelf-server"].filter((name) => program(name) === null);
const unbuilt = missing.length > 0 && `${missing.join(", ")} is not built: run ./build.sh test`;

for (const [page, samples] of pages) {
  const commands = samples.flatMap(({ code }) => commandsOf(code));
  const toRun = commands.filter((command) => reasonOf(command) === undefined);
  if (toRun.length === 0) continue;
  test(
    `commands: ${page}, ${toRun.length} of ${commands.length} run`,
    { skip: unbuilt, timeout: 600_000 },
    async () => {
      const shell = makeShell();
      try {
        writeBeauty(shell.folder);
        const env = writeConfiguration(shell.folder);
        for (const command of BEFORE[page] ?? [])
          await shell.run(command.replace("MODEL", join(MODEL, "models")), env);
        for (const command of toRun) {
          const small = SMALLER.reduce((text, [from, to]) => text.replace(from, to), command);
          const local = small.replace("file:///srv", `file://${shell.folder}/srv`);
          // What a person copies from the line that `export` printed.
          const key = "$(tr -d '[]\" \\n' < public/models/public-keys.json)";
          const given = local.includes("$PUBLIC_KEY") ? `PUBLIC_KEY=${key}; ${local}` : local;
          await shell.run(given, env).catch((error) => {
            throw new Error(`${command}\n${error.stdout}${error.stderr}`);
          });
        }
      } finally {
        shell.remove();
      }
    },
  );
}

test("commands: what is only compared with --help is named, and nothing in vain", (t) => {
  const all = sh.flatMap(({ path, code }) => commandsOf(code).map((command) => [path, command]));
  const checked = all.filter(([, command]) => reasonOf(command) !== undefined);
  t.diagnostic(`${all.length} commands, ${checked.length} of them only compared with --help:`);
  for (const [path, command] of checked)
    t.diagnostic(`${path}: ${command.slice(0, 60)} (${reasonOf(command)})`);
  for (const [start] of ONLY_CHECKED)
    assert.ok(
      checked.some(([, command]) => start.test(command)),
      `${start} fits no command`,
    );
});

/** Starts a program in a shell and gives the address that it prints. */
async function served(command, cwd, env) {
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
    const url = /http:\/\/localhost:\d+/.exec(said.replace(/\u001b\[\d+m/g, ""))?.[0];
    if (url !== undefined) return { url, close };
    if (child.exitCode !== null) break;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error(`${command}: ${said}`);
}

const start = sh.filter(({ path }) => path === START).map(({ code }) => commandsOf(code));
const NO_REGISTRY = /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|E40[134]|E5\d\d/;

test(
  "commands: the five-minute start, in an empty folder",
  { skip: skipWithout("chromium"), timeout: 300_000 },
  async (t) => {
    const [once, folder, serve] = start;
    const { remove, folder: home } = shop.workFolder();
    let site;
    let browser;
    t.after(async () => {
      await browser?.close();
      await site?.close();
      remove();
    });
    // Step 1 by what is built: the package of dist/ and the tests' model in the place of the demo's.
    assert.deepEqual(once.slice(0, 3), [
      "export ONSHELF=$PWD",
      "./build.sh build",
      "./build.sh train",
    ]);
    const ONSHELF = join(home, "onshelf");
    mkdirSync(join(ONSHELF, "build/demo"), { recursive: true });
    symlinkSync(join(ROOT, "dist"), join(ONSHELF, "dist"));
    symlinkSync(join(MODEL, "models"), join(ONSHELF, "build/demo/models"));
    symlinkSync(join(MODEL, "products.json"), join(ONSHELF, "build/demo/products.json"));
    const env = { ...process.env, ONSHELF };
    const bash = (commands) =>
      promisify(execFile)("bash", ["-euc", commands.join("\n")], { cwd: ONSHELF, env });
    await bash(once.slice(3));
    // Step 2.
    try {
      await bash(folder);
    } catch (error) {
      if (NO_REGISTRY.test(error.stderr)) return t.skip("the npm registry cannot be reached");
      throw error;
    }
    // Step 3.
    const page = SAMPLES.find(({ path, language }) => path === START && language === "html");
    writeFileSync(join(home, "my-shop/index.html"), page.code);
    // Step 4.
    assert.equal(serve.length, 1);
    site = await served(serve[0], join(home, "my-shop"), env);
    browser = await launchChromium();
    const tab = await browser.newPage();
    const problems = [];
    const sent = [];
    tab.on("pageerror", (error) => problems.push(error.message));
    tab.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    tab.on("request", (request) => sent.push(request.url()));
    await tab.goto(site.url);
    const read = () => tab.$$eval("#shelf button", (all) => all.map((one) => one.textContent));
    await tab.waitForSelector("#shelf button");
    const cold = await read();
    assert.equal(cold.length, 8);
    assert.equal(new Set(cold).size, 8);
    await tab.waitForTimeout(1000);
    const before = sent.length;
    await tab.click("#shelf button:nth-of-type(3)");
    await tab.waitForFunction(
      (first) => document.querySelector("#shelf").textContent !== first,
      cold.join(""),
    );
    assert.equal((await read()).length, 8);
    assert.deepEqual(sent.slice(before), [], "a click sends nothing");
    await tab.waitForTimeout(1500);
    const warm = await read();
    await tab.reload();
    await tab.waitForSelector("#shelf button");
    assert.notDeepEqual(await read(), cold, "it remembers");
    assert.equal(warm.length, 8);
    assert.deepEqual(problems, []);
  },
);
