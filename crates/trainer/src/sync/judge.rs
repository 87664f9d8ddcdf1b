//! Sessions that a student foretells: those that decide, and those that test.

use anyhow::Result;
use onshelf_core::metrics::{Accumulator, Summary, ndcg_at, rank_of};
use onshelf_model::student::Student;
use onshelf_model::training::TrainSet;
use pollster::block_on;
use rayon::prelude::*;

use super::canary::Click;
use crate::progress::Progress;

/// A session as the encoder reads it.
#[derive(Clone)]
pub struct Read {
    /// `[clicks, dim]`
    pub vectors: Vec<f32>,
    /// As many items.
    pub items: Vec<u32>,
}

/// Reads the sessions of a set that have two clicks and more.
///
/// # Errors
/// Where the device fails, or on Ctrl-C.
pub fn read(student: &Student, set: &TrainSet, progress: &dyn Progress) -> Result<Vec<Read>> {
    let dim = student.shape().dim;
    (0..set.log.len())
        .into_par_iter()
        .filter(|&s| set.log.session(s).len() >= 2)
        .map(|s| {
            crate::stop::check()?;
            progress.advance(1);
            let input = set.input(s);
            let vectors = student.encode(&input);
            let clicks = vectors.len() / dim;
            Ok(Read { vectors, items: input.items[input.items.len() - clicks..].to_vec() })
        })
        .collect()
}

/// The rank of every click after a session's first, by session.
///
/// # Errors
/// Where the device fails, or on Ctrl-C.
pub fn foretell(student: &Student, sessions: &[Read]) -> Result<Vec<Vec<Option<usize>>>> {
    let dim = student.shape().dim;
    sessions
        .par_iter()
        .map_init(
            || (Vec::new(), Vec::new()),
            |(lut, scores), r| {
                crate::stop::check()?;
                (1..r.items.len())
                    .map(|at| {
                        let query = student.base().apply(&r.vectors[(at - 1) * dim..at * dim], None);
                        block_on(student.score(&query, &r.items[..at], lut, scores))?;
                        Ok(rank_of(scores, r.items[at]))
                    })
                    .collect()
            },
        )
        .collect()
}

/// How well sessions are foretold.
///
/// # Errors
/// As [`foretell`].
pub fn summary(student: &Student, sessions: &[Read]) -> Result<Summary> {
    let mut sum = Accumulator::new();
    foretell(student, sessions)?.into_iter().flatten().for_each(|rank| sum.add(rank));
    Ok(sum.summary(student.table().items()))
}

/// The same click by click, for [`super::canary::verdict`]; `counts` are the training clicks on each item.
///
/// # Errors
/// As [`foretell`].
pub fn clicks(student: &Student, sessions: &[Read], counts: &[u32]) -> Result<Vec<Click>> {
    let mut middle: Vec<u32> =
        sessions.iter().flat_map(|r| &r.items[..r.items.len() - 1]).map(|&i| counts[i as usize]).collect();
    middle.sort_unstable();
    let middle = middle.get(middle.len() / 2).copied().unwrap_or(0);
    let ranks = foretell(student, sessions)?;
    let of = |(session, ranks): (usize, Vec<Option<usize>>)| {
        let items = &sessions[session].items;
        let click = |(at, rank): (usize, Option<usize>)| Click {
            session,
            before: at + 1,
            after_known: counts[items[at] as usize] >= middle,
            value: ndcg_at(rank, 20),
        };
        ranks.into_iter().enumerate().map(click).collect::<Vec<Click>>()
    };
    Ok(ranks.into_iter().enumerate().flat_map(of).collect())
}
