/**
 * onshelf: shop recommendations that learn in the shopper's own browser.
 *
 * Importing this module does nothing: no global is read before `Onshelf.load` is called, so it
 * may be imported where pages are rendered on a server.
 *
 * @packageDocumentation
 */

export { Onshelf } from "./client.js";
export type { Consent, ConsentSource } from "./consent.js";
export { consentMode, tcf, type ConsentModeOptions, type TcfOptions } from "./consent-sources.js";
export type { DataLayerCounts, DataLayerOptions, StopObserving } from "./data-layer.js";
export { OnshelfError, type ErrorCode } from "./errors.js";
export { VERSION } from "./version.js";
export type {
  Boost,
  Change,
  DeviceKind,
  Explanation,
  Guard,
  Filter,
  FineTuneOptions,
  FineTuneReport,
  ForgetReport,
  Inspection,
  LoadOptions,
  Notice,
  Progress,
  RecommendRequest,
  Relay,
  Shelf,
  ShelfEvent,
  ShelfKind,
  Strategy,
  ShelfItem,
  SyncInspection,
  SyncReport,
  TrackResult,
  UpdateReport,
} from "./types.js";
