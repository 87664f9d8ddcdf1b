//! A period as devices that learn, sessions that decide, and tests.

use anyhow::{Result, ensure};
use onshelf_core::metrics::{Accumulator, Summary, mrr_at, rank_of};
use onshelf_core::rank::top_k;
use onshelf_core::version::FineTuneConfig;
use onshelf_model::personal::Lesson;
use onshelf_model::student::{SessionInput, Student};
use pollster::block_on;
use rayon::prelude::*;

use super::FederatedOptions;
use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::progress::Progress;

/// Every so many sessions sits out of the rounds and decides.
const DECIDING: usize = 10;
/// Positions that decide, about.
const JUDGED: usize = 3_000;

/// A session as the frozen encoder reads it.
#[derive(Clone)]
struct Read {
    /// `[clicks, dim]`
    vectors: Vec<f32>,
    items: Vec<u32>,
}

/// See the module's head.
pub(super) struct Period {
    /// Its number.
    pub(super) period: u32,
    /// What each device learns from.
    pub(super) devices: Vec<Lesson>,
    /// What the sessions that decide would learn from.
    pub(super) public: Vec<Lesson>,
    deciding: Vec<Read>,
    tests: Vec<Read>,
}

impl Period {
    pub(super) fn new(
        student: &Student,
        corpus: &Corpus,
        data: &Dataset,
        period: u32,
        options: &FederatedOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let set = corpus.tests(data, data.sessions.in_period(period));
        progress.start(&format!("read period {period}"), Some(set.log.len() as u64));
        let read: Vec<Read> = (0..set.log.len())
            .into_par_iter()
            .filter(|&s| set.log.session(s).len() >= 2)
            .map(|s| {
                progress.advance(1);
                read(student, &set.input(s))
            })
            .collect::<Result<_>>()?;
        let decides = |at: usize| at % DECIDING == DECIDING / 2;
        let of = |kept: &dyn Fn(usize) -> bool| -> Vec<&Read> {
            read.iter().enumerate().filter(|r| kept(r.0)).map(|r| r.1).collect()
        };
        let lessons = |of: Vec<&Read>| -> Result<Vec<Lesson>> {
            let all = of.par_iter().map(|r| lesson(student, r)).collect::<Result<Vec<Option<Lesson>>>>()?;
            Ok(all.into_iter().flatten().collect())
        };
        let devices = lessons(of(&|at| !decides(at)))?;
        let held = of(&decides);
        let positions: usize = held.iter().map(|r| r.items.len() - 1).sum();
        let stride = positions.div_ceil(JUDGED).max(1);
        let held: Vec<&Read> = held.into_iter().step_by(stride).collect();
        ensure!(!held.is_empty(), "period {period} has too few sessions for some to decide");
        let public = lessons(held.clone())?;
        let deciding = held.into_iter().cloned().collect();
        let tests = read.into_iter().step_by(options.stride.max(1)).collect();
        progress.finish("");
        Ok(Self { period, devices, public, deciding, tests })
    }

    /// Reciprocal ranks (0 beyond the 20th) of the clicks of the sessions that sit out.
    pub(super) fn judge(&self, student: &Student) -> Result<Vec<f64>> {
        let ranks = foretell(student, &self.deciding)?;
        Ok(ranks.into_iter().map(|rank| mrr_at(rank, 20)).collect())
    }

    /// How well the period is foretold.
    pub(super) fn test(&self, student: &Student) -> Result<Summary> {
        let mut sum = Accumulator::new();
        foretell(student, &self.tests)?.into_iter().for_each(|rank| sum.add(rank));
        Ok(sum.summary(student.table().items()))
    }
}

fn read(student: &Student, input: &SessionInput) -> Result<Read> {
    let vectors = student.encode(input);
    let clicks = vectors.len() / student.shape().dim;
    Ok(Read { vectors, items: input.items[input.items.len() - clicks..].to_vec() })
}

/// The lesson of a session, with the shipped student's best items before its newest click.
fn lesson(student: &Student, read: &Read) -> Result<Option<Lesson>> {
    let dim = student.shape().dim;
    let Some(lesson) = Lesson::new(&read.vectors, &read.items, dim) else { return Ok(None) };
    let before = read.items.len() - 1;
    let query = student.base().apply(&read.vectors[(before - 1) * dim..before * dim], None);
    let (mut lut, mut scores) = (Vec::new(), Vec::new());
    block_on(student.score(&query, &read.items[..before], &mut lut, &mut scores))?;
    let hard = top_k(&scores, FineTuneConfig::tuned().hard, |_| true).into_iter().map(|s| s.0).collect();
    Ok(Some(lesson.with_hard(hard)))
}

/// The rank of every click after a session's first.
fn foretell(student: &Student, sessions: &[Read]) -> Result<Vec<Option<usize>>> {
    let dim = student.shape().dim;
    let ranks = sessions
        .par_iter()
        .map_init(
            || (Vec::new(), Vec::new()),
            |(lut, scores), r| {
                (1..r.items.len())
                    .map(|at| {
                        let query = student.base().apply(&r.vectors[(at - 1) * dim..at * dim], None);
                        block_on(student.score(&query, &r.items[..at], lut, scores))?;
                        Ok(rank_of(scores, r.items[at]))
                    })
                    .collect::<Result<Vec<Option<usize>>>>()
            },
        )
        .collect::<Result<Vec<_>>>()?;
    Ok(ranks.into_iter().flatten().collect())
}
