//! What would have been shown before a click, for evaluations: predict first, learn afterwards.

use onshelf_core::metrics::rank_of;

use super::Shopper;
use crate::error::ModelError;
use crate::personal::loss_of;

/// Where the item that was clicked next stood among all that could be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Foretold {
    /// Its rank by the shipped student, and by the personal model.
    pub ranks: [Option<usize>; 2],
    /// Their losses (nats): the negative log-likelihood of the item among those that could be shown.
    pub losses: [f64; 2],
    /// Whether the guard would have shown the personal model's shelf.
    pub personal: bool,
}

impl Shopper {
    /// Ranks `item` after the clicks so far, without learning anything; `hidden` items cannot be shown.
    ///
    /// # Errors
    /// [`ModelError`] of the device.
    pub async fn foretell(&mut self, item: u32, hidden: &[u32]) -> Result<Foretold, ModelError> {
        let session = self.newest().await?;
        let prefix = self.recent_items();
        let queries = [self.shipped_query(&session), self.personal.query(&session)];
        let mut out = Foretold { personal: self.is_personal(), ..Default::default() };
        for (at, query) in queries.iter().enumerate() {
            self.score_all(query, &prefix).await?;
            if at == 1 {
                self.traits.add(&self.personal.affinity, &mut self.scores);
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
