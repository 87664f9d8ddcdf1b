//! Who follows whom.

use super::SessionLog;

/// Item-to-item transition counts, weighted by 1/distance (sequential rules).
#[derive(Clone)]
pub struct Transitions {
    followers: Vec<Vec<(u32, f32)>>,
}

impl Transitions {
    /// Counts who follows whom within ten clicks of each session.
    #[must_use]
    pub fn new(log: &SessionLog, items: usize) -> Self {
        let mut maps: Vec<std::collections::HashMap<u32, f32>> = vec![Default::default(); items + 1];
        for session in log.iter() {
            for (j, &to) in session.iter().enumerate() {
                for (distance, &from) in session[..j].iter().rev().take(10).enumerate() {
                    if from != to && (from as usize) < maps.len() {
                        *maps[from as usize].entry(to).or_default() += 1.0 / (distance + 1) as f32;
                    }
                }
            }
        }
        let followers = maps
            .into_iter()
            .map(|m| {
                let mut list: Vec<_> = m.into_iter().collect();
                list.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
                list
            })
            .collect();
        Self { followers }
    }

    /// The items that follow `item`, best first.
    #[must_use]
    pub fn followers(&self, item: u32) -> &[(u32, f32)] {
        self.followers.get(item as usize).map_or(&[], Vec::as_slice)
    }

    /// Scores every item by the newest click of `item_seq` alone.
    pub fn score(&self, item_seq: &[u32], scores: &mut [f32]) {
        scores.fill(0.0);
        if let Some(&last) = item_seq.last() {
            for &(to, weight) in self.followers(last) {
                if let Some(s) = scores.get_mut(to as usize - 1) {
                    *s = weight;
                }
            }
        }
    }
}
