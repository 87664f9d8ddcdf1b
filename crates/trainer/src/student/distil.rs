//! How a student learns from a teacher.
//!
//! 1. The teacher ranks the newest positions, and as many of sessions thinned at random: a patient
//!    teacher that is asked the same as its student (Beyer et al., CVPR 2022).
//! 2. A network with full-precision items, which begins as the teacher's, follows these rankings.
//! 3. Its items are product-quantised (Jégou et al., PAMI 2011), frequent ones more exactly.
//! 4. Encoder, centroids and bias levels go on learning while the codes follow the full-precision
//!    vectors; items without a click were placed by their attributes before.
//! 5. Tensors are packed, and what was packed is judged.
//! 6. Where asked, the adapter's start is meta-learned ([`super::meta`]).
//! 7. The Fisher information of the adapter's parameters is added ([`super::fisher`]).

use anyhow::{Context, Result, ensure};
use onshelf_core::catalogue::Catalogue;
use onshelf_core::metrics::Summary;
use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;
use onshelf_model::student::{Adapter, Compute, Student};
use onshelf_model::training::{
    Candidates, CodedItems, FloatItems, ItemSource, Network, SoftTargets, Stepper, Teacher, TrainSet, batches,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::quantise::quantise;
use super::{ReadyStudent, fisher, meta, packing};
use crate::attributes::place_unclicked;
use crate::corpus::{Corpus, append_sessions, part_of};
use crate::device::device;
use crate::evaluate::measure;
use crate::progress::Progress;
use crate::stop;
use crate::teacher::{Lessons, Rates, encoder_part, float_items, halves, run_pass, validate_network};

/// Share of the clicks that a thinned session keeps.
const KEPT: f64 = 0.7;
/// The teacher's best items that are certain to be a step's candidates.
const CERTAIN: usize = 20;
/// How much faster full-precision vectors learn than the centroids that they choose.
const FOLLOW: f32 = 2.0;

/// Everything that decides the result of distilling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistillOptions {
    /// Seed of everything random.
    pub seed: u64,
    /// Subspaces of the item table: its bytes an item, less one.
    pub subspaces: usize,
    /// Rank of the shared adapter.
    pub adapter_rank: usize,
    /// Passes with full-precision items.
    pub passes: usize,
    /// Passes with quantised items.
    pub coded_passes: usize,
    /// The newest positions that the teacher is asked about.
    pub taught: usize,
    /// How often it is asked about thinned sessions besides.
    pub thinned: usize,
    /// The teacher's items kept at each position.
    pub k: usize,
    /// Share of the loss that follows the teacher rather than the click.
    pub distil: f32,
    /// Peak learning rate of the encoder, with full-precision and with quantised items.
    pub rates: [f32; 2],
    /// Peak learning rate of item vectors; of centroids and bias levels.
    pub item_rates: [f32; 2],
    /// Dropout on item vectors.
    pub dropout: f32,
    /// Predicted positions of a step; 0: a two-hundredth of all, from 128 to 1,024.
    pub positions: usize,
    /// Sampled negatives of a step.
    pub negatives: usize,
    /// Sessions that the adapter's start is meta-learned from (0: it starts at nothing).
    #[serde(default, skip_serializing_if = "none")]
    pub meta: usize,
    /// Sessions that the Fisher information of the adapter is estimated on (0: it is not shipped).
    #[serde(default, skip_serializing_if = "none")]
    pub fisher: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn none(count: &usize) -> bool {
    *count == 0
}

impl Default for DistillOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            subspaces: 24,
            adapter_rank: 16,
            passes: 8,
            coded_passes: 5,
            taught: 1_000_000,
            thinned: 0,
            k: 30,
            distil: 1.0,
            rates: [1e-3, 5e-4],
            item_rates: [2e-2, 2e-3],
            dropout: 0.1,
            positions: 0,
            negatives: 1024,
            meta: 0,
            fisher: 500,
        }
    }
}

/// Whom a student learns from.
pub struct Source<'a> {
    /// Network, neighbours and reranker.
    pub teacher: &'a Teacher,
    /// The network's tensors.
    pub weights: &'a Weights,
    /// Its shape.
    pub shape: &'a StudentShape,
    /// What the teacher learned from, and sessions to judge on.
    pub corpus: &'a Corpus,
    /// What is known about the items.
    pub catalogue: &'a Catalogue,
}

/// A finished student.
pub struct Distilled {
    /// Its shape.
    pub shape: StudentShape,
    /// Its tensors, packed as in its file.
    pub file: Vec<u8>,
    /// Items that nobody clicked and that stand where their attributes put them.
    pub placed: Vec<u32>,
    /// Metrics with full-precision items.
    pub full: Summary,
    /// Metrics right after quantisation.
    pub quantised: Summary,
    /// Metrics of what is in the file.
    pub finished: Summary,
}

impl Distilled {
    /// Metrics of what is in the file on sessions that it has not seen, among the items with a count.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn measure(&self, unseen: &TrainSet, counts: &[u32]) -> Result<Summary> {
        measure_file(&self.file, &self.shape, unseen, counts)
    }
}

fn measure_file(file: &[u8], shape: &StudentShape, unseen: &TrainSet, counts: &[u32]) -> Result<Summary> {
    let student = ReadyStudent::new(file, shape)?;
    measure(unseen, counts, shape.max_len, |batch| student.scores(batch))
}

/// Positions to learn from, with the teacher's opinion.
struct Taught {
    set: TrainSet,
    soft: SoftTargets,
}

/// Distils a student in memory.
///
/// # Errors
/// Where options do not fit the teacher, a loss is not finite, or on Ctrl-C.
pub fn fit(source: &Source<'_>, options: &DistillOptions, progress: &dyn Progress) -> Result<Distilled> {
    let mut all = fit_all(source, std::slice::from_ref(options), progress)?;
    all.pop().context("one student")
}

/// Distils students that differ in their subspaces alone: the first's options hold for everything else.
///
/// # Errors
/// As [`fit`].
pub fn fit_all(
    source: &Source<'_>,
    all: &[DistillOptions],
    progress: &dyn Progress,
) -> Result<Vec<Distilled>> {
    let shapes = all.iter().map(|o| shape_of(source.shape, o)).collect::<Result<Vec<_>>>()?;
    let options = all.first().context("no student was asked for")?;
    let (corpus, max_len) = (source.corpus, source.shape.max_len);
    let judge = halves(&corpus.validation).1;
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let taught = ask(source, options, &mut rng, progress)?;
    let lessons = Lessons {
        set: &taught.set,
        candidates: &Candidates::new(&corpus.counts, 0.5, options.negatives)
            .with_targets(&taught.set.log.counts(corpus.items)),
        soft: Some(&taught.soft),
    };
    let rates = |stage: usize, passes: usize| Rates {
        passes,
        rate: options.rates[stage],
        item_rate: options.item_rates[stage],
        decay: 0.01,
        dropout: options.dropout,
        distil: options.distil,
        certain: CERTAIN,
        positions: options.positions,
        max_len,
    };
    let device = device();
    let mut stepper = Stepper::new(encoder_part(source.weights), source.shape.clone(), &device);

    let mut items = float_items(source.weights, source.shape.dim)?;
    learn("distil", &lessons, &rates(0, options.passes), &mut stepper, &mut items, &mut rng, progress)?;
    let weights = Network::weights(&stepper.weights, &items.vectors, &items.biases);
    let network = Network::new(&weights, source.shape, corpus.items, &device)?;
    let full = validate_network(&network, &items, &corpus.counts, &judge, max_len)?;
    progress.finish(&format!("student with full-precision items: {}", brief(&full)));
    let placed = place_unclicked(source.catalogue, &corpus.counts, &mut items.vectors, &mut items.biases);

    let mut done = Vec::new();
    for shape in shapes {
        let mut rng = ChaCha8Rng::from_rng(&mut rng);
        let mut stepper = Stepper::new(stepper.weights.clone(), shape.clone(), &device);
        let table = quantise(&items, &corpus.counts, shape.subspaces, &mut rng, progress)?;
        let adapter = Adapter::new(shape.dim, shape.adapter_rank, &mut rng);
        let own = FloatItems::from_parts(shape.dim, items.vectors.clone(), items.biases.clone());
        let mut coded = CodedItems::new(&table).following(own, FOLLOW);
        let quantised = packed(&stepper, &coded, &adapter, &shape, corpus, &judge)?.1;
        progress.finish(&format!("quantised, {} subspaces: {}", shape.subspaces, brief(&quantised)));
        let passes = rates(1, options.coded_passes);
        learn("distil quantised", &lessons, &passes, &mut stepper, &mut coded, &mut rng, progress)?;
        let (mut file, mut finished) = packed(&stepper, &coded, &adapter, &shape, corpus, &judge)?;
        progress.finish(&format!("student, {} subspaces: {}", shape.subspaces, brief(&finished)));
        if options.meta > 0 {
            let student = Student::new(&Weights::from_safetensors(&file)?, &shape, &Compute::Cpu)?;
            let decide = halves(&corpus.validation).0;
            let start = meta::start(student, &corpus.train, &decide, options.meta, options.seed, progress)?;
            let [before, after] = start.adapted;
            progress.finish(&format!(
                "the adapter's start, {}: after a session {}, without {}",
                if start.kept { "kept" } else { "not kept" },
                brief(&after),
                brief(&before)
            ));
            (file, finished) = packed(&stepper, &coded, &start.adapter, &shape, corpus, &judge)?;
        }
        if options.fisher > 0 {
            file = fisher::added(&file, &shape, &corpus.train, options.fisher, options.seed, progress)?;
        }
        done.push(Distilled { shape, file, placed: placed.clone(), full, quantised, finished });
    }
    Ok(done)
}

/// The student's shape, checked against the teacher's.
fn shape_of(teacher: &StudentShape, options: &DistillOptions) -> Result<StudentShape> {
    let shape =
        StudentShape { subspaces: options.subspaces, adapter_rank: options.adapter_rank, ..teacher.clone() };
    ensure!(
        shape.subspaces > 0 && shape.dim.is_multiple_of(shape.subspaces),
        "--subspaces {} does not divide the teacher's {} dimensions",
        shape.subspaces,
        shape.dim
    );
    ensure!(
        shape.adapter_rank >= 1 && 2 * shape.adapter_rank.saturating_mul(shape.dim) <= 4096,
        "--adapter-rank {} with {} dimensions gives an adapter of {} parameters; it must have 1 to 4,096",
        shape.adapter_rank,
        shape.dim,
        2 * shape.adapter_rank.saturating_mul(shape.dim)
    );
    Ok(shape)
}

fn learn(
    what: &str,
    lessons: &Lessons<'_>,
    rates: &Rates,
    stepper: &mut Stepper,
    items: &mut impl ItemSource,
    rng: &mut ChaCha8Rng,
    progress: &dyn Progress,
) -> Result<()> {
    for pass in 0..rates.passes {
        let loss = run_pass(what, pass, lessons, rates, stepper, items, rng, progress)?;
        progress.finish(&format!("{what} pass {}: loss {loss:.4}", pass + 1));
    }
    Ok(())
}

/// The file of a student as it is now, and metrics of what is in it.
fn packed(
    stepper: &Stepper,
    items: &CodedItems,
    adapter: &Adapter,
    shape: &StudentShape,
    corpus: &Corpus,
    judge: &TrainSet,
) -> Result<(Vec<u8>, Summary)> {
    let mut weights = stepper.weights.clone();
    let coded = items.weights();
    weights.floats.extend(coded.floats);
    weights.bytes.extend(coded.bytes);
    adapter.write(&mut weights);
    let file = weights.to_packed(packing)?;
    let metrics = measure_file(&file, shape, judge, &corpus.counts)?;
    Ok((file, metrics))
}

fn brief(s: &Summary) -> String {
    format!("validation R@20 {:.2} MRR@20 {:.2}", s.recall_20 * 100.0, s.mrr_20 * 100.0)
}

/// The teacher's ranking at the newest positions, and of thinned sessions.
fn ask(
    source: &Source<'_>,
    options: &DistillOptions,
    rng: &mut ChaCha8Rng,
    progress: &dyn Progress,
) -> Result<Taught> {
    let all = &source.corpus.train;
    let first = first_taught(all, options.taught);
    let newest = part_of(all, |s| s >= first);
    let mut out = Taught { set: TrainSet::default(), soft: SoftTargets::new(options.k, 0) };
    for round in 0..=options.thinned {
        let (asked, what) = match round {
            0 => (newest.clone(), "ask the teacher"),
            _ => (newest.thinned(KEPT, rng), "ask the teacher about thinned sessions"),
        };
        let mut work = batches(&asked, source.shape.max_len, 256, rng, |_| true);
        // A session's number in the teacher's log, so that it does not vote for itself.
        work.iter_mut().flat_map(|b| &mut b.sessions).for_each(|s| *s += first as u32);
        let total: usize = work.iter().map(|b| b.rows.len()).sum();
        progress.start(what, Some(total as u64));
        let soft = source.teacher.soft_targets(&work, asked.log.clicks(), options.k, |n| {
            progress.advance(n as u64);
            !stop::asked()
        })?;
        if stop::asked() {
            return Err(stop::Stopped.into());
        }
        progress.finish(&format!("the teacher ranked {total} positions"));
        append_sessions(&mut out.set, &asked);
        out.soft.append(&soft);
    }
    Ok(out)
}

/// The oldest session that is taught.
fn first_taught(set: &TrainSet, positions: usize) -> usize {
    let mut left = positions;
    let mut first = set.log.len();
    while first > 0 && left > 0 {
        first -= 1;
        left = left.saturating_sub(set.log.session(first).len().saturating_sub(1));
    }
    first
}
