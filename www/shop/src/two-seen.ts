import { h } from "./dom.ts";
import { t } from "./i18n.ts";
import type { ShelfMessage } from "./twin-messages.ts";

/** How often the server's list is read. It is left out of the list itself. */
const EVERY_MS = 2000;

interface Row {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly count: number;
}

interface Log {
  readonly requests: number;
  readonly bodies: number;
  readonly rows: readonly Row[];
}

/** A shopper as far as this view needs to know. */
export interface Seen {
  readonly name: string;
  readonly host: string;
  readonly shown: ShelfMessage | null;
}

function isRow(row: unknown): row is Row {
  return (
    typeof row === "object" &&
    row !== null &&
    "method" in row &&
    "path" in row &&
    "host" in row &&
    "count" in row
  );
}

async function readLog(): Promise<Log | null> {
  try {
    const response = await fetch(new URL("/onshelf-log.json", location.href), {
      cache: "no-store",
    });
    if (!response.ok) return null;
    const log: unknown = await response.json();
    if (typeof log !== "object" || log === null || !("rows" in log) || !Array.isArray(log.rows))
      return null;
    const { requests, bodies } = { requests: 0, bodies: 0, ...log };
    return { requests, bodies, rows: log.rows.filter(isRow) };
  } catch {
    return null;
  }
}

/** What the server was asked, by its own list, beside what the shoppers did meanwhile. */
export class SeenView {
  readonly root: HTMLElement;
  readonly #clicks = h("p", { class: "two-common", "data-testid": "seen-clicks" });
  readonly #kinds = h("p", {}, t.two.seenNothing);
  readonly #body = h("tbody");
  readonly #table: HTMLElement;
  /** Requests and clicks when both shelves were there. */
  #start: { requests: number; clicks: number } | null = null;
  #known = true;

  constructor(readonly shoppers: readonly Seen[]) {
    const cells = [t.two.method, t.two.path, ...shoppers.map(({ name }) => t.two.from(name))];
    this.#table = h(
      "div",
      { class: "two-list", tabindex: 0, role: "region", "aria-label": t.two.files },
      h(
        "table",
        {},
        h("thead", {}, h("tr", {}, ...cells.map((cell) => h("th", { scope: "col" }, cell)))),
        this.#body,
      ),
    );
    this.root = h(
      "section",
      { class: "two-seen", "aria-labelledby": "two-seen", "data-testid": "seen" },
      h("h2", { id: "two-seen" }, t.two.seenTitle),
      this.#clicks,
      this.#kinds,
      this.#table,
    );
    setInterval(() => void this.#read(), EVERY_MS);
  }

  draw(): void {
    if (this.#start === null) void this.#read();
  }

  async #read(): Promise<void> {
    if (document.hidden || !this.#known) return;
    const log = await readLog();
    if (log === null) {
      this.#known = false;
      this.#kinds.textContent = t.two.seenNoList;
      this.#table.hidden = true;
      return;
    }
    if (this.shoppers.every(({ shown }) => shown !== null)) {
      const clicks = this.shoppers.reduce((sum, { shown }) => sum + (shown?.clicks ?? 0), 0);
      this.#start ??= { requests: log.requests, clicks };
      // A shopper who erased everything has fewer clicks than before.
      const since = Math.max(clicks - this.#start.clicks, 0);
      this.#clicks.textContent = t.two.seenClicks(since, log.requests - this.#start.requests);
    }
    this.#kinds.textContent = t.two.seenKinds(log.requests, log.bodies);
    this.#list(log.rows);
  }

  /** One row a file, with how often it was asked for under each shopper's name of the server. */
  #list(rows: readonly Row[]): void {
    const files = new Map<string, Map<string, number>>();
    for (const { method, path, host, count } of rows) {
      // What this page itself is made of says nothing of either shopper.
      if (/^\/two\.|^\/favicon/.test(path)) continue;
      const key = `${method} ${path}`;
      const hosts = files.get(key) ?? new Map<string, number>();
      files.set(key, hosts.set(host, (hosts.get(host) ?? 0) + count));
    }
    const lines = [...files].map(([key, hosts]) => {
      const [method = "", path = ""] = key.split(/ (.*)/s);
      const counts = this.shoppers.map(({ host }) =>
        h("td", { class: "count" }, hosts.get(host) ?? 0),
      );
      return h("tr", {}, h("td", {}, method), h("td", {}, h("code", {}, path)), ...counts);
    });
    this.#body.replaceChildren(...lines);
  }
}
