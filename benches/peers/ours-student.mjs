/** The shipped module on the student's fixture: the engine that the package's worker drives, on the CPU. */

import init, { Engine } from "/onshelf/onshelf_cpu.js";

export async function create({ cfg, base }) {
  const began = performance.now();
  await init({ module_or_path: "/onshelf/onshelf_cpu_bg.wasm" });
  const engine = await Engine.create();
  const started = performance.now();
  await engine.load(`${base}models/latest.json`, cfg.keys, () => {});
  const pristine = engine.exportState();
  const marks = { module: started - began, load: performance.now() - started };
  let clicks;
  return {
    marks,
    begin(session) {
      clicks = session;
      engine.importState(pristine);
    },
    async click(at) {
      const [item_id, event, now] = [clicks.item_ids[at], clicks.events[at], clicks.times[at]];
      const told = engine.track({ event, item_id }, now);
      if (!told.accepted) throw new Error(`click ${at} was left out: ${told.reason}`);
      const { items } = await engine.recommend({ slot: "bench", count: 20 }, now);
      return { names: items.map((item) => item.item_id), scores: items.map((item) => item.score) };
    },
  };
}
