/** Looks at WebGPU, and compares two engines, before one of them is trusted with a shopper. */

import type { Engine } from "./engine.js";
import { fail } from "./errors.js";
import type { ShelfItem } from "./types.js";

/** How much faster WebGPU must be to be worth a second module in memory. */
const WORTH = 1.2;

/** Scores of two devices may differ by this share: they add in another order. */
const TOLERANCE = 1e-3;

/**
 * Asks the browser for an adapter, which costs nothing compared to fetching the module.
 *
 * @returns `null` where there is none; `fallback` is true for one that runs on the CPU
 */
export async function findAdapter(): Promise<{ fallback: boolean } | null> {
  // Old browsers lack `navigator.gpu`, whatever the types say.
  const gpu = (navigator as { gpu?: GPU }).gpu;
  const adapter = (await gpu?.requestAdapter().catch(() => null)) ?? null;
  if (adapter === null) return null;
  const info = (adapter as { info?: GPUAdapterInfo }).info;
  return { fallback: info?.isFallbackAdapter === true };
}

/**
 * One ranking that really runs the model. An empty session would be answered from popularity, so
 * one click is borrowed and taken back. Leaves the engine's state as it was.
 */
export async function probe(engine: Engine): Promise<ShelfItem[]> {
  const now = Date.now();
  const rank = async () =>
    (await engine.recommend({ slot: "onshelf-probe", kind: "for_you", count: 10 }, now)).items;
  if ((await engine.inspect()).session.length > 0) return rank();
  const before = engine.exportState();
  const popular = await engine.recommend({ slot: "onshelf-probe", kind: "popular", count: 1 }, now);
  const item = popular.items[0];
  if (item !== undefined) engine.track({ event: "view_item", item_id: item.item_id }, now);
  const items = await rank();
  engine.importState(before);
  return items;
}

/**
 * Whether two rankings name the same best item. Shaders are not checked when they are made in
 * the browser, so a wrong one shows only in its results.
 *
 * @throws OnshelfError `DEVICE_UNAVAILABLE` where they do not
 */
export function demandAgreement(cpu: ShelfItem[], gpu: ShelfItem[]): void {
  const [expected, found] = [cpu[0], gpu[0]];
  if (expected?.item_id === found?.item_id) return;
  const twin = cpu.find((item) => item.item_id === found?.item_id);
  const tied =
    expected !== undefined &&
    twin !== undefined &&
    Math.abs(expected.score - twin.score) <= TOLERANCE * Math.max(1, Math.abs(expected.score));
  if (!tied) throw fail("DEVICE_UNAVAILABLE", "WebGPU's ranking differs from the CPU's");
}

/** Whether the median of `gpu` is enough below that of `cpu`; both in milliseconds. */
export function isWorthIt(cpu: number[], gpu: number[]): boolean {
  return median(cpu) >= WORTH * median(gpu);
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Infinity;
}
