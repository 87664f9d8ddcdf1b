//! A period as devices that learn, sessions that decide, and tests.

use std::sync::Arc;

use anyhow::{Result, ensure};
use onshelf_core::metrics::Summary;
use onshelf_model::shared::Scratch;
use onshelf_model::student::Student;
use onshelf_model::training::TrainSet;
use rayon::prelude::*;

use super::FederatedOptions;
use crate::corpus::{Corpus, part_of};
use crate::dataset::Dataset;
use crate::progress::Progress;
use crate::sync::canary::Click;
use crate::sync::gate::Half;
use crate::sync::judge::{self, Read, read};
use crate::sync::optimiser::contribution;

/// Every so many sessions sits out of the rounds and decides: half of them choose, the other half judge.
const DECIDING: usize = 5;
/// Most sessions of either half.
const JUDGED: usize = 3_000;

/// See the module's head.
pub(super) struct Period {
    /// Its number.
    pub(super) period: u32,
    /// The sessions of the devices, as the student reads them.
    pub(super) devices: Vec<Read>,
    deciding: [Vec<Read>; 2],
    tests: (TrainSet, Vec<Read>),
    counts: Vec<u32>,
    old: Arc<Vec<Read>>,
}

/// Sessions as they are and as the student reads them.
fn both(student: &Student, set: TrainSet, progress: &dyn Progress) -> Result<(TrainSet, Vec<Read>)> {
    let reads = read(student, &set, progress)?;
    Ok((set, reads))
}

impl Period {
    pub(super) fn new(
        student: &Student,
        corpus: &Corpus,
        data: &Dataset,
        period: u32,
        old: Arc<Vec<Read>>,
        options: &FederatedOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let all = corpus.tests(data, data.sessions.in_period(period));
        progress.start(&format!("read period {period}"), Some(all.log.len() as u64));
        let place = |s: usize| s % DECIDING;
        let stride = (all.log.len() / DECIDING / 2).div_ceil(JUDGED).max(1);
        let half = |half: usize| {
            let own =
                move |s: usize| place(s) == DECIDING / 2 && s / DECIDING % (2 * stride) == half * stride;
            read(student, &part_of(&all, own), progress)
        };
        let deciding = [half(0)?, half(1)?];
        ensure!(
            deciding.iter().all(|d| !d.is_empty()),
            "period {period} has too few sessions for some to decide"
        );
        let devices = read(student, &part_of(&all, |s| place(s) != DECIDING / 2), progress)?;
        let tested = options.stride.max(1);
        let tests = both(student, part_of(&all, |s| s % tested == 0), progress)?;
        progress.finish("");
        Ok(Self { period, devices, deciding, tests, counts: corpus.counts.clone(), old })
    }

    /// The clicks of a half of the deciding sessions.
    pub(super) fn decide(&self, student: &Student, half: Half) -> Result<Vec<Click>> {
        judge::clicks(student, &self.deciding[half as usize], &self.counts)
    }

    /// How well the period is foretold.
    pub(super) fn test(&self, student: &Student) -> Result<Summary> {
        judge::summary(student, &self.tests.1)
    }

    /// The same for a student that reads sessions in its own way.
    pub(super) fn test_anew(&self, student: &Student) -> Result<Summary> {
        judge::summary(student, &read(student, &self.tests.0, &crate::progress::Silent)?)
    }

    /// The sessions that test.
    pub(super) fn tests(&self) -> &[Read] {
        &self.tests.1
    }

    /// Sessions that the student was trained on, which a sum is followed by.
    pub(super) fn old(&self) -> &[Read] {
        &self.old
    }

    /// Training clicks on each item.
    pub(super) fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// What the sessions that choose would contribute: public, for the clip norms.
    pub(super) fn public(&self, student: &Student) -> Result<Vec<Vec<f32>>> {
        self.deciding[0].par_iter().map(|r| contribution(student, r, &mut Scratch::default())).collect()
    }
}

/// The L2 norm.
pub(super) fn norm(values: &[f32]) -> f64 {
    values.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}
