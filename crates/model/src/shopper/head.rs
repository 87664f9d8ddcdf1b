//! Where the personal model has its say: in the order of the items that the shipped student likes best.
//!
//! The shipped student chooses these items, [`REACH`] of those that may be shown, and the personal model orders
//! them; the places behind stay as they are. So no item falls or rises by more than [`REACH`] places, what the
//! shipped student rules out stays out, and a shelf costs one scan of the catalogue whoever orders it.
//!
//! Read as chances: the personal model deals out anew, by its own softmax, the chance that the shipped student gives
//! to these items together. Both give the same chance to every item behind them, so a click there says nothing about
//! who is better.

use onshelf_core::rank::top_k;
use onshelf_core::slices::dot;

use super::Shopper;
use crate::error::ModelError;

/// Items whose order the personal model may change; chosen on the shoppers of the new-shopper benchmark that decide.
pub const REACH: usize = 15;

/// What the personal model adds to the logits of the shipped student.
pub(super) struct Change {
    /// Difference of the two queries by temperature.
    query: Vec<f32>,
    /// Leanings to categories and brands.
    leanings: Vec<f32>,
}

impl Shopper {
    /// What the personal model adds after a session vector.
    pub(super) fn change(&self, session: &[f32]) -> Change {
        let temperature = self.manifest.student.temperature;
        let (personal, shipped) = (self.personal.query(session), self.shipped_query(session));
        let query = personal.iter().zip(&shipped).map(|(p, s)| (p - s) / temperature).collect();
        Change { query, leanings: self.personal.affinity.clone() }
    }

    /// The same to one item.
    fn added(&self, change: &Change, item: u32, vector: &mut Vec<f32>) -> f32 {
        vector.clear();
        self.student.table().push_scoring(item, vector);
        dot(&change.query, vector) + self.traits.bonus(&change.leanings, item)
    }

    /// Orders the best [`REACH`] of `ranked` (best first, by the shipped student) anew, as far as the personal
    /// model has a `say` (0–1).
    pub(super) fn reorder(&self, ranked: &mut [(u32, f32)], change: &Change, say: f32) {
        let head = ranked.len().min(REACH);
        let mut vector = Vec::new();
        for (item, score) in &mut ranked[..head] {
            *score += say * self.added(change, *item, &mut vector);
        }
        ranked[..head].sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    }

    /// Of the scores as the shipped student gave them: the best that may be shown.
    pub(super) fn head(&self) -> Vec<(u32, f32)> {
        top_k(&self.scores, REACH, |item| self.catalogue.is_trained(item))
    }

    /// Compares both models on the clicks that were not compared yet, before they are learned from.
    pub(super) async fn judge(&mut self, vectors: &[f32], items: &[u32]) -> Result<(), ModelError> {
        let dim = self.manifest.student.dim;
        let positions = vectors.len() / dim;
        let first = items.len() - positions;
        // At most three at a time: after a burst of clicks the newest tell enough.
        let from = self.judged.max(first + 1).max(items.len().saturating_sub(3));
        for at in from..items.len() {
            let session = &vectors[(at - 1 - first) * dim..(at - first) * dim];
            self.score_all(&self.shipped_query(session), &items[first..at]).await?;
            let shipped = self.head();
            let mut personal = shipped.clone();
            self.reorder(&mut personal, &self.change(session), 1.0);
            let (shipped, personal) = (loss_among(&shipped, items[at]), loss_among(&personal, items[at]));
            self.learn_leanings(items[at]);
            self.personal.judge(&self.student, shipped, personal);
        }
        self.judged = items.len();
        Ok(())
    }

    /// Counts a click for the leanings, from the scores that the shipped student gave before it.
    fn learn_leanings(&mut self, item: u32) {
        let (rate, memory) = (self.config.affinity_rate, self.config.affinity_memory);
        if rate > 0.0 {
            let counts = &mut self.personal.counts;
            self.traits.observe(counts, &self.scores, item, rate, memory);
            self.personal.affinity = counts.leanings();
        }
    }
}

/// The negative log-likelihood (nats) of a click among some scored items; 0 where it is none of them.
pub(super) fn loss_among(head: &[(u32, f32)], item: u32) -> f64 {
    let Some(&(_, own)) = head.iter().find(|(i, _)| *i == item) else { return 0.0 };
    let top = head.iter().map(|x| x.1).fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = head.iter().map(|x| (x.1 - top).exp()).sum();
    f64::from(top + sum.ln() - own)
}
