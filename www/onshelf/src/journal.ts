/**
 * The newest copy of the personal state, and the events that came after it. Page and worker
 * each keep one: the page's brings a new worker up to date, the worker's a CPU engine whose
 * graphics device was lost. It lives in memory only.
 */

import type { Engine } from "./engine.js";
import type { ShelfEvent } from "./types.js";

/** An event with the time it happened, in milliseconds since 1970. */
export type TimedEvent = [event: ShelfEvent, now_ms: number];

/** See the file's head. */
export class Journal {
  #snapshot: Uint8Array | null = null;
  #events: { id: number; timed: TimedEvent }[] = [];

  /** Bytes of `Engine.exportState`, or `null` before the first. */
  get snapshot(): Uint8Array | null {
    return this.#snapshot;
  }

  /** The events to replay on top of the snapshot, oldest first. */
  get events(): TimedEvent[] {
    return this.#events.map((entry) => entry.timed);
  }

  /** How many events those are. */
  get length(): number {
    return this.#events.length;
  }

  /** Notes an event that the engine has answered. */
  note(id: number, timed: TimedEvent): void {
    this.#events.push({ id, timed });
  }

  /** Takes a copy of the state; events with an id up to `through` are part of it. */
  take(bytes: Uint8Array, through: number): void {
    this.#snapshot = bytes;
    this.#events = this.#events.filter((entry) => entry.id > through);
  }

  /** Forgets everything. */
  clear(): void {
    this.#snapshot = null;
    this.#events = [];
  }
}

/**
 * Brings an engine to a journal's state.
 *
 * @throws what `Engine.importState` and `Engine.track` throw
 */
export function replay(engine: Engine, snapshot: Uint8Array | null, events: TimedEvent[]): void {
  if (snapshot !== null) engine.importState(snapshot);
  for (const [event, now] of events) engine.track(event, now);
}
