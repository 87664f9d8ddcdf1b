/**
 * Private rounds with the real modules: what a browser learned from clicks arrives, sealed, and says what it
 * should once both aggregators open it; tasks that may not be trusted get nothing.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { aggregators } from "./aggregators.mjs";
import { browserSuite } from "./harness.mjs";
import { DIGEST, engineWorker, ITEMS, loadReal, REAL } from "./real.mjs";
import { assertSent, learn, norm, sync } from "./real-rounds.mjs";
import {
  aggregatorKey,
  KEYS,
  openReport,
  signedTask,
  skipOpening,
  task,
  versionLog,
} from "./tasks.mjs";

const round = aggregators();
const suite = browserSuite("chromium", { ...REAL, intercept: round.intercept });

const log = versionLog(["cd".repeat(32), DIGEST]);
const lists = { leader: KEYS.leader.list, helper: KEYS.helper.list, log };

/** What the engine itself would contribute of these clicks, in a tab of its own. */
async function expected(newPage, clicks, round) {
  const call = await engineWorker(await newPage());
  await loadReal(call, "cpu");
  return call("contribution", { clicks, round });
}

suite.test("what was learned is what the aggregators add up", async ({ page, url, newPage }) => {
  page.expectProblem(/503/);
  round.reset({ ...lists, answer: () => 503 });
  const wanted = await expected(newPage, await learn(page, ITEMS.slice(0, 4)), 1);
  assert.ok(norm(wanted) > 0, "there is something to learn from");
  const about = { url, model: DIGEST, dimension: wanted.length, clip: norm(wanted) * 1.01 };
  const signed = signedTask(task(about));
  round.change({ task: signed });
  assert.equal((await sync(page)).outcome, "waiting", "the leader is down");
  await page.run(() => globalThis.shelf.dispose());
  await page.open("/blank.html");
  round.change({ answer: () => 201 });
  await learn(page, []);
  const report = await assertSent(page);
  assert.equal((await sync(page)).outcome, "already sent");
  const bodies = round.state.uploads.map(({ body }) => body);
  assert.ok(bodies.length >= 2);
  assert.ok(
    bodies.every((body) => body.equals(bodies[0])),
    "the same report over pages",
  );
  assert.ok(bodies[0].length <= 300_000, `${bodies[0].length} bytes`);
  assert.ok(round.state.uploads[0].path.endsWith(`/round/leader/tasks/${report.task_id}/reports`));
  if (skipOpening !== false) return;
  const opened = openReport(signed, bodies[0]);
  assert.equal(opened.task, report.task_id);
  assert.equal(opened.time % 3_600, 0, "its time is as coarse as the task says");
  assert.equal(opened.delta.length, wanted.length);
  const error = norm(opened.delta.map((x, at) => x - wanted[at]));
  // Rounding moves each rotated value by half a step in the mean square at most.
  const bound = (opened.step / 2) * Math.sqrt(2 ** Math.ceil(Math.log2(wanted.length))) * 1.2;
  assert.ok(error < bound && error < norm(wanted), `${error}, at most ${bound}`);
});

test("reports are opened natively", { skip: skipOpening }, () => undefined);

suite.test("the next round takes its own part, of what is new", async ({ page, url, newPage }) => {
  round.reset(lists);
  const first = await expected(newPage, await learn(page, ITEMS.slice(0, 3)), 1);
  const about = { url, model: DIGEST, dimension: first.length, clip: norm(first) * 8, bits: 12 };
  round.change({ task: signedTask(task(about)) });
  await assertSent(page);
  // The parts of a model may differ in length, so the task is about as many as the engine says.
  const dimension = (await expected(newPage, await learn(page, []), 2)).length;
  const next = signedTask(task({ ...about, dimension }, { round: 2 }));
  round.change({ task: next });
  assert.equal((await sync(page)).outcome, "nothing learned", "nobody clicked since");
  const wanted = await expected(newPage, await learn(page, ITEMS.slice(3, 6)), 2);
  await assertSent(page);
  assert.equal(round.state.uploads.length, 2);
  assert.equal((await sync(page)).outcome, "already sent");
  round.change({ task: signedTask(task(about, { round: 3 })) });
  assert.equal((await sync(page)).code, "BUDGET_EXHAUSTED", "the task's epsilon covers two");
  if (skipOpening !== false) return;
  const opened = openReport(next, round.state.uploads[1].body);
  const error = norm(opened.delta.map((x, at) => x - wanted[at]));
  assert.ok(error < norm(wanted) / 4, `${error} of ${norm(wanted)}`);
});

suite.test("a task that may not be trusted gets nothing", async ({ page, url, newPage }) => {
  round.reset(lists);
  const { length } = await expected(newPage, await learn(page, ITEMS.slice(0, 2)), 1);
  const about = { url, model: DIGEST, dimension: length };
  const good = task(about);
  const changed = JSON.parse(signedTask(good));
  changed.payload = Buffer.from(JSON.stringify({ ...good, round: 9 })).toString("base64");
  const stranger = JSON.parse(signedTask(good));
  stranger.signatures[0].keyid = "0".repeat(64);
  const year = 366 * 86_400;
  const bad = [
    ["SIGNATURE_INVALID", JSON.stringify(changed)],
    ["UNTRUSTED_KEY", JSON.stringify(stranger)],
    ["TASK_INVALID", "not an envelope"],
    ["TASK_INVALID", signedTask({ ...good, min_batch: 10 })],
    ["TASK_INVALID", signedTask({ ...good, policy: { ...good.policy, noise_multiplier: 0.5 } })],
    ["TASK_INVALID", signedTask(task({ ...about, dimension: length - 1 }))],
    ["FORMAT_TOO_NEW", signedTask({ ...good, format: 2 })],
    ["TASK_OTHER_MODEL", signedTask(task({ ...about, model: "ab".repeat(32) }))],
    ["TASK_EXPIRED", signedTask({ ...good, start: good.start - year, expires: good.start })],
    ["LOG_INVALID", signedTask(good), { log: null }],
    ["LOG_INVALID", signedTask(good), { log: log.slice(0, -5) }],
    ["LOG_INVALID", signedTask(good), { log: log.split("\n")[1] + "\n" }],
    ["LOG_INVALID", signedTask(good), { log: versionLog(["cd".repeat(32)]) }],
    ["HPKE_MISMATCH", signedTask(good), { helper: aggregatorKey(2).list }],
    ["HPKE_MISMATCH", signedTask(good), { leader: Buffer.from("no list") }],
  ];
  for (const [code, one, more = {}] of bad) {
    round.change({ ...lists, task: one, ...more });
    const got = await sync(page);
    assert.equal(got.code, code, JSON.stringify(got));
  }
  assert.equal(round.state.uploads.length, 0);
  const { sync: left } = await page.run(() => globalThis.shelf.inspect());
  assert.deepEqual([left.participations, left.last_task], [0, null]);
  // And the good one is taken, by the same browser.
  round.change({ ...lists, task: signedTask(good) });
  await assertSent(page);
});

suite.test(
  "a log that does not go on from the one seen before is refused",
  async ({ page, url, newPage }) => {
    round.reset(lists);
    const { length } = await expected(newPage, await learn(page, ITEMS.slice(0, 2)), 1);
    const about = { url, model: DIGEST, dimension: length };
    round.change({ task: signedTask(task(about)) });
    await assertSent(page);
    // A log that names the model as well, properly signed, but written for somebody else.
    await learn(page, ITEMS.slice(2, 4));
    round.change({
      task: signedTask(task(about, { round: 1, lineage: "next" })),
      log: versionLog([DIGEST]),
    });
    assert.equal((await sync(page)).code, "LOG_INVALID");
    round.change({ log: versionLog(["cd".repeat(32), DIGEST, "ef".repeat(32)]) });
    await assertSent(page, "one that grew is fine");
  },
);

suite.test("a task under another task's name is refused", async ({ page, url, newPage }) => {
  round.reset(lists);
  const clicks = await learn(page, ITEMS.slice(0, 2), {
    task: `/round/tasks/${"A".repeat(43)}.json`,
  });
  const { length } = await expected(newPage, clicks, 1);
  round.change({ task: signedTask(task({ url, model: DIGEST, dimension: length })) });
  const got = await sync(page);
  assert.equal(got.code, "TASK_MISMATCH", JSON.stringify(got));
  const id = /is ([\w-]{43})$/.exec(got.message)[1];
  await page.run(() => globalThis.shelf.dispose());
  await page.open("/blank.html");
  await learn(page, [], { task: `/round/tasks/${id}.json` });
  assert.equal((await assertSent(page)).task_id, id);
  assert.equal(round.state.uploads.length, 1);
});
