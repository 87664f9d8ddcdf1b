import { addToBasket } from "../app.ts";
import type { App, View } from "../app.ts";
import { h, icon, icons } from "../dom.ts";
import { money, t } from "../i18n.ts";
import { drawProduct } from "../pictures/draw.ts";
import { linkTo } from "../router.ts";
import { forYouNote, ShelfView } from "../shelf.ts";
import type { Product } from "../types.ts";
import { crumbs, missing } from "./parts.ts";

const FALLBACK = 16;
const REMEMBERED = 30;

function stockText(product: Product): HTMLElement {
  if (product.stock <= 0) return h("p", { class: "stock out" }, t.soldOut);
  if (product.stock <= 5) return h("p", { class: "stock few" }, t.lastOnes(product.stock));
  return h("p", { class: "stock" }, icon(icons.check, 16), t.inStock(product.stock));
}

function facts(product: Product): HTMLElement {
  const rows: readonly (readonly [string, string])[] = [
    [t.factColour, product.colour],
    [t.factPattern, product.pattern],
    [t.factWhere, product.category.join(" › ")],
    [t.factId, product.item_id],
  ];
  const list = h("dl", { class: "facts", "aria-label": t.facts });
  for (const [name, value] of rows)
    list.append(h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  return list;
}

function buyBox(app: App, product: Product): HTMLElement {
  const said = h("p", { class: "said", role: "status" });
  const add = async (): Promise<void> => {
    const added = await addToBasket(app, product.item_id);
    said.textContent = added ? t.added(product.name) : t.noMore;
  };
  const button = h(
    "button",
    {
      type: "button",
      class: "button big",
      "data-testid": "add-to-basket",
      onclick: () => void add(),
    },
    icon(icons.basket),
    t.add,
  );
  button.disabled = product.stock <= 0;
  return h("div", { class: "buy-box" }, button, said);
}

function detail(app: App, product: Product): HTMLElement {
  return h(
    "article",
    { class: "detail" },
    h("div", { class: "pic large" }, drawProduct(product, true)),
    h(
      "div",
      { class: "detail-words" },
      h("p", { class: "brand" }, t.by(product.brand)),
      h("h1", { tabindex: -1 }, product.name),
      h("p", { class: "price" }, money(product.price, app.catalogue.currency)),
      stockText(product),
      buyBox(app, product),
      facts(product),
    ),
  );
}

function shelvesFor(app: App, product: Product, before: Product | undefined): ShelfView[] {
  const id = product.item_id;
  const shelves = [
    new ShelfView(app, {
      title: t.similar,
      testId: "shelf-similar",
      request: {
        slot: `product-similar-${id}`,
        kind: "similar",
        item_id: id,
        filter: { exclude: [id] },
      },
      fallback: app.catalogue.neighbours(product, FALLBACK),
    }),
    new ShelfView(app, {
      title: t.forYou,
      testId: "shelf-for-you",
      announce: true,
      request: {
        slot: "product-for-you",
        kind: "for_you",
        max_per_category: 4,
        filter: { exclude: [id] },
      },
      fallback: app.catalogue.popular(FALLBACK),
      note: forYouNote(app),
    }),
  ];
  if (before === undefined) return shelves;
  const because = new ShelfView(app, {
    title: t.becauseOf(before.name),
    testId: "shelf-because",
    request: {
      slot: `product-because-${before.item_id}`,
      kind: "similar",
      item_id: before.item_id,
      filter: { exclude: [id, before.item_id] },
    },
    fallback: app.catalogue.neighbours(before, FALLBACK).filter((other) => other !== id),
  });
  return [shelves[0], because, shelves[1]].filter((shelf) => shelf !== undefined);
}

/** The product looked at before this one. */
function lookedAtBefore(app: App, id: string): Product | undefined {
  const last = app.seen.findLast((seen) => seen !== id);
  return last === undefined ? undefined : app.catalogue.get(last);
}

function remember(app: App, id: string): void {
  if (app.seen.at(-1) !== id) app.seen.push(id);
  if (app.seen.length > REMEMBERED) app.seen.shift();
}

export function productView(app: App, id: string): View {
  const product = app.catalogue.get(id);
  if (product === undefined) return missing(app, t.productMissing);
  const shelves = shelvesFor(app, product, lookedAtBefore(app, id));
  remember(app, id);
  const shelfId = app.cameFrom.get(id);
  void app.engine.track({
    event: "view_item",
    item_id: id,
    ...(shelfId === undefined ? {} : { shelf_id: shelfId }),
  });
  const root = h(
    "div",
    { class: "stack" },
    crumbs(product.category, product.name),
    detail(app, product),
    ...shelves.map((shelf) => shelf.root),
  );
  const leaf = linkTo({ page: "category", path: product.category });
  root.append(
    h(
      "p",
      {},
      h("a", { class: "button ghost", href: leaf }, t.seeAll(product.category.at(-1) ?? "")),
    ),
  );
  const refresh = async (): Promise<void> => {
    for (const shelf of shelves) await shelf.refresh();
  };
  return { root, title: `${product.name} · ${app.catalogue.shop}`, refresh };
}
