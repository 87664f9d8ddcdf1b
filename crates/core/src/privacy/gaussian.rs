//! The analytic Gaussian mechanism (Balle and Wang 2018, <https://arxiv.org/abs/1805.06530>, theorem 8)
//! and its composition. Adjacency is *zero-out*: a shopper's report is replaced by one that means
//! zero; the number of reports is public. Replacing it by any other doubles the noise that is needed.
//! No amplification by sampling is claimed: shoppers choose when they appear.
//!
//! A *noise multiplier* z is the standard deviation over the sensitivity. The discrete Gaussian that is
//! really added (Canonne, Kamath, Steinke 2020) differs from the continuous one by e^(−2π²σ²) and
//! less, which is nothing at the σ of tens and hundreds of steps that tasks have.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::encode::Encoding;

/// The largest ε that is computed with.
const MAX_EPSILON: f64 = 50.0;

/// Why privacy parameters were refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GaussianError {
    /// ε is not above 0, or beyond 50.
    #[error("privacy: epsilon must be above 0 and at most 50")]
    Epsilon,
    /// δ is not between 1e-15 and 0.1.
    #[error("privacy: delta must be 1e-15 to 0.1")]
    Delta,
    /// The noise multiplier is not between 0.05 and 1e6.
    #[error("privacy: the noise multiplier must be 0.05 to 1e6")]
    Multiplier,
    /// The number of participations is zero or above 1,000.
    #[error("privacy: participations must be 1 to 1,000")]
    Participations,
    /// The noise multiplier is too small for the ε that is claimed.
    #[error("privacy: a noise multiplier of {given} does not give the epsilon claimed, {needed} would")]
    Overclaimed {
        /// What was given.
        given: String,
        /// What is needed.
        needed: String,
    },
}

/// δ of the Gaussian mechanism with multiplier `z` at ε.
fn delta_of(epsilon: f64, z: f64) -> f64 {
    let phi = |x: f64| 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2);
    let (shift, scaled) = (0.5 / z, epsilon * z);
    phi(shift - scaled) - epsilon.exp() * phi(-shift - scaled)
}

fn check(holds: bool, error: GaussianError) -> Result<(), GaussianError> {
    if holds { Ok(()) } else { Err(error) }
}

fn check_delta(delta: f64) -> Result<(), GaussianError> {
    check((1e-15..=0.1).contains(&delta), GaussianError::Delta)
}

fn check_epsilon(epsilon: f64) -> Result<(), GaussianError> {
    check(epsilon > 0.0 && epsilon <= MAX_EPSILON, GaussianError::Epsilon)
}

/// Halves an interval until its ends are neighbours; `small` tells whether a point is too small. The
/// upper end is given: the side that claims less.
fn bisect(mut low: f64, mut high: f64, small: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if small(middle) { low = middle } else { high = middle }
    }
    high
}

/// The smallest ε that multiplier `z` gives at `delta`; 0 where δ alone covers it, infinite above 50.
///
/// # Errors
/// [`GaussianError::Multiplier`] or [`GaussianError::Delta`].
pub fn epsilon(z: f64, delta: f64) -> Result<f64, GaussianError> {
    check((0.05..=1e6).contains(&z), GaussianError::Multiplier)?;
    check_delta(delta)?;
    if delta_of(0.0, z) <= delta {
        return Ok(0.0);
    }
    if delta_of(MAX_EPSILON, z) > delta {
        return Ok(f64::INFINITY);
    }
    Ok(bisect(0.0, MAX_EPSILON, |e| delta_of(e, z) > delta))
}

/// The smallest multiplier that gives (ε, δ) over `participations` of one shopper: √k times that of one.
///
/// # Errors
/// [`GaussianError`] for arguments out of range.
pub fn noise_multiplier(epsilon: f64, delta: f64, participations: u32) -> Result<f64, GaussianError> {
    check_epsilon(epsilon)?;
    check_delta(delta)?;
    check((1..=1_000).contains(&participations), GaussianError::Participations)?;
    let one = bisect(1e-3, 1e9, |z| delta_of(epsilon, z) > delta);
    Ok(one * f64::from(participations).sqrt())
}

/// ρ of zero-concentrated differential privacy (Bun and Steinke 2016) after `participations`: k/(2z²).
///
/// # Errors
/// [`GaussianError::Multiplier`] or [`GaussianError::Participations`].
pub fn rho(z: f64, participations: u32) -> Result<f64, GaussianError> {
    check((0.05..=1e6).contains(&z), GaussianError::Multiplier)?;
    check((1..=1_000).contains(&participations), GaussianError::Participations)?;
    Ok(f64::from(participations) / (2.0 * z * z))
}

/// The ε at δ of Gaussian mechanisms whose ρ add up to `rho`; 0 for nothing released.
///
/// # Errors
/// [`GaussianError::Delta`]; [`GaussianError::Multiplier`] for a ρ that is none.
pub fn epsilon_of_rho(rho: f64, delta: f64) -> Result<f64, GaussianError> {
    if rho == 0.0 {
        return check_delta(delta).map(|()| 0.0);
    }
    epsilon((2.0 * rho).sqrt().recip(), delta)
}

/// Whose data two adjacent inputs differ by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Adjacency {
    /// A report is replaced by one that means zero.
    ZeroOut,
}

/// What a task promises: over `participations` rounds like it, a shopper's loss is at most (ε, δ). A
/// promise that its noise does not keep cannot be constructed, through serde neither.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawPolicy", into = "RawPolicy")]
pub struct Policy(RawPolicy);

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPolicy {
    epsilon: f64,
    delta: f64,
    participations: u32,
    noise_multiplier: f64,
    adjacency: Adjacency,
}

impl From<Policy> for RawPolicy {
    fn from(policy: Policy) -> Self {
        policy.0
    }
}

impl TryFrom<RawPolicy> for Policy {
    type Error = GaussianError;

    fn try_from(raw: RawPolicy) -> Result<Self, GaussianError> {
        let needed = noise_multiplier(raw.epsilon, raw.delta, raw.participations)?;
        let z = raw.noise_multiplier;
        check((0.05..=1e6).contains(&z), GaussianError::Multiplier)?;
        let overclaimed =
            || GaussianError::Overclaimed { given: z.to_string(), needed: format!("{needed:.6}") };
        if z < needed { Err(overclaimed()) } else { Ok(Self(raw)) }
    }
}

impl Policy {
    /// A policy with the noise that it needs, rounded up to six decimals.
    ///
    /// # Errors
    /// [`GaussianError`] for arguments out of range.
    pub fn new(epsilon: f64, delta: f64, participations: u32) -> Result<Self, GaussianError> {
        let needed = noise_multiplier(epsilon, delta, participations)?;
        let rounded = (needed * 1e6).ceil() / 1e6;
        let noise_multiplier = if rounded < needed { rounded + 1e-6 } else { rounded };
        let adjacency = Adjacency::ZeroOut;
        RawPolicy { epsilon, delta, participations, noise_multiplier, adjacency }.try_into()
    }

    /// ε over all participations.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.0.epsilon
    }

    /// δ over all participations.
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.0.delta
    }

    /// Rounds that ε covers.
    #[must_use]
    pub fn participations(&self) -> u32 {
        self.0.participations
    }

    /// Standard deviation of one round's noise over its sensitivity.
    #[must_use]
    pub fn noise_multiplier(&self) -> f64 {
        self.0.noise_multiplier
    }

    /// ρ of one round.
    #[must_use]
    pub fn rho(&self) -> f64 {
        (2.0 * self.0.noise_multiplier.powi(2)).recip()
    }

    /// The standard deviation that **each** aggregator's discrete Gaussian noise needs, in steps of the
    /// encoding. The sensitivity is that after rounding ([`Encoding::sensitivity`]), not C alone.
    #[must_use]
    pub fn noise(&self, encoding: &Encoding) -> NoiseStd {
        let std = self.0.noise_multiplier * encoding.sensitivity();
        let denominator = 1 << 20;
        // One more than the ceiling: what f64 rounded in the products above is far smaller.
        NoiseStd { numerator: (std * denominator as f64).ceil() as u64 + 1, denominator }
    }
}

/// A standard deviation as an exact fraction, never below the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoiseStd {
    /// Numerator.
    pub numerator: u64,
    /// Denominator, 2^20.
    pub denominator: u64,
}

#[cfg(test)]
mod tests;
