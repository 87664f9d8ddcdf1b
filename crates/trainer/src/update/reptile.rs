//! Reptile (Nichol, Achiam & Schulman, 2018).

use anyhow::Result;
use onshelf_model::training::{FloatItems, Stepper};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::corpus::part_of;
use crate::progress::Progress;
use crate::teacher::{self, Lessons, Rates};

/// Tasks of a pass.
const TASKS: usize = 4;

/// A pass in tasks; after each the start moves half-way to where the task led.
pub(super) fn run_pass(
    pass: usize,
    lessons: &Lessons<'_>,
    rates: &Rates,
    stepper: &mut Stepper,
    items: &mut FloatItems,
    rng: &mut ChaCha8Rng,
    progress: &dyn Progress,
) -> Result<()> {
    let first = rng.random_range(0..TASKS);
    for task in 0..TASKS {
        let start = (stepper.weights.clone(), items.vectors.clone(), items.biases.clone());
        let set = part_of(lessons.set, |s| s % TASKS == (task + first) % TASKS);
        if set.log.iter().all(|s| s.len() < 2) {
            continue;
        }
        let part = Lessons { set: &set, candidates: lessons.candidates, soft: None };
        teacher::run_pass("update", pass, &part, rates, stepper, items, rng, progress)?;
        for (name, tensor) in &mut stepper.weights.floats {
            half_way(&mut tensor.values, &start.0.floats[name].values);
        }
        half_way(&mut items.vectors, &start.1);
        half_way(&mut items.biases, &start.2);
        items.normalise();
    }
    Ok(())
}

fn half_way(now: &mut [f32], then: &[f32]) {
    now.iter_mut().zip(then).for_each(|(a, b)| *a = 0.5 * (*a + b));
}
