/** An Onshelf around a fake engine, inside the page of a test. */

/**
 * Runs `work(tools)` in the page on a freshly loaded Onshelf (CPU, no storage) and disposes it.
 *
 * Tools: `shelf`; `click(n)` views item n; `ids()` the session's items; `changes` heard so far;
 * `attempt(promise)` gives `{ value }` or `{ code, message, remedy, named }`; `until(condition)` waits up
 * to ten seconds; `argument` as given.
 *
 * @param {import("./harness.mjs").TestPage} page
 * @param {string} switches query for fake/fake-engine.js
 * @param {Function} work sees nothing of the test's variables
 * @param {{ options?: object, argument?: unknown }} [more] `options` go over those of `load`
 */
export function withShelf(page, switches, work, { options = {}, argument } = {}) {
  // The function's text would need eval in the page, which its policy forbids; the driver's
  // evaluation is exempt, so the call is put together here.
  const source = `(async ({ switches, options, argument }) => {
    const { Onshelf, OnshelfError } = globalThis.onshelf;
    const attempt = (promise) => promise.then((value) => ({ value }), (error) =>
      ({ code: error.code, message: error.message, remedy: error.remedy,
        named: error instanceof OnshelfError }));
    const until = async (condition) => {
      for (let round = 0; round < 400; round++) {
        if (await condition()) return;
        await new Promise((done) => setTimeout(done, 25));
      }
      throw new Error("waited in vain: " + condition);
    };
    const shelf = await Onshelf.load({ model: "/fake.json?" + switches, publicKeys: ["key"],
      device: "cpu", storage: "none", ...options });
    const changes = [];
    // Of the page's own clicks only what follows from them.
    shelf.onChange((what) => what === "tracked" || changes.push(what));
    const click = (n) => shelf.track({ event: "view_item", item_id: "item-" + n });
    const ids = async () => (await shelf.inspect()).session.map((event) => event.item_id);
    try {
      return await (${work})({ shelf, click, ids, attempt, until, changes, argument });
    } finally {
      await shelf.dispose();
    }
  })(${JSON.stringify({ switches, options, argument: argument ?? null })})`;
  return page.run(source);
}

/** Keeps its state between pages. */
export const KEPT = { options: { storage: "indexeddb" } };

/** Asks for WebGPU. */
export const GPU = { options: { device: "webgpu" } };

/** Ids of the items `from` up to, but without, `to`. */
export const range = (from, to) =>
  Array.from({ length: to - from }, (_, at) => `item-${from + at}`);
