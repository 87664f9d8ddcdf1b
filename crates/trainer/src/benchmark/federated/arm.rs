//! What the server sees, and what it makes of it.

use std::fmt;

use anyhow::{Context, Result};
use onshelf_core::privacy::encode::Encoding;
use onshelf_core::privacy::gaussian::noise_multiplier;
use onshelf_core::privacy::rotate::Seed;
use onshelf_core::slices::add_scaled;
use onshelf_core::version::FineTuneConfig;
use onshelf_model::adam::Adam;
use onshelf_model::personal::{Lesson, Personal};
use onshelf_model::student::{Adapter, Student};
use pollster::block_on;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;
use serde::Serialize;

use super::DELTA;
use super::rounds::Period;

/// Optimiser steps of a device on its session, and their rate.
const LOCAL: (usize, f32) = (4, 0.003);
/// Server rates that are tried on the sessions that decide; none of them better: the canary refuses.
const SERVER: [f32; 5] = [0.3, 1.0, 3.0, 10.0, 30.0];
/// Rates and most passes of central training, and sessions of a batch.
const CENTRAL: ([f32; 2], usize, usize) = ([0.001, 0.003], 4, 64);
/// Bits of a value of a report.
const BITS: u32 = 4;

/// What the server sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// Nothing: the student stays.
    Frozen,
    /// The exact sum over so many devices.
    Sum {
        /// Devices of a round.
        shoppers: usize,
    },
    /// The sum with the noise of two aggregators.
    Private {
        /// Devices of a round.
        shoppers: usize,
        /// ε of a device's one participation.
        epsilon: f64,
    },
    /// All clicks.
    Central,
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frozen => write!(f, "nothing (frozen)"),
            Self::Sum { shoppers } => write!(f, "exact sums of {shoppers}"),
            Self::Private { shoppers, epsilon } => write!(f, "noised sums of {shoppers}, ε = {epsilon}"),
            Self::Central => write!(f, "all clicks (central)"),
        }
    }
}

impl Arm {
    pub(super) fn all(shoppers: &[usize], epsilons: &[f64]) -> Vec<Self> {
        let rounds = shoppers.iter().flat_map(|&shoppers| {
            let private = epsilons.iter().map(move |&epsilon| Self::Private { shoppers, epsilon });
            [Self::Sum { shoppers }].into_iter().chain(private)
        });
        [Self::Frozen].into_iter().chain(rounds).chain([Self::Central]).collect()
    }

    /// Moves the student's adapter; gives the rounds released, and those refused of them.
    pub(super) fn learn(self, student: &mut Student, period: &Period, seed: u64) -> Result<[usize; 2]> {
        let seed = seed ^ u64::from(period.period) << 32;
        match self {
            Self::Frozen => Ok([0, 0]),
            Self::Sum { shoppers } => rounds(student, period, shoppers, None, seed),
            Self::Private { shoppers, epsilon } => {
                rounds(student, period, shoppers, Some(noise_multiplier(epsilon, DELTA, 1)?), seed)
            }
            Self::Central => central(student, period, seed),
        }
    }
}

/// As a device learns, but for the shared adapter alone: every position counts the same.
fn config(learning_rate: f32) -> FineTuneConfig {
    FineTuneConfig { learning_rate, proximal: 0.0, distil: 0.0, memory: 1.0, ..FineTuneConfig::tuned() }
}

fn flat(adapter: &Adapter) -> Vec<f32> {
    [&adapter.down[..], &adapter.up[..]].concat()
}

/// The student's adapter moved by a vector in the order of [`flat`].
fn moved(base: &Adapter, by: &[f32], rate: f32) -> Adapter {
    let mut out = base.clone();
    let (down, up) = by.split_at(out.down.len());
    add_scaled(&mut out.down, rate, down);
    add_scaled(&mut out.up, rate, up);
    out
}

/// What a device would contribute.
fn delta(student: &Student, lesson: &Lesson, seed: u64) -> Result<Vec<f32>> {
    let (steps, rate) = LOCAL;
    let config = config(rate);
    let mut personal = Personal::new(student, seed);
    for _ in 0..steps {
        block_on(personal.step(student, lesson, None, &config))?;
    }
    let base = flat(student.base());
    Ok(flat(&personal.adapter).into_iter().zip(base).map(|(own, base)| own - base).collect())
}

fn norm(delta: &[f32]) -> f64 {
    delta.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// The median norm of what the sessions that decide would contribute; not of those that the clip protects.
fn clip_norm(student: &Student, period: &Period) -> Result<f64> {
    let mut norms = period
        .public
        .par_iter()
        .map(|lesson| Ok(norm(&delta(student, lesson, 0)?)))
        .collect::<Result<Vec<f64>>>()?;
    norms.sort_by(f64::total_cmp);
    norms.get(norms.len() / 2).copied().filter(|n| *n > 0.0).context("no session has anything to contribute")
}

/// Rounds of disjoint devices; what is left over is too few and never released.
fn rounds(
    student: &mut Student,
    period: &Period,
    shoppers: usize,
    z: Option<f64>,
    seed: u64,
) -> Result<[usize; 2]> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..period.devices.len()).collect();
    order.shuffle(&mut rng);
    let clip = |student: &Student| z.map(|_| clip_norm(student, period)).transpose();
    let mut norm = clip(student)?;
    let (mut released, mut refused) = (0, 0);
    for batch in order.chunks_exact(shoppers) {
        let deltas = batch
            .par_iter()
            .map(|&at| delta(student, &period.devices[at], seed ^ at as u64))
            .collect::<Result<Vec<Vec<f32>>>>()?;
        let mean = match z.zip(norm) {
            None => exact_mean(&deltas),
            Some((z, norm)) => private_mean(&deltas, norm, z, &mut rng)?,
        };
        released += 1;
        if apply(student, period, &mean)? {
            norm = clip(student)?;
        } else {
            refused += 1;
        }
    }
    Ok([released, refused])
}

fn exact_mean(deltas: &[Vec<f32>]) -> Vec<f32> {
    let mut mean = vec![0.0; deltas.first().map_or(0, Vec::len)];
    let share = 1.0 / deltas.len().max(1) as f32;
    deltas.iter().for_each(|d| add_scaled(&mut mean, share, d));
    mean
}

/// Clipped, rotated, rounded, summed, noised by each of two aggregators, and brought back: what a collector
/// would see, without the shares and proofs, which change no sum.
fn private_mean(deltas: &[Vec<f32>], clip: f64, z: f64, rng: &mut ChaCha8Rng) -> Result<Vec<f32>> {
    let dimension = deltas.first().map_or(0, Vec::len);
    let encoding = Encoding::new(dimension, BITS, clip, Seed(rng.random()))?;
    let first = rng.next_u64();
    let reports = deltas
        .par_iter()
        .enumerate()
        .map(|(at, delta)| {
            let mut own = ChaCha8Rng::seed_from_u64(first ^ at as u64);
            Ok(encoding.encode(delta, &mut || own.next_u32())?)
        })
        .collect::<Result<Vec<Vec<u32>>>>()?;
    let mut sum = vec![0_i128; encoding.length()];
    reports.iter().for_each(|r| sum.iter_mut().zip(r).for_each(|(s, v)| *s += i128::from(*v)));
    // A deviation of hundreds of steps: a rounded normal is the discrete one to all that is measured here.
    let deviation = z * encoding.sensitivity();
    for value in sum.iter_mut() {
        for _aggregator in 0..2 {
            *value += (deviation * rng.sample::<f64, _>(StandardNormal)).round() as i128;
        }
    }
    Ok(encoding.decode_mean(&sum, deltas.len() as u64)?)
}

/// Takes the server rate that the deciding sessions like best; `false` where none is surely better than staying.
fn apply(student: &mut Student, period: &Period, mean: &[f32]) -> Result<bool> {
    let mut canary = Canary::new(student, period)?;
    for rate in SERVER {
        let base = moved(&canary.start, mean, rate);
        canary.consider(student, period, base)?;
    }
    Ok(canary.settle(student))
}

/// The gate before a new adapter: it has to be better than the one before on the sessions that decide, by
/// more than chance would have it. Without the second half a hundred rounds climb on noise.
struct Canary {
    start: Adapter,
    ranks: Vec<f64>,
    best: Option<(f64, Adapter)>,
}

impl Canary {
    fn new(student: &Student, period: &Period) -> Result<Self> {
        Ok(Self { start: student.base().clone(), ranks: period.judge(student)?, best: None })
    }

    fn consider(&mut self, student: &mut Student, period: &Period, base: Adapter) -> Result<()> {
        student.set_base(base);
        let found = period.judge(student)?;
        let gain = surely(&self.ranks, &found);
        if gain > 0.0 && self.best.as_ref().is_none_or(|b| gain > b.0) {
            self.best = Some((gain, student.base().clone()));
        }
        Ok(())
    }

    /// Gives the student the best adapter, else the one it had; whether it is another.
    fn settle(self, student: &mut Student) -> bool {
        let moved = self.best.is_some();
        student.set_base(self.best.map_or(self.start, |b| b.1));
        moved
    }
}

/// The mean gain less two of its standard errors, of paired values.
fn surely(before: &[f64], after: &[f64]) -> f64 {
    let n = before.len().min(after.len()).max(1) as f64;
    let gains = || before.iter().zip(after).map(|(b, a)| a - b);
    let mean = gains().sum::<f64>() / n;
    let variance = gains().map(|g| (g - mean).powi(2)).sum::<f64>() / n;
    mean - 2.0 * (variance / n).sqrt()
}

/// The adapter trained on the period's clicks themselves by Adam; rate and passes by the deciding sessions.
fn central(student: &mut Student, period: &Period, seed: u64) -> Result<[usize; 2]> {
    let mut canary = Canary::new(student, period)?;
    let start = canary.start.clone();
    let (rates, passes, batch) = CENTRAL;
    for rate in rates {
        student.set_base(start.clone());
        let mut values = flat(&start);
        let mut adam = Adam::new(values.len());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..period.devices.len()).collect();
        for _ in 0..passes {
            crate::stop::check()?;
            order.shuffle(&mut rng);
            for some in order.chunks(batch) {
                let gradient = slope(student, period, some, rng.next_u64())?;
                adam.step(&mut values, &gradient, rate, 0.0);
                let (down, up) = values.split_at(start.down.len());
                let mut next = start.clone();
                (next.down, next.up) = (down.to_vec(), up.to_vec());
                student.set_base(next);
            }
            let base = student.base().clone();
            canary.consider(student, period, base)?;
        }
    }
    canary.settle(student);
    Ok([0, 0])
}

/// The mean gradient of some sessions by the adapter.
fn slope(student: &Student, period: &Period, some: &[usize], seed: u64) -> Result<Vec<f32>> {
    let config = config(0.0);
    let all = some
        .par_iter()
        .map(|&at| {
            let personal = Personal::new(student, seed ^ at as u64);
            Ok(block_on(personal.slope(student, &period.devices[at], &config))?)
        })
        .collect::<Result<Vec<Vec<f32>>>>()?;
    Ok(exact_mean(&all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gain_has_to_be_more_than_chance() {
        let before = vec![0.5; 400];
        let all_better = vec![0.6; 400];
        assert!((surely(&before, &all_better) - 0.1).abs() < 1e-9);
        let by_chance: Vec<f64> = (0..400).map(|at| if at % 2 == 0 { 0.9 } else { 0.11 }).collect();
        assert!(surely(&before, &by_chance) < 0.0);
        assert_eq!(surely(&before, &before), 0.0);
    }

    #[test]
    fn a_private_mean_is_the_clipped_mean_but_for_its_noise() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let deltas: Vec<Vec<f32>> = (0..400)
            .map(|_| {
                (0..64)
                    .map(|at| if at < 8 { 0.2 } else { 0.05 * rng.sample::<f32, _>(StandardNormal) })
                    .collect()
            })
            .collect();
        let wanted = exact_mean(&deltas);
        let error = |z: f64| {
            let found = private_mean(&deltas, 1.0, z, &mut ChaCha8Rng::seed_from_u64(7)).unwrap();
            let off: Vec<f32> = found.iter().zip(&wanted).map(|(f, w)| f - w).collect();
            norm(&off)
        };
        // Two aggregators' noise on 64 values over 400 reports of norm up to 1 (1.02 with rounding).
        let expected = |z: f64| (2.0_f64 * 64.0).sqrt() * z / 400.0;
        assert!(error(1e-9) < 0.02, "{}", error(1e-9));
        for z in [4.0, 16.0] {
            let ratio = error(z) / expected(z);
            assert!((0.7..1.4).contains(&ratio), "{ratio}");
        }
    }
}
