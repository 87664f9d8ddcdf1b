import { readStored, writeStored } from "./storage.ts";

type Listener = () => void;
export type Theme = "light" | "dark";

/** A quantity nobody orders by hand; keeps a mangled stored basket harmless. */
const MOST_OF_ONE = 99;

function parseBasket(text: string | null): Map<string, number> {
  const lines = new Map<string, number>();
  if (text === null) return lines;
  try {
    const raw: unknown = JSON.parse(text);
    if (typeof raw !== "object" || raw === null) return lines;
    for (const [id, count] of Object.entries(raw)) {
      if (typeof count === "number" && Number.isInteger(count) && count > 0)
        lines.set(id, Math.min(count, MOST_OF_ONE));
    }
  } catch {
    // An unreadable basket is an empty basket.
  }
  return lines;
}

/** The basket: stays in this browser, like everything else. */
export class Basket {
  #lines = parseBasket(readStored("basket"));
  #listeners = new Set<Listener>();

  get lines(): readonly (readonly [string, number])[] {
    return [...this.#lines];
  }

  get count(): number {
    let total = 0;
    for (const count of this.#lines.values()) total += count;
    return total;
  }

  quantity(id: string): number {
    return this.#lines.get(id) ?? 0;
  }

  set(id: string, count: number): void {
    const wanted = Math.max(0, Math.min(Math.trunc(count), MOST_OF_ONE));
    if (wanted === 0) this.#lines.delete(id);
    else this.#lines.set(id, wanted);
    this.#save();
  }

  clear(): void {
    this.#lines.clear();
    this.#save();
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #save(): void {
    writeStored("basket", JSON.stringify(Object.fromEntries(this.#lines)));
    for (const listener of this.#listeners) listener();
  }
}

export function currentTheme(): Theme {
  const stored = readStored("theme");
  if (stored === "light" || stored === "dark") return stored;
  return matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

function applyTheme(theme: Theme): void {
  document.documentElement.dataset["theme"] = theme;
}

/** Only a remembered choice is applied: without one, the style sheet follows the system. */
export function restoreTheme(): void {
  if (readStored("theme") !== null) applyTheme(currentTheme());
}

export function chooseTheme(theme: Theme): void {
  writeStored("theme", theme);
  applyTheme(theme);
}
