//! The teacher: a network and nearest sessions, which see different things, mixed.

use onshelf_core::neighbour::{Vsknn, VsknnScratch};
use rayon::prelude::*;

use super::batch::Batch;
use super::items::FloatItems;
use super::loss::SoftTargets;
use super::network::Network;
use super::wide::{exp_below, largest, wide};
use crate::error::ModelError;

/// How the two opinions are mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Blend {
    /// Share of the network (0: neighbours alone, 1: network alone).
    pub network: f32,
    /// The neighbours' shares are raised to this power before they are normalised.
    pub sharpness: f32,
}

/// A network, a session index and their mix.
pub struct Teacher {
    /// The neural part.
    pub network: Network,
    /// Its item vectors, to read sessions with.
    pub items: FloatItems,
    /// The neighbour part.
    pub neighbours: Vsknn,
    /// The mix.
    pub blend: Blend,
}

impl Teacher {
    /// The mixed probability of every item at every predicted position: `[rows, items]`.
    /// With `leave_out` a position's own session does not vote (the index was built on the same log).
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub fn chances(&self, batch: &Batch, leave_out: bool) -> Result<Vec<f32>, ModelError> {
        let mut scores = self.network.scores(batch, &self.items)?;
        let n = self.network.items();
        scores.par_chunks_exact_mut(n).enumerate().for_each_init(
            || (VsknnScratch::default(), vec![0.0; n]),
            |(scratch, votes), (p, row)| {
                let exclude = leave_out.then_some(batch.sessions[p]);
                self.neighbours.score(batch.prefix(batch.rows[p]), exclude, scratch, votes);
                mix(row, votes, self.blend);
            },
        );
        Ok(scores)
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
        let mut out = SoftTargets { k, row_of: vec![u32::MAX; positions], ..Default::default() };
        let n = self.network.items();
        for batch in batches {
            let chances = self.chances(batch, true)?;
            let best: Vec<Vec<(u32, f32)>> =
                chances.par_chunks_exact(n).map(|row| onshelf_core::rank::top_k(row, k, |_| true)).collect();
            for (&position, list) in batch.positions.iter().zip(&best) {
                out.row_of[position as usize] = (out.items.len() / k) as u32;
                let sum: f32 = list.iter().map(|b| b.1).sum::<f32>().max(1e-12);
                for at in 0..k {
                    let (item, chance) = list.get(at).copied().unwrap_or((0, 0.0));
                    out.items.push(item);
                    out.chances.push(chance / sum);
                }
            }
            if !done(batch.rows.len()) {
                break;
            }
        }
        Ok(out)
    }
}

/// Replaces logits by mixed probabilities.
fn mix(logits: &mut [f32], votes: &[f32], blend: Blend) {
    let sum = wide(|| {
        let top = largest(logits);
        exp_below(logits, top)
    });
    let power = |v: f32| if blend.sharpness == 1.0 { v } else { v.powf(blend.sharpness) };
    // A few hundred of all items have votes.
    let voted: Vec<(usize, f32)> =
        votes.iter().enumerate().filter(|v| *v.1 > 0.0).map(|(at, &v)| (at, power(v))).collect();
    let total: f32 = voted.iter().map(|v| v.1).sum();
    // Where no session votes, the network speaks alone.
    let network = if total > 0.0 { blend.network } else { 1.0 };
    let (a, b) = (network / sum, (1.0 - network) / total.max(1e-12));
    wide(|| logits.iter_mut().for_each(|s| *s *= a));
    for (at, v) in voted {
        logits[at] += b * v;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mix_is_a_distribution_and_falls_back_to_the_network() {
        let logits = [0.0, 1.0, 2.0];
        for (votes, blend) in [([0.0, 3.0, 1.0], 0.5), ([0.0; 3], 0.0)] {
            let mut row = logits;
            mix(&mut row, &votes, Blend { network: blend, sharpness: 0.5 });
            assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            assert!(row[2] > row[0]);
        }
    }
}
