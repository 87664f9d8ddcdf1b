import { figure, reportsPlot, type ReportColumn } from "../chart.ts";
import { cell, chip, empty, fold, h, hash, numberCell, section, time } from "../draw.ts";
import { count, short } from "../format.ts";
import { tasksOf } from "../tasks.ts";
import { t } from "../texts.ts";
import type { Lineage, Round, Stage, Status, Verdict } from "../types.ts";
import { longTable } from "./long.ts";
import { verdictView } from "./verdict.ts";

/** Columns that a plot still shows apart. */
const PLOTTED = 40;

/** The stage's name; a stage of a later server is shown by its own. */
function nameOf(stage: Stage): string {
  if (typeof stage === "string") return stage;
  return Object.keys(stage ?? {})[0] ?? t.unknownWord;
}

function verdictOf(stage: Stage): Verdict | null {
  if (typeof stage === "string") return null;
  if ("published" in stage) return stage.published.verdict;
  return "refused" in stage ? stage.refused.verdict : null;
}

function outcome(lineage: Lineage, round: Round): HTMLElement {
  const { stage } = round;
  const verdict = verdictOf(stage);
  const said =
    typeof stage === "object" && "published" in stage
      ? t.publishedAs(stage.published.version)
      : typeof stage === "object" && "refused" in stage
        ? t.refusedBy
        : "";
  if (verdict === null) return cell(said);
  const key = `verdict-${lineage.lineage}-${round.number}`;
  return cell(
    h(
      "div",
      { class: "outcome" },
      said,
      fold(key, t.verdict, verdictView(verdict, t.verdictOf(round.number))),
    ),
  );
}

function row(lineage: Lineage, round: Round): HTMLElement {
  const name = nameOf(round.stage);
  return h(
    "tr",
    {},
    h("th", { scope: "row" }, String(round.number)),
    cell(chip(t.stages[name] ?? name, name)),
    numberCell(count(round.reports)),
    numberCell(short(round.epsilon)),
    cell(time(round.released_at)),
    outcome(lineage, round),
    cell(hash(round.task)),
  );
}

function plot(status: Status, rounds: readonly Round[]): HTMLElement | null {
  const counted = rounds.filter(({ reports }) => reports !== null);
  if (counted.length === 0) return null;
  const least = new Map(tasksOf(status).map(({ id, common }) => [id, common.min_batch]));
  const columns: ReportColumn[] = counted
    .slice(0, PLOTTED)
    .reverse()
    .map(({ number, reports, task, stage }) => ({
      label: String(number),
      reports: reports ?? 0,
      least: least.get(task) ?? null,
      kind: nameOf(stage),
      hint: `${t.number} ${number}: ${count(reports)} ${t.reportsUnit}, ${t.stages[nameOf(stage)] ?? nameOf(stage)}`,
    }));
  const most = Math.max(...columns.map(({ reports }) => reports));
  return figure(
    t.plotReports,
    t.plotReportsNote(columns.length, counted.length),
    t.plotReportsLabel(columns.length, count(most)),
    (width) => reportsPlot(width, columns, count, t.axisReports),
  );
}

function lineageView(status: Status, lineage: Lineage): HTMLElement {
  const newest = [...lineage.rounds].sort((a, b) => b.number - a.number);
  const columns = [
    { name: t.number },
    { name: t.state },
    { name: t.reports, number: true },
    { name: t.epsilon, number: true },
    { name: t.releasedAt },
    { name: t.outcome },
    { name: t.taskId },
  ];
  return h(
    "article",
    { class: "card" },
    h("h3", {}, t.roundsOfLineage(lineage.lineage)),
    newest.length === 0
      ? empty(t.roundsNone)
      : h(
          "div",
          { class: "stack" },
          plot(status, newest),
          longTable(
            `rounds-${lineage.lineage}`,
            t.roundsOfLineage(lineage.lineage),
            columns,
            newest.map((round) => row(lineage, round)),
          ),
        ),
  );
}

/** Every round of every lineage: how many took part, what it cost, what came of it. */
export function rounds(status: Status): HTMLElement {
  if (status.lineages.length === 0) return section("rounds", t.rounds, empty(t.roundsNone));
  return section("rounds", t.rounds, ...status.lineages.map((one) => lineageView(status, one)));
}
