/** The page once somebody is signed in: its parts are drawn again only where their figures changed. */

import { h } from "./draw.ts";
import { span } from "./format.ts";
import { t } from "./texts.ts";
import type { Status } from "./types.ts";
import { banners, STALE_AFTER_S, type Connection } from "./views/banners.ts";
import { budget } from "./views/budget.ts";
import { rejected } from "./views/rejected.ts";
import { rounds } from "./views/rounds.ts";
import { summary } from "./views/summary.ts";
import { tasks } from "./views/tasks.ts";
import { versions } from "./views/versions.ts";

type Draw = (status: Status, now: number) => HTMLElement;

const PARTS: readonly (readonly [string, Draw])[] = [
  ["summary", summary],
  ["tasks", tasks],
  ["rejected", rejected],
  ["budget", budget],
  ["rounds", rounds],
  ["versions", versions],
];

/** A part that one odd field breaks does not take the others with it. */
function drawn(draw: Draw, status: Status, now: number): HTMLElement {
  try {
    return draw(status, now);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return h("section", {}, h("p", { class: "banner bad", role: "alert" }, t.brokenPart(why)));
  }
}

/** Replaces children, and keeps what was unfolded and where the focus was. */
function replace(place: HTMLElement, next: HTMLElement): void {
  const open = new Set(
    [...place.querySelectorAll<HTMLElement>("details[open]")].map((one) => one.dataset["key"]),
  );
  const active = document.activeElement;
  const focused = active instanceof HTMLElement && place.contains(active) ? active : null;
  const key = focused?.closest<HTMLElement>("[data-key]")?.dataset["key"];
  place.replaceChildren(next);
  for (const one of next.querySelectorAll("details")) one.open = open.has(one.dataset["key"]);
  if (focused === null || key === undefined) return;
  const again = next.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
  const target = again instanceof HTMLDetailsElement ? again.querySelector("summary") : again;
  target?.focus({ preventScroll: true });
}

export class Page {
  readonly root: HTMLElement;
  readonly #places = PARTS.map(() => h("div"));
  readonly #shown = PARTS.map(() => "");
  readonly #banners = h("div", {
    class: "banners",
    "aria-live": "polite",
    "data-testid": "banners",
  });
  readonly #state = h("span", { class: "state", "data-testid": "state" });
  readonly #age = h("span", { class: "note" });
  #bannersShown = "";

  constructor(signOut: () => void) {
    const out = h(
      "button",
      { type: "button", class: "plain", onclick: signOut, "data-testid": "sign-out" },
      t.signOut,
    );
    this.root = h(
      "div",
      { class: "page" },
      h("a", { class: "skip", href: "#main" }, t.skip),
      h(
        "header",
        { class: "top" },
        h(
          "h1",
          {},
          h("span", { class: "logo", "aria-hidden": "true" }),
          t.product,
          " ",
          h("span", { class: "place" }, t.place),
        ),
        h("div", { class: "tools" }, this.#state, this.#age, out),
      ),
      h("main", { id: "main", tabindex: -1 }, this.#banners, ...this.#places),
      h("footer", { class: "foot" }, h("p", {}, t.readOnly)),
    );
  }

  /** Draws what changed. `now` is the server's clock, seconds. */
  show(connection: Connection, status: Status | null, now: number): void {
    this.#connection(connection, status);
    if (status === null) {
      this.#places[0]?.replaceChildren(h("p", { class: "empty" }, t.loading));
      this.#places[0]?.toggleAttribute("hidden", connection.trouble !== null);
      return;
    }
    this.#places[0]?.removeAttribute("hidden");
    const { generated: _, ...figures } = status;
    // What is open and what has ended changes with the clock alone.
    const ended = status.aggregators
      .flatMap((a) => a.tasks ?? [])
      .map((task) => [task.start <= now, task.expires > now]);
    const key = JSON.stringify([figures, ended]);
    PARTS.forEach(([, draw], at) => {
      const place = this.#places[at];
      if (place === undefined || this.#shown[at] === key) return;
      this.#shown[at] = key;
      replace(place, drawn(draw, status, now));
    });
  }

  /** What only the passing of time changes. */
  tick(connection: Connection, status: Status | null, now: number): void {
    this.#connection(connection, status);
    for (const place of this.root.querySelectorAll<HTMLElement>("[data-until]")) {
      place.textContent = span(Number(place.dataset["until"]) - now);
    }
  }

  #connection(connection: Connection, status: Status | null): void {
    const { trouble, age } = connection;
    const kind = trouble !== null ? "bad" : age !== null && age > STALE_AFTER_S ? "warn" : "good";
    this.#state.className = `state ${kind}`;
    this.#state.textContent = trouble !== null ? t.troubled : kind === "warn" ? t.stale : t.live;
    this.#age.textContent = age === null ? "" : t.updated(span(age));
    const list = banners(connection, status);
    // A live region that is filled anew every second would be read out every second.
    const said = list.map((one) => one.textContent?.replace(/\d+ (s|min|h|d)\b/g, "")).join("\n");
    if (said === this.#bannersShown) return;
    this.#bannersShown = said;
    this.#banners.replaceChildren(...list);
  }
}
