/**
 * The WebAssembly engine as the worker sees it, and how its module is brought in. Both modules
 * export the same class; they differ only in the device behind it.
 */

import type { Assets } from "./assets.js";
import { fail } from "./errors.js";
import { models } from "./models.js";
import type {
  DeviceKind,
  Explanation,
  Guard,
  RecommendRequest,
  Shelf,
  ShelfEvent,
  Strategy,
  TrackResult,
} from "./types.js";

/** What `Engine.load` tells about the model. */
export interface ModelFacts {
  model_version: string;
  /** SHA-256 (hex) of the signed manifest; its first 16 digits are the version's name. */
  model_digest: string;
  items: number;
  parameters: number;
  personal_parameters: number;
  /** Optimiser steps that this model version asks for after a click. */
  steps_per_click: number;
}

/** A request as the engine takes it: an `AbortSignal` cannot cross to a worker. */
export type EngineRequest = Omit<RecommendRequest, "signal">;

/** A shelf before the worker adds what only it knows. */
export type EngineShelf = Omit<Shelf, "took_ms" | "device">;

/** What one `Engine.fineTune` did. */
export interface EngineReport {
  steps: number;
  loss_before: number;
  loss_after: number;
  kept: boolean;
  reason?: string | null;
}

/** What `Engine.inspect` tells. */
export interface EngineInspection extends ModelFacts {
  session: { item_id: string; event: string }[];
  steps: number;
  guard: Guard;
  learned: { category: string; weight: number }[];
}

/**
 * One instance of the engine. It borrows itself across an await, so no two calls may overlap:
 * the worker's queue sees to that.
 */
export interface Engine {
  device(): DeviceKind;
  adapter(): { name: string; fallback: boolean } | null | undefined;
  load(
    manifestUrl: string,
    publicKeys: string[],
    onProgress: (stage: string, loaded: number, total: number) => void,
  ): Promise<ModelFacts>;
  setStrategy(strategy: Strategy): void;
  track(event: ShelfEvent, now_ms: number): TrackResult;
  recommend(request: EngineRequest, now_ms: number): Promise<EngineShelf>;
  fineTune(steps: number): Promise<EngineReport>;
  /** Removes the clicks on an item and all that was learned. */
  forget(item_id: string): { removed: number; left: number };
  /** Learns from the first `clicks` of the session as if the others had not happened yet. */
  relearn(clicks: number, steps: number): Promise<EngineReport>;
  explain(item_id: string): Promise<Explanation>;
  inspect(): EngineInspection | Promise<EngineInspection>;
  exportState(): Uint8Array;
  importState(bytes: Uint8Array): void;
  exportReadable(): string;
  /**
   * The CPU's engine alone: checks the public log of versions, which must go on from `seen` (a hash, or empty) and name
   * the loaded version; gives the hash to remember.
   *
   * @throws `LOG_INVALID`
   */
  checkLog(log: Uint8Array, publicKeys: string[], seen: string): string;
  /** For a round of private sums; `undefined` where there is nothing new. Never posted to the page. */
  contribution(round: number): Promise<Float32Array | undefined>;
  /** A contribution was made of all that is known now. */
  contributed(): void;
  save(): Promise<{ bytes: number }>;
  restore(): Promise<boolean>;
  erase(stored: boolean): Promise<void>;
  free(): void;
}

interface EngineModule {
  default(options: { module_or_path: URL | string }): Promise<unknown>;
  Engine: { create(): Promise<Engine> };
}

/**
 * Imports the module of one device, starts it and opens its device.
 *
 * @param assets where the modules are
 * @param instance 0 for the first; a lost graphics device cannot be opened again by the same
 *   instance of a module, and only another address makes the browser give a fresh one
 * @throws OnshelfError `NETWORK` where a file cannot be fetched; what `Engine.create` throws
 */
export async function openEngine(
  kind: DeviceKind,
  assets: Assets,
  instance: number,
): Promise<Engine> {
  const glue = new URL(assets[kind]);
  if (instance !== 0) glue.searchParams.set("instance", String(instance));
  let module: EngineModule;
  try {
    module = (await import(/* @vite-ignore */ glue.href)) as EngineModule;
    await module.default({ module_or_path: assets[`${kind}_wasm`] });
  } catch (cause) {
    if (cause instanceof WebAssembly.RuntimeError) throw cause;
    const what = cause instanceof Error ? cause.message : String(cause);
    throw fail("NETWORK", `the ${kind} module could not be started: ${what}`, cause);
  }
  return module.Engine.create();
}

/**
 * Loads a model as the page asked for it.
 *
 * @param approve throws where the version must not be used; what it fetches is kept with the model
 */
export async function loadModel(
  engine: Engine,
  config: { model: string; publicKeys: string[]; strategy: Strategy },
  onProgress: (stage: string, loaded: number, total: number) => void = () => undefined,
  approve: () => Promise<void> = async () => undefined,
): Promise<ModelFacts> {
  const facts = await models.load(async () => {
    const facts = await engine.load(config.model, config.publicKeys, onProgress);
    await approve();
    return facts;
  });
  engine.setStrategy(config.strategy);
  return facts;
}
