/**
 * The real modules on a small model version that `build.sh` trained: what their tests share.
 */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./harness.mjs";

/** Folder of the test's model version, its key and its replay. */
export const MODEL = process.env.ONSHELF_TEST_MODEL ?? join(ROOT, "build/test");

/** Where the site serves it. */
export const MANIFEST = "/models/latest.json";

/** Options for `browserSuite`. */
export const REAL = {
  dist: "dist/onshelf",
  mounts: {
    "/models/": join(MODEL, "models"),
    "/new/": join(MODEL, "new-shoppers/models"),
    "/pages/": join(ROOT, "tests/browser/pages"),
  },
  timeout: 240_000,
};

if (!existsSync(join(MODEL, "models/latest.json"))) {
  throw new Error(`${MODEL} holds no model version: run ./build.sh test`);
}

const json = (name) => JSON.parse(readFileSync(join(MODEL, name), "utf8"));

const manifest = Buffer.from(json("models/latest.json").payload, "base64");

/** SHA-256 (hex) of the version's manifest, by which tasks and the log of versions name it. */
export const DIGEST = createHash("sha256").update(manifest).digest("hex");

/** Values of a report to a round: as many as its part of the trend has; see crates/core/src/part.rs. */
export function dimensionOf(round) {
  const { dim, subspaces } = JSON.parse(manifest.toString("utf8")).student;
  const book = 256 * (dim / subspaces);
  const most = Math.floor(4_096 / book);
  const first = (round % (Math.ceil(subspaces / most) + 1)) * most;
  // The centroids, then the levels of the bias.
  return first < subspaces ? Math.min(most, subspaces - first) * book : 256;
}

/** Keys that the test pages trust. */
export const KEYS = json("models/public-keys.json");

/** Real sessions with the native rankings. */
export const REPLAY = json("replay.json");

/** The distinct items of the replay, most clicked first. */
export const ITEMS = (() => {
  const counts = new Map();
  for (const { clicks } of REPLAY)
    for (const id of clicks) counts.set(id, (counts.get(id) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([id]) => id);
})();

/**
 * Starts the engine's worker in a page: the result runs a script of `pages/engine-worker.js` and
 * gives its result, or `{ code, message }` where it failed.
 *
 * @param {import("./harness.mjs").TestPage} page
 */
export async function engineWorker(page) {
  await page.run(() => {
    const worker = new Worker("/pages/engine-worker.js", { type: "module" });
    const waiting = new Map();
    let next = 0;
    worker.onmessage = ({ data }) => {
      waiting.get(data.id)(data);
      waiting.delete(data.id);
    };
    globalThis.engineWorker = worker;
    globalThis.engineCall = (script, argument) =>
      new Promise((done) => {
        waiting.set(++next, done);
        worker.postMessage({ id: next, script, argument });
      });
  });
  return async (script, argument = null) => {
    const call = ([name, value]) => globalThis.engineCall(name, value);
    const { result, error } = await page.run(call, [script, argument]);
    return error ?? result;
  };
}

/** Loads the test's model version on a device. */
export const loadReal = (call, kind, more = {}) =>
  call("load", { kind, manifest: MANIFEST, keys: KEYS, ...more });

/**
 * Fails unless two rankings are the same but for ties: where the ids differ at a rank, the native
 * scores of both must be within 1e-4.
 */
export function assertSameRanking(browser, native, where) {
  const scores = new Map(native);
  for (const [rank, [id, score]] of browser.entries()) {
    const [wanted, wantedScore] = native[rank];
    const close = Math.abs(score - wantedScore) <= 1e-3;
    assert.ok(close, `${where}, rank ${rank + 1}: score ${score}, natively ${wantedScore}`);
    if (id === wanted) continue;
    const tie = scores.has(id) && Math.abs(scores.get(id) - wantedScore) <= 1e-4;
    assert.ok(tie, `${where}, rank ${rank + 1}: ${id}, natively ${wanted}`);
  }
}

/** Replays sessions on a loaded engine and compares every shelf; gives the number of shelves. */
export async function assertReplay(call, sessions) {
  let shelves = 0;
  for (const [at, session] of sessions.entries()) {
    const result = await call("replay", [session]);
    assert.ok(Array.isArray(result), JSON.stringify(result));
    assert.equal(result[0].length, session.rankings.length);
    for (const [click, shelf] of result[0].entries()) {
      assert.equal(shelf.length, 20);
      assertSameRanking(shelf, session.rankings[click], `session ${at}, click ${click}`);
      shelves++;
    }
  }
  return shelves;
}
