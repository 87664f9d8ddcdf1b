/**
 * The messages between page and worker.
 *
 * Page to worker: calls `{ id, method, args }`, answered each by one reply, and controls, which
 * overtake the queue. Worker to page: replies, and notes, which answer nothing. Ids rise; a
 * command that is sent again after a crash gets a new one.
 */

import type { Assets } from "./assets.js";
import type { Agreed, Consent } from "./consent.js";
import type { EngineRequest, ModelFacts } from "./engine.js";
import type { WireError } from "./errors.js";
import type { TimedEvent } from "./journal.js";
import type {
  Change,
  DeviceKind,
  Explanation,
  FineTuneReport,
  ForgetReport,
  Inspection,
  LoadOptions,
  Progress,
  Shelf,
  Strategy,
  SyncReport,
  TrackResult,
  UpdateReport,
} from "./types.js";

/** The outcome of the measurement of `device: "auto"`; the page only keeps it. */
export interface Verdict {
  /** Browser and model it was measured with; any other pair measures again. */
  key: string;
  device: DeviceKind;
}

/** What the page knows of its surroundings, and a worker cannot. */
export interface Conditions {
  /** Nobody sees the page. */
  hidden: boolean;
  /** The browser was asked to save data, or the battery is low and not charging. */
  saving: boolean;
}

/** The way to one aggregator: the relay's address, with a slash at the end, and the hash of the gateway's keys. */
export interface RelayConfig {
  url: string;
  keys: string;
}

/** One for each aggregator. */
export type Relays = Record<"leader" | "helper", RelayConfig>;

/** What a worker needs to begin. */
export interface LoadConfig {
  /** Absolute address of the manifest. */
  model: string;
  publicKeys: string[];
  assets: Assets;
  /** Most bytes of models in Cache Storage. */
  modelCache: number;
  log: NonNullable<LoadOptions["log"]>;
  /** Milliseconds between two looks for a newer version; 0 for none. */
  updates_ms: number;
  /** `auto` lets the worker measure WebGPU by itself; an explicit wish comes as `setDevice`. */
  device: NonNullable<LoadOptions["device"]>;
  storage: NonNullable<LoadOptions["storage"]>;
  learning: boolean | "idle";
  strategy: Strategy;
  agreed: Agreed;
  /** Address of the task, longest delay of a report, first pause after a failed upload, and relays before the aggregators. */
  sync: { task: string; max_delay_ms: number; retry_ms: number; relay: Relays | null };
  conditions: Conditions;
  paused: boolean;
  verdict: Verdict | null;
  /** Whether to read storage; not where a snapshot is newer, nor where reading it crashed. */
  restore: boolean;
  /** State to begin with instead, and what happened since. */
  snapshot: Uint8Array | null;
  events: TimedEvent[];
}

/** What of an inspection only the page knows. */
type PageOnly = "worker_restarts" | "consent" | "consent_limited_by";

/** Arguments and result of each method. */
export interface Methods {
  load: { args: [LoadConfig]; result: ModelFacts };
  track: { args: TimedEvent; result: TrackResult };
  recommend: { args: [EngineRequest, number]; result: Shelf };
  fineTune: { args: [{ steps: number | null; budget_ms: number }]; result: FineTuneReport };
  explain: { args: [string]; result: Explanation };
  inspect: { args: []; result: Omit<Inspection, PageOnly> };
  pause: { args: []; result: undefined };
  resume: { args: []; result: undefined };
  exportPersonal: { args: []; result: string };
  erase: { args: []; result: undefined };
  forget: { args: [string]; result: ForgetReport };
  /** The result tells whether what was known was erased. */
  setConsent: { args: [Agreed]; result: boolean };
  setDevice: { args: [DeviceKind]; result: DeviceKind };
  update: { args: []; result: UpdateReport };
  sync: { args: []; result: SyncReport };
  dispose: { args: []; result: undefined };
}

/** The name of a method. */
export type Method = keyof Methods;

/** A command. */
export type Call = {
  [M in Method]: { id: number; method: M; args: Methods[M]["args"] };
}[Method];

/** Out of turn: give up a call, say that you live, write what is not yet written, mind the surroundings. */
export type Control =
  | { control: "abort"; id: number }
  | { control: "ping" }
  | { control: "flush" }
  | { control: "conditions"; conditions: Conditions };

/** Answer to one call. `fatal`: this worker must be replaced. */
export type Reply =
  | { id: number; ok: true; result: unknown }
  | { id: number; ok: false; error: WireError; fatal: boolean };

/** Everything else a worker says. */
export type Note =
  | { note: "ready" }
  | { note: "pong" }
  | { note: "progress"; progress: Progress }
  | { note: "snapshot"; bytes: Uint8Array; through: number }
  | { note: "change"; what: Change; device: DeviceKind }
  | { note: "lowered"; consent: Consent }
  | { note: "verdict"; verdict: Verdict }
  | { note: "crashed"; message: string };

/** What the page posts. */
export type ToWorker = Call | Control;

/** What the worker posts. */
export type FromWorker = Reply | Note;

/** The methods that only read, and so may run between two steps of a fine-tuning. */
export const READS: ReadonlySet<Method> = new Set<Method>(["recommend", "explain", "inspect"]);

/** The methods that are not in turn: they wait for the network or a device, while commands go on. */
export const ASIDE: ReadonlySet<Method> = new Set<Method>(["setDevice", "update", "sync"]);
