//! Federated rounds, simulated on a log with periods: every session of a period is a device that learns from
//! its own clicks and contributes the change of the shared adapter; the sum of many makes the next adapter,
//! which the next period tests.
//!
//! The arms differ in what the server sees: nothing (frozen), the exact sum, the sum with the noise of two
//! aggregators, or all clicks (central). Devices, clip norm, server rate and the canary are the same code for
//! all; choices are made on a tenth of the period's sessions, which contributes nothing.

mod arm;
mod rounds;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use onshelf_core::metrics::Summary;
use onshelf_core::weights::Weights;
use onshelf_model::student::{Compute, Student};
use serde::Serialize;

use crate::corpus::{Corpus, CorpusOptions};
use crate::dataset::Dataset;
use crate::evaluate::mean;
use crate::files::{write_atomic, write_json};
use crate::progress::Progress;
use crate::{student, teacher};

pub use arm::Arm;
use rounds::Period;

/// δ of every private arm.
pub const DELTA: f64 = 1e-6;

/// What is run.
#[derive(Clone, Debug)]
pub struct FederatedOptions {
    /// Folder of the data set.
    pub data: PathBuf,
    /// Folder of a student that later periods are to improve.
    pub student: PathBuf,
    /// Where the report goes.
    pub out: PathBuf,
    /// Shoppers of a round.
    pub shoppers: Vec<usize>,
    /// ε of a shopper's one participation.
    pub epsilons: Vec<f64>,
    /// Only every so many sessions are tested (1: all).
    pub stride: usize,
    /// Seed of everything random.
    pub seed: u64,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What the server saw.
    pub arm: Arm,
    /// Mean over the tested periods.
    pub mean: Summary,
    /// By tested period.
    pub periods: Vec<(u32, Summary)>,
    /// Rounds released, and of these refused by the canary.
    pub rounds: [usize; 2],
    /// Share of the gap in R@20 and MRR@20 between frozen and central that it closes.
    pub closed: Option<[f64; 2]>,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Federated {
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Parameters of the shared adapter.
    pub parameters: usize,
    /// Sessions that contributed, by period.
    pub devices: Vec<(u32, usize)>,
    /// The rows: frozen first, central last.
    pub lines: Vec<Line>,
}

/// Runs all arms.
///
/// # Errors
/// Where folders cannot be read or no period is left to learn and another to test; or on Ctrl-C.
pub fn run(options: &FederatedOptions, progress: &dyn Progress) -> Result<Federated> {
    let data = Dataset::load(&options.data)?;
    let dataset = teacher::dataset_hash(&options.data)?;
    let loaded = student::load(&options.student)?;
    ensure!(
        loaded.info.dataset == dataset,
        "the student in {} was distilled on another data set than {}; name the right one",
        options.student.display(),
        options.data.display()
    );
    let last = loaded.info.trained_to;
    let periods: Vec<u32> = data.periods().iter().map(|p| p.period).filter(|&p| p > last).collect();
    ensure!(
        periods.len() >= 2,
        "the student was trained to period {last}, and {} later ones are too few: one to learn, one to test",
        periods.len()
    );
    let weights = Weights::from_safetensors(&loaded.file)?;
    let fresh = || Student::new(&weights, &loaded.info.student, &Compute::Cpu);
    let base = fresh()?;
    let corpus = Corpus::new(&data, &CorpusOptions { last_period: last, ..Default::default() })?;
    let cut = |period: u32| Period::new(&base, &corpus, &data, period, options, progress);
    let cut: Vec<Period> = periods.iter().map(|&p| cut(p)).collect::<Result<_>>()?;
    let mut lines: Vec<Line> = Vec::new();
    for arm in Arm::all(&options.shoppers, &options.epsilons) {
        lines.push(line(arm, fresh()?, &cut, options.seed, progress)?);
    }
    let ends = lines.first().zip(lines.last()).context("no arm was run")?;
    let [frozen, central] = [&ends.0.mean, &ends.1.mean].map(|s| [s.recall_20, s.mrr_20]);
    for line in &mut lines {
        let own = [line.mean.recall_20, line.mean.mrr_20];
        let share = |at: usize| (own[at] - frozen[at]) / (central[at] - frozen[at]);
        line.closed = (central[0] > frozen[0] && central[1] > frozen[1]).then(|| [share(0), share(1)]);
    }
    let devices = cut[..cut.len() - 1].iter().map(|p| (p.period, p.devices.len())).collect();
    let parameters = base.base().down.len() + base.base().up.len();
    let done = Federated { dataset, seed: options.seed, parameters, devices, lines };
    save(&done, &options.out)?;
    Ok(done)
}

fn line(
    arm: Arm,
    mut student: Student,
    periods: &[Period],
    seed: u64,
    progress: &dyn Progress,
) -> Result<Line> {
    let (mut rounds, mut tested) = ([0, 0], Vec::new());
    progress.start(&arm.to_string(), Some(periods.len() as u64 - 1));
    for pair in periods.windows(2) {
        crate::stop::check()?;
        let [released, refused] = arm.learn(&mut student, &pair[0], seed)?;
        rounds = [rounds[0] + released, rounds[1] + refused];
        tested.push((pair[1].period, pair[1].test(&student)?));
        progress.advance(1);
    }
    let mean = mean(tested.iter().map(|t| &t.1));
    progress.finish(&format!(
        "{arm}: R@20 {:.2}, MRR@20 {:.2}, {} rounds, {} refused",
        100.0 * mean.recall_20,
        100.0 * mean.mrr_20,
        rounds[0],
        rounds[1]
    ));
    Ok(Line { arm, mean, periods: tested, rounds, closed: None })
}

fn save(done: &Federated, out: &Path) -> Result<()> {
    write_json(&out.join("federated.json"), done)?;
    write_atomic(&out.join("federated.md"), done.to_markdown().as_bytes())
}

impl Federated {
    /// The table.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let devices: Vec<String> = self.devices.iter().map(|(p, n)| format!("{n} in period {p}")).collect();
        let mut out = format!(
            "Federated rounds: {} parameters, {} devices, delta {DELTA:.0e}, every device once; seed {}, data set {}.\n\n\
             | what the server sees | R@20 | MRR@20 | share of the gap, R@20 | MRR@20 | rounds | refused |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n",
            self.parameters,
            devices.join(", "),
            self.seed,
            &self.dataset[..12]
        );
        for line in &self.lines {
            let share = |at: usize| line.closed.map_or("-".into(), |c| format!("{:.0} %", 100.0 * c[at]));
            let _ = writeln!(
                out,
                "| {} | {:.2} | {:.2} | {} | {} | {} | {} |",
                line.arm,
                100.0 * line.mean.recall_20,
                100.0 * line.mean.mrr_20,
                share(0),
                share(1),
                line.rounds[0],
                line.rounds[1]
            );
        }
        out
    }
}
