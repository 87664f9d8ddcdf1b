/** How onshelf fails; what to do about each failure is in `remedies.ts`. */

import type { REMEDIES } from "./remedies.js";
import { VERSION } from "./version.js";

/** The failures that the page's side finds by itself. */
export const PAGE_REMEDIES = {
  INVALID_REQUEST: "Correct the argument that the message names.",
  NETWORK: "Check the connection and the addresses given as model and assets, then try again.",
  ABORTED: "None needed: the page aborted this itself.",
  WORKER_CRASHED: "Call again; if it happens again, report the message.",
  DISPOSED: "Load a new Onshelf: this one was disposed.",
} as const;

let remedies: Readonly<Record<string, string>> = PAGE_REMEDIES;

/** Lets errors that are made here have more remedies than the page's. */
export function teach(more: Readonly<Record<string, string>>): void {
  remedies = more;
}

/** `errors.md` of the package, as a public CDN serves the files of every npm package. */
const DOCS = `https://cdn.jsdelivr.net/npm/onshelf@${VERSION}/errors.md`;

/** The stable names of onshelf's failures; none is ever renamed. */
export type ErrorCode = keyof typeof REMEDIES;

/** The only kind of error that onshelf's promises reject with. */
export class OnshelfError extends Error {
  /** One of {@link ErrorCode}: stable, for programs. */
  readonly code: string;
  /** Where this release's documentation of the code is. Only an address: nothing is fetched. */
  readonly docs: string;
  /** What to do about it, in one sentence, for people. */
  readonly remedy: string;

  /**
   * @param code one of {@link ErrorCode}
   * @param message what happened
   * @param remedy what to do; the code's usual remedy if left out
   */
  constructor(code: string, message: string, remedy?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "OnshelfError";
    this.code = code;
    this.docs = `${DOCS}#${code.toLowerCase()}`;
    this.remedy = remedy || remedies[code] || "Report the message.";
  }
}

/** An error as it crosses between worker and page: structured cloning would drop `code`. */
export interface WireError {
  code: string;
  message: string;
  remedy: string;
}

/** Shorthand for an error with its code's usual remedy. */
export function fail(code: ErrorCode, message: string, cause?: unknown): OnshelfError {
  return new OnshelfError(code, message, undefined, cause === undefined ? {} : { cause });
}

/** The `code` of anything thrown, or `undefined`. The engines' errors are plain `Error`s with one. */
export function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}

/**
 * Whether the engine that threw this is dead. A trap leaves its memory in an unknown state, and
 * an error that nobody gave a code is one that nobody expected: both are answered by a new
 * instance. A `TypeError` comes from the glue's check of arguments, before any Rust ran.
 */
export function isFatal(thrown: unknown): boolean {
  const code = codeOf(thrown);
  if (code !== undefined) return code === "PANIC";
  return !(thrown instanceof TypeError);
}

/** Makes anything thrown fit to be posted. */
export function toWire(thrown: unknown): WireError {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  const code = codeOf(thrown) ?? (thrown instanceof TypeError ? "INVALID_REQUEST" : "PANIC");
  const remedy =
    typeof thrown === "object" && thrown !== null && "remedy" in thrown
      ? String(thrown.remedy)
      : "";
  return { code, message, remedy: new OnshelfError(code, message, remedy).remedy };
}

/** The other direction of {@link toWire}. */
export function fromWire(error: WireError): OnshelfError {
  return new OnshelfError(error.code, error.message, error.remedy);
}
