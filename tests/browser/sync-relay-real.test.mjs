/**
 * A private round through two relays, everything real: Chromium, the shipped module, a relay process before the gateway of
 * each aggregator's process. Before each relay stands a recorder: what it sees is what a relay's operator could write down.
 */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as ask } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { startPair, startRelay, stop } from "../demo/aggregators.mjs";
import { openSite } from "./aggregators.mjs";
import { browserSuite } from "./harness.mjs";
import { DIGEST, engineWorker, ITEMS, loadReal, REAL } from "./real.mjs";
import { assertSent, learn, norm, sync } from "./real-rounds.mjs";
import { record, until } from "./rounds.mjs";
import { KEY } from "./signing.mjs";
import { OPENER, signedTask, task, versionLog } from "./tasks.mjs";

const SERVER = process.env.ONSHELF_SERVER;
const missing = [SERVER, OPENER].some((path) => path === undefined || !existsSync(path));
const skip =
  missing && "ONSHELF_SERVER and ONSHELF_OPEN_REPORT name no programs; ./build.sh test builds them";

/** Reports of the round: the fewest that are ever released, two of them from Chromium. */
const [REPORTS, BROWSERS] = [1_000, 2];
const ROLES = ["leader", "helper"];
/** Longer than a request for keys, shorter than a report. */
const LONG = 10_000;

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const work = mkdtempSync(join(tmpdir(), "onshelf-relays-"));
after(() => rmSync(work, { recursive: true, force: true }));

/** Both roles' something. */
async function both(make) {
  return Object.fromEntries(await Promise.all(ROLES.map(async (role) => [role, await make(role)])));
}

/** Stands before a relay and writes down what it is sent; `before(one, response)` is awaited before it is passed on. */
async function recorder(relay) {
  const state = { requests: [], before: () => undefined };
  const server = createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const { method, url, headers, rawHeaders } = request;
    const one = { method, url, rawHeaders, body: Buffer.concat(parts) };
    state.requests.push(one);
    await state.before(one, response);
    const onward = ask({ host: "127.0.0.1", port: relay.port, method, path: url, headers });
    onward.on("error", () => response.destroy());
    onward.on("response", (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.end(one.body);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  const close = () => new Promise((done) => (server.closeAllConnections(), server.close(done)));
  return { state, url: `http://127.0.0.1:${server.address().port}/`, close };
}

/** Everything that runs beside the browser. */
class Round {
  ends = [];

  static async start() {
    const round = new Round();
    try {
      await round.#start();
      return round;
    } catch (error) {
      await round.close();
      throw error;
    }
  }

  async #start() {
    // Without noise, so that the sum can be taken apart.
    const command = [join(dirname(OPENER), "aggregator_without_noise"), "CONFIG"];
    this.pair = await startPair({ command, folder: work, taskKey: KEY, gateways: true });
    this.ends.push(this.pair.close);
    this.relays = await both((role) => this.relay(role));
    this.ends.push(() => Promise.all(ROLES.map((role) => stop(this.relays[role].child))));
    this.recorders = await both((role) => recorder(this.relays[role]));
    this.ends.push(() => Promise.all(ROLES.map((role) => this.recorders[role].close())));
    this.named = await both(async (role) => {
      const keys = await (await fetch(`${this.pair.urls[role]}ohttp-keys`)).arrayBuffer();
      return { url: this.recorders[role].url, keys: sha256(Buffer.from(keys)) };
    });
  }

  /** A relay's process, in its place if it was there before. */
  relay(role) {
    const [gateway, port] = [this.pair.urls[role], this.relays?.[role].port];
    return startRelay({ program: SERVER, folder: work, gateway, port });
  }

  async close() {
    for (const end of this.ends.reverse()) await end();
  }

  /** An operator's request. */
  async operator(role, path, init = {}) {
    const headers = {
      Authorization: `Bearer ${this.pair.env[`ONSHELF_${role.toUpperCase()}_TOKEN`]}`,
    };
    const answer = await fetch(`${this.pair.urls[role]}onshelf/${path}`, { ...init, headers });
    assert.ok(answer.ok, `${role}: ${path}: ${answer.status}`);
    return answer.json();
  }

  /** Reports that the leader has. */
  async taken() {
    const [{ waiting, aggregated, collected }] = (await this.operator("leader", "status")).tasks;
    return waiting + aggregated + collected;
  }

  /** What everybody's relay was posted. */
  posts(role) {
    return this.recorders[role].state.requests.filter(({ method }) => method === "POST");
  }

  /** Opens a task at both aggregators; gives its envelope. */
  async open({ model, dimension, clip, collector }) {
    const at = await both(async (role) => {
      const [{ config }] = await this.operator(role, "keys");
      return { url: this.pair.urls[role], hpke: config };
    });
    const about = { url: "http://127.0.0.1", model, dimension, clip };
    const envelope = signedTask({ ...task(about), ...at, collector });
    for (const role of ROLES)
      await this.operator(role, "tasks", { method: "POST", body: envelope });
    return envelope;
  }
}

// No policy keeps the worker from the aggregators: that it asks them nothing is to be seen, not to be enforced.
const site = openSite();

const waiting = async (page) => (await record(page)).pending;

/** What of a request can be read in some bytes: words of it, or parts of the report in it. */
function readable(bytes, { id, host, report }) {
  const words = ["dap-report", "hpke_config", "task_id", "tasks/", "reports", id, host];
  const parts = Array.from({ length: 200 }, (_, n) => Math.floor((n / 200) * (report.length - 16)));
  const found = parts.filter((at) => bytes.includes(report.subarray(at, at + 16)));
  return [...words.filter((word) => bytes.includes(word)), ...found];
}

if (skip) test("a round through relays", { skip }, () => undefined);
else {
  const suite = browserSuite("chromium", { ...REAL, timeout: 600_000, intercept: site.intercept });
  suite.test("a round through relays", async (context) => {
    const round = await Round.start();
    try {
      await through(round, context);
    } finally {
      await round.close();
    }
  });
}

async function through(round, { page, url, newPage }) {
  const { named, recorders } = round;
  const asked = [];
  const visit = async (one) => {
    one.raw.context().on("request", (request) => asked.push(new URL(request.url()).origin));
    await one.open("/open.html");
    return one;
  };
  // Who expects other keys of the leader's gateway; here, before there is a task, their clicks say how long a report is.
  const wrong = { ...named, leader: { ...named.leader, keys: named.helper.keys } };
  const probe = await learn(await visit(page), ITEMS.slice(0, 4), { relay: wrong });
  const call = await engineWorker(await newPage());
  await loadReal(call, "cpu");
  const contribution = (clicks) => call("contribution", { clicks, round: 1 });
  const learned = await contribution(probe);
  const [dimension, clip] = [learned.length, norm(learned) * 1.05];

  // A task that both have taken, and what the shop says of it.
  const known = async (args, env = {}) => {
    const options = { env: { ...process.env, ...env }, maxBuffer: 1 << 24 };
    const program = join(dirname(OPENER), "known_reports");
    return JSON.parse((await promisify(execFile)(program, args, options)).stdout);
  };
  const seed = randomBytes(32).toString("hex");
  const { config: collector } = await known(["collector", seed]);
  const envelope = await round.open({ model: DIGEST, dimension, clip, collector });
  writeFileSync(join(work, "task.json"), envelope);
  const { task: id } = await known([join(work, "task.json"), KEY, "id"]);
  site.offer({ "/round/task.json": envelope, "/round/versions.log": versionLog([DIGEST]) });

  const refused = await sync(page);
  assert.equal(refused.code, "RELAY_MISMATCH");
  assert.match(refused.message, new RegExp(`${named.leader.keys}, expected ${named.helper.keys}`));
  await page.run(() => globalThis.shelf.dispose());
  assert.deepEqual([round.posts("leader"), await waiting(page), await round.taken()], [[], [], 0]);

  // As it should be.
  const one = await visit(await newPage());
  const clicks = [await learn(one, ITEMS.slice(0, 4), { relay: named })];
  await assertSent(one);
  assert.equal(await round.taken(), 1);

  // The relay goes away in the middle of an upload; the next page sends the report.
  const { state } = recorders.leader;
  state.before = ({ body }) => body.length > LONG && stop(round.relays.leader.child, "SIGKILL");
  const second = await visit(await newPage());
  second.expectProblem(/net::ERR/);
  clicks.push(await learn(second, ITEMS.slice(0, 4), { relay: named }));
  const down = await sync(second);
  assert.equal(down.outcome, "waiting", JSON.stringify(down));
  const [report] = await waiting(second);
  await second.run(() => globalThis.shelf.dispose());
  await second.open("/open.html");
  assert.equal(await round.taken(), 1);
  state.before = () => undefined;
  round.relays.leader = await round.relay("leader");
  await learn(second, [], { relay: named });
  await assertSent(second);
  assert.equal((await sync(second)).outcome, "already sent");
  assert.equal(await round.taken(), 2);

  // A shopper who changes their mind in the middle of an exchange.
  const held = {};
  state.before = ({ body }, response) => {
    if (body.length <= LONG) return undefined;
    held.reached = true;
    return new Promise(() => response.on("close", () => (held.closed = true)));
  };
  const third = await visit(await newPage());
  third.expectProblem(/net::ERR/);
  await learn(third, ITEMS.slice(2, 5), { relay: named });
  await third.run(() => {
    globalThis.sent = globalThis.shelf.sync().catch(({ code }) => code);
  });
  await until(() => held.reached);
  assert.equal((await waiting(third)).length, 1);
  await third.run(() => globalThis.shelf.setConsent("device"));
  const came = await third.run(() =>
    Promise.race([globalThis.sent, new Promise((done) => setTimeout(done, 20_000, "nothing"))]),
  );
  assert.equal(came, "CONSENT_NEEDED");
  await until(() => held.closed);
  assert.deepEqual([await waiting(third), await round.taken()], [[], 2]);
  state.before = () => undefined;
  await third.run(() => globalThis.shelf.setConsent("device+sync"));
  assert.equal((await sync(third)).outcome, "already sent");

  assertSealed(round, { id, host: new URL(round.pair.urls.leader).host, report });
  const relays = ROLES.map((role) => new URL(named[role].url).origin);
  assert.deepEqual([...new Set(asked)].sort(), [url, ...relays].sort(), "and no aggregator");

  // Two of a thousand: the sum is theirs and what is known of the others.
  const signed = [join(work, "task.json"), KEY];
  const others = await known([...signed, "upload", String(REPORTS - BROWSERS)]);
  const { ONSHELF_COLLECTOR_TOKEN } = round.pair.env;
  const job = randomBytes(16).toString("base64url");
  const sum = await known([...signed, "collect", seed, job], { ONSHELF_COLLECTOR_TOKEN });
  assert.equal(sum.reports, REPORTS);
  const vectors = [await contribution(clicks[0]), await contribution(clicks[1])];
  const wanted = vectors[0].map((x, at) => x + vectors[1][at]);
  const { length } = sum.sum;
  // Four bits: 8 means zero.
  const step = (3 * clip) / Math.sqrt(length) / 8;
  const found = sum.sum.map((value, at) => (value - others.sum[at] - BROWSERS * 8) * step);
  const bound = (step / 2) * Math.sqrt(length) * 1.2 * Math.sqrt(BROWSERS);
  // The rotation keeps lengths.
  const error = Math.abs(norm(found) - norm(wanted));
  assert.ok(error < bound && bound < norm(wanted) / 2, `${norm(found)}, wanted ${norm(wanted)}`);
  console.log(`# ${REPORTS} reports, ${BROWSERS} of them from Chromium through relays: counted`);
}

/** What the relays' operators could write down says nothing of what was sent, and not that two were the same. */
function assertSealed(round, about) {
  assert.ok(readable(about.report, about).length === 200, "the control: a report can be told");
  const uploads = round.posts("leader").filter(({ body }) => body.length > LONG);
  // One that came, two or more of one report, one that was cut off: all of one size. (That no two are the same cannot be
  // said here: a browser itself repeats a request whose connection was closed without an answer.)
  assert.ok(new Set(uploads.map(({ body }) => sha256(body))).size >= 4);
  assert.equal(new Set(uploads.map(({ body }) => body.length)).size, 1);
  for (const role of ROLES) {
    const small = round.posts(role).filter(({ body }) => body.length <= LONG);
    assert.ok(small.length >= 3, role);
    assert.equal(new Set(small.map(({ body }) => body.length)).size, 1);
    for (const { method, url, rawHeaders, body } of round.recorders[role].state.requests) {
      assert.ok(["POST /", "OPTIONS /", "GET /ohttp-keys"].includes(`${method} ${url}`), url);
      const all = Buffer.concat([Buffer.from(rawHeaders.join("\n")), body]);
      assert.deepEqual(readable(all, about), []);
      assert.doesNotMatch(rawHeaders.join("\n"), /cookie|referer/i);
    }
  }
}
