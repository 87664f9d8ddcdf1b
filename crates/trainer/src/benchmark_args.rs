//! Options of `onshelf benchmark`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::{Args, ValueEnum};
use onshelf_trainer::benchmark::{
    self, BenchmarkOptions, cold_start, federated, leave_one_out, new_shoppers, student_size,
};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::prepare::{self, Layout, PrepareOptions};
use onshelf_trainer::progress::Progress;
use onshelf_trainer::student::DistillOptions;
use onshelf_trainer::teacher::TrainOptions;
use onshelf_trainer::update::Strategy;

/// Items from which on a student gets smaller codes.
const MANY_ITEMS: usize = 20_000;

/// A published protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// Periods: test on each, then learn it (ADER, Mi et al., RecSys 2020).
    DigineticaPeriods,
    /// Each user's last item is the test (SASRec, Kang & McAuley, ICDM 2018).
    Beauty,
    /// Sessions with times: tested on the last day's, or on the test file of a split folder (session-rec,
    /// Ludewig & Jannach, UMUAI 2018).
    Rsc15,
    /// People who never entered training: shipped and personal model, click by click, on users' histories.
    NewShoppers,
    /// A tenth of the items is held out of training and placed by attributes, on users' histories.
    ColdStart,
    /// Sessions of later periods are devices that contribute noised sums of what they learned: how much of
    /// what training on their clicks would gain, by shoppers and ε (`--from` names the student).
    Federated,
    /// Some of a round's shoppers send what they like: ranking quality and exposure of a promoted item,
    /// defended and not (`--from` names the student).
    Poisoning,
    /// One teacher, students of several sizes: on a log with periods or on users' histories.
    StudentSize,
}

#[derive(Args)]
pub(crate) struct BenchmarkArgs {
    /// The protocol.
    #[arg(value_enum)]
    protocol: Protocol,
    /// The raw data in the protocol's layout; prepared into OUT/data.
    #[arg(long, required_unless_present = "data")]
    input: Option<PathBuf>,
    /// Folder of a data set that is prepared already.
    #[arg(long, conflicts_with = "input")]
    data: Option<PathBuf>,
    /// Folder for results, states and the report; a run goes on from what is there.
    #[arg(long)]
    out: PathBuf,
    /// Seeds, comma-separated: all of them for `combined`, the first for the rest.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    seeds: Vec<u64>,
    /// Strategies, comma-separated [default: all].
    #[arg(long, value_delimiter = ',')]
    strategies: Vec<Strategy>,
    /// Periods at which a network is trained from nothing [default: every fourth].
    #[arg(long, value_delimiter = ',')]
    joint: Option<Vec<u32>>,
    /// Periods at which the combined teacher is distilled into a student [default: the last].
    #[arg(long, value_delimiter = ',')]
    student: Option<Vec<u32>>,
    /// Subspaces of the student's item table, comma-separated [default: by protocol].
    #[arg(long, value_delimiter = ',')]
    subspaces: Vec<usize>,
    /// Sessions that the student's adapter's start is meta-learned from (0: none).
    #[arg(long, default_value_t = 0)]
    meta: usize,
    /// Passes of a training from nothing [default: by protocol].
    #[arg(long)]
    passes: Option<usize>,
    /// Dropout on item vectors (0-1) [default: by protocol].
    #[arg(long)]
    dropout: Option<f32>,
    /// `new-shoppers`: ways to learn, comma-separated, such as "leanings alone" [default: all].
    #[arg(long, value_delimiter = ',')]
    learning: Vec<String>,
    /// `federated`, `poisoning`: the student that later periods improve.
    #[arg(long, required_if_eq_any([("protocol", "federated"), ("protocol", "poisoning")]))]
    from: Option<PathBuf>,
    /// `federated`: shoppers of a round, comma-separated.
    #[arg(long, value_delimiter = ',', default_values_t = [1_000, 5_000, 10_000])]
    shoppers: Vec<usize>,
    /// `federated`: ε of all of a shopper's participations (δ = 1e-6), comma-separated.
    #[arg(long, value_delimiter = ',', default_values_t = [4.0, 8.0])]
    epsilon: Vec<f64>,
    /// `federated`: only every so many sessions are tested.
    #[arg(long, default_value_t = 1)]
    stride: usize,
    /// `federated`: most periods that are learned from (0: all).
    #[arg(long, default_value_t = 0)]
    periods: usize,
    /// `federated`: leave out the centrally trained trend, which costs more than all else together.
    #[arg(long)]
    skip_central_trend: bool,
    /// `federated`: students that were trained centrally, one to each learned period, comma-separated: what all
    /// clicks would have made.
    #[arg(long, value_delimiter = ',')]
    central: Vec<PathBuf>,
    /// A smoke run: the first three periods, a small network, one seed.
    #[arg(long)]
    quick: bool,
}

impl BenchmarkArgs {
    pub(crate) fn run(&self, progress: &dyn Progress) -> Result<(serde_json::Value, String)> {
        let data = match (&self.data, &self.input) {
            (Some(data), _) => data.clone(),
            (None, input) => {
                let data = self.out.join("data");
                if !data.join("dataset.json").exists() {
                    let input = input.clone().unwrap_or_default();
                    let item_attributes = attributes_beside(&input);
                    let mut options =
                        PrepareOptions { item_attributes, ..PrepareOptions::new(&input, &data) };
                    if self.protocol == Protocol::Rsc15 {
                        // The tests are to be those of the publication.
                        options.layout = Some(Layout::Rsc15);
                        options.no_filter("robots,duplicates,bounces,floods")?;
                        options.last_days = (!input.is_dir()).then_some(1);
                    }
                    prepare::run(&options, progress)?;
                }
                data
            }
        };
        let mut train = TrainOptions::default();
        let histories = match self.protocol {
            Protocol::DigineticaPeriods | Protocol::Rsc15 | Protocol::Federated | Protocol::Poisoning => {
                false
            }
            Protocol::StudentSize => Dataset::info(&data)?.periods.len() < 2,
            _ => true,
        };
        if histories {
            // Histories are longer than sessions, and there are fewer of them.
            (train.max_len, train.validation) = (50, 0.0);
            train.seed = self.seeds.first().copied().unwrap_or(1);
            (train.passes, train.dropout) = (12, 0.5);
        }
        if self.quick {
            (train.dim, train.blocks, train.passes) = (32, 1, 2);
        }
        train.passes = self.passes.unwrap_or(train.passes);
        train.dropout = self.dropout.unwrap_or(train.dropout);
        let mut distil = DistillOptions { seed: train.seed, meta: self.meta, ..Default::default() };
        if !histories && Dataset::info(&data)?.items > MANY_ITEMS {
            // A thirtieth of the teacher is the aim; in smaller catalogues the codes hardly weigh.
            distil.subspaces = 12;
        }
        if self.quick {
            (distil.passes, distil.coded_passes, distil.subspaces) = (1, 1, 8);
        }
        distil.subspaces = self.subspaces.first().copied().unwrap_or(distil.subspaces);
        let out = &self.out;
        match self.protocol {
            Protocol::DigineticaPeriods => self.periods(data, train, distil, progress),
            Protocol::Rsc15 => {
                // One training, so a share of it has to do for the reranker.
                train.validation = 0.1;
                self.periods(data, train, distil, progress)
            }
            Protocol::Beauty => {
                let done = leave_one_out::run(&data, out, &train, progress)?;
                Ok((serde_json::to_value(&done)?, done.to_markdown()))
            }
            Protocol::NewShoppers => {
                let tried = if self.quick { 1 } else { new_shoppers::TRIED.len() };
                let done = new_shoppers::run(&data, out, &train, &distil, tried, &self.learning, progress)?;
                Ok((serde_json::to_value(&done)?, done.to_markdown()))
            }
            Protocol::ColdStart => {
                let done = cold_start::run(&data, out, &train, &distil, progress)?;
                Ok((serde_json::to_value(&done)?, done.to_markdown()))
            }
            Protocol::Federated | Protocol::Poisoning => {
                let options = federated::FederatedOptions {
                    data,
                    student: self.from.clone().unwrap_or_default(),
                    out: out.clone(),
                    shoppers: self.shoppers.clone(),
                    epsilons: self.epsilon.clone(),
                    stride: self.stride,
                    periods: self.periods,
                    central_trend: !self.skip_central_trend,
                    central: self.central.clone(),
                    seed: train.seed,
                };
                if self.protocol == Protocol::Poisoning {
                    let done = federated::poisoning::run(&options, progress)?;
                    return Ok((serde_json::to_value(&done)?, done.to_markdown()));
                }
                let done = federated::run(&options, progress)?;
                Ok((serde_json::to_value(&done)?, done.to_markdown()))
            }
            Protocol::StudentSize => {
                let sizes = match &self.subspaces[..] {
                    [] => &[4, 8, 12, 16, 24, 32, 48],
                    asked => asked,
                };
                let done = student_size::run(&data, out, &train, &distil, sizes, progress)?;
                Ok((serde_json::to_value(&done)?, done.to_markdown()))
            }
        }
    }

    fn periods(
        &self,
        data: PathBuf,
        train: TrainOptions,
        distil: DistillOptions,
        progress: &dyn Progress,
    ) -> Result<(serde_json::Value, String)> {
        let mut strategies = self.strategies.clone();
        if strategies.is_empty() {
            strategies = match self.protocol {
                // With one training there is nothing to update.
                Protocol::Rsc15 => vec![Strategy::Combined],
                _ => Strategy::ALL.to_vec(),
            };
            // What the others are compared with comes first.
            strategies.sort_by_key(|&s| s != Strategy::Combined);
        }
        let mut seeds = self.seeds.clone();
        let mut passes = 3;
        let (mut last, mut stride) = (None, 1);
        if self.quick {
            passes = 1;
            seeds.truncate(1);
            last = Dataset::info(&data)?.periods.get(2).map(|p| p.period);
            stride = 4;
        }
        let joint = self.joint.clone().unwrap_or_else(|| match self.protocol {
            Protocol::Rsc15 => vec![],
            _ if self.quick => vec![2],
            _ => vec![4, 8, 12, 16],
        });
        let last_period = Dataset::info(&data)?.periods.last().map_or(0, |p| p.period);
        let students = self.student.clone().unwrap_or_else(|| vec![last.unwrap_or(last_period)]);
        let one = seeds[..seeds.len().min(1)].to_vec();
        let options = BenchmarkOptions {
            data,
            out: self.out.clone(),
            strategies: strategies
                .into_iter()
                .map(|s| (s, if s == Strategy::Combined { seeds.clone() } else { one.clone() }))
                .collect(),
            joint: (joint, one.clone()),
            student: (students, distil),
            train,
            passes,
            stride,
            last,
        };
        let report = benchmark::run(&options, progress)?;
        Ok((serde_json::to_value(&report)?, report.to_markdown()))
    }
}

/// The attributes of `NAME.txt` where they stand beside it as `NAME_item2attributes.json`, packed or not.
fn attributes_beside(input: &Path) -> Option<PathBuf> {
    let name = input.file_name()?.to_str()?;
    let stem = name.trim_end_matches(".gz").trim_end_matches(".txt");
    ["json.gz", "json"]
        .map(|end| input.with_file_name(format!("{stem}_item2attributes.{end}")))
        .into_iter()
        .find(|path| path.is_file())
}
