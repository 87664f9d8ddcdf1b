import type { Explanation } from "../../onshelf/src/index.ts";
import type { Catalogue } from "./catalogue.ts";
import { h, icon, icons } from "./dom.ts";
import type { Engine } from "./engine.ts";
import { percent, t } from "./i18n.ts";
import { drawProduct } from "./pictures/draw.ts";
import type { Product } from "./types.ts";

const MOST_REASONS = 6;

type Reason = Explanation["because"][number];

function reasonRow(
  product: Product,
  reason: Reason,
  strongest: number,
  clicks: number,
): HTMLElement {
  const share = strongest === 0 ? 0 : Math.abs(reason.contribution) / strongest;
  const bar = h(
    "span",
    { class: reason.contribution < 0 ? "bar against" : "bar" },
    h("span", { class: "bar-fill" }),
  );
  bar.style.setProperty("--share", String(Math.max(share, 0.02)));
  const when = t.whyAgo(clicks - 1 - reason.position);
  return h(
    "li",
    { class: "reason", "data-item-id": product.item_id },
    h("span", { class: "pic mini" }, drawProduct(product)),
    h(
      "span",
      { class: "reason-words" },
      h("span", { class: "name" }, product.name),
      h("span", { class: "when" }, reason.contribution < 0 ? `${when} · ${t.whyAgainst}` : when),
      bar,
    ),
  );
}

function personalLine(explanation: Explanation): string {
  const parts = explanation.because.map((reason) => Math.abs(reason.contribution));
  const whole =
    parts.reduce((sum, part) => sum + part, 0) + Math.abs(explanation.personal_contribution);
  const share = whole === 0 ? 0 : Math.abs(explanation.personal_contribution) / whole;
  return share < 0.005 ? t.whyNotPersonal : t.whyPersonal(percent(share));
}

/** The dialog behind "Why this?". */
export class WhyDialog {
  readonly root: HTMLDialogElement;
  readonly #body = h("div", { class: "dialog-body", "aria-live": "polite" });
  #turn = 0;

  constructor(
    readonly catalogue: Catalogue,
    readonly engine: Engine,
  ) {
    const close = h(
      "button",
      {
        type: "button",
        class: "round plain",
        "aria-label": t.close,
        onclick: () => this.root.close(),
      },
      icon(icons.close, 18),
    );
    this.root = h(
      "dialog",
      { class: "dialog", "data-testid": "why-dialog", "aria-labelledby": "why-title" },
      h("header", { class: "dialog-head" }, h("h2", { id: "why-title" }, t.whyTitle), close),
      this.#body,
    );
    this.root.addEventListener("click", (event) => {
      if (event.target === this.root) this.root.close();
    });
  }

  async open(id: string): Promise<void> {
    const product = this.catalogue.get(id);
    if (product === undefined) return;
    const turn = ++this.#turn;
    const head = h(
      "div",
      { class: "why-head" },
      h("span", { class: "pic mini" }, drawProduct(product)),
      h(
        "span",
        {},
        h("span", { class: "name" }, product.name),
        h("span", { class: "brand" }, product.brand),
      ),
    );
    const content = h("div", {}, h("p", { class: "shelf-note" }, t.whyAsking));
    this.#body.replaceChildren(head, content);
    if (!this.root.open) this.root.showModal();
    const [explanation, inspection] = await Promise.all([
      this.engine.explain(id),
      this.engine.inspect(),
    ]);
    if (turn === this.#turn)
      content.replaceChildren(...this.#answer(explanation, inspection?.session.length ?? 0));
  }

  #answer(explanation: Explanation | null, clicks: number): HTMLElement[] {
    if (explanation === null) return [h("p", {}, t.whyFailed)];
    const reasons = [...explanation.because]
      .sort((a, b) => Math.abs(b.contribution) - Math.abs(a.contribution))
      .slice(0, MOST_REASONS);
    if (reasons.length === 0) return [h("p", {}, t.whyNone)];
    const strongest = Math.abs(reasons[0]?.contribution ?? 0);
    const list = h("ul", { class: "reasons", role: "list" });
    for (const reason of reasons) {
      const product = this.catalogue.get(reason.item_id);
      if (product !== undefined) list.append(reasonRow(product, reason, strongest, clicks));
    }
    return [h("p", {}, t.whyIntro), list, h("p", { class: "fine" }, personalLine(explanation))];
  }
}
