//! Teachers: their folder, and what is shared by training and updating them.
//!
//! | file | content |
//! | --- | --- |
//! | `teacher.json` | [`TeacherInfo`] |
//! | `network.safetensors` | encoder, item vectors and biases |
//! | `moments.safetensors` | the optimiser's state, for `update`; may be deleted |
//! | `reranker.safetensors` | the perceptron that orders the best candidates, where one was fitted |
//! | `checkpoint.safetensors`, `checkpoint.json` | while training: parameters and moments after the last whole pass |
//!
//! The neighbour part of the teacher is the training log itself, which stays in the data set.

mod learn;
mod train;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::catalogue::Catalogue;
use onshelf_core::metrics::Summary;
use onshelf_core::version::{StudentShape, sha256_hex};
use onshelf_core::weights::Weights;
use onshelf_model::training::{
    Blend, Fit, FloatItems, Network, Reranker, Stepper, Teacher, TrainSet, batches,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::corpus::{Corpus, CorpusOptions, part_of};
use crate::dataset::Dataset;
use crate::device::device;
use crate::evaluate::measure;
use crate::files::{read_versioned, read_weights, write_atomic, write_json};
use crate::progress::Progress;
use crate::student::Source;

pub use learn::schedule;
pub(crate) use learn::{Lessons, Rates, run_pass};
pub(crate) use train::fit;
pub use train::train;

const FORMAT: u32 = 2;
const INFO: &str = "teacher.json";
const NETWORK: &str = "network.safetensors";
const MOMENTS: &str = "moments.safetensors";
const RERANKER: &str = "reranker.safetensors";

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

impl Default for TrainOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            last_period: 0,
            passes: 7,
            dim: 96,
            blocks: 2,
            heads: 2,
            max_len: 20,
            temperature: 0.07,
            positions: 0,
            negatives: 1024,
            rate: 1e-3,
            item_rate: 2e-2,
            decay: 0.01,
            dropout: 0.4,
            half_life: 0.0,
            validation: 0.05,
        }
    }
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
    /// SHA-256 of the reranker's tensors, where there is one.
    #[serde(default)]
    pub reranker: Option<String>,
    /// SHA-256 of the optimiser's state, where it was kept.
    #[serde(default)]
    pub moments: Option<String>,
    /// Share of the network in the mix that names the candidates.
    pub blend_network: f32,
    /// Exponent on the neighbours' votes in it.
    pub blend_sharpness: f32,
    /// Metrics of the whole teacher on the half of the validation sessions that its reranker did not see.
    pub validation: Summary,
    /// Metrics of the network alone on validation sessions.
    pub validation_network: Summary,
    /// How the reranker's fit went (nats a prediction on sessions held back from it).
    #[serde(default)]
    pub reranker_fit: Fit,
    /// Earlier periods of which the same share was held out.
    #[serde(default)]
    pub held: Vec<u32>,
    /// The updates since the training from nothing, oldest first.
    #[serde(default)]
    pub updates: Vec<UpdateRecord>,
    /// Wall-clock seconds of training, over all runs.
    pub seconds: f64,
    /// Processor seconds of it.
    #[serde(default)]
    pub cpu_seconds: f64,
}

/// What an update says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdateRecord {
    /// The period that was learned.
    pub period: u32,
    /// How.
    pub strategy: String,
    /// SHA-256 of the network before.
    pub parent: String,
    /// The factor on the learning rates of the first training.
    pub scale: f32,
    /// Processor seconds.
    pub cpu_seconds: f64,
}

/// A teacher in memory.
#[derive(Clone)]
pub struct TeacherState {
    /// What it says of itself.
    pub info: TeacherInfo,
    /// The network's tensors.
    pub weights: Weights,
    /// The last word.
    pub reranker: Option<Reranker>,
    /// The optimiser's state, for the next update to go on from; none in a folder without it.
    pub moments: Option<Weights>,
}

impl TeacherState {
    /// Writes the folder; `teacher.json` last.
    ///
    /// # Errors
    /// Where it cannot be written: a teacher that was there stays whole or is told to be damaged.
    pub fn save(&self, out: &Path) -> Result<TeacherInfo> {
        let file = self.weights.to_safetensors()?;
        let mut info = self.info.clone();
        info.network = sha256_hex(&file);
        write_atomic(&out.join(NETWORK), &file)?;
        info.reranker = match &self.reranker {
            Some(reranker) => {
                let file = reranker.weights().to_safetensors()?;
                write_atomic(&out.join(RERANKER), &file)?;
                Some(sha256_hex(&file))
            }
            None => None,
        };
        info.moments = match &self.moments {
            Some(moments) => {
                let file = moments.to_safetensors()?;
                write_atomic(&out.join(MOMENTS), &file)?;
                Some(sha256_hex(&file))
            }
            None => None,
        };
        write_json(&out.join(INFO), &info)?;
        Ok(info)
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// Where a file is missing, damaged or of a newer format.
    pub fn load(dir: &Path) -> Result<Self> {
        let info: TeacherInfo = read_versioned(&dir.join(INFO), "train", 1..=FORMAT)?;
        let weights = read_weights(&dir.join(NETWORK), &info.network, "train")?;
        let reranker = info
            .reranker
            .as_ref()
            .map(|hash| -> Result<Reranker> {
                Ok(Reranker::from_weights(&read_weights(&dir.join(RERANKER), hash, "train")?)?)
            })
            .transpose()?;
        // Without them an update starts its optimiser afresh; damage to them is told all the same.
        let moments = info
            .moments
            .as_ref()
            .filter(|_| dir.join(MOMENTS).exists())
            .map(|hash| read_weights(&dir.join(MOMENTS), hash, "train"))
            .transpose()?;
        Ok(Self { info, weights, reranker, moments })
    }

    /// The teacher with the corpus that it was trained on.
    ///
    /// # Errors
    /// Where tensors are missing or misshapen.
    pub fn with(self, corpus: Corpus) -> Result<LoadedTeacher> {
        Ok(LoadedTeacher { teacher: self.ready(&corpus)?, corpus, info: self.info, weights: self.weights })
    }

    /// The teacher, ready to be asked, on the log that it saw.
    ///
    /// # Errors
    /// Where tensors are missing or misshapen.
    pub fn ready(&self, corpus: &Corpus) -> Result<Teacher> {
        let network = Network::new(&self.weights, &self.info.shape, corpus.items, &device())?;
        let items = float_items(&self.weights, self.info.shape.dim)?;
        let mut teacher = Teacher::new(network, items, &corpus.train.log);
        teacher.blend = Blend { network: self.info.blend_network, sharpness: self.info.blend_sharpness };
        teacher.reranker.clone_from(&self.reranker);
        Ok(teacher)
    }
}

/// The encoder's tensors without the items.
pub(crate) fn encoder_part(weights: &Weights) -> Weights {
    let mut out = weights.clone();
    out.floats.retain(|name, _| !name.starts_with("items."));
    out
}

/// What an optimiser keeps, without the parameters.
pub(crate) fn moments(stepper: &Stepper, items: &FloatItems) -> Weights {
    let mut out = stepper.checkpoint();
    items.checkpoint(&mut out);
    out.floats.retain(|name, _| name.starts_with("adam."));
    out
}

/// The item table among a network's tensors.
pub(crate) fn float_items(weights: &Weights, dim: usize) -> Result<FloatItems> {
    let part = |name: &str| {
        weights.floats.get(name).map(|t| t.values.clone()).with_context(|| format!("no tensor {name}"))
    };
    Ok(FloatItems::from_parts(dim, part("items.vectors")?, part("items.biases")?))
}

pub(crate) fn corpus(data: &Dataset, options: &TrainOptions, held: &[u32]) -> Result<Corpus> {
    Corpus::new(
        data,
        &CorpusOptions {
            last_period: options.last_period,
            validation: options.validation,
            half_life: options.half_life,
            held: held.to_vec(),
        },
    )
}

/// Metrics of a network alone on sessions that it has not seen.
pub(crate) fn validate_network(
    network: &Network,
    items: &FloatItems,
    counts: &[u32],
    unseen: &TrainSet,
    max_len: usize,
) -> Result<Summary> {
    measure(unseen, counts, max_len, |batch| Ok(network.scores(batch, items)?))
}

/// Every other session each: to fit a reranker, and to judge the teacher.
pub(crate) fn halves(set: &TrainSet) -> (TrainSet, TrainSet) {
    (part_of(set, |s| s % 2 == 0), part_of(set, |s| s % 2 == 1))
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

impl LoadedTeacher {
    /// What a student learns from.
    #[must_use]
    pub fn source<'a>(&'a self, catalogue: &'a Catalogue) -> Source<'a> {
        Source {
            teacher: &self.teacher,
            weights: &self.weights,
            shape: &self.info.shape,
            corpus: &self.corpus,
            catalogue,
        }
    }

    /// Bytes of what it answers from: the network's tensors, the reranker's, and the log of sessions that
    /// its neighbours are found in (four bytes a click and a session).
    ///
    /// # Errors
    /// Where a tensor's shape does not fit its values.
    pub fn bytes(&self) -> Result<u64> {
        let log = &self.corpus.train.log;
        let reranker = self.teacher.reranker.as_ref().map_or(0, |r| 4 * r.weights().parameters());
        Ok((self.weights.to_safetensors()?.len() + reranker + 4 * (log.clicks() + log.len())) as u64)
    }
}

/// The hash that ties models to a data set.
///
/// # Errors
/// Where the data set cannot be read.
pub fn dataset_hash(dir: &Path) -> Result<String> {
    let info = Dataset::info(dir)?;
    info.sha256.get("sessions.safetensors").cloned().context("dataset.json names no sessions.safetensors")
}

/// Fits the reranker on positions of sessions that `teacher` has not seen, at most `limit` of them.
pub(crate) fn fit_reranker(
    teacher: &mut Teacher,
    unseen: &TrainSet,
    max_len: usize,
    limit: usize,
    rng: &mut ChaCha8Rng,
    progress: &dyn Progress,
) -> Result<Fit> {
    let total: usize = unseen.log.iter().map(|s| s.len().saturating_sub(1)).sum();
    let share = total.div_ceil(limit.max(1)).max(1);
    let start = rng.random_range(0..share);
    let work = batches(unseen, max_len, 256, rng, |s| s % share == start);
    progress.start("fit the reranker", Some(2));
    let examples = teacher.examples(&work)?;
    progress.advance(1);
    let (reranker, fit) = Reranker::fit(teacher.reranker.as_ref(), &examples, &device(), rng)?;
    progress.advance(1);
    teacher.reranker = reranker;
    progress.finish(&format!(
        "reranker: {} predictions, held-back loss {:.4} before, {:.4} after",
        fit.examples, fit.before, fit.after
    ));
    Ok(fit)
}

/// Metrics of a teacher on sessions that it has not seen.
pub(crate) fn validate_teacher(
    teacher: &Teacher,
    corpus: &Corpus,
    unseen: &TrainSet,
    max_len: usize,
) -> Result<Summary> {
    measure(unseen, &corpus.counts, max_len, |batch| Ok(teacher.chances(batch, false)?))
}

/// Reads a teacher and rebuilds its neighbours from the data set.
///
/// # Errors
/// Where a file is missing or damaged, or the data set is another one.
pub fn load(dir: &Path, data_dir: &Path, data: &Dataset) -> Result<LoadedTeacher> {
    let state = TeacherState::load(dir)?;
    ensure!(
        state.info.dataset == dataset_hash(data_dir)?,
        "the teacher in {} was trained on another data set than {}; train again or name the right one",
        dir.display(),
        data_dir.display()
    );
    let corpus = corpus(data, &state.info.options, &state.info.held)?;
    state.with(corpus)
}
