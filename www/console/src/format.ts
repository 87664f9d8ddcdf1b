/** Numbers and times as people read them. */

import { locale, t } from "./texts.ts";

const whole = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const few = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });
const metric = new Intl.NumberFormat(locale, { maximumFractionDigits: 4 });
const signed = new Intl.NumberFormat(locale, {
  minimumFractionDigits: 2,
  maximumFractionDigits: 2,
  signDisplay: "exceptZero",
});
const plain = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const day = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });

/** An answer may lack a number, or have something else in its place. */
const isNumber = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value);

/** A count, with separators. */
export const count = (value: number | null | undefined): string =>
  isNumber(value) ? whole.format(value) : t.unknown;

/** A number of three significant digits: ε, z. */
export const short = (value: number | null | undefined): string =>
  isNumber(value) ? few.format(value) : t.unknown;

/** A metric between 0 and 1. */
export const share = (value: number | null | undefined): string =>
  isNumber(value) ? metric.format(value) : t.unknown;

/** δ, which is a power of ten. */
export const tiny = (value: number | null | undefined): string =>
  isNumber(value)
    ? value.toExponential().replace("e-", " × 10⁻").replace(/\d+$/, superscript)
    : t.unknown;

function superscript(digits: string): string {
  return [...digits].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)] ?? digit).join("");
}

/** A difference of NDCG@20 in points, hundredths, with its sign. */
export const points = (value: number | null | undefined): string =>
  isNumber(value) ? signed.format(value * 100) : t.unknown;

/** A width of an interval, in points. */
export const width = (value: number | null | undefined): string =>
  isNumber(value) ? plain.format(value * 100) : t.unknown;

/** A moment, in the operator's own time zone. */
export const moment = (seconds: number | null | undefined): string =>
  isNumber(seconds) ? day.format(new Date(seconds * 1000)) : t.unknown;

/** A time span in its two largest units: `2 d 4 h`. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const units: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([size]) => s >= size);
  if (first < 0) return "0 s";
  const parts = units.slice(first, first + 2).map(([size, unit], at) => {
    const n = at === 0 ? Math.floor(s / size) : Math.floor((s % units[first]![0]) / size);
    return n === 0 && at > 0 ? "" : `${n} ${unit}`;
  });
  return parts.join(" ").trim();
}

/** The beginning of a hash or an id; the whole of it stands in the title. */
export const brief = (id: string | null | undefined): string =>
  id ? String(id).slice(0, 10) : t.unknown;
