/**
 * What runs in the worker: it takes the page's commands in turn, has the engine carry them out,
 * keeps copies of the state where a crash cannot reach them, and writes it to storage.
 */

import { Allowed } from "./allowed.js";
import { AutoDevice } from "./auto.js";
import type { Agreed } from "./consent.js";
import { Devices, type DevicesHost } from "./devices.js";
import { loadModel, openEngine, type ModelFacts } from "./engine.js";
import { erase } from "./erase.js";
import { codeOf, fail, isFatal, toWire } from "./errors.js";
import { forget } from "./forget.js";
import { inspect } from "./inspect.js";
import { Journal } from "./journal.js";
import { Lessons } from "./lessons.js";
import type { Loaded } from "./loaded.js";
import {
  ASIDE,
  READS,
  type Call,
  type Conditions,
  type Control,
  type FromWorker,
  type LoadConfig,
  type Method,
  type Methods,
  type ToWorker,
} from "./protocol.js";
import { Loop } from "./loop.js";
import { models } from "./models.js";
import { Queue } from "./queue.js";
import { restore, takeUp } from "./restore.js";
import { Saver } from "./saver.js";
import { tabsHost } from "./siblings.js";
import { Sync } from "./sync.js";
import { syncHost } from "./sync-host.js";
import { Tabs, type TabsHost } from "./tabs.js";
import type { Change, DeviceKind, Inspection, Progress } from "./types.js";
import { update } from "./update.js";
import { Updates } from "./updates.js";
import { VersionLog, type VersionLogHost } from "./version-log.js";

/** Posts to the page. */
export type Post = (message: FromWorker, transfer?: Transferable[]) => void;

/** A copy of the state follows at the latest after this many events. */
const EVENTS_PER_SNAPSHOT = 256;

/** See the file's head. */
export class Host {
  readonly #post: Post;
  readonly #close: () => void;
  readonly #queue = new Queue(() => this.#onIdle());
  readonly #journal = new Journal();
  readonly #aborted = new Set<number>();
  #loaded: Loaded | null = null;
  #paused = false;
  #through = 0;
  #stale = false;
  #running: number | null = null;
  readonly #allowed = new Allowed();
  readonly #auto = new AutoDevice({
    idle: () => this.#queue.idle,
    verdict: (verdict) => this.#post({ note: "verdict", verdict }),
    failed: (error) => this.#failed(error),
  });
  readonly #lessons = new Lessons({
    queue: this.#queue,
    need: () => this.#need(),
    paused: () => this.#paused,
    may: () => this.#allowed.may("device"),
    aborted: (id) => this.#aborted.has(id),
    snapshot: () => this.#snapshot(),
    learned: () => this.#change("learned"),
    failed: (error) => this.#failed(error),
  });
  #rank_ms: number | null = null;
  #looked: Inspection["looked_for_update"] = null;

  /** @param close ends the worker */
  constructor(post: Post, close: () => void) {
    this.#post = post;
    this.#close = close;
  }

  /** Takes one message of the page. */
  receive(message: ToWorker): void {
    if ("control" in message) this.#control(message);
    else if (message.method === "dispose") void this.#dispose(message.id);
    else if (ASIDE.has(message.method)) void this.#answer(message);
    else {
      // At once, so that a fine-tuning that runs stops after its step.
      if (message.method === "pause") this.#setPaused(true);
      if (message.method === "resume") this.#setPaused(false);
      if (message.method === "setConsent") this.#mindConsent(message.args[0]);
      const run = () => this.#answer(message);
      this.#queue.push({ id: message.id, reads: READS.has(message.method), run });
    }
  }

  /** Says that this worker must be replaced. */
  crash(error: unknown): void {
    this.#queue.halt();
    this.#post({ note: "crashed", message: toWire(error).message });
  }

  #control(message: Control): void {
    if (message.control === "ping") this.#post({ note: "pong" });
    else if (message.control === "conditions") this.#mind(message.conditions);
    else if (message.control === "flush") void this.#loaded?.saver.flush();
    else if (!this.#queue.drop(message.id) && this.#running === message.id) {
      this.#aborted.add(message.id);
    }
  }

  #mind(conditions: Conditions): void {
    if (this.#loaded === null) return;
    const { config, loop, tabs, sync, updates } = this.#loaded;
    config.conditions = conditions;
    loop.mind(conditions);
    updates.mind(conditions);
    if (conditions.hidden) return;
    tabs.greet();
    sync.wake();
  }

  #setPaused(paused: boolean): void {
    this.#paused = paused;
    if (paused) this.#loaded?.sync.stop();
    else this.#loaded?.sync.wake();
  }

  /** At once: a step that runs is the last, and nothing is written or told to other tabs any more. */
  #mindConsent(agreed: Agreed): void {
    const less = this.#allowed.mind(agreed);
    models.permit(agreed);
    const { saver, tabs, loop, sync } = this.#loaded ?? {};
    saver?.permit(this.#allowed.may("device"));
    if (!this.#allowed.may("device")) loop?.clear();
    if (!this.#allowed.may("device+sync")) sync?.stop();
    if (!less || !agreed.settled || agreed.consent === "device+sync") return;
    tabs?.tell(agreed.consent === "denied" ? "denied" : "device");
  }

  async #answer(call: Call): Promise<void> {
    const { id, method } = call;
    // Only a fine-tuning looks whether it was aborted; readers run inside it.
    if (method === "fineTune") this.#running = id;
    try {
      const result = await this.#perform(call);
      this.#post({ id, ok: true, result });
      await this.#after(call, result);
    } catch (error) {
      const fatal = isFatal(error);
      if (fatal) this.#queue.halt();
      this.#post({ id, ok: false, error: toWire(error), fatal });
    } finally {
      if (method === "fineTune") this.#running = null;
      this.#aborted.delete(id);
    }
  }

  async #perform(call: Call): Promise<Methods[Method]["result"]> {
    if (call.method === "load") return this.#load(call.args[0]);
    const { devices, log } = this.#need();
    switch (call.method) {
      case "track":
        return devices.serve((engine) => engine.track(...call.args));
      case "recommend":
        return this.#recommend(...call.args);
      case "fineTune":
        return this.#lessons.run(call.id, call.args[0]);
      case "explain":
        log.demand();
        return devices.serve((engine) => engine.explain(...call.args));
      case "inspect":
        return this.#inspect();
      case "exportPersonal":
        return devices.serve((engine) => engine.exportReadable());
      case "erase":
        return this.#erase();
      case "forget":
        return this.#forget(call.id, call.args[0]);
      case "setConsent":
        return this.#followConsent(call.args[0]);
      case "setDevice":
        return devices.set(...call.args);
      case "update":
        return this.#update();
      case "sync":
        return this.#need().sync.run();
      default:
        return undefined;
    }
  }

  /** What follows an answer. The copy of the state must never overtake it. */
  async #after(call: Call, result: Methods[Method]["result"]): Promise<void> {
    const { saver, tabs, log } = this.#need();
    switch (call.method) {
      case "load":
        this.#through = call.id;
        await this.#snapshot();
        return;
      case "track":
        this.#journal.note(call.id, call.args);
        this.#allowed.note(call.args);
        tabs.click(call.args);
        this.#through = call.id;
        this.#stale = true;
        saver.touch();
        if (this.#journal.length >= EVENTS_PER_SNAPSHOT) await this.#snapshot();
        if (!(result as Methods["track"]["result"]).accepted) return;
        this.#auto.consider(this.#need());
        this.#lessons.consider();
        return;
      case "recommend":
        log.wake();
        return;
      case "fineTune":
        this.#through = call.id;
        await this.#lessons.after(result as Methods["fineTune"]["result"]);
        return;
      case "erase":
        this.#through = call.id;
        await this.#snapshot();
        tabs.tell("erased");
        this.#change("erased");
        return;
      case "forget":
        tabs.send(await this.#snapshot());
        this.#change("forgotten");
        return;
      case "setConsent":
        this.#through = call.id;
        await this.#snapshot();
        if (result === true) this.#change("erased");
        return;
      case "pause":
      case "resume": {
        const what = call.method === "pause" ? "paused" : "resumed";
        if (what === "paused") this.#need().loop.clear();
        tabs.tell(what);
        this.#change(what);
        return;
      }
      default:
    }
  }

  async #load(config: LoadConfig): Promise<ModelFacts> {
    if (this.#loaded !== null) throw fail("INVALID_REQUEST", "this worker has a model already");
    const cpu = await openEngine("cpu", config.assets, 0);
    models.open(config);
    this.#allowed.mind(config.agreed);
    const log = new VersionLog(this.#versionLogHost(config));
    const facts = await loadModel(cpu, config, this.#progress, async () => {
      if (config.log === "required") log.adopt(await log.approve(cpu, true));
    });
    const pristine = cpu.exportState();
    const devices = new Devices(this.#devicesHost(config), cpu, facts);
    const saver = new Saver(
      config.storage,
      () => this.#queue.own(() => this.#need().devices.serve((engine) => engine.save())),
      (error) => this.#failed(error),
    );
    this.#progress("restore", 0, 1);
    saver.permit(this.#allowed.may("device"));
    await restore(cpu, config, saver, pristine);
    if (config.agreed.settled && !this.#allowed.may("device")) await log.forget();
    this.#progress("restore", 1, 1);
    this.#paused ||= config.paused;
    const loop = new Loop(
      {
        idle: () => this.#queue.idle,
        learn: (steps, budget_ms) => this.#lessons.byItself(steps, budget_ms),
        lock: config.storage === "indexeddb" ? "onshelf-learning" : null,
      },
      config.conditions,
    );
    const tabs = new Tabs(config, this.#tabsHost());
    const sync = new Sync(
      syncHost(config, {
        queue: this.#queue,
        need: () => this.#need(),
        may: () => this.#allowed.may("device+sync"),
        paused: () => this.#paused,
        snapshot: () => this.#snapshot(),
        changed: () => this.#change("sync"),
        failed: (error) => this.#failed(error),
      }),
    );
    const updates = new Updates(
      {
        every_ms: config.updates_ms,
        idle: () => this.#queue.idle,
        look: () => this.#update(),
      },
      config.conditions,
    );
    this.#loaded = { config, facts, devices, saver, tabs, loop, sync, log, updates, pristine };
    sync.wake();
    // Another tab that was opened before the shopper decided would write it all again.
    if (config.agreed.settled && !this.#allowed.may("device")) tabs.tell("denied");
    if ((await cpu.inspect()).session.length > 0) this.#auto.consider(this.#loaded);
    return facts;
  }

  readonly #progress = (stage: string, loaded: number, total: number) =>
    this.#post({
      note: "progress",
      progress: { stage: stage as Progress["stage"], loaded, total },
    });

  #versionLogHost(config: LoadConfig): VersionLogHost {
    return {
      config,
      idle: () => this.#queue.idle,
      keeps: () => this.#allowed.may("device"),
      inTurn: (use) => this.#queue.own(() => use(this.#need().devices.cpu), true),
      refused: () => {
        // Not to be what a visit without a connection begins with.
        models.drop();
        this.#need().loop.clear();
        this.#change("refused");
      },
      failed: (error) => this.#failed(error),
    };
  }

  #devicesHost(config: LoadConfig): DevicesHost {
    return {
      queue: this.#queue,
      journal: this.#journal,
      config,
      onSwitch: (device) => this.#change("device", device),
      onProgress: (loaded, total) => this.#progress("device", loaded, total),
    };
  }

  async #update(): Promise<Methods["update"]["result"]> {
    const loaded = this.#need();
    const looked = (outcome: string) => (this.#looked = { at_ms: Date.now(), outcome });
    try {
      const report = await update(loaded, this.#devicesHost(loaded.config), async () => {
        await this.#snapshot();
        loaded.tabs.greet();
        loaded.saver.touch();
        loaded.sync.wake();
        this.#change("updated");
      });
      looked(report.changed ? "changed" : "same");
      return report;
    } catch (error) {
      looked(codeOf(error) ?? "PANIC");
      throw error;
    }
  }

  async #recommend(...args: Methods["recommend"]["args"]): Promise<Methods["recommend"]["result"]> {
    const { devices, log } = this.#need();
    log.demand();
    const begin = performance.now();
    const shelf = await devices.serve((engine) => engine.recommend(...args));
    const took_ms = (this.#rank_ms = performance.now() - begin);
    return { ...shelf, device: devices.kind, took_ms };
  }

  async #inspect(): Promise<Methods["inspect"]["result"]> {
    return inspect(this.#need(), {
      paused: this.#paused,
      keeps: this.#allowed.may("device"),
      last_rank_ms: this.#rank_ms,
      last_learn_ms: this.#lessons.took_ms,
      looked_for_update: this.#looked,
    });
  }

  async #erase(): Promise<undefined> {
    this.#allowed.takeEarly();
    await erase(this.#need(), () => this.#snapshot());
    return undefined;
  }

  /** Told to the other tabs at once: what they send from now on is without the item. */
  async #forget(id: number, item_id: string): Promise<Methods["forget"]["result"]> {
    this.#need().tabs.forget(item_id);
    this.#allowed.forget(item_id);
    this.#through = id;
    return forget(this.#need(), item_id, {
      mayLearn: () => !this.#paused && this.#allowed.may("device"),
      pause: () => this.#queue.pause(),
      snapshot: () => this.#snapshot(),
    });
  }

  /** @returns whether what was known was erased */
  async #followConsent(agreed: Agreed): Promise<boolean> {
    if (agreed.consent === "denied") {
      if (!agreed.settled) return false;
      await this.#need().log.forget();
      await this.#erase();
      return true;
    }
    const { config, devices, saver, tabs, sync } = this.#need();
    if (!this.#allowed.may("device+sync")) await sync.withdraw();
    else sync.wake();
    const early = this.#allowed.takeEarly();
    await devices.serve((engine) => takeUp(engine, config, saver, early));
    tabs.greet();
    for (const event of early) tabs.click(event);
    return false;
  }

  /** @returns the copy */
  async #snapshot(): Promise<Uint8Array> {
    const bytes = await this.#need().devices.serve((engine) => engine.exportState());
    this.#stale = false;
    this.#journal.take(bytes, this.#through);
    const copy = bytes.slice();
    this.#post({ note: "snapshot", bytes: copy, through: this.#through }, [copy.buffer]);
    return bytes;
  }

  #tabsHost(): TabsHost {
    return tabsHost({
      need: () => this.#need(),
      may: (what) => this.#allowed.may(what),
      lower: (consent) => {
        // Said already, so it is nothing to tell other tabs of.
        this.#allowed.mind({ consent, settled: true });
        this.#mindConsent({ consent, settled: true });
        this.#post({ note: "lowered", consent });
      },
      setPaused: (paused) => this.#setPaused(paused),
      tookIn: (event) => {
        this.#journal.note(this.#through, event);
        this.#stale = true;
        this.#lessons.consider();
      },
      erase: () => this.#erase(),
      forgetEarly: (item_id) => this.#allowed.forget(item_id),
      snapshot: () => this.#snapshot(),
      change: (what) => this.#change(what),
      inTurn: (work) => this.#inTurn(work),
    });
  }

  #onIdle(): void {
    if (!this.#stale) return;
    this.#stale = false;
    this.#inTurn(() => this.#snapshot());
  }

  /** The worker's own work, in turn; what it needs, it takes when its turn comes: an update may come before. */
  #inTurn(work: () => Promise<unknown>): void {
    this.#queue.own(work).catch((error: unknown) => this.#failed(error));
  }

  /** The worker's own work failed: only a dead engine is worth a word. */
  #failed(error: unknown): void {
    if (isFatal(error)) this.crash(error);
  }

  #change(what: Change, device: DeviceKind = this.#loaded?.devices.kind ?? "cpu"): void {
    this.#post({ note: "change", what, device });
  }

  #need(): Loaded {
    if (this.#loaded === null) throw fail("NOT_LOADED", "no model is loaded");
    return this.#loaded;
  }

  async #dispose(id: number): Promise<void> {
    this.#queue.dropCalls();
    this.#auto.stop();
    try {
      await this.#loaded?.saver.flush();
      this.#loaded?.tabs.close();
      this.#loaded?.loop.close();
      this.#loaded?.sync.close();
      this.#loaded?.log.close();
      this.#loaded?.updates.close();
      await this.#queue.own(() => this.#loaded?.devices.free());
    } finally {
      this.#post({ id, ok: true, result: undefined });
      this.#close();
    }
  }
}
