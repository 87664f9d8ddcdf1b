/**
 * For pages in a real browser, driven by Playwright (`playwright`, `playwright-core` or `@playwright/test`): the shop's own
 * bundle with onshelf's real client and worker, but a fake in the place of the WebAssembly modules and the model; and a
 * record of what leaves the page.
 */

import { AssertionError } from "node:assert";
import { readFile } from "node:fs/promises";
import type { FakeItem } from "./model.js";

/** What is used of Playwright's `Route`. */
interface RouteLike {
  fulfill(answer: { status?: number; contentType?: string; body?: string }): Promise<void>;
}

/** What is used of Playwright's `Request`. */
interface RequestLike {
  url(): string;
  method(): string;
  postDataBuffer(): Uint8Array | null;
}

/** What is used of Playwright's `Page`. */
interface PageLike {
  on(event: "websocket", listener: (socket: { url(): string }) => void): unknown;
}

/** What is used of Playwright's `BrowserContext`, so that no version of Playwright is prescribed. */
export interface ContextLike {
  route(url: RegExp, handler: (route: RouteLike) => unknown): Promise<unknown>;
  pages(): PageLike[];
  on(event: "request", listener: (request: RequestLike) => void): unknown;
  on(event: "page", listener: (page: PageLike) => void): unknown;
}

/** Options of `serveFake`. */
export interface ServeOptions {
  /** The made-up shop, most popular first. */
  items: readonly FakeItem[];
  /** Name of the model version. */
  version?: string;
}

/**
 * Puts the fake in the place of the model, for all pages of a context. Call it before they open. The page needs any
 * address as `model`, which nobody fetches but `update()`, and any key; there is no private round, and WebGPU is not there.
 */
export async function serveFake(context: ContextLike, options: ServeOptions): Promise<void> {
  const { items, version = "fake" } = options;
  const engine = await readFile(new URL("./engine.js", import.meta.url), "utf8");
  const body = `globalThis.onshelfFake = ${JSON.stringify({ items, version })};\n${engine}`;
  await context.route(/\/onshelf_cpu[^/]*\.js(\?|$)/, (route) =>
    route.fulfill({ contentType: "text/javascript", body }),
  );
  const missing = (route: RouteLike) => route.fulfill({ status: 404 });
  await context.route(/\/onshelf_webgpu[^/]*\.js(\?|$)/, missing);
  await context.route(/\/task\.json(\?|$)/, missing);
  // The log of versions: the fake's engine takes any.
  await context.route(/\/versions\.log(\?|$)/, (route) => route.fulfill({ body: "" }));
}

/** One thing that a page asked for. */
export interface Asked {
  method: string;
  url: string;
  /** Bytes of its body. */
  bytes: number;
}

/** What a context's pages asked for since `watchTraffic`. */
export interface Traffic {
  /** Everything, oldest first; WebSockets with the method `WEBSOCKET`. */
  readonly all: readonly Asked[];
  /** What could carry something away: a body, a method other than GET and HEAD, a WebSocket. */
  uploads(options?: AllowOptions): Asked[];
  /**
   * Fails if anything could carry something away.
   *
   * @throws AssertionError that names each
   */
  assertNothingUploaded(options?: AllowOptions): void;
  /**
   * Fails if an address or its query names one of these words (item ids, searches).
   *
   * @throws AssertionError that names each
   */
  assertNamesNone(words: readonly string[], options?: AllowOptions): void;
}

/** What the shop itself asks for. */
export interface AllowOptions {
  /** Addresses that are the shop's own affair, such as its checkout. */
  allow?: readonly RegExp[];
}

/** Records everything that the pages of a context ask for, their workers and service workers included. */
export function watchTraffic(context: ContextLike): Traffic {
  const all: Asked[] = [];
  context.on("request", (request) => {
    const bytes = request.postDataBuffer()?.length ?? 0;
    all.push({ method: request.method(), url: request.url(), bytes });
  });
  const follow = (page: PageLike) =>
    page.on("websocket", (socket) =>
      all.push({ method: "WEBSOCKET", url: socket.url(), bytes: 0 }),
    );
  context.pages().forEach(follow);
  context.on("page", follow);
  const others = ({ allow = [] }: AllowOptions = {}) =>
    all.filter(({ url }) => !allow.some((pattern) => pattern.test(url)));
  const uploads = (options?: AllowOptions) =>
    others(options).filter(
      ({ method, bytes }) => bytes > 0 || (method !== "GET" && method !== "HEAD"),
    );
  return {
    all,
    uploads,
    assertNothingUploaded: (options) => demandNone("could carry something away", uploads(options)),
    assertNamesNone(words, options) {
      const named = others(options).filter(({ url }) => {
        const text = decoded(url);
        return words.some((word) => text.includes(word));
      });
      demandNone("name what was looked at", named);
    },
  };
}

/** An address in plain words; one that is not encoded as it should be stays as it is. */
function decoded(url: string): string {
  try {
    return decodeURIComponent(url.replaceAll("+", " "));
  } catch {
    return url;
  }
}

function demandNone(what: string, found: readonly Asked[]): void {
  if (found.length === 0) return;
  const list = found.map(({ method, url, bytes }) => `${method} ${url} (${bytes} bytes)`);
  const message = `${found.length} request(s) ${what}:\n${list.join("\n")}`;
  throw new AssertionError({ message, actual: found, expected: [] });
}
