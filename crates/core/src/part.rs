//! What of a student is synced in one round.
//!
//! The shared parameters are the **trend**: a movement of every centroid that scores, `[subspaces, 256,
//! width]`, and of the 256 bias levels. It is dense: a centroid or a level stands for a hundred items and more, and the
//! exact softmax gives each of them a gradient. A report holds at most 4,096 values, so a round syncs some neighbouring
//! subspaces, and the next round the next ones, the levels last: its *part*.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::privacy::encode::MAX_DIMENSION;
use crate::rank::CENTROIDS;
use crate::version::StudentShape;

/// How many items share a bias level at least, for devices to contribute to it: what is known of a level is known of none
/// of its items.
pub const LEVEL_ITEMS: usize = 10;

/// Why a part was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartError {
    /// A centroid has so many dimensions that 256 of them do not fit a report.
    #[error("part: centroids of {0} dimensions; a report of 4,096 values holds at most 16")]
    Wide(usize),
    /// The part lies outside of the student, or is empty, or longer than a report.
    #[error("part: {0} is not a part of a student of {1} subspaces")]
    Range(Part, usize),
}

/// Subspaces `first..first + count` of the trend; the bias levels count as the subspace after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The first subspace.
    pub first: usize,
    /// Number of subspaces.
    pub count: usize,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} subspaces of the trend from number {} on (the bias levels come last)",
            self.count, self.first
        )
    }
}

impl Part {
    /// The parts that cover the trend: the centroids in order, in as few parts as reports allow, then the levels.
    ///
    /// # Errors
    /// [`PartError::Wide`].
    pub fn all(shape: &StudentShape) -> Result<Vec<Self>, PartError> {
        let width = shape.dim / shape.subspaces.max(1);
        let most = MAX_DIMENSION / (CENTROIDS * width.max(1));
        if most == 0 {
            return Err(PartError::Wide(width));
        }
        let levels = Self { first: shape.subspaces, count: 1 };
        let firsts = (0..shape.subspaces).step_by(most);
        let centroids = firsts.map(|first| Self { first, count: most.min(shape.subspaces - first) });
        Ok(centroids.chain(std::iter::once(levels)).collect())
    }

    /// The part that round `round` of a lineage syncs: one after the other, so that neither a server nor
    /// a task has a choice.
    ///
    /// # Errors
    /// [`PartError::Wide`].
    pub fn of_round(shape: &StudentShape, round: u64) -> Result<Self, PartError> {
        let all = Self::all(shape)?;
        let turn = round % (all.len() as u64).max(1);
        all.get(turn as usize).copied().ok_or(PartError::Wide(shape.dim))
    }

    /// Where the part lies in the flat trend; as many values has its report.
    ///
    /// # Errors
    /// [`PartError::Range`].
    pub fn range(&self, shape: &StudentShape) -> Result<Range<usize>, PartError> {
        let bad = || PartError::Range(*self, shape.subspaces);
        let book = CENTROIDS * (shape.dim / shape.subspaces.max(1));
        let last = shape.subspaces + 1;
        let end = self.first.checked_add(self.count).filter(|end| *end <= last).ok_or_else(bad)?;
        let start = |at: usize| if at < last { at * book } else { shape.subspaces * book + CENTROIDS };
        let range = start(self.first)..start(end);
        // Levels and centroids are of different units, and never in one report.
        let mixed = self.first < shape.subspaces && end == last;
        if (1..=MAX_DIMENSION).contains(&range.len()) && !mixed { Ok(range) } else { Err(bad()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(dim: usize, subspaces: usize) -> StudentShape {
        let (blocks, heads, hidden, max_len) = (1, 1, 8, 5);
        StudentShape {
            dim,
            blocks,
            heads,
            hidden,
            max_len,
            subspaces,
            adapter_rank: 1,
            temperature: 0.1,
            times: false,
        }
    }

    #[test]
    fn parts_cover_the_trend_once_and_fit_a_report() {
        for (dim, subspaces, rounds) in
            [(96, 12, 7), (96, 24, 7), (64, 8, 5), (32, 8, 3), (80, 20, 6), (16, 16, 2)]
        {
            let shape = shape(dim, subspaces);
            let parts = Part::all(&shape).unwrap();
            assert_eq!(parts.len(), rounds, "{dim} {subspaces}");
            let centroids = CENTROIDS * dim;
            let mut end = 0;
            for (round, part) in parts.iter().enumerate() {
                let range = part.range(&shape).unwrap();
                assert_eq!(range.start, end);
                assert!(range.len() <= MAX_DIMENSION);
                end = range.end;
                assert_eq!(Part::of_round(&shape, (round + 3 * rounds) as u64), Ok(*part));
            }
            assert_eq!(parts.last().unwrap().range(&shape), Ok(centroids..end));
            assert_eq!(end, centroids + CENTROIDS);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(Part::all(&shape(96, 4)), Err(PartError::Wide(24)));
        let shape = shape(96, 12);
        for (first, count) in [(0, 0), (0, 3), (11, 2), (11, 3), (12, 2), (13, 1), (usize::MAX, 1)] {
            assert!(Part { first, count }.range(&shape).is_err(), "{first} {count}");
        }
    }
}
