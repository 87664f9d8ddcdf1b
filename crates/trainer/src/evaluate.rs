//! `onshelf evaluate`: a model and the simple methods beside it, on the same tests in one run.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, ensure};
use onshelf_core::metrics::{Accumulator, Summary, rank_of};
use onshelf_core::neighbour::VsknnScratch;
use onshelf_core::rank::top_k;
use onshelf_model::training::{Batch, TrainSet, exact_batches};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::baselines::Baseline;
use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::progress::Progress;
use crate::stop;
use crate::student::LoadedStudent;
use crate::teacher::LoadedTeacher;

/// Tests scored at once.
const BLOCK: usize = 256;

/// One row of the table.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The method.
    pub method: String,
    /// Its metrics, by tested period.
    pub periods: BTreeMap<u32, Summary>,
    /// Means over the tested periods.
    pub mean: Summary,
}

/// The table of one evaluation.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Table {
    /// Newest period that any method saw.
    pub trained_to: u32,
    /// One row a method.
    pub rows: Vec<Row>,
}

/// Ranks every row's target among the items with a count and adds the result. `scores` is
/// `[targets, items]`; unseen items are ruled out in place.
pub fn rank_rows(scores: &mut [f32], counts: &[u32], targets: &[u32], sum: &mut Accumulator) {
    let n = counts.len() - 1;
    let results: Vec<(Option<usize>, Vec<u32>)> = scores
        .par_chunks_exact_mut(n)
        .zip(targets)
        .map(|(row, &target)| {
            rule_out_unseen(row, counts);
            let shown = top_k(row, 20, |_| true).into_iter().map(|s| s.0).collect();
            (rank_of(row, target), shown)
        })
        .collect();
    for (rank, shown) in results {
        sum.add(rank);
        sum.show(shown);
    }
}

/// Metrics on every position of sessions that a model has not seen, among the items with a count.
/// `score` gives `[rows, items]` for a batch.
pub(crate) fn measure(
    unseen: &TrainSet,
    counts: &[u32],
    max_len: usize,
    mut score: impl FnMut(&Batch) -> Result<Vec<f32>>,
) -> Result<Summary> {
    let mut sum = Accumulator::new();
    for batch in exact_batches(unseen, max_len, BLOCK) {
        let mut scores = score(&batch)?;
        rank_rows(&mut scores, counts, &batch.targets, &mut sum);
    }
    Ok(sum.summary(counts.len() - 1))
}

/// Items that training never saw cannot be ranked by it: neither shown nor counted.
pub fn rule_out_unseen(row: &mut [f32], counts: &[u32]) {
    for (score, &count) in row.iter_mut().zip(&counts[1..]) {
        if count == 0 {
            *score = f32::NEG_INFINITY;
        }
    }
}

/// A method under test: fills `[rows, items]` scores for a batch.
type Method<'a> = (String, Box<dyn FnMut(&Batch) -> Result<Vec<f32>> + 'a>);

/// Evaluates on the sessions of `periods`. All methods saw exactly what the model saw.
///
/// # Errors
/// Where a period was trained on, has no tests, or a device fails; or on Ctrl-C.
pub fn evaluate(
    data: &Dataset,
    corpus: &Corpus,
    trained_to: u32,
    periods: &[u32],
    teacher: Option<&LoadedTeacher>,
    student: Option<&LoadedStudent>,
    progress: &dyn Progress,
) -> Result<Table> {
    let baselines = Baseline::NAMES[..3].iter().map(|&name| {
        let baseline = Baseline::new(name, &corpus.train.log, corpus.items);
        let score = move |batch: &Batch| Ok(simple(batch, corpus.items, &baseline));
        (name.to_owned(), Box::new(score) as Box<dyn FnMut(&Batch) -> Result<Vec<f32>>>)
    });
    let mut methods: Vec<Method<'_>> = baselines.collect();
    if let Some(t) = teacher {
        methods.push((
            "teacher's network".into(),
            Box::new(|batch| Ok(t.teacher.network.scores(batch, &t.teacher.items)?)),
        ));
        methods.push(("teacher".into(), Box::new(|batch| Ok(t.teacher.chances(batch, false)?))));
    }
    if let Some(s) = student {
        methods.push(("student".into(), Box::new(|batch| s.ready.scores(batch))));
    }
    let max_len =
        student.map(|s| s.info.student.max_len).or(teacher.map(|t| t.info.shape.max_len)).unwrap_or(20);
    let mut table = Table { trained_to, rows: Vec::new() };
    let mut tests: Vec<(u32, TrainSet)> = Vec::new();
    for &period in periods {
        ensure!(
            period > trained_to,
            "period {period} was trained on (the model saw periods 0 to {trained_to}); test on later ones"
        );
        let set = corpus.tests(data, data.sessions.in_period(period));
        ensure!(
            set.log.iter().any(|s| s.len() >= 2),
            "period {period} has no session with two known items to test on"
        );
        tests.push((period, set));
    }
    for (name, mut method) in methods {
        let mut row = Row { method: name.clone(), periods: BTreeMap::new(), mean: Summary::default() };
        for (period, set) in &tests {
            let total: usize = set.log.iter().map(|s| s.len() - 1).sum();
            progress.start(&format!("{name}, period {period}"), Some(total as u64));
            let mut sum = Accumulator::new();
            for batch in exact_batches(set, max_len, BLOCK) {
                if stop::asked() {
                    return Err(stop::Stopped.into());
                }
                let mut scores = method(&batch)?;
                rank_rows(&mut scores, &corpus.counts, &batch.targets, &mut sum);
                progress.advance(batch.rows.len() as u64);
            }
            let s = sum.summary(corpus.items);
            progress.finish(&format!(
                "{name:<18} period {period}: R@20 {:.2} MRR@20 {:.2} ({} tests)",
                s.recall_20 * 100.0,
                s.mrr_20 * 100.0,
                s.tests
            ));
            row.periods.insert(*period, s);
        }
        row.mean = mean(row.periods.values());
        table.rows.push(row);
    }
    Ok(table)
}

pub(crate) fn simple(batch: &Batch, items: usize, baseline: &Baseline) -> Vec<f32> {
    let mut scores = vec![0.0; batch.rows.len() * items];
    scores
        .par_chunks_exact_mut(items)
        .zip(&batch.rows)
        .for_each_init(VsknnScratch::default, |scratch, (row, &at)| {
            baseline.score(batch.prefix(at), scratch, row)
        });
    scores
}

/// Unweighted mean over periods, as the protocol asks; tests are added up.
pub(crate) fn mean<'a>(summaries: impl IntoIterator<Item = &'a Summary>) -> Summary {
    let mut out = Summary::default();
    let mut n = 0.0;
    for s in summaries {
        n += 1.0;
        out.tests += s.tests;
        out.recall_20 += s.recall_20;
        out.mrr_20 += s.mrr_20;
        out.ndcg_20 += s.ndcg_20;
        out.hr_5 += s.hr_5;
        out.ndcg_5 += s.ndcg_5;
        out.hr_10 += s.hr_10;
        out.ndcg_10 += s.ndcg_10;
        out.coverage_20 += s.coverage_20;
    }
    let n = f64::max(n, 1.0);
    for value in [
        &mut out.recall_20,
        &mut out.mrr_20,
        &mut out.ndcg_20,
        &mut out.hr_5,
        &mut out.ndcg_5,
        &mut out.hr_10,
        &mut out.ndcg_10,
        &mut out.coverage_20,
    ] {
        *value /= n;
    }
    out
}

impl Table {
    /// The table as text, in percent.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out =
            format!("trained on periods 0 to {}; all methods saw the same sessions\n", self.trained_to);
        out.push_str(
            "method              period    tests   R@20  MRR@20  NDCG@20   HR@5  HR@10  NDCG@10  coverage\n",
        );
        for row in &self.rows {
            let mut line = |period: &str, s: &Summary| {
                let p = |x: f64| x * 100.0;
                out.push_str(&format!(
                    "{:<19} {period:>6} {:>8} {:>6.2} {:>7.2} {:>8.2} {:>6.2} {:>6.2} {:>8.2} {:>9.2}\n",
                    row.method,
                    s.tests,
                    p(s.recall_20),
                    p(s.mrr_20),
                    p(s.ndcg_20),
                    p(s.hr_5),
                    p(s.hr_10),
                    p(s.ndcg_10),
                    p(s.coverage_20)
                ));
            };
            for (period, s) in &row.periods {
                line(&period.to_string(), s);
            }
            if row.periods.len() > 1 {
                line("mean", &row.mean);
            }
        }
        out
    }

    /// The row of a method.
    #[must_use]
    pub fn row(&self, method: &str) -> Option<&Row> {
        self.rows.iter().find(|r| r.method == method)
    }

    /// Writes the table as JSON.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        crate::files::write_json(path, self)
    }
}
