import { figure, gainPlot, type GainPoint } from "../chart.ts";
import { cell, chip, empty, facts, fold, h, hash, numberCell, section, time } from "../draw.ts";
import { points, share, short, width } from "../format.ts";
import { t } from "../texts.ts";
import type { Status, Version } from "../types.ts";
import { longTable } from "./long.ts";
import { CERTAIN } from "./verdict.ts";

const PLOTTED = 40;
const GAIN = "canary_ndcg_20_gain";
const ERROR = "canary_ndcg_20_gain_error";

function gainOf({ metrics }: Version): { gain: number; error: number } | null {
  const gain = metrics[GAIN];
  return gain === undefined ? null : { gain, error: metrics[ERROR] ?? 0 };
}

const gainText = ({ gain, error }: { gain: number; error: number }): string =>
  t.plusMinus(points(gain), width(CERTAIN * error));

/** Versions that serve again after a roll-back are the same version: drawn once. */
function plot(newest: readonly Version[]): HTMLElement | null {
  const judged = newest.filter((one) => one.event === "published" && gainOf(one) !== null);
  if (judged.length === 0) return null;
  const serving = newest.find((one) => one.serving)?.digest;
  const drawn: GainPoint[] = judged
    .slice(0, PLOTTED)
    .reverse()
    .map((one) => {
      const found = gainOf(one) ?? { gain: 0, error: 0 };
      return {
        label: one.version.length > 8 ? one.version.slice(-8) : one.version,
        gain: found.gain * 100,
        half: CERTAIN * found.error * 100,
        serving: one.digest === serving,
        hint: `${one.version}: ${gainText(found)}`,
      };
    });
  return figure(
    t.plotGain,
    t.plotGainNote(drawn.length, judged.length),
    t.plotGainLabel(drawn.length),
    (total) => gainPlot(total, drawn, short, t.axisPoints),
  );
}

function row(one: Version, at: number): HTMLElement {
  const gain = gainOf(one);
  const metrics = Object.entries(one.metrics).map(([name, value]): [string, string] => [
    t.metricNames[name] ?? name,
    name.startsWith("canary_ndcg_20_gain") ? t.points(points(value)) : share(value),
  ]);
  return h(
    "tr",
    { class: one.serving ? "serving" : undefined },
    h(
      "th",
      { scope: "row" },
      h("span", { class: "version" }, one.version, one.serving && chip(t.serving, "published")),
    ),
    cell(t.events[one.event] ?? one.event),
    cell(time(one.at)),
    numberCell(gain === null ? t.unknown : gainText(gain)),
    cell(hash(one.digest)),
    cell(
      metrics.length > 0 &&
        fold(
          `metrics-${one.digest}-${at}`,
          t.metrics,
          facts(...metrics, [t.created, time(one.created)]),
        ),
    ),
  );
}

/** The public log of versions with what the canary measured, and which one serves. */
export function versions(status: Status): HTMLElement {
  const newest = [...status.versions].sort((a, b) => b.at - a.at);
  if (newest.length === 0) return section("versions", t.versions, empty(t.versionsNone));
  const columns = [
    { name: t.version },
    { name: t.event },
    { name: t.at },
    { name: t.canary, number: true },
    { name: t.digest },
    { name: t.metrics },
  ];
  return section(
    "versions",
    t.versions,
    h(
      "div",
      { class: "card stack" },
      plot(newest),
      longTable(
        "versions",
        t.versions,
        columns,
        newest.map((one, at) => row(one, newest.length - at)),
      ),
    ),
  );
}
