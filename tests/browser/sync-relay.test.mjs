/**
 * Private rounds through relays, around a fake engine and a fake sync module: nothing goes to an aggregator but through
 * them, and whatever they do a report is sent at most once.
 */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import { HASH, RELAY, relays } from "./relays.mjs";
import { at, begin, contribute, joined, record, round, task, until, uploads } from "./rounds.mjs";
import { withShelf } from "./with-shelf.mjs";

const relay = relays(round);
const options = { intercept: relay.intercept };

/** Options of `withShelf` for a shopper who agreed to sync, on a page that names relays. */
const through = (named = RELAY) =>
  joined({ sync: { task: "/round/task.json", max_delay_ms: 0, relay: named } });

const prepare = (url, more = {}, of = {}) => {
  round.reset({ task: at(url, task()), ...of });
  relay.reset(more);
};

const puts = () => relay.state.posts.filter(({ method }) => method === "PUT");

for (const browser of ["chromium", "firefox"]) {
  const suite = browserSuite(browser, options);

  suite.test("aggregators are asked and sent things by relays alone", async ({ page, url }) => {
    prepare(url);
    const { report } = await withShelf(page, "", contribute, through());
    assert.deepEqual(report, { outcome: "sent", task_id: "task-1", send_at_ms: null });
    const direct = [...new Set(relay.state.direct)].sort();
    assert.deepEqual(direct, ["GET /round/task.json", "GET /round/versions.log"]);
    const asked = relay.state.posts.map(({ role, method, path }) => `${role} ${method} ${path}`);
    assert.deepEqual(asked.sort(), [
      "helper GET /round/helper/hpke_config",
      "leader GET /round/leader/hpke_config",
      "leader PUT /round/leader/tasks/task-1/reports",
    ]);
    assert.deepEqual(relay.state.keys.sort(), ["helper", "leader", "leader"]);
    for (const { headers } of relay.state.posts) {
      assert.equal(headers["content-type"], "message/ohttp-req");
      assert.deepEqual([headers.cookie, headers.referer], [undefined, undefined]);
    }
    const [{ headers, body }] = round.state.uploads;
    assert.equal(headers["content-type"], "application/dap-report");
    assert.deepEqual(JSON.parse(body).delta, Array(8).fill(Math.fround(0.1)));
  });
}

const suite = browserSuite("chromium", { ...options, timeout: 90_000 });

suite.test("relays that are not named as they should be", async ({ page }) => {
  const { leader, helper } = RELAY;
  const bad = [
    ["sync.relay.leader needs a url", null],
    ["sync.relay.leader needs a url", "https://relay.example/"],
    ["sync.relay.leader needs a url", { url: "https://relay.example/", keys: HASH }],
    ["sync.relay.leader needs a url", { helper }],
    ["sync.relay.helper needs a url", { leader }],
    ["sync.relay.leader must be an address", { leader: { ...leader, url: "https://" }, helper }],
    ["sync.relay.helper.keys must be a SHA-256 in hex", { leader, helper: { url: helper.url } }],
    ["sync.relay.leader.keys must be a SHA-256 in hex", { leader: { ...leader, keys: 7 }, helper }],
    ...["g".repeat(64), `${HASH}0`, HASH.slice(1), `0x${HASH.slice(2)}`, "sha256"].map((keys) => [
      "sync.relay.helper.keys must be a SHA-256 in hex",
      { leader, helper: { ...helper, keys } },
    ]),
  ];
  for (const [message, named] of bad) {
    const failed = await page.run(
      (named) =>
        globalThis.onshelf.Onshelf.load({
          ...{ model: "/fake.json", publicKeys: ["key"], device: "cpu" },
          sync: { relay: named },
        }).then(
          () => "loaded",
          ({ code, message }) => ({ code, message }),
        ),
      named,
    );
    assert.deepEqual(failed, { code: "INVALID_REQUEST", message }, JSON.stringify(named));
  }
});

suite.test("keys other than the page names: nothing is sent, and told", async ({ page, url }) => {
  for (const role of ["leader", "helper"]) {
    prepare(url, { keys: { leader: HASH, helper: HASH, [role]: "b2".repeat(32) } });
    const { report, sync } = await withShelf(page, "", contribute, through());
    assert.equal(report.code, "RELAY_MISMATCH", role);
    assert.deepEqual([sync.state, sync.reason], ["idle", "RELAY_MISMATCH"]);
    assert.deepEqual([sync.participations, sync.last_task], [0, null], "nothing was spent");
    assert.ok(relay.state.posts.every((post) => post.role !== role));
    assert.deepEqual([puts(), round.state.uploads], [[], []]);
    await page.open("/blank.html");
  }
  // And where the keys change while a report waits.
  const change = (number) => number === 3 && relay.change({ keys: { leader: "b2".repeat(32) } });
  prepare(url, { before: change });
  const { report, sync } = await withShelf(page, "", contribute, through());
  assert.deepEqual([report.code, report.named], ["RELAY_MISMATCH", true]);
  assert.match(report.remedy, /sync\.relay/);
  assert.deepEqual([sync.state, sync.reason], ["waiting", "RELAY_MISMATCH"]);
  assert.equal(sync.last_task.outcome, "waiting");
  assert.deepEqual([puts(), round.state.uploads], [[], []]);
  await page.open("/blank.html");
  relay.change({ keys: { leader: HASH, helper: HASH }, before: () => {} });
  const later = await withShelf(page, "", (t) => t.shelf.sync(), through());
  assert.equal(later.outcome, "sent");
  assert.equal(round.state.uploads.length, 1);
});

suite.test(
  "whatever a relay answers by itself, the same report comes again, sealed anew",
  async ({ page, url }) => {
    page.expectProblem(/status of [45]\d\d|net::ERR/);
    const type = "https://iana.org/assignments/http-problem-types#ohttp-key";
    const answers = [
      { status: 503, after: 120 },
      { status: 0 },
      { status: 400, type },
      { status: 404 },
      { status: 413 },
      { status: 200 },
    ];
    prepare(url, { outer: (number) => answers[number - 1] });
    const got = await withShelf(
      page,
      "",
      async (t) => {
        await t.click(1);
        await t.shelf.fineTune();
        const [reports, began_ms] = [[], Date.now()];
        for (let n = 0; n < 6; n++) reports.push(await t.shelf.sync());
        return { began_ms, reports, again: await t.shelf.sync() };
      },
      through(),
    );
    const outcomes = got.reports.map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, [...Array(5).fill("waiting"), "sent"]);
    assert.equal(got.again.outcome, "already sent");
    const whys = got.reports.map(({ why }) => why);
    assert.match(whys[0], /the relay answered 503/);
    assert.ok(got.reports[0].send_at_ms >= got.began_ms + 120_000, "when the relay says");
    assert.ok(got.reports[1].send_at_ms < got.began_ms + 60_000);
    assert.equal(whys[2], `the relay answered 400 (${type})`);
    assert.match(whys[3], /the relay answered 404/);
    assert.equal(uploads().length, 1, "the leader heard of it once");
    const inside = puts().map(({ body }) => JSON.parse(atob(body)).content);
    assert.deepEqual(new Set(inside), new Set(uploads()), "the same report every time");
    assert.equal(new Set(puts().map(({ body }) => body)).size, 6, "and never the same bytes");
    assert.ok(!relay.state.direct.some((line) => line.startsWith("PUT")));
  },
);

suite.test("it comes again by itself, too", async ({ page, url }) => {
  page.expectProblem(/status of 502/);
  prepare(url, { outer: (number) => ({ status: number === 1 ? 502 : 200 }) });
  const first = await withShelf(
    page,
    "",
    async (t) => {
      await t.click(1);
      await t.shelf.fineTune();
      const first = await t.shelf.sync();
      await t.until(async () => (await t.shelf.inspect()).sync.last_task.outcome === "sent");
      return first;
    },
    through(),
  );
  assert.equal(first.outcome, "waiting");
  assert.deepEqual([puts().length, round.state.uploads.length], [2, 1]);
});

suite.test(
  "what the leader answers inside counts as if it came directly",
  async ({ page, url }) => {
    const sealed = (changes) => (answer) => ({ ...answer, ...changes });
    const later = [
      [
        "the leader answered 503",
        { status: 503, headers: [["retry-after", "90"]], content: "" },
        90,
      ],
      ["the leader answered 429", { status: 429, headers: [], content: "" }],
      [/redirects are not followed/, { status: 307, headers: [], content: "" }],
      [/fake NETWORK/, { nonce: "of another request" }],
    ];
    for (const [why, changes, seconds = 0] of later) {
      prepare(url, {
        inner: (answer) => (answer.status === 201 ? sealed(changes)(answer) : answer),
      });
      const began_ms = Date.now();
      const { report, sync } = await withShelf(page, "", contribute, through());
      assert.equal(report.outcome, "waiting", JSON.stringify(report));
      if (typeof why === "string") assert.equal(report.why, why);
      else assert.match(report.why, why);
      assert.ok(report.send_at_ms >= began_ms + seconds * 1_000);
      assert.equal(sync.state, "waiting");
      await page.run(() => indexedDB.deleteDatabase("onshelf-sync"));
      await page.open("/blank.html");
    }
    prepare(url, {}, { answer: () => 400 });
    const { report, sync } = await withShelf(page, "", contribute, through());
    assert.equal(report.code, "UPLOAD_REFUSED");
    assert.match(report.message, /the leader answered 400 \(urn:.*invalidMessage\)/);
    assert.equal(sync.last_task.outcome, "refused");
    assert.equal(round.state.uploads.length, 1);
  },
);

suite.test("keys of aggregators are checked inside, too", async ({ page, url }) => {
  prepare(url, {}, { task: at(url, task({}, { helper: "another" })) });
  const { report } = await withShelf(page, "", contribute, through());
  assert.equal(report.code, "HPKE_MISMATCH");
  prepare(url, { inner: (answer) => ({ ...answer, status: 404 }) });
  await page.open("/blank.html");
  const unknown = await withShelf(page, "", contribute, through());
  assert.equal(unknown.report.code, "NETWORK");
  assert.match(unknown.report.message, /does not know the task/);
  assert.deepEqual([puts(), (await record(page)).participations], [[], []]);
});

suite.test("a reload in between; and a page that names no relay", async ({ page, url }) => {
  page.expectProblem(/status of 503/);
  prepare(url, { outer: () => ({ status: 503 }) });
  const first = await withShelf(page, "", contribute, through());
  assert.equal(first.report.outcome, "waiting");
  await page.open("/blank.html");
  const direct = await withShelf(page, "", contribute, joined());
  assert.equal(direct.report.code, "RELAY_MISMATCH");
  assert.equal(direct.sync.reason, "RELAY_MISMATCH");
  assert.equal(direct.sync.last_task.outcome, "waiting");
  assert.equal(round.state.uploads.length, 0, "never directly");
  await page.open("/blank.html");
  relay.change({ outer: () => ({ status: 200 }) });
  const again = await withShelf(
    page,
    "",
    async (t) => {
      // By itself, a few seconds after the page has loaded.
      await t.until(async () => (await t.shelf.inspect()).sync.last_task?.outcome === "sent");
      return t.shelf.sync();
    },
    through(),
  );
  assert.equal(again.outcome, "already sent");
  assert.deepEqual([round.state.uploads.length, (await record(page)).pending], [1, []]);
  assert.ok(!relay.state.direct.some((line) => line.startsWith("PUT")));
});

/** How a shopper's word changes in the page. */
const CHANGES = {
  "to device": () => globalThis.shelf.setConsent("device"),
  altogether: () => globalThis.shelf.setConsent("denied"),
  "by Global Privacy Control": () => {
    Object.defineProperty(navigator, "globalPrivacyControl", { configurable: true, value: true });
    return globalThis.shelf.track({ event: "view_item", item_id: "item-2" });
  },
};

for (const [how, change] of Object.entries(CHANGES)) {
  for (const stage of ["before a relay's keys came", "in an exchange"]) {
    suite.test(`consent withdrawn ${stage}, ${how}`, async ({ page, url }) => {
      page.expectProblem(/net::ERR/);
      const never = new Promise(() => undefined);
      const held = { reached: false };
      const hold = (holds) => (holds ? ((held.reached = true), never) : undefined);
      prepare(
        url,
        stage === "in an exchange"
          ? { outer: () => hold(true) }
          : { before: (number) => hold(number === 3) },
      );
      await begin(page, { relay: RELAY });
      await until(() => held.reached);
      await page.run(change);
      await until(() => relay.state.closed === 1);
      assert.equal(await page.run(() => globalThis.sent), "CONSENT_NEEDED");
      await until(async () => (await record(page)).pending.length === 0);
      const { participations } = await record(page);
      assert.deepEqual(
        participations.map(({ outcome }) => outcome),
        ["withdrawn"],
      );
      assert.deepEqual(round.state.uploads, []);
      await page.run(() => globalThis.shelf.dispose());
    });
  }
}

suite.test("consent withdrawn before anything was sealed", async ({ page, url }) => {
  page.expectProblem(/net::ERR/);
  const held = { reached: false };
  prepare(url, {
    before: () => ((held.reached = true), new Promise(() => undefined)),
  });
  await begin(page, { relay: RELAY });
  await until(() => held.reached);
  await page.run(() => globalThis.shelf.setConsent("device"));
  assert.equal(await page.run(() => globalThis.sent), "CONSENT_NEEDED");
  assert.deepEqual(await record(page), { participations: [], pending: [] });
  assert.deepEqual(relay.state.posts, []);
  await page.run(() => globalThis.shelf.dispose());
});
