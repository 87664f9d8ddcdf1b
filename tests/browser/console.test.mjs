/** The operator's console against made-up answers of its server, under the strictest policy. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { violations } from "./axe.mjs";
import { browserSuite, ROOT } from "./harness.mjs";
import * as made from "./made-status.mjs";

const TOKEN = "let-me-in";
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:";
/** What the server answers: a maker of a status, or a function of the response. */
const answers = { make: made.EMPTY, behind: 0, status: 200, asked: 0 };

function intercept(request, response) {
  const path = request.url.split("?")[0];
  if (!path.startsWith("/console/")) return false;
  response.setHeader("Content-Security-Policy", POLICY);
  if (path !== "/console/status.json") return false;
  answers.asked++;
  const allowed = request.headers.authorization === `Bearer ${TOKEN}`;
  response.writeHead(allowed ? answers.status : 401, { "Content-Type": "application/json" });
  const now = Math.floor(Date.now() / 1000);
  response.end(allowed ? JSON.stringify(answers.make(now - answers.behind)) : "{}");
  return true;
}

const suite = browserSuite("chromium", {
  dist: "dist/onshelf",
  mounts: { "/console/": join(ROOT, "dist/console") },
  intercept,
});
const id = (name) => `[data-testid="${name}"]`;

async function open(page, make, { hash = `#token=${TOKEN}`, behind = 0, status = 200 } = {}) {
  Object.assign(answers, { make, behind, status, asked: 0 });
  const { raw } = page;
  await raw.goto(`${new URL(raw.url()).origin}/console/index.html${hash}`);
  if (hash !== "") await raw.waitForSelector('html[data-ready="true"]');
  return raw;
}

suite.test("a token is asked for, a wrong one is refused in words", async ({ page }) => {
  page.expectProblem(/401/);
  const raw = await open(page, made.MID_ROUND, { hash: "" });
  await raw.fill(id("token"), "wrong");
  await raw.click(id("open"));
  await raw.waitForFunction((at) => document.querySelector(at)?.textContent, id("token-error"));
  assert.match(await raw.textContent(id("token-error")), /did not take this token/);
  await raw.fill(id("token"), TOKEN);
  await raw.click(id("open"));
  await raw.waitForSelector(id("batch-leader"));
  await raw.reload();
  await raw.waitForSelector(id("batch-leader"));
  await raw.click(id("sign-out"));
  await raw.reload();
  await raw.waitForSelector(id("token"));
});

suite.test("a token in the address is taken once and removed", async ({ page }) => {
  const raw = await open(page, made.EMPTY);
  assert.equal(new URL(raw.url()).hash, "");
  assert.match(await raw.textContent(id("tasks")), /No round is open/);
});

suite.test("a round: sizes against the minimum, differences, ε, versions", async ({ page }) => {
  const raw = await open(page, made.MID_ROUND);
  assert.match(await raw.textContent(id("batch-leader")), /612 of at least 1,000 reports/);
  assert.match(await raw.textContent(id("batch-helper")), /400 reports missing/);
  assert.match(await raw.textContent(id("counts-differ")), /differ by 12 reports/);
  assert.match(
    await raw.textContent(`${id("rejected")} tr.differs >> nth=0`),
    /replayed.*19.*0.*\+19/s,
  );
  assert.match(await raw.textContent(id("budget")), /2\.18 of 4.*1 × 10⁻⁶.*1\.82 left/s);
  assert.match(
    await raw.textContent(`${id("versions")} tr.serving`),
    /rolled back.*\+0\.34 ± 0\.18 points/s,
  );
  await raw.waitForSelector(`${id("versions")} svg circle.serving`);
  assert.equal(await raw.locator(`${id("versions")} svg circle`).count(), 3);
});

suite.test("a refused round says why", async ({ page }) => {
  const raw = await open(page, made.REFUSED);
  await raw.click(`${id("rounds")} summary >> nth=0`);
  assert.match(await raw.textContent(`${id("rounds")} .reasons`), /worse in AfterRareItems/);
  assert.match(await raw.textContent(id("budget")), /used up/);
});

suite.test("what is down, old or not answering is shown openly", async ({ page }) => {
  page.expectProblem(/500|ERR_/);
  let raw = await open(page, made.HELPER_DOWN);
  assert.match(await raw.textContent(id("down-helper")), /connection refused/);
  raw = await open(page, made.EMBEDDED, { behind: 900 });
  await raw.reload();
  await raw.waitForSelector(id("stale"));
  assert.match(await raw.textContent(id("notice")), /no secrecy against that operator/);
  answers.status = 500;
  await raw.waitForSelector(id("offline"), { timeout: 12_000 });
  assert.match(await raw.textContent(id("offline")), /status 500.*old/s);
  assert.ok(await raw.locator(id("batch-leader")).count(), "the last figures stay");
});

for (const scheme of ["light", "dark"]) {
  suite.test(
    `accessibility rules hold and nothing overflows a phone, ${scheme}`,
    async ({ page }) => {
      await page.raw.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
      await page.raw.setViewportSize({ width: 360, height: 740 });
      for (const make of [made.EMPTY, made.REFUSED, made.LONG, made.EMBEDDED]) {
        const raw = await open(page, make);
        await raw.reload();
        await raw.waitForSelector(id("versions"));
        assert.deepEqual(await violations(raw), [], make.name);
        const wide = await raw.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${make.name}: ${wide} px too wide`);
        if (process.env.SHOTS)
          await raw.screenshot({
            path: `${process.env.SHOTS}/${make.name}-${scheme}.png`,
            fullPage: make !== made.LONG,
          });
      }
    },
  );
}
