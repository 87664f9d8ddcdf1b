// The items whose key reaches the bound, in no order; they are counted even where they do not fit.
@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read_write> found: array<atomic<u32>>;

@compute @workgroup_size(256)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let bound = atomicLoad(&found[0]);
    for (var item = id.x; item < ITEMS; item += THREADS) {
        let key = key_of(scores[item]);
        if (key != 0u && key >= bound) {
            let at = atomicAdd(&found[1], 1u);
            if (at < ROOM) {
                atomicStore(&found[2u + 2u * at], item + 1u);
                atomicStore(&found[3u + 2u * at], bitcast<u32>(scores[item]));
            }
        }
    }
}
