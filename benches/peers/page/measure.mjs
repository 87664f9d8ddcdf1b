/** Measures one peer on one fixture, in a page of its own: `globalThis.measure(task)` gives a row of results. */

import { best } from "./tools.mjs";

const quantile = (list, q) => {
  const sorted = [...list].sort((a, b) => a - b);
  return Number(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))].toFixed(3));
};
const spread = (list) => ({ n: list.length, p50: quantile(list, 0.5), p95: quantile(list, 0.95) });
const json = (url) => fetch(url).then((response) => response.json());

/** Runs `work(n)` until `most` times or the budget is spent, but `least` times; gives each one's milliseconds. */
async function times({ most, least, budget_ms }, work, after = () => {}) {
  const list = [];
  const end = performance.now() + budget_ms;
  for (let n = 0; n < most && (n < least || performance.now() < end); n++) {
    const start = performance.now();
    const result = await work(n);
    list.push(performance.now() - start);
    after(n, result);
  }
  return list;
}

/** Files that the peer made the browser fetch: everything that is not the fixture's or ours. */
const fetched = () =>
  performance
    .getEntriesByType("resource")
    .map((entry) => new URL(entry.name).pathname)
    .filter((path) => /^\/(www|node_modules|onshelf)\//.test(path));

globalThis.measure = async (task) => {
  const base = `/fixture/${task.fixture}/`;
  const [cfg, { sessions }, expected, file] = await Promise.all([
    json(`${base}config.json`),
    json(`${base}sessions.json`),
    json(`${base}expected.json`),
    fetch(`${base}scores.bin`).then((response) => response.arrayBuffer()),
  ]);
  const scores = new Float32Array(file);
  const began = performance.now();
  const { create } = await import(task.module);
  const script = performance.now() - began;
  const peer = await create({ cfg, base, opts: task.opts ?? {} });
  const measured = task.fixture === "sasrec" ? sasrec : student;
  const ids = task.fixture === "student" ? await json(`${base}ids.json`) : [];
  const row = await measured(peer, { cfg, base, sessions, expected, scores, began, ids }, task);
  Object.assign(row.cold, { script, ...peer.marks });
  return { ...row, files: [...new Set(fetched())] };
};

/** Whether a ranking is the expected one; scores that are equal to five digits may stand in any order. */
function sameOrder(columns, wanted, score) {
  return columns.every((column, rank) => {
    const tie =
      Math.abs(score(column) - score(wanted[rank])) <= 1e-5 * Math.max(1, Math.abs(score(column)));
    return column === wanted[rank] || tie;
  });
}

async function sasrec(peer, { cfg, base, sessions, expected, scores, began }, task) {
  const all = sessions.map((session) => Int32Array.from(session));
  const rank = async (n) => {
    const found = await peer.infer(all[n % all.length]);
    return { found, top: best(found, 20, 1).columns };
  };
  await rank(0);
  const cold = { total: performance.now() - began };
  await times({ most: 10, least: 1, budget_ms: task.budget_ms / 3 }, rank);
  const agreement = { off: 0, same: 0, seen: 0 };
  const list = await times(
    { most: 192, least: 16, budget_ms: task.budget_ms },
    rank,
    (n, { found, top }) => {
      if (n >= all.length) return;
      const score = (column) => scores[n * cfg.items + column];
      found.forEach((value, column) => {
        // A score that is no number is as far off as can be.
        const off = Math.abs(value - score(column));
        agreement.off = Number.isNaN(off) ? Infinity : Math.max(agreement.off, off);
      });
      agreement.seen++;
      if (sameOrder([...top], expected.top20[n], score)) agreement.same++;
    },
  );
  const infer = { ...spread(list), ...agreed(agreement) };
  const train =
    peer.step === undefined ? undefined : { head: await training(peer, base, expected, task) };
  return { cold, infer, train };
}

const agreed = ({ off, same, seen }) => ({
  maxAbsDiffVsF64: off,
  top20SameOrder: `${same}/${seen}`,
});

/** Steps with the item table frozen, from the first parameters on. */
async function training(peer, base, expected, task) {
  const { steps } = await json(`${base}train.json`);
  const batches = steps.map(({ ids, targets, negatives }) => ({
    ids: Int32Array.from(ids.flat()),
    targets: Int32Array.from(targets.flat()),
    negatives: Int32Array.from(negatives),
  }));
  await peer.resetTrain("head");
  let off = 0;
  const list = await times(
    { most: 40, least: batches.length, budget_ms: task.budget_ms },
    (n) => peer.step(batches[n % batches.length]),
    (n, loss) => {
      if (n < batches.length) off = Math.max(off, Math.abs(loss - expected.loss_head[n]));
    },
  );
  // The first steps compile and allocate.
  return { ...spread(list.slice(3)), first: list[0], maxLossDiff10StepsVsF64: off };
}

/** Sessions click by click; a time is that of one more click and the shelf after it. */
async function student(peer, { cfg, sessions, expected, scores, began, ids }, task) {
  const columns = new Map(ids.map((id, column) => [id, column]));
  const ranked = (shelf) => [...(shelf.names?.map((name) => columns.get(name)) ?? shelf.columns)];
  peer.begin(sessions[0]);
  await peer.click(0);
  const cold = { total: performance.now() - began };
  const list = [];
  const agreement = { off: 0, same: 0, seen: 0 };
  const end = performance.now() + task.budget_ms * 2;
  for (const [n, session] of sessions.entries()) {
    if (n >= 4 && performance.now() > end) break;
    peer.begin(session);
    let shelf;
    for (let at = 0; at < session.items.length; at++) {
      const start = performance.now();
      shelf = await peer.click(at);
      // The first session warms up.
      if (n > 0) list.push(performance.now() - start);
    }
    const score = (column) => scores[n * cfg.items + column];
    const top = ranked(shelf);
    top.forEach((column, rank) => {
      agreement.off = Math.max(agreement.off, Math.abs(shelf.scores[rank] - score(column)));
    });
    agreement.seen++;
    if (sameOrder(top, expected.top20[n], score)) agreement.same++;
  }
  return { cold, infer: { ...spread(list), ...agreed(agreement) } };
}
