/** `<onshelf-shelf>` around a fake engine: what it shows and when, what it tells, and that everybody can use it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { violations } from "./axe.mjs";
import { browserSuite, buildWithFakes } from "./harness.mjs";

const PICTURE = "/picture.svg";
const DRAWING =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path fill="teal" d="M0 0h9v9z"/></svg>';

const options = {
  intercept(request, response) {
    if (request.url !== PICTURE) return false;
    response.writeHead(200, { "Content-Type": "image/svg+xml" }).end(DRAWING);
    return true;
  },
};

const rest = (ms) => new Promise((done) => setTimeout(done, ms));

/**
 * Puts markup into the page and gives what is needed to go on: `globalThis.shelf` (not yet the element's) and
 * `globalThis.element`, with products for every item but those that end in 7.
 */
const show = (page, html, { start = true, switches = "", lang = "en", dir = "ltr" } = {}) =>
  page.run(
    async ({ html, start, switches, lang, dir, PICTURE }) => {
      const { defineShelfElement } = await import("/onshelf/shelf.js");
      defineShelfElement();
      defineShelfElement();
      Object.assign(document.documentElement, { lang, dir });
      document.body.innerHTML = `<main><h1>Shop</h1>${html}</main>`;
      const element = (globalThis.element = document.querySelector("onshelf-shelf"));
      globalThis.told = [];
      for (const name of ["onshelf-ranked", "onshelf-view-item-list", "onshelf-select-item"]) {
        document.addEventListener(name, ({ detail }) => globalThis.told.push([name, detail]));
      }
      // Links are not followed in here.
      document.addEventListener("click", (event) => event.preventDefault());
      element.products = (ids) =>
        ids.map((id) =>
          id.endsWith("7")
            ? null
            : { name: `Thing ${id}`, url: `/p/${id}`, image: PICTURE, price: 9.5 },
        );
      const options = { model: `/fake.json?${switches}`, publicKeys: ["key"], device: "cpu" };
      globalThis.shelf = await globalThis.onshelf.Onshelf.load({ ...options, storage: "none" });
      globalThis.view = (n) => globalThis.shelf.track({ event: "view_item", item_id: `item-${n}` });
      if (start) element.shelf = globalThis.shelf;
    },
    { html, start, switches, lang, dir, PICTURE },
  );

const ranked = (page, first) =>
  page.until((first) => globalThis.element.ranked?.items[0].item_id === first, first);

const cards = (page) =>
  page.run(() =>
    [...globalThis.element.shadowRoot.querySelectorAll("[part=item]")].map((item) => ({
      name: item.querySelector("[part=name]").textContent,
      href: item.querySelector("a").getAttribute("href"),
      price: item.querySelector("[part=price]")?.textContent,
      image: item.querySelector("[part=image]")?.getAttribute("src") ?? null,
    })),
  );

const done = (page) => page.run(() => globalThis.shelf.dispose());

const MARKUP = `<onshelf-shelf slot="home" count="3">
  <ul data-onshelf-items class="grid"><li><a href="/p/a"><b>Server A</b></a></li>
  <li><a href="/p/b"><b>Server B</b></a></li><li><a href="/p/c"><b>Server C</b></a></li></ul>
  <template><li><a data-onshelf-href="url" data-onshelf-title="missing" title="x"><b data-onshelf-text="name"></b>
  </a> <i data-onshelf-text="price"></i></li></template></onshelf-shelf><p id="below">Below</p>`;

for (const browser of ["chromium", "firefox"]) {
  const suite = browserSuite(browser, options);

  suite.test(
    "cards of products, ranked anew after a click; items nobody knows are left out",
    async ({ page }) => {
      await show(
        page,
        `<onshelf-shelf slot="home" count="4" heading="For you" currency="EUR"></onshelf-shelf>`,
      );
      await ranked(page, "item-1");
      assert.deepEqual(
        await cards(page),
        [1, 2, 3, 4].map((n) => ({
          name: `Thing item-${n}`,
          href: `/p/item-${n}`,
          price: "€9.50",
          image: PICTURE,
        })),
      );
      const kept = await page.run(async () => {
        const third = globalThis.element.shadowRoot.querySelectorAll("li")[2];
        await globalThis.view(2);
        globalThis.third = third;
      });
      assert.equal(kept, undefined);
      await ranked(page, "item-3");
      assert.deepEqual(
        (await cards(page)).map(({ name }) => name),
        ["Thing item-3", "Thing item-4", "Thing item-5", "Thing item-6"],
      );
      assert.ok(
        await page.run(
          () => globalThis.element.shadowRoot.querySelector("li") === globalThis.third,
        ),
        "an item that stays is the same element",
      );
      await page.run(() => globalThis.view(4));
      await ranked(page, "item-5");
      assert.deepEqual(
        (await cards(page)).map(({ name }) => name),
        ["Thing item-5", "Thing item-6", "Thing item-8"],
      );
      await page.run(() => globalThis.element.setAttribute("count", "2"));
      await page.until(() => globalThis.element.ranked.items.length === 2);
      await done(page);
    },
  );

  suite.test(
    "what the server rendered stays until there is a ranking, and nothing moves then",
    async ({ page }) => {
      await show(page, MARKUP, { start: false });
      const place = () =>
        page.run(() => [
          document.querySelector(".grid").textContent.replace(/\s+/g, " ").trim(),
          document.querySelector("#below").getBoundingClientRect().top,
        ]);
      const [text, top] = await place();
      assert.equal(text, "Server A Server BServer C");
      await page.run(() => {
        globalThis.shifts = [];
        // Firefox measures no shifts; the place is compared all the same.
        new PerformanceObserver((list) => globalThis.shifts.push(...list.getEntries())).observe({
          type: "layout-shift",
          buffered: false,
        });
        globalThis.element.shelf = globalThis.shelf;
      });
      await ranked(page, "item-1");
      await rest(200);
      assert.deepEqual(await place(), ["Thing item-1 9.5Thing item-2 9.5Thing item-3 9.5", top]);
      const [link, shifts] = await page.run(() => [
        document.querySelector(".grid a").outerHTML,
        globalThis.shifts.reduce((sum, entry) => sum + entry.value, 0),
      ]);
      assert.match(link, /href="\/p\/item-1"/);
      assert.doesNotMatch(link, / title=/);
      assert.equal(shifts, 0, "cumulative layout shift");
      await done(page);
    },
  );

  suite.test(
    "it stays for good where there is no ranking, no product, or no shelf any more",
    async ({ page }) => {
      await show(page, MARKUP, { switches: "panic_on=recommend" });
      page.expectProblem(/WORKER_CRASHED|fake PANIC|the worker stopped/);
      await rest(1_500);
      const text = () => page.run(() => document.querySelector(".grid").textContent.trim());
      assert.match(await text(), /^Server A/);
      await page.run(async () => {
        await globalThis.shelf.dispose();
        globalThis.element.products = {};
        const options = {
          model: "/fake.json",
          publicKeys: ["key"],
          device: "cpu",
          storage: "none",
        };
        globalThis.shelf = await globalThis.onshelf.Onshelf.load(options);
        globalThis.element.shelf = globalThis.shelf;
      });
      await rest(500);
      assert.match(await text(), /^Server A/, "no product is known");
      await page.run(async () => {
        await globalThis.shelf.dispose();
        globalThis.element.products = new Map([["item-1", { name: "One" }]]);
      });
      await rest(500);
      assert.match(await text(), /^Server A/, "disposed");
    },
  );

  suite.test("the page draws items itself, without a place for them", async ({ page }) => {
    await show(page, `<onshelf-shelf id="side" count="2"><p>Server</p></onshelf-shelf>`, {
      start: false,
    });
    const got = await page.run(async () => {
      const { element } = globalThis;
      element.renderItem = ({ item_id, rank }, { name }) => {
        const made = document.createElement("article");
        made.setAttribute("role", "listitem");
        made.textContent = `${rank}. ${name} (${item_id})`;
        return made;
      };
      element.request = { kind: "popular", filter: { in_stock: true } };
      const before = document.querySelector("p").checkVisibility();
      element.shelf = globalThis.shelf;
      await new Promise((ready) =>
        element.addEventListener("onshelf-ranked", ready, { once: true }),
      );
      return {
        before,
        after: document.querySelector("p").checkVisibility(),
        texts: [...document.querySelectorAll("article")].map((one) => one.textContent),
        seen: document.querySelector("article").checkVisibility(),
        slot: element.ranked.slot,
        kind: element.ranked.kind,
      };
    });
    assert.deepEqual(got, {
      before: true,
      after: false,
      texts: ["1. Thing item-1 (item-1)", "2. Thing item-2 (item-2)"],
      seen: true,
      slot: "side",
      kind: "popular",
    });
    await done(page);
  });

  suite.test(
    "it tells GA4's view_item_list once a ranking is in view, and select_item for a choice",
    async ({ page }) => {
      await show(
        page,
        `<div id="far"></div><onshelf-shelf slot="home" count="2" heading="For you"></onshelf-shelf>`,
      );
      await page.run(() => (document.querySelector("#far").style.height = "3000px"));
      await ranked(page, "item-1");
      const names = () => page.run(() => globalThis.told.map(([name]) => name));
      await rest(300);
      assert.ok(!(await names()).includes("onshelf-view-item-list"), "out of sight");
      await page.run(() => globalThis.element.scrollIntoView());
      await page.until(() => globalThis.told.some(([name]) => name === "onshelf-view-item-list"));
      const { shelf_id } = await page.run(() => globalThis.element.ranked);
      const item = { item_id: "item-2", item_name: "Thing item-2", index: 1, price: 9.5 };
      const detail = { shelf_id, item_list_id: "home", item_list_name: "For you" };
      const [, list] = await page.run(() =>
        globalThis.told.find(([n]) => n === "onshelf-view-item-list"),
      );
      assert.deepEqual({ ...list, items: list.items.slice(1) }, { ...detail, items: [item] });

      // By keyboard: the second link.
      await page.raw.keyboard.press("Tab");
      await page.raw.keyboard.press("Tab");
      await page.raw.keyboard.press("Enter");
      await page.until(async () => (await globalThis.shelf.inspect()).session.length === 1);
      assert.deepEqual(await page.run(() => globalThis.told.at(-1)), [
        "onshelf-select-item",
        { ...detail, items: [item] },
      ]);
      // Where the keyboard is nothing moves; afterwards it does.
      await rest(400);
      assert.equal(await page.run(() => globalThis.element.ranked.shelf_id), shelf_id);
      await page.run(() => globalThis.element.shadowRoot.activeElement.blur());
      await ranked(page, "item-3");
      // The page may track the choice itself.
      await page.run(() =>
        globalThis.element.addEventListener("onshelf-select-item", (event) =>
          event.preventDefault(),
        ),
      );
      await page.run(() => globalThis.element.shadowRoot.querySelector("a").click());
      await rest(200);
      assert.equal(
        await page.run(async () => (await globalThis.shelf.inspect()).session.length),
        1,
      );
      await done(page);
    },
  );

  suite.test("nothing moves under a pointer", async ({ page }) => {
    await show(page, `<onshelf-shelf slot="home" count="3"></onshelf-shelf>`);
    await ranked(page, "item-1");
    await page.raw.hover("onshelf-shelf");
    await page.run(() => globalThis.view(40));
    await rest(400);
    assert.equal(await page.run(() => globalThis.element.ranked.items[0].item_id), "item-1");
    await page.raw.mouse.move(0, 0);
    await ranked(page, "item-41");
    await done(page);
  });

  suite.test(
    "data cannot become a script; odd products and requests do no harm",
    async ({ page }) => {
      await show(page, `<onshelf-shelf slot="home" count="4" currency="no"></onshelf-shelf>`, {
        start: false,
      });
      await page.run(() => {
        globalThis.element.products = {
          "item-1": {
            name: "<img src=x onerror=alert(1)>",
            url: "javascript:alert(1)",
            image: "javascript:1",
          },
          "item-2": { name: "Two", url: "https://example.org/2", price: "on request" },
          "item-3": { name: "Three", url: " java\tscript:alert(1)", price: 3 },
          "item-4": { name: "Four", url: "//example.org/4", price: NaN },
        };
        globalThis.element.shelf = globalThis.shelf;
      });
      await ranked(page, "item-1");
      assert.deepEqual(
        (await cards(page)).map(({ href, price = null }) => [href, price]),
        [
          [null, null],
          ["https://example.org/2", "on request"],
          [null, "3"],
          ["//example.org/4", "NaN"],
        ],
      );
      assert.equal(
        await page.run(() => globalThis.element.shadowRoot.querySelectorAll("img").length),
        0,
      );
      page.expectProblem(/count must be/);
      await page.run(() => globalThis.element.setAttribute("count", "many"));
      await rest(300);
      assert.equal((await cards(page)).length, 4);
      await done(page);
    },
  );

  for (const [lang, dir] of [
    ["en", "ltr"],
    ["ar", "rtl"],
  ]) {
    suite.test(`accessibility rules hold, ${dir}, in a grid and in a row`, async ({ page }) => {
      await show(page, `<onshelf-shelf slot="home" count="6" heading="For you"></onshelf-shelf>`, {
        lang,
        dir,
      });
      await ranked(page, "item-1");
      for (const layout of ["", "row"]) {
        // Firefox cannot be told that the shopper prefers the dark.
        for (const scheme of browser === "chromium" ? ["light", "dark"] : ["light"]) {
          if (browser === "chromium") {
            await page.raw.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
          }
          await page.run((layout) => globalThis.element.setAttribute("layout", layout), layout);
          await page.run((s) => (document.documentElement.style.colorScheme = s), scheme);
          const found = await violations(page.raw, { bestPractice: true });
          assert.deepEqual(found, [], `${layout} ${scheme}`);
        }
      }
      await page.until(() =>
        [...globalThis.element.shadowRoot.querySelectorAll("img")].every(
          (image) => image.naturalWidth,
        ),
      );
      const order = await page.run(() =>
        [...globalThis.element.shadowRoot.querySelectorAll("li")].map(
          (li) => li.getBoundingClientRect().left,
        ),
      );
      assert.ok(dir === "rtl" ? order[0] > order[1] : order[0] < order[1], String(order));
      if (process.env.ONSHELF_SHOTS && browser === "chromium") {
        await page.raw.screenshot({ path: join(process.env.ONSHELF_SHOTS, `shelf-${dir}.png`) });
        await page.raw.setViewportSize({ width: 360, height: 640 });
        await page.run(() => globalThis.element.removeAttribute("layout"));
        await page.raw.screenshot({ path: join(process.env.ONSHELF_SHOTS, `phone-${dir}.png`) });
      }
      await done(page);
    });
  }
}

// Only Chromium can be told that motion is to be reduced.
browserSuite("chromium", options).test(
  "an item that comes fades in, unless motion is to be reduced",
  async ({ page }) => {
    const animated = async (reducedMotion) => {
      await page.raw.emulateMedia({ reducedMotion });
      await show(page, `<onshelf-shelf slot="home" count="2"></onshelf-shelf>`);
      await ranked(page, "item-1");
      // At once: it is over soon.
      await page.run(() =>
        document.addEventListener("onshelf-ranked", () => {
          const first = globalThis.element.shadowRoot.querySelector("li");
          globalThis.animations = first.getAnimations().length;
        }),
      );
      await page.run(() => globalThis.view(2));
      await ranked(page, "item-3");
      const count = await page.run(() => globalThis.animations);
      await done(page);
      return count;
    };
    assert.equal(await animated("no-preference"), 1);
    assert.equal(await animated("reduce"), 0);
  },
);

test("the module can be imported on a server", async () => {
  const built = await buildWithFakes();
  try {
    const { OnshelfShelf } = await import(join(built.folder, "shelf.js"));
    assert.ok(OnshelfShelf.observedAttributes.includes("count"));
  } finally {
    await built.remove();
  }
});
