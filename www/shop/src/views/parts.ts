import type { App, View } from "../app.ts";
import { h } from "../dom.ts";
import { t } from "../i18n.ts";
import { linkTo } from "../router.ts";

export function crumbs(path: readonly string[], last?: string): HTMLElement {
  const list = h("ol", {}, h("li", {}, h("a", { href: "#/" }, t.home)));
  path.forEach((name, depth) => {
    const current = last === undefined && depth === path.length - 1;
    const href = linkTo({ page: "category", path: path.slice(0, depth + 1) });
    list.append(
      h("li", {}, current ? h("span", { "aria-current": "page" }, name) : h("a", { href }, name)),
    );
  });
  if (last !== undefined) list.append(h("li", {}, h("span", { "aria-current": "page" }, last)));
  return h("nav", { class: "crumbs", "aria-label": t.crumbs }, list);
}

export function missing(app: App, text: string): View {
  const root = h(
    "div",
    { class: "empty" },
    h("h1", { tabindex: -1 }, text),
    h("a", { class: "button", href: "#/" }, t.backHome),
  );
  return { root, title: `${text} · ${app.catalogue.shop}`, refresh: () => Promise.resolve() };
}
