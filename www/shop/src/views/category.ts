import type { App, View } from "../app.ts";
import type { CategoryNode } from "../catalogue.ts";
import { h } from "../dom.ts";
import { Grid } from "../grid.ts";
import { t } from "../i18n.ts";
import { drawProduct } from "../pictures/draw.ts";
import { linkTo } from "../router.ts";
import { crumbs, missing } from "./parts.ts";

const TYPING_PAUSE_MS = 250;

interface Limits {
  readonly from: number | null;
  readonly to: number | null;
  readonly inStock: boolean;
}

function subcategories(app: App, place: CategoryNode): HTMLElement | null {
  if (place.children.size === 0) return null;
  const list = h("ul", { class: "subs", role: "list" });
  for (const child of place.children.values()) {
    const product = app.catalogue.get(child.ids[0] ?? "");
    const picture =
      product === undefined ? null : h("span", { class: "pic mini" }, drawProduct(product));
    list.append(
      h(
        "li",
        {},
        h("a", { href: linkTo({ page: "category", path: child.path }) }, picture, child.name),
      ),
    );
  }
  return h("nav", { "aria-label": t.subcategories }, list);
}

function amount(input: HTMLInputElement): number | null {
  const value = input.valueAsNumber;
  return Number.isFinite(value) ? value : null;
}

function filterForm(onChange: (limits: Limits) => void): HTMLElement {
  const from = h("input", {
    type: "number",
    min: 0,
    step: "any",
    inputmode: "decimal",
    id: "price-from",
    class: "field small",
  });
  const to = h("input", {
    type: "number",
    min: 0,
    step: "any",
    inputmode: "decimal",
    id: "price-to",
    class: "field small",
  });
  const stock = h("input", { type: "checkbox", id: "in-stock" });
  const tell = (): void => onChange({ from: amount(from), to: amount(to), inStock: stock.checked });
  let timer = 0;
  const later = (): void => {
    clearTimeout(timer);
    timer = setTimeout(tell, TYPING_PAUSE_MS);
  };
  const form = h(
    "form",
    { class: "filters", "aria-label": t.filters, onsubmit: (event) => event.preventDefault() },
    h("label", { for: "price-from" }, t.priceFrom),
    from,
    h("label", { for: "price-to" }, t.priceTo),
    to,
    h("label", { class: "tick", for: "in-stock" }, stock, t.onlyInStock),
    h("button", { type: "reset", class: "quiet" }, t.clearFilters),
  );
  form.addEventListener("input", later);
  // The fields are emptied after the event, so the reading waits its turn.
  form.addEventListener("reset", () => setTimeout(tell, 0));
  return form;
}

function within(app: App, id: string, limits: Limits): boolean {
  const product = app.catalogue.get(id);
  if (product === undefined) return false;
  if (limits.inStock && product.stock <= 0) return false;
  if (limits.from !== null && product.price < limits.from) return false;
  return limits.to === null || product.price <= limits.to;
}

export function categoryView(app: App, path: readonly string[]): View {
  const place = app.catalogue.find(path);
  const name = path.at(-1) ?? "";
  if (place === undefined) return missing(app, t.categoryMissing);
  const grid = new Grid(app, `category-${path.join("/")}`, name);
  const choose = (limits: Limits): void =>
    void grid.show(place.ids.filter((id) => within(app, id, limits)));
  const root = h(
    "div",
    { class: "stack tight" },
    crumbs(path),
    h("h1", { tabindex: -1 }, name),
    subcategories(app, place),
    filterForm(choose),
    grid.root,
  );
  void grid.show(place.ids);
  return { root, title: `${name} · ${app.catalogue.shop}`, refresh: () => grid.refresh(true) };
}
