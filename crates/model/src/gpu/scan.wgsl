// Scores of all items: `ROW` look-ups an item. Codes lie by subspace, four items a word, so that
// neighbouring threads read neighbouring words. Each thread also keeps the best key it saw: the K-th best
// of these is no more than the K-th best of all.
@group(0) @binding(0) var<storage, read> codes: array<u32>;
// [wanted, look-up table ROW * 256]
@group(0) @binding(1) var<storage, read> ask: array<u32>;
@group(0) @binding(2) var<storage, read_write> scores: array<f32>;
@group(0) @binding(3) var<storage, read_write> peaks: array<u32>;

fn entry(at: u32) -> f32 {
    return bitcast<f32>(ask[1u + at]);
}

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    var peak = 0u;
    for (var word = id.x; word < WORDS; word += THREADS) {
        var sum = vec4<f32>(0.0);
        for (var m = 0u; m < ROW; m += 1u) {
            let packed = codes[m * WORDS + word];
            let table = m * 256u;
            sum += vec4<f32>(
                entry(table + (packed & 255u)),
                entry(table + ((packed >> 8u) & 255u)),
                entry(table + ((packed >> 16u) & 255u)),
                entry(table + (packed >> 24u)),
            );
        }
        for (var lane = 0u; lane < 4u; lane += 1u) {
            let item = word * 4u + lane;
            if (item < ITEMS) {
                let score = sum[lane];
                scores[item] = score;
                peak = max(peak, key_of(score));
            }
        }
    }
    peaks[id.x] = peak;
}
