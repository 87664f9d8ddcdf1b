//! Stochastic rounding to a grid, conditioned on the norm (Kairouz, Liu, Steinke 2021).

use super::encode::{EncodeError, Encoding};

/// A rounding beyond the norm bound is drawn anew. The bound fails for at most 61 % of draws (in fact
/// for hardly any), so a thousand failures are no chance.
const TRIES: usize = 1_000;

/// Rounds each coordinate up or down at random, so that its mean is kept. Coordinates beyond
/// ±3C/√length are cut there.
///
/// # Errors
/// [`EncodeError::Rounding`] where the randomness is none.
pub fn quantise(
    x: &[f64],
    encoding: &Encoding,
    random: &mut dyn FnMut() -> u32,
) -> Result<Vec<u32>, EncodeError> {
    let (step, top) = (encoding.step(), encoding.top());
    let middle = f64::from(top) / 2.0;
    let bound = encoding.sensitivity().powi(2);
    let scaled: Vec<f64> = x.iter().map(|v| (v / step + middle).clamp(0.0, f64::from(top))).collect();
    for _ in 0..TRIES {
        let rounded: Vec<u32> = scaled.iter().map(|v| round(*v, random())).collect();
        let norm: f64 = rounded.iter().map(|q| (f64::from(*q) - middle).powi(2)).sum();
        if norm <= bound {
            return Ok(rounded);
        }
    }
    Err(EncodeError::Rounding)
}

/// Up with the probability of the fraction.
fn round(value: f64, word: u32) -> u32 {
    let floor = value.floor();
    let up = f64::from(word) < (value - floor) * 4_294_967_296.0;
    floor as u32 + u32::from(up)
}

/// The sum of the rotated deltas of `reports` reports. Noise may carry a sum outside of what reports
/// alone can reach, but not beyond 2^64.
///
/// # Errors
/// [`EncodeError::Length`] or [`EncodeError::Sum`].
pub fn dequantise(sum: &[i128], reports: u64, encoding: &Encoding) -> Result<Vec<f64>, EncodeError> {
    if sum.len() != encoding.length() {
        return Err(EncodeError::Length { found: sum.len(), expected: encoding.length() });
    }
    if reports == 0 || reports > 1 << 40 || sum.iter().any(|v| v.unsigned_abs() > 1 << 64) {
        return Err(EncodeError::Sum);
    }
    let twice_zero = i128::from(reports) * i128::from(encoding.top());
    let half_step = encoding.step() / 2.0;
    Ok(sum.iter().map(|v| (2 * v - twice_zero) as f64 * half_step).collect())
}
