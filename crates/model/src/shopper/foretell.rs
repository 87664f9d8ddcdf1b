//! What would have been shown before a click, for evaluations: predict first, learn afterwards.

use onshelf_core::metrics::rank_of;

use super::Shopper;
use crate::error::ModelError;
use crate::personal::{Guard, loss_of};

/// Where the item that was clicked next stood among all that could be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Foretold {
    /// Its rank by the shipped student, and by the personal model.
    pub ranks: [Option<usize>; 2],
    /// Their losses (nats): the negative log-likelihood of the item among those that could be shown.
    pub losses: [f64; 2],
    /// The guard before the click.
    pub guard: Guard,
    /// Whether it would have shown the personal model's shelf.
    pub personal: bool,
}

impl Foretold {
    /// The rank on the shelf that would have been shown.
    #[must_use]
    pub fn shown(&self) -> Option<usize> {
        self.ranks[usize::from(self.personal)]
    }
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
        let mut out =
            Foretold { personal: self.is_personal(), guard: self.personal.guard, ..Default::default() };
        let (mut lut, mut scores) = (std::mem::take(&mut self.lut), std::mem::take(&mut self.scores));
        let mut scored = Ok(());
        for (at, query) in queries.iter().enumerate() {
            scored = self.student.score(query, &prefix, &mut lut, &mut scores).await;
            if scored.is_err() {
                break;
            }
            if at == 1 {
                self.traits.add(&self.personal.affinity, &mut scores);
            }
            for &other in hidden.iter().filter(|&&other| other != item) {
                if let Some(score) = (other as usize).checked_sub(1).and_then(|i| scores.get_mut(i)) {
                    *score = f32::NEG_INFINITY;
                }
            }
            (out.ranks[at], out.losses[at]) = (rank_of(&scores, item), loss_of(&scores, item));
        }
        (self.lut, self.scores) = (lut, scores);
        scored?;
        Ok(out)
    }
}

impl Shopper {
    /// hack
    pub async fn all_scores(&mut self) -> Result<Vec<f32>, ModelError> {
        let session = self.newest().await?;
        let prefix = self.recent_items();
        let q = self.shipped_query(&session);
        let (mut lut, mut scores) = (Vec::new(), Vec::new());
        self.student.score(&q, &prefix, &mut lut, &mut scores).await?;
        Ok(scores)
    }
}
