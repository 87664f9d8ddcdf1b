//! The noise that an aggregator adds to its share of a sum, before the share is stored or leaves.
//!
//! Each aggregator adds a whole discrete Gaussian by itself, so one that is corrupt, and leaves its own
//! out or subtracts it again, still faces the other's. The sampler is `prio`'s, of Canonne, Kamath and
//! Steinke 2020 (<https://arxiv.org/abs/2004.00010>), exact in rational numbers.

use num_bigint::{BigInt, BigUint};
use num_rational::Ratio;
use onshelf_core::privacy::gaussian::NoiseStd;
use prio::codec::{Decode as _, Encode as _};
use prio::dp::distributions::DiscreteGaussian;
use prio::field::{Field128, FieldElement as _};
use rand_08::SeedableRng as _;
use rand_08::distributions::Distribution as _;
use rand_08::rngs::StdRng;
use thiserror::Error;

use crate::random;

/// Noise could not be added; nothing may be released then.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoiseError {
    /// The standard deviation is none.
    #[error("noise: a standard deviation of zero")]
    Std,
    /// The share does not parse.
    #[error("noise: not a share")]
    Share,
}

/// Where an aggregator's noise comes from. No configuration chooses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noise(Source);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Gaussian,
    None,
}

impl Noise {
    /// The discrete Gaussian with the task's standard deviation.
    #[must_use]
    pub fn gaussian() -> Self {
        Self(Source::Gaussian)
    }

    /// No noise, and so no privacy: for tests that compare sums, or show what one corrupt aggregator
    /// leaves.
    #[doc(hidden)]
    #[must_use]
    pub fn none_for_tests() -> Self {
        Self(Source::None)
    }

    /// Adds noise to an encoded share of field elements.
    ///
    /// # Errors
    /// [`NoiseError`].
    pub fn add(self, share: &[u8], std: NoiseStd) -> Result<Vec<u8>, NoiseError> {
        if self.0 == Source::None {
            return Ok(share.to_vec());
        }
        let drawn = draw(share.len() / Field128::ENCODED_SIZE, std)?;
        let mut out = Vec::with_capacity(share.len());
        for (chunk, noise) in share.chunks(Field128::ENCODED_SIZE).zip(drawn) {
            let value = Field128::get_decoded(chunk).map_err(|_| NoiseError::Share)?;
            (value + element(noise)).encode(&mut out).map_err(|_| NoiseError::Share)?;
        }
        Ok(out)
    }
}

/// Independent values of the discrete Gaussian.
///
/// # Errors
/// [`NoiseError::Std`].
pub fn draw(count: usize, std: NoiseStd) -> Result<Vec<i128>, NoiseError> {
    let std = Ratio::new(BigUint::from(std.numerator), BigUint::from(std.denominator));
    let gaussian = DiscreteGaussian::new(std).map_err(|_| NoiseError::Std)?;
    let mut rng = StdRng::from_seed(random::array());
    // Noise is less than a hundred standard deviations, which are at most 2^64.
    let small = |value: BigInt| i128::try_from(value).map_err(|_| NoiseError::Std);
    (0..count).map(|_| small(gaussian.sample(&mut rng))).collect()
}

fn element(value: i128) -> Field128 {
    let size = Field128::from(value.unsigned_abs());
    if value < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empirical_deviation_is_the_tasks() {
        for (numerator, denominator) in [(5_u64 << 20, 1_u64 << 20), (9_731_234, 1 << 16)] {
            let std = numerator as f64 / denominator as f64;
            let drawn = draw(20_000, NoiseStd { numerator, denominator }).unwrap();
            let n = drawn.len() as f64;
            let mean = drawn.iter().map(|v| *v as f64).sum::<f64>() / n;
            let variance = drawn.iter().map(|v| (*v as f64 - mean).powi(2)).sum::<f64>() / n;
            // Standard errors: std/√n of the mean, √(2/n) of the relative variance; five of each.
            assert!(mean.abs() < 5.0 * std / n.sqrt(), "{mean}");
            assert!((variance / (std * std) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{variance}");
        }
    }

    #[test]
    fn noise_goes_both_ways_and_wraps_in_the_field() {
        let std = NoiseStd { numerator: 100 << 20, denominator: 1 << 20 };
        let zero = vec![0; 64 * Field128::ENCODED_SIZE];
        let noised = Noise::gaussian().add(&zero, std).unwrap();
        let signed: Vec<i128> = onshelf_core::protocol::collect::decode_share(&noised, 64)
            .unwrap()
            .into_iter()
            .map(onshelf_core::protocol::collect::signed)
            .collect();
        assert!(signed.iter().any(|v| *v < 0) && signed.iter().any(|v| *v > 0));
        assert!(signed.iter().all(|v| v.abs() < 1_000));
        assert_eq!(Noise::gaussian().add(&[255; 16], std), Err(NoiseError::Share));
    }
}
