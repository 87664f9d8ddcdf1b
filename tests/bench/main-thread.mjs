/**
 * The page's main thread while a shopper clicks a hundred times in twenty seconds and the worker learns: tasks
 * of more than 50 ms, as the browser reports them (Long Tasks API, W3C).
 *
 *     node tests/bench/main-thread.mjs [FOLDER]
 *
 * FOLDER is a published model version (default: the small one of the tests). Fails where there is one.
 */

import { join, resolve } from "node:path";
import { openBrowser, ROOT, startSite } from "../browser/harness.mjs";
import { readVersion } from "./served.mjs";

const models = resolve(process.argv[2] ?? join(ROOT, "build/test/models"));
const { keys, ids } = readVersion(models);
const items = ids.filter((_, at) => at % Math.ceil(ids.length / 100) === 0).slice(0, 100);

const site = await startSite({ dist: "dist/onshelf", mounts: { "/models/": models } });
const browser = await openBrowser("chromium");
try {
  const page = await browser.newPage(site.url);
  const told = await page.run(work, { items, keys });
  await page.close();
  const longest = Math.max(0, ...told.tasks);
  console.log(
    `${told.clicks} clicks in ${told.seconds.toFixed(1)} s on ${ids.length} items, ${told.steps} steps learned: ` +
      `${told.tasks.length} tasks over 50 ms on the main thread` +
      (longest > 0 ? `, the longest ${longest.toFixed(0)} ms` : "") +
      ` (a task of 80 ms on purpose was${told.control ? "" : " not"} seen)`,
  );
  if (!told.control || told.steps === 0 || told.tasks.length > 0) process.exitCode = 1;
} finally {
  await browser.close();
  await site.close();
}

/** Runs in the page. */
async function work({ items, keys }) {
  const tasks = [];
  const watch = new PerformanceObserver((list) => {
    tasks.push(...list.getEntries().map((entry) => entry.duration));
  });
  watch.observe({ type: "longtask" });
  const wait = (ms) => new Promise((done) => setTimeout(done, ms));
  // What cannot see a long task would report none.
  setTimeout(() => {
    const until = performance.now() + 80;
    while (performance.now() < until);
  }, 0);
  await wait(500);
  const control = tasks.length > 0;
  tasks.length = 0;
  const shelf = await onshelf.Onshelf.load({
    model: "/models/latest.json",
    publicKeys: keys,
    device: "cpu",
    storage: "none",
    learning: "idle",
  });
  const begin = performance.now();
  for (const [at, item_id] of items.entries()) {
    await wait(Math.max(0, begin + at * 200 - performance.now()));
    await shelf.track({ event: "view_item", item_id });
    await shelf.recommend({ slot: "bench", count: 12 });
  }
  await wait(500);
  const seconds = (performance.now() - begin) / 1000;
  const { steps } = await shelf.inspect();
  await shelf.dispose();
  watch.disconnect();
  return { tasks, control, seconds, steps, clicks: items.length };
}
