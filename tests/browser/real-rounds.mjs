/** Private rounds with the real modules: what their tests share. */

import assert from "node:assert/strict";
import { KEYS, MANIFEST } from "./real.mjs";
import { KEY } from "./signing.mjs";

/** The length of a vector. */
export const norm = (vector) => Math.hypot(...vector);

/** Loads, unless the page has, learns from clicks and gives those of the session. `more` are options of sync. */
export const learn = (page, items, more = {}) =>
  page.run(
    async ({ model, keys, items, more }) => {
      const { Onshelf } = globalThis.onshelf;
      const options = { model, publicKeys: keys, device: "cpu", consent: "device+sync" };
      const sync = { task: "/round/task.json", max_delay_ms: 0, ...more };
      globalThis.shelf ??= await Onshelf.load({ ...options, sync });
      for (const item_id of items) {
        await globalThis.shelf.track({ event: "view_item", item_id });
        await globalThis.shelf.fineTune({ steps: 4, budget_ms: 10_000 });
      }
      return JSON.parse(await (await globalThis.shelf.exportPersonal()).text()).state.clicks;
    },
    { model: MANIFEST, keys: [...KEYS, KEY], items, more },
  );

/** Takes part by hand; what came of it, or the error's code and message. */
export const sync = (page) =>
  page.run(() => globalThis.shelf.sync().catch(({ code, message }) => ({ code, message })));

/** A report is sent, by this call or, moments ago, by the worker itself; what this call says. */
export async function assertSent(page, message = "") {
  const report = await sync(page);
  assert.ok(
    ["sent", "already sent"].includes(report.outcome),
    `${message} ${JSON.stringify(report)}`,
  );
  const { last_task } = await page.run(async () => (await globalThis.shelf.inspect()).sync);
  assert.equal(last_task.outcome, "sent", message);
  return report;
}
