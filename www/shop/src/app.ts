import type { Catalogue } from "./catalogue.ts";
import type { Engine, Trouble } from "./engine.ts";
import type { Basket } from "./store.ts";

/** What every view may use. */
export interface App {
  readonly catalogue: Catalogue;
  readonly basket: Basket;
  readonly engine: Engine;
  /** Says something to screen readers, politely. */
  readonly say: (text: string) => void;
  readonly report: (trouble: Trouble) => void;
  readonly why: (id: string) => void;
  /** Last order shown of each slot, so that coming back shows what changed meanwhile. */
  readonly orders: Map<string, readonly string[]>;
  /** Products opened in this visit, latest last. */
  readonly seen: string[];
  /** Which shelf led to a product, quoted when the product is opened. */
  readonly cameFrom: Map<string, string>;
}

export interface View {
  readonly root: HTMLElement;
  readonly title: string;
  /** Asks the model again and re-orders what is shown. */
  refresh(): Promise<void>;
}

/** Tells tests and style sheets that a shelf ranked by the model is on the page. */
export function markReady(): void {
  document.documentElement.dataset["ready"] = "true";
}

export async function addToBasket(app: App, id: string): Promise<boolean> {
  const product = app.catalogue.get(id);
  if (product === undefined) return false;
  const now = app.basket.quantity(id);
  if (now >= product.stock) return false;
  app.basket.set(id, now + 1);
  const shelfId = app.cameFrom.get(id);
  await app.engine.track({
    event: "add_to_cart",
    item_id: id,
    ...(shelfId === undefined ? {} : { shelf_id: shelfId }),
  });
  return true;
}
