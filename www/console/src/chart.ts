/** Two plots, drawn as SVG at the width they have, so that their words stay readable on a phone. */

import { h } from "./draw.ts";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 190;
const LEFT = 52;
const RIGHT = 8;
const TOP = 12;
const BOTTOM = 30;
/** Room that a label under a column needs. */
const LABEL = 46;

type Attributes = Readonly<Record<string, string | number>>;

function el(tag: string, attributes: Attributes, text?: string): SVGElement {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A step of 1, 2 or 5 times a power of ten that divides a range into about four. */
export function niceStep(range: number): number {
  const rough = range > 0 ? range / 4 : 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  return ([1, 2, 5].find((step) => step * power >= rough) ?? 10) * power;
}

export interface Scale {
  readonly from: number;
  readonly to: number;
  readonly step: number;
}

/** Covers the values and zero, in whole steps. */
export function scaleOf(values: readonly number[]): Scale {
  const low = Math.min(0, ...values);
  const high = Math.max(0, ...values);
  const step = niceStep(high - low || 1);
  const to = Math.ceil(high / step) * step;
  const from = Math.floor(low / step) * step;
  return { from, to: to === from ? from + step : to, step };
}

class Plot {
  readonly root: SVGElement;
  readonly #inner: number;

  constructor(
    readonly total: number,
    readonly columns: number,
    readonly scale: Scale,
  ) {
    this.root = el("svg", { width: total, height: HEIGHT, "aria-hidden": "true", class: "plot" });
    this.#inner = total - LEFT - RIGHT;
  }

  y(value: number): number {
    const { from, to } = this.scale;
    return TOP + ((to - value) / (to - from)) * (HEIGHT - TOP - BOTTOM);
  }

  get step(): number {
    return this.#inner / Math.max(1, this.columns);
  }

  /** The middle of a column. */
  x(at: number): number {
    return LEFT + this.step * (at + 0.5);
  }

  add(tag: string, attributes: Attributes, text?: string): void {
    this.root.append(el(tag, attributes, text));
  }

  axis(format: (value: number) => string, unit: string): void {
    const { from, to, step } = this.scale;
    for (let at = 0; from + at * step <= to + step / 2; at++) {
      const value = from + at * step;
      const y = this.y(value);
      const zero = Math.abs(value) < step / 1e6;
      this.add("line", {
        x1: LEFT,
        x2: this.total - RIGHT,
        y1: y,
        y2: y,
        class: zero ? "zero" : "grid",
      });
      this.add("text", { x: LEFT - 6, y: y + 4, "text-anchor": "end" }, format(zero ? 0 : value));
    }
    this.add("text", { x: 2, y: HEIGHT - 8 }, unit);
  }

  /** Labels under as many columns as there is room for, the newest always. */
  labels(names: readonly string[]): void {
    const every = Math.max(1, Math.ceil(LABEL / this.step));
    names.forEach((name, at) => {
      if ((names.length - 1 - at) % every !== 0) return;
      this.add("text", { x: this.x(at), y: HEIGHT - 8, "text-anchor": "middle" }, name);
    });
  }
}

export interface ReportColumn {
  readonly label: string;
  readonly reports: number;
  /** The minimum batch; null where nobody knows it any more. */
  readonly least: number | null;
  readonly kind: string;
  readonly hint: string;
}

export function reportsPlot(
  total: number,
  columns: readonly ReportColumn[],
  format: (n: number) => string,
  unit: string,
): SVGElement {
  const values = columns.flatMap(({ reports, least }) => [reports, least ?? 0]);
  const plot = new Plot(total, columns.length, scaleOf(values));
  plot.axis(format, unit);
  const wide = Math.min(36, plot.step * 0.64);
  columns.forEach(({ reports, least, kind, hint }, at) => {
    const [x, y] = [plot.x(at) - wide / 2, plot.y(reports)];
    const bar = el("rect", {
      x,
      y,
      width: wide,
      height: plot.y(0) - y,
      rx: 2,
      class: `bar ${kind}`,
    });
    bar.append(el("title", {}, hint));
    plot.root.append(bar);
    if (least === null) return;
    const reach = Math.min(plot.step / 2, wide / 2 + 5);
    const level = plot.y(least);
    plot.add("line", {
      x1: plot.x(at) - reach,
      x2: plot.x(at) + reach,
      y1: level,
      y2: level,
      class: "least",
    });
  });
  plot.labels(columns.map(({ label }) => label));
  return plot.root;
}

export interface GainPoint {
  readonly label: string;
  /** In points. */
  readonly gain: number;
  /** Half of the bar, in points. */
  readonly half: number;
  readonly serving: boolean;
  readonly hint: string;
}

export function gainPlot(
  total: number,
  points: readonly GainPoint[],
  format: (n: number) => string,
  unit: string,
): SVGElement {
  const plot = new Plot(
    total,
    points.length,
    scaleOf(points.flatMap((p) => [p.gain - p.half, p.gain + p.half])),
  );
  plot.axis(format, unit);
  points.forEach(({ gain, half, serving, hint }, at) => {
    const x = plot.x(at);
    const [high, low] = [plot.y(gain + half), plot.y(gain - half)];
    const arm = Math.min(6, plot.step / 3);
    plot.add("path", {
      d: `M${x} ${high}V${low}M${x - arm} ${high}h${2 * arm}M${x - arm} ${low}h${2 * arm}`,
      class: "whisker",
    });
    const dot = el("circle", {
      cx: x,
      cy: plot.y(gain),
      r: serving ? 6 : 4.5,
      class: serving ? "dot serving" : "dot",
    });
    dot.append(el("title", {}, hint));
    plot.root.append(dot);
  });
  plot.labels(points.map(({ label }) => label));
  return plot.root;
}

/** A plot with its words; drawn anew when its width changes. */
export function figure(
  title: string,
  text: string,
  label: string,
  draw: (width: number) => SVGElement,
): HTMLElement {
  const frame = h("div", { class: "frame", role: "img", "aria-label": label });
  let drawn = 0;
  new ResizeObserver(([entry]) => {
    const width = Math.floor(entry?.contentRect.width ?? 0);
    if (width < 80 || width === drawn) return;
    drawn = width;
    frame.replaceChildren(draw(width));
  }).observe(frame);
  return h("figure", {}, h("figcaption", {}, h("strong", {}, title), h("span", {}, text)), frame);
}
