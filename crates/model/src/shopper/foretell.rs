//! What would have been shown before a click, for evaluations: predict first, learn afterwards.

use onshelf_core::metrics::rank_of;

use super::Shopper;
use super::head::loss_among;
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
        self.score_all(&self.shipped_query(&session), &prefix).await?;
        for &other in hidden.iter().filter(|&&other| other != item) {
            if let Some(score) = (other as usize).checked_sub(1).and_then(|i| self.scores.get_mut(i)) {
                *score = f32::NEG_INFINITY;
            }
        }
        let (rank, loss) = (rank_of(&self.scores, item), loss_of(&self.scores, item));
        let mut out = Foretold { personal: self.is_personal(), ranks: [rank; 3], losses: [loss; 3] };
        let (shipped, change) = (self.head(), self.change(&session));
        for (at, say) in [(1, 1.0), (2, self.personal.guard.say())] {
            let mut head = shipped.clone();
            self.reorder(&mut head, &change, say);
            let place = |ranked: &[(u32, f32)]| ranked.iter().position(|(i, _)| *i == item);
            if let (Some(before), Some(after)) = (place(&shipped), place(&head)) {
                // Items that may not be shown count in every rank alike.
                out.ranks[at] = rank.map(|rank| rank + after - before);
                out.losses[at] += loss_among(&head, item) - loss_among(&shipped, item);
            }
        }
        Ok(out)
    }
}
