/** The built packages' types, as a strict TypeScript shop sees them once they are installed. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { ROOT } from "./harness.mjs";

const DIST = join(ROOT, "dist");
if (!existsSync(join(DIST, "testing/index.d.ts"))) {
  throw new Error(`${DIST} holds no packages: run ./build.sh build`);
}

const INSTALLED = {
  onshelf: join(DIST, "onshelf"),
  "@onshelf/testing": join(DIST, "testing"),
  ...Object.fromEntries(
    ["react", "@types/react", "@types/node", "csstype", "undici-types", "playwright-core"].map(
      (name) => [name, join(ROOT, "node_modules", name)],
    ),
  ),
};

const OPTIONS = {
  target: "ES2022",
  module: "ESNext",
  moduleResolution: "bundler",
  lib: ["ES2023", "ESNext.Disposable", "DOM", "DOM.Iterable"],
  types: ["node"],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  // What is installed resolves as if it really lay there.
  preserveSymlinks: true,
  noEmit: true,
};

const SHOP = `
  import { Onshelf, consentMode, type DataLayerCounts, type Shelf } from "onshelf";
  import { definePrivacyElement } from "onshelf/privacy";
  import { OnshelfProvider, useConsent, useOnshelf, useShelf, useTrack } from "onshelf/react";
  import { FILES, keepOnshelf } from "onshelf/service-worker";
  import { defineShelfElement, OnshelfShelf, type ShelfProducts } from "onshelf/shelf";
  import { fakeOnshelf, play, view } from "@onshelf/testing";
  import { serveFake, watchTraffic } from "@onshelf/testing/playwright";
  import type { BrowserContext } from "playwright-core";

  export async function shop(element: OnshelfShelf, products: ShelfProducts): Promise<DataLayerCounts> {
    const consent = consentMode();
    const shelf = await Onshelf.load({ model: "/m.json", publicKeys: ["k"], consent });
    Object.assign(element, { shelf, products });
    element.request = { boosts: [{ brand: ["Oak"], by: 1 }], diversity: 0.5 };
    const { removed }: { removed: number } = await shelf.forget("a");
    return removed > 0 ? shelf.observeDataLayer().counts : shelf.observeDataLayer([]).counts;
  }
  export function Hooks(): Shelf | null {
    const { items, ranked, select } = useShelf({ slot: "home" }, { initial: ["a"] });
    const [consent, setConsent] = useConsent();
    if (consent === "denied") void setConsent("device");
    void select(items[0]?.item_id ?? "");
    void useTrack()({ event: "view_item", item_id: "a" });
    return useOnshelf().shelf === null ? null : ranked;
  }
  const fake: Onshelf = fakeOnshelf({ items: [{ item_id: "a" }] });
  export const props: Parameters<typeof OnshelfProvider>[0] = { shelf: fake };
  export async function tests(context: BrowserContext): Promise<void> {
    await play(fake, [view("a")]);
    await serveFake(context, { items: [] });
    watchTraffic(context).assertNothingUploaded();
  }
  keepOnshelf({ assets: "/onshelf/", files: [...FILES, "index.js"], maxBytes: 1 << 24 });
  export const define = [defineShelfElement, definePrivacyElement];
`;

test("every sub-path has types that a strict project can check", { timeout: 120_000 }, async () => {
  const folder = await mkdtemp(join(tmpdir(), "onshelf-types-"));
  try {
    for (const [name, from] of Object.entries(INSTALLED)) {
      const to = join(folder, "node_modules", name);
      await mkdir(dirname(to), { recursive: true });
      await symlink(from, to);
    }
    const check = async (source) => {
      await writeFile(join(folder, "shop.ts"), source);
      const config = { compilerOptions: OPTIONS, files: ["shop.ts"] };
      await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
      const tsc = join(ROOT, "node_modules/.bin/tsc");
      return spawnSync(tsc, ["-p", folder], { encoding: "utf8" });
    };
    const good = await check(SHOP);
    assert.equal(good.status, 0, good.stdout + good.stderr);
    const bad = await check(SHOP.replace('"denied"', '"dennied"'));
    assert.match(bad.stdout, /shop\.ts.*dennied/s, "types are more than any");
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
