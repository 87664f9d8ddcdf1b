/**
 * For a shop's own service worker: keeps the package's files, so that a page that was open once works without a
 * connection. The model is kept by the page itself, with the shopper's consent; this has no part in it.
 *
 * ```ts
 * import { keepOnshelf } from "onshelf/service-worker";
 * keepOnshelf({ assets: "/onshelf/" });
 * ```
 *
 * In a classic service worker, without a bundler:
 *
 * ```text
 * importScripts("/onshelf/service-worker-classic.js");
 * onshelfServiceWorker.keepOnshelf({ assets: "/onshelf/" });
 * ```
 *
 * These lines come before the shop's own listeners: a request that is answered here reaches no other. All other requests
 * are left alone; nothing is claimed, and no waiting is skipped.
 */

import { fail } from "./errors.js";
import { VERSION } from "./version.js";

const NAME = `onshelf-files-${VERSION}`;

/** Caches of every release. */
const KIN = /^onshelf-files-/;

/**
 * Files of the worker's, by whichever name: as they are shipped, or with a bundler's hash, which a word such as `bundle`
 * is not.
 */
const WORKERS =
  /^onshelf(?:-worker|_(?:cpu|webgpu|sync)(?:_bg)?)([-.](?=[\w-]*[\dA-Z])[\w-]{8,})?\.(?:js|wasm)$/;

/** A name with at least 16 digits of its file's hash. */
const HASHED = /(^|[/._-])[0-9a-f]{16,}([._-][^/]*)?$/i;

/** What a shelf on the CPU needs, as it is shipped: with the release in its address it never changes. */
export const FILES: readonly string[] = [
  "onshelf-worker.js",
  "onshelf_cpu.js",
  "onshelf_cpu_bg.wasm",
].map((name) => `${name}?v=${VERSION}`);

/** What to keep. */
export interface KeepOptions {
  /** Folder with the package's files; relative addresses start at the service worker's script. */
  assets: string | URL;
  /**
   * Names below it that are fetched when the service worker is installed. Default {@link FILES}. A page without a bundler
   * adds what it imports: `[...FILES, "index.js"]`; with a bundler give the names that it made, or `[]`: then worker and
   * modules are kept when they are next fetched. A name without release or hash (`index.js`) is asked for anew where there
   * is a connection.
   */
  files?: readonly string[];
  /** Most bytes that are kept; the oldest go first. Default 16 MiB. */
  maxBytes?: number;
}

/** The part of a service worker's global scope, and of its events, that is used; the DOM's types describe a window. */
interface Scope {
  readonly location: { href: string };
  addEventListener(type: "install" | "activate", listener: (event: Extendable) => void): void;
  addEventListener(type: "fetch", listener: (event: Fetched) => void): void;
}
interface Extendable {
  waitUntil(work: Promise<unknown>): void;
}
interface Fetched extends Extendable {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

/**
 * To be called once, while the service worker's script runs.
 *
 * @throws OnshelfError `INVALID_REQUEST`
 */
export function keepOnshelf({ assets, files = FILES, maxBytes = 16 << 20 }: KeepOptions): void {
  const scope = globalThis as unknown as Scope;
  if (!(maxBytes >= 0)) throw fail("INVALID_REQUEST", "maxBytes must be 0 or more");
  const folder = toFolder(assets, scope.location.href);
  const named = files.map((name) => new URL(name, folder).href);
  const kept = new Kept(maxBytes);
  const isOurs = ({ method, url, headers }: Request) =>
    method === "GET" && !headers.has("range") && (named.includes(url) || isWorkers(url, folder));
  scope.addEventListener("install", (event) => event.waitUntil(kept.fill(named)));
  scope.addEventListener("activate", (event) => event.waitUntil(dropOthers()));
  scope.addEventListener("fetch", (event) => {
    if (!isOurs(event.request)) return;
    event.respondWith(kept.answer(event.request, (work) => event.waitUntil(work)));
  });
}

function toFolder(assets: string | URL, base: string): string {
  try {
    const { href } = new URL(assets, base);
    return href.endsWith("/") ? href : `${href}/`;
  } catch (cause) {
    throw fail("INVALID_REQUEST", "assets must be the address of a folder", cause);
  }
}

function isWorkers(url: string, folder: string): boolean {
  return url.startsWith(folder) && WORKERS.test(new URL(url).pathname.split("/").at(-1)!);
}

/** Whether what is behind an address never changes. */
function isFixed(url: string): boolean {
  const { pathname, searchParams } = new URL(url);
  const known = WORKERS.exec(pathname.split("/").at(-1)!);
  return searchParams.has("v") || known?.[1] !== undefined || HASHED.test(pathname);
}

async function dropOthers(): Promise<void> {
  const others = (await caches.keys()).filter((name) => KIN.test(name) && name !== NAME);
  await Promise.all(others.map((name) => caches.delete(name)));
}

/** The cache of this release. */
class Kept {
  readonly #maxBytes: number;
  /** One write at a time, so that the sum is known. */
  #writing: Promise<unknown> = Promise.resolve();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Fetches what is not there yet. A file that does not come must not stop the shop's service worker. */
  async fill(urls: readonly string[]): Promise<void> {
    for (const url of urls) {
      try {
        if (isFixed(url) && (await find(url)) !== undefined) continue;
        await this.#keep(url, await fetch(url));
      } catch {
        // It is kept when a page fetches it.
      }
    }
  }

  /** From the cache where the file never changes, else from the network while there is one. */
  async answer(request: Request, meanwhile: (work: Promise<unknown>) => void): Promise<Response> {
    const { url } = request;
    const found = await find(url);
    if (found !== undefined && isFixed(url)) return found;
    try {
      const response = await fetch(request);
      meanwhile(this.#keep(url, response.clone()).catch(() => undefined));
      return response;
    } catch (error) {
      if (found === undefined) throw error;
      return found;
    }
  }

  #keep(url: string, response: Response): Promise<void> {
    const done = this.#writing.then(() => this.#put(url, response));
    this.#writing = done.catch(() => undefined);
    return done;
  }

  async #put(url: string, response: Response): Promise<void> {
    // Errors, parts, and what came from elsewhere without saying what it is.
    if (response.status !== 200 || response.type === "opaque" || response.redirected) return;
    const cache = await caches.open(NAME);
    await cache.put(url, response);
    const sizes: [string, number][] = [];
    for (const one of await cache.keys()) {
      sizes.push([one.url, (await (await cache.match(one))!.blob()).size]);
    }
    let taken = sizes.reduce((sum, [, size]) => sum + size, 0);
    // The newest last: it goes only where it is too large by itself.
    const oldest = sizes.sort(([a], [b]) => Number(a === url) - Number(b === url));
    for (const [one, size] of oldest) {
      if (taken <= this.#maxBytes) break;
      await cache.delete(one);
      taken -= size;
    }
  }
}

async function find(url: string): Promise<Response | undefined> {
  return caches.match(url, { cacheName: NAME }).catch(() => undefined);
}
