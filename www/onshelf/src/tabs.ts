/**
 * Tells the worker's siblings in other tabs of the same shop what the shopper decided here. They
 * hold a copy of the state in memory, and would write it again after it was erased.
 */

import type { LoadConfig } from "./protocol.js";

/** A shopper's decision that holds for every tab. */
export type Decision = "erased" | "paused" | "resumed";

/** See the file's head. */
export class Tabs {
  readonly #channel: BroadcastChannel | null = null;

  /** Tabs that keep nothing have nothing in common, so only `indexeddb` opens a channel. */
  constructor({ storage }: LoadConfig, onDecision: (what: Decision) => void) {
    if (storage !== "indexeddb" || typeof BroadcastChannel === "undefined") return;
    this.#channel = new BroadcastChannel("onshelf");
    this.#channel.onmessage = (event: MessageEvent<unknown>) => {
      const what = event.data;
      if (what === "erased" || what === "paused" || what === "resumed") onDecision(what);
    };
  }

  /** Tells the others. */
  tell(what: Decision): void {
    this.#channel?.postMessage(what);
  }

  /** Listens no more. */
  close(): void {
    this.#channel?.close();
  }
}
