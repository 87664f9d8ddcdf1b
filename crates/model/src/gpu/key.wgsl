// Order of keys is order of scores; what is not finite has the key 0.
fn key_of(score: f32) -> u32 {
    let bits = bitcast<u32>(score);
    if ((bits & 0x7f800000u) == 0x7f800000u) {
        return 0u;
    }
    return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}
