//! What would be learned from the clicks themselves.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use anyhow::{Result, bail, ensure};
use onshelf_core::slices::add_scaled;
use onshelf_core::weights::Weights;
use onshelf_model::adam::Adam;
use onshelf_model::shared::Scratch;
use onshelf_model::student::{Compute, Student};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::arm::best_of;
use super::period::Period;
use crate::progress::Progress;
use crate::student::{self, LoadedStudent};
use crate::sync::optimiser::contribution;

/// Rates and passes of the trend's training, and sessions of a batch.
const TREND: ([f32; 2], usize, usize) = ([0.001, 0.004], 2, 64);

/// The trend trained on the period's clicks by Adam; rate and passes by the deciding sessions.
pub(super) fn trend(
    student: &mut Student,
    period: &Period,
    seed: u64,
    progress: &dyn Progress,
) -> Result<()> {
    let n = student.table().trend_len();
    let start = student.table().trend().map(<[f32]>::to_vec);
    let (rates, passes, batch) = TREND;
    let mut found = Vec::new();
    for rate in rates {
        let mut values = start.clone().unwrap_or_else(|| vec![0.0; n]);
        let mut adam = Adam::new(n);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut order: Vec<usize> = (0..period.devices.len()).collect();
        for _ in 0..passes {
            progress.start("the trend from all clicks", Some(order.len() as u64));
            order.shuffle(&mut rng);
            for some in order.chunks(batch) {
                student.set_trend(values.clone())?;
                let wishes = some
                    .par_iter()
                    .map(|&at| contribution(student, &period.devices[at], &mut Scratch::default()))
                    .collect::<Result<Vec<Vec<f32>>>>()?;
                let mut slope = vec![0.0; n];
                wishes.iter().for_each(|w| add_scaled(&mut slope, -1.0 / some.len() as f32, w));
                adam.step(&mut values, &slope, rate, 0.0);
                progress.advance(some.len() as u64);
            }
            found.push(values.clone());
        }
    }
    progress.finish("");
    student.set_trend(start.unwrap_or_else(|| vec![0.0; n]))?;
    best_of(student, period, found).map(|_| ())
}

/// A student that was trained centrally, clicks of the period included.
pub(super) struct Whole {
    loaded: LoadedStudent,
}

impl Whole {
    /// As it scores.
    pub(super) fn student(&self) -> Result<Student> {
        let weights = Weights::from_safetensors(&self.loaded.file)?;
        Ok(Student::new(&weights, &self.loaded.info.student, &Compute::Cpu)?)
    }
}

/// The students in `folders`, by the newest period that each was trained on: one for every learned period.
pub(super) fn students(
    folders: &[PathBuf],
    dataset: &str,
    periods: &[u32],
) -> Result<BTreeMap<u32, Rc<Whole>>> {
    let mut out = BTreeMap::new();
    for folder in folders {
        let loaded = student::load(folder)?;
        ensure!(loaded.info.dataset == dataset, "the student in {} is of another data set", folder.display());
        out.insert(loaded.info.trained_to, Rc::new(Whole { loaded }));
    }
    let missing = periods.iter().find(|&p| !folders.is_empty() && !out.contains_key(p));
    match missing {
        Some(period) => bail!("--central names no student that was trained to period {period}"),
        None => Ok(out),
    }
}
