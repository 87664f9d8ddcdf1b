/** What a fake remembers of a shopper, and what follows from it; the same in Node and in a page's worker. */

import type { Explanation, ShelfEvent, ShelfItem, TrackResult } from "onshelf";
import { FakeModel, type FakeClick, type FakeItem, type FakeRequest } from "./model.js";

const NOT_ITEMS: ReadonlySet<string> = new Set([
  "search",
  "view_search_results",
  "view_item_list",
  "view_promotion",
  "select_promotion",
  "view_cart",
  "begin_checkout",
  "add_shipping_info",
  "add_payment_info",
  "refund",
]);

/** Everything that a shopper leaves behind. */
export interface FakeMemory {
  session: FakeClick[];
  /** Steps of learning; nothing is really learned, so shelves do not depend on it. */
  steps: number;
  /** Steps of which a round was told. */
  contributed: number;
}

/** A model and one shopper. */
export class FakeShopper {
  readonly model: FakeModel;
  memory: FakeMemory = blank();

  constructor(items: readonly FakeItem[]) {
    this.model = new FakeModel(items);
  }

  track({ event, item_id }: ShelfEvent): TrackResult {
    const { session } = this.memory;
    const no = (reason: NonNullable<TrackResult["reason"]>) => ({
      accepted: false,
      reason,
      session_length: session.length,
    });
    if (item_id === undefined || NOT_ITEMS.has(event)) return no("not_an_item_event");
    if (!this.model.has(item_id)) return no("unknown_item");
    session.push({ item_id, event });
    return { accepted: true, session_length: session.length };
  }

  rank(request: FakeRequest): ShelfItem[] {
    return this.model.rank(request, this.memory.session);
  }

  /** A step a click, as far as there is something to learn from: two clicks. */
  learn(steps: number): { steps: number; loss_before: number; loss_after: number; kept: boolean } {
    const { session } = this.memory;
    const made = session.length < 2 ? 0 : steps;
    const loss = () => 1 / (1 + this.memory.steps);
    const loss_before = made === 0 ? 0 : loss();
    this.memory.steps += made;
    return { steps: made, loss_before, loss_after: made === 0 ? 0 : loss(), kept: made > 0 };
  }

  forget(item_id: string): { removed: number; left: number } {
    const { session } = this.memory;
    const kept = session.filter((click) => click.item_id !== item_id);
    const removed = session.length - kept.length;
    if (removed > 0) this.memory = { ...blank(), session: kept };
    return { removed, left: kept.length };
  }

  explain(item_id: string): Explanation {
    const item = this.model.item(item_id);
    const { session } = this.memory;
    const score = this.model.score(item, "for_you", [], session);
    const because = session.map((click, position) => {
      const without = session.filter((_, at) => at !== position);
      const rest = this.model.score(item, "for_you", [], without);
      return { item_id: click.item_id, position, contribution: score - rest };
    });
    because.sort((a, b) => b.contribution - a.contribution);
    return { item_id, score, because, personal_contribution: 0 };
  }

  /** Categories by their share of the session's clicks. */
  learned(): { category: string; weight: number }[] {
    const { session, steps } = this.memory;
    if (steps === 0) return [];
    const counts = new Map<string, number>();
    for (const { item_id } of session) {
      const name = (this.model.item(item_id).category ?? []).join(" / ");
      if (name !== "") counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    return [...counts]
      .map(([category, count]) => ({ category, weight: count / session.length }))
      .sort((a, b) => b.weight - a.weight);
  }
}

/** Nothing yet. */
export const blank = (): FakeMemory => ({ session: [], steps: 0, contributed: 0 });
