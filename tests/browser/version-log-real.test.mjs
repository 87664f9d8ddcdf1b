/** The public log of versions with the real modules: signed entries, and what is wrong with some. */

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { browserSuite } from "./harness.mjs";
import { blob, folder, KEY, publish, withTensor } from "./made.mjs";
import { KEYS, REAL } from "./real.mjs";
import { versionLog } from "./tasks.mjs";

const suite = browserSuite("chromium", { ...REAL, mounts: { ...REAL.mounts, "/made/": folder } });

const OTHER = "0".repeat(64);
const home = (name) => join(folder, name, "versions.log");
const logOf = (name) => readFileSync(home(name), "utf8");

/** What loading comes to: the state of the log, or the code and the message it fails with. */
const load = (page, model, publicKeys = [KEY]) =>
  page.run(
    async ({ model, publicKeys }) => {
      const options = { model, publicKeys, device: "cpu", storage: "none", log: "required" };
      try {
        const shelf = await globalThis.onshelf.Onshelf.load(options);
        const { version_log } = await shelf.inspect();
        await shelf.dispose();
        return version_log;
      } catch ({ code, message }) {
        return [code, message];
      }
    },
    { model, publicKeys },
  );

suite.test(
  "only a log that trusted keys signed, whole and in order, names a version",
  async ({ page }) => {
    const model = publish("logged");
    const [line] = logOf("logged").split("\n");
    const { payload, ...rest } = JSON.parse(line);
    const entry = JSON.parse(Buffer.from(payload, "base64").toString("utf8"));
    const named = versionLog([OTHER, entry.model]);
    const [first, second] = named.trimEnd().split("\n");
    const forged = Buffer.from(JSON.stringify({ ...entry, at: 1 })).toString("base64");
    const logs = {
      named,
      "another version": versionLog([OTHER]),
      empty: "",
      "cut off": named.slice(0, -2),
      "without its beginning": `${second}\n`,
      "out of order": `${second}\n${first}\n`,
      "altered after signing": `${JSON.stringify({ ...rest, payload: forged })}\n`,
      "no log": "<!doctype html>\n",
    };
    const got = {};
    for (const [name, text] of Object.entries(logs)) {
      writeFileSync(home("logged"), text);
      const told = await load(page, model);
      got[name] = Array.isArray(told) ? told[0] : told;
    }
    const refused = Object.keys(logs).filter((name) => name !== "named");
    assert.deepEqual(got, {
      named: "named",
      ...Object.fromEntries(refused.map((name) => [name, "LOG_INVALID"])),
    });
    // What `onshelf export` wrote, by its own key.
    assert.equal(await load(page, "/models/latest.json", KEYS), "named");
  },
);

suite.test(
  "a version for this browser alone is found out, and an update to one is not used",
  async ({ page }) => {
    const model = publish("special");
    const good = logOf("special");
    const run = () =>
      page.run(
        async ({ model, key }) => {
          const options = { model, publicKeys: [key], device: "cpu", storage: "none" };
          const shelf = (globalThis.shelf = await globalThis.onshelf.Onshelf.load(options));
          const told = [];
          shelf.onChange((what) => told.push(what));
          const { items } = await shelf.recommend({ slot: "home", count: 5 });
          const state = async () => (await shelf.inspect()).version_log;
          while ((await state()) === "unchecked") await new Promise((done) => setTimeout(done, 50));
          const later = await shelf.recommend({ slot: "home" }).catch(({ code }) => code);
          return {
            shown: items.length,
            state: await state(),
            told,
            later: later.items?.length ?? later,
          };
        },
        { model, key: KEY },
      );
    const before = await run();
    assert.deepEqual(before, { shown: 5, state: "named", told: [], later: 12 });

    // A newer one that only this browser is given: the log stays as it was.
    const weights = withTensor(blob("weights"), "adapter.up", (x) => x + 0.125);
    publish("special", { weights });
    writeFileSync(home("special"), good);
    const update = await page.run(async () => {
      const code = await globalThis.shelf.update().catch((error) => error.code);
      const { items } = await globalThis.shelf.recommend({ slot: "home", count: 5 });
      const { version_log } = await globalThis.shelf.inspect();
      await globalThis.shelf.dispose();
      return { code, shown: items.length, version_log };
    });
    assert.deepEqual(update, { code: "LOG_INVALID", shown: 5, version_log: "named" });

    // Whoever comes now is given it at once, and finds out after the first shelf.
    const after = await run();
    await page.run(() => globalThis.shelf.dispose());
    assert.deepEqual(after, {
      shown: 5,
      state: "refused",
      told: ["refused"],
      later: "LOG_INVALID",
    });
  },
);
