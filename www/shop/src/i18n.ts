/** Which language the shop speaks, and how it writes money, numbers, sizes and times. */

import { numbers } from "./format.ts";
import { ar } from "./texts/ar.ts";
import { en } from "./texts/en.ts";
import type { Texts } from "./texts/en.ts";

/** Every language of the shop by its tag. */
export const LANGUAGES: Readonly<Record<string, Texts>> = { en, ar };

const asked = new URLSearchParams(location.search);

/** `?lang=` chooses. English otherwise, since the products have English names. */
export const locale = Object.keys(LANGUAGES).find((tag) => tag === asked.get("lang")) ?? "en";
export const t: Texts = LANGUAGES[locale] ?? en;

/** Tells the page its language and direction. `?dir=` turns any language round, to look at the layout. */
export function applyLanguage(): void {
  const root = document.documentElement;
  root.lang = locale;
  const turned = asked.get("dir");
  root.dir = turned === "rtl" || turned === "ltr" ? turned : t.dir;
}

/** True where lines run from right to left. */
export function rightToLeft(): boolean {
  return document.documentElement.dir === "rtl";
}

/** This page in another language. */
export function inLanguage(tag: string): string {
  const url = new URL(location.href);
  url.searchParams.set("lang", tag);
  url.searchParams.delete("dir");
  return url.href;
}

export const number = numbers(locale);

export function money(amount: number, currency: string): string {
  return new Intl.NumberFormat(locale, { style: "currency", currency }).format(amount);
}

export function percent(share: number): string {
  return new Intl.NumberFormat(locale, { style: "percent", maximumFractionDigits: 0 }).format(
    share,
  );
}

function measure(value: number, unit: string, digits: number): string {
  const maximumFractionDigits = digits;
  return new Intl.NumberFormat(locale, { style: "unit", unit, maximumFractionDigits }).format(
    value,
  );
}

export function milliseconds(value: number | null): string {
  return value === null ? t.none : measure(value, "millisecond", value < 10 ? 1 : 0);
}

export function bytes(value: number): string {
  if (value < 1024) return measure(value, "byte", 0);
  if (value < 1024 * 1024) return measure(value / 1024, "kilobyte", 1);
  return measure(value / 1024 / 1024, "megabyte", 1);
}
