import type { Catalogue } from "./catalogue.ts";
import { h, icon, icons } from "./dom.ts";
import { t } from "./i18n.ts";
import { linkTo } from "./router.ts";
import { chooseTheme, currentTheme } from "./store.ts";
import type { Basket } from "./store.ts";
import type { Route } from "./types.ts";

const TYPING_PAUSE_MS = 220;
const SHORTEST_QUERY = 2;

function themeToggle(): HTMLButtonElement {
  const button = h("button", {
    type: "button",
    class: "round plain",
    "data-testid": "theme-toggle",
  });
  const draw = (): void => {
    const dark = currentTheme() === "dark";
    button.setAttribute("aria-label", dark ? t.toLight : t.toDark);
    button.replaceChildren(icon(dark ? icons.sun : icons.moon));
  };
  button.addEventListener("click", () => {
    chooseTheme(currentTheme() === "dark" ? "light" : "dark");
    draw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
  return button;
}

function basketLink(basket: Basket): HTMLAnchorElement {
  const count = h("span", { class: "basket-count", "data-testid": "basket-count" });
  const link = h(
    "a",
    { class: "basket-link", href: linkTo({ page: "basket" }) },
    icon(icons.basket, 22),
    count,
  );
  const draw = (): void => {
    count.textContent = String(basket.count);
    count.dataset["empty"] = String(basket.count === 0);
    link.setAttribute("aria-label", t.basketLink(basket.count));
  };
  basket.onChange(draw);
  draw();
  return link;
}

export class Header {
  readonly root: HTMLElement;
  readonly #input = h("input", {
    type: "search",
    class: "search-input",
    "data-testid": "search-input",
    placeholder: t.searchHint,
    "aria-label": t.searchLabel,
    autocomplete: "off",
    enterkeyhint: "search",
  });
  readonly #links = new Map<string, HTMLAnchorElement>();

  constructor(catalogue: Catalogue, basket: Basket, onSearch: (query: string) => void) {
    const nav = h("ul", { role: "list" });
    for (const { name, path } of catalogue.departments) {
      const link = h("a", { href: linkTo({ page: "category", path }) }, name);
      this.#links.set(name, link);
      nav.append(h("li", {}, link));
    }
    this.root = h(
      "header",
      { class: "top" },
      h(
        "div",
        { class: "top-bar" },
        h(
          "a",
          { class: "logo", href: "#/", "aria-label": `${catalogue.shop}: ${t.home}` },
          h("span", { class: "logo-mark", "aria-hidden": "true" }),
          catalogue.shop,
        ),
        this.#form(onSearch),
        h("div", { class: "top-tools" }, themeToggle(), basketLink(basket)),
      ),
      h("nav", { class: "departments", "aria-label": t.departments }, nav),
    );
  }

  #form(onSearch: (query: string) => void): HTMLFormElement {
    let timer = 0;
    const search = (): void => {
      clearTimeout(timer);
      onSearch(this.#input.value.trim());
    };
    this.#input.addEventListener("input", () => {
      clearTimeout(timer);
      const { length } = this.#input.value.trim();
      if (length === 0 || length >= SHORTEST_QUERY) timer = setTimeout(search, TYPING_PAUSE_MS);
    });
    const submit = (event: Event): void => {
      event.preventDefault();
      search();
    };
    return h(
      "form",
      { class: "search", role: "search", onsubmit: submit },
      icon(icons.search, 18),
      this.#input,
      h("button", { type: "submit", class: "sr-only" }, t.searchGo),
    );
  }

  get typing(): boolean {
    return document.activeElement === this.#input;
  }

  /** Marks where the visitor is. */
  show(route: Route): void {
    const department = route.page === "category" ? route.path[0] : undefined;
    for (const [name, link] of this.#links) {
      if (name === department) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    if (route.page !== "search") this.#input.value = "";
    else if (!this.typing) this.#input.value = route.query;
  }
}
