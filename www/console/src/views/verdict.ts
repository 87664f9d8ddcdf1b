import { h, numberCell, table } from "../draw.ts";
import { count, points, width } from "../format.ts";
import { t } from "../texts.ts";
import type { Verdict } from "../types.ts";

/** What the gate goes by: one-sided 95 %. */
export const CERTAIN = 1.645;

/** The canary's judgement: reasons of a refusal, then every segment. */
export function verdictView(verdict: Verdict, caption: string): HTMLElement {
  const rows = verdict.differences.map(({ segment, gain, error, sessions }) =>
    h(
      "tr",
      { class: gain + CERTAIN * error < 0 ? "differs" : undefined },
      h("th", { scope: "row" }, t.segments[segment] ?? segment),
      numberCell(t.plusMinus(points(gain), width(CERTAIN * error))),
      numberCell(count(sessions)),
    ),
  );
  const columns = [
    { name: t.segment },
    { name: t.gain, number: true },
    { name: t.sessions, number: true },
  ];
  return h(
    "div",
    { class: "stack" },
    verdict.reasons.length > 0 &&
      h("ul", { class: "reasons" }, ...verdict.reasons.map((reason) => h("li", {}, reason))),
    rows.length > 0 && table(caption, columns, rows),
    rows.length > 0 && h("p", { class: "note" }, t.gainNote),
  );
}
