//! Loops over plain slices, compiled for the widest vectors of the processor at hand.

/// Runs `f` compiled once for each level of vector instructions; the processor's best is taken.
/// Whatever `f` calls has to be inlined into it to gain from that.
#[inline(always)]
pub(super) fn wide<R>(f: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(f)
}

/// Elements of a register at most; sums and maxima keep one for each lane, in an order that is the
/// same for narrower registers.
const LANES: usize = 16;

/// `e^x` for `x <= 0` to about two units in the last place; 0 below -87. No branches and no calls,
/// so that a loop over it becomes vector instructions.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it rounds to a whole number, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    /// ln 2 in two parts, the first exact in products with small whole numbers.
    const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    let clamped = if x < -87.0 { -87.0 } else { x };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN2[0] - n * LN2[1];
    // Cephes' polynomial for e^r on [-ln 2 / 2, ln 2 / 2].
    let p = 1.987_569_2e-4 * r + 1.398_2e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_5e-1;
    let p = p * r + 0.5;
    let p = p * r * r + r + 1.0;
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.0 { 0.0 } else { p * power }
}

/// Replaces every `x` by `x * scale + offset`; gives the largest.
#[inline(always)]
pub(super) fn scale_and_add(row: &mut [f32], scale: f32, offset: &[f32]) -> f32 {
    let mut top = [f32::NEG_INFINITY; LANES];
    let (mut rows, mut offsets) = (row.chunks_exact_mut(LANES), offset.chunks_exact(LANES));
    for (xs, offsets) in (&mut rows).zip(&mut offsets) {
        for ((x, o), top) in xs.iter_mut().zip(offsets).zip(&mut top) {
            *x = *x * scale + o;
            *top = if *x > *top { *x } else { *top };
        }
    }
    for (x, o) in rows.into_remainder().iter_mut().zip(offsets.remainder()) {
        *x = *x * scale + o;
        top[0] = if *x > top[0] { *x } else { top[0] };
    }
    top.into_iter().fold(f32::NEG_INFINITY, f32::max)
}

/// The largest element.
#[inline(always)]
pub(super) fn largest(row: &[f32]) -> f32 {
    let mut top = [f32::NEG_INFINITY; LANES];
    let rows = row.chunks_exact(LANES);
    let rest = rows.remainder().iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for xs in rows {
        for (x, top) in xs.iter().zip(&mut top) {
            *top = if *x > *top { *x } else { *top };
        }
    }
    top.into_iter().fold(rest, f32::max)
}

/// Replaces every `x` by `e^(x - top)`; gives their sum.
#[inline(always)]
pub(super) fn exp_below(row: &mut [f32], top: f32) -> f32 {
    let mut sum = [0.0; LANES];
    let mut rows = row.chunks_exact_mut(LANES);
    for xs in &mut rows {
        for (x, sum) in xs.iter_mut().zip(&mut sum) {
            *x = exp(*x - top);
            *sum += *x;
        }
    }
    for x in rows.into_remainder() {
        *x = exp(*x - top);
        sum[0] += *x;
    }
    sum.into_iter().sum()
}

/// The inner product, with one sum for each lane.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sum = [0.0; LANES];
    let (mut left, mut right) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    for (xs, ys) in (&mut left).zip(&mut right) {
        for ((x, y), sum) in xs.iter().zip(ys).zip(&mut sum) {
            *sum += x * y;
        }
    }
    let rest: f32 = left.remainder().iter().zip(right.remainder()).map(|(x, y)| x * y).sum();
    sum.into_iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_agrees_with_the_standard_library() {
        for at in 0..100_000 {
            let x = -(at as f32) * 9e-4;
            let (found, expected) = (f64::from(exp(x)), f64::from(x).exp());
            let allowed = if x < -87.0 { 2e-38 } else { 3e-7 * expected };
            assert!((found - expected).abs() <= allowed, "{x}: {found} {expected}");
        }
        assert_eq!((exp(0.0), exp(f32::NEG_INFINITY)), (1.0, 0.0));
    }

    #[test]
    fn rows_of_any_length() {
        for n in [1, 15, 16, 17, 40] {
            let offset: Vec<f32> = (0..n).map(|k| (k * 7 % 5) as f32).collect();
            let mut row: Vec<f32> = (0..n).map(|k| (k * 3 % 7) as f32).collect();
            let logits: Vec<f32> = row.iter().zip(&offset).map(|(x, o)| x * 0.5 + o).collect();
            let top = wide(|| scale_and_add(&mut row, 0.5, &offset));
            assert_eq!(row, logits);
            assert_eq!(top, wide(|| largest(&row)));
            assert_eq!(top, logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
            let sum = wide(|| exp_below(&mut row, top));
            let expected: f32 = logits.iter().map(|x| (x - top).exp()).sum();
            assert!((sum - expected).abs() < 1e-5 * expected, "{sum} {expected}");
        }
    }
}
