import type { App } from "./app.ts";
import { linkTo } from "./router.ts";
import { FOR_YOU } from "./views/home.ts";
import { hostOf, originOf, readVisit } from "./twin-messages.ts";
import type { ShelfMessage } from "./twin-messages.ts";

/** How many products the two shelves are compared by. */
const COMPARED = 12;
/** Asked for a few more, as the shelf on the page does, because sold-out products are left out. */
const ASKED = 16;
/** Long enough to be counted as a look at the product, not as a mis-click. */
const LOOK_MS = 1500;

/** `?twin=HOST`: this page is a frame of `two.html` on that name of this server. */
export function twinOrigin(): string | null {
  if (parent === window) return null;
  const host = hostOf(new URLSearchParams(location.search).get("twin"));
  return host === null ? null : originOf(host);
}

/** Tells the page around this one what the shelf shows after each ranking, and does its visits. */
export function joinTwin(app: App, origin: string): void {
  let asked = 0;
  const tell = async (): Promise<void> => {
    const mine = ++asked;
    const ranked = await app.engine.recommend({ ...FOR_YOU, count: ASKED }, []);
    const state = await app.engine.inspect();
    if (mine !== asked || !ranked.byModel || state === null) return;
    const ids = ranked.ids
      .filter((id) => (app.catalogue.get(id)?.stock ?? 0) > 0)
      .slice(0, COMPARED);
    const message: ShelfMessage = {
      type: "onshelf-demo-shelf",
      ids,
      clicks: state.session.length,
      steps: state.steps,
    };
    parent.postMessage(message, origin);
  };
  app.engine.onRefresh(() => void tell());

  let home = 0;
  addEventListener("message", (event) => {
    if (event.origin !== origin || event.source !== parent) return;
    const visit = readVisit(event.data);
    if (visit === null) return;
    const departments = app.catalogue.departments;
    const ids = departments[visit.department % departments.length]?.ids ?? [];
    const id = ids[visit.place % ids.length];
    if (id === undefined) return;
    location.hash = linkTo({ page: "product", id });
    clearTimeout(home);
    home = setTimeout(() => (location.hash = linkTo({ page: "home" })), LOOK_MS);
  });
}
