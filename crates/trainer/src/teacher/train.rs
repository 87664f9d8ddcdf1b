//! `onshelf train`: a teacher from nothing, with checkpoints after each pass.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::version::{StudentShape, sha256_hex};
use onshelf_model::encoder;
use onshelf_model::training::{Candidates, FloatItems, Network, Stepper, Teacher};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::learn::{Lessons, Rates, run_pass};
use super::{
    TeacherInfo, TeacherState, TrainOptions, corpus, dataset_hash, fit_reranker, halves, validate_network,
    validate_teacher,
};
use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::device::device;
use crate::files::{read_json, read_weights, write_atomic, write_json};
use crate::progress::Progress;

const CHECKPOINT: &str = "checkpoint.safetensors";
const CHECKPOINT_INFO: &str = "checkpoint.json";

#[derive(Serialize, Deserialize)]
struct CheckpointInfo {
    options: TrainOptions,
    dataset: String,
    /// SHA-256 of the checkpoint's tensors.
    weights: String,
    passes_done: usize,
    seconds: f64,
    #[serde(default)]
    cpu_seconds: f64,
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
    let corpus = corpus(&data, options, &[])?;
    let state = fit(&data, &corpus, options, dataset, Some(out), progress)?;
    let info = state.save(out)?;
    for name in [CHECKPOINT, CHECKPOINT_INFO] {
        let _ = fs::remove_file(out.join(name));
    }
    Ok(info)
}

/// The work of [`train`] in memory; `folder` is where checkpoints are kept.
pub(crate) fn fit(
    data: &Dataset,
    corpus: &Corpus,
    options: &TrainOptions,
    dataset: String,
    folder: Option<&Path>,
    progress: &dyn Progress,
) -> Result<TeacherState> {
    let shape = shape(options, data.sessions.has_times());
    let device = device();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let mut stepper = Stepper::new(encoder::init(&shape, &mut rng), shape.clone(), &device);
    let mut items = FloatItems::new(corpus.items, options.dim, &mut rng);
    let candidates = Candidates::new(&corpus.counts, 0.5, options.negatives);
    let mut done = CheckpointInfo::fresh(options, &dataset);
    if let Some(out) = folder {
        done = resume(out, done, &mut stepper, &mut items, progress)?;
    }
    let lessons = Lessons { set: &corpus.train, candidates: &candidates, soft: None };
    let rates = Rates::of(options);
    while done.passes_done < options.passes {
        let (started, cpu) = (std::time::Instant::now(), cpu_time::ProcessTime::now());
        let pass = done.passes_done;
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ (0x9e37_79b9 * (pass as u64 + 1)));
        let loss = run_pass("train", pass, &lessons, &rates, &mut stepper, &mut items, &mut rng, progress)?;
        done.passes_done += 1;
        done.seconds += started.elapsed().as_secs_f64();
        done.cpu_seconds += cpu.elapsed().as_secs_f64();
        if let Some(out) = folder {
            write_checkpoint(out, &mut done, &stepper, &items)?;
        }
        let weights = Network::weights(&stepper.weights, &items.vectors, &items.biases);
        let network = Network::new(&weights, &shape, corpus.items, &device)?;
        let metrics =
            validate_network(&network, &items, &corpus.counts, &corpus.validation, options.max_len)?;
        progress.finish(&format!(
            "pass {}: loss {loss:.4}, validation R@20 {:.2} MRR@20 {:.2}",
            pass + 1,
            metrics.recall_20 * 100.0,
            metrics.mrr_20 * 100.0
        ));
    }
    finish(options, shape, dataset, corpus, stepper, items, &done, progress)
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

impl CheckpointInfo {
    fn fresh(options: &TrainOptions, dataset: &str) -> Self {
        Self {
            options: options.clone(),
            dataset: dataset.to_owned(),
            weights: String::new(),
            passes_done: 0,
            seconds: 0.0,
            cpu_seconds: 0.0,
        }
    }
}

fn resume(
    out: &Path,
    fresh: CheckpointInfo,
    stepper: &mut Stepper,
    items: &mut FloatItems,
    progress: &dyn Progress,
) -> Result<CheckpointInfo> {
    let path = out.join(CHECKPOINT_INFO);
    if !path.exists() {
        return Ok(fresh);
    }
    let found: CheckpointInfo = read_json(&path, "train")?;
    if found.options != fresh.options || found.dataset != fresh.dataset {
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
    progress.finish(&format!("going on after pass {} of {}", found.passes_done, found.options.passes));
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
    options: &TrainOptions,
    shape: StudentShape,
    dataset: String,
    corpus: &Corpus,
    stepper: Stepper,
    items: FloatItems,
    done: &CheckpointInfo,
    progress: &dyn Progress,
) -> Result<TeacherState> {
    let (started, cpu) = (std::time::Instant::now(), cpu_time::ProcessTime::now());
    let weights = Network::weights(&stepper.weights, &items.vectors, &items.biases);
    let moments = Some(super::moments(&stepper, &items));
    let network = Network::new(&weights, &shape, corpus.items, &device())?;
    let validation_network =
        validate_network(&network, &items, &corpus.counts, &corpus.validation, options.max_len)?;
    let mut teacher = Teacher::new(network, items, &corpus.train.log);
    let (learn, judge) = halves(&corpus.validation);
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ 0x0009_e1a7);
    let reranker_fit = fit_reranker(&mut teacher, &learn, options.max_len, usize::MAX, &mut rng, progress)?;
    let (seconds, cpu_seconds) = (started.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64());
    let validation = validate_teacher(&teacher, corpus, &judge, options.max_len)?;
    progress.finish(&format!(
        "teacher: validation R@20 {:.2} MRR@20 {:.2}",
        validation.recall_20 * 100.0,
        validation.mrr_20 * 100.0
    ));
    let info = TeacherInfo {
        format: super::FORMAT,
        options: options.clone(),
        shape,
        dataset,
        network: String::new(),
        reranker: None,
        moments: None,
        blend_network: teacher.blend.network,
        blend_sharpness: teacher.blend.sharpness,
        validation,
        validation_network,
        reranker_fit,
        held: Vec::new(),
        updates: Vec::new(),
        seconds: done.seconds + seconds,
        cpu_seconds: done.cpu_seconds + cpu_seconds,
    };
    Ok(TeacherState { info, weights, reranker: teacher.reranker, moments })
}
