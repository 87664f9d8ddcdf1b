/**
 * The fake in the place of a WebAssembly module: what onshelf's worker imports in a page under test. Built as a file of
 * its own; `playwright.ts` serves it with the items put before it. It keeps nothing in storage.
 */

import type { ShelfEvent } from "onshelf";
import type { FakeItem, FakeRequest } from "./model.js";
import { blank, FakeShopper, type FakeMemory } from "./state.js";

const given = globalThis as { onshelfFake?: { items: FakeItem[]; version: string } };

/** Nothing to compile. */
export default async function init(): Promise<void> {}

/** The interface of `Engine` in `www/onshelf/src/engine.ts`. */
export class Engine {
  readonly #shopper = new FakeShopper(given.onshelfFake!.items);
  #shelves = 0;

  static async create(): Promise<Engine> {
    return new Engine();
  }

  device() {
    return "cpu" as const;
  }

  adapter() {
    return null;
  }

  async load(
    _manifest: string,
    _keys: string[],
    onProgress: (stage: string, loaded: number, total: number) => void,
  ) {
    for (const stage of ["manifest", "weights", "catalogue", "verify"]) onProgress(stage, 1, 1);
    return this.#facts();
  }

  setStrategy(): void {}

  track(event: ShelfEvent) {
    return this.#shopper.track(event);
  }

  async recommend(request: FakeRequest) {
    const items = this.#shopper.rank(request);
    const { slot, kind = "for_you" } = request;
    const shelf_id = `fake-${++this.#shelves}`;
    return {
      shelf_id,
      slot,
      kind,
      items,
      model_version: this.#facts().model_version,
      personal: false,
    };
  }

  async fineTune(steps: number) {
    return this.#shopper.learn(steps);
  }

  forget(item_id: string) {
    return this.#shopper.forget(item_id);
  }

  async relearn(_clicks: number, steps: number) {
    return this.#shopper.learn(steps);
  }

  async explain(item_id: string) {
    return this.#shopper.explain(item_id);
  }

  inspect() {
    const { session, steps } = this.#shopper.memory;
    const guard = {
      compared: 0,
      lead_nats: 0,
      evidence_nats: 0,
      personal: false,
      say: 0,
      rolled_back: 0,
    };
    const learned = this.#shopper.learned();
    return { ...this.#facts(), session: structuredClone(session), steps, guard, learned };
  }

  exportState(): Uint8Array {
    return new TextEncoder().encode(JSON.stringify(this.#shopper.memory));
  }

  importState(bytes: Uint8Array): void {
    this.#shopper.memory = JSON.parse(new TextDecoder().decode(bytes)) as FakeMemory;
  }

  /** There is no version that could be somebody's own. */
  checkLog(): string {
    return "";
  }

  exportReadable(): string {
    return JSON.stringify(this.#shopper.memory, null, 2);
  }

  /** There is no round for a model that is not one. */
  async contribution(): Promise<undefined> {}

  contributed(): void {}

  async save() {
    return { bytes: 0 };
  }

  async restore() {
    return false;
  }

  async erase(): Promise<void> {
    this.#shopper.memory = blank();
  }

  free(): void {}

  #facts() {
    const model_version = given.onshelfFake!.version;
    return {
      model_version,
      model_digest: model_version,
      items: this.#shopper.model.size,
      parameters: 0,
      personal_parameters: 0,
      steps_per_click: 1,
    };
  }
}
