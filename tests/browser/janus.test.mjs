/**
 * Rounds at Janus 0.7's servers on PostgreSQL (docs/scale.md): reports of the shipped module in Chromium and of the same
 * code outside it, a sum that our collector fetches, exact; and pairs of one aggregator of Janus's and one of ours.
 *
 * Janus is no part of this repository. `ONSHELF_JANUS` names a folder with its program and its schema; without it these
 * tests are skipped.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { freePort, startOne, stop } from "../demo/aggregators.mjs";
import { agreed, skipJanus, startRound } from "../interop/janus.mjs";
import { startPostgres } from "../interop/postgres.mjs";
import { openSite } from "./aggregators.mjs";
import { browserSuite } from "./harness.mjs";
import { ITEMS, KEYS as SHOP_KEYS, MODEL, REAL } from "./real.mjs";
import { KEY } from "./signing.mjs";
import { aggregatorKey, OPENER, openReport, signedTask, task } from "./tasks.mjs";

const SERVER = process.env.ONSHELF_SERVER;
const missing = [SERVER, OPENER].some((path) => path === undefined || !existsSync(path));
const skip =
  skipJanus ||
  (missing &&
    "ONSHELF_SERVER and ONSHELF_OPEN_REPORT name no programs; ./build.sh test builds them");

/** Reports of a round, all that a task may ask for at least; and how many of them come from Chromium. */
const [REPORTS, BROWSERS] = [1_000, 3];

const work = mkdtempSync(join(tmpdir(), "onshelf-janus-"));
after(() => rmSync(work, { recursive: true, force: true }));
mkdirSync(join(work, "models"));

const secret = () => randomBytes(32).toString("hex");
const folderOf = (name) => {
  const folder = join(work, name);
  mkdirSync(folder, { recursive: true });
  return folder;
};

/** Runs a program that prints JSON. */
async function told(program, args, env = {}) {
  const options = { env: { ...process.env, ...env }, maxBuffer: 1 << 24 };
  return JSON.parse((await promisify(execFile)(program, args, options)).stdout);
}

const known = (args, env) => told(join(dirname(OPENER), "known_reports"), args, env);

/** What ends with a test, last first. */
async function ending(body) {
  const ends = [];
  try {
    await body((end) => ends.push(end));
  } finally {
    for (const end of ends.reverse()) await end();
  }
}

// ---------------------------------------------------------------- a shop's round

/** One shopper in Chromium: agrees, clicks, contributes; gives what was uploaded. */
async function contribute(page, items) {
  const bodies = [];
  page.raw.on("request", (request) => {
    if (request.method() === "PUT") bodies.push(request.postDataBuffer());
  });
  await page.open("/open.html");
  const report = await page.run(
    async ({ keys, items }) => {
      const { Onshelf } = globalThis.onshelf;
      const model = "/models/latest.json";
      const options = { model, publicKeys: keys, device: "cpu", consent: "device+sync" };
      const shelf = await Onshelf.load({ ...options, sync: { max_delay_ms: 0 } });
      for (const item_id of items) {
        await shelf.track({ event: "view_item", item_id });
        await shelf.fineTune({ steps: 1, budget_ms: 10_000 });
      }
      return shelf.sync().catch(({ code, message }) => ({ code, message }));
    },
    { keys: SHOP_KEYS, items },
  );
  assert.equal(report.outcome, "sent", JSON.stringify(report));
  assert.equal(bodies.length, 1, "one upload");
  return bodies[0];
}

/** What Janus says on the wire, where it is not what ours say: what docs/scale.md tells operators of. */
async function wire({ leader, id, report, list, page }) {
  const reports = `${leader}tasks/${id}/reports`;
  const headers = { "Content-Type": "application/dap-report", Origin: "https://shop.example" };
  const put = (body, url = reports) => fetch(url, { method: "PUT", headers, body });
  const configs = await fetch(`${leader}hpke_config?task_id=${id}`);
  assert.equal(configs.headers.get("Content-Type"), "application/dap-hpke-config-list");
  assert.deepEqual(
    Buffer.from(await configs.arrayBuffer()),
    list,
    "the list is ours to the letter",
  );
  const without = await fetch(`${leader}hpke_config`);
  assert.deepEqual([without.status, (await without.json()).type], [400, `${DAP}missingTaskID`]);

  const again = await put(report);
  assert.equal(again.status, 200, "an upload that was taken before: 200, ours say 201");
  assert.equal(again.headers.get("Access-Control-Allow-Origin"), "https://shop.example");
  const changed = Buffer.from(report);
  changed[changed.length >> 1] ^= 1;
  const refused = await put(changed);
  assert.deepEqual([refused.status, (await refused.json()).type], [400, `${DAP}reportRejected`]);
  assert.equal(
    refused.headers.get("Access-Control-Allow-Origin"),
    null,
    "pages cannot read a refusal",
  );
  const stranger = await put(report, reports.replace(id, "A".repeat(43)));
  assert.deepEqual(
    [stranger.status, (await stranger.json()).type],
    [400, `${DAP}unrecognizedTask`],
  );

  page.expectProblem(/CORS policy|ERR_FAILED|status of 400/);
  const seen = await page.run(
    async ({ url, body }) => {
      const headers = { "Content-Type": "application/dap-report" };
      const bytes = Uint8Array.from(atob(body), (c) => c.charCodeAt(0));
      return fetch(url, { method: "PUT", headers, body: bytes }).then(
        ({ status }) => status,
        ({ name }) => name,
      );
    },
    { url: reports, body: changed.toString("base64") },
  );
  assert.equal(seen, "TypeError", "a page takes a refusal for a lost connection");
}
const DAP = "urn:ietf:params:ppm:dap:error:";

if (skip) {
  test("a shop's round at Janus's servers", { skip }, () => undefined);
  for (const ours of ["leader", "helper"])
    test(`our ${ours} with Janus for the other`, { skip }, () => undefined);
} else {
  const suite = browserSuite("chromium", {
    ...REAL,
    timeout: 900_000,
    mounts: { ...REAL.mounts, "/models/": join(work, "models") },
    intercept: openSite().intercept,
  });
  suite.test("a shop's round at Janus's servers", ({ page, newPage }) =>
    ending(async (end) => {
      const models = join(work, "models");
      cpSync(join(MODEL, "models"), models, { recursive: true });
      const postgres = await startPostgres();
      end(postgres.close);
      const keys = { leader: aggregatorKey(1), helper: aggregatorKey(2) };
      const ports = { leader: await freePort(), helper: await freePort() };
      const urls = {
        leader: `http://127.0.0.1:${ports.leader}/`,
        helper: `http://127.0.0.1:${ports.helper}/`,
      };

      const seed = secret();
      writeFileSync(join(work, "collector.key"), seed);
      const place = (role) => ({ url: urls[role], hpke: keys[role].config });
      const places = {
        leader: place("leader"),
        helper: place("helper"),
        collector: (await known(["collector", seed])).config,
        time_precision: 60,
        duration: 86_400,
        // Said though neither does: these shoppers are made up, and the sum is to be exact.
        noise: ["helper"],
      };
      writeFileSync(join(work, "places.json"), JSON.stringify(places));
      const { tokens, verifyKey } = agreed();
      const env = { ONSHELF_COLLECTOR_TOKEN: tokens.collector };
      const onshelf = (...args) => told(join(dirname(SERVER), "onshelf"), ["--json", ...args], env);
      const round = ["--models", models, "--rounds", join(work, "rounds"), "--deciding", "3"];
      round.push("--data", join(MODEL, "data"), "--key", join(MODEL, "secret.key"));
      const collector = ["--collector-key", join(work, "collector.key")];
      const budget = ["--epsilon", "8", "--participations", "1"];
      const from = ["--places", join(work, "places.json")];
      const { task: id } = await onshelf("collect", "open", ...round, ...from, ...budget);

      const envelope = readFileSync(join(models, "task.json"), "utf8");
      const folder = folderOf("shop");
      const both = { roles: ["leader", "helper"], keys, ports, verifyKey, tokens };
      end((await startRound({ postgres, folder, envelope, id, ...both })).close);

      const pages = [page, ...(await Promise.all(Array.from({ length: BROWSERS - 1 }, newPage)))];
      const reports = [];
      for (const [at, one] of pages.entries())
        reports.push(await contribute(one, ITEMS.slice(at * 4, at * 4 + 4)));
      await wire({ leader: urls.leader, id, report: reports[0], list: keys.leader.list, page });
      const early = await assertEarly(onshelf, round, collector);
      assert.match(early, /invalidBatchSize/, "fewer than the least batch");
      const signed = [join(models, "task.json"), SHOP_KEYS[0]];
      const sent = await known([...signed, "upload", String(REPORTS - BROWSERS)]);

      const finished = await onshelf("collect", "finish", ...round, ...collector);
      assert.ok(finished.stage.published ?? finished.stage.refused, JSON.stringify(finished));
      const spent = await onshelf("ledger", "--rounds", join(work, "rounds"));
      assert.deepEqual(
        spent.map(({ lineage, releases }) => [lineage, releases]),
        [["shop", 1]],
      );
      // The same collection job again: the same sum, without any noise of Janus's.
      const job = createHash("sha256")
        .update("onshelf collection job")
        .update(Buffer.from(id, "base64url"))
        .digest()
        .subarray(0, 16)
        .toString("base64url");
      const sum = await known([...signed, "collect", seed, job], env);
      const secrets = [keys.leader.secret, keys.helper.secret];
      const opened = reports.map((one) =>
        openReport(envelope, one, { key: SHOP_KEYS[0], secrets }),
      );
      const expected = sent.sum.map((value, at) =>
        opened.reduce((all, one) => all + one.sum[at], value),
      );
      assert.deepEqual([sum.reports, sum.sum], [REPORTS, expected]);
      console.log(`# ${REPORTS} reports, ${BROWSERS} of them from Chromium: the sum is exact`);
    }),
  );
  for (const ours of ["leader", "helper"])
    test(`our ${ours} with Janus for the other`, { timeout: 600_000 }, () =>
      ending(async (end) => {
        const postgres = await startPostgres();
        end(postgres.close);
        await mixed({ postgres, ours, end });
      }),
    );
}

/** Asks for the sum too early; gives what is said. */
async function assertEarly(onshelf, round, collector) {
  const asked = onshelf("collect", "finish", ...round, ...collector, "--patience", "5");
  return asked.then(
    () => assert.fail("a sum of too few reports was released"),
    ({ stderr, stdout }) => stderr + stdout,
  );
}

// ---------------------------------------------------------------- one of each

/** A round at one of ours, in a role, and Janus in the other. */
async function mixed({ postgres, ours, end }) {
  const [folder, theirs] = [folderOf(`our-${ours}`), ours === "leader" ? "helper" : "leader"];
  const { tokens } = agreed();
  const [operator, verify, seed] = [secret(), secret(), secret()];
  const section =
    ours === "leader"
      ? `collector_tokens = ["${tokens.collector}"]\nhelper = { token = "${tokens.helper}" }\ntimes = { linger = 1 }\n`
      : `leader_tokens = ["${tokens.helper}"]\n`;
  const command = [join(dirname(OPENER), "aggregator_without_noise"), "CONFIG"];
  const own = await startOne({
    command,
    folder,
    name: ours,
    taskKey: KEY,
    verify,
    operator,
    section,
  });
  end(() => stop(own.child));
  const headers = { Authorization: `Bearer ${operator}` };
  const [key] = await (await fetch(`${own.url}onshelf/keys`, { headers })).json();
  const [keys, port] = [{ [theirs]: aggregatorKey(7) }, await freePort()];
  const about = { url: "http://127.0.0.1", model: "ab".repeat(32), dimension: 64, bits: 8 };
  const signed = signedTask({
    ...task(about),
    [ours]: { url: own.url, hpke: key.config },
    [theirs]: { url: `http://127.0.0.1:${port}/`, hpke: keys[theirs].config },
    collector: (await known(["collector", seed])).config,
  });
  const envelope = join(folder, "task.json");
  writeFileSync(envelope, signed);
  const taken = await fetch(`${own.url}onshelf/tasks`, { method: "POST", headers, body: signed });
  assert.ok(taken.ok, await taken.text());
  const { task: id } = await known([envelope, KEY, "id"]);
  const config = ["--config", join(folder, `${ours}.toml`)];
  const printed = await promisify(execFile)(SERVER, [...config, "verify-key", id]);
  const [, verifyKey] = printed.stdout.trim().split(" ");
  const roles = { roles: [theirs], keys, ports: { [theirs]: port }, verifyKey, tokens };
  end((await startRound({ postgres, folder, envelope: signed, id, ...roles })).close);
  const sent = await known([envelope, KEY, "upload", String(REPORTS)]);
  const job = randomBytes(16).toString("base64url");
  const env = { ONSHELF_COLLECTOR_TOKEN: tokens.collector };
  const sum = await known([envelope, KEY, "collect", seed, job], env);
  assert.deepEqual([sum.reports, sum.sum], [REPORTS, sent.sum]);
  console.log(`# our ${ours}, Janus's ${theirs}: the sum of ${REPORTS} reports is exact`);
}
