/** Our side on WebGPU: the fixture's model in our kernels (`benches/fixture/src/gpu`), items frozen. */

import init, { Fixture, GpuFixture } from "./onshelf_fixture_webgpu.js";
import { begin, weights } from "./weights.mjs";

const SESSIONS = 8;
const NEGATIVES = 128;

export async function create({ cfg, base }) {
  const { file, mark, marks } = await begin(init, "./onshelf_fixture_webgpu_bg.wasm", base);
  const { dim, len, blocks, heads, ffn } = cfg;
  const { items, rest } = weights(file, Fixture.layout(dim, len, blocks, heads, ffn));
  const model = await GpuFixture.create(
    items,
    rest,
    dim,
    len,
    blocks,
    heads,
    ffn,
    SESSIONS,
    NEGATIVES,
  );
  mark("create");
  return {
    marks,
    backend: "webgpu",
    infer: (ids) => model.infer(Int32Array.from(ids)),
    resetTrain: (mode) => model.reset(mode),
    step: ({ ids, targets, negatives }) =>
      model.step(Int32Array.from(ids), Int32Array.from(targets), Int32Array.from(negatives)),
  };
}
