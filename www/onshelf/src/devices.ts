/**
 * The engines of one worker: the CPU's, which is always there, and WebGPU's beside it once it
 * has shown that it works. The shopper never waits for the second and never loses by it.
 */

import { loadModel, openEngine, type Engine, type ModelFacts } from "./engine.js";
import { codeOf, fail, isFatal, OnshelfError } from "./errors.js";
import { replay, type Journal } from "./journal.js";
import { demandAgreement, findAdapter, isWorthIt, probe } from "./probe.js";
import type { LoadConfig } from "./protocol.js";
import type { Queue } from "./queue.js";
import type { DeviceKind } from "./types.js";

/** A lost device may leave a promise that never settles; give it up after this, in ms. */
const CALL_LIMIT_MS = 30_000;

/** Software adapters take tens of seconds to compile the first pipelines, in ms. */
const START_LIMIT_MS = 120_000;

/** Rankings on each device in a measurement. */
const ROUNDS = 5;

/** What the engines need from the worker around them. */
export interface DevicesHost {
  readonly queue: Queue;
  readonly journal: Journal;
  readonly config: LoadConfig;
  /** The device that serves is another one now. */
  onSwitch(device: DeviceKind): void;
  /** Steps of starting WebGPU that are done. */
  onProgress(loaded: number, total: number): void;
}

/** See the file's head. */
export class Devices {
  readonly #host: DevicesHost;
  readonly #cpu: Engine;
  readonly #facts: ModelFacts;
  #gpu: Engine | null = null;
  #gpuServes = false;
  #instances = 0;
  #starting: Promise<void> | null = null;
  #wanted: DeviceKind = "cpu";

  /** @param cpu an engine whose model is loaded; `facts` is what loading told */
  constructor(host: DevicesHost, cpu: Engine, facts: ModelFacts) {
    this.#host = host;
    this.#cpu = cpu;
    this.#facts = facts;
  }

  /** The engine that serves. */
  get current(): Engine {
    return this.#gpuServes && this.#gpu !== null ? this.#gpu : this.#cpu;
  }

  /** The one that is always there, whether it serves or not. */
  get cpu(): Engine {
    return this.#cpu;
  }

  /** Where it runs. */
  get kind(): DeviceKind {
    return this.current === this.#cpu ? "cpu" : "webgpu";
  }

  /** Name of the graphics adapter that serves, or `null`. */
  get adapter(): string | null {
    return this.kind === "cpu" ? null : (this.#gpu?.adapter()?.name ?? "unnamed");
  }

  /**
   * Runs work on the engine that serves. If WebGPU fails in it, the CPU takes the last state
   * and does the same work from its beginning. Only to be called inside a job of the queue.
   */
  async serve<T>(work: (engine: Engine) => T | Promise<T>): Promise<T> {
    const engine = this.current;
    if (engine === this.#cpu) return work(engine);
    try {
      return await within(CALL_LIMIT_MS, work(engine));
    } catch (error) {
      // A reader inside a fine-tuning may have fallen back already.
      if (this.current === engine) {
        if (!isDeviceFailure(error)) throw error;
        this.#fallBack();
      }
      return work(this.#cpu);
    }
  }

  /**
   * Switches on the page's wish. May be called outside the queue: the CPU serves meanwhile.
   *
   * @throws OnshelfError `DEVICE_UNAVAILABLE`; `ABORTED` if the page changed its mind
   */
  async set(kind: DeviceKind): Promise<DeviceKind> {
    this.#wanted = kind;
    if (kind === "cpu") {
      await this.#host.queue.own(() => this.#toCpu());
    } else {
      // A measurement that runs may find WebGPU too slow; an explicit wish is not for it to refuse.
      await this.#starting?.catch(() => undefined);
      if (this.kind !== "webgpu") {
        this.#starting ??= this.#bring().finally(() => (this.#starting = null));
        await this.#starting;
      }
    }
    return this.kind;
  }

  /**
   * `device: "auto"`: starts WebGPU, measures both and keeps the better.
   *
   * @param known what an earlier measurement said
   * @returns what to remember; `null` where nothing was measured
   */
  async auto(known: DeviceKind | null): Promise<DeviceKind | null> {
    if (known === "cpu" || this.#starting !== null || this.kind === "webgpu") return null;
    const adapter = await findAdapter();
    if (adapter === null || adapter.fallback) return null;
    this.#wanted = "webgpu";
    this.#starting = this.#bring(known === null).finally(() => (this.#starting = null));
    try {
      await this.#starting;
      return "webgpu";
    } catch (error) {
      if (isFatal(error)) throw error;
      return codeOf(error) === "ABORTED" ? null : "cpu";
    }
  }

  /** Makes the engine that does not serve forget, too. */
  reset(pristine: Uint8Array): void {
    if (this.#gpu === null) return;
    if (this.#gpuServes) this.#cpu.importState(pristine);
    else this.#gpu.importState(pristine);
  }

  /** Frees both engines. */
  free(): void {
    this.#discard();
    this.#cpu.free();
  }

  async #bring(measure = false): Promise<void> {
    try {
      this.#gpu ??= await this.#start();
      if (measure) await this.#measure(this.#gpu);
      await this.#host.queue.own(() => this.#toGpu(), measure);
    } catch (error) {
      if (!(error instanceof OnshelfError && error.code === "ABORTED")) this.#discard();
      throw error;
    }
  }

  async #start(): Promise<Engine> {
    if ((await findAdapter()) === null) {
      throw fail("DEVICE_UNAVAILABLE", "the browser has no WebGPU adapter");
    }
    const { config, journal, onProgress } = this.#host;
    let engine: Engine | null = null;
    try {
      onProgress(0, 3);
      engine = await within(START_LIMIT_MS, openEngine("webgpu", config.assets, this.#instances++));
      onProgress(1, 3);
      const facts = await within(START_LIMIT_MS, loadModel(engine, config));
      if (facts.model_version !== this.#facts.model_version) {
        throw fail("DEVICE_UNAVAILABLE", "a newer model was published meanwhile");
      }
      onProgress(2, 3);
      // The first ranking compiles the pipelines, so it must not hold up the queue.
      if (journal.snapshot !== null) engine.importState(journal.snapshot);
      await within(START_LIMIT_MS, probe(engine));
      onProgress(3, 3);
      return engine;
    } catch (error) {
      release(engine);
      throw unavailable(error);
    }
  }

  async #toGpu(): Promise<void> {
    const gpu = this.#gpu;
    if (this.#wanted !== "webgpu" || gpu === null) {
      throw fail("ABORTED", "another device was chosen meanwhile");
    }
    const expected = await probe(this.#cpu);
    const state = this.#cpu.exportState();
    try {
      gpu.importState(state);
      demandAgreement(expected, await within(CALL_LIMIT_MS, probe(gpu)));
    } catch (error) {
      throw unavailable(error);
    }
    this.#gpuServes = true;
    this.#host.onSwitch("webgpu");
  }

  async #toCpu(): Promise<void> {
    if (this.kind === "cpu") return;
    const state = await this.serve((engine) => engine.exportState());
    // The export itself may have found the device lost.
    if (!this.#gpuServes) return;
    this.#cpu.importState(state);
    // WebGPU's engine stays, parked: its pipelines were dear to compile.
    this.#gpuServes = false;
    this.#host.onSwitch("cpu");
  }

  async #measure(gpu: Engine): Promise<void> {
    const times = { cpu: [] as number[], gpu: [] as number[] };
    for (let round = 0; round < ROUNDS; round++) {
      // One pair a job, so that a shopper's request never waits for more than that.
      await this.#host.queue.own(async () => {
        times.cpu.push(await timed(() => probe(this.#cpu)));
        try {
          times.gpu.push(await timed(() => within(CALL_LIMIT_MS, probe(gpu))));
        } catch (error) {
          throw unavailable(error);
        }
      }, true);
    }
    if (!isWorthIt(times.cpu, times.gpu)) {
      throw fail("DEVICE_UNAVAILABLE", "WebGPU is not faster than the CPU here");
    }
  }

  #fallBack(): void {
    this.#discard();
    replay(this.#cpu, this.#host.journal.snapshot, this.#host.journal.events);
    this.#host.onSwitch("cpu");
  }

  #discard(): void {
    release(this.#gpu);
    this.#gpu = null;
    this.#gpuServes = false;
  }
}

/** A WebGPU engine with one of these is of no more use; any other error is the caller's. */
function isDeviceFailure(thrown: unknown): boolean {
  const code = codeOf(thrown);
  return (
    isFatal(thrown) ||
    code === "DEVICE_LOST" ||
    code === "DEVICE_UNAVAILABLE" ||
    code === "NOT_FINITE"
  );
}

/** A failure of WebGPU while it starts is never the page's, nor the CPU engine's. */
function unavailable(error: unknown): OnshelfError {
  if (error instanceof OnshelfError && error.code === "DEVICE_UNAVAILABLE") return error;
  const what = error instanceof Error ? error.message : String(error);
  return fail("DEVICE_UNAVAILABLE", `WebGPU could not be started: ${what}`, error);
}

function release(engine: Engine | null): void {
  try {
    engine?.free();
  } catch {
    // A dead instance, or one still borrowed by a call that never ends: memory goes with the worker.
  }
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

async function within<T>(limit_ms: number, work: T | Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(fail("DEVICE_LOST", `no answer from WebGPU within ${limit_ms} ms`)),
      limit_ms,
    );
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
