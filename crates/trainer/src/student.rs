//! `onshelf distill`: a student from a teacher, its folder, and scoring with it.
//!
//! | file | content |
//! | --- | --- |
//! | `student.json` | [`StudentInfo`] |
//! | `student.safetensors` | encoder, adapter, item codes, centroids and bias levels |

use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::metrics::Summary;
use onshelf_core::rank::{CENTROIDS, ItemTable};
use onshelf_core::version::{FineTuneConfig, StudentShape, sha256_hex};
use onshelf_core::weights::Weights;
use onshelf_model::Device;
use onshelf_model::encoder::{Encoder, REPEAT, boost_repeats};
use onshelf_model::quantise::kmeans;
use onshelf_model::student::Adapter;
use onshelf_model::training::{
    Batch, Candidates, CodedItems, SoftTargets, Stepper, batches, session_vectors,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::evaluate::measure;
use crate::files::{read_versioned, read_weights, write_atomic, write_json};
use crate::progress::Progress;
use crate::stop;
use crate::teacher::{self, Lessons, LoadedTeacher, Rates, encoder_part, run_pass};

const FORMAT: u32 = 1;
const INFO: &str = "student.json";
const WEIGHTS: &str = "student.safetensors";

/// Everything that decides the result of distilling.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistillOptions {
    /// Seed of everything random.
    pub seed: u64,
    /// Subspaces of the item table: its bytes an item, less one.
    pub subspaces: usize,
    /// Rank of the shared adapter.
    pub adapter_rank: usize,
    /// Passes over the taught positions.
    pub passes: usize,
    /// The newest positions that the teacher is asked about.
    pub taught: usize,
    /// The teacher's items kept at each position.
    pub k: usize,
    /// Share of the loss that follows the teacher rather than the click.
    pub distil: f32,
    /// Share of the network in the teacher's opinion while it teaches.
    pub network_share: f32,
    /// Peak learning rate of the encoder.
    pub rate: f32,
    /// Peak learning rate of centroids and bias levels.
    pub item_rate: f32,
    /// Predicted positions of a step; 0: a two-hundredth of all, from 128 to 1,024.
    pub positions: usize,
    /// Sampled negatives of a step.
    pub negatives: usize,
}

/// What a student says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StudentInfo {
    /// Format of this file.
    pub format: u32,
    /// How it was distilled.
    pub options: DistillOptions,
    /// Newest period its teacher saw.
    pub trained_to: u32,
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// Share of the newest period's sessions that its teacher held out for validation.
    pub held_out: f64,
    /// SHA-256 of the student's tensors.
    pub weights: String,
    /// Its shape.
    pub student: StudentShape,
    /// How devices fine-tune it.
    pub fine_tune: FineTuneConfig,
    /// Metrics on the teacher's validation sessions, right after quantisation.
    pub validation_quantised: Summary,
    /// The same after distillation.
    pub validation: Summary,
    /// Bytes of the student's tensors, and of its teacher's.
    pub bytes: [u64; 2],
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// A student read from its folder, ready to score natively.
pub struct LoadedStudent {
    /// What it says of itself.
    pub info: StudentInfo,
    /// Its tensors.
    pub weights: Weights,
    /// Its items.
    pub table: ItemTable,
    items: CodedItems,
    encoder: Encoder,
    adapter: Adapter,
    repeat: Vec<f32>,
    device: Device,
}

/// Distils a student from the teacher in `teacher_dir` and writes its folder.
///
/// # Errors
/// Where data or folders cannot be used, a loss is not finite, or on Ctrl-C.
pub fn distill(
    data_dir: &Path,
    teacher_dir: &Path,
    out: &Path,
    options: &DistillOptions,
    progress: &dyn Progress,
) -> Result<StudentInfo> {
    let started = std::time::Instant::now();
    let data = Dataset::load(data_dir)?;
    let mut loaded = teacher::load(teacher_dir, data_dir, &data)?;
    loaded.teacher.blend.network = options.network_share;
    let shape = StudentShape {
        subspaces: options.subspaces,
        adapter_rank: options.adapter_rank,
        ..loaded.info.shape.clone()
    };
    ensure!(
        shape.dim.is_multiple_of(shape.subspaces),
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
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut items = CodedItems::new(&quantise(&loaded, &shape, progress, &mut rng)?);
    let adapter = Adapter::new(shape.dim, shape.adapter_rank, &mut rng);
    let encoder_weights = encoder_part(&loaded.weights);
    let device = Device::flex();
    let validation_quantised = validate(&encoder_weights, &items, &shape, &loaded.corpus, &device)?;
    progress.finish(&format!("quantised: {}", brief(&validation_quantised)));

    let soft = ask_teacher(&loaded, options, progress)?;
    let mut stepper = Stepper::new(encoder_weights, shape.clone(), &device);
    let candidates = Candidates::new(&loaded.corpus.counts, 0.5, options.negatives);
    let first = first_taught(&loaded, options.taught);
    let lessons = Lessons { set: &loaded.corpus.train, first, candidates: &candidates, soft: Some(&soft) };
    let rates = Rates {
        passes: options.passes,
        rate: options.rate,
        item_rate: options.item_rate,
        decay: 0.01,
        dropout: 0.1,
        distil: options.distil,
        certain: 6,
        positions: options.positions,
        max_len: shape.max_len,
    };
    for pass in 0..options.passes {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ (0x51_7cc1 * (pass as u64 + 1)));
        run_pass("distil", pass, &lessons, &rates, &mut stepper, &mut items, &mut rng, progress)?;
        let metrics = validate(&stepper.weights, &items, &shape, &loaded.corpus, &device)?;
        progress.finish(&format!("distil pass {}: validation {}", pass + 1, brief(&metrics)));
    }

    let validation = validate(&stepper.weights, &items, &shape, &loaded.corpus, &device)?;
    let mut weights = stepper.weights.clone();
    let coded = items.weights();
    weights.floats.extend(coded.floats);
    weights.bytes.extend(coded.bytes);
    adapter.write(&mut weights);
    let file = weights.to_safetensors()?;
    let info = StudentInfo {
        format: FORMAT,
        options: options.clone(),
        trained_to: loaded.info.options.last_period,
        dataset: loaded.info.dataset.clone(),
        held_out: loaded.info.options.validation,
        weights: sha256_hex(&file),
        fine_tune: FineTuneConfig { learning_rate: 0.01, steps_per_click: 4, negatives: 128, proximal: 0.05 },
        validation_quantised,
        validation,
        bytes: [file.len() as u64, loaded.weights.to_safetensors()?.len() as u64],
        seconds: started.elapsed().as_secs_f64(),
        student: shape,
    };
    write_atomic(&out.join(WEIGHTS), &file)?;
    write_json(&out.join(INFO), &info)?;
    Ok(info)
}

fn brief(s: &Summary) -> String {
    format!("R@20 {:.2} MRR@20 {:.2}", s.recall_20 * 100.0, s.mrr_20 * 100.0)
}

/// Product-quantises the teacher's item vectors; frequent items' errors count more.
fn quantise(
    loaded: &LoadedTeacher,
    shape: &StudentShape,
    progress: &dyn Progress,
    rng: &mut ChaCha8Rng,
) -> Result<ItemTable> {
    let (dim, m) = (shape.dim, shape.subspaces);
    let width = dim / m;
    let n = loaded.corpus.items;
    let vectors = &loaded.weights.floats["items.vectors"].values[dim..];
    let biases = &loaded.weights.floats["items.biases"].values[1..];
    let weights: Vec<f32> = loaded.corpus.counts[1..].iter().map(|&c| (c as f32).sqrt().max(0.01)).collect();
    progress.start("quantise items", Some(m as u64 + 1));
    let seeds: Vec<ChaCha8Rng> = (0..=m).map(|_| ChaCha8Rng::from_rng(rng)).collect();
    let books: Vec<_> = seeds
        .into_par_iter()
        .enumerate()
        .map(|(part, mut rng)| {
            let book = if part < m {
                let data: Vec<f32> = (0..n)
                    .flat_map(|i| {
                        vectors[i * dim + part * width..i * dim + (part + 1) * width].iter().copied()
                    })
                    .collect();
                kmeans(&data, width, &weights, 12, &mut rng)
            } else {
                kmeans(biases, 1, &weights, 12, &mut rng)
            };
            progress.advance(1);
            book
        })
        .collect();
    let mut codes = Vec::with_capacity(n * (m + 1));
    for item in 0..n {
        codes.extend(books.iter().map(|b| b.codes[item]));
    }
    let centroids = books[..m].iter().flat_map(|b| b.centroids.iter().copied()).collect();
    Ok(ItemTable::new(dim, m, codes, centroids, books[m].centroids[..CENTROIDS].to_vec())?)
}

/// The teacher's ranking at the newest `taught` positions.
fn ask_teacher(
    loaded: &LoadedTeacher,
    options: &DistillOptions,
    progress: &dyn Progress,
) -> Result<SoftTargets> {
    let log = &loaded.corpus.train.log;
    let first = first_taught(loaded, options.taught);
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let work = batches(&loaded.corpus.train, loaded.info.shape.max_len, 256, &mut rng, |s| s >= first);
    let total: usize = work.iter().map(|b| b.rows.len()).sum();
    progress.start("ask the teacher", Some(total as u64));
    let soft = loaded.teacher.soft_targets(&work, log.clicks(), options.k, |n| {
        progress.advance(n as u64);
        !stop::asked()
    })?;
    if stop::asked() {
        return Err(stop::Stopped.into());
    }
    progress.finish(&format!("the teacher ranked {total} positions"));
    Ok(soft)
}

/// The oldest session that is taught.
fn first_taught(loaded: &LoadedTeacher, positions: usize) -> usize {
    let log = &loaded.corpus.train.log;
    let mut left = positions;
    let mut first = log.len();
    while first > 0 && left > 0 {
        first -= 1;
        left = left.saturating_sub(log.session(first).len().saturating_sub(1));
    }
    first
}

fn validate(
    weights: &Weights,
    items: &CodedItems,
    shape: &StudentShape,
    corpus: &Corpus,
    device: &Device,
) -> Result<Summary> {
    let encoder = Encoder::new(weights, shape, device, false)?;
    let table = items.table()?;
    let repeat = &weights.get(REPEAT, &[shape.max_len])?.values;
    measure(&corpus.validation, &corpus.counts, shape.max_len, |batch| {
        let sessions = session_vectors(&encoder, batch, items, shape, device)?;
        Ok(score_rows(&table, &sessions, shape, batch, repeat))
    })
}

/// Scores of all items for queries `[rows, dim]` of a batch's predicted positions: `[rows, items]`.
fn score_rows(
    table: &ItemTable,
    queries: &[f32],
    shape: &StudentShape,
    batch: &Batch,
    repeat: &[f32],
) -> Vec<f32> {
    let mut all = vec![0.0; queries.len() / shape.dim * table.items()];
    let work =
        all.par_chunks_exact_mut(table.items()).zip(queries.par_chunks_exact(shape.dim)).zip(&batch.rows);
    work.for_each_init(
        || (Vec::new(), Vec::new()),
        |(lut, scores), ((out, query), &at)| {
            let scaled: Vec<f32> = query.iter().map(|x| x / shape.temperature).collect();
            table.score_all(&scaled, lut, scores);
            boost_repeats(scores, batch.prefix(at), repeat);
            out.copy_from_slice(scores);
        },
    );
    all
}

/// Scores of a loaded student at every predicted position, with the shipped adapter.
///
/// # Errors
/// Where the device fails.
pub fn score_batch(student: &LoadedStudent, batch: &Batch) -> Result<Vec<f32>> {
    let shape = &student.info.student;
    let sessions = session_vectors(&student.encoder, batch, &student.items, shape, &student.device)?;
    let queries: Vec<f32> =
        sessions.chunks_exact(shape.dim).flat_map(|s| student.adapter.apply(s, None)).collect();
    Ok(score_rows(&student.table, &queries, shape, batch, &student.repeat))
}

/// Reads a student's folder.
///
/// # Errors
/// Where a file is missing, damaged or of a newer format.
pub fn load(dir: &Path) -> Result<LoadedStudent> {
    let info: StudentInfo = read_versioned(&dir.join(INFO), "distill", FORMAT)?;
    let path = dir.join(WEIGHTS);
    let weights = read_weights(&path, &info.weights, "distill")?;
    let shape = &info.student;
    let device = Device::flex();
    let codes =
        weights.bytes.get("items.codes").with_context(|| format!("{}: no item codes", path.display()))?;
    let width = shape.dim / shape.subspaces;
    let centroids = weights.get("items.centroids", &[shape.subspaces, CENTROIDS, width])?.values.clone();
    let bias = weights.get("items.bias", &[CENTROIDS])?.values.clone();
    let table = ItemTable::new(shape.dim, shape.subspaces, codes.1.clone(), centroids, bias)?;
    Ok(LoadedStudent {
        encoder: Encoder::new(&weights, shape, &device, false)?,
        adapter: Adapter::read(&weights, shape.dim, shape.adapter_rank)?,
        repeat: weights.get(REPEAT, &[shape.max_len])?.values.clone(),
        items: CodedItems::new(&table),
        table,
        weights,
        info,
        device,
    })
}
