import { markReady } from "./app.ts";
import type { App } from "./app.ts";
import { CardList } from "./cards.ts";
import { h } from "./dom.ts";
import { t } from "./i18n.ts";

const PAGE = 48;

/** A long list of products, ranked by the model, shown a page at a time. */
export class Grid {
  readonly root: HTMLElement;
  readonly #list: CardList;
  readonly #state = h("p", { class: "grid-state" });
  readonly #empty = h("p", { class: "empty-line", hidden: true }, t.nothingHere);
  readonly #more = h("button", { type: "button", class: "button ghost more-button", hidden: true });
  #shown = PAGE;
  #ids: readonly string[] = [];
  #ordered: readonly string[] = [];
  #shelfId: string | null = null;
  #turn = 0;

  constructor(
    readonly app: App,
    readonly slot: string,
    label: string,
    /** Blends the model's order with the order the products came in; the model's order alone if absent. */
    readonly blend?: (given: readonly string[], ranked: readonly string[]) => string[],
  ) {
    this.#list = new CardList(
      app,
      { recommended: true, shelfId: () => this.#shelfId },
      "cards grid",
      label,
    );
    this.#more.addEventListener("click", () => void this.#showMore());
    this.root = h(
      "section",
      { class: "grid-block" },
      this.#state,
      this.#list.root,
      this.#empty,
      this.#more,
    );
  }

  get #model(): boolean {
    return this.#shelfId !== null;
  }

  /** A new set of products: begins at the first page, unranked until the model has answered. */
  async show(ids: readonly string[]): Promise<void> {
    this.#shown = PAGE;
    this.#ids = ids;
    if (this.app.engine.status !== "ready") await this.#draw(ids, false);
    await this.refresh(false);
  }

  async refresh(announce: boolean): Promise<void> {
    const turn = ++this.#turn;
    const ids = this.#ids;
    let order = ids;
    let before = false;
    if (ids.length > 1) {
      const ranked = await this.app.engine.recommend(
        { slot: this.slot, kind: "for_you", candidates: ids, count: ids.length },
        ids,
      );
      if (turn !== this.#turn) return;
      before = this.#model;
      this.#shelfId = ranked.shelfId;
      order = ranked.byModel ? this.#complete(ids, ranked.ids) : ids;
    }
    const moved = await this.#draw(order, true, before);
    if (!this.#model || ids.length === 0) return;
    markReady();
    if (announce && moved > 0) this.app.say(t.reranked(t.rankedForYou, moved));
  }

  /** Products the model does not know keep their place at the end, so that none is lost. */
  #complete(given: readonly string[], ranked: readonly string[]): string[] {
    const all = [...new Set([...ranked, ...given])];
    return this.blend === undefined ? all : this.blend(given, all);
  }

  #describe(count: number): string {
    if (count < 2) return t.found(count);
    const ranked = this.blend === undefined ? t.rankedForYou : t.rankedBlend;
    return `${t.found(count)} · ${this.#model ? ranked : t.rankedPopular}`;
  }

  async #draw(order: readonly string[], animate: boolean, ranked = false): Promise<number> {
    const left = order.length - this.#shown;
    this.#ordered = order;
    this.#state.textContent = this.#describe(order.length);
    this.#empty.hidden = order.length > 0;
    this.#more.hidden = left <= 0;
    if (left > 0) this.#more.textContent = t.showMore(Math.min(left, PAGE));
    return this.#list.show(order.slice(0, this.#shown), animate, ranked);
  }

  async #showMore(): Promise<void> {
    const firstNew = this.#shown;
    this.#shown += PAGE;
    await this.#draw(this.#ordered, false);
    const card = this.#list.root.children[firstNew];
    card?.querySelector<HTMLAnchorElement>("a")?.focus({ preventScroll: true });
  }
}
