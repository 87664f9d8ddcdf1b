/**
 * A whole round as `./build.sh demo --sync` runs it, on the tests' small shop: two aggregators with databases of their
 * own, reports from Chromium and from the same code outside it, collector, canary, publication, console.
 */

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, test } from "node:test";
import { chromium } from "playwright-core";
import { syncRound } from "../demo/sync.mjs";
import { browserPath } from "./harness.mjs";
import { MODEL } from "./real.mjs";

const SERVER = process.env.ONSHELF_SERVER;
const missing = SERVER === undefined || !existsSync(join(dirname(SERVER), "onshelf"));
const skip = missing && "ONSHELF_SERVER names no programs; ./build.sh test builds them";
const work = mkdtempSync(join(tmpdir(), "onshelf-round-"));
after(() => rmSync(work, { recursive: true, force: true }));

const [REPORTS, BROWSERS] = [1_010, 2];

test("a round from clicks in browsers to the version that a shopper gets", { skip }, async () => {
  const round = await syncRound({
    programs: dirname(SERVER),
    demo: MODEL,
    work,
    reports: REPORTS,
    browsers: BROWSERS,
    deciding: 3,
    period: 2,
  });
  try {
    const { finished, spent, before, after, status } = round;
    const outcome = finished.stage.published ?? finished.stage.refused;
    assert.ok(outcome.verdict.differences.length > 0, JSON.stringify(finished));
    assert.deepEqual(
      spent.map(({ lineage, releases }) => [lineage, releases]),
      [["shop", 1]],
    );
    assert.ok(Math.abs(spent[0].epsilon - 8) < 0.01, `${spent[0].epsilon}`);
    // Every report, once, at both; nothing refused.
    for (const { error, tasks } of status.aggregators) {
      assert.equal(error, null);
      assert.deepEqual([tasks.length, tasks[0].collected, tasks[0].rejected], [1, REPORTS, {}]);
    }
    const [lineage] = status.lineages;
    assert.deepEqual([lineage.rounds.length, lineage.rounds[0].reports], [1, REPORTS]);
    // The small shop's canary may refuse; whatever it says, shoppers get what is served.
    const serving = status.versions.filter(({ serving }) => serving).map(({ version }) => version);
    const expected = finished.stage.published?.version ?? before.version;
    assert.deepEqual([serving, after.version], [[expected], expected]);
    assert.deepEqual(
      [after.clicks, after.problems],
      [5, []],
      "the session goes on over the change",
    );
    assert.equal(after.shelf.length, 8);
    await consoleShows(round, finished.stage.published ? "Published" : "Refused");
  } finally {
    await round.close();
  }
});

/** The console's page, with what really happened. */
async function consoleShows({ consoleUrl, console_token }, outcome) {
  const browser = await chromium.launch({
    executablePath: browserPath("chromium"),
    args: ["--no-sandbox", "--disable-gpu"],
  });
  try {
    const page = await browser.newPage({
      viewport: { width: 1280, height: 900 },
      colorScheme: "light",
    });
    const problems = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (line) => line.type() === "error" && problems.push(line.text()));
    await page.goto(`${consoleUrl}#token=${console_token}`);
    await page.locator("main, body").getByText(outcome).filter({ visible: true }).first().waitFor();
    const text = await page.locator("body").innerText();
    assert.ok(text.includes(REPORTS.toLocaleString("en")), "the size of the batch");
    if (process.env.ONSHELF_SCREENSHOT)
      await page.screenshot({ path: process.env.ONSHELF_SCREENSHOT, fullPage: true });
    assert.deepEqual(problems, []);
  } finally {
    await browser.close();
  }
}
