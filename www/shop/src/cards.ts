import { addToBasket } from "./app.ts";
import type { App } from "./app.ts";
import { breathe, h, icon, icons } from "./dom.ts";
import { badge, flip } from "./flip.ts";
import { money, t } from "./i18n.ts";
import { drawProduct } from "./pictures/draw.ts";
import { linkTo } from "./router.ts";
import type { Product } from "./types.ts";

/** New cards made before the page gets a turn: keeps each piece of work well under a frame or two. */
const CARDS_AT_ONCE = 8;
const FEW_LEFT = 5;
/** Smaller climbs are noise to the eye. */
const WORTH_A_BADGE = 2;

export interface CardOptions {
  /** Chosen by the model: offers "Why this?" on each card, and marks those that climb. */
  readonly recommended: boolean;
  readonly shelfId: () => string | null;
}

function stockLine(product: Product): HTMLElement | null {
  if (product.stock <= 0) return h("span", { class: "stock out" }, t.soldOut);
  if (product.stock <= FEW_LEFT)
    return h("span", { class: "stock few" }, t.lastOnes(product.stock));
  return null;
}

function addButton(app: App, product: Product, remember: () => void): HTMLButtonElement {
  const press = async (): Promise<void> => {
    remember();
    const added = await addToBasket(app, product.item_id);
    app.say(added ? t.added(product.name) : t.noMore);
  };
  const button = h(
    "button",
    {
      type: "button",
      class: "round",
      "data-testid": "quick-add",
      "aria-label": t.addShort(product.name),
      onclick: () => void press(),
    },
    icon(icons.plus, 18),
  );
  button.disabled = product.stock <= 0;
  return button;
}

function whyButton(app: App, product: Product): HTMLButtonElement {
  return h(
    "button",
    {
      type: "button",
      class: "quiet",
      "data-testid": "why-button",
      "aria-label": t.whyFor(product.name),
      onclick: () => app.why(product.item_id),
    },
    t.why,
  );
}

function makeCard(app: App, product: Product, options: CardOptions): HTMLLIElement {
  const id = product.item_id;
  const remember = (): void => {
    const shelfId = options.shelfId();
    if (shelfId !== null) app.cameFrom.set(id, shelfId);
  };
  const link = h(
    "a",
    { class: "card-link", href: linkTo({ page: "product", id }), onclick: remember },
    h("span", { class: "pic" }, drawProduct(product)),
    h("span", { class: "brand" }, product.brand),
    h("span", { class: "name" }, product.name),
  );
  const foot = h(
    "div",
    { class: "card-foot" },
    h(
      "span",
      { class: "cost" },
      h("span", { class: "price" }, money(product.price, app.catalogue.currency)),
      stockLine(product),
    ),
    addButton(app, product, remember),
  );
  const card = h(
    "li",
    { class: "card", "data-testid": "product-card", "data-item-id": id },
    link,
    foot,
  );
  if (options.recommended) card.append(whyButton(app, product));
  return card;
}

/** A list of product cards that re-orders instead of redrawing. */
export class CardList {
  readonly root: HTMLUListElement;
  #cards = new Map<string, HTMLLIElement>();
  #order: readonly string[] = [];
  #turn = 0;

  constructor(
    readonly app: App,
    readonly options: CardOptions,
    className: string,
    label: string,
  ) {
    this.root = h("ul", { class: className, "aria-label": label, role: "list" });
  }

  get order(): readonly string[] {
    return this.#order;
  }

  /**
   * Shows these products in this order; says how many cards changed place. A later call outruns an earlier one.
   * Cards that climb are marked only where the order before was the model's, too: against what is popular, all do.
   */
  async show(ids: readonly string[], animate: boolean, ranked = false): Promise<number> {
    const turn = ++this.#turn;
    const known = ids.filter((id) => this.app.catalogue.get(id) !== undefined);
    let made = 0;
    for (const id of known) {
      if (this.#cards.has(id)) continue;
      if (made > 0 && made % CARDS_AT_ONCE === 0) {
        await breathe();
        if (turn !== this.#turn) return 0;
      }
      this.#make(id);
      made++;
    }
    return this.#arrange(known, animate, ranked);
  }

  #make(id: string): void {
    const product = this.app.catalogue.get(id);
    if (product !== undefined) this.#cards.set(id, makeCard(this.app, product, this.options));
  }

  #arrange(ids: readonly string[], animate: boolean, ranked: boolean): number {
    const before = this.#order;
    const moved = ids.filter((id, place) => before[place] !== id).length;
    if (moved === 0 && before.length === ids.length) return 0;
    const change = (): HTMLElement[] => this.#place(ids);
    if (animate && before.length > 0 && this.root.isConnected) {
      flip(
        [...this.#cards.values()].filter((card) => card.isConnected),
        change,
      );
      if (this.options.recommended && ranked) this.#mark(before, ids);
    } else change();
    this.#order = ids;
    return before.length === 0 ? 0 : moved;
  }

  /** Moving an element drops the keyboard focus from it, so focus is given back. */
  #place(ids: readonly string[]): HTMLElement[] {
    const focused = document.activeElement;
    const cards = ids.map((id) => this.#cards.get(id)).filter((card) => card !== undefined);
    this.root.replaceChildren(...cards);
    if (
      focused instanceof HTMLElement &&
      focused !== document.activeElement &&
      this.root.contains(focused)
    ) {
      focused.focus({ preventScroll: true });
    }
    return cards;
  }

  #mark(before: readonly string[], after: readonly string[]): void {
    const was = new Map(before.map((id, place) => [id, place]));
    after.forEach((id, place) => {
      const card = this.#cards.get(id);
      const old = was.get(id);
      if (card === undefined) return;
      if (old === undefined) badge(card, t.isNew);
      else if (old - place >= WORTH_A_BADGE) badge(card, t.movedUp(old - place));
    });
  }
}
