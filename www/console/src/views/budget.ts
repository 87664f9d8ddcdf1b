import { empty, h, meter, note, section } from "../draw.ts";
import { short, tiny } from "../format.ts";
import { t } from "../texts.ts";
import type { Lineage, Status } from "../types.ts";

function card(one: Lineage): HTMLElement {
  const text = t.spentOf(short(one.epsilon), short(one.budget));
  const left = one.budget - one.epsilon;
  return h(
    "article",
    { class: "card", "data-testid": "budget" },
    h(
      "header",
      {},
      h("h3", {}, one.lineage),
      h("span", { class: "note" }, t.releases(one.releases)),
    ),
    h("p", { class: "left" }, text, " ", h("span", { class: "note" }, t.atDelta(tiny(one.delta)))),
    meter(t.spentMeter(one.lineage), text, one.epsilon, one.budget),
    left > 1e-3
      ? note(t.left(short(left)))
      : h("p", { class: "differs" }, h("strong", {}, t.overspent)),
    note(t.ofAll(short(one.epsilon_of_all))),
  );
}

/** ε against the budget, by lineage. */
export function budget(status: Status): HTMLElement {
  if (status.lineages.length === 0) return section("budgets", t.budgets, empty(t.budgetsNone));
  return section("budgets", t.budgets, h("div", { class: "cards" }, ...status.lineages.map(card)));
}
