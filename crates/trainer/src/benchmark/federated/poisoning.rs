//! Some of the shoppers send what they like: what a round is worth then, defended and not.
//!
//! One period is one version's round; the next period tests. Attackers know the student and the part, and may
//! send any report that the proofs let through: values of the grid, so a norm of at most 3 clip norms after
//! rotation. Without proofs ("nothing checked") they send a hundred clip norms.

use std::fmt::{self, Write as _};

use anyhow::{Context, Result};
use onshelf_core::metrics::Summary;
use onshelf_core::privacy::gaussian::noise_multiplier;
use onshelf_core::privacy::rotate::rotate;
use onshelf_core::rank::{CENTROIDS, top_k};
use onshelf_core::slices::add_scaled;
use onshelf_core::version::sha256_hex;
use onshelf_core::weights::Weights;
use onshelf_model::shared::Scratch;
use onshelf_model::student::{Compute, Student};
use pollster::block_on;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::arm::apply;
use super::period::{Period, norm};
use super::reports::{Reports, encode_part, mean_of};
use super::{DELTA, FederatedOptions, cut};
use crate::files::{read_json, write_atomic, write_json};
use crate::progress::{Progress, Silent};
use crate::sync::optimiser::{self, Released, contribution};

/// Shares of the shoppers that attack.
const SHARES: [f64; 3] = [0.001, 0.01, 0.05];
/// The pass over old sessions that is taken where no canary chooses: the one in the middle.
const UNDEFENDED: usize = optimiser::PASSES / 2;
/// What an attacker sends where nothing is checked, in clip norms.
const UNCHECKED: f32 = 100.0;
/// Buckets of the median.
const BUCKETS: usize = 10;
/// Noise of the defended arms: ε of all of a device's participations.
const EPSILON: f64 = 8.0;

/// What the attackers want.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// The opposite of what their clicks ask for.
    SignFlip,
    /// The opposite of what all clicks ask for, as long as a report can be.
    MaximumNorm,
    /// One rare item before everybody.
    Promotion,
}

/// What stands in their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Defence {
    /// Nothing is checked: no proof, no noise, no canary.
    Nothing,
    /// Proofs bound every report, and noise is added; the step is taken whatever comes of it.
    Proofs,
    /// Besides, the median across disjoint buckets.
    Median,
    /// Besides proofs and noise, a canary chooses the rate and refuses what is worse.
    Canary,
    /// Median and canary.
    All,
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SignFlip => "sign flip",
            Self::MaximumNorm => "maximum norm",
            Self::Promotion => "promotion of an item",
        })
    }
}

impl fmt::Display for Defence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing checked",
            Self::Proofs => "proofs and noise",
            Self::Median => "and median of buckets",
            Self::Canary => "and canary",
            Self::All => "and median and canary",
        })
    }
}

const ATTACKS: [Attack; 3] = [Attack::SignFlip, Attack::MaximumNorm, Attack::Promotion];
const DEFENCES: [Defence; 5] =
    [Defence::Nothing, Defence::Proofs, Defence::Median, Defence::Canary, Defence::All];

/// One row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    /// The attack; `None` for honest shoppers alone.
    pub attack: Option<Attack>,
    /// Share of the shoppers that attack.
    pub share: f64,
    /// What stands in their way.
    pub defence: Defence,
    /// How well the next period is foretold afterwards.
    pub test: Summary,
    /// Share of its clicks before which the promoted item would have been among the first 20.
    pub exposure: f64,
    /// Whether a new version was published.
    pub published: bool,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Poisoning {
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// Seed of everything random.
    pub seed: u64,
    /// SHA-256 of the student's weights.
    pub student: String,
    /// Only every so many sessions were tested.
    pub stride: usize,
    /// Shoppers of the round.
    pub shoppers: usize,
    /// The version before.
    pub frozen: (Summary, f64),
    /// The rows.
    pub lines: Vec<Line>,
}

/// The field of an attack.
struct Field<'a> {
    student: &'a Student,
    period: &'a Period,
    tests: &'a Period,
    reports: &'a Reports,
    /// Shoppers of the round, the attackers first.
    order: Vec<usize>,
    item: u32,
    seed: u64,
}

/// Runs all attacks on the first period after the student's: undefended and defended first, then what each defence
/// does by itself. Rows that an interrupted run left in `options.out` are kept.
///
/// # Errors
/// As [`super::run`].
pub fn run(options: &FederatedOptions, progress: &dyn Progress) -> Result<Poisoning> {
    let (loaded, cut) = cut(&FederatedOptions { periods: 1, ..options.clone() }, progress)?;
    let weights = Weights::from_safetensors(&loaded.file)?;
    let student = Student::new(&weights, &loaded.info.student, &Compute::Cpu)?;
    let reports = Reports::new(&student, &cut[0], options.seed, progress)?;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut order: Vec<usize> = (0..cut[0].devices.len()).collect();
    order.shuffle(&mut rng);
    if let Some(most) = options.shoppers.iter().copied().filter(|n| *n <= order.len()).max() {
        order.truncate(most);
    }
    let item = rare_item(&cut[0]).context("no item to promote")?;
    let shoppers = order.len();
    let field = Field {
        student: &student,
        period: &cut[0],
        tests: &cut[1],
        reports: &reports,
        order,
        item,
        seed: options.seed,
    };
    let frozen = (cut[1].test(&student)?, field.exposure(&student)?);
    let mut done = Poisoning {
        dataset: loaded.info.dataset.clone(),
        seed: options.seed,
        student: sha256_hex(&loaded.file),
        stride: options.stride.max(1),
        shoppers,
        frozen,
        lines: Vec::new(),
    };
    let path = options.out.join("poisoning.json");
    done.resume(read_json(&path, "onshelf benchmark poisoning").ok());
    let [nothing, proofs, median, canary, all] = DEFENCES;
    for defence in [nothing, all, proofs, median, canary] {
        for (attack, share) in attacks() {
            if done.line(attack, share, defence).is_some() {
                continue;
            }
            let line = field.line(attack, share, defence, &weights, &loaded.info.student, progress)?;
            done.lines.push(line);
            // What is through is kept, should the rest be interrupted.
            write_json(&path, &done)?;
            write_atomic(&options.out.join("poisoning.md"), done.to_markdown().as_bytes())?;
        }
    }
    Ok(done)
}

/// Honest shoppers alone, then every attack by every share of them.
fn attacks() -> impl Iterator<Item = (Option<Attack>, f64)> {
    let all = ATTACKS.into_iter().flat_map(|attack| SHARES.map(|share| (Some(attack), share)));
    std::iter::once((None, 0.0)).chain(all)
}

/// The item that training clicked least, of those it clicked.
fn rare_item(period: &Period) -> Option<u32> {
    let counts = period.counts();
    (1..counts.len()).filter(|&i| counts[i] > 0).min_by_key(|&i| (counts[i], i)).map(|i| i as u32)
}

impl Field<'_> {
    fn line(
        &self,
        attack: Option<Attack>,
        share: f64,
        defence: Defence,
        weights: &Weights,
        shape: &onshelf_core::version::StudentShape,
        progress: &dyn Progress,
    ) -> Result<Line> {
        crate::stop::check()?;
        let attackers = (share * self.order.len() as f64).round() as usize;
        let released = match defence {
            Defence::Nothing => self.unchecked(attack, attackers)?,
            Defence::Proofs | Defence::Canary => self.checked(attack, attackers, 1)?,
            Defence::Median | Defence::All => self.checked(attack, attackers, BUCKETS)?,
        };
        let mut student = Student::new(weights, shape, &Compute::Cpu)?;
        let published = if matches!(defence, Defence::Canary | Defence::All) {
            apply(&mut student, self.period, &released, &Silent)?
        } else {
            let passes = optimiser::trends(&mut student, &released, self.period.old(), 1, &Silent)?;
            student.set_trend(passes[UNDEFENDED].clone())?;
            true
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

    /// What an attacker asks of the whole trend, as long as the clip norm in each part.
    fn wish(&self, attack: Attack, attacker: usize, honest: &[Released]) -> Result<Vec<f32>> {
        let shape = self.student.shape();
        let mut wish = match attack {
            Attack::SignFlip => {
                contribution(self.student, &self.period.devices[attacker], &mut Scratch::default())?
            }
            Attack::MaximumNorm => honest.iter().flat_map(|r| r.mean.iter().copied()).collect(),
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
        let mut out = vec![0.0; CENTROIDS * dim];
        let codes = self.student.table().centroids_of(self.item).unwrap_or_default();
        for ((m, code), mean) in codes.iter().enumerate().zip(mean.chunks_exact(width)) {
            let at = (m * CENTROIDS + usize::from(*code)) * width;
            out[at..at + width].copy_from_slice(mean);
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
    fn exposure(&self, student: &Student) -> Result<f64> {
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

impl Line {
    fn to_row(&self) -> String {
        format!(
            "| {} | {:.1} % | {} | {:.2} | {:.2} | {:.2} | {} |",
            self.attack.map_or("none".to_owned(), |a| a.to_string()),
            100.0 * self.share,
            self.defence,
            100.0 * self.test.recall_20,
            100.0 * self.test.mrr_20,
            100.0 * self.exposure,
            if self.published { "yes" } else { "no" }
        )
    }
}

impl Poisoning {
    /// The table.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let (frozen, exposure) = &self.frozen;
        let mut out = format!(
            "A round of {} shoppers; before it R@20 {:.2}, MRR@20 {:.2}, exposure of the item {:.2} %; seed {}, data set {}.\n\n\
             | attack | attackers | defence | R@20 | MRR@20 | exposure, % | published |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n",
            self.shoppers,
            100.0 * frozen.recall_20,
            100.0 * frozen.mrr_20,
            100.0 * exposure,
            self.seed,
            &self.dataset[..12]
        );
        for (attack, share) in attacks() {
            for defence in DEFENCES {
                if let Some(line) = self.line(attack, share, defence) {
                    let _ = writeln!(out, "{}", line.to_row());
                }
            }
        }
        out
    }

    fn line(&self, attack: Option<Attack>, share: f64, defence: Defence) -> Option<&Line> {
        self.lines.iter().find(|l| (l.attack, l.share, l.defence) == (attack, share, defence))
    }

    /// Takes over the rows of a run on the same sessions, student and seed.
    fn resume(&mut self, before: Option<Self>) {
        let key = |p: &Self| (p.dataset.clone(), p.student.clone(), p.seed, p.stride, p.shoppers);
        if let Some(before) = before.filter(|before| key(before) == key(self)) {
            self.lines = before.lines;
        }
    }
}

#[cfg(test)]
mod tests {
    use onshelf_core::part::Part;

    use super::*;

    #[test]
    fn rows_are_taken_over_from_the_same_run_alone_and_told_in_one_order() {
        let line = |attack, share, defence| Line {
            attack,
            share,
            defence,
            test: Summary::default(),
            exposure: 0.0,
            published: true,
        };
        let new = |seed| Poisoning {
            dataset: "d".repeat(64),
            seed,
            student: "s".into(),
            stride: 1,
            shoppers: 10,
            frozen: (Summary::default(), 0.0),
            lines: Vec::new(),
        };
        let mut before = new(1);
        before.lines.push(line(Some(Attack::SignFlip), 0.01, Defence::All));
        before.lines.push(line(None, 0.0, Defence::Nothing));
        let read = || serde_json::from_str(&serde_json::to_string(&before).unwrap()).ok();
        let (mut same, mut other) = (new(1), new(2));
        same.resume(read());
        other.resume(read());
        assert_eq!((same.lines.len(), other.lines.len()), (2, 0));
        let told = same.to_markdown();
        assert!(told.find("| none").unwrap() < told.find("| sign flip").unwrap());
    }

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
