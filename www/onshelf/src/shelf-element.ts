/**
 * `<onshelf-shelf>`: a shelf that a page drops in where it has one now.
 *
 * ```html,part
 * <onshelf-shelf slot="home" count="4" heading="For you">…what the server rendered…</onshelf-shelf>
 * ```
 * ```ts
 * import { defineShelfElement, type OnshelfShelf } from "onshelf/shelf";
 * defineShelfElement();
 * const element = document.querySelector<OnshelfShelf>("onshelf-shelf")!;
 * element.products = await (await fetch("/products.json")).json(); // { "sku-1": { name, url, image, price }, … }
 * element.shelf = shelf;
 * ```
 *
 * What the server rendered stays until there is a ranking, and for good where there never is one. Items are drawn as
 * cards with parts, or by the page: by a `<template>` child or by `renderItem`. Where the markup has an element with
 * `data-onshelf-items`, they take the place of its children, in the page's own style.
 *
 * Attributes: `slot` (or `id`), `kind`, `count`, `item-id`, `heading`, `heading-level`, `layout="row"`, `currency`,
 * `max-per-category`, `diversity`. Events: `onshelf-ranked`, `onshelf-view-item-list`, `onshelf-select-item`
 * (cancelable: then the page tracks the choice itself). Parts: `shelf`, `heading`, `list`, `item`, `link`, `image`,
 * `name`, `price`.
 */

import type { Onshelf } from "./client.js";
import { fillTemplate, priceText, productsOf, safeUrl } from "./shelf-product.js";
import type { ShelfProduct, ShelfProducts } from "./shelf-product.js";
import { STYLE } from "./shelf-style.js";
import { SETTLE_MS, STIRS } from "./stirs.js";
import type { RecommendRequest, Shelf, ShelfItem, ShelfKind } from "./types.js";
import { viewOf, watchViews, type ShelfView } from "./views.js";

export type { ShelfProduct, ShelfProducts } from "./shelf-product.js";

/** Where the page has no place for items of its own. */
const MADE = "onshelf-items";

const Base = (globalThis.HTMLElement ?? class {}) as typeof HTMLElement;

/** Draws one item; what it returns is put on the shelf. */
export type RenderItem = (item: ShelfItem, product: ShelfProduct) => Element;

/** What `onshelf-view-item-list` and `onshelf-select-item` tell, in GA4's words. */
export interface ShelfEventDetail extends ShelfView {
  item_list_name?: string;
  items: { item_id: string; item_name: string; index: number; price?: number }[];
}

interface Drawn {
  element: Element;
  item: ShelfItem;
  product: ShelfProduct;
}

/** See the file's head. */
export class OnshelfShelf extends Base {
  /** Attributes that change what is on the shelf, or how it is drawn. */
  static readonly observedAttributes = [
    "slot",
    "kind",
    "count",
    "item-id",
    "heading",
    "heading-level",
    "currency",
    "max-per-category",
    "diversity",
  ];

  #shelf: Onshelf | null = null;
  #products: ShelfProducts = {};
  #renderItem: RenderItem | null = null;
  #request: Partial<RecommendRequest> = {};
  #stop: (() => void) | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #busy = false;
  #again = false;
  #ranked: Shelf | null = null;
  #drawn = new Map<string, Drawn>();
  #unwatch: (() => void) | null = null;
  #viewed = "";
  readonly #parts = new Map<string, HTMLElement>();

  /** Who ranks. */
  get shelf(): Onshelf | null {
    return this.#shelf;
  }

  set shelf(shelf: Onshelf | null) {
    this.#shelf = shelf;
    if (this.isConnected) this.#listen();
  }

  /** What is shown of each item. */
  get products(): ShelfProducts {
    return this.#products;
  }

  set products(products: ShelfProducts) {
    this.#products = products;
    this.refresh();
  }

  /** The page's own drawing; goes before a `<template>`. */
  get renderItem(): RenderItem | null {
    return this.#renderItem;
  }

  set renderItem(render: RenderItem | null) {
    this.#renderItem = render;
    this.#drawn.clear();
    this.refresh();
  }

  /** More of the request than attributes can say, such as `filter` and `boosts`; goes over them. */
  get request(): Partial<RecommendRequest> {
    return this.#request;
  }

  set request(request: Partial<RecommendRequest>) {
    this.#request = request;
    this.refresh();
  }

  /** The ranking that is shown; `null` while it is what the server rendered. */
  get ranked(): Shelf | null {
    return this.#ranked;
  }

  connectedCallback(): void {
    if (this.shadowRoot === null) this.#build();
    this.#takeUp();
    this.addEventListener("click", this.#onClick);
    this.addEventListener("auxclick", this.#onClick);
    this.addEventListener("pointerleave", this.#onLeave);
    this.addEventListener("focusout", this.#onLeave);
    this.#watch();
    this.#listen();
  }

  /** What a page set before the element was defined would hide the properties of the same name. */
  #takeUp(): void {
    for (const name of ["shelf", "products", "renderItem", "request"] as const) {
      if (!Object.hasOwn(this, name)) continue;
      const value: unknown = this[name];
      delete (this as unknown as Record<string, unknown>)[name];
      (this as unknown as Record<string, unknown>)[name] = value;
    }
  }

  disconnectedCallback(): void {
    this.removeEventListener("click", this.#onClick);
    this.removeEventListener("auxclick", this.#onClick);
    this.removeEventListener("pointerleave", this.#onLeave);
    this.removeEventListener("focusout", this.#onLeave);
    this.#unwatch?.();
    this.#stop?.();
    this.#stop = null;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  attributeChangedCallback(): void {
    if (this.shadowRoot === null) return;
    this.#label();
    this.#drawn.clear();
    this.refresh();
  }

  /** Ranks anew, soon; not while the shopper points at the shelf or is in it by keyboard. */
  refresh(): void {
    if (!this.isConnected || this.#shelf === null) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#rank();
    }, SETTLE_MS);
  }

  #build(): void {
    const root = this.attachShadow({ mode: "open" });
    // Unlike a style element it needs no permission of a Content-Security-Policy.
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const make = (tag: string, part: string) => {
      const element = document.createElement(tag);
      element.setAttribute("part", part);
      this.#parts.set(part, element);
      return element;
    };
    const section = make("section", "shelf");
    const list = make("ul", "list");
    list.setAttribute("role", "list");
    list.className = "cards";
    list.hidden = true;
    const own = document.createElement("slot");
    const made = document.createElement("slot");
    made.name = MADE;
    this.#parts.set("own", own);
    section.append(own, made, list);
    root.append(section);
    this.#label();
  }

  #label(): void {
    const section = this.#parts.get("shelf")!;
    const text = this.getAttribute("heading");
    this.#parts.get("heading")?.remove();
    this.#parts.delete("heading");
    // A shelf without a name of its own is no landmark.
    if (text === null) return section.removeAttribute("aria-labelledby");
    const level = Number(this.getAttribute("heading-level") ?? 2);
    const heading = document.createElement(level >= 1 && level <= 6 ? `h${level}` : "h2");
    heading.id = "heading";
    heading.setAttribute("part", "heading");
    heading.textContent = text;
    // Without a single item there would be a heading over nothing.
    heading.hidden = this.#ranked === null && this.childElementCount === 0;
    this.#parts.set("heading", heading as HTMLElement);
    section.prepend(heading);
    section.setAttribute("aria-labelledby", "heading");
  }

  #listen(): void {
    this.#stop?.();
    this.#stop = this.#shelf?.onChange((what) => void (STIRS.has(what) && this.refresh())) ?? null;
    this.refresh();
  }

  readonly #onLeave = () => {
    if (this.#again) this.refresh();
  };

  /** Nothing moves under a pointer, nor under the keyboard's focus. */
  get #isHeld(): boolean {
    const pointed = matchMedia("(hover: hover)").matches && this.matches(":hover");
    return pointed || this.matches(":focus-within");
  }

  async #rank(): Promise<void> {
    const shelf = this.#shelf;
    this.#again = this.#busy || this.#isHeld;
    if (shelf === null || this.#again) return;
    this.#busy = true;
    try {
      const ranked = await shelf.recommend(this.#wanted());
      const ids = ranked.items.map(({ item_id }) => item_id);
      const products = await productsOf(this.#products, ids);
      if (shelf !== this.#shelf || !this.isConnected) return;
      // The shopper came meanwhile.
      if (this.#isHeld) this.#again = true;
      else this.#draw(ranked, products);
    } catch (error) {
      // What is shown stays. A disposed shelf is the page's wish, everything else its affair.
      if ((error as { code?: unknown }).code !== "DISPOSED") reportError(error);
    } finally {
      this.#busy = false;
      if (this.#again && !this.#isHeld) this.refresh();
    }
  }

  #wanted(): RecommendRequest {
    const number = (name: string) => {
      const value = this.getAttribute(name);
      return value === null || value.trim() === "" ? undefined : Number(value);
    };
    const wanted = {
      slot: this.getAttribute("slot") || this.id || "onshelf",
      kind: (this.getAttribute("kind") as ShelfKind | null) ?? undefined,
      item_id: this.getAttribute("item-id") ?? undefined,
      count: number("count"),
      max_per_category: number("max-per-category"),
      diversity: number("diversity"),
      ...this.#request,
    };
    const given = Object.entries(wanted).filter(([, value]) => value !== undefined);
    return Object.fromEntries(given) as unknown as RecommendRequest;
  }

  #draw(ranked: Shelf, products: ReadonlyMap<string, ShelfProduct>): void {
    const items = ranked.items.filter(({ item_id }) => products.has(item_id));
    // What was there is better than nothing.
    if (items.length === 0) return;
    const before = this.#drawn;
    this.#drawn = new Map();
    for (const item of items) {
      const product = products.get(item.item_id)!;
      const known = before.get(item.item_id);
      const stays =
        known !== undefined &&
        isSame(known.product, product) &&
        (!this.#drawsItself || known.item.rank === item.rank);
      const element = stays ? known.element : this.#make(item, product);
      if (known === undefined && before.size > 0) element.classList.add("new");
      else element.classList.remove("new");
      this.#drawn.set(item.item_id, { element, item, product });
    }
    const elements = [...this.#drawn.values()].map(({ element }) => element);
    this.#place().replaceChildren(...elements);
    this.#ranked = ranked;
    const heading = this.#parts.get("heading");
    if (heading !== undefined) heading.hidden = false;
    this.#tell("onshelf-ranked", ranked);
    this.#watch();
  }

  /** Where items go; whatever stood for them before is not shown any more. */
  #place(): Element {
    const list = this.#parts.get("list")!;
    const own = this.#parts.get("own")!;
    const drawsItself = this.#drawsItself;
    const place = drawsItself ? this.querySelector(`[data-${MADE}]`) : list;
    list.hidden = drawsItself;
    own.hidden = place === null || !drawsItself;
    if (place !== null) return place;
    const made = this.querySelector(`:scope > [slot="${MADE}"]`) ?? document.createElement("div");
    made.slot = MADE;
    made.setAttribute("role", "list");
    if (!made.isConnected) this.append(made);
    return made;
  }

  get #drawsItself(): boolean {
    return this.#renderItem !== null || this.#template !== null;
  }

  get #template(): HTMLTemplateElement | null {
    return this.querySelector<HTMLTemplateElement>(":scope > template");
  }

  #make(item: ShelfItem, product: ShelfProduct): Element {
    const own = this.#renderItem?.(item, product);
    if (own !== undefined) return own;
    const price = priceText(product.price, this.#lang, this.getAttribute("currency"));
    const model = this.#template?.content.firstElementChild;
    if (model !== null && model !== undefined) {
      const element = document.importNode(model, true);
      const known: Record<string, unknown> = { ...product, ...item, price: price || null };
      fillTemplate(element, (field) => (Object.hasOwn(known, field) ? known[field] : null));
      return element;
    }
    return card(product, price);
  }

  get #lang(): string | undefined {
    return this.closest("[lang]")?.getAttribute("lang") ?? undefined;
  }

  #detail(items: Iterable<Drawn>): ShelfEventDetail {
    const heading = this.getAttribute("heading");
    return {
      ...viewOf(this.#ranked!),
      ...(heading !== null && { item_list_name: heading }),
      items: [...items].map(({ item, product }) => ({
        item_id: item.item_id,
        item_name: product.name,
        index: item.rank - 1,
        ...(typeof product.price === "number" && { price: product.price }),
      })),
    };
  }

  #tell(name: string, detail: unknown): boolean {
    const event = new CustomEvent(name, {
      detail,
      bubbles: true,
      composed: true,
      cancelable: true,
    });
    return this.dispatchEvent(event);
  }

  /** Tells once of every ranking that the shopper has in view. */
  #watch(): void {
    this.#unwatch?.();
    this.#unwatch = watchViews(this, () => {
      if (this.#ranked === null || this.#viewed === this.#ranked.shelf_id) return;
      this.#viewed = this.#ranked.shelf_id;
      this.#tell("onshelf-view-item-list", this.#detail(this.#drawn.values()));
    });
  }

  /** A link of an item was followed, by mouse, finger or keyboard. */
  readonly #onClick = (event: MouseEvent) => {
    if (event.type === "auxclick" && event.button !== 1) return;
    const path = event.composedPath();
    const chosen = [...this.#drawn.values()].find(({ element }) => path.includes(element));
    const inside = chosen && path.slice(0, path.indexOf(chosen.element) + 1);
    const follows = inside?.some(
      (node) => node instanceof Element && node.matches("a[href], [data-onshelf-select]"),
    );
    if (chosen === undefined || !follows || this.#ranked === null) return;
    if (!this.#tell("onshelf-select-item", this.#detail([chosen]))) return;
    const { item_id } = chosen.item;
    const { shelf_id, slot } = this.#ranked;
    const told = this.#shelf?.track({
      event: "select_item",
      item_id,
      shelf_id,
      item_list_id: slot,
    });
    // The link is followed all the same.
    told?.catch(() => undefined);
  };
}

/** Whether two readings of a product say the same. */
function isSame(a: ShelfProduct, b: ShelfProduct): boolean {
  const names = Object.keys(a);
  return (
    a === b ||
    (names.length === Object.keys(b).length && names.every((name) => Object.is(a[name], b[name])))
  );
}

/** How an item looks where the page does not draw it. */
function card(product: ShelfProduct, price: string): Element {
  const part = <K extends keyof HTMLElementTagNameMap>(tag: K, name: string, text?: string) => {
    const element = document.createElement(tag);
    element.setAttribute("part", name);
    element.className = name;
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const [item, link, image] = [part("li", "item"), part("a", "link"), part("img", "image")];
  const [url, source] = [safeUrl(product.url), safeUrl(product.image)];
  if (url !== null) link.href = url;
  if (source !== null) {
    // The name beside it says what it shows.
    Object.assign(image, { alt: "", width: 300, height: 300, loading: "lazy", decoding: "async" });
    image.src = source;
    link.append(image);
  }
  link.append(part("span", "name", product.name));
  if (price !== "") link.append(part("span", "price", price));
  item.append(link);
  return item;
}

/** Makes the element known to the page, once. */
export function defineShelfElement(name = "onshelf-shelf"): void {
  if (customElements.get(name) === undefined) customElements.define(name, OnshelfShelf);
}
