/**
 * What to do about each of onshelf's failures. Most come from the worker, and bring their remedy along when they
 * cross to the page; so these texts are no part of what the page itself loads.
 */

import { PAGE_REMEDIES, teach } from "./errors.js";

/** Every code with its remedy. */
export const REMEDIES = {
  ...PAGE_REMEDIES,
  UNKNOWN_ITEM: "Use an item_id of this model's catalogue.",
  NOT_LOADED: "Await Onshelf.load before any other call.",
  MANIFEST_INVALID: "Publish the model again with `onshelf export`.",
  SIGNATURE_INVALID: "The manifest was altered: publish it again, and check who could change it.",
  UNTRUSTED_KEY: "Add the signer's key to publicKeys, if this page should trust it.",
  HASH_MISMATCH: "A file of the model is not the one that was signed: upload the model again.",
  FILE_TRUNCATED: "A file of the model arrived incomplete: load again, or upload it again.",
  FORMAT_TOO_NEW: "Update onshelf: this model was written for a newer release.",
  CATALOGUE_INVALID: "Publish the model again with a catalogue that `onshelf export` accepts.",
  DEVICE_UNAVAILABLE: 'Use device "cpu" or "auto": this browser offers no usable WebGPU.',
  DEVICE_LOST: "Call again: the CPU has taken over.",
  STORAGE_UNAVAILABLE:
    "Allow site data for this origin; until then nothing is kept between visits.",
  STORAGE_FULL: "Free space for this origin; until then nothing is kept between visits.",
  STATE_CORRUPT: "Call erase(): what was stored cannot be read.",
  STATE_VERSION: "Update onshelf: the stored state was written by a newer release.",
  STATE_OTHER_MODEL: "Call erase(): the stored state belongs to another model.",
  NOT_FINITE: "Report it with the model version: the model computed a number that is not finite.",
  PANIC: "Report the message: this is a fault in onshelf.",
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
  RELAY_MISMATCH:
    "Name in sync.relay the hash of the keys that the gateways offer; else find out who changed them.",
  BUDGET_EXHAUSTED: "None needed: this shopper gave as much as they may within a year.",
  UPLOAD_REFUSED: "Look for the reason at the leader; the message has its problem type.",
} as const;

/** To be called once in the worker, before anything can fail. */
export function knowRemedies(): void {
  teach(REMEDIES);
}
