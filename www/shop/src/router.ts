import type { Route } from "./types.ts";

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page, ...rest] = path
    .split("/")
    .filter((part) => part.length > 0)
    .map(decode);
  if (page === "c" && rest.length > 0) return { page: "category", path: rest };
  if (page === "p" && rest[0] !== undefined) return { page: "product", id: rest[0] };
  if (page === "search")
    return { page: "search", query: new URLSearchParams(query).get("q") ?? "" };
  if (page === "basket") return { page: "basket" };
  return { page: "home" };
}

export function linkTo(route: Route): string {
  switch (route.page) {
    case "home":
      return "#/";
    case "category":
      return `#/c/${route.path.map(encodeURIComponent).join("/")}`;
    case "product":
      return `#/p/${encodeURIComponent(route.id)}`;
    case "search":
      return `#/search?q=${encodeURIComponent(route.query)}`;
    case "basket":
      return "#/basket";
  }
}

export interface Visit {
  readonly route: Route;
  /** Where this page was scrolled to when it was left, if the visitor is coming back to it. */
  readonly scroll: number;
  readonly first: boolean;
}

function visitKey(): number | null {
  const state: unknown = history.state;
  if (typeof state !== "object" || state === null || !("visit" in state)) return null;
  return typeof state.visit === "number" ? state.visit : null;
}

/** Calls `show` for the present address and for each later one. */
export function startRouter(show: (visit: Visit) => void): void {
  const scrolls = new Map<number, number>();
  let next = Date.now();
  let current = 0;
  history.scrollRestoration = "manual";

  const visit = (first: boolean): void => {
    if (!first) scrolls.set(current, lastScroll);
    const known = visitKey();
    current = known ?? next++;
    if (known === null) history.replaceState({ visit: current }, "");
    show({ route: parseRoute(location.hash), scroll: scrolls.get(current) ?? 0, first });
  };

  // The browser may move the page before `hashchange` is told, so the place is noted as it changes.
  let lastScroll = 0;
  addEventListener("scroll", () => (lastScroll = scrollY), { passive: true });
  addEventListener("hashchange", () => visit(false));
  visit(true);
}

/** Changes the address without a new history entry: used while somebody types a search. */
export function replaceRoute(route: Route): void {
  history.replaceState(history.state, "", linkTo(route));
}
