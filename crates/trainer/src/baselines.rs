//! The methods that need no training, by their names in tables.

use onshelf_core::neighbour::{SessionLog, Transitions, Vsknn, VsknnOptions, VsknnScratch};

/// A simple method that saw a log.
pub(crate) enum Baseline {
    Popularity(Vec<f32>),
    Transitions(Transitions),
    Neighbours(Vsknn),
}

impl Baseline {
    /// Those that were published, and then what our teacher has for one of them.
    pub(crate) const NAMES: [&str; 4] = ["popularity", "item transitions", "VSKNN", "teacher's neighbours"];

    /// The method of a name in [`Self::NAMES`], on a log.
    pub(crate) fn new(name: &str, log: &SessionLog, items: usize) -> Self {
        let neighbours = |options| Self::Neighbours(Vsknn::new(log.clone(), items, options));
        match name {
            "popularity" => Self::Popularity(log.counts(items)[1..].iter().map(|&c| c as f32).collect()),
            "item transitions" => Self::Transitions(Transitions::new(log, items)),
            "VSKNN" => neighbours(VsknnOptions::default()),
            _ => neighbours(VsknnOptions::teacher()),
        }
    }

    /// Scores every item after the clicks of `prefix`.
    pub(crate) fn score(&self, prefix: &[u32], scratch: &mut VsknnScratch, scores: &mut [f32]) {
        match self {
            Self::Popularity(counts) => scores.copy_from_slice(counts),
            Self::Transitions(transitions) => transitions.score(prefix, scores),
            Self::Neighbours(knn) => knn.score(prefix, None, scratch, scores),
        }
    }
}
