//! How sure the shipped student is of each parameter of its adapter: the diagonal of the Fisher information,
//! for elastic weight consolidation on devices (Kirkpatrick et al., PNAS 2017).
//!
//! Where `up` is zero, as in an adapter that was shipped untrained, nothing depends on `down`, and its
//! information there is zero: a device would be free to move `down` anywhere, although it matters as soon as
//! `up` has moved. So the information is taken where devices are after they learned from a session, as mean
//! over sessions. It is divided by its mean over all parameters, so that the strength of the pull means the
//! same as that of the proximal term, and no parameter has less than a thousandth of the mean.

use anyhow::Result;
use onshelf_core::version::StudentShape;
use onshelf_core::weights::{Tensor, Weights};
use onshelf_model::personal::Lesson;
use onshelf_model::student::{Compute, FISHER, Student};
use onshelf_model::training::TrainSet;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::{meta, packing};
use crate::progress::Progress;
use crate::stop;

/// Least information of a parameter, as share of the mean.
const FLOOR: f64 = 1e-3;

/// The student's file with the information estimated on so many sessions of `teach`; the file as it was where
/// they tell nothing.
///
/// # Errors
/// Where the file cannot be read, the device fails or a loss is not finite, or on Ctrl-C.
pub(super) fn added(
    file: &[u8],
    shape: &StudentShape,
    teach: &TrainSet,
    sessions: usize,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Vec<u8>> {
    let mut weights = Weights::from_safetensors(file)?;
    let student = Student::new(&weights, shape, &Compute::Cpu)?;
    let mut order = meta::long_enough(teach);
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.truncate(sessions);
    progress.start("the adapter's Fisher information", Some(order.len() as u64));
    let all = order
        .par_iter()
        .map(|&s| {
            stop::check()?;
            progress.advance(1);
            information(&student, teach, s, seed ^ s as u64)
        })
        .collect::<Result<Vec<Vec<f64>>>>()?;
    let n = 2 * shape.dim * shape.adapter_rank;
    let mut sum = vec![0.0_f64; n];
    // In the order of the sessions: the same bytes whatever the threads did.
    for one in &all {
        sum.iter_mut().zip(one).for_each(|(sum, x)| *sum += x);
    }
    let mean = sum.iter().sum::<f64>() / n as f64;
    if !(mean.is_finite() && mean > 0.0) {
        return Ok(file.to_vec());
    }
    let values = sum.iter().map(|x| (x / mean).clamp(FLOOR, 6e4) as f32).collect();
    weights.floats.insert(FISHER.into(), Tensor { shape: vec![2, n / 2], values });
    progress.finish(&format!("the adapter's Fisher information from {} sessions", all.len()));
    Ok(weights.to_packed(packing)?)
}

/// What a session tells, where a shopper stands who learned from it.
fn information(student: &Student, teach: &TrainSet, session: usize, seed: u64) -> Result<Vec<f64>> {
    let (input, config) = (teach.input(session), meta::config());
    let personal = meta::adapt(student, &input, &config, seed)?;
    let mut sum = vec![0.0; personal.adapter.down.len() + personal.adapter.up.len()];
    let vectors = student.encode(&input);
    if let Some(lesson) = Lesson::new(&vectors, &input.items, student.shape().dim) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        personal.add_information(student, &lesson, &config, &mut rng, &mut sum);
    }
    Ok(sum)
}
