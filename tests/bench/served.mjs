/** What benches serve and look at: a published model version, and the demo shop in a browser. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { browserPath, ROOT } from "../browser/harness.mjs";
import { startServer } from "../../www/serve.mjs";

/** Keys, manifest and trained items of the model version that is published in a folder. */
export function readVersion(folder) {
  const read = (name) => JSON.parse(readFileSync(join(folder, name), "utf8"));
  const manifest = JSON.parse(Buffer.from(read("latest.json").payload, "base64").toString("utf8"));
  const file = (role) => manifest.files.find((entry) => entry.role === role);
  const { ids, untrained } = read(file("catalogue").path);
  const unseen = new Set(untrained);
  const trained = ids.filter((_, at) => !unseen.has(at + 1));
  return { keys: read("public-keys.json"), manifest, file, ids, trained };
}

/** Serves the shop that `./build.sh demo` filled a folder with, and starts a browser. */
export async function openDemo(demo) {
  const server = await startServer({
    log: true,
    mounts: {
      "/": join(demo, "site"),
      "/onshelf/": join(ROOT, "dist/onshelf"),
      "/models/": join(demo, "models"),
    },
  });
  const browser = await chromium.launch({
    executablePath: browserPath("chromium"),
    args: ["--no-sandbox", "--disable-gpu"],
  });
  const close = async () => {
    await browser.close();
    await server.close();
  };
  return { server, browser, close };
}
