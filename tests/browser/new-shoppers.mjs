/** Repeats in a browser what `onshelf benchmark new-shoppers` did natively. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { assertSameRanking, engineWorker } from "./real.mjs";

/** HR@10 and NDCG@10 of shelves of ten, where `clicks[first + n]` was clicked after shelf `n`. */
function marks(all) {
  let [hr, ndcg, tests] = [0, 0, 0];
  for (const { clicks, shelves } of all) {
    const first = clicks.length - shelves.length;
    for (const [at, shelf] of shelves.entries()) {
      const rank = shelf.findIndex(([id]) => id === clicks[first + at]) + 1;
      hr += rank > 0 ? 1 : 0;
      ndcg += rank > 0 ? 1 / Math.log2(1 + rank) : 0;
      tests++;
    }
  }
  return { hr: hr / tests, ndcg: ndcg / tests };
}

/**
 * Runs all shoppers of `folder/replay.json` on the model version in `folder/models`, served at
 * `/new/`, and fails where a shelf or who ranked it differs.
 */
export async function repeatNewShoppers(page, folder, most = Number.POSITIVE_INFINITY) {
  const replay = JSON.parse(readFileSync(join(folder, "replay.json"), "utf8"));
  const keys = JSON.parse(readFileSync(join(folder, "models/public-keys.json"), "utf8"));
  const call = await engineWorker(page);
  const loaded = await call("load", { kind: "cpu", manifest: "/new/latest.json", keys });
  assert.equal(loaded.code, undefined, loaded.message);
  const shoppers = replay.shoppers.slice(0, most);
  const found = [];
  let [shelves, personal] = [0, 0];
  for (const [at, shopper] of shoppers.entries()) {
    const { steps, state, pace_ms } = replay;
    const told = await call("newShopper", { ...shopper, steps, state, pace_ms });
    assert.ok(Array.isArray(told.shelves), JSON.stringify(told));
    assert.deepEqual(told.personal, shopper.personal, `who ranked for shopper ${at}`);
    for (const [n, shelf] of told.shelves.entries()) {
      assert.equal(shelf.length, shopper.shelves[n].length);
      assertSameRanking(shelf, shopper.shelves[n], `shopper ${at}, shelf ${n}`);
      shelves++;
      personal += told.personal[n] ? 1 : 0;
    }
    found.push({ clicks: shopper.clicks, shelves: told.shelves });
  }
  return {
    shoppers: shoppers.length,
    shelves,
    personal,
    native: marks(shoppers),
    inBrowser: marks(found),
  };
}
