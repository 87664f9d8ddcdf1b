/**
 * Commands of the documentation, run as they stand there: the five-minute start in an empty folder, and every
 * command of the programs; those of a round are run by `commands-round.test.mjs`. What is only compared with
 * `--help` (`docs.test.mjs`) is named here, each with the reason.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import * as shop from "./examples.mjs";
import { launchChromium, ROOT, skipWithout } from "./harness.mjs";
import { MODEL } from "./real.mjs";
import { commandsOf, SAMPLES } from "./samples.mjs";
import { COMMANDS, makeShell, OF_A_ROUND, served, unbuilt } from "./shell.mjs";

const START = "docs/book/chapters/start.md";
const sh = SAMPLES.filter(({ language }) => language === "sh");

/** Commands that no test runs, by their beginnings. */
const ONLY_CHECKED = [
  [
    /^\.\/build\.sh (build|train|demo|docs|test)\b/,
    "compiles or trains for minutes; run before these tests, or by `test` itself",
  ],
  [
    /^\.\/build\.sh (diginetica|new-shoppers|federated)\b/,
    "an hour and more, on data that are not ours",
  ],
  [/^onshelf push .*s3:/, "wants an object store"],
];
const reasonOf = (command) => ONLY_CHECKED.find(([start]) => start.test(command))?.[1];
const isOfARound = (command) => OF_A_ROUND.some((start) => start.test(command));

/** Logs for commands that read some: `simulate` itself, and small. */
const LOGS = (folder) =>
  `onshelf simulate --out ${folder} --products 150 --shoppers 200 --days 63 --seed 3`;
/** In the words of a page, what is made smaller, log sizes and benchmarks, and where the data of others are. */
const SMALLER = [
  ["--products 600 --shoppers 1200 --days 56", "--products 150 --shoppers 200 --days 56"],
  ["--shoppers 285000", "--shoppers 120"],
  [/(?<=^(?!.*--quick).* benchmark .*)$/, " --quick"],
  ["../shared/data/s3rec_amazon/", "data/"],
  ["../shared/data/ader_diginetica", "data/DIGINETICA"],
  ["../shared/data/sessionrec_rsc15_100k", "data/RSC15"],
];

/** What must be there before a page's commands. */
const BEFORE = {
  "README.md": [LOGS("~/shop/logs")],
  "docs/cli.md": [LOGS("logs"), "mkdir -p DIR && cp -r MODEL/. DIR"],
  "docs/book/chapters/migration.md": [LOGS("export")],
};

/** Logs of made-up tastes, in the layouts of three public data sets. */
function writeData(folder) {
  const write = (path, lines) =>
    writeFileSync(join(folder, path), gzipSync(`${lines.join("\n")}\n`));
  const clicks = (user) =>
    Array.from(
      { length: 6 + (user % 5) },
      (_, at) => 1 + ((user % 8) * 20 + ((user * 7 + at * 5) % 20)),
    );
  const users = Array.from({ length: 400 }, (_, user) => clicks(user));
  for (const name of ["DIGINETICA", "RSC15"])
    mkdirSync(join(folder, "data", name), { recursive: true });
  write(
    "data/Beauty.txt.gz",
    users.map((items, user) => [user + 1, ...new Set(items)].join(" ")),
  );
  for (let period = 0; period < 4; period++) {
    const lines = users.flatMap((items, user) =>
      items.map((item) => `${period * 400 + user} ${item}`),
    );
    write(`data/DIGINETICA/period_${period}.txt.gz`, lines);
  }
  const parts = {
    train_tr: [0, 300],
    train_valid: [300, 350],
    train_full: [0, 350],
    test: [350, 400],
  };
  for (const [part, [first, end]] of Object.entries(parts)) {
    const lines = users
      .slice(first, end)
      .flatMap((items, user) =>
        items.map((item, at) =>
          [first + user, item, 1e9 + 60 * (400 * (first + user) + at)].join("\t"),
        ),
      );
    write(`data/RSC15/yoochoose-clicks-100k_${part}.txt.gz`, ["SessionId\tItemId\tTime", ...lines]);
  }
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

for (const [page, samples] of pages) {
  const commands = samples.flatMap(({ code }) => commandsOf(code));
  const toRun = commands.filter((one) => reasonOf(one) === undefined && !isOfARound(one));
  if (toRun.length === 0) continue;
  test(
    `commands: ${page}, ${toRun.length} of ${commands.length} run`,
    { skip: unbuilt, timeout: 600_000 },
    async () => {
      const shell = makeShell();
      try {
        writeData(shell.folder);
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
  const checked = COMMANDS.filter(({ command }) => reasonOf(command) !== undefined);
  t.diagnostic(`${COMMANDS.length} commands, ${checked.length} of them only compared with --help:`);
  for (const { path, command } of checked)
    t.diagnostic(`${path}: ${command.slice(0, 60)} (${reasonOf(command)})`);
  for (const [start] of ONLY_CHECKED)
    assert.ok(
      checked.some(({ command }) => start.test(command)),
      `${start} fits no command`,
    );
});

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
