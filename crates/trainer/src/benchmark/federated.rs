//! Federated rounds, simulated on a log with periods: every session of a period is a device that contributes
//! the direction in which its clicks would move the shared trend; the sums of many make the next version,
//! which the next period tests.
//!
//! The arms differ in what the server sees: nothing (frozen), exact sums, sums with the noise of two
//! aggregators, or all clicks (central). A report holds at most 4,096 values, so every device takes part in
//! one round for each part of the trend, and its ε is for all of them. All rounds of a period start from
//! one version. Choices are made on a fifth of the period's sessions, which contributes nothing: one half
//! chooses, the other half is the canary.

mod arm;
mod central;
mod period;
mod plot;
pub mod poisoning;
mod reports;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, ensure};
use onshelf_core::metrics::Summary;
use onshelf_core::part::Part;
use onshelf_core::weights::Weights;
use onshelf_model::student::{Compute, Student};
use serde::Serialize;

use crate::corpus::{Corpus, CorpusOptions};
use crate::dataset::Dataset;
use crate::evaluate::mean;
use crate::files::{write_atomic, write_json};
use crate::progress::Progress;
use crate::student::LoadedStudent;
use crate::sync::judge::read;
use crate::{student, teacher};

pub use arm::Arm;
use arm::{Learner, Made};
use period::Period;

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
    /// ε of all of a shopper's participations.
    pub epsilons: Vec<f64>,
    /// Only every so many sessions are tested (1: all).
    pub stride: usize,
    /// Most periods that are learned from (0: all there are).
    pub periods: usize,
    /// Whether the trend is trained centrally as well, which costs more than all other arms together.
    pub central_trend: bool,
    /// Folders of students that were trained centrally, one to each learned period.
    pub central: Vec<PathBuf>,
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
    /// Rounds released, and versions that the canary refused.
    pub rounds: [usize; 2],
    /// Share of the gap in R@20 and MRR@20 that it closes, between frozen and the centrally trained trend.
    pub of_trend: [Option<f64>; 2],
    /// The same between frozen and the students trained centrally.
    pub of_student: [Option<f64>; 2],
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Federated {
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Only every so many sessions were tested.
    pub stride: usize,
    /// Newest period that the student was trained on.
    pub trained_to: u32,
    /// Values of the shared trend, and of the longest part of it.
    pub parameters: [usize; 2],
    /// Participations of a device: parts of the trend.
    pub participations: usize,
    /// Sessions that contributed, by period.
    pub devices: Vec<(u32, usize)>,
    /// The rows: frozen first, the whole student last.
    pub lines: Vec<Line>,
}

/// Runs all arms.
///
/// # Errors
/// Where folders cannot be read or no period is left to learn and another to test; or on Ctrl-C.
pub fn run(options: &FederatedOptions, progress: &dyn Progress) -> Result<Federated> {
    let (loaded, cut) = cut(options, progress)?;
    let weights = Weights::from_safetensors(&loaded.file)?;
    let fresh = || Student::new(&weights, &loaded.info.student, &Compute::Cpu);
    let parts = Part::all(&loaded.info.student)?;
    let learned: Vec<u32> = cut[..cut.len() - 1].iter().map(|p| p.period).collect();
    let central = central::students(&options.central, &loaded.info.dataset, &learned)?;
    let mut learners = Vec::new();
    for arm in Arm::all(options) {
        let (student, seed) = (fresh()?, options.seed);
        learners.push(Learner { arm, student, central: &central, whole: None, rounds: [0, 0], seed });
    }
    let told = |learners: &[Learner<'_>], tested: &[Vec<(u32, Summary)>]| -> Result<Federated> {
        Ok(Federated {
            dataset: loaded.info.dataset.clone(),
            seed: options.seed,
            stride: options.stride.max(1),
            trained_to: loaded.info.trained_to,
            parameters: [
                fresh()?.table().trend_len(),
                parts
                    .iter()
                    .filter_map(|p| p.range(&loaded.info.student).ok())
                    .map(|r| r.len())
                    .max()
                    .unwrap_or(0),
            ],
            participations: parts.len(),
            devices: cut[..cut.len() - 1].iter().map(|p| (p.period, p.devices.len())).collect(),
            lines: lines(learners, tested),
        })
    };
    let mut tested: Vec<Vec<(u32, Summary)>> = vec![Vec::new(); learners.len()];
    for (pair, last) in cut.windows(2).zip((1..cut.len()).rev()) {
        // Period by period: before the first, all arms have the same version, and share its reports.
        let mut made = Made::default();
        for at in 0..learners.len() {
            crate::stop::check()?;
            let learner = &mut learners[at];
            learner.learn(&pair[0], &mut made, progress)?;
            let found = learner.test(&pair[1])?;
            progress.finish(&format!(
                "{}, period {}: R@20 {:.2}, MRR@20 {:.2}",
                learner.arm,
                pair[1].period,
                100.0 * found.recall_20,
                100.0 * found.mrr_20
            ));
            tested[at].push((pair[1].period, found));
            if last == 1 {
                // The arms that are through are kept, should the others be interrupted.
                save(&told(&learners[..=at], &tested[..=at])?, &options.out)?;
            }
        }
    }
    told(&learners, &tested)
}

/// The student, and the periods after those that it was trained on.
fn cut(options: &FederatedOptions, progress: &dyn Progress) -> Result<(LoadedStudent, Vec<Period>)> {
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
    let mut periods: Vec<u32> = data.periods().iter().map(|p| p.period).filter(|&p| p > last).collect();
    ensure!(
        periods.len() >= 2,
        "the student was trained to period {last}, and {} later ones are too few: one to learn, one to test",
        periods.len()
    );
    if options.periods > 0 {
        periods.truncate(options.periods + 1);
    }
    let base = Student::new(&Weights::from_safetensors(&loaded.file)?, &loaded.info.student, &Compute::Cpu)?;
    let corpus = Corpus::new(&data, &CorpusOptions { last_period: last, ..Default::default() })?;
    let old = Arc::new(read(&base, &corpus.tests(&data, data.sessions.in_period(last)), progress)?);
    let cut = |&period: &u32| Period::new(&base, &corpus, &data, period, old.clone(), options, progress);
    let cut = periods.iter().map(cut).collect::<Result<_>>()?;
    Ok((loaded, cut))
}

fn lines(learners: &[Learner<'_>], tested: &[Vec<(u32, Summary)>]) -> Vec<Line> {
    let means: Vec<Summary> = tested.iter().map(|t| mean(t.iter().map(|t| &t.1))).collect();
    let of = |arm: Arm| learners.iter().position(|l| l.arm == arm).map(|at| means[at]);
    let share = |own: &Summary, whole: Option<Summary>| {
        let (Some(frozen), Some(whole)) = (of(Arm::Frozen), whole) else { return [None, None] };
        let values = |s: &Summary| [s.recall_20, s.mrr_20];
        [0, 1].map(|at| {
            let gap = values(&whole)[at] - values(&frozen)[at];
            (gap > 0.0).then(|| (values(own)[at] - values(&frozen)[at]) / gap)
        })
    };
    let line = |learner: &Learner<'_>, periods: &[(u32, Summary)], mean: &Summary| Line {
        arm: learner.arm,
        mean: *mean,
        periods: periods.to_vec(),
        rounds: learner.rounds,
        of_trend: share(mean, of(Arm::CentralTrend)),
        of_student: share(mean, of(Arm::CentralStudent)),
    };
    let lines = learners.iter().zip(tested).zip(&means);
    lines.map(|((learner, periods), mean)| line(learner, periods, mean)).collect()
}

fn save(done: &Federated, out: &Path) -> Result<()> {
    write_json(&out.join("federated.json"), done)?;
    write_atomic(&out.join("federated.svg"), plot::plot(done)?.as_bytes())?;
    write_atomic(&out.join("federated.md"), done.to_markdown().as_bytes())
}

impl Federated {
    /// The table.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let devices: Vec<String> = self.devices.iter().map(|(p, n)| format!("{n} in period {p}")).collect();
        let mut out = format!(
            "Federated rounds after period {}: a trend of {} values in parts of at most {}, {} participations a \
             device, delta {DELTA:.0e}; {} devices; every {} session tested; seed {}, data set {}.\n\n\
             | what the server sees | R@20 | MRR@20 | of the gap to the central trend: R@20, MRR@20 | of the gap to the \
             central student | rounds | versions refused |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n",
            self.trained_to,
            self.parameters[0],
            self.parameters[1],
            self.participations,
            devices.join(", "),
            if self.stride == 1 { String::new() } else { format!("{}th", self.stride) },
            self.seed,
            &self.dataset[..12]
        );
        let share = |s: Option<f64>| s.map_or("-".into(), |s| format!("{:.0} %", 100.0 * s));
        for line in &self.lines {
            let _ = writeln!(
                out,
                "| {} | {:.2} | {:.2} | {}, {} | {}, {} | {} | {} |",
                line.arm,
                100.0 * line.mean.recall_20,
                100.0 * line.mean.mrr_20,
                share(line.of_trend[0]),
                share(line.of_trend[1]),
                share(line.of_student[0]),
                share(line.of_student[1]),
                line.rounds[0],
                line.rounds[1]
            );
        }
        out
    }
}
