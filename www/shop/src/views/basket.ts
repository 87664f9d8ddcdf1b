import type { App, View } from "../app.ts";
import { h, icon, icons } from "../dom.ts";
import { money, t } from "../i18n.ts";
import { drawProduct } from "../pictures/draw.ts";
import { linkTo } from "../router.ts";
import { forYouNote, ShelfView } from "../shelf.ts";
import type { Product } from "../types.ts";

const FALLBACK = 16;

interface Line {
  readonly product: Product;
  readonly count: number;
}

function lines(app: App): Line[] {
  const found: Line[] = [];
  for (const [id, count] of app.basket.lines) {
    const product = app.catalogue.get(id);
    if (product !== undefined) found.push({ product, count });
  }
  return found;
}

function setCount(app: App, product: Product, count: number): void {
  const before = app.basket.quantity(product.item_id);
  app.basket.set(product.item_id, Math.min(count, product.stock));
  if (count > before) void app.engine.track({ event: "add_to_cart", item_id: product.item_id });
  else void app.engine.track({ event: "remove_from_cart", item_id: product.item_id });
}

function stepper(app: App, { product, count }: Line): HTMLElement {
  const fewer = h(
    "button",
    {
      type: "button",
      class: "round plain",
      "data-step": "fewer",
      "aria-label": t.fewer(product.name),
      onclick: () => setCount(app, product, count - 1),
    },
    icon(icons.minus, 16),
  );
  const more = h(
    "button",
    {
      type: "button",
      class: "round plain",
      "data-step": "more",
      "aria-label": t.more(product.name),
      onclick: () => setCount(app, product, count + 1),
    },
    icon(icons.plus, 16),
  );
  more.disabled = count >= product.stock;
  return h(
    "div",
    { class: "stepper", role: "group", "aria-label": t.quantity },
    fewer,
    h("span", { class: "count" }, count),
    more,
  );
}

function lineRow(app: App, line: Line): HTMLElement {
  const { product, count } = line;
  const currency = app.catalogue.currency;
  return h(
    "li",
    { class: "line", "data-item-id": product.item_id },
    h(
      "a",
      { href: linkTo({ page: "product", id: product.item_id }), class: "line-link" },
      h("span", { class: "pic mini" }, drawProduct(product)),
      h(
        "span",
        {},
        h("span", { class: "name" }, product.name),
        h(
          "span",
          { class: "brand" },
          `${product.brand} · ${money(product.price, currency)} ${t.each}`,
        ),
      ),
    ),
    stepper(app, line),
    h("span", { class: "price" }, money(product.price * count, currency)),
    h(
      "button",
      {
        type: "button",
        class: "round plain",
        "aria-label": t.removeNamed(product.name),
        onclick: () => setCount(app, product, 0),
      },
      icon(icons.close, 16),
    ),
  );
}

function emptyBasket(): HTMLElement {
  return h(
    "div",
    { class: "empty" },
    h("p", {}, t.basketEmpty),
    h("a", { class: "button", href: "#/" }, t.keepLooking),
  );
}

function thanks(): HTMLElement {
  return h(
    "div",
    { class: "empty thanks", "data-testid": "thanks" },
    h("h2", { tabindex: -1 }, t.thanksTitle),
    h("p", {}, t.thanksText),
    h("a", { class: "button", href: "#/" }, t.keepLooking),
  );
}

function order(app: App, found: readonly Line[], buy: () => void): HTMLElement {
  const total = found.reduce((sum, line) => sum + line.product.price * line.count, 0);
  const list = h(
    "ul",
    { class: "lines", role: "list" },
    ...found.map((line) => lineRow(app, line)),
  );
  const sum = h(
    "p",
    { class: "total" },
    h("span", {}, t.total),
    h("strong", { "data-testid": "total" }, money(total, app.catalogue.currency)),
  );
  const button = h(
    "button",
    { type: "button", class: "button big", "data-testid": "buy", onclick: buy },
    t.buy,
  );
  return h(
    "div",
    { class: "basket-box" },
    list,
    h("div", { class: "sum-box" }, sum, button, h("p", { class: "fine" }, t.buyNote)),
  );
}

/** Redrawing drops the pressed button, so its successor takes the focus. */
function keepFocus(box: HTMLElement, redraw: () => void): void {
  const focused = document.activeElement;
  const inside = focused instanceof HTMLElement && box.contains(focused);
  const id = inside ? focused.closest("[data-item-id]")?.getAttribute("data-item-id") : null;
  const step = inside ? focused.getAttribute("data-step") : null;
  redraw();
  if (!inside) return;
  const row = [...box.querySelectorAll(".line")].find(
    (line) => line.getAttribute("data-item-id") === id,
  );
  const wanted = row?.querySelector<HTMLButtonElement>(`[data-step="${step}"]:not(:disabled)`);
  (
    wanted ??
    row?.querySelector("button") ??
    box.querySelector<HTMLElement>("button, h2, a")
  )?.focus({ preventScroll: true });
}

export function basketView(app: App): View {
  const box = h("div", {});
  const shelf = new ShelfView(app, {
    title: t.forYou,
    testId: "shelf-for-you",
    announce: true,
    request: { slot: "basket-for-you", kind: "for_you", max_per_category: 4 },
    fallback: app.catalogue.popular(FALLBACK),
    note: forYouNote(app),
  });
  let bought = false;

  const draw = (): void => {
    const found = lines(app);
    box.replaceChildren(
      found.length > 0 ? order(app, found, buy) : bought ? thanks() : emptyBasket(),
    );
  };
  const buy = (): void => {
    const items = lines(app);
    bought = true;
    app.basket.clear();
    void app.engine.track(
      ...items.map(({ product }) => ({ event: "purchase" as const, item_id: product.item_id })),
    );
  };
  const root = h("div", { class: "stack" }, h("h1", { tabindex: -1 }, t.basket), box, shelf.root);
  const stop = app.basket.onChange(() => {
    if (root.isConnected) keepFocus(box, draw);
    else stop();
  });
  draw();
  return { root, title: `${t.basket} · ${app.catalogue.shop}`, refresh: () => shelf.refresh() };
}
