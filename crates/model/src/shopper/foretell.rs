//! What would have been shown before a click, for evaluations: predict first, learn afterwards.

use onshelf_core::metrics::rank_of;

use super::Shopper;
use crate::error::ModelError;
use crate::personal::loss_of;

/// Where the item that was clicked next stood among all that could be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Foretold {
    /// Its rank by the shipped student, by the personal model, and as the guard would have shown it.
    pub ranks: [Option<usize>; 3],
    /// Their losses (nats): the negative log-likelihood of the item among those that could be shown.
    pub losses: [f64; 3],
    /// Whether the personal model had a say in what would have been shown.
    pub personal: bool,
}

impl Shopper {
    /// Ranks `item` after the clicks so far, without learning anything; `hidden` items cannot be shown.
    ///
    /// # Errors
    /// [`ModelError`] of the device.
    pub async fn foretell(&mut self, item: u32, hidden: &[u32]) -> Result<Foretold, ModelError> {
        let session = self.newest();
        let prefix = self.recent_items();
        let queries = [self.shipped_query(&session), self.personal.query(&session), self.query(&session)];
        let leanings = [Vec::new(), self.personal.affinity.clone(), self.leanings()];
        let mut out = Foretold { personal: self.is_personal(), ..Default::default() };
        for (at, query) in queries.iter().enumerate() {
            self.score_all(query, &prefix).await?;
            if at > 0 {
                self.traits.add(&leanings[at], &mut self.scores);
            }
            for &other in hidden.iter().filter(|&&other| other != item) {
                if let Some(score) = (other as usize).checked_sub(1).and_then(|i| self.scores.get_mut(i)) {
                    *score = f32::NEG_INFINITY;
                }
            }
            (out.ranks[at], out.losses[at]) = (rank_of(&self.scores, item), loss_of(&self.scores, item));
        }
        Ok(out)
    }
}
