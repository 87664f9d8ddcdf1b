/**
 * Two small things a page remembers beside the worker's database: whether the shopper paused
 * learning, and which device won on this machine. Neither says anything about what was clicked.
 * Every access may fail where site data is forbidden; then nothing is remembered.
 */

import type { Verdict } from "./protocol.js";

const PAUSED = "onshelf:paused";
const DEVICE = "onshelf:device";

/** Whether the shopper paused learning on an earlier page. */
export function recallPaused(): boolean {
  return read(PAUSED) === "1";
}

/** Keeps the shopper's choice for the next page. */
export function rememberPaused(paused: boolean): void {
  write(PAUSED, paused ? "1" : null);
}

/** The outcome of an earlier measurement. */
export function recallVerdict(): Verdict | null {
  try {
    const value: unknown = JSON.parse(read(DEVICE) ?? "null");
    if (typeof value !== "object" || value === null) return null;
    if (!("key" in value && "device" in value) || typeof value.key !== "string") return null;
    const { key, device } = value;
    return device === "cpu" || device === "webgpu" ? { key, device } : null;
  } catch {
    return null;
  }
}

/** Keeps the outcome of a measurement; `null` forgets it. */
export function rememberVerdict(verdict: Verdict | null): void {
  write(DEVICE, verdict === null ? null : JSON.stringify(verdict));
}

function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // Forbidden or full: the next page asks or measures again.
  }
}
