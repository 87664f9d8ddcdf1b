/** What the shopper agreed to, as the worker minds it, and what happened before they agreed to anything. */

import { covers, type Agreed, type Consent } from "./consent.js";
import type { TimedEvent } from "./journal.js";

/** Events from before an agreement that are kept, in memory, to be part of the session after it. */
const EARLY = 100;

/** See the file's head. */
export class Allowed {
  #agreed: Agreed = { consent: "denied", settled: false };
  #early: TimedEvent[] = [];

  /** Whether this may be done now. */
  may(what: Exclude<Consent, "denied">): boolean {
    return covers(this.#agreed.consent, what);
  }

  /**
   * Takes over what holds from now on.
   *
   * @returns whether it is less than before
   */
  mind(agreed: Agreed): boolean {
    const before = this.#agreed;
    this.#agreed = agreed;
    return before.consent !== agreed.consent && covers(before.consent, agreed.consent);
  }

  /** An event that was answered. */
  note(event: TimedEvent): void {
    if (this.may("device")) return;
    this.#early.push(event);
    if (this.#early.length > EARLY) this.#early.shift();
  }

  /** One item is not to be part of the session after all. */
  forget(item_id: string): void {
    this.#early = this.#early.filter(([event]) => event.item_id !== item_id);
  }

  /** The events from before the agreement, once. */
  takeEarly(): TimedEvent[] {
    return this.#early.splice(0);
  }
}

/** Whether the browser holds a database of onshelf's: looking into one that is not there would make it. */
export async function holdsDatabase(): Promise<boolean> {
  try {
    const databases = await indexedDB.databases();
    return databases.some(({ name }) => name?.startsWith("onshelf") === true);
  } catch {
    // Forbidden, or a browser without the list: whoever deletes will find out.
    return true;
  }
}
