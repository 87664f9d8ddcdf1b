/**
 * Keeps the worker's siblings in other tabs of the same shop at the same session and the same learned
 * state. Every tab tells the others of its clicks; the one that learns sends its state. A state says which
 * clicks of which tab are in it, so that a tab which takes it over adds those that are not.
 */

import type { TimedEvent } from "./journal.js";
import type { LoadConfig } from "./protocol.js";

/** A shopper's decision that holds for every tab; the last two are what they agree to now, no more. */
export type Decision = "erased" | "paused" | "resumed" | "denied" | "device";

/** How many clicks of each tab are in a state, by the tab's id. */
type Seen = Record<string, number>;

/** A state for other tabs: all of them, or the one that asked. */
interface State {
  state: Uint8Array;
  model_version: string;
  seen: Seen;
  /** Erasures that its tab knows of: what was made before one must not come back after it. */
  erasures: number;
  from: string;
  to?: string;
}

type Message =
  | { decision: Decision }
  | { forget: string }
  | { click: TimedEvent; by: string; number: number }
  | State
  | { hello: string };

/** What tabs do to the worker around them. */
export interface TabsHost {
  /** The model whose states fit here. */
  model_version(): string;
  /** Whether nothing of this tab may reach others, nor theirs be taken in, but decisions. */
  silent(): boolean;
  /** Another tab decided. */
  decided(what: Decision): void;
  /** Another tab forgot an item; its state follows. */
  forgot(item_id: string): void;
  /** Another tab was clicked in; `applied` is to be called in the job that takes the click in. */
  clicked(event: TimedEvent, applied: () => void): void;
  /** Take another tab's state over, and in the same job the clicks that it lacks. */
  adopt(state: Uint8Array, lacking: () => TimedEvent[]): void;
  /** A copy of the state as it is now, for {@link Tabs.send}. */
  share(send: (state: Uint8Array) => void): void;
}

/** Clicks that are kept to be added to a state that lacks them. */
const RECENT = 256;

/** See the file's head. */
export class Tabs {
  readonly #host: TabsHost;
  readonly #id = Math.random().toString(36).slice(2);
  readonly #channel: BroadcastChannel | null = null;
  #heard: Seen = {};
  #seen: Seen = {};
  #erasures = 0;
  #recent: { by: string; number: number; event: TimedEvent }[] = [];

  /** Tabs that keep nothing have nothing in common, so only `indexeddb` opens a channel. */
  constructor({ storage }: LoadConfig, host: TabsHost) {
    this.#host = host;
    if (storage !== "indexeddb" || typeof BroadcastChannel === "undefined") return;
    this.#channel = new BroadcastChannel("onshelf");
    this.#channel.onmessage = (event: MessageEvent<Message>) => this.#receive(event.data);
    this.greet();
  }

  /** Asks the others for what was missed: at the beginning, and when the tab was frozen or hidden. */
  greet(): void {
    this.#post({ hello: this.#id });
  }

  /** Tells the others what the shopper decided. */
  tell(decision: Decision): void {
    this.#mind(decision);
    this.#post({ decision });
  }

  /** Tells the others of a click that was answered here. */
  click(event: TimedEvent): void {
    if (this.#channel === null || this.#host.silent()) return;
    const number = (this.#seen[this.#id] ?? 0) + 1;
    this.#note(this.#id, number, event);
    this.#post({ click: event, by: this.#id, number });
  }

  /** An item is forgotten: nothing from before brings it back, neither here nor in the others. */
  forget(item_id: string): void {
    this.#forgot(item_id);
    this.#post({ forget: item_id });
  }

  /** Sends a state that has everything in it that this tab knows of. */
  send(state: Uint8Array, to?: string): void {
    const model_version = this.#host.model_version();
    const about = { model_version, seen: { ...this.#seen }, erasures: this.#erasures };
    this.#post({ state, ...about, from: this.#id, ...(to !== undefined && { to }) });
  }

  /** Listens no more. */
  close(): void {
    this.#channel?.close();
  }

  #post(message: Message): void {
    const always = "decision" in message || "forget" in message;
    if (this.#host.silent() && !always) return;
    this.#channel?.postMessage(message);
  }

  #note(by: string, number: number, event: TimedEvent): void {
    this.#seen[by] = number;
    this.#recent.push({ by, number, event });
    if (this.#recent.length > RECENT) this.#recent.shift();
  }

  #receive(message: Message): void {
    // Another release of the package may speak another language.
    if (typeof message !== "object" || message === null) return;
    if ("decision" in message) {
      this.#mind(message.decision);
      this.#host.decided(message.decision);
    } else if ("forget" in message) {
      this.#forgot(message.forget);
      this.#host.forgot(message.forget);
    } else if (this.#host.silent()) {
      return;
    } else if ("click" in message) {
      const { click, by, number } = message;
      if (number <= Math.max(this.#heard[by] ?? 0, this.#seen[by] ?? 0)) return;
      this.#heard[by] = number;
      this.#host.clicked(click, () => this.#note(by, number, click));
    } else if ("hello" in message) {
      // Who knows nothing has nothing to say.
      if (Object.keys(this.#seen).length > 0 || this.#erasures > 0) this.#shareWith(message.hello);
    } else if ("state" in message) {
      this.#consider(message);
    }
  }

  #shareWith(to: string): void {
    this.#host.share((state) => this.send(state, to));
  }

  #mind(decision: Decision): void {
    if (decision !== "erased" && decision !== "denied") return;
    this.#erasures++;
    this.#recent = [];
  }

  #forgot(item_id: string): void {
    this.#erasures++;
    this.#recent = this.#recent.filter(({ event: [event] }) => event.item_id !== item_id);
  }

  #consider({ state, model_version, seen, erasures, from, to }: State): void {
    if (to !== undefined && to !== this.#id) return;
    if (model_version !== this.#host.model_version() || erasures < this.#erasures) return;
    const lacking = () => this.#recent.filter(({ by, number }) => number > (seen[by] ?? 0));
    if (to === undefined) {
      // A tab that has never heard of one of us began from storage: it is told, rather than believed.
      if (Object.keys(this.#seen).some((tab) => seen[tab] === undefined)) {
        return this.#shareWith(from);
      }
    } else if (lacking().some(({ by }) => by !== this.#id)) {
      // What comes late, from a tab that was frozen, knows less than is known here.
      return;
    }
    this.#host.adopt(state, () => {
      const events = lacking().map(({ event }) => event);
      this.#erasures = Math.max(this.#erasures, erasures);
      for (const [tab, number] of Object.entries(seen)) {
        this.#seen[tab] = Math.max(this.#seen[tab] ?? 0, number);
      }
      return events;
    });
  }
}
