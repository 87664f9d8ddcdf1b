import { stopwatch } from "./stopwatch.mjs";

/**
 * Begins a model of the fixture: its module and its weights at once, and a clock of the steps.
 *
 * @returns `file`, the weights' bytes; `mark(name)`, which ends a step; `marks`, the steps in milliseconds.
 */
export async function begin(init, wasm, base) {
  const { marks, mark } = stopwatch();
  const [, file] = await Promise.all([
    init({ module_or_path: new URL(wasm, import.meta.url) }),
    fetch(`${base}weights.safetensors`).then((response) => response.arrayBuffer()),
  ]);
  mark("fetch");
  return { file, mark, marks };
}

/** The tensors of a safetensors file as our fixture takes them: `E`, and the others one behind the other. */
export function weights(file, layout) {
  const header = Number(new DataView(file).getBigUint64(0, true));
  const entries = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, header)));
  const values = (name) => {
    const [from, to] = entries[name].data_offsets;
    return new Float32Array(file.slice(8 + header + from, 8 + header + to));
  };
  const parts = layout.split(",").map((entry) => values(entry.split(":")[0]));
  const rest = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    rest.set(part, at);
    at += part.length;
  }
  return { items: values("E"), rest };
}
