//! What the shopper's device puts into a round.

use onshelf_core::event::Click;
use onshelf_core::part::Part;

use super::Shopper;
use crate::error::ModelError;
use crate::shared::{Scratch, contribution};
use crate::student::Encoded;

impl Shopper {
    /// The direction in which the clicks of this session, and of earlier ones where they are kept, would move a
    /// part of the shared trend: as many values as the part has, neither clipped nor rotated yet. Sessions in
    /// which nothing happened since the last contribution are left out. `None` where there is nothing to
    /// learn from. Nothing is changed, and nothing personal is in it but the clicks' own gradient.
    ///
    /// # Errors
    /// [`ModelError`] of the device, or where the student has no such part.
    pub async fn contribution(&mut self, part: &Part) -> Result<Option<Vec<f32>>, ModelError> {
        let mut read: Vec<(Vec<f32>, Vec<u32>)> = Vec::with_capacity(self.past.len() + 1);
        for clicks in self.past.iter().chain([&self.clicks]) {
            if self.contributed_ms.is_some() && newest(clicks) <= self.contributed_ms {
                continue;
            }
            let mut encoded = Encoded::default();
            self.student.encode_on(&self.input_of(clicks), &mut encoded);
            read.push((encoded.vectors().to_vec(), clicks.iter().map(|c| c.item).collect()));
        }
        let sessions: Vec<(&[f32], &[u32])> = read.iter().map(|(v, i)| (&v[..], &i[..])).collect();
        contribution(&self.student, part, &sessions, &mut Scratch::default()).await
    }

    /// The part of the trend that a round of this model's lineage is about.
    ///
    /// # Errors
    /// [`ModelError::State`] where centroids are too wide for a report.
    pub fn part_of(&self, round: u64) -> Result<Part, ModelError> {
        Part::of_round(&self.manifest.student, round).map_err(|e| ModelError::State(e.to_string()))
    }

    /// Notes that a contribution was made of all that is known now: the next one is of what comes later.
    pub fn contributed(&mut self) {
        let newest = self.past.iter().chain([&self.clicks]).filter_map(|clicks| newest(clicks)).max();
        self.contributed_ms = newest.max(self.contributed_ms);
    }
}

fn newest(clicks: &[Click]) -> Option<i64> {
    clicks.iter().filter_map(|click| click.at_ms).max()
}
