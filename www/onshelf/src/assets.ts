/**
 * Where the worker and the WebAssembly modules are. Each address is written out as
 * `new URL("./file", import.meta.url)`: that is the form in which Vite, webpack and Turbopack see a file to be
 * shipped, and put in its later address. Composed names would be found by none of them.
 */

import { VERSION } from "./version.js";

/** Absolute addresses of the package's files. */
export interface Assets {
  worker: string;
  cpu: string;
  cpu_wasm: string;
  webgpu: string;
  webgpu_wasm: string;
  sync: string;
  sync_wasm: string;
}

/** The addresses beside this module, or where a bundler has put the files. */
export function ownAssets(): Assets {
  return versioned({
    worker: new URL("./onshelf-worker.js", import.meta.url),
    cpu: new URL("./onshelf_cpu.js", import.meta.url),
    cpu_wasm: new URL("./onshelf_cpu_bg.wasm", import.meta.url),
    webgpu: new URL("./onshelf_webgpu.js", import.meta.url),
    webgpu_wasm: new URL("./onshelf_webgpu_bg.wasm", import.meta.url),
    sync: new URL("./onshelf_sync.js", import.meta.url),
    sync_wasm: new URL("./onshelf_sync_bg.wasm", import.meta.url),
  });
}

/** The same files in another folder, whose address ends with a slash. */
export function assetsIn(folder: string): Assets {
  const named = (name: string) => new URL(name, folder);
  return versioned({
    worker: named("onshelf-worker.js"),
    cpu: named("onshelf_cpu.js"),
    cpu_wasm: named("onshelf_cpu_bg.wasm"),
    webgpu: named("onshelf_webgpu.js"),
    webgpu_wasm: named("onshelf_webgpu_bg.wasm"),
    sync: named("onshelf_sync.js"),
    sync_wasm: named("onshelf_sync_bg.wasm"),
  });
}

const MOVED = "/node_modules/.vite/deps/";

/**
 * A file that kept its name gets the release into its address, so that a cached one of an older release never
 * meets newer ones. A bundler's name has the file's hash in it, and needs nothing.
 */
function versioned(urls: Record<keyof Assets, URL>): Assets {
  const entries = Object.entries(urls).map(([name, { href }]) => {
    // Turbopack's stand-in for a URL knows a path only; Vite before 8 moves this module alone when developing.
    const url = new URL(href.replace(MOVED, "/node_modules/onshelf/"), location.href);
    if (/\/onshelf[-_][a-z_]+\.\w+$/.test(url.pathname)) url.search ||= `?v=${VERSION}`;
    return [name, url.href];
  });
  return Object.fromEntries(entries) as unknown as Assets;
}

/**
 * Starts the worker. A browser starts none from another origin, such as a CDN's; a script of the page's own
 * may import one from there, if the page's `worker-src` has `blob:` and that origin, its `script-src` the latter.
 */
export function startWorker({ worker }: Assets): Worker {
  const options: WorkerOptions = { type: "module", name: "onshelf" };
  if (new URL(worker).origin === location.origin) return new Worker(worker, options);
  const text = `import ${JSON.stringify(worker)};`;
  const shim = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    return new Worker(shim, options);
  } finally {
    // The fetch has begun with the blob itself; a Worker is not told of when it is done.
    setTimeout(() => URL.revokeObjectURL(shim), 60_000);
  }
}
