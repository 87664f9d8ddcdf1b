//! `onshelf distill`: a student from a teacher, its folder, and scoring with it.
//!
//! | file | content |
//! | --- | --- |
//! | `student.json` | [`StudentInfo`] |
//! | `student.safetensors` | encoder, adapter, item codes, centroids and bias levels |

mod distil;
mod fisher;
mod meta;
mod quantise;

use std::path::Path;

use anyhow::{Context, Result};
use onshelf_core::metrics::Summary;
use onshelf_core::rank::{CENTROIDS, ItemTable};
use onshelf_core::version::{FineTuneConfig, StudentShape, sha256_hex};
use onshelf_core::weights::{Packing, Weights};
use onshelf_model::Device;
use onshelf_model::encoder::{Encoder, REPEAT, boost_repeats};
use onshelf_model::student::{Adapter, with_trend_of};
use onshelf_model::training::{Batch, CodedItems, session_vectors};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::device::device;
use crate::files::{read_checked, read_versioned, write_atomic, write_json};
use crate::progress::Progress;
use crate::teacher;

pub use distil::{DistillOptions, Distilled, Source, fit, fit_all};

const FORMAT: u32 = 2;
const INFO: &str = "student.json";
const WEIGHTS: &str = "student.safetensors";

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
    /// Items that nobody clicked and that stand where their attributes put them.
    #[serde(default)]
    pub placed: Vec<u32>,
    /// Metrics on the teacher's validation sessions with full-precision items.
    pub validation_full: Summary,
    /// The same right after quantisation.
    pub validation_quantised: Summary,
    /// The same of the finished student, as it is in its file.
    pub validation: Summary,
    /// Bytes of the student's tensors, and of what its teacher answers from.
    pub bytes: [u64; 2],
    /// Wall-clock seconds.
    pub seconds: f64,
}

/// A student read from its folder, ready to score natively.
pub struct LoadedStudent {
    /// What it says of itself.
    pub info: StudentInfo,
    /// What scores.
    pub ready: ReadyStudent,
    /// Its tensors as they are in the file.
    pub file: Vec<u8>,
}

/// A student that scores natively.
pub struct ReadyStudent {
    /// Its shape.
    pub shape: StudentShape,
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

/// How a student's tensors are kept in files: matrices of the encoder in whole numbers, centroids in
/// half precision, the small rest as it is. The adapter stays exact, since devices send back what they
/// changed of it.
#[must_use]
pub fn packing(name: &str) -> Packing {
    let (part, last) = (name.split('.').next(), name.rsplit('.').next());
    match (part, last) {
        (Some("items"), Some("centroids" | "trend" | "level_trend")) | (Some("adapter"), Some("fisher")) => {
            Packing::F16
        }
        (Some("blocks"), Some("qkv" | "out" | "up" | "down")) => Packing::I8,
        (Some("read"), Some("query" | "key" | "mix")) => Packing::I8,
        _ => Packing::F32,
    }
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
    let loaded = teacher::load(teacher_dir, data_dir, &data)?;
    let done = fit(&loaded.source(&data.catalogue), options, progress)?;
    let info = StudentInfo {
        format: FORMAT,
        options: options.clone(),
        trained_to: loaded.info.options.last_period,
        dataset: loaded.info.dataset.clone(),
        held_out: loaded.info.options.validation,
        weights: sha256_hex(&done.file),
        student: done.shape.clone(),
        fine_tune: FineTuneConfig::tuned(),
        placed: done.placed,
        validation_full: done.full,
        validation_quantised: done.quantised,
        validation: done.finished,
        bytes: [done.file.len() as u64, loaded.bytes()?],
        seconds: started.elapsed().as_secs_f64(),
    };
    write_atomic(&out.join(WEIGHTS), &done.file)?;
    write_json(&out.join(INFO), &info)?;
    Ok(info)
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

impl ReadyStudent {
    /// Reads a student's tensors, packed as in its file.
    ///
    /// # Errors
    /// Where they cannot be read, or one is missing or misshapen.
    pub fn new(file: &[u8], shape: &StudentShape) -> Result<Self> {
        let weights = Weights::from_safetensors(file)?;
        let device = device();
        let codes = weights.bytes.get("items.codes").context("a student without item codes")?;
        let width = shape.dim / shape.subspaces;
        let centroids = weights.get("items.centroids", &[shape.subspaces, CENTROIDS, width])?.values.clone();
        let bias = weights.get("items.bias", &[CENTROIDS])?.values.clone();
        let table = ItemTable::new(shape.dim, shape.subspaces, codes.1.clone(), centroids, bias)?;
        let table = with_trend_of(table, &weights)?;
        Ok(Self {
            encoder: Encoder::new(&weights, shape, &device, false)?,
            adapter: Adapter::read(&weights, shape.dim, shape.adapter_rank)?,
            repeat: weights.get(REPEAT, &[shape.max_len])?.values.clone(),
            items: CodedItems::new(&table),
            shape: shape.clone(),
            table,
            weights,
            device,
        })
    }

    /// Scores at every predicted position with the shipped adapter: `[rows, items]`.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn scores(&self, batch: &Batch) -> Result<Vec<f32>> {
        let shape = &self.shape;
        let sessions = session_vectors(&self.encoder, batch, &self.items, shape, &self.device)?;
        let queries: Vec<f32> =
            sessions.chunks_exact(shape.dim).flat_map(|s| self.adapter.apply(s, None)).collect();
        Ok(score_rows(&self.table, &queries, shape, batch, &self.repeat))
    }
}

/// Reads a student's folder.
///
/// # Errors
/// Where a file is missing, damaged or of a newer format.
pub fn load(dir: &Path) -> Result<LoadedStudent> {
    let info: StudentInfo = read_versioned(&dir.join(INFO), "distill", FORMAT..=FORMAT)?;
    let path = dir.join(WEIGHTS);
    let file = read_checked(&path, &info.weights, "distill")?;
    let ready = ReadyStudent::new(&file, &info.student).with_context(|| path.display().to_string())?;
    Ok(LoadedStudent { ready, file, info })
}
