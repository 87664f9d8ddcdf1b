/** `load({ debug })`: says what was asked, what came of it, and why. */

import type { Method, Methods } from "./protocol.js";
import type { Explanation, Shelf } from "./types.js";

/** Takes what there is to say: a command or a change by its name, and the figures behind it. */
export type Say = (what: string, details: Readonly<Record<string, unknown>>) => void;

/** Items of a shelf whose places are explained. */
const EXPLAINED = 3;

/** What of an inspection is behind a decision that onshelf took by itself. */
const BEHIND = [
  "device",
  "steps",
  "waits_for",
  "guard",
  "storage",
  "paused",
  "version_log",
  "sync",
] as const;

type Ask = <M extends "explain" | "inspect">(
  method: M,
  args: Methods[M]["args"],
) => Promise<Methods[M]["result"]>;

/** See the file's head. Nothing here may throw: what is narrated must not depend on the narrator. */
export class Narrator {
  readonly #say: Say;
  readonly #ask: Ask;

  /** @param debug `true` for the console */
  constructor(debug: true | Say, ask: Ask) {
    const say: Say =
      debug === true ? (what, details) => console.debug(`onshelf ${what}`, details) : debug;
    this.#say = (what, details) => {
      try {
        say(what, details);
      } catch (error) {
        reportError(error);
      }
    };
    this.#ask = ask;
  }

  /** A command was answered. The two that explain by themselves are passed over, ours among them. */
  answered(method: Method, args: unknown[], took_ms: number, answer: unknown): void {
    if (method === "explain" || method === "inspect") return;
    this.#say(method, { asked: args[0], answer, took_ms });
    if (method === "recommend" && !(answer instanceof Error)) void this.#explain(answer as Shelf);
  }

  /** Something changed without being asked for; `why` where it is known. */
  async changed(what: string, why?: string): Promise<void> {
    try {
      const inspection = await this.#ask("inspect", []);
      const behind = Object.fromEntries(BEHIND.map((name) => [name, inspection[name]]));
      this.#say(what, why === undefined ? behind : { ...behind, why });
    } catch {
      // Disposed meanwhile.
    }
  }

  async #explain({ shelf_id, items }: Shelf): Promise<void> {
    const places: Explanation[] = [];
    try {
      for (const { item_id } of items.slice(0, EXPLAINED)) {
        places.push(await this.#ask("explain", [item_id]));
      }
      this.#say("places", { shelf_id, places });
    } catch {
      // Disposed meanwhile, or an item that a newer version lacks.
    }
  }
}
