import type { RecommendRequest } from "../../../onshelf/src/index.ts";
import type { App, View } from "../app.ts";
import type { CategoryNode } from "../catalogue.ts";
import { h, icon, icons } from "../dom.ts";
import { t } from "../i18n.ts";
import { drawProduct } from "../pictures/draw.ts";
import { linkTo } from "../router.ts";
import { forYouNote, ShelfView } from "../shelf.ts";

const DEPARTMENT_SHELVES = 4;
/** How deep the model's list is read to see which departments it leans to. */
const ORDER_DEPTH = 80;
const FALLBACK = 16;
const HERO_PICTURES = 3;
/** The shelf that this shop is about. */
export const FOR_YOU: RecommendRequest = {
  slot: "home-for-you",
  kind: "for_you",
  max_per_category: 4,
};

function heroArt(app: App): HTMLElement {
  const art = h("div", { class: "hero-art", "aria-hidden": "true" });
  const departments = app.catalogue.departments.slice(0, HERO_PICTURES);
  for (const department of departments) {
    const product = app.catalogue.get(department.ids[1] ?? department.ids[0] ?? "");
    if (product !== undefined) art.append(h("span", { class: "pic" }, drawProduct(product)));
  }
  return art;
}

function hero(app: App): HTMLElement {
  const openPanel = (): void => {
    dispatchEvent(new CustomEvent("shop:open-panel"));
  };
  return h(
    "section",
    { class: "hero" },
    h(
      "div",
      { class: "hero-words" },
      h("h1", { tabindex: -1 }, t.heroTitle),
      h("p", {}, t.heroText),
      h(
        "button",
        { type: "button", class: "button ghost", onclick: openPanel },
        icon(icons.chip, 18),
        t.heroHow,
      ),
    ),
    heroArt(app),
  );
}

function forYou(app: App): ShelfView {
  return new ShelfView(app, {
    title: t.forYou,
    testId: "shelf-for-you",
    shape: "wall",
    announce: true,
    request: FOR_YOU,
    fallback: app.catalogue.popular(FALLBACK),
    note: forYouNote(app),
  });
}

function continueShelf(app: App): ShelfView {
  return new ShelfView(app, {
    title: t.continueShelf,
    testId: "shelf-continue",
    request: { slot: "home-continue", kind: "continue" },
    fallback: [...app.seen].reverse(),
    recommended: false,
  });
}

function popular(app: App): ShelfView {
  return new ShelfView(app, {
    title: t.popular,
    testId: "shelf-popular",
    request: { slot: "home-popular", kind: "popular" },
    fallback: app.catalogue.popular(FALLBACK),
    recommended: false,
  });
}

function departmentShelf(app: App, department: CategoryNode): ShelfView {
  return new ShelfView(app, {
    title: t.fromDepartment(department.name),
    request: {
      slot: `home-department-${department.name}`,
      kind: "for_you",
      candidates: department.ids,
    },
    fallback: department.ids.slice(0, FALLBACK),
    link: {
      href: linkTo({ page: "category", path: department.path }),
      label: t.seeAll(department.name),
    },
  });
}

/** Departments by how early and how often the model lists their products. */
async function departmentsByTaste(app: App): Promise<CategoryNode[]> {
  const ranked = await app.engine.recommend(
    { slot: "home-departments", kind: "for_you", count: ORDER_DEPTH },
    app.catalogue.popular(ORDER_DEPTH),
  );
  const weight = new Map<string, number>();
  ranked.ids.forEach((id, place) => {
    const name = app.catalogue.get(id)?.category[0];
    if (name !== undefined) weight.set(name, (weight.get(name) ?? 0) + 1 / (place + 8));
  });
  return app.catalogue.departments.sort(
    (a, b) => (weight.get(b.name) ?? 0) - (weight.get(a.name) ?? 0),
  );
}

export function homeView(app: App): View {
  const shelves = [forYou(app), continueShelf(app), popular(app)];
  const departments = h("div", { class: "stack" });
  let settled = false;

  // Which departments are shown is decided once a visit: below the visitor's eyes, sections must not jump.
  const settleDepartments = async (): Promise<void> => {
    const chosen = await departmentsByTaste(app);
    const made = chosen
      .slice(0, DEPARTMENT_SHELVES)
      .map((department) => departmentShelf(app, department));
    shelves.splice(3, shelves.length, ...made);
    departments.replaceChildren(...made.map((shelf) => shelf.root));
  };

  const refresh = async (): Promise<void> => {
    await shelves[0]?.refresh();
    if (!settled) {
      settled = app.engine.status !== "loading";
      await settleDepartments();
    }
    for (const shelf of shelves.slice(1)) await shelf.refresh();
  };

  const root = h(
    "div",
    { class: "stack" },
    hero(app),
    ...shelves.map((shelf) => shelf.root),
    departments,
  );
  return { root, title: app.catalogue.shop, refresh };
}
