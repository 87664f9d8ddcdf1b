/** Rounds around a fake engine and a fake sync module: what their tests share. */

import { aggregators } from "./aggregators.mjs";

/** The aggregators that the tests of a file share; see {@link aggregators}. */
export const round = aggregators();

/** A task for the fake model, open for an hour. */
export function task(changes = {}, more = {}) {
  const now_s = Math.floor(Date.now() / 1000);
  const facts = {
    task_id: "task-1",
    lineage: "lineage",
    round: 1,
    model: "fake-1, in full",
    parameters: 8,
    participations: 12,
    epsilon: 4,
    min_batch: 1000,
    opens_s: now_s - 10,
    expires_s: now_s + 3600,
    leader: "/round/leader/",
    helper: "/round/helper/",
    ...changes,
  };
  return { facts, leader: "leader", helper: "helper", ...more };
}

/** The addresses of a task are absolute, and a test's server is only known when it runs. */
export const at = (url, one) => {
  const { leader, helper } = one.facts;
  return JSON.stringify({
    ...one,
    facts: { ...one.facts, leader: url + leader, helper: url + helper },
  });
};

/** Options of `withShelf` for a shopper who agreed to sync. */
export const joined = (more = {}) => ({
  options: {
    storage: "indexeddb",
    consent: "device+sync",
    sync: { task: "/round/task.json", max_delay_ms: 0 },
    ...more,
  },
});

/** For `withShelf`: clicks, learns and contributes. Gives the report, or what `attempt` tells of the error, and `inspect().sync`. */
export const contribute = async (t) => {
  await t.click(1);
  await t.shelf.fineTune({ steps: 1 });
  const { value, ...failed } = await t.attempt(t.shelf.sync());
  return { report: value ?? failed, sync: (await t.shelf.inspect()).sync };
};

/** Loads in a page that goes on, for a shopper who agreed to sync: `globalThis.shelf`. `more` are options of sync. */
export const load = (page, more = {}) =>
  page.run(async (more) => {
    const { Onshelf } = globalThis.onshelf;
    const sync = { task: "/round/task.json", max_delay_ms: 0, ...more };
    const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu", sync };
    globalThis.shelf = await Onshelf.load({ ...options, consent: "device+sync" });
  }, more);

/** Clicks and learns in such a page. */
export const learn = (page) =>
  page.run(async () => {
    await globalThis.shelf.track({ event: "view_item", item_id: "item-1" });
    await globalThis.shelf.fineTune();
  });

/** Loads, learns and begins to contribute: `globalThis.sent` will be the report, or the code of the error. */
export async function begin(page, more) {
  await load(page, more);
  await learn(page);
  await page.run(() => {
    globalThis.sent = globalThis.shelf.sync().catch(({ code }) => code);
  });
}

/** Reads the record of participations and the sealed reports that wait, in the page. */
export async function record(page) {
  const { participations, pending } = await page.run(async () => {
    const database = await new Promise((done, failed) => {
      const request = indexedDB.open("onshelf-sync", 1);
      request.onsuccess = () => done(request.result);
      request.onerror = () => failed(request.error);
    });
    const all = (name) =>
      new Promise((done) => {
        const request = database.transaction(name).objectStore(name).getAll();
        request.onsuccess = () => done(request.result);
      });
    const participations = await all("participations");
    const pending = (await all("pending")).map(({ report }) => Array.from(report).join());
    database.close();
    return { participations, pending };
  });
  return { participations, pending: pending.map((one) => Buffer.from(one.split(",").map(Number))) };
}

/** The uploads so far, as text. */
export const uploads = () => round.state.uploads.map(({ body }) => body.toString());

/** Waits for a condition of the test. */
export async function until(condition, ms = 20_000) {
  for (const end = Date.now() + ms; Date.now() < end;) {
    if (await condition()) return;
    await new Promise((done) => setTimeout(done, 25));
  }
  throw new Error(`waited in vain: ${condition}`);
}
