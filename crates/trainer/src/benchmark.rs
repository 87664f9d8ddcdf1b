//! `onshelf benchmark`: a published protocol as one command, with our baselines in the same run.
//!
//! The work is cut into cells (method, seed, period). Every finished cell is in `results.json`, and
//! the last teacher of every chain in `state/`, so that an interrupted run goes on where it was.

mod chain;
pub mod cold_start;
pub mod federated;
pub mod leave_one_out;
mod machine;
pub mod new_shoppers;
mod plot;
mod report;
mod simple;
pub mod student_size;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use onshelf_core::metrics::Summary;
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::files::{read_json, write_json};
use crate::progress::Progress;
use crate::student::DistillOptions;
use crate::teacher::{TrainOptions, dataset_hash};
use crate::update::{Strategy, UpdateReport};

pub use report::Report;

const RESULTS: &str = "results.json";

/// What is run.
#[derive(Clone, Debug)]
pub struct BenchmarkOptions {
    /// Folder of the data set.
    pub data: PathBuf,
    /// Where results, states and the report go.
    pub out: PathBuf,
    /// The strategies, with the seeds of each.
    pub strategies: Vec<(Strategy, Vec<u64>)>,
    /// Periods at which a network is trained from nothing on all earlier ones, and the seeds.
    pub joint: (Vec<u32>, Vec<u64>),
    /// Periods at which the combined teacher of the first seed is distilled, and how.
    pub student: (Vec<u32>, DistillOptions),
    /// How the first network is trained.
    pub train: TrainOptions,
    /// Most passes of an update.
    pub passes: usize,
    /// Only every so many sessions are tested (1: all).
    pub stride: usize,
    /// Newest period that is tested; `None`: the newest there is.
    pub last: Option<u32>,
}

/// One finished piece of work.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Cell {
    /// The method.
    pub method: String,
    /// Its seed; 0 where nothing is random.
    pub seed: u64,
    /// The tested period.
    pub period: u32,
    /// The metrics: of the network alone, where there is one.
    pub metrics: Summary,
    /// The metrics of the whole teacher, where it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub teacher: Option<Summary>,
    /// Processor seconds that making the tested version took: an update, or a training from nothing.
    pub cpu_seconds: f64,
    /// Bytes of a student and of its teacher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<[u64; 2]>,
    /// How the update went that made the tested version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateReport>,
}

/// All finished cells, and what they are of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// What decides the results, as JSON.
    pub settings: serde_json::Value,
    /// The cells.
    pub cells: Vec<Cell>,
}

impl Results {
    fn open(options: &BenchmarkOptions) -> Result<Self> {
        let settings = serde_json::json!({
            "train": options.train, "passes": options.passes, "stride": options.stride, "student": options.student.1,
        });
        let dataset = dataset_hash(&options.data)?;
        let path = options.out.join(RESULTS);
        if !path.exists() {
            return Ok(Self { dataset, settings, cells: Vec::new() });
        }
        let found: Self = read_json(&path, "benchmark")?;
        ensure!(
            found.dataset == dataset && found.settings == settings,
            "{} is of another data set or of other options; name another --out",
            path.display()
        );
        Ok(found)
    }

    fn find(&self, method: &str, seed: u64, period: u32) -> Option<&Cell> {
        self.cells.iter().find(|c| c.method == method && c.seed == seed && c.period == period)
    }

    fn add(&mut self, cell: Cell, out: &Path) -> Result<()> {
        self.cells.push(cell);
        write_json(&out.join(RESULTS), self)
    }
}

/// Runs what is not finished yet, and writes `report.md`, `report.json` and the plots.
///
/// # Errors
/// Where data or folder cannot be used, or on Ctrl-C (what is finished stays).
pub fn run(options: &BenchmarkOptions, progress: &dyn Progress) -> Result<Report> {
    let data = Dataset::load(&options.data)?;
    let mut periods: Vec<u32> = data.sessions.by_period().map(|p| p.0).collect();
    if let Some(last) = options.last {
        periods.retain(|&p| p <= last);
    }
    ensure!(periods.len() >= 2, "a benchmark needs two periods or more; the data set has {}", periods.len());
    let mut results = Results::open(options)?;
    let work = chain::Work { data: &data, options, periods: &periods, progress };
    for &period in &periods[1..] {
        simple::run(&work, &mut results, period)?;
    }
    // The first seed of everything comes before the second of anything.
    let most = options.strategies.iter().map(|s| s.1.len()).chain([options.joint.1.len()]).max().unwrap_or(0);
    for at in 0..most {
        for (strategy, seeds) in &options.strategies {
            if let Some(&seed) = seeds.get(at) {
                chain::run(&work, &mut results, *strategy, seed)?;
            }
        }
        if let Some(&seed) = options.joint.1.get(at) {
            for &period in options.joint.0.iter().filter(|p| periods[1..].contains(p)) {
                chain::joint(&work, &mut results, period, seed)?;
            }
        }
    }
    let report = Report::new(&results, &options.joint.0);
    report.write(&options.out, &results).context("writing the report")?;
    Ok(report)
}

/// Cells of each (method, seed), by period.
pub(crate) fn by_run(results: &Results) -> BTreeMap<(String, u64), Vec<&Cell>> {
    let mut out: BTreeMap<(String, u64), Vec<&Cell>> = BTreeMap::new();
    for cell in &results.cells {
        out.entry((cell.method.clone(), cell.seed)).or_default().push(cell);
    }
    out.values_mut().for_each(|cells| cells.sort_by_key(|c| c.period));
    out
}
