// Softmax over the candidates of one step, a workgroup for each row (position) of the lesson: its loss, and
// the slope of the loss by the row's query. Candidates' vectors come from codes and centroids, which are
// here already.
@group(0) @binding(0) var<storage, read> codes: array<u32>;
@group(0) @binding(1) var<storage, read> centroids: array<f32>;
// [candidates, scale, items ROOM, queries ROWS * DIM, offsets ROWS * ROOM, wanted ROWS * ROOM]
@group(0) @binding(2) var<storage, read> ask: array<u32>;
// [loss, slope DIM] for each row
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const WIDTH = DIM / SUBSPACES;
const QUERIES = 2u + ROOM;
const OFFSETS = QUERIES + ROWS * DIM;
const WANTED = OFFSETS + ROWS * ROOM;

var<workgroup> query: array<f32, DIM>;
var<workgroup> shares: array<f32, ROOM>;
var<workgroup> parts: array<f32, 256>;

fn part(item: u32, d: u32) -> f32 {
    let m = d / WIDTH;
    let at = item - 1u;
    let code = (codes[m * WORDS + at / 4u] >> (8u * (at % 4u))) & 255u;
    return centroids[(m * 256u + code) * WIDTH + d % WIDTH];
}

// The largest, or the sum, of what all threads bring.
fn together(thread: u32, own: f32, largest: bool) -> f32 {
    parts[thread] = own;
    workgroupBarrier();
    for (var half = 128u; half > 0u; half /= 2u) {
        if (thread < half) {
            let other = parts[thread + half];
            parts[thread] = select(parts[thread] + other, max(parts[thread], other), largest);
        }
        workgroupBarrier();
    }
    let all = parts[0];
    workgroupBarrier();
    return all;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x;
    let count = ask[0];
    let scale = bitcast<f32>(ask[1]);
    for (var d = thread; d < DIM; d += 256u) {
        query[d] = bitcast<f32>(ask[QUERIES + row * DIM + d]);
    }
    workgroupBarrier();
    var top = -3.0e38;
    var weight = 0.0;
    var scored = 0.0;
    for (var c = thread; c < count; c += 256u) {
        let item = ask[2u + c];
        var sum = 0.0;
        for (var d = 0u; d < DIM; d += 1u) {
            sum += query[d] * part(item, d);
        }
        let logit = scale * sum + bitcast<f32>(ask[OFFSETS + row * ROOM + c]);
        let wanted = bitcast<f32>(ask[WANTED + row * ROOM + c]);
        shares[c] = logit;
        top = max(top, logit);
        weight += wanted;
        scored += wanted * logit;
    }
    top = together(thread, top, true);
    weight = together(thread, weight, false);
    scored = together(thread, scored, false);
    var sum = 0.0;
    for (var c = thread; c < count; c += 256u) {
        shares[c] = exp(shares[c] - top);
        sum += shares[c];
    }
    sum = together(thread, sum, false);
    if (thread == 0u) {
        out[row * (DIM + 1u)] = weight * (top + log(sum)) - scored;
    }
    for (var d = thread; d < DIM; d += 256u) {
        var slope = 0.0;
        for (var c = 0u; c < count; c += 1u) {
            let wanted = bitcast<f32>(ask[WANTED + row * ROOM + c]);
            slope += (weight * shares[c] / sum - wanted) * part(ask[2u + c], d);
        }
        out[row * (DIM + 1u) + 1u + d] = scale * slope;
    }
}
