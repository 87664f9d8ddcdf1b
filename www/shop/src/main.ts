import type { Onshelf } from "../../onshelf/src/index.ts";
import type { App, View } from "./app.ts";
import { Catalogue } from "./catalogue.ts";
import { h } from "./dom.ts";
import { Engine } from "./engine.ts";
import { Header } from "./header.ts";
import { applyLanguage, inLanguage, LANGUAGES, locale, t } from "./i18n.ts";
import { Notices } from "./notice.ts";
import { Panel } from "./panel.ts";
import { linkTo, parseRoute, replaceRoute, startRouter } from "./router.ts";
import type { Visit } from "./router.ts";
import { Basket, restoreTheme } from "./store.ts";
import { joinTwin, twinOrigin } from "./twin.ts";
import type { Route } from "./types.ts";
import { basketView } from "./views/basket.ts";
import { categoryView } from "./views/category.ts";
import { homeView } from "./views/home.ts";
import { productView } from "./views/product.ts";
import { searchView } from "./views/search.ts";
import type { SearchView } from "./views/search.ts";
import { WhyDialog } from "./why.ts";

declare global {
  interface Window {
    /** For browser tests. */
    onshelfDemo?: { readonly shelf: Onshelf | null };
  }
}

/** A live region repeats itself only if its text changes, and not while it is being read. */
function announcer(): { root: HTMLElement; say: (text: string) => void } {
  const root = h("p", { class: "sr-only", role: "status", "aria-live": "polite" });
  let timer = 0;
  const say = (text: string): void => {
    clearTimeout(timer);
    root.textContent = "";
    timer = setTimeout(() => (root.textContent = text), 120);
  };
  return { root, say };
}

/** Links to the shop in its other languages, each in its own words. */
function languageLinks(): HTMLElement {
  const links = Object.entries(LANGUAGES)
    .filter(([tag]) => tag !== locale)
    .map(([lang, { language }]) => {
      // The visitor stays on the page that is open when the link is followed.
      const onclick = (): void => void (link.hash = location.hash);
      const link = h("a", { href: inLanguage(lang), lang, hreflang: lang, onclick }, language);
      return link;
    });
  return h("p", { "data-testid": "languages" }, ...links);
}

class Shop {
  readonly #main = h("main", { id: "main", tabindex: -1 });
  readonly #app: App;
  readonly #header: Header;
  readonly #panel: Panel;
  #view: View | null = null;
  #search: SearchView | null = null;

  constructor(catalogue: Catalogue, page: HTMLElement) {
    const notices = new Notices();
    const { root: live, say } = announcer();
    const engine = new Engine(notices.show);
    const basket = new Basket();
    const why = new WhyDialog(catalogue, engine);
    this.#app = {
      catalogue,
      basket,
      engine,
      say,
      report: notices.show,
      why: (id) => void why.open(id),
      orders: new Map(),
      seen: [],
      cameFrom: new Map(),
    };
    this.#header = new Header(catalogue, basket, (query) => this.#searchFor(query));
    this.#panel = new Panel({ catalogue, engine, say, forget: () => this.#forget() });
    const skip = h(
      "a",
      { class: "skip", href: "#main", onclick: (event) => this.#skip(event) },
      t.skip,
    );
    const twin = twinOrigin();
    const beside = h(
      "p",
      {},
      h("a", { href: `./two.html${location.search}`, "data-testid": "two" }, t.two.link),
    );
    const footer = h(
      "footer",
      { class: "foot" },
      h("p", {}, t.footer),
      twin === null && beside,
      languageLinks(),
    );
    page.replaceChildren(
      skip,
      this.#header.root,
      h(
        "div",
        { class: "page" },
        h("div", { class: "column" }, notices.root, this.#main, footer),
        this.#panel.root,
      ),
      why.root,
      this.#panel.erase.root,
      live,
    );
    engine.onRefresh(() => void this.#view?.refresh());
    if (twin !== null) {
      document.documentElement.dataset["twin"] = "true";
      joinTwin(this.#app, twin);
    }
    addEventListener("shop:open-panel", () => this.#panel.reveal());
    window.onshelfDemo = {
      get shelf(): Onshelf | null {
        return engine.shelf;
      },
    };
  }

  start(): void {
    startRouter((visit) => this.#show(visit));
    // The page is painted first; the model comes after.
    requestAnimationFrame(() => setTimeout(() => void this.#app.engine.load(), 0));
  }

  #make(route: Route): View {
    this.#search = null;
    switch (route.page) {
      case "home":
        return homeView(this.#app);
      case "category":
        return categoryView(this.#app, route.path);
      case "product":
        return productView(this.#app, route.id);
      case "search":
        this.#search = searchView(this.#app, route.query);
        return this.#search;
      case "basket":
        return basketView(this.#app);
    }
  }

  #show({ route, scroll, first }: Visit): void {
    const view = this.#make(route);
    this.#view = view;
    this.#main.replaceChildren(view.root);
    document.title = view.title;
    this.#header.show(route);
    void view.refresh().then(() => {
      // Shelves have their height only now, so a page come back to is scrolled again.
      if (scroll > 0 && this.#view === view) scrollTo(0, scroll);
    });
    scrollTo(0, scroll);
    if (!first && !this.#header.typing)
      this.#main.querySelector<HTMLElement>("h1")?.focus({ preventScroll: true });
  }

  /** While somebody types, one page is updated instead of one page a letter. */
  #searchFor(query: string): void {
    const route: Route = { page: "search", query };
    if (this.#search !== null && parseRoute(location.hash).page === "search") {
      replaceRoute(route);
      this.#search.update(query);
    } else if (query !== "") {
      location.hash = linkTo(route);
    }
  }

  /** A plain link to `#main` would be taken for an address of the shop. */
  #skip(event: Event): void {
    event.preventDefault();
    this.#main.focus();
    this.#main.scrollIntoView();
  }

  #forget(): void {
    this.#app.orders.clear();
    this.#app.seen.length = 0;
    this.#app.cameFrom.clear();
  }
}

async function open(): Promise<void> {
  applyLanguage();
  restoreTheme();
  const page = document.getElementById("app");
  if (page === null) return;
  page.replaceChildren(h("p", { class: "opening", role: "status" }, t.loadingShop));
  try {
    const catalogue = await Catalogue.load(new URL("products.json", document.baseURI));
    new Shop(catalogue, page).start();
  } catch (error) {
    console.error(error);
    page.replaceChildren(
      h(
        "div",
        { class: "empty", role: "alert" },
        h("h1", {}, t.shopFailed),
        h("p", {}, t.shopFailedHelp),
      ),
    );
  }
}

void open();
