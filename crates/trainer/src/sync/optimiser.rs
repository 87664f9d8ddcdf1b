//! From the noised mean of contributions to a movement of the trend.
//!
//! Everything here is post-processing: it sees released sums and public data, and costs no privacy.
//!
//! 1. **Shrink** each centroid's vector by what the noise, whose deviation is known, would make of nothing
//!    (the positive-part estimator of James and Stein, 1961).
//! 2. **Scale** each centroid by how strongly public sessions' contributions spread there, as Adam does
//!    (Kingma and Ba, 2015; FedAdam: Reddi et al., ICLR 2021), with the second moments of public data
//!    instead of the noised sums' own.
//! 3. **Step**: a mean of contributions as long as the clip norm moves the trend by `rate` times the root
//!    mean square of the centroids. The canary chooses among rates.

use anyhow::{Result, ensure};
use onshelf_core::part::Part;
use onshelf_core::rank::CENTROIDS;
use onshelf_core::slices::add_scaled;
use onshelf_core::version::StudentShape;

/// Server rates that are tried.
pub const RATES: [f32; 5] = [30.0, 100.0, 200.0, 400.0, 1_000.0];
/// Added to the scale of a centroid, as a share of the mean scale: rare centroids are not blown up.
const FLOOR: f32 = 0.3;

/// Root mean squares of public contributions, by centroid: `[subspaces * 256]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Curvature(Vec<f32>);

impl Curvature {
    /// From contributions to the whole trend, `[subspaces, 256, width]` each.
    #[must_use]
    pub fn new<'a>(contributions: impl IntoIterator<Item = &'a [f32]>, shape: &StudentShape) -> Self {
        let width = shape.dim / shape.subspaces;
        let mut squares = vec![0.0; shape.subspaces * CENTROIDS];
        let mut count = 0.0_f32;
        for contribution in contributions {
            count += 1.0;
            for (sum, centroid) in squares.iter_mut().zip(contribution.chunks_exact(width)) {
                *sum += centroid.iter().map(|x| x * x).sum::<f32>() / width as f32;
            }
        }
        squares.iter_mut().for_each(|s| *s = (*s / count.max(1.0)).sqrt());
        Self(squares)
    }

    /// The scale of each centroid of a part, 1 in the mean.
    fn scales(&self, part: &Part) -> Vec<f32> {
        let own = &self.0[part.first * CENTROIDS..(part.first + part.count) * CENTROIDS];
        let mean = own.iter().sum::<f32>() / own.len() as f32;
        own.iter().map(|s| if mean > 0.0 { (s / mean + FLOOR) / (1.0 + FLOOR) } else { 1.0 }).collect()
    }
}

/// A released mean of contributions to a part.
#[derive(Clone, Debug)]
pub struct Released {
    /// Which part.
    pub part: Part,
    /// The mean, noise included: as many values as the part has.
    pub mean: Vec<f32>,
    /// Standard deviation of the noise in each of its values.
    pub noise: f64,
    /// The clip norm.
    pub clip: f64,
}

/// The positive-part James–Stein factor of a vector with noise of a known variance in each value.
fn shrink(vector: &[f32], variance: f64) -> f32 {
    let square: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
    if square <= 0.0 { 0.0 } else { (1.0 - vector.len() as f64 * variance / square).max(0.0) as f32 }
}

/// The direction of a step, over the whole trend; what other parts are about stays zero.
///
/// # Errors
/// Where the part does not fit the student, or a value is not finite.
pub fn direction(released: &[Released], curvature: &Curvature, shape: &StudentShape) -> Result<Vec<f32>> {
    let width = shape.dim / shape.subspaces;
    let mut out = vec![0.0; CENTROIDS * shape.dim];
    for one in released {
        let range = one.part.range(shape)?;
        ensure!(one.mean.len() == range.len(), "a sum of {} values for {}", one.mean.len(), one.part);
        ensure!(one.mean.iter().all(|x| x.is_finite()), "a sum is not finite");
        ensure!(one.clip > 0.0 && one.noise >= 0.0, "clip norm and noise must not be negative");
        let scales = curvature.scales(&one.part);
        let values = out[range].chunks_exact_mut(width).zip(one.mean.chunks_exact(width));
        for ((out, mean), scale) in values.zip(scales) {
            add_scaled(out, shrink(mean, one.noise.powi(2)) / (scale * one.clip as f32), mean);
        }
    }
    Ok(out)
}

/// The trend after a step of a rate.
#[must_use]
pub fn stepped(trend: Option<&[f32]>, direction: &[f32], rate: f32, centroids: &[f32]) -> Vec<f32> {
    let squares: f32 = centroids.iter().map(|x| x * x).sum();
    let unit = (squares / centroids.len().max(1) as f32).sqrt();
    let mut out = trend.map_or_else(|| vec![0.0; direction.len()], <[f32]>::to_vec);
    add_scaled(&mut out, rate * unit, direction);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape() -> StudentShape {
        serde_json::from_value(serde_json::json!({
            "dim": 8, "blocks": 1, "heads": 1, "hidden": 8, "max_len": 5, "subspaces": 2,
            "adapter_rank": 1, "temperature": 0.1,
        }))
        .unwrap()
    }

    fn released(mean: Vec<f32>, noise: f64) -> Released {
        Released { part: Part { first: 0, count: 2 }, mean, noise, clip: 2.0 }
    }

    #[test]
    fn without_noise_a_step_follows_the_mean_scaled_by_curvature() {
        let n = CENTROIDS * 8;
        let mut mean = vec![0.0; n];
        (mean[0], mean[4]) = (0.5, 0.5);
        // The second centroid's contributions are three times as large.
        let mut public = vec![1.0; n];
        public[4..8].fill(3.0);
        let curvature = Curvature::new([&public[..]], &shape());
        let found = direction(&[released(mean, 0.0)], &curvature, &shape()).unwrap();
        assert!(found[0] > 0.0 && found[4] > 0.0 && found[0] > 2.0 * found[4], "{} {}", found[0], found[4]);
        assert!(found[1..4].iter().chain(&found[5..]).all(|x| *x == 0.0));
        let trend = stepped(None, &found, 10.0, &vec![0.1; n]);
        assert!((trend[0] - found[0]).abs() < 1e-4 * found[0]);
        assert_eq!(stepped(Some(&trend), &found, 10.0, &vec![0.1; n])[0], 2.0 * trend[0]);
    }

    #[test]
    fn what_noise_would_make_of_nothing_is_shrunk_away() {
        let n = CENTROIDS * 8;
        let flat = Curvature::new([&vec![1.0; n][..]], &shape());
        // A noise-like vector of length 0.1 a value, and one far beyond it.
        let mut mean = vec![0.1; n];
        mean[0..4].fill(1.0);
        let found = direction(&[released(mean, 0.1)], &flat, &shape()).unwrap();
        assert!((found[0] - 0.99 / 2.0).abs() < 1e-3, "{}", found[0]);
        assert!(found[4..].iter().all(|x| x.abs() < 1e-6));
    }

    #[test]
    fn a_sum_that_does_not_fit_is_refused() {
        let flat = Curvature::new([&vec![1.0; CENTROIDS * 8][..]], &shape());
        let step = |one: Released| direction(&[one], &flat, &shape());
        assert!(step(released(vec![0.0; 3], 0.0)).is_err());
        assert!(step(released(vec![f32::NAN; CENTROIDS * 8], 0.0)).is_err());
        let beyond =
            Released { part: Part { first: 1, count: 2 }, ..released(vec![0.0; CENTROIDS * 8], 0.0) };
        assert!(step(beyond).is_err());
    }
}
