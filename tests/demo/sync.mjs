/**
 * One round of private sums on one machine, with everything real: a leader and a helper with databases of their own,
 * a shop, browsers, a collector, and the console that shows it. `./build.sh demo --sync` runs it.
 *
 *     node tests/demo/sync.mjs --programs DIR --demo DIR [--reports 1200] [--browsers 12] [--once]
 */

import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { chromium } from "playwright-core";
import { startServer } from "../../www/serve.mjs";
import { readVersion } from "../bench/served.mjs";
import { browserPath, ROOT } from "../browser/harness.mjs";
import { startPair, stop } from "./aggregators.mjs";

const run = promisify(execFile);
/** Clicks of a shopper in a browser before it contributes. */
const CLICKS = 6;
/** ε of the demo's lineage, for one participation of a shopper: a small shop needs most of what may be spent. */
const EPSILON = 8;

/** A page of the shop's origin with the package, for one shopper with a profile of their own. */
async function shopper(browser, site) {
  const context = await browser.newContext();
  const page = await context.newPage();
  const problems = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  await page.goto(`${site.url}/blank.html`);
  const load = async (consent) =>
    page.evaluate(
      async ({ keys, consent }) => {
        const { Onshelf } = await import("/onshelf/index.js");
        globalThis.shelf = await Onshelf.load({
          model: "/models/latest.json",
          publicKeys: keys,
          device: "cpu",
          consent,
          sync: { max_delay_ms: 0 },
        });
      },
      { keys: site.keys, consent },
    );
  return { context, page, problems, load };
}

/** Clicks through a shop: what `ids` says, learned from as it goes. */
const click = (page, ids) =>
  page.evaluate(async (ids) => {
    for (const item_id of ids) {
      await globalThis.shelf.track({ event: "view_item", item_id });
      await globalThis.shelf.fineTune({ steps: 1, budget_ms: 5_000 });
    }
  }, ids);

/** One shopper in a real browser: agrees, clicks, contributes once. */
async function contribute(browser, site, number) {
  const { context, page, problems, load } = await shopper(browser, site);
  try {
    await load("device+sync");
    const start = (number * 37) % (site.items.length - CLICKS);
    await click(page, site.items.slice(start, start + CLICKS));
    const report = await page.evaluate(() =>
      globalThis.shelf.sync().catch(({ code, message }) => ({ code, message })),
    );
    if (report.outcome !== "sent" || problems.length > 0)
      throw new Error(`shopper ${number}: ${JSON.stringify({ report, problems })}`);
  } finally {
    await context.close();
  }
}

/** A shopper who browses while the version changes: what their page says before and after. */
async function browse(browser, site) {
  const { context, page, problems, load } = await shopper(browser, site);
  await load("device");
  await click(page, site.items.slice(0, 3));
  const look = () =>
    page.evaluate(async () => {
      const { items } = await globalThis.shelf.recommend({ slot: "home", count: 8 });
      const { model_version, session } = await globalThis.shelf.inspect();
      return {
        version: model_version,
        clicks: session.length,
        shelf: items.map(({ item_id }) => item_id),
      };
    });
  const before = await look();
  return {
    before,
    /** Looks for a newer version, as the package does in idle time, and clicks on. */
    async after() {
      await page.evaluate(() => globalThis.shelf.update());
      await click(page, site.items.slice(3, 5));
      const after = await look();
      await context.close();
      return { ...after, problems };
    },
  };
}

/**
 * Runs a round; gives what came of it. `close` ends all that is left running: aggregators, shop, console.
 *
 * @param {object} options
 * @param {string} options.programs folder of `onshelf` and `onshelf-server`
 * @param {string} options.demo folder with `data`, `models`, `secret.key` (see `train` in build.sh)
 * @param {string} options.work folder for this run; emptied
 * @param {number} options.reports all of them
 * @param {number} options.browsers how many of them are made in Chromium
 * @param {number} options.deciding the period that decides
 * @param {number} options.period whose sessions contribute
 * @param {number} [options.port] of the shop
 * @param {(line: string) => void} [options.say]
 */
export async function syncRound(options) {
  const { programs, demo, work, reports, browsers, say = () => {} } = options;
  const ends = [];
  const close = async () => {
    for (const end of ends.reverse()) await end();
    ends.length = 0;
  };
  try {
    rmSync(work, { recursive: true, force: true });
    mkdirSync(join(work, "site"), { recursive: true });
    const models = join(work, "models");
    cpSync(join(demo, "models"), models, { recursive: true });
    const { keys, trained } = readVersion(models);

    say("two aggregators, each with its own process, database and secrets");
    const program = join(programs, "onshelf-server");
    const pair = await startPair({ program, folder: join(work, "aggregators"), taskKey: keys[0] });
    ends.push(pair.close);
    const console_token = randomBytes(16).toString("hex");
    const env = { ...process.env, ...pair.env, ONSHELF_CONSOLE_TOKEN: console_token };
    const onshelf = async (...args) =>
      JSON.parse((await run(join(programs, "onshelf"), ["--json", ...args], { env })).stdout);
    const round = ["--models", models, "--rounds", join(work, "rounds")];
    round.push("--data", join(demo, "data"), "--deciding", String(options.deciding));
    round.push("--key", join(demo, "secret.key"));
    const addresses = ["--leader", pair.urls.leader, "--helper", pair.urls.helper];

    const blank = (request, response) => {
      if (request.url !== "/blank.html") return false;
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
      response.end('<!doctype html><html lang="en"><title>shopper</title></html>');
      return true;
    };
    const mounts = { "/": join(demo, "site"), "/onshelf/": join(ROOT, "dist/onshelf") };
    const site = await startServer({
      log: true,
      port: options.port,
      mounts: { ...mounts, "/models/": models },
      intercept: blank,
    });
    ends.push(site.close);
    Object.assign(site, { keys, items: trained });
    const consoleUrl = await startConsole(
      programs,
      [...round.slice(0, 4), ...addresses],
      env,
      ends,
    );

    const collector = ["--collector-key", join(work, "collector.key")];
    const budget = ["--epsilon", String(EPSILON), "--participations", "1"];
    const times = ["--duration", "86400", "--time-precision", "60"];
    const opened = await onshelf(
      "collect",
      "open",
      ...round,
      ...addresses,
      ...collector,
      ...budget,
      ...times,
    );
    say(`round ${opened.round} is open: its signed task is ${opened.task}`);

    const browser = await chromium.launch({
      executablePath: browserPath("chromium"),
      args: ["--no-sandbox", "--disable-gpu"],
    });
    ends.push(() => browser.close());
    const browsing = await browse(browser, site);
    say(`${browsers} shoppers in Chromium agree, click, and contribute`);
    for (let number = 0; number < browsers; number++) await contribute(browser, site, number);
    const others = String(reports - browsers);
    say(`${others} more, by the same code outside a browser, from the shop's last week`);
    const from = [
      "--models",
      models,
      "--data",
      join(demo, "data"),
      "--period",
      String(options.period),
    ];
    await onshelf("collect", "contribute", ...from, "--shoppers", others);

    say("the collector writes the cost down, asks for the noised sum, and lets the canary judge");
    const finished = await onshelf("collect", "finish", ...round, ...collector);
    const spent = await onshelf("ledger", "--rounds", join(work, "rounds"));
    const after = await browsing.after();
    const status = await (
      await fetch(`${consoleUrl}status.json`, {
        headers: { Authorization: `Bearer ${console_token}` },
      })
    ).json();
    const shop = site.url;
    return {
      finished,
      spent,
      before: browsing.before,
      after,
      status,
      shop,
      consoleUrl,
      console_token,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Starts `onshelf console`; gives its address. */
async function startConsole(programs, args, env, ends) {
  const pages = join(ROOT, "dist/console");
  const all = ["--json", "console", ...args, "--pages", pages, "--listen", "127.0.0.1:0"];
  const child = spawn(join(programs, "onshelf"), all, {
    env,
    stdio: ["ignore", "pipe", "inherit"],
  });
  ends.push(() => stop(child));
  return new Promise((done, failed) => {
    child.once("exit", (code) => failed(new Error(`the console ended with ${code}`)));
    child.stdout.once("data", (line) => done(JSON.parse(String(line)).console));
  });
}

const OPTIONS = {
  programs: { type: "string" },
  demo: { type: "string" },
  reports: { type: "string", default: "1200" },
  browsers: { type: "string", default: "12" },
  port: { type: "string", default: "0" },
  once: { type: "boolean", default: false },
};

function told({ finished, spent, before, after, status }) {
  const outcome = finished.stage.published ?? finished.stage.refused;
  const all = outcome.verdict.differences.find(({ segment }) => segment === "all");
  const [leader, helper] = status.aggregators.map(({ tasks }) => tasks[0]);
  return [
    `verified and summed: ${leader.collected} reports at the leader, ${helper.collected} at the helper`,
    `the canary: ${all.gain.toFixed(5)} ± ${all.error.toFixed(5)} in NDCG@20 over ${all.sessions} sessions`,
    `the ledger: ε = ${spent[0].epsilon.toFixed(2)} at δ = 1e-6`,
    finished.stage.published
      ? `version ${outcome.version} was published`
      : `the version was refused: ${outcome.verdict.reasons.join("; ")}`,
    `the shopper who browsed meanwhile went from version ${before.version} to ${after.version} and kept ${after.clicks} clicks`,
  ];
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: OPTIONS });
  const say = (line) => console.log(`· ${line}`);
  const { periods } = JSON.parse(readFileSync(join(values.demo, "data/dataset.json"), "utf8"));
  const newest = periods.at(-1).period;
  const round = await syncRound({
    programs: values.programs,
    demo: values.demo,
    work: join(values.demo, "sync"),
    reports: Number(values.reports),
    browsers: Number(values.browsers),
    deciding: newest - 1,
    period: newest,
    port: Number(values.port),
    say,
  });
  told(round).forEach(say);
  if (values.once) {
    await round.close();
    process.exitCode = round.finished.stage.published ? 0 : 1;
  } else {
    console.log(`\nthe console: ${round.consoleUrl}#token=${round.console_token}`);
    console.log(`the shop:    ${round.shop}/\nCtrl-C ends all of it`);
    process.once("SIGINT", () => round.close().then(() => process.exit(0)));
    process.once("SIGTERM", () => round.close().then(() => process.exit(0)));
  }
}
