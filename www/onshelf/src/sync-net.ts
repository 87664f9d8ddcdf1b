/** What sync says over the network: GETs and one PUT, without cookies and without a referrer. */

import { codeOf, fail } from "./errors.js";

/** Longest answer that is read, in bytes, where nobody says otherwise. */
export const LIMIT = 1 << 20;

/** How everything is asked for. */
export const QUIET = {
  credentials: "omit",
  referrerPolicy: "no-referrer",
  redirect: "error",
} as const satisfies RequestInit;

/** What a request to an aggregator is made of. */
export interface Asking extends RequestInit {
  headers?: Record<string, string>;
  body?: Uint8Array<ArrayBuffer>;
  signal: AbortSignal;
}

/** A way to an aggregator: `fetch` itself, or a relay's (`sync-relay.ts`). */
export type Way = (url: string, asking: Asking) => Promise<Response>;

/** Something on the way to an aggregator does not let requests through now. */
export class Blocked extends Error {
  /** @param after_ms where a time was named to come again; else 0 */
  constructor(
    why: string,
    readonly after_ms: number,
  ) {
    super(why);
  }
}

/**
 * Fetches a small file.
 *
 * @returns `null` where there is none
 * @throws OnshelfError `NETWORK`, or as the way does; the signal's reason
 */
export async function get(
  url: string,
  signal: AbortSignal,
  { limit = LIMIT, way = fetch as Way } = {},
): Promise<Uint8Array<ArrayBuffer> | null> {
  try {
    const response = await way(url, { ...QUIET, cache: "no-cache", signal });
    if (response.status === 404 || response.status === 410) return null;
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return await read(response, limit);
  } catch (cause) {
    signal.throwIfAborted();
    if (codeOf(cause) !== undefined) throw cause;
    throw fail("NETWORK", `${url}: ${messageOf(cause)}`, cause);
  }
}

/** @throws Error where the body is longer */
export async function read(response: Response, limit: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > limit) throw new Error(`longer than ${limit >> 20} MiB`);
  return bytes;
}

/** What became of an upload. */
export type Uploaded =
  | { outcome: "sent" }
  /** The leader will never take it. */
  | { outcome: "refused"; why: string }
  /** The same again later; `after_ms` where a time was named. `error`: not to be passed over as the network's. */
  | { outcome: "later"; why: string; after_ms: number; error?: unknown };

/**
 * One PUT of a report as DAP says.
 *
 * @throws the signal's reason
 */
export async function put(
  url: string,
  report: Uint8Array,
  signal: AbortSignal,
  way: Way = fetch,
): Promise<Uploaded> {
  try {
    const headers = { "Content-Type": "application/dap-report" };
    const body = report as Uint8Array<ArrayBuffer>;
    const asking = { ...QUIET, cache: "no-store", method: "PUT", headers, body, signal } as const;
    const response = await way(url, asking);
    if (response.ok) return { outcome: "sent" };
    const why = await refusal("leader", response);
    if (response.status < 500 && ![408, 425, 429].includes(response.status)) {
      return { outcome: "refused", why };
    }
    return { outcome: "later", why, after_ms: retryAfter(response) };
  } catch (cause) {
    signal.throwIfAborted();
    const after_ms = cause instanceof Blocked ? cause.after_ms : 0;
    const later = { outcome: "later", why: messageOf(cause), after_ms } as const;
    return [undefined, "NETWORK"].includes(codeOf(cause)) ? later : { ...later, error: cause };
  }
}

/** What somebody answered instead, with the type of a problem document (RFC 9457), where there is one. */
export async function refusal(who: string, response: Response): Promise<string> {
  const why = `the ${who} answered ${response.status}`;
  try {
    const { type } = (await response.json()) as { type?: unknown };
    return typeof type === "string" ? `${why} (${type.slice(0, 200)})` : why;
  } catch {
    return why;
  }
}

/** Milliseconds after which to come again; 0 where none are named. */
export function retryAfter(response: Response): number {
  const seconds = Number(response.headers.get("Retry-After"));
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 86_400) * 1000 : 0;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
