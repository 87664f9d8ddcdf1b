//! A start for the adapter from which a few clicks take a shopper far: Reptile (Nichol, Achiam &
//! Schulman, 2018) over sessions, each learned from as a device would.
//!
//! The start is kept only where sessions that were not learned from are foretold better after
//! adapting from it than after adapting from the one before.

use anyhow::Result;
use onshelf_core::metrics::{Accumulator, Summary, rank_of};
use onshelf_core::version::FineTuneConfig;
use onshelf_model::personal::{Lesson, Personal};
use onshelf_model::student::{Adapter, SessionInput, Student};
use onshelf_model::training::TrainSet;
use pollster::block_on;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::progress::Progress;
use crate::stop;

/// Sessions whose ends are averaged before the start moves.
const BATCH: usize = 64;
/// Optimiser steps on a session.
const STEPS: usize = 4;
/// Learning rate of these steps.
const RATE: f32 = 0.003;
/// Fewest clicks of a session that teaches how to adapt: two to learn from and one to foretell.
const CLICKS: usize = 3;
/// Sessions that decide, at most.
const DECIDING: usize = 1000;

/// What came of it.
#[derive(Clone, Debug)]
pub(super) struct Start {
    /// The adapter to ship: the new start, or the old one where that was better.
    pub(super) adapter: Adapter,
    /// Last clicks of unseen sessions after adapting to the clicks before: from the old start and the new.
    pub(super) adapted: [Summary; 2],
    /// Whether the new start is the better one.
    pub(super) kept: bool,
}

/// Moves the student's adapter over so many sessions of `teach`; `decide` says whether it is kept.
///
/// # Errors
/// Where the device fails or a loss is not finite, or on Ctrl-C.
pub(super) fn start(
    mut student: Student,
    teach: &TrainSet,
    decide: &TrainSet,
    tasks: usize,
    seed: u64,
    progress: &dyn Progress,
) -> Result<Start> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let config = config();
    let old = student.base().clone();
    let before = adapted(&student, decide, &config)?;
    let mut order = long_enough(teach);
    order.shuffle(&mut rng);
    order.truncate(tasks);
    progress.start("meta-learn the adapter's start", Some(order.len() as u64));
    let batches = order.len().div_ceil(BATCH);
    for (at, sessions) in order.chunks(BATCH).enumerate() {
        stop::check()?;
        let ends = sessions
            .par_iter()
            .map(|&s| Ok(adapt(&student, &teach.input(s), &config, seed ^ s as u64)?.adapter))
            .collect::<Result<Vec<Adapter>>>()?;
        // The move shrinks to nothing, so that the start comes to rest.
        let share = (1.0 - at as f32 / batches as f32) / ends.len() as f32;
        let mut moved = student.base().clone();
        for end in &ends {
            towards(&mut moved.down, &student.base().down, &end.down, share);
            towards(&mut moved.up, &student.base().up, &end.up, share);
        }
        student.set_base(moved);
        progress.advance(ends.len() as u64);
    }
    let after = adapted(&student, decide, &config)?;
    let kept = after.mrr_20 > before.mrr_20;
    let adapter = if kept { student.base().clone() } else { old };
    Ok(Start { adapter, adapted: [before, after], kept })
}

/// How these shoppers learn.
pub(super) fn config() -> FineTuneConfig {
    FineTuneConfig { learning_rate: RATE, memory: 1.0, ..FineTuneConfig::tuned() }
}

fn towards(moved: &mut [f32], from: &[f32], to: &[f32], share: f32) {
    moved.iter_mut().zip(from.iter().zip(to)).for_each(|(m, (a, b))| *m += share * (b - a));
}

/// Sessions that are long enough to learn from and to tell whether it helped.
pub(super) fn long_enough(set: &TrainSet) -> Vec<usize> {
    (0..set.log.len()).filter(|&s| set.log.session(s).len() >= CLICKS).collect()
}

/// A shopper who learned from a session.
pub(super) fn adapt(
    student: &Student,
    session: &SessionInput,
    config: &FineTuneConfig,
    seed: u64,
) -> Result<Personal> {
    let mut personal = Personal::new(student, seed);
    let vectors = student.encode(session);
    if let Some(lesson) = Lesson::new(&vectors, &session.items, student.shape().dim) {
        for _ in 0..STEPS {
            block_on(personal.step(student, &lesson, None, config))?;
        }
    }
    Ok(personal)
}

/// How well last clicks are foretold by shoppers who learned from the clicks before.
fn adapted(student: &Student, set: &TrainSet, config: &FineTuneConfig) -> Result<Summary> {
    let all = long_enough(set);
    let stride = all.len().div_ceil(DECIDING).max(1);
    let deciding: Vec<usize> = all.into_iter().step_by(stride).collect();
    let ranks = deciding
        .par_iter()
        .map(|&s| {
            let whole = set.input(s);
            let seen = whole.without(whole.items.len() - 1);
            let personal = adapt(student, &seen, config, s as u64)?;
            let vectors = student.encode(&seen);
            let dim = student.shape().dim;
            let newest = &vectors[vectors.len().saturating_sub(dim)..];
            let (mut lut, mut scores) = (Vec::new(), Vec::new());
            block_on(student.score(&personal.query(newest), &seen.items, &mut lut, &mut scores))?;
            Ok(rank_of(&scores, whole.items[whole.items.len() - 1]))
        })
        .collect::<Result<Vec<Option<usize>>>>()?;
    let mut sum = Accumulator::new();
    ranks.into_iter().for_each(|rank| sum.add(rank));
    Ok(sum.summary(student.table().items()))
}
