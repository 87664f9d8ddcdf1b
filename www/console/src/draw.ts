/** What all parts of the page are made of. */

import { h, type Child, type Props } from "../../shop/src/dom.ts";
import { brief, moment } from "./format.ts";
import { t } from "./texts.ts";

export { h };
export type { Child };

/** A titled part of the page. */
export function section(id: string, title: string, ...children: Child[]): HTMLElement {
  const heading = h("h2", { id: `${id}-title` }, title);
  return h(
    "section",
    { "aria-labelledby": `${id}-title`, "data-testid": id },
    heading,
    ...children,
  );
}

export const note = (text: string): HTMLElement => h("p", { class: "note" }, text);
export const empty = (text: string): HTMLElement => h("p", { class: "empty" }, text);

/** A coloured word; colour alone never says anything. */
export const chip = (text: string, kind: string): HTMLElement =>
  h("span", { class: `chip ${kind}` }, text);

/** An id or a hash: its beginning, all of it in the title. */
export function hash(id: string | null | undefined): HTMLElement {
  return h("code", { title: id ?? undefined }, brief(id));
}

export function time(seconds: number | null): HTMLElement {
  if (seconds === null || !Number.isFinite(seconds)) return h("span", {}, t.unknown);
  return h("time", { datetime: new Date(seconds * 1000).toISOString() }, moment(seconds));
}

/** A bar with a meaning for screen readers. `second` is a lighter part after the first. */
export function meter(
  label: string,
  text: string,
  value: number,
  most: number,
  second = 0,
): HTMLElement {
  const part = (of: number): number => Math.max(0, Math.min(1, most > 0 ? of / most : 0));
  const bar = h("span", { class: "fill" });
  const rest = h("span", { class: "fill second" });
  // Set by script: a style attribute would need style-src 'unsafe-inline'.
  bar.style.inlineSize = `${part(value) * 100}%`;
  rest.style.inlineSize = `${(part(value + second) - part(value)) * 100}%`;
  const props: Props = {
    class: "meter",
    role: "meter",
    "aria-label": label,
    "aria-valuemin": 0,
    "aria-valuemax": most,
    "aria-valuenow": Math.min(value, most),
    "aria-valuetext": text,
    "data-full": value >= most ? "true" : undefined,
  };
  return h("div", props, bar, rest);
}

export interface Column {
  readonly name: string;
  readonly number?: boolean;
}

/** A table that scrolls sideways by itself, by keyboard too. */
export function table(
  caption: string,
  columns: readonly Column[],
  rows: HTMLElement[],
): HTMLElement {
  const head = columns.map(({ name, number }) =>
    h("th", { scope: "col", class: number ? "number" : undefined }, name),
  );
  return h(
    "div",
    { class: "scroll", role: "region", "aria-label": caption, tabindex: 0 },
    h(
      "table",
      {},
      h("caption", { class: "sr-only" }, caption),
      h("thead", {}, h("tr", {}, ...head)),
      h("tbody", {}, ...rows),
    ),
  );
}

export const cell = (...children: Child[]): HTMLElement => h("td", {}, ...children);
export const numberCell = (text: string): HTMLElement => h("td", { class: "number" }, text);

/** Names and values. */
export function facts(...pairs: [string, Child][]): HTMLElement {
  return h(
    "dl",
    { class: "facts" },
    ...pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}

/** What is folded away; `key` lets it stay open when the part is drawn again. */
export function fold(key: string, summary: string, ...children: Child[]): HTMLDetailsElement {
  return h("details", { "data-key": key }, h("summary", {}, summary), ...children);
}
