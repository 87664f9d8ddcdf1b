/** Our side of the peers' benchmark: the fixture's model on plain slices (`benches/fixture`). */

import init, { Fixture } from "./onshelf_fixture.js";
import { weights } from "./weights.mjs";

export async function create({ cfg, base }) {
  const marks = {};
  let began = performance.now();
  const mark = (name) => {
    const now = performance.now();
    marks[name] = now - began;
    began = now;
  };
  const [, file] = await Promise.all([
    init({ module_or_path: new URL("./onshelf_fixture_bg.wasm", import.meta.url) }),
    fetch(`${base}weights.safetensors`).then((response) => response.arrayBuffer()),
  ]);
  mark("fetch");
  const { dim, len, blocks, heads, ffn } = cfg;
  const { items, rest } = weights(file, Fixture.layout(dim, len, blocks, heads, ffn));
  const model = new Fixture(items, rest, dim, len, blocks, heads, ffn);
  mark("create");
  return {
    marks,
    backend: "wasm",
    infer: async (ids) => model.infer(ids),
    resetTrain: (mode) => model.reset(mode),
    step: async ({ ids, targets, negatives }) =>
      model.step(Int32Array.from(ids), Int32Array.from(targets), Int32Array.from(negatives)),
  };
}
