/** The shipped student in TensorFlow.js: the whole session at a fixed length, look-up scores by one gather. */

import * as tf from "@tensorflow/tfjs-core";
import { best, boostRepeats, distanceMask, studentInputs } from "./tools.mjs";

const CENTROIDS = 256;

export function student({ student: shape, repeat }, weights, dense) {
  const { dim, blocks, heads, max_len: len, subspaces, temperature } = shape;
  const width = dim / heads;
  const w = {};
  for (const [name, { data, shape: dims }] of Object.entries(weights)) {
    if (data instanceof Float32Array) w[name] = tf.tensor(data, dims);
  }
  const { table, own, levels } = lookups(weights["items.codes"].data, subspaces);
  const centroids = tf.reshape(w["items.centroids"], [CENTROIDS * subspaces, dim / subspaces]);
  const distance = (name, rows) =>
    tf.tensor3d(distanceMask(weights[name].data, rows, len), [rows, len, len]);
  const distances = Array.from({ length: blocks }, (_, b) =>
    distance(`blocks.${b}.distance`, heads),
  );
  const readDistance = tf.reshape(distance("read.distance", 1), [len, len]);

  const rms = (x, gain) =>
    tf.mul(tf.div(x, tf.sqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-6))), gain);
  const unit = (x) => tf.div(x, tf.sqrt(tf.add(tf.sum(tf.square(x), -1, true), 1e-6)));
  const row = (x, at) => tf.slice(x, [at, 0], [1, x.shape[1]]);

  const block = (x, b) => {
    const name = (part) => w[`blocks.${b}.${part}`];
    const qkv = tf.matMul(rms(x, name("norm_attention")), name("qkv"));
    const parts = tf.split(tf.transpose(tf.reshape(qkv, [len, 3, heads, width]), [1, 2, 0, 3]), 3);
    const [q, k, v] = parts.map((part) => tf.reshape(part, [heads, len, width]));
    const logits = tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(width));
    const mixed = tf.matMul(tf.softmax(tf.add(logits, distances[b])), v);
    const joined = tf.reshape(tf.transpose(mixed, [1, 0, 2]), [len, dim]);
    const after = tf.add(x, tf.matMul(joined, name("out")));
    const inner = tf.add(tf.matMul(rms(after, name("norm_forward")), name("up")), name("up_bias"));
    return tf.add(after, tf.matMul(tf.relu(inner), name("down")));
  };

  const vector = ({ items, kinds, gaps, last }) => {
    const clicked = tf.tensor1d(decode(items), "int32");
    const vectors = tf.reshape(tf.gather(centroids, clicked), [len, dim]);
    let x = tf.mul(vectors, Math.sqrt(dim));
    x = tf.add(x, tf.gather(w.kinds, tf.tensor1d(kinds, "int32")));
    x = tf.add(x, tf.gather(w.gaps, tf.tensor1d(gaps, "int32")));
    for (let b = 0; b < blocks; b++) x = block(x, b);
    const h = rms(x, w["read.norm"]);
    const newest = row(h, last);
    const query = tf.matMul(newest, w["read.query"]);
    const logits = tf.mul(
      tf.matMul(query, tf.matMul(h, w["read.key"]), false, true),
      1 / Math.sqrt(dim),
    );
    const read = tf.matMul(tf.softmax(tf.add(logits, row(readDistance, last))), vectors);
    return unit(tf.add(read, tf.matMul(newest, w["read.mix"])));
  };
  const decode = (items) => {
    const out = new Int32Array(len * subspaces);
    items.forEach((item, at) =>
      out.set(own.subarray(item * subspaces, (item + 1) * subspaces), at * subspaces),
    );
    return out;
  };

  // Look-ups by code, as ours; or products with item vectors that are decoded once, which takes more memory.
  const byCode = () => {
    const rows = tf.tensor2d(table, [levels.length, subspaces + 1], "int32");
    return (query) => {
      const pieces = tf.reshape(query, [subspaces, dim / subspaces, 1]);
      const values = tf.reshape(tf.matMul(w["items.centroids"], pieces), [CENTROIDS * subspaces]);
      return tf.sum(tf.gather(tf.concat([values, w["items.bias"]]), rows), 1);
    };
  };
  const byVector = () => {
    const decoded = tf.reshape(tf.gather(centroids, tf.tensor1d(own, "int32")), [
      levels.length,
      dim,
    ]);
    const biases = tf.gather(w["items.bias"], tf.tensor1d(levels, "int32"));
    return (query) =>
      tf.add(tf.reshape(tf.matMul(query, decoded, false, true), [levels.length]), biases);
  };
  const scan = dense ? byVector() : byCode();

  const score = (session) => {
    const adapted = tf.matMul(tf.matMul(session, w["adapter.down"]), w["adapter.up"]);
    const query = tf.mul(unit(tf.add(session, adapted)), 1 / temperature);
    return scan(query);
  };

  let clicks;
  return {
    begin: (told) => (clicks = told),
    async click(at) {
      const scores = tf.tidy(() => score(vector(studentInputs(clicks, at + 1, len))));
      const values = await scores.data();
      scores.dispose();
      boostRepeats(values, clicks, at + 1, repeat);
      return best(values, 20, 0);
    },
  };
}

/**
 * From codes `[items, subspaces + 1]`: rows of one table for all subspaces and the bias, of the same shape; those of
 * the items' vectors alone; and the bias levels.
 */
function lookups(codes, subspaces) {
  const width = subspaces + 1;
  const table = Int32Array.from(codes, (code, at) => code + CENTROIDS * (at % width));
  const own = table.filter((_, at) => at % width !== subspaces);
  const levels = Int32Array.from(codes.filter((_, at) => at % width === subspaces));
  return { table, own, levels };
}
