//! Cold start: a tenth of the items (by a fixed hash) is taken out of every training session. New
//! shoppers' clicks on them are predicted from the clicks before, among all items: only their attributes
//! can say where they stand.

use std::path::Path;

use anyhow::{Result, ensure};
use onshelf_core::metrics::{Accumulator, Summary, rank_of};
use onshelf_core::rank::top_k;
use onshelf_model::training::{Batch, Network, TrainSet, exact_batches};
use rayon::prelude::*;
use serde::Serialize;

use super::new_shoppers::{Shipped, split};
use crate::attributes::place_unclicked;
use crate::baselines::Baseline;
use crate::dataset::Dataset;
use crate::device::device;
use crate::evaluate::simple;
use crate::files::{write_atomic, write_json};
use crate::progress::Progress;
use crate::student::{DistillOptions, ReadyStudent};
use crate::teacher::{self, TrainOptions, float_items};

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The method.
    pub method: String,
    /// Among all items.
    pub all: Summary,
    /// Among the held-out items alone.
    pub cold: Summary,
    /// Share of the first 10 places that held-out items take (0-1).
    pub shown: f64,
}

/// What the protocol says.
#[derive(Clone, Debug, Serialize)]
pub struct ColdStart {
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Items in all, held out, and of these placed by their attributes.
    pub items: [usize; 3],
    /// HR@10 of a random order: among all items, and among the held-out ones.
    pub chance: [f64; 2],
    /// The rows.
    pub lines: Vec<Line>,
}

fn is_cold(item: u32) -> bool {
    (item.wrapping_mul(0x85eb_ca6b) >> 16).is_multiple_of(10)
}

/// Sessions without the held-out items.
fn warm(set: &TrainSet) -> TrainSet {
    let mut out = TrainSet::default();
    for session in set.log.iter() {
        let kept: Vec<u32> = session.iter().copied().filter(|&i| !is_cold(i)).collect();
        if kept.len() > 1 {
            out.push_items(&kept);
        }
    }
    out
}

/// Clicks on held-out items after at least one other click on a known one.
struct Cases {
    batches: Vec<Batch>,
    /// By session of the batches: everything clicked before.
    seen: Vec<Vec<u32>>,
}

impl Cases {
    fn new(people: &TrainSet, counts: &[u32], max_len: usize) -> Self {
        let mut out = Self { batches: Vec::new(), seen: Vec::new() };
        let mut set = TrainSet::default();
        for session in people.log.iter() {
            for (at, &item) in session.iter().enumerate() {
                let mut before: Vec<u32> =
                    session[..at].iter().copied().filter(|&i| counts[i as usize] > 0).collect();
                if is_cold(item) && !before.is_empty() {
                    out.seen.push(session[..at].to_vec());
                    before.drain(..before.len().saturating_sub(max_len));
                    before.push(item);
                    set.push_items(&before);
                }
            }
        }
        out.batches = exact_batches(&set, max_len, 256);
        out.batches.iter_mut().for_each(Batch::keep_last);
        out
    }

    fn judge(
        &self,
        method: &str,
        items: usize,
        mut score: impl FnMut(&Batch) -> Result<Vec<f32>>,
    ) -> Result<Line> {
        let (mut all, mut cold, mut shown, mut places) = (Accumulator::new(), Accumulator::new(), 0, 0);
        for batch in &self.batches {
            let mut scores = score(batch)?;
            let found: Vec<_> = scores
                .par_chunks_exact_mut(items)
                .zip(batch.targets.par_iter().zip(&batch.sessions))
                .map(|(row, (&target, &session))| {
                    for &i in self.seen[session as usize].iter().filter(|&&i| i != target) {
                        row[i as usize - 1] = f32::NEG_INFINITY;
                    }
                    let first = top_k(row, 10, |_| true);
                    let among_all = rank_of(row, target);
                    let warm = row.iter_mut().zip(1..).filter(|(_, item)| !is_cold(*item));
                    warm.for_each(|(s, _)| *s = f32::NEG_INFINITY);
                    let cold = first.iter().filter(|f| is_cold(f.0)).count();
                    (among_all, rank_of(row, target), cold, first.len())
                })
                .collect();
            for (among_all, among_cold, here, of) in found {
                all.add(among_all);
                cold.add(among_cold);
                shown += here;
                places += of;
            }
        }
        Ok(Line {
            method: method.into(),
            all: all.summary(items),
            cold: cold.summary(items),
            shown: shown as f64 / places.max(1) as f64,
        })
    }
}

/// Runs the protocol on a data set whose sessions are users' histories and whose items have attributes.
///
/// # Errors
/// Where there is nothing to test or nothing known about items, or a device fails; or on Ctrl-C.
pub fn run(
    data_dir: &Path,
    out: &Path,
    train: &TrainOptions,
    distil: &DistillOptions,
    progress: &dyn Progress,
) -> Result<ColdStart> {
    let data = Dataset::load(data_dir)?;
    let hash = teacher::dataset_hash(data_dir)?;
    let [teach, decide, test] = split(&data);
    let (shipped, loaded) =
        Shipped::make(&data, &hash, [warm(&teach), warm(&decide)], train, distil, progress)?;
    let counts = &shipped.counts;
    let items = data.catalogue.len();
    let cases = Cases::new(&test, counts, train.max_len);
    ensure!(!cases.seen.is_empty(), "no new shopper clicked a held-out item; cold start needs more users");
    let held = (1..=items as u32).filter(|&i| is_cold(i)).count();

    let mut table = float_items(&loaded.weights, train.dim)?;
    let placed = place_unclicked(&data.catalogue, counts, &mut table.vectors, &mut table.biases);
    ensure!(
        !placed.is_empty(),
        "nothing is known about the items: prepare the data set with their attributes (--items or --item-attributes)"
    );
    let weights = Network::weights(&loaded.weights, &table.vectors, &table.biases);
    let network = Network::new(&weights, &loaded.info.shape, items, &device())?;
    let student = ReadyStudent::new(&shipped.file, &shipped.about.shape)?;
    let reachable: Vec<bool> = (1..=items as u32).map(|i| shipped.catalogue.is_trained(i)).collect();
    let only_reachable = |mut scores: Vec<f32>| {
        for row in scores.chunks_exact_mut(items) {
            row.iter_mut().zip(&reachable).filter(|(_, r)| !**r).for_each(|(s, _)| *s = f32::NEG_INFINITY);
        }
        scores
    };
    let popularity = Baseline::new("popularity", &loaded.corpus.train.log, items);
    let mut lines = Vec::new();
    let mut add = |line: Line| {
        progress.finish(&format!(
            "{}: HR@10 {:.2} among all items, {:.2} among the held-out ones",
            line.method,
            line.all.hr_10 * 100.0,
            line.cold.hr_10 * 100.0
        ));
        lines.push(line);
    };
    add(cases.judge("popularity", items, |b| Ok(simple(b, items, &popularity)))?);
    add(cases
        .judge("network, placed by attributes", items, |b| Ok(only_reachable(network.scores(b, &table)?)))?);
    add(cases.judge("student, placed by attributes", items, |b| Ok(only_reachable(student.scores(b)?)))?);
    let done = ColdStart {
        dataset: hash,
        seed: train.seed,
        items: [items, held, placed.iter().filter(|&&i| is_cold(i)).count()],
        chance: [10.0 / items as f64, (10.0 / held.max(1) as f64).min(1.0)],
        lines,
    };
    write_json(&out.join("cold-start.json"), &done)?;
    write_atomic(&out.join("cold-start.md"), done.to_markdown().as_bytes())?;
    Ok(done)
}

impl ColdStart {
    /// The table as Markdown, in percent.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let p = |x: f64| x * 100.0;
        let mut out = format!(
            "Cold start: {} of {} items held out of training, {} of them placed by their attributes; {} clicks \
             of new shoppers on them, predicted from the clicks before, seen items masked. A random order has HR@10 \
             {:.2} among all items and {:.2} among the held-out ones. Seed {}, data set {}. {}.\n\n\
             | method | HR@10 | NDCG@10 | HR@10 among held-out items | NDCG@10 | held-out items' share of the first 10 |\n\
             | --- | --- | --- | --- | --- | --- |\n",
            self.items[1],
            self.items[0],
            self.items[2],
            self.lines.first().map_or(0, |l| l.all.tests),
            p(self.chance[0]),
            p(self.chance[1]),
            self.seed,
            &self.dataset[..12.min(self.dataset.len())],
            super::machine::describe()
        );
        for l in &self.lines {
            out.push_str(&format!(
                "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} |\n",
                l.method,
                p(l.all.hr_10),
                p(l.all.ndcg_10),
                p(l.cold.hr_10),
                p(l.cold.ndcg_10),
                p(l.shown)
            ));
        }
        out
    }
}
