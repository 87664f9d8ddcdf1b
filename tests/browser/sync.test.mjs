/**
 * Private rounds around a fake engine and a fake sync module: what is asked of whom and when, what is written
 * down before, and what stops it.
 */

import assert from "node:assert/strict";
import { browserSuite } from "./harness.mjs";
import {
  at,
  begin,
  contribute,
  joined,
  learn,
  load,
  record,
  round,
  task,
  until,
  uploads,
} from "./rounds.mjs";
import { withShelf } from "./with-shelf.mjs";

for (const browser of ["chromium", "firefox"]) {
  const suite = browserSuite(browser, { intercept: round.intercept });

  suite.test("one report a task, as DAP asks for it", async ({ page, url }) => {
    round.reset({ task: at(url, task()) });
    const got = await withShelf(
      page,
      "",
      async (t) => {
        const before = await t.shelf.sync();
        await t.click(1);
        await t.shelf.fineTune({ steps: 3 });
        const first = await t.shelf.sync();
        const again = await t.shelf.sync();
        const { sync } = await t.shelf.inspect();
        const told = JSON.stringify([sync, first]);
        return { before, first, again, sync, told, changes: t.changes };
      },
      joined(),
    );
    assert.equal(got.before.outcome, "nothing learned");
    assert.deepEqual(got.first, { outcome: "sent", task_id: "task-1", send_at_ms: null });
    assert.equal(got.again.outcome, "already sent");
    const [{ path, headers, body }] = round.state.uploads;
    assert.equal(round.state.uploads.length, 1);
    assert.equal(path, "/round/leader/tasks/task-1/reports");
    assert.equal(headers["content-type"], "application/dap-report");
    assert.equal(headers.cookie, undefined);
    assert.equal(headers.referer, undefined);
    assert.deepEqual(JSON.parse(body).delta, Array(8).fill(Math.fround(0.3)));
    const { last_task, ...sync } = got.sync;
    assert.deepEqual(sync, {
      state: "idle",
      reason: "already sent",
      participations: 1,
      budget_left: 11,
      next_attempt_ms: null,
    });
    assert.deepEqual([last_task.task_id, last_task.outcome], ["task-1", "sent"]);
    assert.ok(got.changes.includes("sync"));
    assert.doesNotMatch(got.told, /0\.3/, "what was contributed is shown nowhere");
  });
}

const suite = browserSuite("chromium", { intercept: round.intercept, timeout: 90_000 });

suite.test("the next round is told only of what was learned since", async ({ page, url }) => {
  round.reset({ task: at(url, task()) });
  const learned = (steps) =>
    withShelf(
      page,
      "",
      async (t) => {
        await t.click(1);
        await t.shelf.fineTune({ steps: t.argument });
        return t.shelf.sync();
      },
      { ...joined(), argument: steps },
    );
  await learned(5);
  round.change({ task: at(url, task({ task_id: "task-2" })) });
  await page.open("/blank.html");
  assert.equal((await learned(2)).outcome, "sent");
  const deltas = uploads().map((body) => JSON.parse(body).delta[0]);
  assert.deepEqual(deltas, [Math.fround(0.5), Math.fround(0.2)]);
});

suite.test("written down before it is sent", async ({ page, url }) => {
  let answer;
  round.reset({
    task: at(url, task()),
    answer: () => new Promise((done) => (answer = done)),
  });
  await begin(page);
  await until(() => answer !== undefined);
  const meanwhile = await record(page);
  assert.deepEqual(
    meanwhile.participations.map(({ task_id, outcome }) => [task_id, outcome]),
    [["task-1", "waiting"]],
  );
  assert.deepEqual(meanwhile.pending.map(String), uploads());
  const { sync } = await page.run(() => globalThis.shelf.inspect());
  assert.equal(sync.state, "uploading");
  answer(201);
  assert.equal((await page.run(() => globalThis.sent)).outcome, "sent");
  const after = await record(page);
  assert.deepEqual([after.participations[0].outcome, after.pending], ["sent", []]);
});

suite.test(
  "a task that cannot be trusted, or is not for this model or time",
  async ({ page, url }) => {
    const now_s = Date.now() / 1000;
    const bad = [
      ["SIGNATURE_INVALID", task({}, { error: "SIGNATURE_INVALID" })],
      ["UNTRUSTED_KEY", task({}, { error: "UNTRUSTED_KEY" })],
      ["TASK_MISMATCH", task({}, { error: "TASK_MISMATCH" })],
      ["TASK_INVALID", task({ parameters: 9 })],
      ["TASK_OTHER_MODEL", task({ model: "fake-0, in full" })],
      ["TASK_EXPIRED", task({ expires_s: now_s - 1 })],
      ["TASK_EXPIRED", task({ opens_s: now_s + 60 })],
      ["HPKE_MISMATCH", task({}, { helper: "another" })],
      ["BUDGET_EXHAUSTED", task({ participations: 0 })],
      ["LOG_INVALID", task(), { log: null }],
    ];
    for (const [code, one, more = {}] of bad) {
      round.reset({ task: at(url, one), ...more });
      const { report, sync } = await withShelf(page, "", contribute, joined());
      assert.deepEqual([report.code, report.named], [code, true]);
      assert.deepEqual([sync.state, sync.reason], ["idle", code]);
      assert.deepEqual([sync.participations, sync.last_task], [0, null]);
      assert.equal(round.state.uploads.length, 0, code);
      await page.open("/blank.html");
    }
  },
);

suite.test(
  "without consent, storage or a shopper who wants it nobody is asked",
  async ({ page, url }) => {
    round.reset({ task: at(url, task()) });
    const refusals = {
      device: [{ consent: "device" }, "CONSENT_NEEDED", "no consent"],
      denied: [{ consent: "denied" }, "CONSENT_NEEDED", "no consent"],
      unsaid: [{ consent: undefined }, "CONSENT_NEEDED", "no consent"],
      memory: [{ storage: "none" }, "SYNC_UNAVAILABLE", "no storage"],
    };
    for (const [options, code, reason] of Object.values(refusals)) {
      const { report, sync } = await withShelf(page, "", contribute, joined(options));
      assert.deepEqual([report.code, sync.state, sync.reason], [code, "off", reason]);
    }
    const paused = await withShelf(
      page,
      "",
      async (t) => {
        await t.shelf.pause();
        const failed = await t.attempt(t.shelf.sync());
        await t.shelf.resume();
        return failed.code;
      },
      joined(),
    );
    assert.equal(paused, "CONSENT_NEEDED");
    await page.run(() =>
      Object.defineProperty(navigator, "globalPrivacyControl", { configurable: true, value: true }),
    );
    const gpc = await withShelf(
      page,
      "",
      async (t) => {
        await t.shelf.setConsent("device+sync");
        return (await t.attempt(t.shelf.sync())).code;
      },
      joined(),
    );
    assert.equal(gpc, "CONSENT_NEEDED");
    assert.deepEqual(round.state.requests, []);
    assert.ok(
      !(await page.run(async () => (await indexedDB.databases()).map((d) => d.name))).includes(
        "onshelf-sync",
      ),
    );
  },
);

for (const [how, consent, outcome] of [
  ["to device", "device", "withdrawn"],
  ["altogether", "denied", "withdrawn"],
]) {
  suite.test(`consent withdrawn in an upload, ${how}`, async ({ page, url }) => {
    round.reset({ task: at(url, task()), answer: () => new Promise(() => undefined) });
    page.expectProblem(/net::ERR/);
    await begin(page);
    await until(() => round.state.uploads.length === 1);
    await page.run((consent) => globalThis.shelf.setConsent(consent), consent);
    await until(() => round.state.closed === 1);
    assert.equal(await page.run(() => globalThis.sent), "CONSENT_NEEDED");
    const { participations, pending } = await record(page);
    // It may have arrived, so it counts; but what was sealed is gone.
    assert.deepEqual([participations.map((one) => one.outcome), pending], [[outcome], []]);
    round.change({ answer: () => 201 });
    const again = await page.run(async () => {
      await globalThis.shelf.setConsent("device+sync");
      await globalThis.shelf.track({ event: "view_item", item_id: "item-2" });
      await globalThis.shelf.fineTune();
      return globalThis.shelf.sync();
    });
    assert.equal(again.outcome, "already sent");
    assert.equal(round.state.uploads.length, 1);
  });
}

suite.test("a server that is down, then up: the same report again, once", async ({ page, url }) => {
  page.expectProblem(/503|net::ERR/);
  round.reset({ task: at(url, task()), answer: (number) => [503, 0, 201][number - 1] ?? 500 });
  const got = await withShelf(
    page,
    "",
    async (t) => {
      await t.click(1);
      await t.shelf.fineTune();
      const first = await t.shelf.sync();
      const { sync } = await t.shelf.inspect();
      await t.until(async () => (await t.shelf.inspect()).sync.last_task.outcome === "sent");
      return { first, sync };
    },
    joined(),
  );
  assert.equal(got.first.outcome, "waiting");
  assert.match(got.first.why, /503/);
  assert.deepEqual([got.sync.state, got.sync.participations], ["waiting", 1]);
  const sent = uploads();
  assert.equal(sent.length, 3);
  assert.equal(new Set(sent).size, 1, "byte for byte, so that the leader knows it again");
});

suite.test(
  "a reload in between: the report is sent by the next page, once",
  async ({ page, url }) => {
    page.expectProblem(/503/);
    round.reset({ task: at(url, task()), answer: () => 503 });
    await withShelf(page, "", contribute, joined());
    await page.open("/blank.html");
    round.change({ answer: () => 201 });
    const before = uploads().length;
    const got = await withShelf(
      page,
      "",
      async (t) => {
        // By itself, a few seconds after the page has loaded.
        await t.until(async () => (await t.shelf.inspect()).sync.last_task?.outcome === "sent");
        return { again: await t.shelf.sync(), sync: (await t.shelf.inspect()).sync };
      },
      joined(),
    );
    assert.equal(got.again.outcome, "already sent");
    assert.equal(got.sync.participations, 1);
    const sent = uploads();
    assert.equal(sent.length, before + 1);
    assert.equal(new Set(sent).size, 1);
  },
);

suite.test(
  "a random time passes before a report is sent, over pages if need be",
  async ({ page, url }) => {
    round.reset({ task: at(url, task()) });
    const slow = joined({ sync: { task: "/round/task.json", max_delay_ms: 3_600_000 } });
    const got = await withShelf(
      page,
      "",
      async (t) => {
        await t.click(1);
        await t.shelf.fineTune();
        const now_ms = Date.now();
        const report = await t.shelf.sync();
        return { wait_ms: report.send_at_ms - now_ms, report, again: await t.shelf.sync() };
      },
      slow,
    );
    assert.equal(got.report.outcome, "waiting");
    assert.ok(got.wait_ms > 0 && got.wait_ms < 3_600_000, String(got.wait_ms));
    assert.equal(got.again.send_at_ms, got.report.send_at_ms, "drawn once");
    await page.open("/blank.html");
    const later = await withShelf(page, "", async (t) => t.shelf.sync(), slow);
    assert.equal(later.send_at_ms, got.report.send_at_ms);
    assert.equal(round.state.uploads.length, 0);
  },
);

suite.test(
  "erased while it waits: the report goes, the budget does not come back",
  async ({ page, url }) => {
    round.reset({ task: at(url, task()) });
    await withShelf(
      page,
      "",
      async (t) => {
        await t.click(1);
        await t.shelf.fineTune();
        await t.shelf.sync();
        await t.shelf.erase();
      },
      joined({ sync: { task: "/round/task.json", max_delay_ms: 3_600_000 } }),
    );
    const { participations, pending } = await record(page);
    assert.deepEqual([participations.map((one) => one.outcome), pending], [["withdrawn"], []]);
    assert.equal(round.state.uploads.length, 0);
  },
);

suite.test(
  "twelve rounds a year, then no more; what is older does not count",
  async ({ page, url }) => {
    round.reset({});
    const takePart = (id) => {
      round.change({ task: at(url, task({ task_id: id, participations: 99 })) });
      return page.run(async () => {
        await globalThis.shelf.track({ event: "view_item", item_id: "item-1" });
        await globalThis.shelf.fineTune({ steps: 1 });
        return globalThis.shelf.sync().then(
          ({ outcome }) => outcome,
          ({ code }) => code,
        );
      });
    };
    await load(page);
    for (let n = 0; n < 12; n++) assert.equal(await takePart(`task-${n}`), "sent");
    assert.equal(await takePart("task-12"), "BUDGET_EXHAUSTED");
    assert.equal(round.state.uploads.length, 12);
    const { sync } = await page.run(() => globalThis.shelf.inspect());
    assert.deepEqual([sync.participations, sync.budget_left], [12, 0]);
    // A year later one of them has run out.
    await page.run(
      () =>
        new Promise((done) => {
          const request = indexedDB.open("onshelf-sync", 1);
          request.onsuccess = () => {
            const transaction = request.result.transaction("participations", "readwrite");
            const store = transaction.objectStore("participations");
            const found = store.get(["lineage", "task-0"]);
            found.onsuccess = () => {
              store.put({ ...found.result, at_ms: Date.now() - 366 * 86_400_000 });
            };
            transaction.oncomplete = () => (request.result.close(), done());
          };
        }),
    );
    assert.equal(await takePart("task-12"), "sent");
    assert.equal(await takePart("task-13"), "BUDGET_EXHAUSTED");
    await page.run(() => globalThis.shelf.dispose());
  },
);

suite.test("two tabs at once: one report", async ({ page, url }) => {
  round.reset({
    task: at(url, task()),
    answer: () => new Promise((done) => setTimeout(() => done(201), 300)),
  });
  const other = await page.sibling();
  for (const one of [page, other]) {
    await load(one);
    await learn(one);
  }
  const take = () => globalThis.shelf.sync();
  const both = await Promise.all([page.run(take), other.run(take)]);
  assert.deepEqual(both.map(({ outcome }) => outcome).sort(), ["another tab", "sent"]);
  assert.equal(round.state.uploads.length, 1);
  assert.equal((await other.run(take)).outcome, "already sent");
  await other.close();
});

suite.test(
  "refused for good: told with the leader's problem, and not tried again",
  async ({ page, url }) => {
    page.expectProblem(/400/);
    round.reset({ task: at(url, task()), answer: () => 400 });
    const got = await withShelf(
      page,
      "",
      async (t) => {
        await t.click(1);
        await t.shelf.fineTune();
        const failed = await t.shelf.sync().catch(({ code, message }) => ({ code, message }));
        return { failed, again: await t.shelf.sync(), sync: (await t.shelf.inspect()).sync };
      },
      joined(),
    );
    assert.equal(got.failed.code, "UPLOAD_REFUSED");
    assert.match(got.failed.message, /invalidMessage/);
    assert.equal(got.again.outcome, "already sent");
    assert.equal(got.sync.last_task.outcome, "refused");
    assert.equal(round.state.uploads.length, 1);
  },
);
