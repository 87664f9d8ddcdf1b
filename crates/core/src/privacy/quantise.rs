//! Stochastic rounding to a grid, conditioned on the norm (Kairouz, Liu, Steinke 2021).

use super::encode::{EncodeError, Encoding};

/// A rounding beyond the norm bound is drawn anew. The bound fails for at most 61 % of draws (in fact
/// for hardly any), so a thousand failures are no chance.
const TRIES: usize = 1_000;

/// Rounds each coordinate up or down at random, so that its mean is kept. Coordinates beyond the grid's
/// upper end are cut there, and as far below zero.
///
/// # Errors
/// [`EncodeError::Rounding`] where the randomness is none.
pub fn quantise(
    x: &[f64],
    encoding: &Encoding,
    random: &mut dyn FnMut() -> u32,
) -> Result<Vec<u32>, EncodeError> {
    let (step, zero) = (encoding.step(), f64::from(encoding.zero()));
    let reach = zero - 1.0;
    let bound = encoding.sensitivity().powi(2);
    let scaled: Vec<f64> = x.iter().map(|v| zero + (v / step).clamp(-reach, reach)).collect();
    for _ in 0..TRIES {
        let rounded: Vec<u32> = scaled.iter().map(|v| round(*v, random())).collect();
        let norm: f64 = rounded.iter().map(|q| (f64::from(*q) - zero).powi(2)).sum();
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
    let zero = i128::from(reports) * i128::from(encoding.zero());
    Ok(sum.iter().map(|v| (v - zero) as f64 * encoding.step()).collect())
}
