/**
 * Real modules against a real leader and helper (`onshelf-server`, both roles in one process), across origins:
 * what a browser uploads is verified and counted by both, once.
 */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { freePort } from "../demo/aggregators.mjs";
import { openSite } from "./aggregators.mjs";
import { browserSuite } from "./harness.mjs";
import { DIGEST, dimensionOf, ITEMS, KEYS as SHOP_KEYS, MANIFEST, REAL } from "./real.mjs";
import { KEY } from "./signing.mjs";
import { aggregatorKey, signedTask, task, versionLog } from "./tasks.mjs";

const SERVER = process.env.ONSHELF_SERVER;
const missing = SERVER === undefined || !existsSync(SERVER);
const skip = missing && "ONSHELF_SERVER names no program; ./build.sh test builds it";

let folder;
let running;
let base;
let secret;

const site = openSite();
const suite = browserSuite("chromium", { ...REAL, intercept: site.intercept });

const config = () => join(folder, "onshelf-server.toml");

before(async () => {
  if (missing) return;
  folder = mkdtempSync(join(tmpdir(), "onshelf-server-"));
  const port = await freePort();
  base = `http://127.0.0.1:${port}/`;
  secret = randomBytes(32).toString("hex");
  const role = (name, more) => `
[${name}]
database = "sqlite:${join(folder, name)}.db"
task_keys = ["${KEY}"]
verify_secret = "${secret}"
operator_tokens = ["operator-operator"]
${more}`;
  writeFileSync(
    config(),
    `listen = "127.0.0.1:${port}"
embedded = true
${role("leader", 'collector_tokens = ["collector-collector"]\n[leader.times]\nlinger = 1\n[leader.helper]\ntoken = "leader-to-helper-token"\n')}
${role("helper", 'leader_tokens = ["leader-to-helper-token"]\n')}`,
  );
  // What it logs has nothing of a shopper in it, and is of use where a test fails.
  running = spawn(SERVER, ["--config", config(), "serve"], {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, RUST_LOG: "warn" },
  });
  for (let round = 0; round < 200; round++) {
    const up = await fetch(`${base}leader/readyz`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (up) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("the server does not start");
});

after(async () => {
  if (running !== undefined) {
    const ended = new Promise((done) => running.once("exit", done));
    running.kill("SIGTERM");
    await ended;
  }
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

const operator = { Authorization: "Bearer operator-operator" };

async function counts(role) {
  const answer = await fetch(`${base}${role}/onshelf/status`, { headers: operator });
  assert.equal(answer.status, 200, role);
  return (await answer.json()).tasks[0];
}

/** What a partner is told whose aggregator is none of ours: both roles' key of the task, as docs/server.md makes it. */
function assertVerifyKeys(id) {
  const args = ["--config", config(), "verify-key", id];
  const printed = execFileSync(SERVER, args, { encoding: "utf8" });
  const made = Buffer.concat([Buffer.from(secret, "hex"), Buffer.from(id, "base64url")]);
  const hash = createHash("sha256").update("onshelf verify key 1").update(made).digest();
  const key = hash.subarray(0, 16).toString("base64url");
  assert.equal(printed, `leader ${key}\nhelper ${key}\n`);
}

if (missing) {
  const { test } = await import("node:test");
  test("a browser's report at a real leader and helper", { skip }, () => undefined);
} else {
  suite.test("a browser's report at a real leader and helper: verified, once", async ({ page }) => {
    const keys = execFileSync(SERVER, ["--config", config(), "keys"], { encoding: "utf8" });
    const key = (role) => new RegExp(`^${role} (\\S+)`, "m").exec(keys)[1];
    const [model, dimension] = [DIGEST, dimensionOf(0)];
    const signed = signedTask(
      task(
        { url: base, model, dimension },
        {
          round: 0,
          leader: { url: `${base}leader/`, hpke: key("leader") },
          helper: { url: `${base}helper/`, hpke: key("helper") },
          collector: aggregatorKey(9).config,
        },
      ),
    );
    site.offer({ "/offered/task.json": signed, "/offered/versions.log": versionLog([model]) });
    for (const role of ["leader", "helper"]) {
      const options = { method: "POST", headers: operator, body: signed };
      const { ok, status } = await fetch(`${base}${role}/onshelf/tasks`, options);
      assert.ok(ok, `${role}: ${status}`);
    }
    const bodies = [];
    page.raw.on("request", (request) => {
      if (request.method() === "PUT") bodies.push([request.url(), request.postDataBuffer()]);
    });
    await page.open("/open.html");
    const report = await page.run(
      async ({ model, keys, items }) => {
        const { Onshelf } = globalThis.onshelf;
        const options = { model, publicKeys: keys, device: "cpu", consent: "device+sync" };
        const sync = { task: "/offered/task.json", max_delay_ms: 0 };
        const shelf = await Onshelf.load({ ...options, sync });
        for (const item_id of items) await shelf.track({ event: "view_item", item_id });
        const report = await shelf.sync().catch(({ code, message }) => ({ code, message }));
        await shelf.dispose();
        return report;
      },
      { model: MANIFEST, keys: [...SHOP_KEYS, KEY], items: ITEMS.slice(0, 4) },
    );
    assert.equal(report.outcome, "sent", JSON.stringify(report));
    assertVerifyKeys(report.task_id);
    assert.equal(bodies.length, 1);
    // Again, as after a lost answer: taken, and dropped.
    const [address, body] = bodies[0];
    const headers = { "Content-Type": "application/dap-report" };
    assert.equal((await fetch(address, { method: "PUT", headers, body })).status, 201);
    let seen = {};
    for (let round = 0; round < 300; round++) {
      seen = { leader: await counts("leader"), helper: await counts("helper") };
      if (seen.leader.aggregated === 1 && seen.helper.aggregated === 1) break;
      await new Promise((done) => setTimeout(done, 100));
    }
    const { leader, helper } = seen;
    assert.deepEqual([leader.waiting, leader.aggregated, leader.rejected], [0, 1, { replayed: 1 }]);
    assert.deepEqual([helper.waiting, helper.aggregated, helper.rejected], [0, 1, {}]);
  });
}
