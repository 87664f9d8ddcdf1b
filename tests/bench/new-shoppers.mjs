/**
 * New shoppers in Chromium: repeats click by click what `onshelf benchmark new-shoppers` did natively,
 * learning after each click, and compares every shelf.
 *
 *     node tests/bench/new-shoppers.mjs FOLDER
 *
 * FOLDER is the benchmark's output. Fails where a shelf differs by more than ties.
 */

import { repeatNewShoppers } from "../browser/new-shoppers.mjs";
import { openBrowser, ROOT, startSite } from "../browser/harness.mjs";
import { join, resolve } from "node:path";

const folder = resolve(process.argv[2] ?? "");
const site = await startSite({
  dist: "dist/onshelf",
  mounts: { "/new/": join(folder, "models"), "/pages/": join(ROOT, "tests/browser/pages") },
});
const browser = await openBrowser("chromium");
try {
  const page = await browser.newPage(site.url);
  const { shoppers, shelves, personal, native, inBrowser } = await repeatNewShoppers(page, folder);
  const percent = (x) => (100 * x).toFixed(2);
  console.log(
    `${shoppers} new shoppers, ${shelves} shelves (${personal} of them personal) are the native ones; ` +
      `HR@10 ${percent(inBrowser.hr)} (natively ${percent(native.hr)}), ` +
      `NDCG@10 ${percent(inBrowser.ndcg)} (natively ${percent(native.ndcg)})`,
  );
} finally {
  await browser.close();
  await site.close();
}
