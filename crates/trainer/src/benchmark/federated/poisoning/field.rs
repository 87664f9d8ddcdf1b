//! A round with attackers among its shoppers, and what its server makes of it.

use anyhow::Result;
use onshelf_core::privacy::gaussian::noise_multiplier;
use onshelf_core::privacy::rotate::rotate;
use onshelf_core::rank::{CENTROIDS, top_k};
use onshelf_core::slices::add_scaled;
use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;
use onshelf_model::shared::Scratch;
use onshelf_model::student::{Compute, Student};
use pollster::block_on;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::super::DELTA;
use super::super::arm::apply;
use super::super::period::{Period, norm};
use super::super::reports::{Reports, encode_part, mean_of};
use super::{Attack, Defence, Line};
use crate::progress::{Progress, Silent};
use crate::sync::optimiser::{self, Released, contribution};

/// How far a server that trusts its sums follows an honest one, root mean square: centroids and bias levels.
const STEPS: [f64; 2] = [0.003, 0.1];
/// The pass over old sessions that is taken where no canary chooses: the one in the middle.
const UNDEFENDED: usize = optimiser::PASSES / 2;
/// What an attacker sends where nothing is checked, in clip norms.
const UNCHECKED: f32 = 100.0;
/// Buckets of the median.
const BUCKETS: usize = 10;
/// Noise of the defended arms: ε of all of a device's participations.
const EPSILON: f64 = 8.0;

/// The field of an attack.
pub(super) struct Field<'a> {
    pub(super) student: &'a Student,
    pub(super) period: &'a Period,
    pub(super) tests: &'a Period,
    pub(super) reports: &'a Reports,
    /// Shoppers of the round, the attackers first.
    pub(super) order: Vec<usize>,
    pub(super) item: u32,
    pub(super) seed: u64,
}

impl Field<'_> {
    /// One row.
    pub(super) fn line(
        &self,
        attack: Option<Attack>,
        share: f64,
        defence: Defence,
        weights: &Weights,
        shape: &StudentShape,
        progress: &dyn Progress,
    ) -> Result<Line> {
        crate::stop::check()?;
        let attackers = (share * self.order.len() as f64).round() as usize;
        let released = match defence {
            Defence::Averaging | Defence::Nothing => self.unchecked(attack, attackers)?,
            Defence::Proofs | Defence::Canary => self.checked(attack, attackers, 1)?,
            Defence::Median | Defence::All => self.checked(attack, attackers, BUCKETS)?,
        };
        let mut student = Student::new(weights, shape, &Compute::Cpu)?;
        let published = match defence {
            Defence::Averaging => student.set_trend(self.straight(&released)?).map(|()| true)?,
            Defence::Canary | Defence::All => apply(&mut student, self.period, &released, &Silent)?,
            Defence::Nothing | Defence::Proofs | Defence::Median => {
                let passes = optimiser::trends(&mut student, &released, self.period.old(), 1, &Silent)?;
                student.set_trend(passes[UNDEFENDED].clone())?;
                true
            }
        };
        let line = Line {
            attack,
            share,
            defence,
            test: self.tests.test(&student)?,
            exposure: self.exposure(&student)?,
            published,
        };
        progress.finish(&line.to_row());
        Ok(line)
    }

    /// Straight along the mean, at the rates that take honest shoppers' means as far as they should go: federated
    /// averaging (McMahan et al., AISTATS 2017).
    fn straight(&self, released: &[Released]) -> Result<Vec<f32>> {
        let mut steps = released.to_vec();
        for (one, honest) in steps.iter_mut().zip(self.honest(&self.order)?) {
            let step = STEPS[usize::from(one.part.first == self.student.shape().subspaces)];
            let rate = step * (one.mean.len() as f64).sqrt() / norm(&honest.mean).max(1e-12);
            one.mean.iter_mut().for_each(|x| *x *= rate as f32);
        }
        self.whole(&steps)
    }

    /// The whole trend of its parts.
    fn whole(&self, parts: &[Released]) -> Result<Vec<f32>> {
        let mut whole = vec![0.0; self.student.table().trend_len()];
        for one in parts {
            whole[one.part.range(self.student.shape())?].copy_from_slice(&one.mean);
        }
        Ok(whole)
    }

    /// What an attacker asks of the whole trend, as long as the clip norm in each part.
    fn wish(&self, attack: Attack, attacker: usize, honest: &[Released]) -> Result<Vec<f32>> {
        let shape = self.student.shape();
        let mut wish = match attack {
            Attack::SignFlip => {
                contribution(self.student, &self.period.devices[attacker], &mut Scratch::default())?
            }
            Attack::MaximumNorm => self.whole(honest)?,
            Attack::Promotion => self.promotion(),
        };
        if attack != Attack::Promotion {
            wish.iter_mut().for_each(|x| *x = -*x);
        }
        for (part, released) in self.reports.parts.iter().zip(honest) {
            let own = &mut wish[part.range(shape)?];
            let length = norm(own).max(1e-12);
            let scale = (released.clip / length) as f32;
            own.iter_mut().for_each(|x| *x *= scale);
        }
        Ok(wish)
    }

    /// The direction that lifts one item for the mean session.
    fn promotion(&self) -> Vec<f32> {
        let shape = self.student.shape();
        let (dim, width) = (shape.dim, shape.dim / shape.subspaces);
        let mut mean = vec![0.0; dim];
        for read in self.period.devices.iter().take(1_000) {
            let newest = &read.vectors[read.vectors.len() - dim..];
            add_scaled(&mut mean, 1.0, &self.student.base().apply(newest, None));
        }
        let mut out = vec![0.0; self.student.table().trend_len()];
        let codes = self.student.table().codes_of(self.item).unwrap_or_default();
        for ((m, code), mean) in codes.iter().enumerate().zip(mean.chunks_exact(width)) {
            let at = (m * CENTROIDS + usize::from(*code)) * width;
            out[at..at + width].copy_from_slice(mean);
        }
        if let Some(level) = codes.last() {
            out[CENTROIDS * dim + usize::from(*level)] = 1.0;
        }
        out
    }

    fn honest(&self, devices: &[usize]) -> Result<Vec<Released>> {
        self.reports.release(devices, None, &mut ChaCha8Rng::seed_from_u64(self.seed))
    }

    /// Nothing is checked: the mean of whatever was sent.
    fn unchecked(&self, attack: Option<Attack>, attackers: usize) -> Result<Vec<Released>> {
        let (bad, good) = self.order.split_at(attackers);
        let mut mean = self.honest(good)?;
        let Some(attack) = attack else { return Ok(mean) };
        let honest = mean.clone();
        let share = attackers as f32 / self.order.len() as f32;
        mean.iter_mut().for_each(|r| r.mean.iter_mut().for_each(|x| *x *= 1.0 - share));
        for &attacker in bad {
            let wish = self.wish(attack, attacker, &honest)?;
            for released in &mut mean {
                let own = &wish[released.part.range(self.student.shape())?];
                add_scaled(&mut released.mean, UNCHECKED / self.order.len() as f32, own);
            }
        }
        Ok(mean)
    }

    /// Proofs bound every report; noise; the median of so many buckets.
    fn checked(&self, attack: Option<Attack>, attackers: usize, buckets: usize) -> Result<Vec<Released>> {
        let honest = self.honest(&self.order[attackers..])?;
        let mut forged = self.reports.clone();
        if let Some(attack) = attack {
            for &attacker in &self.order[..attackers] {
                let wish = self.wish(attack, attacker, &honest)?;
                forged.values[attacker] = self.forge(attack, &wish)?;
            }
        }
        let mut order = self.order.clone();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed ^ 77);
        order.shuffle(&mut rng);
        let z = noise_multiplier(EPSILON, DELTA, self.reports.parts.len() as u32)?;
        let rounds = order
            .chunks(order.len().div_ceil(buckets))
            .map(|batch| forged.release(batch, Some(z), &mut rng))
            .collect::<Result<Vec<_>>>()?;
        Ok(if buckets == 1 { mean_of(&rounds) } else { median_of(&rounds) })
    }

    /// The report that comes closest to a wish and passes the proofs: at the ends of the grid, but for the
    /// sign flip, which looks like anybody's.
    fn forge(&self, attack: Attack, wish: &[f32]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        for (at, part) in self.reports.parts.iter().enumerate() {
            let encoding = self.reports.encoding(at);
            let own = &wish[part.range(self.student.shape())?];
            if attack == Attack::SignFlip {
                out.extend(encode_part(own, encoding, &mut ChaCha8Rng::seed_from_u64(self.seed))?);
                continue;
            }
            let mut x: Vec<f64> = own.iter().map(|v| f64::from(*v)).collect();
            x.resize(encoding.length(), 0.0);
            rotate(&mut x, encoding.seed());
            out.extend(x.iter().map(|v| if *v > 0.0 { encoding.top() as u8 } else { 0 }));
        }
        Ok(out)
    }

    /// Share of the next period's clicks before which the promoted item would have been among the first 20.
    pub(super) fn exposure(&self, student: &Student) -> Result<f64> {
        let dim = student.shape().dim;
        let seen = self
            .tests
            .tests()
            .par_iter()
            .map_init(
                || (Vec::new(), Vec::new()),
                |(lut, scores), r| {
                    let mut seen = (0_usize, 0_usize);
                    for at in 1..r.items.len() {
                        let query = student.base().apply(&r.vectors[(at - 1) * dim..at * dim], None);
                        block_on(student.score(&query, &r.items[..at], lut, scores))?;
                        let shown = top_k(scores, 20, |_| true).iter().any(|(item, _)| *item == self.item);
                        seen = (seen.0 + usize::from(shown), seen.1 + 1);
                    }
                    Ok(seen)
                },
            )
            .collect::<Result<Vec<(usize, usize)>>>()?;
        let (shown, all) = seen.iter().fold((0, 0), |sum, s| (sum.0 + s.0, sum.1 + s.1));
        Ok(shown as f64 / all.max(1) as f64)
    }
}

/// The median of each value across buckets. Its noise is π/2 times a mean's in variance.
fn median_of(rounds: &[Vec<Released>]) -> Vec<Released> {
    let mut out = mean_of(rounds);
    for (at, released) in out.iter_mut().enumerate() {
        released.noise *= std::f64::consts::FRAC_PI_2.sqrt();
        for (place, value) in released.mean.iter_mut().enumerate() {
            let mut all: Vec<f32> = rounds.iter().map(|r| r[at].mean[place]).collect();
            all.sort_by(f32::total_cmp);
            let middle = all.len() / 2;
            *value = if all.len() % 2 == 1 { all[middle] } else { 0.5 * (all[middle - 1] + all[middle]) };
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use onshelf_core::part::Part;

    use super::*;

    #[test]
    fn the_median_does_not_follow_one_bucket() {
        let bucket = |value: f32| {
            vec![Released {
                part: Part { first: 0, count: 1 },
                mean: vec![value, 1.0],
                noise: 1.0,
                clip: 1.0,
            }]
        };
        let found = median_of(&[bucket(1.0), bucket(2.0), bucket(1_000.0)]);
        assert_eq!(found[0].mean, [2.0, 1.0]);
        assert_eq!(median_of(&[bucket(1.0), bucket(3.0)])[0].mean[0], 2.0);
        assert!((found[0].noise - (std::f64::consts::FRAC_PI_2 / 3.0).sqrt()).abs() < 1e-9);
    }
}
