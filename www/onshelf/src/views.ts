/** When a shelf counts as seen, and what is told of it in GA4's words; the element and the hooks agree on both. */

import type { Shelf, ShelfItem } from "./types.js";

/** What `view_item_list` and `select_item` of GA4 are told of a shelf; what the page knows of its items it adds itself. */
export interface ShelfView {
  /** Quote it in later events, so that a choice can be attributed to this shelf. */
  shelf_id: string;
  /** The slot. */
  item_list_id: string;
  /** `index` counts from 0. */
  items: { item_id: string; index: number }[];
}

/** Some items of a shelf, or all of them. */
export function viewOf(
  { shelf_id, slot, items: all }: Shelf,
  items: readonly ShelfItem[] = all,
): ShelfView {
  const listed = items.map(({ item_id, rank }) => ({ item_id, index: rank - 1 }));
  return { shelf_id, item_list_id: slot, items: listed };
}

/**
 * Calls back whenever half of an element, or of what can be seen of the page, comes into view.
 *
 * @returns stops it
 */
export function watchViews(element: Element, seen: () => void): () => void {
  const look = (all: IntersectionObserverEntry[]) => {
    const newest = all.at(-1);
    if (newest === undefined) return;
    const { intersectionRatio, intersectionRect, rootBounds } = newest;
    const high = intersectionRect.height >= (rootBounds?.height ?? Infinity) / 2;
    if (intersectionRatio >= 0.5 || high) seen();
  };
  const observer = new IntersectionObserver(look, { threshold: [0, 0.5] });
  observer.observe(element);
  return () => observer.disconnect();
}
