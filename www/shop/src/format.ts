/** Numbers as a language writes them, for the tables of texts. */

export function numbers(locale: string): (value: number) => string {
  const format = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  return (value) => format.format(value);
}

/** Words for a number of things, by the plural categories that a language has; `#` stands for the number. */
export type Forms = Partial<Record<Intl.LDMLPluralRule, string>> & { readonly other: string };

export function plurals(locale: string): (count: number, forms: Forms) => string {
  const rules = new Intl.PluralRules(locale);
  const number = numbers(locale);
  return (count, forms) =>
    (forms[rules.select(count)] ?? forms.other).replaceAll("#", number(count));
}
