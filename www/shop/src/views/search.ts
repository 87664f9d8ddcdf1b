import type { App, View } from "../app.ts";
import { h } from "../dom.ts";
import { Grid } from "../grid.ts";
import { t } from "../i18n.ts";

/** More than anybody scrolls through, and few enough to rank at once. */
const MOST_RESULTS = 240;
/** A search counts once the visitor stops typing this long. */
const SETTLED_MS = 1200;
/** Softens the first places, so that neither list decides alone. */
const BLEND_FROM = 12;

export interface SearchView extends View {
  update(query: string): void;
}

/** Reciprocal-rank fusion of what fits the words and what fits the shopper. */
function blend(given: readonly string[], ranked: readonly string[]): string[] {
  const score = new Map<string, number>();
  const count = (list: readonly string[]): void =>
    list.forEach((id, place) => score.set(id, (score.get(id) ?? 0) + 1 / (BLEND_FROM + place)));
  count(given);
  count(ranked);
  return [...score].sort((a, b) => b[1] - a[1]).map(([id]) => id);
}

export function searchView(app: App, query: string): SearchView {
  const heading = h("h1", { tabindex: -1 });
  const note = h("p", { class: "empty-line" });
  const grid = new Grid(app, "search", t.searchTitle, blend);
  const root = h("div", { class: "stack tight" }, heading, note, grid.root);
  let timer = 0;

  const countSearch = (words: string): void => {
    clearTimeout(timer);
    if (words === "") return;
    timer = setTimeout(() => {
      if (root.isConnected) void app.engine.track({ event: "search", search_term: words });
    }, SETTLED_MS);
  };

  const update = (text: string): void => {
    const words = text.trim();
    const found = app.catalogue.search(words, MOST_RESULTS);
    heading.textContent = words === "" ? t.searchTitle : t.resultsFor(words);
    note.hidden = found.length > 0;
    note.textContent = words === "" ? t.searchEmpty : t.nothingFound(words);
    grid.root.hidden = found.length === 0;
    if (words !== "") app.say(t.found(found.length));
    void grid.show(found);
    countSearch(words);
  };

  update(query);
  return {
    root,
    title: `${t.searchTitle} · ${app.catalogue.shop}`,
    refresh: () => grid.refresh(true),
    update,
  };
}
