//! A student as devices get it, of those who teach.

use std::path::Path;

use anyhow::Result;
use onshelf_core::catalogue::Catalogue;
use onshelf_core::version::{FineTuneConfig, Manifest, PLAIN_FORMAT, StudentShape, sha256_hex};
use onshelf_core::weights::Weights;
use onshelf_model::shopper::Shopper;
use onshelf_model::student::Compute;
use onshelf_model::training::TrainSet;
use serde::{Deserialize, Serialize};

use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::export::mark_untrained;
use crate::files::{read_checked, read_json, write_atomic, write_json};
use crate::progress::Progress;
use crate::student::{self, DistillOptions};
use crate::teacher::{self, LoadedTeacher, TrainOptions};

/// What a kept student was made of, and what it is.
#[derive(Serialize, Deserialize)]
struct Kept {
    made_of: serde_json::Value,
    sha256: String,
    about: About,
}

/// What is known of a student besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct About {
    pub(crate) shape: StudentShape,
    placed: Vec<u32>,
    /// Of the student and its teacher.
    pub(crate) bytes: [u64; 2],
}

/// A student as devices get it.
pub(crate) struct Shipped {
    pub(crate) about: About,
    weights: Weights,
    pub(crate) catalogue: Catalogue,
    pub(crate) counts: Vec<u32>,
    /// Its tensors, packed.
    pub(crate) file: Vec<u8>,
}

impl Shipped {
    /// Trains a teacher on `teach`; `decide` validates.
    pub(crate) fn teacher(
        data: &Dataset,
        hash: &str,
        [teach, decide]: [TrainSet; 2],
        train: &TrainOptions,
        progress: &dyn Progress,
    ) -> Result<LoadedTeacher> {
        let mut corpus = Corpus::of(teach, data.catalogue.len());
        corpus.validation = known(&decide, &corpus.counts);
        let state = teacher::fit(data, &corpus, train, hash.to_owned(), None, progress)?;
        state.with(corpus)
    }

    fn new(data: &Dataset, about: About, file: Vec<u8>, counts: Vec<u32>) -> Result<Self> {
        let weights = Weights::from_safetensors(&file)?;
        let catalogue = mark_untrained(&data.catalogue, &counts, &about.placed)?;
        Ok(Self { about, weights, catalogue, counts, file })
    }

    /// Trains a teacher on `teach` and distils it; `decide` validates.
    pub(crate) fn make(
        data: &Dataset,
        hash: &str,
        [teach, decide]: [TrainSet; 2],
        train: &TrainOptions,
        distil: &DistillOptions,
        progress: &dyn Progress,
    ) -> Result<(Self, LoadedTeacher)> {
        let loaded = Self::teacher(data, hash, [teach, decide], train, progress)?;
        let done = student::fit(&loaded.source(&data.catalogue), distil, progress)?;
        let bytes = [done.file.len() as u64, loaded.bytes()?];
        let about = About { shape: done.shape, placed: done.placed, bytes };
        let shipped = Self::new(data, about, done.file, loaded.corpus.counts.clone())?;
        Ok((shipped, loaded))
    }

    /// The same, from `folder` where it was kept.
    pub(super) fn kept_or_made(
        data: &Dataset,
        hash: &str,
        [teach, decide]: [TrainSet; 2],
        train: &TrainOptions,
        distil: &DistillOptions,
        folder: &Path,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let (info, weights) = (folder.join("student.json"), folder.join("student.safetensors"));
        let made_of = serde_json::json!({ "train": train, "distil": distil, "dataset": hash });
        if info.exists() {
            let kept: Kept = read_json(&info, "benchmark")?;
            if kept.made_of == made_of {
                let file = read_checked(&weights, &kept.sha256, "benchmark")?;
                let counts = teach.log.counts(data.catalogue.len());
                progress.finish("the student was distilled before");
                return Self::new(data, kept.about, file, counts);
            }
        }
        let made = Self::make(data, hash, [teach, decide], train, distil, progress)?.0;
        write_atomic(&weights, &made.file)?;
        let kept = Kept { made_of, sha256: sha256_hex(&made.file), about: made.about.clone() };
        write_json(&info, &kept)?;
        Ok(made)
    }

    pub(super) fn manifest(&self, config: &FineTuneConfig) -> Manifest {
        Manifest {
            format: PLAIN_FORMAT,
            name: "benchmark".into(),
            created: 0,
            previous: None,
            student: self.about.shape.clone(),
            frozen: None,
            fine_tune: config.clone(),
            items: self.catalogue.len() as u32,
            files: Vec::new(),
            metrics: Default::default(),
        }
    }

    /// A device with this student on it.
    pub(super) fn device(&self, version: &str, config: &FineTuneConfig, seed: u64) -> Result<Shopper> {
        let (manifest, catalogue) = (self.manifest(config), self.catalogue.clone());
        Ok(Shopper::new(version.into(), manifest, catalogue, &self.weights, &Compute::Cpu, seed)?)
    }
}

/// Histories without items that have no count.
pub(crate) fn known(set: &TrainSet, counts: &[u32]) -> TrainSet {
    let mut out = TrainSet::default();
    for session in set.log.iter() {
        let kept: Vec<u32> = session.iter().copied().filter(|&i| counts[i as usize] > 0).collect();
        if kept.len() > 1 {
            out.push_items(&kept);
        }
    }
    out
}
