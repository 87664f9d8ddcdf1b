/** Our side of the peers' benchmark: the fixture's model on plain slices (`benches/fixture`). */

import init, { Fixture } from "./onshelf_fixture.js";
import { begin, weights } from "./weights.mjs";

export async function create({ cfg, base }) {
  const { file, mark, marks } = await begin(init, "./onshelf_fixture_bg.wasm", base);
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
