//! Passes over sessions: what training from nothing and updating have in common.

use std::f32::consts::PI;

use anyhow::Result;
use onshelf_model::training::{Candidates, ItemSource, SoftTargets, StepOptions, Stepper, TrainSet, batches};
use rand_chacha::ChaCha8Rng;

use super::TrainOptions;
use crate::progress::Progress;
use crate::stop;

/// What is learned from.
pub(crate) struct Lessons<'a> {
    /// The sessions.
    pub(crate) set: &'a TrainSet,
    /// Where negatives come from.
    pub(crate) candidates: &'a Candidates,
    /// A teacher's opinion on some of the positions.
    pub(crate) soft: Option<&'a SoftTargets>,
}

/// How it is learned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) passes: usize,
    pub(crate) rate: f32,
    pub(crate) item_rate: f32,
    pub(crate) decay: f32,
    pub(crate) dropout: f32,
    pub(crate) distil: f32,
    pub(crate) certain: usize,
    pub(crate) positions: usize,
    pub(crate) max_len: usize,
}

impl Rates {
    pub(crate) fn of(options: &TrainOptions) -> Self {
        Self {
            passes: options.passes,
            rate: options.rate,
            item_rate: options.item_rate,
            decay: options.decay,
            dropout: options.dropout,
            distil: 0.0,
            certain: 0,
            positions: options.positions,
            max_len: options.max_len,
        }
    }
}

/// Small logs need small steps, or a pass has too few of them.
fn positions_of_a_step(asked: usize, total: u64) -> usize {
    if asked > 0 { asked } else { (total / 200).clamp(128, 1024) as usize }
}

/// Warm-up over 0.3 of a pass, then a cosine to 2 % (Loshchilov & Hutter, ICLR 2017).
#[must_use]
pub fn schedule(at: f32, passes: usize) -> f32 {
    let warm = (at * passes as f32 / 0.3).min(1.0);
    warm * (0.5 * (1.0 + (PI * at).cos())).max(0.02)
}

/// One pass; gives the mean loss of its steps.
#[expect(clippy::too_many_arguments, reason = "the inner loop of all that trains")]
pub(crate) fn run_pass(
    what: &str,
    pass: usize,
    lessons: &Lessons<'_>,
    rates: &Rates,
    stepper: &mut Stepper,
    items: &mut impl ItemSource,
    rng: &mut ChaCha8Rng,
    progress: &dyn Progress,
) -> Result<f64> {
    let log = &lessons.set.log;
    let total: u64 = log.iter().map(|s| s.len().saturating_sub(1) as u64).sum();
    progress.start(&format!("{what} pass {}/{}", pass + 1, rates.passes), Some(total));
    let positions = positions_of_a_step(rates.positions, total);
    let work = batches(lessons.set, rates.max_len, positions, rng, |_| true);
    let mut loss = 0.0;
    for (at, batch) in work.iter().enumerate() {
        if stop::asked() {
            return Err(stop::Stopped.into());
        }
        let at = (pass as f32 + at as f32 / work.len() as f32) / rates.passes as f32;
        let scale = schedule(at, rates.passes);
        let step = StepOptions {
            rate: rates.rate * scale,
            item_rate: rates.item_rate * scale,
            decay: rates.decay,
            dropout: rates.dropout,
            distil: rates.distil,
            certain: rates.certain,
        };
        loss += stepper.step(items, batch, lessons.candidates, lessons.soft, &step, rng)?;
        progress.advance(batch.rows.len() as u64);
    }
    Ok(loss / work.len().max(1) as f64)
}
