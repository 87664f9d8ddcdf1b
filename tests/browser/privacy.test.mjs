/** `<onshelf-privacy>` around a fake engine: what it says, that it can be used by keyboard, and by everybody. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { violations } from "./axe.mjs";
import { browserSuite, buildWithFakes } from "./harness.mjs";

const suite = browserSuite("chromium");

/** Puts the element into the page, around a shelf that learned. */
const show = (page, { lang = "en", consent = "device", clicks = 2 } = {}) =>
  page.run(
    async ({ lang, consent, clicks }) => {
      const { definePrivacyElement } = await import("/onshelf/privacy.js");
      definePrivacyElement();
      definePrivacyElement();
      document.documentElement.lang = lang;
      const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu", consent };
      const shelf = (globalThis.shelf = await globalThis.onshelf.Onshelf.load(options));
      for (let n = 1; n <= clicks; n++) {
        await shelf.track({ event: "view_item", item_id: `item-${n}` });
      }
      if (clicks > 0) await shelf.fineTune();
      const element = document.createElement("onshelf-privacy");
      globalThis.chosen = [];
      document.addEventListener("onshelf-consent", ({ detail }) => globalThis.chosen.push(detail));
      const main = document.createElement("main");
      const heading = document.createElement("h1");
      heading.textContent = "Shop";
      main.append(heading, element);
      document.body.replaceChildren(main);
      element.shelf = shelf;
    },
    { lang, consent, clicks },
  );

const text = (page) =>
  page.raw.evaluate(() => {
    const { shadowRoot } = document.querySelector("onshelf-privacy");
    const visible = [
      ...shadowRoot.querySelectorAll("h2,h3,p,li,legend,small,button,summary"),
    ].filter((e) => e.checkVisibility());
    return visible.map((e) => e.textContent).join("\n");
  });

const until = (page, condition, argument) => page.raw.waitForFunction(condition, argument);

for (const [lang, title] of [
  ["en", "What this shop learned about you"],
  ["de-AT", "Was dieser Laden über Sie gelernt hat"],
  ["fr", "Ce que cette boutique a appris de vous"],
  ["es", "Lo que esta tienda ha aprendido de usted"],
  ["zh-CN", "本店对您的了解"],
]) {
  suite.test(`accessibility rules hold, in ${lang}`, async ({ page }) => {
    await show(page, { lang });
    await page.raw.waitForSelector("onshelf-privacy li");
    assert.ok((await text(page)).startsWith(title));
    for (const scheme of ["light", "dark"]) {
      await page.raw.emulateMedia({ colorScheme: scheme });
      await page.raw.evaluate((s) => (document.documentElement.style.colorScheme = s), scheme);
      assert.deepEqual(await violations(page.raw, { bestPractice: true }), [], scheme);
    }
    await page.run(() => globalThis.shelf.dispose());
  });
}

suite.test("by keyboard alone: choose, pause, erase after a second thought", async ({ page }) => {
  const { raw } = page;
  const { keyboard } = raw;
  await show(page);
  await raw.waitForSelector("onshelf-privacy li");
  assert.match(await text(page), /Clicks of this visit: 2/);
  const focused = () =>
    raw.evaluate(() => {
      const { activeElement } = document.querySelector("onshelf-privacy").shadowRoot;
      return activeElement?.value || activeElement?.textContent;
    });
  await keyboard.press("Tab");
  assert.equal(await focused(), "device", "the choice that holds");
  await keyboard.press("ArrowDown");
  await until(page, () => globalThis.chosen.length === 1);
  assert.deepEqual(await raw.evaluate(() => globalThis.chosen), [{ consent: "device+sync" }]);
  assert.equal(await raw.evaluate(() => globalThis.shelf.consent), "device+sync");
  await until(page, () =>
    /at most 12 more/.test(document.querySelector("onshelf-privacy").shadowRoot.textContent),
  );
  await keyboard.press("Tab");
  assert.equal(await focused(), "Clicks of this visit: 2");
  await keyboard.press("Tab");
  assert.equal(await focused(), "Pause learning");
  await keyboard.press("Enter");
  await until(page, async () => (await globalThis.shelf.inspect()).paused);
  await until(page, () =>
    /Learning is paused/.test(document.querySelector("onshelf-privacy").shadowRoot.textContent),
  );
  assert.equal(await focused(), "Learn again");
  await keyboard.press("Tab");
  await keyboard.press("Tab");
  assert.equal(await focused(), "Erase everything");
  await keyboard.press("Enter");
  assert.equal(await focused(), "Erase");
  await keyboard.press("Escape");
  assert.equal(await focused(), "Erase everything");
  assert.equal(
    await raw.evaluate(async () => (await globalThis.shelf.inspect()).session.length),
    2,
  );
  await keyboard.press("Enter");
  await keyboard.press("Enter");
  await until(page, async () => (await globalThis.shelf.inspect()).session.length === 0);
  await until(page, () =>
    /Everything was erased/.test(document.querySelector("onshelf-privacy").shadowRoot.textContent),
  );
  await page.run(() => globalThis.shelf.dispose());
});

suite.test("by keyboard alone: forget an item, and another", async ({ page }) => {
  const { raw } = page;
  await show(page, { clicks: 3 });
  await raw.waitForSelector("onshelf-privacy li");
  await raw.evaluate(() => {
    const element = document.querySelector("onshelf-privacy");
    element.itemName = (id) => (id === "item-2" ? "Blue mug" : null);
    element.shadowRoot.querySelector("summary").focus();
  });
  await raw.waitForSelector("onshelf-privacy [aria-label='Forget Blue mug']", {
    state: "attached",
  });
  const labels = () =>
    raw.evaluate(() => {
      const { shadowRoot } = document.querySelector("onshelf-privacy");
      return [...shadowRoot.querySelectorAll("details button")].map((b) => b.ariaLabel);
    });
  const focused = () =>
    raw.evaluate(() => {
      const { activeElement } = document.querySelector("onshelf-privacy").shadowRoot;
      return activeElement?.ariaLabel ?? activeElement?.textContent;
    });
  const said = (what) =>
    until(
      page,
      (what) =>
        document.querySelector("onshelf-privacy").shadowRoot.querySelector("[role=status]")
          .textContent === what,
      what,
    );
  await raw.keyboard.press("Enter");
  await raw.keyboard.press("Tab");
  assert.equal(await focused(), "Forget item-3");
  await raw.keyboard.press("Tab");
  await raw.keyboard.press("Enter");
  await said("Blue mug was forgotten.");
  assert.deepEqual(await labels(), ["Forget item-3", "Forget item-1"]);
  await until(page, () => {
    const { activeElement } = document.querySelector("onshelf-privacy").shadowRoot;
    return activeElement?.ariaLabel === "Forget item-1";
  });
  const state = await page.run(async () => (await globalThis.shelf.exportPersonal()).text());
  assert.ok(!state.includes("item-2") && state.includes("item-1"), state);
  for (const id of ["item-1", "item-3"]) {
    await raw.keyboard.press("Enter");
    await said(`${id} was forgotten.`);
    await raw.waitForTimeout(50);
  }
  assert.equal(
    await focused(),
    "Save a copy",
    "the list is gone, and where it was the focus is not",
  );
  assert.deepEqual(await page.run(async () => (await globalThis.shelf.inspect()).session), []);
  await page.run(() => globalThis.shelf.dispose());
});

suite.test(
  "from right to left, on a phone: mirrored, nothing cut off, accessible",
  async ({ page }) => {
    const { raw } = page;
    await raw.setViewportSize({ width: 360, height: 740 });
    await show(page);
    await raw.waitForSelector("onshelf-privacy li");
    /** Where things stand: the choice beside its words, a bar's filling in its bar, and what sticks out. */
    const measure = () =>
      raw.evaluate(() => {
        const root = document.querySelector("onshelf-privacy").shadowRoot;
        const box = (one) => root.querySelector(one).getBoundingClientRect();
        const [input, words] = [box("label input"), box("label span")];
        const [bar, fill] = [box("li:last-child .bar"), box("li:last-child .bar span")];
        return {
          choiceFirst: input.left < words.left,
          fillsFromLeft: fill.left - bar.left < bar.right - fill.right,
          tooWide: document.documentElement.scrollWidth - innerWidth,
        };
      });
    // More than one leaning, so that the last bar is not full.
    await page.run(() => {
      const { inspect } = globalThis.shelf;
      const learned = [
        { category: "Kitchen", weight: 0.6 },
        { category: "Garden", weight: 0.2 },
      ];
      globalThis.shelf.inspect = async () => ({
        ...(await inspect.call(globalThis.shelf)),
        learned,
      });
      document.querySelector("onshelf-privacy").shelf = globalThis.shelf;
    });
    await until(
      page,
      () =>
        document.querySelector("onshelf-privacy").shadowRoot.querySelectorAll("li .bar").length ===
        2,
    );
    assert.deepEqual(await measure(), { choiceFirst: true, fillsFromLeft: true, tooWide: 0 });
    await page.run(async () => {
      const { PRIVACY_TEXTS } = await import("/onshelf/privacy.js");
      Object.assign(document.documentElement, { dir: "rtl", lang: "he" });
      const title =
        "\u05de\u05d4 \u05d4\u05d7\u05e0\u05d5\u05ea \u05dc\u05de\u05d3\u05d4 \u05e2\u05dc\u05d9\u05da";
      document.querySelector("onshelf-privacy").texts = { ...PRIVACY_TEXTS.en, title };
    });
    await until(
      page,
      () =>
        document.querySelector("onshelf-privacy").shadowRoot.querySelectorAll("li .bar").length ===
        2,
    );
    assert.deepEqual(await measure(), { choiceFirst: false, fillsFromLeft: false, tooWide: 0 });
    assert.deepEqual(await violations(raw, { bestPractice: true }), []);
    await page.run(() => globalThis.shelf.dispose());
  },
);

suite.test("with Global Privacy Control it says why nothing can be chosen", async ({ page }) => {
  await page.run(() =>
    Object.defineProperty(navigator, "globalPrivacyControl", { configurable: true, value: true }),
  );
  await show(page);
  await until(page, () =>
    [...document.querySelector("onshelf-privacy").shadowRoot.querySelectorAll("input")].every(
      (input) => input.disabled && input.checked === (input.value === "denied"),
    ),
  );
  assert.match(await text(page), /Global Privacy Control/);
  await page.run(() => globalThis.shelf.dispose());
});

suite.test(
  "the page's own words and colours; a shelf that comes late or goes",
  async ({ page }) => {
    const got = await page.run(async () => {
      const { definePrivacyElement, PRIVACY_TEXTS } = await import("/onshelf/privacy.js");
      definePrivacyElement();
      const element = document.createElement("onshelf-privacy");
      element.style.setProperty("--onshelf-ground", "rgb(1, 2, 3)");
      document.body.append(element);
      const title = () => element.shadowRoot.querySelector("h2").textContent;
      const seen = [element.shadowRoot.querySelector("button").disabled];
      element.texts = { ...PRIVACY_TEXTS.en, title: "You and us" };
      seen.push(title(), getComputedStyle(element).backgroundColor);
      const options = { model: "/fake.json", publicKeys: ["key"], device: "cpu", storage: "none" };
      element.shelf = await globalThis.onshelf.Onshelf.load(options);
      await new Promise((done) => setTimeout(done, 300));
      seen.push(element.shadowRoot.querySelector("button").disabled);
      await element.shelf.dispose();
      element.remove();
      document.body.append(element);
      await new Promise((done) => setTimeout(done, 100));
      seen.push(element.shadowRoot.querySelector("button").disabled);
      return seen;
    });
    assert.deepEqual(got, [true, "You and us", "rgb(1, 2, 3)", false, true]);
  },
);

test("all languages say everything, and the module can be imported on a server", async () => {
  const built = await buildWithFakes();
  try {
    const { PRIVACY_TEXTS } = await import(join(built.folder, "privacy.js"));
    const names = Object.keys(PRIVACY_TEXTS.en).sort();
    for (const [language, texts] of Object.entries(PRIVACY_TEXTS)) {
      assert.deepEqual(Object.keys(texts).sort(), names, language);
      for (const name of names) {
        const holes = (one) => (one.match(/\{\w+\}/g) ?? []).sort();
        assert.deepEqual(holes(texts[name]), holes(PRIVACY_TEXTS.en[name]), `${language} ${name}`);
      }
    }
  } finally {
    await built.remove();
  }
});
