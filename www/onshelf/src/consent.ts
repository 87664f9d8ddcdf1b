/**
 * What the shopper agreed to, as the page knows it: said by the page itself, by Google's Consent Mode or by
 * an IAB TCF consent manager, and capped by Global Privacy Control. The strictest of them holds.
 */

import { fail } from "./errors.js";

/**
 * How much a shopper agreed to.
 *
 * - `denied`: shelves are ranked; nothing is learned, and nothing is kept.
 * - `device`: learns, and keeps what it learned, on this device.
 * - `device+sync`: also takes part in private rounds, which improve the shop's model.
 */
export type Consent = "denied" | "device" | "device+sync";

/** Something that knows what the shopper agreed to. */
export interface ConsentSource {
  /** For `inspect().consent_limited_by`. */
  readonly name: string;
  /** What was agreed to now; `null` while nobody decided: as `denied`, but nothing is erased. */
  get(): Consent | null;
  /** Calls back whenever `get` may have changed; gives what stops that. */
  watch(onChange: () => void): () => void;
}

/** What holds, all things considered. */
export interface Agreed {
  consent: Consent;
  /** Whether somebody decided so. An undecided `denied` erases nothing. */
  settled: boolean;
}

const LEVELS: readonly Consent[] = ["denied", "device", "device+sync"];

/** Whether this is a {@link Consent}. */
export function isConsent(value: unknown): value is Consent {
  return LEVELS.includes(value as Consent);
}

/** Whether `consent` covers what `wanted` covers. */
export function covers(consent: Consent, wanted: Consent): boolean {
  return LEVELS.indexOf(consent) >= LEVELS.indexOf(wanted);
}

/** Whether the browser asks sites not to use its owner's data: <https://privacycg.github.io/gpc-spec/>. */
export function asksForPrivacy(): boolean {
  return (navigator as { globalPrivacyControl?: unknown }).globalPrivacyControl === true;
}

/** What the page itself says. */
export function said(consent: Consent | null, name = "page"): ConsentSource {
  return { name, get: () => consent, watch: () => () => undefined };
}

/** The sources behind `LoadOptions.consent`. */
export function toSources(
  option: Consent | null | ConsentSource | readonly ConsentSource[],
): ConsentSource[] {
  if (option === null || isConsent(option)) return [said(option)];
  const sources = Array.isArray(option) ? [...option] : [option];
  const usable = (one: unknown): boolean => {
    const { get, watch } = (one ?? {}) as Partial<ConsentSource>;
    return typeof get === "function" && typeof watch === "function";
  };
  if (sources.length > 0 && sources.every(usable)) return sources as ConsentSource[];
  throw fail("INVALID_REQUEST", `consent must be null, a source, or one of ${LEVELS.join(", ")}`);
}

/** Keeps an eye on all sources and tells what follows from them. */
export class Agreement {
  #sources: readonly ConsentSource[];
  #stop: (() => void)[] = [];
  #told: string;
  /** What another tab of the shop was told, until somebody decides anew in this one. */
  #elsewhere: Consent = "device+sync";
  readonly #tell: (agreed: Agreed) => void;
  readonly #over = new AbortController();

  /** @param tell called with every change after this */
  constructor(sources: readonly ConsentSource[], tell: (agreed: Agreed) => void) {
    this.#sources = sources;
    this.#tell = tell;
    this.#told = JSON.stringify(this.now);
    this.#watch();
    // The signal has no event of its own: it is looked at whenever somebody looks at the page.
    const { signal } = this.#over;
    document.addEventListener("visibilitychange", () => this.look(), { signal });
  }

  /** What holds now. */
  get now(): Agreed {
    if (asksForPrivacy()) return { consent: "denied", settled: true };
    let consent = this.#elsewhere;
    let settled = true;
    if (consent === "denied") return { consent, settled };
    for (const source of this.#sources) {
      const word = source.get();
      if (word !== null && !isConsent(word)) return { consent: "denied", settled: false };
      if (word === "denied") return { consent: "denied", settled: true };
      if (word === null) settled = false;
      else if (!covers(word, consent)) consent = word;
    }
    return settled ? { consent, settled } : { consent: "denied", settled };
  }

  /** Whose word keeps it below `device+sync`; `null` for nobody's. */
  get limitedBy(): string | null {
    if (asksForPrivacy()) return "gpc";
    const { consent } = this.now;
    if (consent === "device+sync") return null;
    if (consent === this.#elsewhere) return "another tab";
    return this.#sources.find((one) => (one.get() ?? "denied") === consent)?.name ?? null;
  }

  /** From now on somebody else decides. Tells nobody by itself. */
  replace(sources: readonly ConsentSource[]): Agreed {
    this.#unwatch();
    this.#elsewhere = "device+sync";
    this.#sources = sources;
    this.#watch();
    this.#told = JSON.stringify(this.now);
    return this.now;
  }

  /** The shopper agreed to no more than this in another tab. Tells nobody by itself. */
  lower(consent: Consent): void {
    this.#elsewhere = consent;
    this.#told = JSON.stringify(this.now);
  }

  /** Tells of a change since it told last. */
  look(): void {
    const { now } = this;
    const told = JSON.stringify(now);
    if (told === this.#told) return;
    this.#told = told;
    this.#tell(now);
  }

  /** Watches nothing any more. */
  close(): void {
    this.#over.abort();
    this.#unwatch();
  }

  #watch(): void {
    const onChange = () => {
      this.#elsewhere = "device+sync";
      this.look();
    };
    this.#stop = this.#sources.map((source) => source.watch(onChange));
  }

  #unwatch(): void {
    for (const stop of this.#stop) stop();
    this.#stop = [];
  }
}
