/**
 * Drives the real `Engine` directly, so that a test can set the time of each click. Commands come
 * as `{ id, script, argument }`: `script` names a function below.
 */

let engine;
let pristine;
let wasm;

/** Buffers that are alive on the GPU, with their bytes. */
const alive = new Map();

/** Counts buffers from now on: what was made less what was destroyed. */
function watchBuffers() {
  const { createBuffer } = GPUDevice.prototype;
  const { destroy } = GPUBuffer.prototype;
  GPUDevice.prototype.createBuffer = function (about) {
    const buffer = createBuffer.call(this, about);
    alive.set(buffer, about.size);
    return buffer;
  };
  GPUBuffer.prototype.destroy = function () {
    alive.delete(this);
    return destroy.call(this);
  };
}

const view = (item_id, event = "view_item") => ({ event, item_id });

const scripts = {
  /** Loads a model version on `kind`. */
  async load({ kind, manifest, keys, withoutStorage, watch }) {
    if (watch) watchBuffers();
    if (withoutStorage) Object.defineProperty(globalThis, "indexedDB", { value: undefined });
    const module = await import(`/onshelf/onshelf_${kind}.js`);
    wasm = await module.default({ module_or_path: `/onshelf/onshelf_${kind}_bg.wasm` });
    engine = await module.Engine.create();
    const stages = [];
    const facts = await engine.load(manifest, keys, (stage) => stages.push(stage));
    pristine = engine.exportState();
    return {
      facts,
      stages: [...new Set(stages)],
      device: engine.device(),
      adapter: engine.adapter(),
    };
  },

  /** Replays sessions click by click: the shelf after each click but the last. */
  async replay(sessions) {
    const out = [];
    for (const { clicks, kinds, times } of sessions) {
      engine.importState(pristine);
      const shelves = [];
      for (const [at, item] of clicks.slice(0, -1).entries()) {
        // A minute apart where the log has no times: no flood, no new session.
        const now = times[at] ?? 1_700_000_000_000 + at * 60_000;
        const told = engine.track(view(item, kinds[at]), now);
        if (!told.accepted) throw new Error(`click ${at} was left out: ${told.reason}`);
        const shelf = await engine.recommend({ slot: "replay", count: 20 }, now);
        shelves.push(shelf.items.map((i) => [i.item_id, i.score]));
      }
      out.push(shelves);
    }
    return out;
  },

  /** Clicks the given items a minute apart from a clean state, learning after each. */
  async learn({ clicks, steps, state }) {
    engine.importState(state ? Uint8Array.from(state) : pristine);
    const reports = [];
    for (const [at, item] of clicks.entries()) {
      engine.track(view(item), 1_700_000_000_000 + at * 60_000);
      reports.push(await engine.fineTune(steps));
    }
    const shelf = await engine.recommend({ slot: "home", count: 20 }, 1_700_000_000_000);
    const explained = await engine.explain(shelf.items[0].item_id);
    return { reports, shelf, explained, inspection: await engine.inspect() };
  },

  /** A new shopper: the shelf before each click but the first few, learning after each. */
  async newShopper({ clicks, shelves, steps, state, pace_ms }) {
    engine.importState(Uint8Array.from(state));
    const first = clicks.length - shelves.length;
    const out = { shelves: [], personal: [] };
    for (const [at, item] of clicks.entries()) {
      if (at >= first) {
        const request = { slot: "new", count: 10, filter: { exclude: clicks.slice(0, at) } };
        const shelf = await engine.recommend(request, at * pace_ms);
        out.shelves.push(shelf.items.map((i) => [i.item_id, i.score]));
        out.personal.push(shelf.personal);
      }
      engine.track(view(item), at * pace_ms);
      await engine.fineTune(steps);
    }
    return out;
  },

  /**
   * Sessions of so many clicks on items drawn in turn, a minute apart: how long each click's ranking and
   * learning took, in milliseconds, for the clicks that a session of two or more had before.
   */
  async clickByClick({ items, sessions, length, steps, rankings = 1 }) {
    const [ranks, learns] = [[], []];
    let next = 0;
    for (let session = 0; session < sessions; session++) {
      engine.importState(pristine);
      for (let at = 0; at < length; at++) {
        const item = items[(next += 7919) % items.length];
        const now = 1_700_000_000_000 + at * 60_000;
        const told = engine.track(view(item), now);
        if (!told.accepted) throw new Error(`click ${at} was left out: ${told.reason}`);
        const start = performance.now();
        for (let n = 0; n < rankings; n++)
          await engine.recommend({ slot: "bench", count: 20 }, now);
        const ranked = performance.now();
        await engine.fineTune(steps);
        if (at < 2) continue;
        ranks.push(ranked - start);
        learns.push(performance.now() - ranked);
      }
    }
    return { ranks, learns };
  },

  /** What a shopper with these clicks (`item_id`, `event`, `at_ms`) would contribute to a round. */
  async contribution({ clicks, round }) {
    engine.importState(pristine);
    for (const { item_id, event, at_ms } of clicks) engine.track(view(item_id, event), at_ms);
    return Array.from((await engine.contribution(round)) ?? []);
  },

  /** Bytes of the module's memory, which never shrinks; and what is on the GPU, if `load` was told to watch. */
  async memory() {
    const gpu = [...alive.values()].reduce((sum, bytes) => sum + bytes, 0);
    return { bytes: wasm.memory.buffer.byteLength, gpuBuffers: alive.size, gpuBytes: gpu };
  },

  /** The state before any click; its seed decides which items a step samples. */
  async pristine() {
    return Array.from(pristine);
  },

  /** Many tracks at once, all at the same moment. */
  async flood({ item, count }) {
    engine.importState(pristine);
    const reasons = {};
    for (let n = 0; n < count; n++) {
      const told = engine.track(view(item), 1_700_000_000_000 + (n % 1000));
      const word = told.accepted ? "accepted" : told.reason;
      reasons[word] = (reasons[word] ?? 0) + 1;
    }
    return { reasons, session: (await engine.inspect()).session.length };
  },

  /** Calls a method of the engine. */
  async call({ method, args }) {
    return await engine[method](...args);
  },

  /** The state as it is now. */
  async state() {
    return Array.from(engine.exportState());
  },

  /** Takes over bytes that are not a state. */
  async importBytes(bytes) {
    engine.importState(Uint8Array.from(bytes));
  },

  /** Saves over and over; the test ends the worker in the middle. */
  async saveForever() {
    for (;;) await engine.save();
  },
};

onmessage = async ({ data: { id, script, argument } }) => {
  try {
    postMessage({ id, result: await scripts[script](argument) });
  } catch (error) {
    postMessage({ id, error: { code: error.code ?? error.name, message: error.message } });
  }
};
