/**
 * A model that anybody can work out by hand. Popularity is the order of the items; a shopper's clicks speak for what is
 * like them. No chance, no clock, no learning from outside the session.
 */

import type { Boost, Filter, RecommendRequest, ShelfItem } from "onshelf";

/** An item of the made-up shop; those before it are clicked more often. */
export interface FakeItem {
  item_id: string;
  /** From the root. */
  category?: readonly string[];
  brand?: string;
  /** In the catalogue's currency. */
  price?: number;
  /** Left out: unknown, which counts as in stock. */
  stock?: number;
}

/** One event of a session, oldest first. */
export interface FakeClick {
  item_id: string;
  event: string;
}

/** What a request asks of the model. */
export type FakeRequest = Omit<RecommendRequest, "signal">;

const WEIGHTS: Readonly<Record<string, number>> = {
  view_item: 1,
  select_item: 1,
  add_to_wishlist: 1,
  add_to_cart: 2,
  purchase: 3,
};

/** Why a request cannot be answered, as one of onshelf's codes. */
export class FakeRefusal extends Error {
  readonly code: "INVALID_REQUEST" | "UNKNOWN_ITEM";

  constructor(code: "INVALID_REQUEST" | "UNKNOWN_ITEM", message: string) {
    super(message);
    this.name = "FakeRefusal";
    this.code = code;
  }
}

/** See the file's head. */
export class FakeModel {
  readonly #items: readonly FakeItem[];
  readonly #places: ReadonlyMap<string, number>;

  constructor(items: readonly FakeItem[]) {
    this.#items = items;
    this.#places = new Map(items.map(({ item_id }, at) => [item_id, at]));
    if (this.#places.size !== items.length) {
      throw new FakeRefusal("INVALID_REQUEST", "an item_id is there twice");
    }
  }

  /** How many items there are. */
  get size(): number {
    return this.#items.length;
  }

  /** Whether there is such an item. */
  has(item_id: string): boolean {
    return this.#places.has(item_id);
  }

  /** The item of this id. */
  item(item_id: string): FakeItem {
    const place = this.#places.get(item_id);
    if (place === undefined) {
      throw new FakeRefusal("UNKNOWN_ITEM", `there is no item ${JSON.stringify(item_id)}`);
    }
    return this.#items[place]!;
  }

  /** 0 to 3: 2 for the same category, 1 for the same root of it, and 1 for the same brand. */
  likeness(a: FakeItem, b: FakeItem): number {
    const [one, other] = [a.category ?? [], b.category ?? []];
    const root = one.length > 0 && one[0] === other[0];
    const same = root && one.length === other.length && one.every((part, at) => part === other[at]);
    return (same ? 2 : root ? 1 : 0) + (a.brand !== undefined && a.brand === b.brand ? 1 : 0);
  }

  /**
   * `popular`: 0 to 1 by place, which every other kind adds to its own. `similar`: likeness to the item.
   * `bought_together`: 1 for the brand of the item, or of what lies in the cart; only items of other categories are on it.
   * `for_you`: likeness to every click, by its kind (a view 1, the cart 2, a purchase 3), halved with every later click;
   * items of the session are not on it.
   */
  score(item: FakeItem, kind: string, about: readonly FakeItem[], session: readonly FakeClick[]) {
    const popular = 1 - this.#places.get(item.item_id)! / this.size;
    if (kind === "popular") return popular;
    if (kind === "similar") return this.likeness(item, about[0]!) + popular;
    if (kind === "bought_together") {
      return (about.some(({ brand }) => brand === item.brand) ? 1 : 0) + popular;
    }
    const clicks = session.map(({ item_id, event }, at) => {
      const weight = (WEIGHTS[event] ?? 0) * 0.5 ** (session.length - 1 - at);
      return weight * this.likeness(item, this.item(item_id));
    });
    return clicks.reduce((sum, part) => sum + part, popular);
  }

  /**
   * Fills a shelf.
   *
   * @throws FakeRefusal
   */
  rank(request: FakeRequest, session: readonly FakeClick[]): ShelfItem[] {
    const { kind = "for_you", count = 12, boosts = [], diversity = 0 } = request;
    const about = this.#about(kind, request, session);
    if (about === null) return [];
    for (const boost of boosts) demandBoost(boost);
    const chosen = kind === "continue" ? this.#seen(session) : this.#others(kind, about, session);
    const allowed = request.candidates && new Set(request.candidates);
    const scored = chosen
      .filter((item) => (allowed?.has(item.item_id) ?? true) && fits(item, request.filter))
      .map((item) => {
        const by = kind === "continue" ? [] : boosts.filter((boost) => touches(item, boost));
        const own = kind === "continue" ? 0 : this.score(item, kind, about, session);
        return { item, score: by.reduce((sum, { by }) => sum + by, own) };
      });
    // Sorting is stable: equals stay in the order of popularity, and the session's own in theirs.
    if (kind !== "continue") scored.sort((a, b) => b.score - a.score);
    const few = capped(scored, request.max_per_category);
    const best = kind === "continue" ? few : this.#spread(few, count, diversity);
    return best
      .slice(0, count)
      .map(({ item, score }, at) => ({ item_id: item.item_id, score, rank: at + 1 }));
  }

  /** The items that the shelf is about; `null` for an empty shelf. */
  #about(kind: string, { item_id }: FakeRequest, session: readonly FakeClick[]): FakeItem[] | null {
    if (item_id !== undefined) return [this.item(item_id)];
    if (kind === "similar") throw new FakeRefusal("INVALID_REQUEST", "similar needs an item_id");
    if (kind !== "bought_together") return [];
    const cart = new Set<string>();
    for (const click of session) {
      if (click.event === "add_to_cart") cart.add(click.item_id);
      if (["remove_from_cart", "purchase"].includes(click.event)) cart.delete(click.item_id);
    }
    return cart.size === 0 ? null : [...cart].map((id) => this.item(id));
  }

  #seen(session: readonly FakeClick[]): FakeItem[] {
    return [...new Set(session.map(({ item_id }) => item_id).reverse())].map((id) => this.item(id));
  }

  #others(kind: string, about: readonly FakeItem[], session: readonly FakeClick[]): FakeItem[] {
    const out = new Set(about.map(({ item_id }) => item_id));
    if (kind === "for_you") for (const { item_id } of session) out.add(item_id);
    const categories = new Set(kind === "bought_together" ? about.map(nameOf) : []);
    return this.#items.filter((item) => !out.has(item.item_id) && !categories.has(nameOf(item)));
  }

  /** Maximal marginal relevance, with a third of the likeness for likeness. */
  #spread(scored: readonly Scored[], count: number, diversity: number): Scored[] {
    if (diversity === 0 || scored.length < 2) return [...scored];
    const left = [...scored];
    const [best, worst] = [left[0]!.score, left.at(-1)!.score];
    const taken = [left.shift()!];
    const value = ({ item, score }: Scored) => {
      const alike = Math.max(...taken.map((one) => this.likeness(item, one.item))) / 3;
      return (1 - diversity) * ((score - worst) / (best - worst || 1)) - diversity * alike;
    };
    while (left.length > 0 && taken.length < count) {
      const values = left.map(value);
      taken.push(...left.splice(values.indexOf(Math.max(...values)), 1));
    }
    return taken;
  }
}

interface Scored {
  item: FakeItem;
  score: number;
}

const nameOf = ({ category = [] }: FakeItem): string => JSON.stringify(category);

const begins = (item: FakeItem, path: readonly string[] | undefined): boolean =>
  path?.every((part, at) => item.category?.[at] === part) ?? true;

const holds = (list: readonly string[] | undefined, value: string | undefined): boolean =>
  list === undefined || (value !== undefined && list.includes(value));

function fits(item: FakeItem, filter: Filter = {}): boolean {
  const { category, brand, in_stock = false, exclude = [] } = filter;
  const { price_min = -Infinity, price_max = Infinity } = filter;
  const bounded = filter.price_min !== undefined || filter.price_max !== undefined;
  const priced = item.price !== undefined && item.price >= price_min && item.price <= price_max;
  if (exclude.includes(item.item_id) || (bounded && !priced)) return false;
  return begins(item, category) && holds(brand, item.brand) && !(in_stock && item.stock === 0);
}

function touches(item: FakeItem, { item_ids, brand, category }: Boost): boolean {
  return holds(item_ids, item.item_id) && holds(brand, item.brand) && begins(item, category);
}

function demandBoost({ item_ids, brand, category, by }: Boost): void {
  const conditions = [item_ids, brand, category].some((one) => one !== undefined);
  if (conditions && Number.isFinite(by) && Math.abs(by) <= 10) return;
  throw new FakeRefusal("INVALID_REQUEST", "a boost needs a condition and `by` from -10 to 10");
}

function capped(scored: readonly Scored[], most: number | undefined): Scored[] {
  if (most === undefined) return [...scored];
  const counts = new Map<string, number>();
  return scored.filter(({ item }) => {
    const already = counts.get(nameOf(item)) ?? 0;
    counts.set(nameOf(item), already + 1);
    return already < most;
  });
}
