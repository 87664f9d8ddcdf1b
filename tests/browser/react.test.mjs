/**
 * `onshelf/react` with the real React, the oldest that is supported and the newest: in a page under the strictest policy, in
 * strict mode, and on a server.
 */

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { build } from "esbuild";
import { browserSuite, ROOT } from "./harness.mjs";

const folder = await mkdtemp(join(tmpdir(), "onshelf-react-"));
const REACTS = ["19", "18"];

/** React and the hooks in one module, as a shop's bundler makes it; React's development build, which warns. */
async function bundle(version, platform, name, contents) {
  const old = version === "18" && { react: "react18", "react-dom": "react-dom18" };
  await build({
    stdin: { contents, resolveDir: ROOT, loader: "js" },
    outfile: join(folder, version, name),
    bundle: true,
    platform,
    format: platform === "node" ? "cjs" : "esm",
    alias: { "onshelf/react": join(ROOT, "www/onshelf/src/react.ts"), ...old },
    define: { "process.env.NODE_ENV": '"development"' },
    logLevel: "error",
  });
}

const SHOW = `
  import * as React from "react";
  import * as hooks from "onshelf/react";
  export { React, hooks };
  const h = React.createElement;
  /** A list that says what it is, with a button for each item. */
  export function List({ request, initial }) {
    const tell = (name) => (view) => globalThis.told?.push([name, view]);
    const listeners = { onViewItemList: tell("view_item_list"), onSelectItem: tell("select_item") };
    const { items, pending, error, ranked, select, ref } = hooks.useShelf(request, { initial, ...listeners });
    const state = error ? String(error.code ?? error) : pending ? "pending" : ranked ? "ranked" : "none";
    return h("ul", { ref, id: request?.slot, "data-state": state }, items.map(({ item_id }) =>
      h("li", { key: item_id }, h("button", { onClick: () => select(item_id) }, item_id))));
  }
  export const App = ({ initial, children, ...provider }) =>
    h(React.StrictMode, null, h(hooks.OnshelfProvider, provider,
      h(List, { request: { slot: "home", count: 3 }, initial }), children));`;

before(async () => {
  const client = `${SHOW}\nexport * as client from "react-dom/client";`;
  const server = `${SHOW}\nexport * as server from "react-dom/server";`;
  for (const version of REACTS) {
    await bundle(version, "browser", "app.js", client);
    await bundle(version, "node", "server.cjs", server);
  }
});
after(() => rm(folder, { recursive: true, force: true }));

/** Puts the app into the page; `globalThis.show(props)` renders it anew. */
const mount = (page, version, { html = "", initial, switches = "" } = {}) =>
  page.run(
    async ({ version, html, initial, switches }) => {
      const app = (globalThis.app = await import(`/app/${version}/app.js`));
      document.body.innerHTML = `<div id="root">${html}</div>`;
      globalThis.loads = [];
      globalThis.load = (signal) => {
        const options = { model: `/fake.json?${switches}`, publicKeys: ["key"], device: "cpu" };
        const loading = globalThis.onshelf.Onshelf.load({ ...options, storage: "none", signal });
        globalThis.loads.push(loading);
        return loading;
      };
      const element = (more) =>
        app.React.createElement(app.App, { initial, load: globalThis.load, ...more });
      const root = document.querySelector("#root");
      globalThis.root =
        html === ""
          ? app.client.createRoot(root)
          : app.client.hydrateRoot(root, element(), {
              onRecoverableError: (error) => console.error(`hydration: ${error.message}`),
            });
      globalThis.show = (more) => globalThis.root.render(element(more));
      if (html === "") globalThis.show();
    },
    { version, html, initial, switches },
  );

const texts = (page, id = "home") =>
  page.run((id) => [...document.querySelectorAll(`#${id} li`)].map((li) => li.textContent), id);
const becomes = (page, first, id = "home") =>
  page.until(
    ([first, id]) => document.querySelector(`#${id} li`)?.textContent === first,
    [first, id],
  );
const state = (page) => page.run(() => document.querySelector("#home").dataset.state);
const unmount = (page) =>
  page.run(async () => {
    globalThis.root.unmount();
    const shelf = await globalThis.loads.at(-1).catch(() => null);
    if (shelf === null) return "no shelf";
    return shelf.inspect().then(
      () => "alive",
      (error) => error.code,
    );
  });

for (const [browser, version] of [
  ["chromium", "19"],
  ["chromium", "18"],
  ["firefox", "19"],
]) {
  const suite = browserSuite(browser, { mounts: { "/app/": folder } });

  suite.test(
    `React ${version}: a shelf is ranked, and anew after a choice; one worker in strict mode`,
    async ({ page }) => {
      await mount(page, version);
      await becomes(page, "item-1");
      assert.deepEqual(await texts(page), ["item-1", "item-2", "item-3"]);
      assert.equal(await state(page), "ranked");
      await page.raw.click("#home li:nth-child(2) button");
      await becomes(page, "item-3");
      const session = await page.run(
        async () => (await (await globalThis.loads[0]).inspect()).session,
      );
      assert.deepEqual(session, [{ item_id: "item-2", event: "select_item" }]);
      assert.equal(await page.run(() => globalThis.loads.length), 1);
      assert.equal(await unmount(page, version), "DISPOSED");
    },
  );

  suite.test(
    `React ${version}: a choice is attributed to its shelf; a request counts by what is in it`,
    async ({ page }) => {
      await mount(page, version);
      await becomes(page, "item-1");
      const got = await page.run(async () => {
        const { React, hooks, List } = globalThis.app;
        const shelf = await globalThis.loads[0];
        const seen = [];
        const asked = [];
        const [track, recommend] = [shelf.track.bind(shelf), shelf.recommend.bind(shelf)];
        shelf.track = (event) => (seen.push(event), track(event));
        shelf.recommend = async (request) => {
          asked.push(request.slot);
          const ranked = await recommend(request);
          globalThis.newest = ranked.shelf_id;
          return ranked;
        };
        const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
        const popular = (count) => ({ slot: "popular", kind: "popular", count });
        const more = (count) => React.createElement(List, { request: popular(count) });
        for (let round = 0; round < 5; round++)
          (globalThis.show({ children: more(2) }), await sleep(60));
        const first = asked.splice(0);
        document.querySelector("#popular button").click();
        await sleep(20);
        const shelf_id = globalThis.newest;
        await sleep(400);
        const afterClick = asked.splice(0);
        globalThis.show({ children: more(4) });
        await sleep(200);
        const changed = asked.splice(0);
        const count = document.querySelectorAll("#popular li").length;
        globalThis.show({ children: React.createElement(List, { request: null }) });
        await sleep(100);
        return {
          first,
          afterClick,
          changed,
          count,
          seen,
          shelf_id,
          none: asked,
          hooks: Object.keys(hooks),
        };
      });
      const { shelf_id } = got;
      assert.deepEqual(got.seen, [
        { event: "select_item", item_id: "item-1", shelf_id, item_list_id: "popular" },
      ]);
      // Strict mode runs an effect twice when a component comes.
      assert.deepEqual(got.first, ["popular", "popular"]);
      assert.deepEqual(got.afterClick.sort(), ["home", "popular"]);
      assert.deepEqual([got.changed, got.count, got.none], [["popular"], 4, []]);
      assert.equal(await unmount(page, version), "DISPOSED");
    },
  );

  suite.test(
    `React ${version}: rendered on a server and taken over without a warning; early events wait`,
    async ({ page }) => {
      const { server, React, App } = createRequire(import.meta.url)(
        join(folder, version, "server.cjs"),
      );
      const initial = ["server-a", "server-b"];
      const never = () => assert.fail("a server loads nothing");
      const html = server.renderToString(React.createElement(App, { initial, load: never }));
      assert.match(html, /<ul id="home" data-state="pending"><li><button>server-a<\/button><\/li>/);
      await mount(page, version, { html, initial, switches: "load_ms=300" });
      assert.deepEqual(await texts(page), initial);
      await new Promise((done) => setTimeout(done, 50));
      // Clicked before anything is loaded: what the server rendered may be chosen as well.
      await page.run(() => {
        const { React, hooks } = globalThis.app;
        globalThis.same = new Set();
        const Early = () => {
          const track = hooks.useTrack();
          // React 18 throws one of strict mode's two renderings away, with what it made.
          React.useEffect(() => void globalThis.same.add(track));
          globalThis.track = track;
          return null;
        };
        globalThis.show({ children: React.createElement(Early) });
      });
      await page.until(() => globalThis.track !== undefined);
      const results = await page.run(() =>
        Promise.all(
          [5, 9, 7].map((n) => globalThis.track({ event: "view_item", item_id: `item-${n}` })),
        ),
      );
      assert.deepEqual(
        results.map(({ session_length }) => session_length),
        [1, 2, 3],
      );
      await becomes(page, "item-8");
      const [session, same] = await page.run(async () => [
        (await (await globalThis.loads[0]).inspect()).session.map(({ item_id }) => item_id),
        globalThis.same.size,
      ]);
      assert.deepEqual([session, same], [["item-5", "item-9", "item-7"], 1]);
      assert.equal(await unmount(page, version), "DISPOSED");
    },
  );

  suite.test(
    `React ${version}: where it cannot load the server's items stay, and nothing waits for ever`,
    async ({ page }) => {
      await mount(page, version, {
        initial: ["server-a"],
        switches: "load_error=SIGNATURE_INVALID",
      });
      await page.until(
        () => document.querySelector("#home")?.dataset.state === "SIGNATURE_INVALID",
      );
      assert.deepEqual(await texts(page), ["server-a"]);
      const got = await page.run(async () => {
        const { React, hooks } = globalThis.app;
        let use;
        const Child = () => {
          use = { track: hooks.useTrack(), consent: hooks.useConsent(), state: hooks.useOnshelf() };
          return null;
        };
        globalThis.show({ children: React.createElement(Child) });
        while (use === undefined) await new Promise((done) => setTimeout(done, 10));
        const tracked = await use.track({ event: "view_item", item_id: "item-1" });
        const agreed = await use.consent[1]("denied");
        return { tracked, agreed, consent: use.consent[0], code: use.state.error.code };
      });
      assert.deepEqual(got, {
        tracked: null,
        agreed: null,
        consent: null,
        code: "SIGNATURE_INVALID",
      });
      assert.equal(await unmount(page, version), "no shelf");
    },
  );

  suite.test(
    `React ${version}: consent is shown and changed; a shelf of the page's own is not disposed`,
    async ({ page }) => {
      const got = await page.run(async (version) => {
        const { React, hooks, client } = await import(`/app/${version}/app.js`);
        const options = {
          model: "/fake.json",
          publicKeys: ["key"],
          device: "cpu",
          storage: "none",
        };
        const shelf = await globalThis.onshelf.Onshelf.load(options);
        document.body.innerHTML = `<div id="root"></div>`;
        const root = client.createRoot(document.querySelector("#root"));
        const shown = [];
        let set;
        const Consent = () => {
          const [consent, change] = hooks.useConsent();
          set = change;
          shown.push(consent);
          return null;
        };
        const show = (shelf) =>
          root.render(
            React.createElement(hooks.OnshelfProvider, { shelf }, React.createElement(Consent)),
          );
        const sleep = () => new Promise((done) => setTimeout(done, 50));
        show(null);
        await sleep();
        const waits = set("denied");
        show(shelf);
        const answer = await waits;
        await sleep();
        await shelf.setConsent("device");
        await sleep();
        root.unmount();
        await sleep();
        const alive = (await shelf.inspect()).consent;
        await shelf.dispose();
        return { shown: shown.filter((one, at) => one !== shown[at - 1]), answer, alive };
      }, version);
      assert.deepEqual(got, {
        shown: [null, "device", "denied", "device"],
        answer: "denied",
        alive: "device",
      });
    },
  );

  suite.test(
    `React ${version}: view_item_list once a ranking is in view, select_item for a choice`,
    async ({ page }) => {
      await page.run(() => {
        globalThis.told = [];
        const far = document.createElement("div");
        far.style.height = "3000px";
        document.documentElement.prepend(far);
      });
      await mount(page, version, { initial: ["item-9"] });
      await becomes(page, "item-1");
      await new Promise((done) => setTimeout(done, 300));
      const told = () => page.run(() => globalThis.told);
      assert.deepEqual(await told(), [], "out of sight");
      await page.run(() => document.querySelector("#home").scrollIntoView());
      await page.until(() => globalThis.told.length > 0);
      const shelf_id = await page.run(() => globalThis.told[0][1].shelf_id);
      const items = [1, 2, 3].map((n) => ({ item_id: `item-${n}`, index: n - 1 }));
      const view = { shelf_id, item_list_id: "home" };
      assert.deepEqual(await told(), [["view_item_list", { ...view, items }]]);
      await page.run(() => document.querySelector("#home li:nth-child(2) button").click());
      await becomes(page, "item-3");
      await page.until(() => globalThis.told.length === 3);
      await page.run(() => scrollTo(0, 0));
      await page.run(() => document.querySelector("#home").scrollIntoView());
      await new Promise((done) => setTimeout(done, 300));
      const [, chosen, next] = await told();
      assert.deepEqual(chosen, ["select_item", { ...view, items: items.slice(1, 2) }]);
      assert.notEqual(next[1].shelf_id, shelf_id, "a ranking of its own");
      assert.deepEqual([next[0], (await told()).length], ["view_item_list", 3], "once each");
      assert.equal(await unmount(page), "DISPOSED");
    },
  );

  suite.test(
    `React ${version}: gone before it has loaded: the load is aborted and nothing runs on`,
    async ({ page }) => {
      await mount(page, version, { switches: "load_ms=500" });
      await page.until(() => globalThis.loads.length === 1);
      const code = await page.run(async () => {
        globalThis.root.unmount();
        return globalThis.loads[0].then(
          () => "loaded",
          (error) => error.code,
        );
      });
      assert.equal(code, "ABORTED");
    },
  );
}

for (const version of REACTS) {
  test(`React ${version}: a hook without a provider says what is missing`, () => {
    const { server, React, List } = createRequire(import.meta.url)(
      join(folder, version, "server.cjs"),
    );
    assert.throws(
      () => server.renderToString(React.createElement(List, { request: { slot: "home" } })),
      { code: "INVALID_REQUEST", message: /OnshelfProvider/ },
    );
  });
}
