/** Sources of consent that shops have already: Google's Consent Mode and the IAB's TCF. */

import { said, type Consent, type ConsentSource } from "./consent.js";

/** The names of Consent Mode v2 that decide here. Others are passed over. */
export interface ConsentModeOptions {
  /** Name of the data layer's global. Default `dataLayer`. */
  dataLayer?: string;
  /**
   * Storage types that must all be `granted` for `device`. Default: `personalization_storage`, or, where no
   * command of the page names that, `analytics_storage` and `ad_personalization`.
   */
  device?: readonly string[];
  /** Those that must be `granted` as well for `device+sync`. Default: `analytics_storage`. */
  sync?: readonly string[];
}

type Layer = unknown[] & { push(...entries: unknown[]): number };
type Command = [name: unknown, what: unknown, state: unknown];

/** What the page's commands said about one storage type. */
interface Word {
  granted: boolean;
  /** Said by `update`, that is by the shopper, and not only the page's default. */
  decided: boolean;
}

/**
 * Consent Mode v2: follows the page's `gtag("consent", "default" | "update", …)` commands in the data layer,
 * those before as well as those to come.
 *
 * Defaults for a region count everywhere, the strictest of them: the page does not know where it is. What is
 * `denied` by default only is undecided: nothing is learned or stored, nothing is erased either.
 */
export function consentMode(options: ConsentModeOptions = {}): ConsentSource {
  const words = new Map<string, Word>();
  const layer = layerOf(options.dataLayer ?? "dataLayer", true);
  for (const entry of layer) read(entry, words);
  return {
    name: "consent-mode",
    get: () => judge(words, options),
    watch: (onChange) =>
      listen(layer, (entry) => {
        if (read(entry, words)) onChange();
      }),
  };
}

function layerOf(name: string, make: boolean): Layer {
  const scope = globalThis as Record<string, unknown>;
  if (!Array.isArray(scope[name]) && make) scope[name] = [];
  return (scope[name] ?? []) as Layer;
}

/** Takes a consent command in; other entries are none of its business. */
function read(entry: unknown, words: Map<string, Word>): boolean {
  // `gtag` pushes its `arguments`, which is no array.
  const [name, what, state] = Array.from((entry ?? []) as ArrayLike<unknown>) as Command;
  if (name !== "consent" || (what !== "default" && what !== "update")) return false;
  for (const [type, value] of Object.entries(Object(state) as object)) {
    if (value !== "granted" && value !== "denied") continue;
    const before = words.get(type);
    const granted = value === "granted";
    if (what === "update") words.set(type, { granted, decided: true });
    else if (before?.decided !== true) {
      words.set(type, { granted: granted && before?.granted !== false, decided: false });
    }
  }
  return true;
}

function judge(words: Map<string, Word>, options: ConsentModeOptions): Consent | null {
  const usual = words.has("personalization_storage")
    ? ["personalization_storage"]
    : ["analytics_storage", "ad_personalization"];
  const device = options.device ?? usual;
  const refused = device.map((type) => words.get(type)).filter((word) => word?.granted !== true);
  if (refused.length > 0) {
    return refused.some((word) => word?.decided === true) ? "denied" : null;
  }
  const sync = options.sync ?? ["analytics_storage"];
  return sync.every((type) => words.get(type)?.granted === true) ? "device+sync" : "device";
}

/** Hears every entry that is pushed from now on, wherever the tag manager's own `push` stands. */
function listen(layer: Layer, hear: (entry: unknown) => void): () => void {
  const before = layer.push;
  let listening = true;
  const push = (...entries: unknown[]): number => {
    const length = before.apply(layer, entries);
    if (listening) entries.forEach(hear);
    return length;
  };
  layer.push = push;
  return () => {
    listening = false;
    // Somebody may have put a push of their own around this one.
    if (layer.push === push) layer.push = before;
  };
}

/** Options of {@link tcf}. */
export interface TcfOptions {
  /** The shop's number in the IAB's Global Vendor List: its own consents and restrictions count as well. */
  vendor?: number;
  /** Where the regulation does not apply to this visit. Default `device`; a yes to sync needs to be said. */
  outside?: Consent;
}

/** Store and read; profiles for content; content by profiles. */
const DEVICE_PURPOSES = [1, 5, 6] as const;

/** Develop and improve services. */
const SYNC_PURPOSE = 10;

interface TcData {
  gdprApplies?: boolean;
  eventStatus?: string;
  listenerId?: number;
  purpose?: { consents?: Record<number, boolean> };
  vendor?: { consents?: Record<number, boolean> };
  publisher?: { restrictions?: Record<number, Record<number, number>> };
}

type TcfApi = (
  command: string,
  version: 2,
  callback: (data: TcData, success: boolean) => void,
  argument?: unknown,
) => void;

/**
 * IAB TCF v2: `device` needs consent for purposes 1, 5 and 6, `device+sync` for purpose 10 as well. A
 * legitimate interest is no consent. Undecided until the consent manager says that a choice was made.
 */
export function tcf(options: TcfOptions = {}): ConsentSource {
  let word: Consent | null = null;
  return {
    name: "tcf",
    get: () => word,
    watch(onChange) {
      let listener: number | undefined;
      let over = false;
      const api = tcfApi();
      api?.("addEventListener", 2, (data, success) => {
        if (over || !success) return;
        listener = data.listenerId;
        word = wordOf(data, options);
        onChange();
      });
      return () => {
        over = true;
        if (listener !== undefined) api?.("removeEventListener", 2, () => undefined, listener);
      };
    },
  };
}

function tcfApi(): TcfApi | undefined {
  const { __tcfapi } = globalThis as { __tcfapi?: TcfApi };
  return typeof __tcfapi === "function" ? __tcfapi : undefined;
}

function wordOf(data: TcData, { vendor, outside = "device" }: TcfOptions): Consent | null {
  if (data.gdprApplies === false) return outside;
  // While the question is on the screen nobody has answered it.
  if (data.eventStatus !== "tcloaded" && data.eventStatus !== "useractioncomplete") return null;
  const agreed = (purpose: number): boolean =>
    data.purpose?.consents?.[purpose] === true &&
    (vendor === undefined || data.publisher?.restrictions?.[purpose]?.[vendor] !== 0);
  const known = vendor === undefined || data.vendor?.consents?.[vendor] === true;
  if (!known || !DEVICE_PURPOSES.every(agreed)) return "denied";
  return agreed(SYNC_PURPOSE) ? "device+sync" : "device";
}

/**
 * Where the page says nothing: `device`, as releases before consent had it, or less where the page carries
 * signals that say less.
 */
export function usualSources(): ConsentSource[] {
  const sources = [said("device", "default")];
  const isCommand = (entry: unknown) => read(entry, new Map());
  if (layerOf("dataLayer", false).some(isCommand)) sources.push(consentMode());
  if (tcfApi() !== undefined) sources.push(tcf());
  return sources;
}
