/**
 * Who is measured, as data: a new peer is a new row.
 *
 * - `peer`: its name in results and tables;
 * - `module`: the ES module, as served; its `create({ cfg, base, opts })` is described in README.md;
 * - `opts`: passed on to it;
 * - `fixtures`: which of them it can run;
 * - `gpu`: runs on WebGPU, so it is left out with `--cpu`;
 * - `needs`: a file of the work folder (or of `dist`) without which it is left out, with a note.
 */

/** What is installed from npm, into the work folder and nowhere else. */
export const PACKAGES = {
  "@tensorflow/tfjs-core": "4.22.0",
  "@tensorflow/tfjs-backend-wasm": "4.22.0",
  "@tensorflow/tfjs-backend-webgpu": "4.22.0",
  "onnxruntime-web": "1.30.0",
};

export const PEERS = [
  {
    peer: "onshelf-cpu",
    module: "/www/ours.mjs",
    fixtures: ["sasrec"],
    needs: "www/onshelf_fixture_bg.wasm",
  },
  {
    peer: "onshelf-webgpu",
    module: "/www/ours-webgpu.mjs",
    fixtures: ["sasrec"],
    gpu: true,
    needs: "www/ours-webgpu.mjs",
  },
  { peer: "onshelf-student", module: "/www/ours-student.mjs", fixtures: ["student"] },
  {
    peer: "tfjs-wasm",
    module: "/www/tfjs-wasm.mjs",
    opts: { backend: "wasm" },
    fixtures: ["sasrec", "student"],
  },
  {
    peer: "ort-wasm",
    module: "/www/ort.mjs",
    opts: {
      provider: "wasm",
      script: "ort.wasm.bundle.min.mjs",
      wasm: "ort-wasm-simd-threaded.wasm",
    },
    fixtures: ["sasrec", "student"],
  },
  // Item vectors decoded when the model is loaded: 4 · dim bytes an item in memory instead of 13.
  {
    peer: "tfjs-wasm-dense",
    module: "/www/tfjs-wasm.mjs",
    opts: { backend: "wasm", dense: true },
    fixtures: ["student"],
  },
  {
    peer: "ort-wasm-dense",
    module: "/www/ort.mjs",
    opts: {
      provider: "wasm",
      script: "ort.wasm.bundle.min.mjs",
      wasm: "ort-wasm-simd-threaded.wasm",
      graph: "dense.onnx",
    },
    fixtures: ["student"],
  },
  {
    peer: "tfjs-webgpu",
    module: "/www/tfjs-webgpu.mjs",
    opts: { backend: "webgpu" },
    fixtures: ["sasrec"],
    gpu: true,
  },
  {
    peer: "ort-webgpu",
    module: "/www/ort.mjs",
    opts: {
      provider: "webgpu",
      script: "ort.webgpu.bundle.min.mjs",
      wasm: "ort-wasm-simd-threaded.asyncify.wasm",
    },
    fixtures: ["sasrec"],
    gpu: true,
  },
];
