/** What adapters and the measuring page share. */

/** Reads a safetensors file of F32 and U8 tensors: `{ name: { shape, data } }`. */
export async function readTensors(url) {
  const file = await fetch(url).then((response) => response.arrayBuffer());
  const header = Number(new DataView(file).getBigUint64(0, true));
  const entries = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, header)));
  const out = {};
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(entries)) {
    if (name === "__metadata__") continue;
    const part = file.slice(8 + header + data_offsets[0], 8 + header + data_offsets[1]);
    out[name] = { shape, data: dtype === "U8" ? new Uint8Array(part) : new Float32Array(part) };
  }
  return out;
}

/** The best `k` columns of `scores` from `first` on, best first, ties to the lower column. */
export function best(scores, k, first) {
  const columns = new Int32Array(k);
  const values = new Float32Array(k).fill(-Infinity);
  for (let column = first; column < scores.length; column++) {
    const score = scores[column];
    if (score <= values[k - 1]) continue;
    let at = k - 1;
    for (; at > 0 && values[at - 1] < score; at--) {
      values[at] = values[at - 1];
      columns[at] = columns[at - 1];
    }
    values[at] = score;
    columns[at] = column;
  }
  return { columns, scores: values };
}

/** Added to the attention's logits, `[sessions, len, len]`: nobody reads what comes later, or padding. */
export function causalMask(ids, len) {
  const sessions = ids.length / len;
  const mask = new Float32Array(sessions * len * len).fill(-1e9);
  for (let session = 0; session < sessions; session++) {
    for (let query = 0; query < len; query++) {
      const row = (session * len + query) * len;
      for (let key = 0; key <= query; key++)
        if (ids[session * len + key] !== 0) mask[row + key] = 0;
    }
  }
  return mask;
}

/** `[heads, len, len]` of biases by distance from rows `[heads, len]`; what comes later is never read. */
export function distanceMask(rows, heads, len) {
  const mask = new Float32Array(heads * len * len).fill(-1e9);
  for (let head = 0; head < heads; head++) {
    for (let query = 0; query < len; query++) {
      const row = (head * len + query) * len;
      for (let key = 0; key <= query; key++) mask[row + key] = rows[head * len + query - key];
    }
  }
  return mask;
}

/** A session's first clicks in the student's fixed shape; what stands behind them is never read. */
export function studentInputs(session, clicks, len) {
  const fill = (values, minus) =>
    Int32Array.from({ length: len }, (_, at) => (at < clicks ? values[at] - minus : 0));
  return {
    items: fill(session.items, 1),
    kinds: fill(session.kinds, 0),
    gaps: fill(session.gaps, 0),
    last: clicks - 1,
  };
}

/** Adds the boost of items clicked before, each by the clicks since its last one. */
export function boostRepeats(scores, session, clicks, repeat) {
  const seen = new Set();
  for (let back = 0; back < clicks; back++) {
    const item = session.items[clicks - 1 - back];
    if (!seen.has(item)) scores[item - 1] += repeat[back];
    seen.add(item);
  }
}
