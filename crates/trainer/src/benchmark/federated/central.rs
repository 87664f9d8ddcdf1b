//! What would be learned from the clicks themselves.

use anyhow::{Context, Result};
use onshelf_core::slices::add_scaled;
use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;
use onshelf_model::adam::Adam;
use onshelf_model::student::{Compute, Student};
use onshelf_model::training::{Candidates, CodedItems, Stepper};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::arm::best_of;
use super::period::{Period, whole_contribution};
use crate::device::device;
use crate::progress::Progress;
use crate::student::LoadedStudent;
use crate::sync::canary::verdict;
use crate::teacher::{Lessons, Rates, encoder_part, run_pass};

/// Rates and passes of the trend's training, and sessions of a batch.
const TREND: ([f32; 2], usize, usize) = ([0.001, 0.004], 2, 64);
/// Factors on the rates that the quantised student was distilled with, and most passes.
const WHOLE: ([f32; 3], usize) = ([0.3, 1.0, 3.0], 3);

/// The trend trained on the period's clicks by Adam; rate and passes by the deciding sessions.
pub(super) fn trend(
    student: &mut Student,
    period: &Period,
    seed: u64,
    progress: &dyn Progress,
) -> Result<()> {
    let n = student.table().centroids().len();
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
                    .map(|&at| whole_contribution(student, &period.devices[at]))
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
    student.set_trend(start.clone().unwrap_or_else(|| vec![0.0; n]))?;
    best_of(student, period, start, found).map(|_| ())
}

/// A whole student in training.
pub(super) struct Whole {
    weights: Weights,
}

impl Whole {
    /// As it scores.
    pub(super) fn student(&self, loaded: &LoadedStudent) -> Result<Student> {
        Ok(Student::new(&self.weights, &loaded.info.student, &Compute::Cpu)?)
    }
}

/// Encoder, centroids and bias levels trained on the period's clicks; codes stay. Rate and passes by one half
/// of the deciding sessions, the other half is the canary.
pub(super) fn whole(
    before: Option<Whole>,
    loaded: &LoadedStudent,
    period: &Period,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Whole> {
    let start = match before {
        Some(whole) => whole.weights,
        None => Weights::from_safetensors(&loaded.file)?,
    };
    let shape = &loaded.info.student;
    let student = |weights: &Weights| Ok::<_, anyhow::Error>(Student::new(weights, shape, &Compute::Cpu)?);
    let mean = |weights: &Weights| -> Result<f64> {
        let clicks = period.decide_anew(&student(weights)?, 0)?;
        Ok(clicks.iter().map(|c| c.value).sum::<f64>() / clicks.len() as f64)
    };
    let mut best = (mean(&start)?, None);
    for factor in WHOLE.0 {
        for weights in passes(&start, shape, period, (factor, seed), progress)? {
            let found = mean(&weights)?;
            if found > best.0 {
                best = (found, Some(weights));
            }
        }
    }
    let Some(weights) = best.1 else { return Ok(Whole { weights: start }) };
    let judge = |weights: &Weights| period.decide_anew(&student(weights)?, 1);
    let passes = verdict(&judge(&start)?, &judge(&weights)?).passes();
    Ok(Whole { weights: if passes { weights } else { start } })
}

/// The tensors after each pass.
fn passes(
    start: &Weights,
    shape: &StudentShape,
    period: &Period,
    (factor, seed): (f32, u64),
    progress: &dyn Progress,
) -> Result<Vec<Weights>> {
    let device = device();
    let table = student_table(start, shape)?;
    let mut items = CodedItems::new(&table);
    let mut stepper = Stepper::new(encoder_part(start), shape.clone(), &device);
    let counts = period.set.log.counts(table.items());
    let smooth: Vec<u32> = counts.iter().enumerate().map(|(at, c)| if at == 0 { 0 } else { c + 1 }).collect();
    let candidates = Candidates::new(&smooth, 0.5, 1024).with_targets(&counts);
    let lessons = Lessons { set: &period.set, candidates: &candidates, soft: None };
    let rates = Rates {
        passes: WHOLE.1,
        rate: 5e-4 * factor,
        item_rate: 2e-3 * factor,
        decay: 0.01,
        dropout: 0.1,
        distil: 0.0,
        certain: 0,
        positions: 256,
        max_len: shape.max_len,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut out = Vec::new();
    for pass in 0..rates.passes {
        run_pass(
            "the student from all clicks",
            pass,
            &lessons,
            &rates,
            &mut stepper,
            &mut items,
            &mut rng,
            progress,
        )?;
        progress.finish("");
        let mut weights = start.clone();
        weights.floats.extend(stepper.weights.floats.clone());
        let coded = items.weights();
        weights.floats.extend(coded.floats);
        weights.bytes.extend(coded.bytes);
        out.push(weights);
    }
    Ok(out)
}

/// The item table among a student's tensors.
fn student_table(weights: &Weights, shape: &StudentShape) -> Result<onshelf_core::rank::ItemTable> {
    use onshelf_core::rank::{CENTROIDS, ItemTable};
    let codes = weights.bytes.get("items.codes").context("a student without item codes")?;
    let width = shape.dim / shape.subspaces;
    let centroids = weights.get("items.centroids", &[shape.subspaces, CENTROIDS, width])?.values.clone();
    let bias = weights.get("items.bias", &[CENTROIDS])?.values.clone();
    Ok(ItemTable::new(shape.dim, shape.subspaces, codes.1.clone(), centroids, bias)?)
}
