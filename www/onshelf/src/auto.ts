/** `device: "auto"`: tries WebGPU once, when the shopper has left the shelf alone for a while. */

import type { ModelFacts } from "./engine.js";
import type { Devices } from "./devices.js";
import type { LoadConfig, Verdict } from "./protocol.js";

/** The shopper must have left the shelf alone for this long, in ms. */
const IDLE_MS = 2_000;

/** What it needs of the worker. */
export interface AutoHost {
  /** Whether no command runs or waits. */
  idle(): boolean;
  /** What was measured, for the page to remember. */
  verdict(verdict: Verdict): void;
  failed(error: unknown): void;
}

/** See the file's head. */
export class AutoDevice {
  readonly #host: AutoHost;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #done = false;

  constructor(host: AutoHost) {
    this.#host = host;
  }

  /** Something happened: the time begins anew. */
  consider(loaded: { config: LoadConfig; facts: ModelFacts; devices: Devices }): void {
    if (this.#done || loaded.config.device !== "auto") return;
    this.stop();
    this.#timer = setTimeout(() => {
      if (!this.#host.idle()) return this.consider(loaded);
      this.#done = true;
      void this.#try(loaded);
    }, IDLE_MS);
  }

  /** Forgets the attempt that was due. */
  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #try(loaded: { config: LoadConfig; facts: ModelFacts; devices: Devices }): Promise<void> {
    const { config, facts, devices } = loaded;
    const key = `${navigator.userAgent} ${facts.model_version}`;
    const known = config.verdict?.key === key ? config.verdict.device : null;
    try {
      const device = await devices.auto(known);
      if (device !== null) this.#host.verdict({ key, device });
    } catch (error) {
      this.#host.failed(error);
    }
  }
}
