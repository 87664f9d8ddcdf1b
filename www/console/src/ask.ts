/** Asks the console's server, once. */

import { t } from "./texts.ts";
import { isStatus, type Status } from "./types.ts";

const PATIENCE_MS = 10_000;

export type Answer =
  | { readonly kind: "status"; readonly status: Status; readonly serverNow: number }
  | { readonly kind: "refused" }
  | { readonly kind: "failed"; readonly why: string };

const failed = (why: string): Answer => ({ kind: "failed", why });

/** The server's own clock, so that a wrong clock of the operator's makes nothing look stale. */
function clockOf(response: Response): number {
  const date = Date.parse(response.headers.get("Date") ?? "");
  return (Number.isNaN(date) ? Date.now() : date) / 1000;
}

/** Never rejects: what went wrong is part of the answer. */
export async function ask(token: string): Promise<Answer> {
  let response: Response;
  try {
    response = await fetch("status.json", {
      headers: { Authorization: `Bearer ${token}`, Accept: "application/json" },
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    return failed(late ? t.timedOut : t.networkFailed);
  }
  if (response.status === 401 || response.status === 403) return { kind: "refused" };
  if (!response.ok) return failed(t.statusWas(response.status));
  try {
    const status: unknown = await response.json();
    if (!isStatus(status)) return failed(t.notOurs);
    return { kind: "status", status, serverNow: clockOf(response) };
  } catch {
    return failed(t.notOurs);
  }
}
