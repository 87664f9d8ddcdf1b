import { breathe } from "./dom.ts";
import type { Product, ProductFile } from "./types.ts";

export interface CategoryNode {
  readonly name: string;
  readonly path: readonly string[];
  readonly children: Map<string, CategoryNode>;
  /** Ids of every product here or below, in order of popularity. */
  readonly ids: string[];
}

interface SearchRow {
  readonly id: string;
  readonly name: string;
  readonly brand: string;
  readonly rest: string;
}

/** How many rows are indexed before the page gets a turn. */
const SLICE = 400;

function node(name: string, path: readonly string[]): CategoryNode {
  return { name, path, children: new Map(), ids: [] };
}

function isProductFile(value: unknown): value is ProductFile {
  return (
    typeof value === "object" &&
    value !== null &&
    "products" in value &&
    Array.isArray(value.products)
  );
}

function scoreWord(row: SearchRow, word: string): number {
  if (row.name.startsWith(word)) return 6;
  const inName = row.name.indexOf(word);
  if (inName > 0) return row.name[inName - 1] === " " ? 5 : 2;
  if (row.brand.startsWith(word)) return 4;
  const inRest = row.rest.indexOf(word);
  if (inRest < 0) return 0;
  return inRest === 0 || row.rest[inRest - 1] === " " ? 3 : 1;
}

export class Catalogue {
  readonly root = node("", []);
  readonly #byId = new Map<string, Product>();
  readonly #rows: SearchRow[] = [];

  private constructor(
    readonly shop: string,
    readonly currency: string,
  ) {}

  static async load(url: URL): Promise<Catalogue> {
    const response = await fetch(url);
    if (!response.ok) throw new Error(`${url.pathname}: ${response.status}`);
    const file: unknown = await response.json();
    if (!isProductFile(file)) throw new Error(`${url.pathname}: not a product list`);
    const catalogue = new Catalogue(file.shop, file.currency);
    for (let start = 0; start < file.products.length; start += SLICE) {
      for (const product of file.products.slice(start, start + SLICE)) catalogue.#add(product);
      await breathe();
    }
    return catalogue;
  }

  #add(product: Product): void {
    if (this.#byId.has(product.item_id)) return;
    this.#byId.set(product.item_id, product);
    let place = this.root;
    place.ids.push(product.item_id);
    for (const name of product.category) {
      let next = place.children.get(name);
      if (next === undefined) {
        next = node(name, [...place.path, name]);
        place.children.set(name, next);
      }
      next.ids.push(product.item_id);
      place = next;
    }
    this.#rows.push({
      id: product.item_id,
      name: product.name.toLowerCase(),
      brand: product.brand.toLowerCase(),
      rest: `${product.category.join(" ")} ${product.colour} ${product.pattern}`.toLowerCase(),
    });
  }

  get(id: string): Product | undefined {
    return this.#byId.get(id);
  }

  get departments(): CategoryNode[] {
    return [...this.root.children.values()];
  }

  find(path: readonly string[]): CategoryNode | undefined {
    let place: CategoryNode | undefined = this.root;
    for (const name of path) place = place?.children.get(name);
    return place;
  }

  /** The first products of the file: it is sorted by popularity. */
  popular(count: number): string[] {
    return this.root.ids.slice(0, count);
  }

  /** Products of the same leaf, widened to its parents, when no model can say what is similar. */
  neighbours(product: Product, count: number): string[] {
    const found = new Set<string>();
    for (let depth = product.category.length; depth > 0 && found.size <= count; depth--) {
      for (const id of this.find(product.category.slice(0, depth))?.ids ?? []) found.add(id);
    }
    found.delete(product.item_id);
    return [...found].slice(0, count);
  }

  /** Every word must be found somewhere; ties keep the order of popularity. */
  search(query: string, most: number): string[] {
    const words = query
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word.length > 0);
    if (words.length === 0) return [];
    const hits: { id: string; score: number }[] = [];
    for (const row of this.#rows) {
      let score = 0;
      for (const word of words) {
        // "mugs" should find "Mug" and the other way round.
        const found =
          scoreWord(row, word) ||
          (word.endsWith("s") && word.length > 3 ? scoreWord(row, word.slice(0, -1)) : 0);
        if (found === 0) {
          score = 0;
          break;
        }
        score += found;
      }
      if (score > 0) hits.push({ id: row.id, score });
    }
    return hits
      .sort((a, b) => b.score - a.score)
      .slice(0, most)
      .map((hit) => hit.id);
  }
}
