//! Ranking metrics over full rankings, without sampled negatives.
//!
//! Every function takes the 1-based **rank** of the one relevant item, or `None` where it is
//! not in the list. With a single relevant item Recall@k equals HR@k (hit rate), NDCG@k is
//! `1 / log2(1 + rank)` and MRR@k is `1 / rank` (Järvelin & Kekäläinen 2002; Voorhees 1999).

use serde::{Deserialize, Serialize};

/// Recall@k (= HR@k): 1 where the item is among the first `k`, else 0.
#[must_use]
pub fn recall_at(rank: Option<usize>, k: usize) -> f64 {
    f64::from(u8::from(rank.is_some_and(|r| r <= k)))
}

/// MRR@k: the reciprocal of the rank where it is at most `k`, else 0.
#[must_use]
pub fn mrr_at(rank: Option<usize>, k: usize) -> f64 {
    rank.filter(|&r| r <= k).map_or(0.0, |r| 1.0 / r as f64)
}

/// NDCG@k with one relevant item: `1 / log2(1 + rank)` where the rank is at most `k`, else 0.
#[must_use]
pub fn ndcg_at(rank: Option<usize>, k: usize) -> f64 {
    rank.filter(|&r| r <= k).map_or(0.0, |r| 1.0 / (1.0 + r as f64).log2())
}

/// The 1-based rank of `target` in a full list of scores (`scores[i]` belongs to item `i + 1`).
///
/// Ties are ranked by index: the target comes after every item of a
/// higher score and after equal scores of a lower index, the same order that
/// [`crate::rank::TopK`] lists. A target whose score is not finite has no rank.
#[must_use]
pub fn rank_of(scores: &[f32], target: u32) -> Option<usize> {
    let t = (target as usize).checked_sub(1)?;
    let own = *scores.get(t)?;
    if !own.is_finite() {
        return None;
    }
    let above = scores.iter().filter(|&&s| s > own).count();
    let ties_before = scores[..t].iter().filter(|&&s| s == own).count();
    Some(1 + above + ties_before)
}

/// Means of the metrics over many tests, and the number of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of tests (next-click positions).
    pub tests: u64,
    /// Mean Recall@20 (0–1).
    pub recall_20: f64,
    /// Mean MRR@20 (0–1).
    pub mrr_20: f64,
    /// Mean NDCG@20 (0–1).
    pub ndcg_20: f64,
    /// Mean HR@5 (0–1).
    pub hr_5: f64,
    /// Mean NDCG@5 (0–1).
    pub ndcg_5: f64,
    /// Mean HR@10 (0–1).
    pub hr_10: f64,
    /// Mean NDCG@10 (0–1).
    pub ndcg_10: f64,
    /// Share of the catalogue that appears in at least one first 20 (0–1); 0 where not measured.
    pub coverage_20: f64,
}

/// Adds up metrics, test by test; two sums can be merged, so threads can each keep one.
#[derive(Clone, Debug, Default)]
pub struct Accumulator {
    tests: u64,
    sums: [f64; 7],
    shown: std::collections::HashSet<u32>,
}

impl Accumulator {
    /// An empty sum.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one test whose relevant item has this rank.
    pub fn add(&mut self, rank: Option<usize>) {
        self.tests += 1;
        let values = [
            recall_at(rank, 20),
            mrr_at(rank, 20),
            ndcg_at(rank, 20),
            recall_at(rank, 5),
            ndcg_at(rank, 5),
            recall_at(rank, 10),
            ndcg_at(rank, 10),
        ];
        for (sum, value) in self.sums.iter_mut().zip(values) {
            *sum += value;
        }
    }

    /// Notes which items a test showed in its first 20, for the coverage.
    pub fn show(&mut self, items: impl IntoIterator<Item = u32>) {
        self.shown.extend(items);
    }

    /// Adds another sum to this one.
    pub fn merge(&mut self, other: &Self) {
        self.tests += other.tests;
        for (sum, value) in self.sums.iter_mut().zip(other.sums) {
            *sum += value;
        }
        self.shown.extend(&other.shown);
    }

    /// The means so far; all zero where there was no test. `items` is the catalogue's size.
    #[must_use]
    pub fn summary(&self, items: usize) -> Summary {
        let n = self.tests.max(1) as f64;
        let [recall_20, mrr_20, ndcg_20, hr_5, ndcg_5, hr_10, ndcg_10] = self.sums.map(|s| s / n);
        let coverage_20 = self.shown.len() as f64 / items.max(1) as f64;
        Summary { tests: self.tests, recall_20, mrr_20, ndcg_20, hr_5, ndcg_5, hr_10, ndcg_10, coverage_20 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_counts_as_a_test() {
        let mut sum = Accumulator::new();
        sum.add(Some(1));
        sum.add(None);
        let s = sum.summary(10);
        assert_eq!((s.tests, s.recall_20, s.mrr_20, s.ndcg_20), (2, 0.5, 0.5, 0.5));
    }

    #[test]
    fn ties_rank_by_index() {
        assert_eq!(rank_of(&[0.5, 0.9, 0.5], 1), Some(2));
        assert_eq!(rank_of(&[0.5, 0.9, 0.5], 3), Some(3));
        assert_eq!(rank_of(&[f32::NEG_INFINITY, 0.9], 1), None);
        assert_eq!(rank_of(&[0.5], 2), None);
        assert_eq!(rank_of(&[0.5], 0), None);
    }

    #[test]
    fn merging_equals_adding() {
        let ranks = [Some(1), Some(7), None, Some(20), Some(21)];
        let mut whole = Accumulator::new();
        let (mut left, mut right) = (Accumulator::new(), Accumulator::new());
        for (i, r) in ranks.into_iter().enumerate() {
            whole.add(r);
            if i < 2 { left.add(r) } else { right.add(r) }
        }
        left.merge(&right);
        assert_eq!(left.summary(5), whole.summary(5));
    }
}
