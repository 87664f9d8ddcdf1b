/** ONNX Runtime Web: ranking only, its web build cannot train. */

import { stopwatch } from "./stopwatch.mjs";
import { best, boostRepeats, causalMask, studentInputs } from "./tools.mjs";

const FOLDER = "/node_modules/onnxruntime-web/dist/";

export async function create({ cfg, base, opts }) {
  const { marks, mark } = stopwatch();
  const ort = await import(`${FOLDER}${opts.script}`);
  ort.env.wasm.wasmPaths = { wasm: `${FOLDER}${opts.wasm}` };
  ort.env.wasm.numThreads = 1;
  mark("script");
  const graph = await fetch(`${base}${opts.graph ?? "model.onnx"}`).then((response) =>
    response.arrayBuffer(),
  );
  mark("fetch");
  const session = await ort.InferenceSession.create(new Uint8Array(graph), {
    executionProviders: [opts.provider],
    graphOptimizationLevel: "all",
  });
  mark("session");
  const adapter = cfg.student ? student(ort, session, cfg) : sasrec(ort, session, cfg);
  return { marks, ...adapter };
}

function sasrec(ort, session, { len }) {
  return {
    async infer(ids) {
      const { scores } = await session.run({
        ids: new ort.Tensor("int32", ids, [1, len]),
        mask: new ort.Tensor("float32", causalMask(ids, len), [1, 1, len, len]),
      });
      return scores.data;
    },
  };
}

function student(ort, session, { student: { max_len: len }, repeat }) {
  let clicks;
  return {
    begin: (told) => (clicks = told),
    async click(at) {
      const { items, kinds, gaps, last } = studentInputs(clicks, at + 1, len);
      const row = (values) => new ort.Tensor("int32", values, [values.length]);
      const feeds = {
        items: row(items),
        kind: row(kinds),
        gap: row(gaps),
        last: row(Int32Array.of(last)),
      };
      const { scores } = await session.run(feeds);
      boostRepeats(scores.data, clicks, at + 1, repeat);
      return best(scores.data, 20, 0);
    },
  };
}
