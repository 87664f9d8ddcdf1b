/** A shop's service worker that uses `onshelf/service-worker`, for tests. */

/** The shop's own part: pages, from the network while there is one. It would notice if it were asked for onshelf's files. */
const SHOPS_OWN = `
  addEventListener("activate", (event) => event.waitUntil(clients.claim()));
  addEventListener("fetch", (event) => {
    if (event.request.mode !== "navigate") return;
    event.respondWith((async () => {
      const cache = await caches.open("shop");
      try {
        const response = await fetch(event.request);
        await cache.put(event.request, response.clone());
        return response;
      } catch {
        return cache.match(event.request);
      }
    })());
  });`;

const LINES = {
  module: (options) => `import { FILES, keepOnshelf } from "/onshelf/service-worker.js";
    keepOnshelf(${options});`,
  classic: (options) => `importScripts("/onshelf/service-worker-classic.js");
    const { FILES } = onshelfServiceWorker;
    onshelfServiceWorker.keepOnshelf(${options});`,
};

/**
 * Its script.
 *
 * @param {"module" | "classic"} kind
 * @param {string} options of `keepOnshelf`, as code
 */
export const shopsWorker = (kind, options) => `${LINES[kind](options)}\n${SHOPS_OWN}`;

/** Registers `/sw.js`, and waits until it answers for this page. */
export const register = (page, type) =>
  page.run(async (type) => {
    const controlled = new Promise((done) =>
      navigator.serviceWorker.addEventListener("controllerchange", done, { once: true }),
    );
    await navigator.serviceWorker.register("/sw.js", { type });
    await controlled;
  }, type);
