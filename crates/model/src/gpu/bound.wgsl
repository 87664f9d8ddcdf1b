// The K-th largest of the threads' best keys, bit by bit, by one workgroup; and an empty list.
@group(0) @binding(0) var<storage, read> ask: array<u32>;
@group(0) @binding(1) var<storage, read> peaks: array<u32>;
// [bound, count, item, score, item, score, …]
@group(0) @binding(2) var<storage, read_write> found: array<u32>;

var<workgroup> count: atomic<u32>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
    let wanted = ask[0];
    var bound = 0u;
    for (var bit = 0u; bit < 32u; bit += 1u) {
        let tried = bound | (0x80000000u >> bit);
        if (thread == 0u) {
            atomicStore(&count, 0u);
        }
        workgroupBarrier();
        var own = 0u;
        for (var at = thread; at < THREADS; at += 256u) {
            own += select(0u, 1u, peaks[at] >= tried);
        }
        atomicAdd(&count, own);
        workgroupBarrier();
        if (atomicLoad(&count) >= wanted) {
            bound = tried;
        }
        workgroupBarrier();
    }
    if (thread == 0u) {
        found[0] = bound;
        found[1] = 0u;
    }
}
