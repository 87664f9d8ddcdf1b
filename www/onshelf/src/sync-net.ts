/** What sync says over the network: three GETs and one PUT, without cookies and without a referrer. */

import { fail } from "./errors.js";

/** Longest answer that is read, in bytes, where nobody says otherwise. */
const LIMIT = 1 << 20;

const QUIET = {
  credentials: "omit",
  referrerPolicy: "no-referrer",
  redirect: "error",
} as const satisfies RequestInit;

/**
 * Fetches a small file.
 *
 * @returns `null` where there is none
 * @throws OnshelfError `NETWORK`; the signal's reason
 */
export async function get(
  url: string,
  signal: AbortSignal,
  limit = LIMIT,
): Promise<Uint8Array | null> {
  try {
    const response = await fetch(url, { ...QUIET, cache: "no-cache", signal });
    if (response.status === 404 || response.status === 410) return null;
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length > limit) throw new Error(`longer than ${limit >> 20} MiB`);
    return bytes;
  } catch (cause) {
    signal.throwIfAborted();
    const what = cause instanceof Error ? cause.message : String(cause);
    throw fail("NETWORK", `${url}: ${what}`, cause);
  }
}

/** What became of an upload. */
export type Uploaded =
  | { outcome: "sent" }
  /** The leader will never take it. */
  | { outcome: "refused"; why: string }
  /** The same again later; `after_ms` where the server named a time. */
  | { outcome: "later"; why: string; after_ms: number };

/**
 * One PUT of a report as DAP says.
 *
 * @throws the signal's reason
 */
export async function put(url: string, report: Uint8Array, signal: AbortSignal): Promise<Uploaded> {
  try {
    const headers = { "Content-Type": "application/dap-report" };
    const body = report as Uint8Array<ArrayBuffer>;
    const init = { ...QUIET, cache: "no-store", method: "PUT", headers, body, signal } as const;
    const response = await fetch(url, init);
    if (response.ok) return { outcome: "sent" };
    const why = `the leader answered ${response.status}${await problem(response)}`;
    if (response.status < 500 && ![408, 425, 429].includes(response.status)) {
      return { outcome: "refused", why };
    }
    return { outcome: "later", why, after_ms: retryAfter(response) };
  } catch (cause) {
    signal.throwIfAborted();
    const why = cause instanceof Error ? cause.message : String(cause);
    return { outcome: "later", why, after_ms: 0 };
  }
}

/** The type of a problem document (RFC 9457), where there is one. */
async function problem(response: Response): Promise<string> {
  try {
    const { type } = (await response.json()) as { type?: unknown };
    return typeof type === "string" ? ` (${type.slice(0, 200)})` : "";
  } catch {
    return "";
  }
}

function retryAfter(response: Response): number {
  const seconds = Number(response.headers.get("Retry-After"));
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 86_400) * 1000 : 0;
}
