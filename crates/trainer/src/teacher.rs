//! `onshelf train`: the teacher, its folder and its checkpoints.
//!
//! | file | content |
//! | --- | --- |
//! | `teacher.json` | [`TeacherInfo`] |
//! | `network.safetensors` | encoder, item vectors and biases |
//! | `checkpoint.safetensors`, `checkpoint.json` | while training: parameters and moments after the last whole pass |
//!
//! The neighbour part of the teacher is the training log itself, which stays in the data set.

use std::f32::consts::PI;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::metrics::Summary;
use onshelf_core::neighbour::{Vsknn, VsknnOptions};
use onshelf_core::version::{StudentShape, sha256_hex};
use onshelf_core::weights::Weights;
use onshelf_model::Device;
use onshelf_model::encoder;
use onshelf_model::training::{
    Blend, Candidates, FloatItems, Network, StepOptions, Stepper, Teacher, batches, exact_batches,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::corpus::{Corpus, CorpusOptions};
use crate::dataset::Dataset;
use crate::evaluate::rank_rows;
use crate::files::{read_json, read_versioned, read_weights, write_atomic, write_json};
use crate::progress::Progress;
use crate::stop;

const FORMAT: u32 = 1;
const INFO: &str = "teacher.json";
const NETWORK: &str = "network.safetensors";
const CHECKPOINT: &str = "checkpoint.safetensors";
const CHECKPOINT_INFO: &str = "checkpoint.json";

/// Everything that decides the result of training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainOptions {
    /// Seed of everything random.
    pub seed: u64,
    /// Newest period to train on.
    pub last_period: u32,
    /// Passes over the sessions.
    pub passes: usize,
    /// Dimensions of item vectors.
    pub dim: usize,
    /// Transformer blocks.
    pub blocks: usize,
    /// Attention heads.
    pub heads: usize,
    /// Longest session that is read.
    pub max_len: usize,
    /// Softmax temperature.
    pub temperature: f32,
    /// Predicted positions of a step; 0: a two-hundredth of all, from 128 to 1,024.
    pub positions: usize,
    /// Sampled negatives of a step.
    pub negatives: usize,
    /// Peak learning rate of the encoder.
    pub rate: f32,
    /// Peak learning rate of item vectors (sparse Adam moves a row only when it is touched, so it
    /// needs more than a dense one).
    pub item_rate: f32,
    /// Weight decay of the encoder.
    pub decay: f32,
    /// Dropout on item vectors.
    pub dropout: f32,
    /// Periods after which a session counts half; 0: all count fully.
    pub half_life: f64,
    /// Share of the newest period's sessions that is held out for validation.
    pub validation: f64,
}

/// What a teacher says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TeacherInfo {
    /// Format of this file.
    pub format: u32,
    /// How it was trained.
    pub options: TrainOptions,
    /// Shape of the network (the fields of a student that do not apply are 1).
    pub shape: StudentShape,
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// SHA-256 of the network's tensors.
    pub network: String,
    /// Share of the network in the mix, chosen on validation sessions.
    pub blend_network: f32,
    /// Exponent on the neighbours' votes, chosen on validation sessions.
    pub blend_sharpness: f32,
    /// Metrics of the mix on validation sessions.
    pub validation: Summary,
    /// Metrics of the network alone on validation sessions.
    pub validation_network: Summary,
    /// Wall-clock seconds of training, over all runs.
    pub seconds: f64,
}

#[derive(Serialize, Deserialize)]
struct CheckpointInfo {
    options: TrainOptions,
    dataset: String,
    /// SHA-256 of the checkpoint's tensors.
    weights: String,
    passes_done: usize,
    seconds: f64,
}

/// A teacher that was read from its folder, with the corpus it was trained on.
pub struct LoadedTeacher {
    /// What it says of itself.
    pub info: TeacherInfo,
    /// The sessions it saw.
    pub corpus: Corpus,
    /// Network and neighbours.
    pub teacher: Teacher,
    /// The network's tensors.
    pub weights: Weights,
}

/// The hash that ties models to a data set.
///
/// # Errors
/// Where the data set cannot be read.
pub fn dataset_hash(dir: &Path) -> Result<String> {
    let info = Dataset::info(dir)?;
    info.sha256.get("sessions.safetensors").cloned().context("dataset.json names no sessions.safetensors")
}

/// Trains, or goes on from a checkpoint, and writes the teacher's folder.
///
/// # Errors
/// Where data or folder cannot be used, a loss is not finite, or on Ctrl-C.
pub fn train(
    data_dir: &Path,
    out: &Path,
    options: &TrainOptions,
    progress: &dyn Progress,
) -> Result<TeacherInfo> {
    ensure!(
        options.heads > 0 && options.dim.is_multiple_of(options.heads),
        "--heads {} does not divide --dim {}",
        options.heads,
        options.dim
    );
    let data = Dataset::load(data_dir)?;
    let dataset = dataset_hash(data_dir)?;
    let corpus = corpus(&data, options)?;
    let shape = shape(options, data.sessions.has_times());
    let device = Device::flex();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut stepper = Stepper::new(encoder::init(&shape, &mut rng), shape.clone(), &device);
    let mut items = FloatItems::new(corpus.items, options.dim, &mut rng);
    let candidates = Candidates::new(&corpus.counts, 0.5, options.negatives);
    let mut done = resume(out, options, &dataset, &mut stepper, &mut items, progress)?;

    let total: u64 =
        (0..corpus.train.log.len()).map(|s| corpus.train.log.session(s).len().saturating_sub(1) as u64).sum();
    let positions = positions_of_a_step(options.positions, total);
    while done.passes_done < options.passes {
        let started = std::time::Instant::now();
        let pass = done.passes_done;
        progress.start(&format!("train pass {}/{}", pass + 1, options.passes), Some(total));
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ (0x9e37_79b9 * (pass as u64 + 1)));
        let work = batches(&corpus.train, options.max_len, positions, &mut rng, |_| true);
        let mut loss = 0.0;
        for (at, batch) in work.iter().enumerate() {
            if stop::asked() {
                return Err(stop::Stopped.into());
            }
            let at = (pass as f32 + at as f32 / work.len() as f32) / options.passes as f32;
            let step = step_options(options, schedule(at, options.passes));
            loss += stepper.step(&mut items, batch, &candidates, None, &step, &mut rng)?;
            progress.advance(batch.rows.len() as u64);
        }
        done.passes_done += 1;
        done.seconds += started.elapsed().as_secs_f64();
        write_checkpoint(out, &mut done, &stepper, &items)?;
        let network = network(&stepper.weights, &items, &shape, corpus.items, &device)?;
        let metrics = validate(&network, &items, &corpus, options.max_len)?;
        progress.finish(&format!(
            "pass {}: loss {:.4}, validation R@20 {:.2} MRR@20 {:.2}",
            pass + 1,
            loss / work.len().max(1) as f64,
            metrics.recall_20 * 100.0,
            metrics.mrr_20 * 100.0
        ));
    }
    finish(out, options, shape, dataset, &corpus, stepper, items, done.seconds, progress)
}

fn corpus(data: &Dataset, options: &TrainOptions) -> Result<Corpus> {
    Corpus::new(
        data,
        &CorpusOptions {
            last_period: options.last_period,
            validation: options.validation,
            half_life: options.half_life,
        },
    )
}

fn shape(options: &TrainOptions, times: bool) -> StudentShape {
    StudentShape {
        dim: options.dim,
        blocks: options.blocks,
        heads: options.heads,
        hidden: options.dim * 2,
        max_len: options.max_len,
        subspaces: 1,
        adapter_rank: 1,
        temperature: options.temperature,
        times,
    }
}

/// Small logs need small steps, or a pass has too few of them.
#[must_use]
pub fn positions_of_a_step(asked: usize, total: u64) -> usize {
    if asked > 0 { asked } else { (total / 200).clamp(128, 1024) as usize }
}

/// Warm-up over 0.3 of a pass, then a cosine to 2 % (Loshchilov & Hutter, ICLR 2017).
pub fn schedule(at: f32, passes: usize) -> f32 {
    let warm = (at * passes as f32 / 0.3).min(1.0);
    warm * (0.5 * (1.0 + (PI * at).cos())).max(0.02)
}

fn step_options(options: &TrainOptions, scale: f32) -> StepOptions {
    StepOptions {
        rate: options.rate * scale,
        item_rate: options.item_rate * scale,
        decay: options.decay,
        dropout: options.dropout,
        distil: 0.0,
        certain: 0,
    }
}

fn network(
    weights: &Weights,
    items: &FloatItems,
    shape: &StudentShape,
    n: usize,
    device: &Device,
) -> Result<Network> {
    Ok(Network::new(&Network::weights(weights, &items.vectors, &items.biases), shape, n, device)?)
}

fn validate(network: &Network, items: &FloatItems, corpus: &Corpus, max_len: usize) -> Result<Summary> {
    let mut sum = onshelf_core::metrics::Accumulator::new();
    for batch in exact_batches(&corpus.validation, max_len, 256) {
        let mut scores = network.scores(&batch, items)?;
        rank_rows(&mut scores, corpus, &batch.targets, &mut sum);
    }
    Ok(sum.summary(corpus.items))
}

fn resume(
    out: &Path,
    options: &TrainOptions,
    dataset: &str,
    stepper: &mut Stepper,
    items: &mut FloatItems,
    progress: &dyn Progress,
) -> Result<CheckpointInfo> {
    let fresh = CheckpointInfo {
        options: options.clone(),
        dataset: dataset.to_owned(),
        weights: String::new(),
        passes_done: 0,
        seconds: 0.0,
    };
    let path = out.join(CHECKPOINT_INFO);
    if !path.exists() {
        return Ok(fresh);
    }
    let found: CheckpointInfo = read_json(&path, "train")?;
    if found.options != *options || found.dataset != dataset {
        progress.finish("the checkpoint there was made with other options or data; starting afresh");
        return Ok(fresh);
    }
    let weights = read_weights(&out.join(CHECKPOINT), &found.weights, "train")
        .context("the checkpoint cannot be used; delete checkpoint.json to start afresh")?;
    ensure!(
        weights.floats.get("checkpoint.pass").is_some_and(|t| t.values == [found.passes_done as f32]),
        "{}: the two checkpoint files are of different passes; delete them to start afresh",
        out.display()
    );
    stepper.restore(&weights)?;
    items.restore(&weights)?;
    progress.finish(&format!("going on after pass {} of {}", found.passes_done, options.passes));
    Ok(found)
}

fn write_checkpoint(
    out: &Path,
    info: &mut CheckpointInfo,
    stepper: &Stepper,
    items: &FloatItems,
) -> Result<()> {
    let mut weights = stepper.checkpoint();
    items.checkpoint(&mut weights);
    let pass = onshelf_core::weights::Tensor { shape: vec![1], values: vec![info.passes_done as f32] };
    weights.floats.insert("checkpoint.pass".into(), pass);
    let file = weights.to_safetensors()?;
    info.weights = sha256_hex(&file);
    write_atomic(&out.join(CHECKPOINT), &file)?;
    write_json(&out.join(CHECKPOINT_INFO), info)
}

#[expect(clippy::too_many_arguments, reason = "the end of one long computation, called once")]
fn finish(
    out: &Path,
    options: &TrainOptions,
    shape: StudentShape,
    dataset: String,
    corpus: &Corpus,
    stepper: Stepper,
    items: FloatItems,
    seconds: f64,
    progress: &dyn Progress,
) -> Result<TeacherInfo> {
    let device = Device::flex();
    let weights = Network::weights(&stepper.weights, &items.vectors, &items.biases);
    let network = Network::new(&weights, &shape, corpus.items, &device)?;
    let validation_network = validate(&network, &items, corpus, options.max_len)?;
    let neighbours = Vsknn::new(corpus.train.log.clone(), corpus.items, VsknnOptions::default());
    let mut teacher = Teacher { network, items, neighbours, blend: Blend { network: 0.5, sharpness: 1.0 } };
    let (blend, validation) = choose_blend(&mut teacher, corpus, options.max_len, progress)?;
    let file = weights.to_safetensors()?;
    let info = TeacherInfo {
        network: sha256_hex(&file),
        format: FORMAT,
        options: options.clone(),
        shape,
        dataset,
        blend_network: blend.network,
        blend_sharpness: blend.sharpness,
        validation,
        validation_network,
        seconds,
    };
    write_atomic(&out.join(NETWORK), &file)?;
    write_json(&out.join(INFO), &info)?;
    for name in [CHECKPOINT, CHECKPOINT_INFO] {
        let _ = fs::remove_file(out.join(name));
    }
    Ok(info)
}

/// Tries mixes on validation sessions and keeps the best by the sum of R@20 and MRR@20, each
/// relative to the best of its kind. Without validation sessions, half and half.
fn choose_blend(
    teacher: &mut Teacher,
    corpus: &Corpus,
    max_len: usize,
    progress: &dyn Progress,
) -> Result<(Blend, Summary)> {
    let work = exact_batches(&corpus.validation, max_len, 256);
    let mut tried = Vec::new();
    progress.start("choose the mix", Some(9));
    for network in [0.3, 0.5, 0.7] {
        for sharpness in [0.5, 1.0, 1.5] {
            teacher.blend = Blend { network, sharpness };
            let mut sum = onshelf_core::metrics::Accumulator::new();
            for batch in &work {
                let mut scores = teacher.chances(batch, false)?;
                rank_rows(&mut scores, corpus, &batch.targets, &mut sum);
            }
            tried.push((teacher.blend, sum.summary(corpus.items)));
            progress.advance(1);
        }
    }
    let best = |f: fn(&Summary) -> f64| tried.iter().map(|t| f(&t.1)).fold(1e-12, f64::max);
    let (recall, mrr) = (best(|s| s.recall_20), best(|s| s.mrr_20));
    let merit = |s: &Summary| s.recall_20 / recall + s.mrr_20 / mrr;
    let default = (Blend { network: 0.5, sharpness: 1.0 }, Summary::default());
    let chosen = tried
        .iter()
        .copied()
        .max_by(|a, b| merit(&a.1).total_cmp(&merit(&b.1)))
        .filter(|c| c.1.tests > 0)
        .unwrap_or(default);
    teacher.blend = chosen.0;
    progress.finish(&format!(
        "mix: network {} sharpness {}, validation R@20 {:.2} MRR@20 {:.2}",
        chosen.0.network,
        chosen.0.sharpness,
        chosen.1.recall_20 * 100.0,
        chosen.1.mrr_20 * 100.0
    ));
    Ok(chosen)
}

/// Reads a teacher and rebuilds its neighbours from the data set.
///
/// # Errors
/// Where a file is missing or damaged, or the data set is another one.
pub fn load(dir: &Path, data_dir: &Path, data: &Dataset) -> Result<LoadedTeacher> {
    let info: TeacherInfo = read_versioned(&dir.join(INFO), "train", FORMAT)?;
    ensure!(
        info.dataset == dataset_hash(data_dir)?,
        "the teacher in {} was trained on another data set than {}; train again or name the right one",
        dir.display(),
        data_dir.display()
    );
    let weights = read_weights(&dir.join(NETWORK), &info.network, "train")?;
    let corpus = corpus(data, &info.options)?;
    let network = Network::new(&weights, &info.shape, corpus.items, &Device::flex())?;
    let items = FloatItems::from_parts(
        info.shape.dim,
        weights.floats["items.vectors"].values.clone(),
        weights.floats["items.biases"].values.clone(),
    );
    let neighbours = Vsknn::new(corpus.train.log.clone(), corpus.items, VsknnOptions::default());
    let blend = Blend { network: info.blend_network, sharpness: info.blend_sharpness };
    Ok(LoadedTeacher { info, corpus, teacher: Teacher { network, items, neighbours, blend }, weights })
}
