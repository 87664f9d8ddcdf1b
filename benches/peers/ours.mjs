/** Our side of the peers' benchmark: the fixture's model on plain slices (`benches/fixture`). */

import init, { Fixture } from "./onshelf_fixture.js";

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
  const header = Number(new DataView(file).getBigUint64(0, true));
  const entries = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, header)));
  const values = (name) => {
    const [from, to] = entries[name].data_offsets;
    return new Float32Array(file.slice(8 + header + from, 8 + header + to));
  };
  const names = Fixture.layout(dim, len, blocks, heads, ffn)
    .split(",")
    .map((entry) => entry.split(":")[0]);
  const parts = names.map(values);
  const rest = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    rest.set(part, at);
    at += part.length;
  }
  const model = new Fixture(values("E"), rest, dim, len, blocks, heads, ffn);
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
