//! The softmax over a step's candidates and its gradient, for some of the predicted positions.

use std::ops::Range;

use onshelf_core::rank::top_k;
use rayon::prelude::*;

use super::batch::Batch;
use super::candidates::Chosen;
use super::wide::{exp_below, scale_and_add, wide};

/// The teacher's best items for positions of a training set.
#[derive(Clone, Default)]
pub struct SoftTargets {
    /// Items a position.
    pub k: usize,
    /// Row of each position (index of its target click), `u32::MAX` for none.
    pub row_of: Vec<u32>,
    /// `[rows, k]` items, best first; 0 is none.
    pub items: Vec<u32>,
    /// `[rows, k]` probabilities.
    pub chances: Vec<f32>,
}

impl SoftTargets {
    /// None yet, for a training set of so many clicks.
    #[must_use]
    pub fn new(k: usize, positions: usize) -> Self {
        Self { k, row_of: vec![u32::MAX; positions], ..Default::default() }
    }

    /// Adds the best `k` items of every position of a batch, of their probabilities `[rows, items]`.
    pub fn add(&mut self, batch: &Batch, chances: &[f32], items: usize) {
        let k = self.k;
        let best: Vec<Vec<(u32, f32)>> =
            chances.par_chunks_exact(items).map(|row| top_k(row, k, |_| true)).collect();
        for (&position, list) in batch.positions.iter().zip(&best) {
            self.row_of[position as usize] = (self.items.len() / k) as u32;
            let sum: f32 = list.iter().map(|b| b.1).sum::<f32>().max(1e-12);
            for at in 0..k {
                let (item, chance) = list.get(at).copied().unwrap_or((0, 0.0));
                self.items.push(item);
                self.chances.push(chance / sum);
            }
        }
    }

    /// Adds the targets of another set, whose sessions are put after those of this one.
    ///
    /// # Panics
    /// Where they name another number of items a position: a broken invariant of the caller.
    pub fn append(&mut self, more: &Self) {
        assert_eq!(self.k, more.k, "as many items a position");
        let rows = (self.items.len() / self.k.max(1)) as u32;
        let shifted = more.row_of.iter().map(|&r| if r == u32::MAX { r } else { r + rows });
        self.row_of.extend(shifted);
        self.items.extend_from_slice(&more.items);
        self.chances.extend_from_slice(&more.chances);
    }

    pub(super) fn of(&self, position: u32) -> Option<(&[u32], &[f32])> {
        let row = *self.row_of.get(position as usize)? as usize;
        let range = row.checked_mul(self.k)?..row.checked_mul(self.k)?.checked_add(self.k)?;
        Some((self.items.get(range.clone())?, &self.chances[range]))
    }
}

/// What the loss needs besides scores; the same for all positions of a step.
pub(super) struct Loss<'a> {
    pub batch: &'a Batch,
    pub chosen: &'a Chosen,
    pub soft: Option<&'a SoftTargets>,
    /// Share of the loss that follows the teacher.
    pub distil: f32,
    pub temperature: f32,
    /// Bias of each candidate less the log of its chance.
    pub bias: &'a [f32],
    /// Boost of the session's own items, by clicks since the last click on them.
    pub repeat: &'a [f32],
    /// Sum of the weights of the batch.
    pub total: f32,
}

/// What comes out beside the gradient by the scores.
#[derive(Default)]
pub(super) struct LossOut {
    pub loss: f64,
    /// By candidate.
    pub bias: Vec<f32>,
    pub repeat: Vec<f32>,
}

impl Loss<'_> {
    /// Turns the scores of some positions into the gradient of the loss by them (times the
    /// temperature), in place; gives their share of the mean loss.
    pub(super) fn gradient(&self, positions: Range<usize>, scores: &mut [f32]) -> LossOut {
        let width = self.bias.len();
        let mut out = LossOut { loss: 0.0, bias: vec![0.0; width], repeat: vec![0.0; self.repeat.len()] };
        let (mut own, mut targets) = (OwnItems::default(), Vec::new());
        for (p, row) in positions.zip(scores.chunks_exact_mut(width)) {
            let weight = self.batch.weights[p] / self.total;
            own.find(self.batch, self.chosen, p);
            for &(c, back) in &own.found {
                let boost = back.and_then(|b| self.repeat.get(b)).copied().unwrap_or(0.0);
                row[c] += (boost + self.chosen.log_chance[c]) * self.temperature;
            }
            self.targets(p, &mut targets);
            // Cross-entropy with targets y: logsumexp - sum(y * s), since y sums to 1.
            let mut aim = 0.0;
            let (top, sum) = wide(|| {
                let top = scale_and_add(row, 1.0 / self.temperature, self.bias);
                aim = targets.iter().map(|&(c, y)| y * row[c]).sum();
                (top, exp_below(row, top))
            });
            wide(|| row.iter_mut().for_each(|x| *x *= weight / sum));
            for &(c, y) in &targets {
                row[c] -= y * weight;
            }
            wide(|| out.bias.iter_mut().zip(&*row).for_each(|(sum, x)| *sum += x));
            for &(c, back) in &own.found {
                if let Some(g) = back.and_then(|b| out.repeat.get_mut(b)) {
                    *g += row[c];
                }
            }
            out.loss += f64::from(weight) * f64::from(top + sum.ln() - aim);
        }
        out
    }

    /// The wanted distribution of a position, as (candidate, share).
    fn targets(&self, p: usize, out: &mut Vec<(usize, f32)>) {
        let chosen = self.chosen;
        let own = chosen.place(self.batch.targets[p]).expect("targets are candidates");
        out.clear();
        if let Some((items, chances)) = self.soft.and_then(|s| s.of(self.batch.positions[p])) {
            out.extend(items.iter().zip(chances).filter_map(|(&i, &y)| Some((chosen.place(i)?, y))));
        }
        let sum: f32 = out.iter().map(|t| t.1).sum();
        if sum <= 0.0 {
            out.clear();
            out.push((own, 1.0));
            return;
        }
        out.iter_mut().for_each(|t| t.1 *= self.distil / sum);
        out.push((own, 1.0 - self.distil));
    }
}

/// For a predicted position: the candidates of its own session, and how many clicks ago each was
/// last clicked (`None` for those still to come).
///
/// They are candidates of this position for certain, whatever their popularity, so the correction
/// by the log of their chance must not apply to them: with it, training sees repeats far too often
/// and learns to rank them down. Only a target that was not clicked before came by chance.
#[derive(Default)]
struct OwnItems {
    found: Vec<(usize, Option<usize>)>,
    /// The session of the last call and its items, each once.
    session: Option<usize>,
    items: Vec<(u32, usize)>,
}

impl OwnItems {
    fn find(&mut self, batch: &Batch, chosen: &Chosen, p: usize) {
        let (row, length) = (batch.rows[p], batch.input.length);
        let session = row / length;
        if self.session != Some(session) {
            self.session = Some(session);
            let start = session * length;
            let clicked = batch.items[start..start + length].iter();
            // Rows of a session stand together; its last target is none of its inputs.
            let targets = batch.rows[p..].iter().zip(&batch.targets[p..]);
            let targets = targets.take_while(|&(row, _)| row / length == session).map(|(_, t)| t);
            let mut items: Vec<u32> = clicked.chain(targets).copied().filter(|&i| i != 0).collect();
            items.sort_unstable();
            items.dedup();
            self.items.clear();
            self.items.extend(items.iter().filter_map(|&i| Some((i, chosen.place(i)?))));
        }
        let (prefix, target) = (batch.prefix(row), batch.targets[p]);
        self.found.clear();
        self.found.extend(self.items.iter().filter_map(|&(item, place)| {
            let back = prefix.iter().rev().position(|&i| i == item);
            (back.is_some() || item != target).then_some((place, back))
        }));
    }
}
