/** TensorFlow.js, whichever backend the bundle brings along: the fixture's SASRec, ranking and training. */

import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import { student } from "./tfjs-student.mjs";
import { stopwatch } from "./stopwatch.mjs";
import { causalMask, readTensors } from "./tools.mjs";

export async function create({ cfg, base, opts }) {
  const { marks, mark } = stopwatch();
  if (!(await tf.setBackend(opts.backend))) throw new Error(`no backend ${opts.backend}`);
  await tf.ready();
  mark("backend");
  const weights = await readTensors(`${base}weights.safetensors`);
  mark("fetch");
  const adapter = cfg.student ? student(cfg, weights, opts.dense) : sasrec(cfg, weights);
  mark("create");
  return { marks, ...adapter };
}

function sasrec({ dim, len, blocks, heads }, weights) {
  // The item table is frozen, so it is no variable; everything else is one.
  const { E: table, ...rest } = weights;
  const items = tf.tensor2d(table.data, table.shape);
  let [w, optimizer] = [{}, null];
  const reset = () => {
    for (const variable of Object.values(w)) variable.dispose();
    optimizer?.dispose();
    optimizer = tf.train.adam(1e-3, 0.9, 0.999, 1e-7);
    w = {};
    for (const [name, { data, shape }] of Object.entries(rest))
      w[name] = tf.variable(tf.tensor(data, shape));
  };
  reset();

  const norm = (x, name) => {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const deviation = tf.sqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5));
    return tf.add(tf.mul(tf.div(centred, deviation), w[`${name}.g`]), w[`${name}.b`]);
  };
  // Rows of all positions, so that every product is one of two matrices.
  const dense = (x, weight, bias) => tf.add(tf.matMul(x, w[weight]), w[bias]);
  const split = (x) => tf.transpose(tf.reshape(x, [-1, len, heads, dim / heads]), [0, 2, 1, 3]);

  const encode = (ids) => {
    const mask = tf.tensor4d(causalMask(ids, len), [ids.length / len, 1, len, len]);
    const clicked = tf.gather(items, tf.tensor1d(ids, "int32"));
    const spread = tf.mul(tf.reshape(clicked, [-1, len, dim]), Math.sqrt(dim));
    let x = tf.reshape(tf.add(spread, w.P), [-1, dim]);
    for (let b = 0; b < blocks; b++) {
      const first = norm(x, `b${b}.ln1`);
      const [q, k, v] = ["q", "k", "v"].map((c) =>
        split(dense(first, `b${b}.W${c}`, `b${b}.b${c}`)),
      );
      const logits = tf.mul(tf.matMul(q, k, false, true), Math.sqrt(heads / dim));
      const mixed = tf.matMul(tf.softmax(tf.add(logits, mask)), v);
      const joined = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, dim]);
      x = tf.add(x, dense(joined, `b${b}.Wo`, `b${b}.bo`));
      const inner = tf.relu(dense(norm(x, `b${b}.ln2`), `b${b}.W1`, `b${b}.b1`));
      x = tf.add(x, dense(inner, `b${b}.W2`, `b${b}.b2`));
    }
    return norm(x, "lnf");
  };

  const loss = ({ ids, targets, negatives }) => {
    const h = encode(ids);
    const gathered = (list) => tf.gather(items, tf.tensor1d(list, "int32"));
    const wanted = tf.sum(tf.mul(h, gathered(targets)), 1, true);
    const others = tf.matMul(h, gathered(negatives), false, true);
    const nats = tf.sub(tf.logSumExp(tf.concat([wanted, others], 1), 1, true), wanted);
    const counts = Float32Array.from(targets, (target) => (target === 0 ? 0 : 1));
    const valid = tf.tensor2d(counts, [targets.length, 1]);
    return tf.div(tf.sum(tf.mul(nats, valid)), tf.sum(valid));
  };

  return {
    async infer(ids) {
      const scores = tf.tidy(() =>
        tf.matMul(tf.slice(encode(ids), [len - 1, 0], [1, dim]), items, false, true),
      );
      const values = await scores.data();
      scores.dispose();
      return values;
    },
    resetTrain: reset,
    async step(batch) {
      const cost = optimizer.minimize(() => loss(batch), true, Object.values(w));
      const [value] = await cost.data();
      cost.dispose();
      return value;
    },
  };
}
