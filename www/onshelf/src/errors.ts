/** Every way in which onshelf can fail, and what to do about each. */

const REMEDIES = {
  INVALID_REQUEST: "Correct the argument that the message names.",
  UNKNOWN_ITEM: "Use an item_id of this model's catalogue.",
  NOT_LOADED: "Await Onshelf.load before any other call.",
  MANIFEST_INVALID: "Publish the model again with `onshelf export`.",
  SIGNATURE_INVALID: "The manifest was altered: publish it again, and check who could change it.",
  UNTRUSTED_KEY: "Add the signer's key to publicKeys, if this page should trust it.",
  HASH_MISMATCH: "A file of the model is not the one that was signed: upload the model again.",
  FILE_TRUNCATED: "A file of the model arrived incomplete: load again, or upload it again.",
  FORMAT_TOO_NEW: "Update onshelf: this model was written for a newer release.",
  CATALOGUE_INVALID: "Publish the model again with a catalogue that `onshelf export` accepts.",
  NETWORK: "Check the connection and the addresses given as model and assets, then try again.",
  ABORTED: "None needed: the page aborted this itself.",
  DEVICE_UNAVAILABLE: 'Use device "cpu" or "auto": this browser offers no usable WebGPU.',
  DEVICE_LOST: "Call again: the CPU has taken over.",
  STORAGE_UNAVAILABLE:
    "Allow site data for this origin; until then nothing is kept between visits.",
  STORAGE_FULL: "Free space for this origin; until then nothing is kept between visits.",
  STATE_CORRUPT: "Call erase(): what was stored cannot be read.",
  STATE_VERSION: "Update onshelf: the stored state was written by a newer release.",
  STATE_OTHER_MODEL: "Call erase(): the stored state belongs to another model.",
  NOT_FINITE: "Report it with the model version: the model computed a number that is not finite.",
  WORKER_CRASHED: "Call again; if it happens again, report the message.",
  PANIC: "Report the message: this is a fault in onshelf.",
  DISPOSED: "Load a new Onshelf: this one was disposed.",
  LEARNING_OFF: "Load with learning: true, if the shopper agreed to it.",
  CONSENT_NEEDED: "Call setConsent once the shopper has agreed to it.",
  SYNC_UNAVAILABLE:
    "Allow site data for this origin: without a record of them there are no rounds.",
  TASK_INVALID: "Open the round again with `onshelf collect`.",
  TASK_MISMATCH: "Find out who changed the task: its id is not that of its contents.",
  TASK_OTHER_MODEL:
    "Open rounds for the published model version; this browser may have to update().",
  TASK_EXPIRED: "None needed: the next round will do.",
  LOG_INVALID: "Find out who changed the log of versions: this model may be meant for one browser.",
  HPKE_MISMATCH: "Find out why the aggregator's key is not the one that the task names.",
  BUDGET_EXHAUSTED: "None needed: this shopper gave as much as they may within a year.",
  UPLOAD_REFUSED: "Look for the reason at the leader; the message has its problem type.",
} as const;

/** The stable names of onshelf's failures; none is ever renamed. */
export type ErrorCode = keyof typeof REMEDIES;

/** The only kind of error that onshelf's promises reject with. */
export class OnshelfError extends Error {
  /** One of {@link ErrorCode}: stable, for programs. */
  readonly code: string;
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
    this.remedy = remedy || (REMEDIES as Record<string, string>)[code] || "Report the message.";
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
