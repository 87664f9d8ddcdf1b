/** Seals reports in a worker and times it, for tests/bench/sync.mjs. */

import start, { SyncTask } from "/onshelf/onshelf_sync.js";

self.addEventListener("unhandledrejection", ({ reason }) => {
  self.postMessage({ failed: String(reason) });
});

self.onmessage = async ({ data: { envelope, key, dimension, rounds } }) => {
  const begin = performance.now();
  await start({ module_or_path: "/onshelf/onshelf_sync_bg.wasm" });
  const started_ms = performance.now() - begin;
  const task = SyncTask.verify(new TextEncoder().encode(envelope), [key]);
  const delta = Float32Array.from({ length: dimension }, (_, at) => Math.sin(at) / 100);
  const times = [];
  let bytes = 0;
  for (let round = 0; round < rounds; round++) {
    const from = performance.now();
    bytes = task.seal(delta, Date.now() / 1000).length;
    times.push(performance.now() - from);
  }
  self.postMessage({ started_ms, times, bytes });
};
