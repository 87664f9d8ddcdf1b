//! Arithmetic on slices, written so that the compiler makes vectors of it: sums run in eight lanes,
//! always in the same order, so every processor gives the same bits (`exp` and `ln` excepted).

const LANES: usize = 8;

/// The inner product.
#[must_use]
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}

/// `out += scale * x`
pub fn add_scaled(out: &mut [f32], scale: f32, x: &[f32]) {
    out.iter_mut().zip(x).for_each(|(o, x)| *o += scale * x);
}

/// `out += x · matrix`, the matrix `[x.len(), out.len()]` by rows.
pub fn add_product(out: &mut [f32], x: &[f32], matrix: &[f32]) {
    for (x, row) in x.iter().zip(matrix.chunks_exact(out.len().max(1))) {
        add_scaled(out, *x, row);
    }
}

/// Makes shares of scores, which sum to 1; gives the logarithm of the sum of their exponentials.
pub fn softmax(scores: &mut [f32]) -> f32 {
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    scores.iter_mut().for_each(|s| *s = (*s - top).exp());
    let sum: f32 = scores.iter().sum();
    scores.iter_mut().for_each(|s| *s /= sum);
    top + sum.ln()
}
