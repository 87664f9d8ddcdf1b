/**
 * The documented commands of a round, run as they stand there on the tests' small shop: two aggregators with the
 * configurations of `docs/server.md`, the operator's tutorial from `keys` to the console, what `docs/cli.md` and
 * `docs/scale.md` list besides, a relay, and the load test on PostgreSQL.
 */

import assert from "node:assert/strict";
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { freePort } from "../demo/aggregators.mjs";
import { postgresPrograms, startPostgres } from "../interop/postgres.mjs";
import { ROOT } from "./harness.mjs";
import { KEYS, MODEL } from "./real.mjs";
import { SAMPLES } from "./samples.mjs";
import { COMMANDS, makeShell, OF_A_ROUND, served, unbuilt } from "./shell.mjs";

const TUTORIAL = "docs/book/chapters/tutorials/operator.md";
const [CLI, SERVER, SCALE] = ["docs/cli.md", "docs/server.md", "docs/scale.md"];
const secret = (letter, length = 64) => letter.repeat(length);
const TOKENS = {
  VERIFY_SECRET: secret("ab", 32),
  HELPER_TOKEN: secret("h"),
  OPERATOR_TOKEN: secret("o"),
  COLLECTOR_TOKEN: secret("c"),
};
const FOR_THE_SHOP = {
  ONSHELF_LEADER_TOKEN: TOKENS.OPERATOR_TOKEN,
  ONSHELF_HELPER_TOKEN: TOKENS.OPERATOR_TOKEN,
  ONSHELF_COLLECTOR_TOKEN: TOKENS.COLLECTOR_TOKEN,
  ONSHELF_CONSOLE_TOKEN: secret("t"),
};

/** Commands of the documentation that a round is made of, and which of them were run. */
const all = COMMANDS.filter(({ command }) => OF_A_ROUND.some((start) => start.test(command)));
const run = new Set();

/** The one command of a page that begins so, with values in the place of names and addresses. */
function documented(path, beginning, values) {
  const found = all.filter((one) => one.path === path && one.command.startsWith(beginning));
  assert.equal(found.length, 1, `${path}: ${beginning}`);
  run.add(found[0]);
  return values.reduce((text, [from, to]) => text.replace(from, to), found[0].command);
}

/** An aggregator's folder with its configuration as documented: another port, and the shop's key for tasks. */
function configure(folder, role, port) {
  const pages = SAMPLES.filter(({ path, language }) => path === SERVER && language === "toml");
  const { code } = pages.find(({ code }) => code.includes(`[${role}]`));
  const own = join(folder, role);
  mkdirSync(own);
  const text = code
    .replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`)
    .replace(/<64 hex digits>|<the same>/, KEYS[0]);
  writeFileSync(join(own, "onshelf-server.toml"), text);
  return own;
}

test(
  "commands: a round, from the aggregators' keys to the next version",
  { skip: unbuilt, timeout: 600_000 },
  async (t) => {
    const shell = makeShell();
    const { folder } = shell;
    const running = [];
    t.after(async () => {
      for (const { close } of running) await close();
      shell.remove();
    });
    for (const name of ["models", "data", "student"])
      cpSync(join(MODEL, name), join(folder, name), { recursive: true });
    cpSync(join(MODEL, "secret.key"), join(folder, "model.key"));
    symlinkSync(join(ROOT, "dist"), join(folder, "dist"));
    const env = { ...TOKENS, ...FOR_THE_SHOP };
    for (const role of ["LEADER", "HELPER"])
      env[`${role}_DATABASE`] = `sqlite:${join(folder, role)}.db`;
    const values = [
      ["--models DIR", "--models models"],
      ["--rounds DIR", "--rounds rounds"],
      ["--data DIR", "--data data"],
      ["--key FILE", "--key model.key"],
      ["--collector-key FILE", "--collector-key collector.key"],
      ["--places FILE", "--places places.json"],
      ["--shoppers N", "--shoppers 1000"],
      [" [--to VERSION]", ""],
      [/ \[--pages dist\/console\] \[--listen [^\]]*\]/, ""],
    ];
    const shop = async (path, beginning) => {
      const command = documented(path, beginning, values);
      const { stdout } = await shell.run(command, env).catch((error) => {
        throw new Error(`${command}\n${error.stdout}${error.stderr}`);
      });
      return stdout;
    };

    // The aggregators, each in a folder of its own.
    const serve = documented(TUTORIAL, "onshelf-server --config onshelf-server.toml serve", []);
    const keys = COMMANDS.find(({ path, command }) => path === TUTORIAL && / keys$/.test(command));
    const places = { time_precision: 3600, duration: 604_800, noise: ["helper"] };
    for (const role of ["leader", "helper"]) {
      const port = await freePort();
      const own = configure(folder, role, port);
      const inside = `cd ${own} && `;
      const printed = (await shell.run(inside + keys.command, env)).stdout;
      const [, hpke] = new RegExp(`^${role} (\\S+) until`).exec(printed);
      const url = `http://127.0.0.1:${port}/`;
      places[role] = { url, hpke };
      values.push([`--${role} URL`, `--${role} ${url}`]);
      values.push([`--${role} https://${role}.example/`, `--${role} ${url}`]);
      const one = await served(
        `${inside}exec ${serve}`,
        folder,
        { ...shell.env, ...env },
        `${url}readyz`,
      );
      running.push(one);
    }
    writeFileSync(join(folder, "places.json"), JSON.stringify(places));

    // A second version, so that there is one to go back to.
    const versions = async () =>
      (await shell.run("cat models/versions.log")).stdout.trim().split("\n").length;
    await shell.run("onshelf export --data data --student student --out models --key model.key");
    assert.equal(await versions(), 2);

    // The tutorial.
    assert.match(await shop(TUTORIAL, "onshelf collect open"), /round 0/i);
    await shop(CLI, "onshelf collect contribute");
    const finished = await shop(TUTORIAL, "onshelf collect finish");
    assert.match(finished, /published|refused/i);
    assert.match(await shop(TUTORIAL, "onshelf ledger"), /shop/);
    const watch = async (path, rounds) => {
      const command = `exec ${documented(path, "onshelf console", values)} --listen 127.0.0.1:0`;
      const one = await served(command, folder, { ...shell.env, ...env });
      try {
        const headers = { Authorization: `Bearer ${env.ONSHELF_CONSOLE_TOKEN}` };
        const status = await (await fetch(`${one.url}/status.json`, { headers })).json();
        assert.deepEqual(
          status.aggregators.map(({ error, tasks }) => [error, tasks.map((one) => one.collected)]),
          Array(2).fill([null, Array(rounds).fill(1000)]),
        );
        assert.equal((await fetch(one.url)).status, 200, "the page");
      } finally {
        await one.close();
      }
    };
    await watch(TUTORIAL, 1);

    // The reference: a round in which the aggregators are told once more, and one with a file of places, given up.
    await shop(CLI, "onshelf collect open");
    await shop(CLI, "onshelf collect announce");
    await shop(CLI, "onshelf collect contribute");
    assert.match(await shop(CLI, "onshelf collect finish"), /published|refused/i);
    await watch(CLI, 2);
    assert.match(await shop(SCALE, "onshelf collect open"), /round 2/i);
    await shop(CLI, "onshelf collect give-up");
    assert.match(await shop(CLI, "onshelf ledger"), /shop: 2,/);
    const before = await versions();
    await shop(CLI, "onshelf collect roll-back");
    assert.equal(await versions(), before + 1, "going back is an entry of the log as well");
  },
);

test("commands: a relay", { skip: unbuilt, timeout: 60_000 }, async (t) => {
  const shell = makeShell();
  t.after(shell.remove);
  const port = await freePort();
  const command = documented(SERVER, "onshelf-server relay", [
    [/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`],
  ]);
  const relay = await served(
    `exec ${command}`,
    shell.folder,
    shell.env,
    `http://127.0.0.1:${port}/healthz`,
  );
  await relay.close();
});

const noPostgres = unbuilt || (postgresPrograms() === null && "PostgreSQL is not installed");
test("commands: the load test of the aggregators", { skip: noPostgres }, async (t) => {
  const shell = makeShell();
  const postgres = await startPostgres();
  t.after(async () => {
    await postgres.close();
    shell.remove();
  });
  const databases = ["leader", "helper"].map((role) => ["postgres://…", postgres.database(role)]);
  const printed = await shell.run(documented(SERVER, "onshelf-server bench", databases));
  assert.match(printed.stdout, /reports/);
});

test("commands: every documented command of a round was run", { skip: noPostgres }, () => {
  const left = all.filter((one) => !run.has(one));
  assert.deepEqual(left, []);
});
