//! The teacher: a network and nearest sessions, which see different things, mixed and ordered once
//! more.

use onshelf_core::neighbour::{SessionLog, Transitions, Vsknn, VsknnOptions, VsknnScratch};
use onshelf_core::rank::top_k;
use rayon::prelude::*;

use super::batch::Batch;
use super::items::{FloatItems, ItemSource};
use super::loss::SoftTargets;
use super::network::Network;
use super::rerank::{self, CANDIDATES, Candidate, Examples, ItemFacts, Reranker, Situation};
use super::wide::{exp, largest, wide};
use crate::error::ModelError;

/// How the two opinions are mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blend {
    /// Share of the network (0: neighbours alone, 1: network alone).
    pub network: f32,
    /// The neighbours' shares are raised to this power before they are normalised.
    pub sharpness: f32,
}

impl Default for Blend {
    fn default() -> Self {
        Self { network: 0.5, sharpness: 1.0 }
    }
}

/// A network, what the log says by itself, and what orders their best candidates.
pub struct Teacher {
    /// The neural part.
    pub network: Network,
    /// Its item vectors, to read sessions with.
    pub items: FloatItems,
    /// The neighbour part.
    pub neighbours: Vsknn,
    /// Who follows whom.
    pub transitions: Transitions,
    /// What the log says of items.
    pub facts: ItemFacts,
    /// The mix.
    pub blend: Blend,
    /// The last word, where one was fitted.
    pub reranker: Option<Reranker>,
    /// Items that nobody clicked.
    unseen: Vec<u32>,
}

/// Working memory of one thread.
struct Scratch {
    knn: VsknnScratch,
    /// Neighbours' shares; 0 but where [`VsknnScratch::voted`] says.
    votes: Vec<f32>,
    /// The network's probabilities of the items that have a vote; others are left over.
    network: Vec<f32>,
    features: Vec<f32>,
    base: Vec<f32>,
    scores: Vec<f32>,
}

impl Teacher {
    /// A teacher of a network and a log, without a reranker yet.
    #[must_use]
    pub fn new(network: Network, items: FloatItems, log: &SessionLog) -> Self {
        let n = network.items();
        let facts = ItemFacts::new(log, n);
        Self {
            network,
            items,
            neighbours: Vsknn::new(log.clone(), n, VsknnOptions::teacher()),
            transitions: Transitions::new(log, n),
            unseen: (1..=n as u32).filter(|&i| !facts.seen(i)).collect(),
            facts,
            blend: Blend::default(),
            reranker: None,
        }
    }

    /// The probability of every item at every predicted position: `[rows, items]`. Items that nobody
    /// clicked have none. With `leave_out` a position's own session does not vote (the index was built
    /// on the same log).
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub fn chances(&self, batch: &Batch, leave_out: bool) -> Result<Vec<f32>, ModelError> {
        let mut scores = self.network.scores(batch, &self.items)?;
        self.weigh(batch, &mut scores, leave_out);
        Ok(scores)
    }

    /// Turns the network's logits `[rows, items]` of a batch into [`Self::chances`].
    pub fn weigh(&self, batch: &Batch, scores: &mut [f32], leave_out: bool) {
        scores.par_chunks_exact_mut(self.network.items()).enumerate().for_each_init(
            || self.scratch(),
            |scratch, (p, row)| {
                let prefix = batch.prefix(batch.rows[p]);
                let exclude = leave_out.then_some(batch.sessions[p]);
                let situation = self.mix(prefix, exclude, row, scratch);
                let Some(reranker) = &self.reranker else { return };
                let best = self.candidates(prefix, row, &situation, scratch);
                reranker.score(&scratch.features, &scratch.base, &mut scratch.scores);
                spread(row, &best, &scratch.scores);
            },
        );
    }

    /// What a reranker learns from: the candidates of every predicted position whose target is among
    /// them. The teacher must not have seen these sessions.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub fn examples(&self, batches: &[Batch]) -> Result<Examples, ModelError> {
        let n = self.network.items();
        let mut out = Examples { width: CANDIDATES.min(self.facts.known()), ..Default::default() };
        for batch in batches {
            let mut scores = self.network.scores(batch, &self.items)?;
            let rows: Vec<_> = scores
                .par_chunks_exact_mut(n)
                .enumerate()
                .map_init(
                    || self.scratch(),
                    |scratch, (p, row)| {
                        let prefix = batch.prefix(batch.rows[p]);
                        let situation = self.mix(prefix, None, row, scratch);
                        let best = self.candidates(prefix, row, &situation, scratch);
                        let clicked = best.iter().position(|b| b.0 == batch.targets[p])?;
                        Some((clicked, batch.sessions[p], scratch.features.clone(), scratch.base.clone()))
                    },
                )
                .collect();
            for (clicked, session, features, base) in rows.into_iter().flatten() {
                out.clicked.push(clicked);
                out.session.push(session);
                out.features.extend(features);
                out.base.extend(base);
            }
        }
        Ok(out)
    }

    fn scratch(&self) -> Scratch {
        let n = self.network.items();
        Scratch {
            knn: VsknnScratch::default(),
            votes: vec![0.0; n],
            network: vec![0.0; n],
            features: Vec::new(),
            base: Vec::new(),
            scores: Vec::new(),
        }
    }

    /// Replaces a row of logits by the mix; leaves the neighbours' shares in the scratch, and the
    /// network's probabilities of the items that they name.
    fn mix(&self, prefix: &[u32], exclude: Option<u32>, row: &mut [f32], scratch: &mut Scratch) -> Situation {
        for &item in &self.unseen {
            row[item as usize - 1] = f32::NEG_INFINITY;
        }
        let entropy = softmax(row);
        for &item in scratch.knn.voted() {
            scratch.votes[item as usize - 1] = 0.0;
        }
        self.neighbours.add_votes(prefix, exclude, &mut scratch.knn, &mut scratch.votes);
        let voted = scratch.knn.voted();
        let (surest, named) = shares(&mut scratch.votes, voted, self.blend.sharpness);
        // Where no session votes, the network speaks alone.
        let network = if named > 0 { self.blend.network } else { 1.0 };
        for &item in voted {
            scratch.network[item as usize - 1] = row[item as usize - 1];
        }
        wide(|| row.iter_mut().for_each(|score| *score *= network));
        for &item in voted {
            row[item as usize - 1] += (1.0 - network) * scratch.votes[item as usize - 1];
        }
        Situation { entropy, surest, named, network }
    }

    /// The best items of a mixed row, with their features in the scratch.
    fn candidates(
        &self,
        prefix: &[u32],
        row: &[f32],
        situation: &Situation,
        scratch: &mut Scratch,
    ) -> Vec<(u32, f32)> {
        let best = top_k(row, CANDIDATES.min(self.facts.known()), |i| self.facts.seen(i));
        let newest = prefix.last().copied().unwrap_or(0);
        let followers = self.transitions.followers(newest);
        let total: f32 = followers.iter().map(|f| f.1).sum::<f32>().max(1e-9);
        let mut vectors = Vec::new();
        self.items.push_vector(newest, &mut vectors);
        let dim = vectors.len();
        scratch.features.clear();
        scratch.base.clear();
        for &(item, mix) in &best {
            vectors.truncate(dim);
            self.items.push_vector(item, &mut vectors);
            let (newest, own) = vectors.split_at(dim);
            let at = item as usize - 1;
            let vote = scratch.votes[at];
            let candidate = Candidate {
                item,
                network: if vote > 0.0 { scratch.network[at] } else { mix / situation.network.max(1e-6) },
                neighbours: vote,
                mix,
                follows: followers.iter().find(|f| f.0 == item).map_or(0.0, |f| f.1 / total),
                alike: newest.iter().zip(own).map(|(a, b)| a * b).sum(),
            };
            scratch.features.extend(rerank::features(&candidate, situation, &self.facts, prefix));
            scratch.base.push((mix + 1e-9).ln());
        }
        best
    }

    /// The best `k` items of every position of the batches, as targets for a student.
    /// `positions` is the number of clicks in the training set.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub fn soft_targets(
        &self,
        batches: &[Batch],
        positions: usize,
        k: usize,
        mut done: impl FnMut(usize) -> bool,
    ) -> Result<SoftTargets, ModelError> {
        let mut out = SoftTargets::new(k, positions);
        for batch in batches {
            let chances = self.chances(batch, true)?;
            out.add(batch, &chances, self.network.items());
            if !done(batch.rows.len()) {
                break;
            }
        }
        Ok(out)
    }
}

/// Logits to probabilities; gives their entropy in nats.
pub(super) fn softmax(row: &mut [f32]) -> f32 {
    const LANES: usize = 16;
    wide(|| {
        let top = largest(row);
        let (mut sums, mut weighted) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for part in row.chunks_mut(LANES) {
            for ((s, sum), w) in part.iter_mut().zip(&mut sums).zip(&mut weighted) {
                // An item that is ruled out has no part in it: 0 · ∞ is not a number.
                let x = (*s - top).max(-100.0);
                *s = exp(x);
                *sum += *s;
                *w += *s * x;
            }
        }
        let (sum, weighted) = (sums.iter().sum::<f32>(), weighted.iter().sum::<f32>());
        let scale = 1.0 / sum;
        row.iter_mut().for_each(|s| *s *= scale);
        sum.ln() - weighted / sum
    })
}

/// Votes of the items that have one to shares; gives the largest and how many items have one.
fn shares(votes: &mut [f32], voted: &[u32], sharpness: f32) -> (f32, usize) {
    let (mut total, mut named, mut surest) = (0.0, 0, 0.0_f32);
    for &item in voted {
        let vote = &mut votes[item as usize - 1];
        if sharpness != 1.0 && *vote > 0.0 {
            *vote = vote.powf(sharpness);
        }
        total += *vote;
        named += usize::from(*vote > 0.0);
        surest = surest.max(*vote);
    }
    let total = total.max(1e-12);
    voted.iter().for_each(|&item| votes[item as usize - 1] /= total);
    (surest / total, named)
}

/// Gives the candidates the mass that they have together, in proportion to the softmax of `scores`.
fn spread(row: &mut [f32], best: &[(u32, f32)], scores: &[f32]) {
    let mass: f32 = best.iter().map(|b| b.1).sum();
    let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = scores.iter().map(|s| (s - top).exp()).sum();
    for (&(item, _), s) in best.iter().zip(scores) {
        row[item as usize - 1] = mass * (s - top).exp() / sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_and_shares_sum_to_one() {
        let mut row = [0.0, 1.0, f32::NEG_INFINITY];
        let entropy = softmax(&mut row);
        let expected = -row[..2].iter().map(|p| p * p.ln()).sum::<f32>();
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6 && row[2] == 0.0);
        assert!((entropy - expected).abs() < 1e-6);
        let mut votes = [0.0, 3.0, 1.0];
        assert_eq!(shares(&mut votes, &[3, 2], 1.0), (0.75, 2));
        assert_eq!(votes, [0.0, 0.75, 0.25]);
        let mut none = [0.0; 3];
        assert_eq!(shares(&mut none, &[], 0.5), (0.0, 0));
        let mut row = [0.5, 0.3, 0.2];
        spread(&mut row, &[(1, 0.5), (2, 0.3)], &[0.0, 0.0]);
        assert_eq!(row, [0.4, 0.4, 0.2]);
    }
}
