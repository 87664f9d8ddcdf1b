//! A delta as the integers of a report, and the sum of many reports as a mean delta.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::quantise::{dequantise, quantise};
use super::rotate::{Seed, rotate, unrotate};

/// The longest delta: the shared adapter's parameters.
pub const MAX_DIMENSION: usize = 4_096;

/// Why a delta could not be encoded, or a sum not decoded. No value of the delta is named.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A parameter is out of its range.
    #[error("encoding: {0}")]
    Parameter(&'static str),
    /// The vector has another length than the parameters say.
    #[error("encoding: {found} values, expected {expected}")]
    Length {
        /// Values given.
        found: usize,
        /// Values expected.
        expected: usize,
    },
    /// A value is infinite or not a number.
    #[error("encoding: a value is not finite")]
    NotFinite,
    /// No rounding within the norm bound was found; the source of randomness is broken.
    #[error("encoding: no rounding within the norm bound in 1,000 tries")]
    Rounding,
    /// The sum is of no report, or cannot be one of so many reports.
    #[error("encoding: not a sum of that many reports")]
    Sum,
}

/// The public parameters of the encoding; values out of range cannot be constructed, through serde
/// neither.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Raw", into = "Raw")]
pub struct Encoding {
    dimension: usize,
    bits: u32,
    clip: f64,
    seed: Seed,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    dimension: usize,
    bits: u32,
    clip: f64,
    rotation_seed: Seed,
}

impl TryFrom<Raw> for Encoding {
    type Error = EncodeError;

    fn try_from(raw: Raw) -> Result<Self, EncodeError> {
        Self::new(raw.dimension, raw.bits, raw.clip, raw.rotation_seed)
    }
}

impl From<Encoding> for Raw {
    fn from(e: Encoding) -> Self {
        Self { dimension: e.dimension, bits: e.bits, clip: e.clip, rotation_seed: e.seed }
    }
}

/// All of it is public.
impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoding({} values, {} bits, clip {})", self.dimension, self.bits, self.clip)
    }
}

impl Encoding {
    /// `dimension` values (1–4,096) in `bits` bits each (2–16), clipped to an L2 norm of `clip`
    /// (above 0, at most 1e6), rotated by `seed`.
    ///
    /// # Errors
    /// [`EncodeError::Parameter`].
    pub fn new(dimension: usize, bits: u32, clip: f64, seed: Seed) -> Result<Self, EncodeError> {
        if !(1..=MAX_DIMENSION).contains(&dimension) {
            return Err(EncodeError::Parameter("dimension must be 1 to 4,096"));
        }
        if !(2..=16).contains(&bits) {
            return Err(EncodeError::Parameter("bits must be 2 to 16"));
        }
        if !(1e-6..=1e6).contains(&clip) {
            return Err(EncodeError::Parameter("clip must be 1e-6 to 1e6"));
        }
        Ok(Self { dimension, bits, clip, seed })
    }

    /// Values of a delta.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Integers of a report: the dimension, padded to a power of two.
    #[must_use]
    pub fn length(&self) -> usize {
        self.dimension.next_power_of_two()
    }

    /// Bits of an integer of a report.
    #[must_use]
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// The clip norm C.
    #[must_use]
    pub fn clip(&self) -> f64 {
        self.clip
    }

    /// The seed of the rotation.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// The largest integer of a report, 2^bits − 1.
    #[must_use]
    pub fn top(&self) -> u32 {
        (1 << self.bits) - 1
    }

    /// The integer that means zero, 2^(bits − 1). Zero lies on the grid, so that a report which means
    /// zero exists: the neighbour that accounting replaces a shopper's report by.
    #[must_use]
    pub fn zero(&self) -> u32 {
        1 << (self.bits - 1)
    }

    /// The distance of two neighbouring values of the grid on ±3C/√length.
    #[must_use]
    pub fn step(&self) -> f64 {
        3.0 * self.clip / (self.length() as f64).sqrt() / f64::from(self.zero())
    }

    /// The L2 norm, in steps, that an honest report does not exceed, measured from [`Encoding::zero`]:
    /// the sensitivity that noise has to cover. It is Δ₂ of conditional rounding (Kairouz, Liu, Steinke
    /// 2021, <https://arxiv.org/abs/2102.06387>) with granularity γ of one step, c = C/γ and β = e^−½:
    ///
    /// Δ₂² = min{ c² + d/4 + √(2 log 1/β) (c + √d/2), (c + √d)² }
    ///
    /// [`Encoding::encode`] rounds anew until the bound holds, so it holds whatever the constants; the
    /// paper's theorem says that a share of 1 − β of the draws or more are kept. At 4 bits and 1,024
    /// values it is 1.024 C.
    #[must_use]
    pub fn sensitivity(&self) -> f64 {
        let (clip, n) = (self.clip / self.step(), self.length() as f64);
        let always = (clip + n.sqrt()).powi(2);
        let mostly = clip * clip + n / 4.0 + (clip + n.sqrt() / 2.0);
        always.min(mostly).sqrt()
    }

    /// Clips, rotates and rounds. `random` gives uniform 32-bit words; it must be unpredictable.
    ///
    /// # Errors
    /// [`EncodeError`].
    pub fn encode(&self, delta: &[f32], random: &mut dyn FnMut() -> u32) -> Result<Vec<u32>, EncodeError> {
        if delta.len() != self.dimension {
            return Err(EncodeError::Length { found: delta.len(), expected: self.dimension });
        }
        let mut x = clip(delta, self.clip)?;
        x.resize(self.length(), 0.0);
        rotate(&mut x, &self.seed);
        quantise(&x, self, random)
    }

    /// The mean delta from the sum of `reports` reports, noise included (so a sum may be negative).
    ///
    /// # Errors
    /// [`EncodeError::Length`] or [`EncodeError::Sum`].
    pub fn decode_mean(&self, sum: &[i128], reports: u64) -> Result<Vec<f32>, EncodeError> {
        let mut x = dequantise(sum, reports, self)?;
        unrotate(&mut x, &self.seed);
        Ok(x[..self.dimension].iter().map(|v| (v / reports as f64) as f32).collect())
    }
}

/// Scales to an L2 norm of at most `norm`; shorter vectors stay as they are.
///
/// # Errors
/// [`EncodeError::NotFinite`]; [`EncodeError::Parameter`] for a norm that is not above 0.
pub fn clip(delta: &[f32], norm: f64) -> Result<Vec<f64>, EncodeError> {
    if !(norm.is_finite() && norm > 0.0) {
        return Err(EncodeError::Parameter("the clip norm must be above 0"));
    }
    if delta.iter().any(|v| !v.is_finite()) {
        return Err(EncodeError::NotFinite);
    }
    // Squares of f32 neither overflow nor vanish in f64.
    let length = delta.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    let scale = if length > norm { norm / length } else { 1.0 };
    Ok(delta.iter().map(|v| f64::from(*v) * scale).collect())
}

#[cfg(test)]
mod tests;
