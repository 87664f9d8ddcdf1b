import { h, type Child } from "../draw.ts";
import { count, moment, short } from "../format.ts";
import { isOpen, refused, tasksOf, verified } from "../tasks.ts";
import { t } from "../texts.ts";
import type { Status } from "../types.ts";

function tile(id: string, name: string, value: Child, text: string, big = "big"): HTMLElement {
  return h(
    "div",
    { class: "tile", "data-testid": id },
    h("dt", {}, name),
    h("dd", {}, h("span", { class: big }, value), h("span", { class: "note" }, text)),
  );
}

/** The four figures an operator looks for first. */
export function summary(status: Status, now: number): HTMLElement {
  const tasks = tasksOf(status);
  const open = tasks.filter((task) => isOpen(task, now));
  const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0);
  const seen = open.map(({ leader, common }) => leader ?? common);
  const least = sum(open.map(({ common }) => common.min_batch));
  const worst = [...status.lineages].sort((a, b) => b.epsilon / b.budget - a.epsilon / a.budget)[0];
  const serving = status.versions.find((one) => one.serving);
  const leaders = tasks.flatMap(({ leader }) => (leader === null ? [] : [refused(leader)]));
  return h(
    "dl",
    { class: "tiles", "data-testid": "summary" },
    tile(
      "tile-reports",
      t.tileReports,
      open.length === 0 ? t.unknown : count(sum(seen.map(verified))),
      open.length === 0 ? t.tileNoRound : t.tileReportsOf(count(least)),
    ),
    tile("tile-rejected", t.tileRejected, count(sum(leaders)), t.tileRejectedText),
    tile(
      "tile-budget",
      t.tileBudget,
      worst === undefined ? t.unknown : short(worst.epsilon),
      worst === undefined ? t.tileNoBudget : t.tileBudgetOf(short(worst.budget), worst.lineage),
    ),
    tile(
      "tile-serving",
      t.tileServing,
      serving?.version ?? t.unknown,
      serving === undefined ? t.tileNoServing : t.tileSince(moment(serving.at)),
      "big hex",
    ),
  );
}
