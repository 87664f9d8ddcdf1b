//! From the noised mean of contributions to a movement of the trend, by way of old public sessions.
//!
//! Everything here is post-processing: it sees released sums and the shop's own old log, and costs no privacy.
//!
//! A mean of contributions is a gradient at one point; how far to follow it, and what a step along one centroid
//! means for all others, it does not say. Old sessions do: their loss curves much as that of new ones does. So
//! the trend minimises the old sessions' loss with its gradient corrected to the new sessions' at the starting point,
//!
//! `L_old(t) − ⟨∇L_old(0) − ∇L_new(0), t⟩`,
//!
//! the surrogate of DANE (Shamir, Srebro and Zhang, ICML 2014), by Adam (Kingma and Ba, 2015). The old sessions'
//! loss in it is replay as well: what they were foretold by is not forgotten. Both gradients are means of
//! contributions that were clipped alike. What the noise would make of nothing is shrunk away first, centroid by
//! centroid by the positive-part estimator of James and Stein (1961), level by level by the same factor.

use anyhow::{Result, ensure};
use onshelf_core::part::{LEVEL_ITEMS, Part};
use onshelf_core::slices::add_scaled;
use onshelf_model::adam::Adam;
use onshelf_model::shared::{Scratch, add_wish};
use onshelf_model::student::Student;
use pollster::block_on;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::judge::Read;
use crate::progress::Progress;
use crate::stop;

/// Adam's rate: the centroids move by some 0.006 root mean square in a pass of 14,000 sessions.
const RATE: f32 = 0.000_3;
/// The same for bias levels, which are logarithms of odds: by up to 0.3 in such a pass, a third more or less wanted.
const LEVEL_RATE: f32 = 0.003;
/// Passes over the old sessions; every one gives a candidate. More of them would be chosen among by chance.
pub const PASSES: usize = 3;
/// Old sessions of a step.
const BATCH: usize = 128;

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

/// A session's contribution to the whole trend: neither clipped nor cut into parts.
///
/// # Errors
/// Where a loss is not finite, or on Ctrl-C.
pub fn contribution(student: &Student, read: &Read, scratch: &mut Scratch) -> Result<Vec<f32>> {
    stop::check()?;
    let mut wish = vec![0.0; student.table().trend_len()];
    let (positions, _) = block_on(add_wish(student, &read.vectors, &read.items, scratch, &mut wish))?;
    let scale = (positions.max(1) as f32).sqrt().recip();
    wish.iter_mut().for_each(|x| *x *= scale);
    Ok(wish)
}

/// Mean of the sessions' contributions, each part clipped as shoppers' were; what no part is about stays zero.
fn clipped_mean(student: &Student, sessions: &[&Read], released: &[Released]) -> Result<Vec<f32>> {
    let n = student.table().trend_len();
    let ranges =
        released.iter().map(|r| Ok((r.part.range(student.shape())?, r.clip))).collect::<Result<Vec<_>>>()?;
    let add = |(mut sum, mut scratch): (Vec<f32>, Scratch), read: &&Read| -> Result<(Vec<f32>, Scratch)> {
        let own = contribution(student, read, &mut scratch)?;
        for (range, clip) in &ranges {
            let own = &own[range.clone()];
            let norm = own.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            add_scaled(&mut sum[range.clone()], (clip / norm.max(*clip)) as f32, own);
        }
        Ok((sum, scratch))
    };
    let none = || Ok((vec![0.0; n], Scratch::default()));
    let (mut mean, _) =
        sessions.par_iter().fold(none, |sum: Result<_>, read| add(sum?, read)).reduce(none, |a, b| {
            let (mut a, b) = (a?, b?);
            add_scaled(&mut a.0, 1.0, &b.0);
            Ok(a)
        })?;
    mean.iter_mut().for_each(|x| *x /= sessions.len().max(1) as f32);
    Ok(mean)
}

/// Trends after each pass, from the student's own. `old` are public sessions as the student reads
/// them. The student's trend is as it was afterwards.
///
/// # Errors
/// Where a part does not fit the student, a sum or a loss is not finite, there are no old sessions, or on Ctrl-C.
pub fn trends(
    student: &mut Student,
    released: &[Released],
    old: &[Read],
    seed: u64,
    progress: &dyn Progress,
) -> Result<Vec<Vec<f32>>> {
    ensure!(!old.is_empty(), "no old sessions to follow a sum by");
    let n = student.table().trend_len();
    let of_centroids = student.table().centroids().len();
    let start = student.table().trend().map_or_else(|| vec![0.0; n], <[f32]>::to_vec);
    let mut all: Vec<&Read> = old.iter().collect();
    // What the new sessions want beyond the old ones.
    let mut beyond: Vec<f32> = clipped_mean(student, &all, released)?.iter().map(|x| -x).collect();
    for one in released {
        let range = one.part.range(student.shape())?;
        ensure!(one.mean.len() == range.len(), "a sum of {} values for {}", one.mean.len(), one.part);
        ensure!(one.mean.iter().all(|x| x.is_finite()), "a sum is not finite");
        ensure!(one.clip > 0.0 && one.noise >= 0.0, "clip norm and noise must not be negative");
        let width =
            if range.start < of_centroids { student.shape().dim / student.shape().subspaces } else { 1 };
        let values = beyond[range].chunks_exact_mut(width).zip(one.mean.chunks_exact(width));
        for (beyond, mean) in values {
            add_scaled(beyond, 1.0, mean);
            let factor = shrink(beyond, one.noise.powi(2));
            beyond.iter_mut().for_each(|x| *x *= factor);
        }
    }
    // What nobody contributes to is noise alone.
    for level in student.table().lonely_levels(LEVEL_ITEMS) {
        beyond[of_centroids + usize::from(level)] = 0.0;
    }
    progress.start("follow the sum by old sessions", Some((PASSES * all.len()) as u64));
    let mut values = start.clone();
    let (mut adam, mut level_adam) = (Adam::new(of_centroids), Adam::new(n - of_centroids));
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut out = Vec::with_capacity(PASSES);
    for _ in 0..PASSES {
        all.shuffle(&mut rng);
        for some in all.chunks(BATCH) {
            student.set_trend(values.clone())?;
            let mut slope = clipped_mean(student, some, released)?;
            slope.iter_mut().zip(&beyond).for_each(|(s, b)| *s = -(*s + b));
            let (centroids, levels) = values.split_at_mut(of_centroids);
            adam.step(centroids, &slope[..of_centroids], RATE, 0.0);
            level_adam.step(levels, &slope[of_centroids..], LEVEL_RATE, 0.0);
            progress.advance(some.len() as u64);
        }
        out.push(values.clone());
    }
    progress.finish("");
    student.set_trend(start)?;
    Ok(out)
}
