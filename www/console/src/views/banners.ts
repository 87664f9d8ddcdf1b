import { h } from "../draw.ts";
import { span } from "../format.ts";
import { t } from "../texts.ts";
import type { Status } from "../types.ts";

/** Figures older than this are said to be old. */
export const STALE_AFTER_S = 60;

/** What the page knows of its connection. */
export interface Connection {
  /** Why the newest request failed; null: it did not. */
  readonly trouble: string | null;
  /** Seconds since the figures were made, by the server's clock; null: there are none. */
  readonly age: number | null;
}

function banner(
  kind: "bad" | "warn" | "info",
  id: string,
  title: string,
  text: string,
): HTMLElement {
  return h(
    "div",
    { class: `banner ${kind}`, "data-testid": id },
    h("strong", {}, title),
    h("p", {}, text),
  );
}

/** Everything that is wrong, worst first; then what must be known. */
export function banners(connection: Connection, status: Status | null): HTMLElement[] {
  const out: HTMLElement[] = [];
  const { trouble, age } = connection;
  if (trouble !== null) {
    const text = t.offlineText(trouble, age === null ? null : span(age));
    out.push(banner("bad", "offline", t.offline, text));
  } else if (age !== null && age > STALE_AFTER_S) {
    out.push(banner("warn", "stale", t.staleTitle, t.staleText(span(age))));
  }
  for (const { role, url, error } of status?.aggregators ?? []) {
    if (error === null) continue;
    const why = /[.!?]$/.test(error) ? error : `${error}.`;
    out.push(banner("bad", `down-${role}`, t.downTitle(t.role(role)), t.downText(url, why)));
  }
  if (status !== null && status.notice !== "") {
    out.push(banner("info", "notice", t.noticeTitle, status.notice));
  }
  return out;
}
