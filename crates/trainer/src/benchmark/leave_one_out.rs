//! Leave-one-out: each user's last item is the test, the one before it the validation. All items are
//! ranked, those of the user's history are masked (SASRec, Kang & McAuley, ICDM 2018).

use std::path::Path;

use anyhow::{Result, ensure};
use onshelf_core::metrics::{Accumulator, Summary, rank_of};
use onshelf_core::neighbour::{SessionLog, VsknnScratch};
use onshelf_model::training::{Batch, Network, Reranker, Teacher, TrainSet, exact_batches};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::baselines::Baseline;
use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::device::device;
use crate::files::{write_atomic, write_json};
use crate::progress::Progress;
use crate::teacher::{self, TrainOptions, dataset_hash, float_items};

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The method.
    pub method: String,
    /// On each user's last item but one, which rates and the reranker were chosen on.
    pub validation: Summary,
    /// On each user's last item.
    pub test: Summary,
}

/// What the protocol says.
#[derive(Clone, Debug, Serialize)]
pub struct LeaveOneOut {
    /// How the network was trained.
    pub train: TrainOptions,
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// The rows.
    pub lines: Vec<Line>,
    /// Processor seconds.
    pub cpu_seconds: f64,
}

impl LeaveOneOut {
    /// The table as Markdown, in percent.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = format!(
            "Leave-one-out, full ranking, seen items masked; {} tests, seed {}, data set {}. {}.\n\n\
             | method | HR@5 | NDCG@5 | HR@10 | NDCG@10 | validation HR@10 |\n| --- | --- | --- | --- | --- | --- |\n",
            self.lines.first().map_or(0, |l| l.test.tests),
            self.train.seed,
            &self.dataset[..12.min(self.dataset.len())],
            super::machine::describe()
        );
        for l in &self.lines {
            let t = &l.test;
            let p = |x: f64| x * 100.0;
            out.push_str(&format!(
                "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |\n",
                l.method,
                p(t.hr_5),
                p(t.ndcg_5),
                p(t.hr_10),
                p(t.ndcg_10),
                p(l.validation.hr_10)
            ));
        }
        out
    }
}

/// Users with what they clicked before the item to predict.
struct Cases {
    histories: Vec<Vec<u32>>,
    targets: Vec<u32>,
    batches: Vec<Batch>,
}

impl Cases {
    /// `skip` items are left out at the end of every history; the one before them is the target.
    fn new(users: &SessionLog, skip: usize, max_len: usize) -> Self {
        let mut out = Self { histories: Vec::new(), targets: Vec::new(), batches: Vec::new() };
        let mut set = TrainSet::default();
        for all in users.iter() {
            let seen = all.len().saturating_sub(skip);
            if seen < 2 {
                continue;
            }
            out.histories.push(all[..seen - 1].to_vec());
            out.targets.push(all[seen - 1]);
            let tail = &all[seen.saturating_sub(max_len + 1)..seen];
            set.push_items(tail);
        }
        out.batches = exact_batches(&set, max_len, 256);
        out.batches.iter_mut().for_each(Batch::keep_last);
        out
    }

    /// Metrics of scores `[rows, items]` by batch.
    fn judge(&self, items: usize, mut score: impl FnMut(&Batch) -> Result<Vec<f32>>) -> Result<Summary> {
        let mut sum = Accumulator::new();
        for batch in &self.batches {
            let mut scores = score(batch)?;
            let ranks: Vec<Option<usize>> = scores
                .par_chunks_exact_mut(items)
                .zip(&batch.sessions)
                .map(|(row, &user)| {
                    for &i in &self.histories[user as usize] {
                        row[i as usize - 1] = f32::NEG_INFINITY;
                    }
                    rank_of(row, self.targets[user as usize])
                })
                .collect();
            ranks.into_iter().for_each(|r| sum.add(r));
        }
        Ok(sum.summary(items))
    }

    fn judge_simple(&self, items: usize, baseline: &Baseline) -> Result<Summary> {
        self.judge(items, |batch| {
            let mut scores = vec![0.0; batch.rows.len() * items];
            scores
                .par_chunks_exact_mut(items)
                .zip(&batch.sessions)
                .for_each_init(VsknnScratch::default, |scratch, (row, &user)| {
                    baseline.score(&self.histories[user as usize], scratch, row)
                });
            Ok(scores)
        })
    }
}

/// Histories without their last `skip` items.
fn shortened(users: &SessionLog, skip: usize) -> TrainSet {
    let mut set = TrainSet::default();
    for all in users.iter() {
        let kept = &all[..all.len().saturating_sub(skip)];
        if !kept.is_empty() {
            set.push_items(kept);
        }
    }
    set
}

/// Runs the protocol on a data set whose sessions are users' histories.
///
/// # Errors
/// Where the data set has no user with three items, or a device fails; or on Ctrl-C.
pub fn run(
    data_dir: &Path,
    out: &Path,
    train: &TrainOptions,
    progress: &dyn Progress,
) -> Result<LeaveOneOut> {
    let cpu = cpu_time::ProcessTime::now();
    let data = Dataset::load(data_dir)?;
    let items = data.catalogue.len();
    let mut users = SessionLog::new();
    (0..data.sessions.len())
        .map(|s| data.sessions.session(s))
        .filter(|s| s.len() >= 3)
        .for_each(|s| users.push(s));
    ensure!(
        !users.is_empty(),
        "no user has three items; leave-one-out needs a training, a validation and a test item"
    );
    let checks = Cases::new(&users, 1, train.max_len);
    let tests = Cases::new(&users, 0, train.max_len);
    let mut lines = Vec::new();

    // What is known when a user's last item but one, or last item, is to be predicted.
    let (past, present) = (shortened(&users, 2), shortened(&users, 1));
    let simple = |log: &SessionLog, cases: &Cases, name: &str| {
        cases.judge_simple(items, &Baseline::new(name, log, items))
    };
    let mut add = |method: &str, validation: Summary, test: Summary| {
        let line = Line { method: method.into(), validation, test };
        told(&line, progress);
        lines.push(line);
    };
    for name in Baseline::NAMES {
        add(name, simple(&past.log, &checks, name)?, simple(&present.log, &tests, name)?);
    }

    let corpus = Corpus::of(past, items);
    let state = teacher::fit(&data, &corpus, train, dataset_hash(data_dir)?, None, progress)?;
    let device = device();
    let ready = |log: &SessionLog| -> Result<Teacher> {
        let network = Network::new(&state.weights, &state.info.shape, items, &device)?;
        Ok(Teacher::new(network, float_items(&state.weights, train.dim)?, log))
    };
    let mut teacher = ready(&corpus.train.log)?;
    let network = |t: &Teacher, cases: &Cases| cases.judge(items, |b| Ok(t.network.scores(b, &t.items)?));
    add("network", network(&teacher, &checks)?, network(&teacher, &tests)?);
    let examples = teacher.examples(&checks.batches)?;
    let mut rng = ChaCha8Rng::seed_from_u64(train.seed);
    let (reranker, fit) = Reranker::fit(None, &examples, &device, &mut rng)?;
    progress.finish(&format!("reranker: held-back loss {:.4} before, {:.4} after", fit.before, fit.after));
    let whole = |t: &Teacher, cases: &Cases| cases.judge(items, |b| Ok(t.chances(b, false)?));
    let mut informed = ready(&present.log)?;
    add("network and neighbours", whole(&teacher, &checks)?, whole(&informed, &tests)?);
    teacher.reranker.clone_from(&reranker);
    informed.reranker = reranker;
    add("teacher", whole(&teacher, &checks)?, whole(&informed, &tests)?);

    let done = LeaveOneOut {
        train: train.clone(),
        dataset: state.info.dataset,
        lines,
        cpu_seconds: cpu.elapsed().as_secs_f64(),
    };
    write_json(&out.join("report.json"), &done)?;
    write_atomic(&out.join("report.md"), done.to_markdown().as_bytes())?;
    Ok(done)
}

fn told(line: &Line, progress: &dyn Progress) {
    progress.finish(&format!(
        "{:<24} HR@5 {:.2} NDCG@5 {:.2} HR@10 {:.2} NDCG@10 {:.2}",
        line.method,
        line.test.hr_5 * 100.0,
        line.test.ndcg_5 * 100.0,
        line.test.hr_10 * 100.0,
        line.test.ndcg_10 * 100.0
    ));
}
