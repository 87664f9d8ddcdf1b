//! Forgetting one item.
//!
//! What was learned is a sum over clicks, and no click can be taken out of it again. So the rule is: the item's clicks
//! go, all that was learned goes, and what can be learned from the clicks that are still kept is learned again
//! ([`Shopper::relearn`]). What was learned from earlier visits whose clicks are no longer kept is lost with it, because
//! nobody could tell any more whether the item was among them.

use onshelf_core::quality::{Gate, Rules};

use super::Shopper;
use crate::error::ModelError;
use crate::personal::Tuned;
use crate::student::Encoded;

/// What became of a wish to forget an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Clicks on it that were removed, those of earlier sessions included.
    pub removed: usize,
    /// Clicks of this session that are left.
    pub left: usize,
}

impl Shopper {
    /// Removes every click on an item from the session and from the earlier ones that are kept, and everything that
    /// was learned. Where no click that is kept names the item, nothing changes.
    pub fn forget(&mut self, item_id: &str) -> Forgotten {
        let Some(item) = self.catalogue.index_of(item_id) else {
            return Forgotten { removed: 0, left: self.clicks.len() };
        };
        let count = |shopper: &Self| shopper.clicks.len() + shopper.past.iter().map(Vec::len).sum::<usize>();
        let before = count(self);
        self.clicks.retain(|click| click.item != item);
        self.past.iter_mut().for_each(|clicks| clicks.retain(|click| click.item != item));
        let removed = before - count(self);
        if removed > 0 {
            self.past.retain(|clicks| clicks.len() > 1);
            self.unlearn();
        }
        Forgotten { removed, left: self.clicks.len() }
    }

    /// As if nothing had been learned from the clicks that are kept.
    fn unlearn(&mut self) {
        self.personal = self.nobody();
        self.judged = 0;
        self.encoded = Encoded::default();
        self.lut.clear();
        self.scores.clear();
        // It remembers recent items by itself.
        self.gate = Gate::new(Rules::default());
        for click in &self.clicks {
            self.gate.judge(click);
        }
    }

    /// Learns from the first `clicks` of the session as if the others had not happened yet. Called with 2, 3 and so on
    /// it learns a session anew, in the order in which it happened.
    ///
    /// # Errors
    /// As [`Self::fine_tune`]; the clicks are all there afterwards.
    pub async fn relearn(&mut self, clicks: usize, steps: usize) -> Result<Option<Tuned>, ModelError> {
        let later = self.clicks.split_off(clicks.min(self.clicks.len()));
        let tuned = self.fine_tune(steps).await;
        self.clicks.extend(later);
        tuned
    }
}
