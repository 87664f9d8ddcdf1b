/**
 * Keeps model versions in Cache Storage, where the shopper agreed that something is kept: a later visit fetches the
 * manifest only, and needs no connection at all. What comes out is verified as what comes from the network is.
 */

import { covers, type Agreed } from "./consent.js";
import { codeOf } from "./errors.js";
import type { LoadConfig } from "./protocol.js";
import { logOf } from "./version-log.js";

const NAME = "onshelf-models";

/** A file named by its hash never changes. */
const BLOB = /\/blobs\/[0-9a-f]{64}\.\w+$/;

/** What a load fails with where a kept file was damaged. */
const DAMAGED = ["HASH_MISMATCH", "FILE_TRUNCATED", "SIGNATURE_INVALID", "MANIFEST_INVALID"];

/** See the file's head. */
export class Models {
  /** What is asked for anew at every load: the manifest, and the log of versions. */
  #named: string[] = [];
  #limit = 0;
  #permitted = false;
  /** Loads that run; other requests of the worker are none of ours. */
  #loads = 0;
  /** Whether this load may begin with what an earlier visit left: not where newer versions are asked for. */
  #first = true;
  #hits = new Set<string>();
  #fresh = new Map<string, Blob>();

  /** To be called before the first load. */
  open({ model, modelCache, storage, agreed }: LoadConfig): void {
    if (storage !== "indexeddb" || typeof caches === "undefined") return;
    this.#named = [model, logOf(model)];
    this.#limit = modelCache;
    this.#permitted = covers(agreed.consent, "device");
    // Kept by an earlier visit, before the shopper decided otherwise.
    if (!this.#permitted) this.permit(agreed);
    if (modelCache === 0) void this.#forget();
    // The engines fetch by themselves, from Rust: the worker's own `fetch` is where they can be answered.
    const ask = self.fetch.bind(self);
    self.fetch = (input, init) => {
      const url = input instanceof Request ? input.url : String(input);
      return this.#isOurs(url) ? this.#answer(url, () => ask(input, init)) : ask(input, init);
    };
  }

  /** What the shopper agrees to from now on; `denied` takes away what was kept. */
  permit({ consent, settled }: Agreed): void {
    this.#permitted = covers(consent, "device");
    if (settled && !this.#permitted) void this.#forget();
  }

  /** Nothing of what is kept is to be used again. */
  drop(): void {
    void this.#forget();
  }

  /** Has an engine load, from what is kept where it can, and keeps what was new to it. */
  async load<T>(work: () => Promise<T>): Promise<T> {
    this.#loads++;
    this.#hits.clear();
    try {
      const result = await work().catch(async (error: unknown) => {
        if (this.#hits.size === 0 || !DAMAGED.includes(codeOf(error) ?? "")) throw error;
        await this.#forget();
        this.#hits.clear();
        return work();
      });
      this.#first = false;
      void this.#keep([...this.#hits]).catch(() => undefined);
      return result;
    } catch (error) {
      // Nothing is kept of a version that is not used.
      this.#fresh.clear();
      throw error;
    } finally {
      this.#loads--;
    }
  }

  #isOurs(url: string): boolean {
    if (this.#loads === 0 || this.#limit === 0 || !this.#permitted) return false;
    return this.#named.includes(url) || BLOB.test(url);
  }

  async #answer(url: string, ask: () => Promise<Response>): Promise<Response> {
    const isNamed = this.#named.includes(url);
    const kept = isNamed ? undefined : await this.#find(url);
    if (kept !== undefined) return kept;
    try {
      return this.#noting(url, await ask());
    } catch (error) {
      const last = isNamed && this.#first ? await this.#find(url) : undefined;
      if (last === undefined) throw error;
      return last;
    }
  }

  async #find(url: string): Promise<Response | undefined> {
    const found = await caches.match(url, { cacheName: NAME }).catch(() => undefined);
    if (found !== undefined) this.#hits.add(url);
    return found;
  }

  /** The same response, of which a copy is left here once it was read to its end. */
  #noting(url: string, response: Response): Response {
    if (!response.ok || response.body === null) return response;
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    const through = new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({
      transform: (chunk, next) => {
        chunks.push(chunk);
        next.enqueue(chunk);
      },
      flush: () => void this.#fresh.set(url, new Blob(chunks)),
    });
    return new Response(response.body.pipeThrough(through));
  }

  /** Stores what came, and lets the oldest go where it is too much; never what is in use. */
  async #keep(hits: string[]): Promise<void> {
    const fresh = [...this.#fresh];
    this.#fresh.clear();
    const room = this.#limit - fresh.reduce((sum, [, { size }]) => sum + size, 0);
    if (fresh.length === 0 || room < 0) return;
    const cache = await caches.open(NAME);
    const inUse = new Set([...hits, ...fresh.map(([url]) => url)]);
    const others: [string, number][] = [];
    for (const { url } of await cache.keys()) {
      const size = Number((await cache.match(url))?.headers.get("Content-Length"));
      if (fresh.every(([one]) => one !== url)) others.push([url, size]);
    }
    let taken = others.reduce((sum, [, size]) => sum + size, 0);
    for (const [url, size] of others) {
      if (taken <= room) break;
      if (inUse.has(url)) continue;
      await cache.delete(url);
      taken -= size;
    }
    for (const [url, body] of taken <= room ? fresh : []) {
      const headers = { "Content-Length": String(body.size) };
      await cache.put(url, new Response(body, { headers }));
    }
    // They may have decided otherwise meanwhile.
    if (!this.#permitted) await this.#forget();
  }

  async #forget(): Promise<void> {
    // Absent where the page's origin is not secure.
    if (typeof caches !== "undefined") await caches.delete(NAME).catch(() => false);
  }
}

/** Those of this worker. */
export const models = new Models();
