import { Catalogue } from "./catalogue.ts";
import { h } from "./dom.ts";
import { applyLanguage, percent, t } from "./i18n.ts";
import { drawProduct } from "./pictures/draw.ts";
import { restoreTheme } from "./store.ts";
import { hostOf, HOSTS, originOf, readShelf } from "./twin-messages.ts";
import type { Host, ShelfMessage, VisitMessage } from "./twin-messages.ts";
import { SeenView } from "./two-seen.ts";

/** A visit is opened, looked at, and the shelf is shown again: then comes the next. */
const VISIT_MS = 3200;
/** How many products each of the two looks at by itself. */
const VISITS = 6;

/** One shopper: a frame on one of the server's names, and what that frame told. */
class Shopper {
  shown: ShelfMessage | null = null;
  readonly root: HTMLElement;
  readonly shelf = h("ol", { class: "two-shelf", role: "list" });
  readonly #frame: HTMLIFrameElement;
  readonly #state = h("p", { class: "fine", role: "status" }, t.two.waiting);

  constructor(
    readonly name: string,
    readonly host: Host,
    around: Host,
  ) {
    const query = new URLSearchParams(location.search);
    query.set("twin", around);
    this.#frame = h("iframe", {
      src: `${originOf(host)}${new URL("index.html", location.href).pathname}?${query}`,
      title: t.two.frame(name, host),
      "data-testid": `frame-${name}`,
    });
    this.shelf.setAttribute("aria-label", t.two.shelfOf(name));
    this.root = h(
      "section",
      { class: "two-side" },
      h("header", {}, h("h2", {}, t.two.shopper(name)), this.#state),
      this.#frame,
    );
  }

  /** Takes in a message that came from this shopper's frame; false for anything else. */
  hear(event: MessageEvent): boolean {
    if (event.origin !== originOf(this.host) || event.source !== this.#frame.contentWindow)
      return false;
    const shelf = readShelf(event.data);
    if (shelf === null) return false;
    this.shown = shelf;
    this.#state.textContent = t.two.state(shelf.clicks, shelf.steps);
    return true;
  }

  visit(visit: VisitMessage): void {
    this.#frame.contentWindow?.postMessage(visit, originOf(this.host));
  }

  draw(catalogue: Catalogue, shared: ReadonlySet<string>): void {
    const cards = (this.shown?.ids ?? []).map((id) => {
      const product = catalogue.get(id);
      const both = shared.has(id);
      const words = h(
        "span",
        { class: "sr-only" },
        `${product?.name ?? id}${both ? `, ${t.two.shared}` : ""}`,
      );
      return h(
        "li",
        { class: both ? "both" : "", "data-item-id": id, title: product?.name },
        product === undefined ? null : drawProduct(product),
        words,
      );
    });
    this.shelf.replaceChildren(...cards);
  }
}

/** Products that both shelves show. */
function inCommon([one, other]: readonly [Shopper, Shopper]): Set<string> {
  const ids = new Set(other.shown?.ids ?? []);
  return new Set((one.shown?.ids ?? []).filter((id) => ids.has(id)));
}

class Two {
  readonly #shoppers: readonly [Shopper, Shopper];
  readonly #seen: SeenView;
  readonly #meter = h("div", { class: "two-meter", "aria-hidden": "true" }, h("span"));
  readonly #common = h("p", { class: "two-common", role: "status", "data-testid": "common" });
  readonly #go = h(
    "button",
    { type: "button", class: "button", "data-testid": "go", onclick: () => this.#startOrStop() },
    t.two.go,
  );
  #timer = 0;
  #done = 0;

  constructor(
    readonly catalogue: Catalogue,
    page: HTMLElement,
  ) {
    const around = hostOf(location.hostname) ?? "localhost";
    const [one, other] = HOSTS;
    this.#shoppers = [new Shopper("A", one, around), new Shopper("B", other, around)];
    this.#seen = new SeenView(this.#shoppers);
    this.#go.disabled = true;
    page.replaceChildren(h("main", { class: "two" }, ...this.#parts()));
    addEventListener("message", (event) => {
      if (this.#shoppers.some((shopper) => shopper.hear(event))) this.#draw();
    });
  }

  #parts(): HTMLElement[] {
    const [a, b] = this.#shoppers;
    const head = h(
      "header",
      { class: "two-head" },
      h("div", {}, h("h1", {}, t.two.title), h("p", {}, t.two.intro)),
      h(
        "div",
        { class: "two-tools" },
        this.#go,
        h("a", { class: "button ghost", href: `./index.html${location.search}` }, t.two.back),
        h("p", { class: "fine" }, t.two.goHelp),
      ),
    );
    const drift = h(
      "section",
      { class: "two-drift", "aria-labelledby": "two-drift" },
      h("h2", { id: "two-drift" }, t.two.driftTitle),
      this.#common,
      this.#meter,
      ...[a, b].map(({ name, shelf }) =>
        h("div", { class: "two-row" }, h("span", { "aria-hidden": "true" }, name), shelf),
      ),
    );
    return [head, h("div", { class: "two-sides" }, a.root, b.root), drift, this.#seen.root];
  }

  #draw(): void {
    const shared = inCommon(this.#shoppers);
    const ready = this.#shoppers.every(({ shown }) => shown !== null);
    for (const shopper of this.#shoppers)
      shopper.draw(this.catalogue, ready ? shared : new Set<string>());
    if (!ready) return;
    const all = Math.max(...this.#shoppers.map(({ shown }) => shown?.ids.length ?? 0), 1);
    const share = shared.size / all;
    const words = t.two.common(percent(share), shared.size, all);
    if (this.#common.textContent !== words) this.#common.textContent = words;
    this.#meter.style.setProperty("--share", String(share));
    this.#go.disabled = false;
    document.documentElement.dataset["ready"] = "true";
    document.documentElement.dataset["common"] = String(shared.size);
    this.#seen.draw();
  }

  #startOrStop(): void {
    const runs = this.#timer !== 0;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#done = 0;
    this.#go.textContent = runs ? t.two.go : t.two.stop;
    if (runs) return;
    this.#timer = setInterval(() => this.#visit(), VISIT_MS);
    this.#visit();
  }

  #visit(): void {
    if (this.#done === VISITS) {
      this.#startOrStop();
      return;
    }
    this.#shoppers.forEach((shopper, at) =>
      shopper.visit({ type: "onshelf-demo-visit", department: 2 * at, place: this.#done }),
    );
    this.#done++;
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
    new Two(catalogue, page);
  } catch (error) {
    console.error(error);
    const words = [h("h1", {}, t.shopFailed), h("p", {}, t.shopFailedHelp)];
    page.replaceChildren(h("div", { class: "empty", role: "alert" }, ...words));
  }
}

void open();
