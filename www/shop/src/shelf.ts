import type { RecommendRequest } from "../../onshelf/src/index.ts";
import { markReady } from "./app.ts";
import type { App } from "./app.ts";
import { CardList } from "./cards.ts";
import { h, icon, icons, reducedMotion } from "./dom.ts";
import { rightToLeft, t } from "./i18n.ts";

export interface ShelfSpec {
  readonly title: string;
  readonly request: RecommendRequest;
  /** Shown while there is no model. */
  readonly fallback: readonly string[];
  readonly testId?: string;
  readonly link?: { readonly href: string; readonly label: string };
  /** "row" scrolls sideways; "wall" wraps, so that a re-rank is seen as a whole. */
  readonly shape?: "row" | "wall";
  /** The line under the title, for each state of the shelf. */
  readonly note?: (byModel: boolean, personal: boolean) => string;
  /** Says re-ranks aloud. One shelf a page is enough. */
  readonly announce?: boolean;
  /** Chosen by the model for this shopper. True unless said otherwise. */
  readonly recommended?: boolean;
}

const LENGTH = 12;
/** Asked for a few more, because sold-out products are left out. */
const ASKED = 16;
let nextId = 0;

/** The line under a "For you" shelf: honest about who chose. */
export function forYouNote(app: App): (byModel: boolean, personal: boolean) => string {
  return (byModel, personal) => {
    if (!byModel) return app.engine.status === "failed" ? t.popularOnly : t.popularInstead;
    return personal ? t.forYouWarm : t.forYouCold;
  };
}

/** One titled row of products. */
export class ShelfView {
  readonly root: HTMLElement;
  readonly #list: CardList;
  readonly #note: HTMLElement;
  #shelfId: string | null = null;

  constructor(
    readonly app: App,
    readonly spec: ShelfSpec,
  ) {
    const headingId = `shelf-${nextId++}`;
    const shape = spec.shape ?? "row";
    this.#list = new CardList(
      app,
      { recommended: spec.recommended !== false, shelfId: () => this.#shelfId },
      `cards ${shape}`,
      spec.title,
    );
    this.#note = h("p", { class: "shelf-note" });
    const tools = h("div", { class: "shelf-tools" });
    if (spec.link !== undefined)
      tools.append(
        h(
          "a",
          { href: spec.link.href, class: "more", "aria-label": spec.link.label },
          t.seeAllShort,
        ),
      );
    if (shape === "row") tools.append(this.#scroller(-1), this.#scroller(1));
    this.root = h(
      "section",
      { class: "shelf", "aria-labelledby": headingId, "data-testid": spec.testId, hidden: true },
      h(
        "header",
        { class: "shelf-head" },
        h("div", {}, h("h2", { id: headingId }, spec.title), spec.note && this.#note),
        tools,
      ),
      this.#list.root,
    );
    void this.#drawAtOnce();
  }

  #scroller(direction: -1 | 1): HTMLButtonElement {
    const towardsLeft = direction < 0 !== rightToLeft();
    const label = direction < 0 ? t.scrollBack(this.spec.title) : t.scrollOn(this.spec.title);
    const scroll = (): void => {
      const list = this.#list.root;
      list.scrollBy({
        left: (towardsLeft ? -1 : 1) * list.clientWidth * 0.8,
        behavior: reducedMotion() ? "instant" : "smooth",
      });
    };
    return h(
      "button",
      { type: "button", class: "round plain scroller", "aria-label": label, onclick: scroll },
      icon(towardsLeft ? icons.left : icons.right, 18),
    );
  }

  /** Shelves are drawn one a task, so that a page full of them never blocks for long. */
  static #drawing: Promise<void> = Promise.resolve();

  /** The order last seen here, or the unranked one while the model loads; a ready model answers soon enough itself. */
  async #drawAtOnce(): Promise<void> {
    const turn = ShelfView.#drawing;
    ShelfView.#drawing = turn.then(() => new Promise((done) => setTimeout(done)));
    await turn;
    const last = this.app.orders.get(this.spec.request.slot);
    this.#note.textContent = this.spec.note?.(last !== undefined, last !== undefined) ?? "";
    if (last !== undefined) await this.#draw(last, false);
    else if (this.app.engine.status !== "ready")
      await this.#draw(this.#sellable(this.spec.fallback), false);
  }

  #sellable(ids: readonly string[]): string[] {
    return ids.filter((id) => (this.app.catalogue.get(id)?.stock ?? 0) > 0).slice(0, LENGTH);
  }

  async #draw(ids: readonly string[], animate: boolean): Promise<number> {
    this.root.hidden = ids.length === 0;
    return this.#list.show(ids, animate, this.app.orders.has(this.spec.request.slot));
  }

  async refresh(): Promise<void> {
    const ranked = await this.app.engine.recommend(
      { count: ASKED, ...this.spec.request },
      this.spec.fallback,
    );
    // While the model is loading the first drawing already shows the fallback.
    if (!ranked.byModel && this.app.engine.status === "loading") return;
    const ids = this.#sellable(ranked.ids);
    this.#shelfId = ranked.shelfId;
    this.#note.textContent = this.spec.note?.(ranked.byModel, ranked.personal) ?? "";
    const moved = await this.#draw(ids, true);
    if (!ranked.byModel) return;
    this.app.orders.set(this.spec.request.slot, ids);
    if (moved > 0 && this.spec.announce === true) this.app.say(t.reranked(this.spec.title, moved));
    if (this.spec.request.kind === "for_you" && ids.length > 0) markReady();
  }
}
