/** Shoppers that do as they are told. */

import type { Onshelf, RecommendRequest, Shelf, ShelfEvent, TrackResult } from "onshelf";

/** One thing that a scripted shopper does. Plain data, so that a script can be kept in a file. */
export type Step =
  | { do: "track"; event: ShelfEvent }
  | { do: "choose"; from: Omit<RecommendRequest, "signal">; place: number }
  | { do: "learn" };

/** Looks at an item. */
export const view = (item_id: string): Step => track({ event: "view_item", item_id });

/** Puts an item into the cart. */
export const addToCart = (item_id: string): Step => track({ event: "add_to_cart", item_id });

/** Buys an item. */
export const buy = (item_id: string): Step => track({ event: "purchase", item_id });

/** Any event. */
export const track = (event: ShelfEvent): Step => ({ do: "track", event });

/** Asks for a shelf and chooses the item at a place, from 1; the choice quotes the shelf. */
export const choose = (from: Omit<RecommendRequest, "signal">, place = 1): Step => ({
  do: "choose",
  from,
  place,
});

/** Learns from the newest click, as a page does in idle time. */
export const learn = (): Step => ({ do: "learn" });

/** What came of a step. */
export interface Played {
  step: Step;
  /** Of `track` and `choose`. */
  result?: TrackResult;
  /** Of `choose`. */
  shelf?: Shelf;
}

/** What of an `Onshelf` a script needs: a real one, or a fake. */
export type Playable = Pick<Onshelf, "track" | "recommend" | "fineTune">;

/**
 * Plays a script, step by step.
 *
 * @throws what the methods of `Onshelf` throw; `RangeError` if a shelf has no item at the place
 */
export async function play(shelf: Playable, script: readonly Step[]): Promise<Played[]> {
  const played: Played[] = [];
  for (const step of script) played.push({ step, ...(await one(shelf, step)) });
  return played;
}

async function one(onshelf: Playable, step: Step): Promise<Omit<Played, "step">> {
  if (step.do === "track") return { result: await onshelf.track(step.event) };
  if (step.do === "learn") {
    await onshelf.fineTune();
    return {};
  }
  const shelf = await onshelf.recommend(step.from);
  const chosen = shelf.items[step.place - 1];
  if (chosen === undefined) {
    throw new RangeError(`the shelf ${shelf.slot} has no item at place ${step.place}`);
  }
  const { item_id } = chosen;
  const { shelf_id, slot: item_list_id } = shelf;
  const result = await onshelf.track({ event: "select_item", item_id, shelf_id, item_list_id });
  return { result, shelf };
}
