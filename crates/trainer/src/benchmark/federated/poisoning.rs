//! Some of the shoppers send what they like: what a round is worth then, defended and not.
//!
//! One period is one version's round; the next period tests. Attackers know the student and the part, and may
//! send any report that the proofs let through: values of the grid, so a norm of at most 3 clip norms after
//! rotation. Without proofs ("nothing checked") they send a hundred clip norms.

mod field;

use std::fmt::{self, Write as _};

use anyhow::{Context, Result};
use onshelf_core::metrics::Summary;
use onshelf_core::version::sha256_hex;
use onshelf_core::weights::Weights;
use onshelf_model::student::{Compute, Student};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::period::Period;
use super::reports::Reports;
use super::{FederatedOptions, cut};
use crate::files::{read_json, write_atomic, write_json};
use crate::progress::Progress;
use field::Field;

/// Shares of the shoppers that attack.
const SHARES: [f64; 3] = [0.001, 0.01, 0.05];

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
    /// Nothing is checked, and the server goes straight along the mean.
    Averaging,
    /// Nothing is checked: no proof, no noise, no canary. The server follows the mean by old sessions, in steps whose
    /// length does not depend on the mean's, which bounds it.
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
            Self::Averaging => "nothing checked, straight along the mean",
            Self::Nothing => "nothing checked",
            Self::Proofs => "proofs and noise",
            Self::Median => "and median of buckets",
            Self::Canary => "and canary",
            Self::All => "and median and canary",
        })
    }
}

const ATTACKS: [Attack; 3] = [Attack::SignFlip, Attack::MaximumNorm, Attack::Promotion];
const DEFENCES: [Defence; 6] =
    [Defence::Averaging, Defence::Nothing, Defence::Proofs, Defence::Median, Defence::Canary, Defence::All];

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
    /// Values of the trend.
    pub parameters: usize,
    /// The version before.
    pub frozen: (Summary, f64),
    /// The rows.
    pub lines: Vec<Line>,
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
        parameters: student.table().trend_len(),
        frozen,
        lines: Vec::new(),
    };
    let path = options.out.join("poisoning.json");
    done.resume(read_json(&path, "onshelf benchmark poisoning").ok());
    let [averaging, nothing, proofs, median, canary, all] = DEFENCES;
    for defence in [averaging, nothing, all, proofs, median, canary] {
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
        let key =
            |p: &Self| (p.dataset.clone(), p.student.clone(), p.seed, p.stride, p.shoppers, p.parameters);
        if let Some(before) = before.filter(|before| key(before) == key(self)) {
            self.lines = before.lines;
        }
    }
}

#[cfg(test)]
mod tests {
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
            parameters: 5,
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
}
