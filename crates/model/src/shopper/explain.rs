//! Why an item stands where it stands, and what was learned.

use super::{RequestError, Shopper};
use crate::error::ModelError;

/// What one past click adds to an item's score.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The clicked item, the shop's id.
    pub item_id: String,
    /// Position in the session, 0 is the oldest that is read.
    pub position: usize,
    /// Score with the click less score without it (logits).
    pub contribution: f32,
}

/// Why an item is recommended.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Its score now (logit).
    pub score: f32,
    /// Each click's share, largest first.
    pub because: Vec<Share>,
    /// What personal learning adds (logits).
    pub personal: f32,
}

impl Shopper {
    /// Which past clicks an item's score rests on: each is left out in turn.
    ///
    /// # Errors
    /// [`RequestError::UnknownItem`] or a model's error.
    pub async fn explain(&mut self, item_id: &str) -> Result<Explanation, RequestError> {
        let item =
            self.catalogue.index_of(item_id).ok_or_else(|| RequestError::UnknownItem(item_id.to_owned()))?;
        let dim = self.manifest.student.dim;
        let newest = self.newest();
        let input = self.input().last(self.manifest.student.max_len);
        let bonus = self.personal.guard.say() * self.traits.bonus(&self.personal.affinity, item);
        let score = self.score_of(item, &self.query(&newest), &input.items) + bonus;
        let shipped = self.score_of(item, &self.shipped_query(&newest), &input.items);
        let without: Vec<_> = (0..input.items.len()).map(|at| input.without(at)).collect();
        let mut because = Vec::with_capacity(without.len());
        if !without.is_empty() {
            let mut vectors = self.student.encode_last(&without);
            vectors.resize(without.len() * dim, 0.0);
            for (at, session) in vectors.chunks_exact(dim).enumerate() {
                let contribution =
                    score - bonus - self.score_of(item, &self.query(session), &without[at].items);
                let item_id = self.catalogue.id(input.items[at]).unwrap_or_default().to_owned();
                because.push(Share { item_id, position: at, contribution });
            }
        }
        because.sort_by(|a, b| b.contribution.total_cmp(&a.contribution));
        Ok(Explanation { score, because, personal: if self.is_personal() { score - shipped } else { 0.0 } })
    }

    fn score_of(&self, item: u32, query: &[f32], prefix: &[u32]) -> f32 {
        let temperature = self.manifest.student.temperature;
        let scaled: Vec<f32> = query.iter().map(|x| x / temperature).collect();
        self.student.table().score_one(&scaled, item).unwrap_or(f32::NEG_INFINITY)
            + self.student.repeat_boost(item, prefix)
    }

    /// The categories that this shopper's shelf leans to: the share of the model's choice that
    /// falls to each, less the share it has for somebody nothing is known about. Largest first,
    /// gains only (each 0 to 1). Empty where nothing is known or there are no categories.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub async fn learned(&mut self, limit: usize) -> Result<Vec<(String, f32)>, ModelError> {
        let unknown = self.clicks.is_empty() && self.personal.steps == 0;
        if unknown || self.catalogue.category_codes() <= 1 {
            return Ok(Vec::new());
        }
        let newest = self.newest();
        let own = self.category_shares(&self.query(&newest), &self.leanings());
        let everybody = self.category_shares(&vec![0.0; newest.len()], &[]);
        let mut gains: Vec<(String, f32)> = (0_u32..)
            .zip(own.iter().zip(&everybody))
            .filter_map(|(code, (own, all))| {
                let name = self.catalogue.category_of_code(code).last()?.clone();
                Some((name, own - all))
            })
            .filter(|(_, gain)| *gain > 0.0)
            .collect();
        gains.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        gains.truncate(limit);
        Ok(gains)
    }

    /// The softmax of all items' scores, summed by category.
    fn category_shares(&self, query: &[f32], leanings: &[f32]) -> Vec<f32> {
        let temperature = self.manifest.student.temperature;
        let scaled: Vec<f32> = query.iter().map(|x| x / temperature).collect();
        let (mut lut, mut scores) = (Vec::new(), Vec::new());
        self.student.table().score_all(&scaled, &mut lut, &mut scores);
        self.traits.add(leanings, &mut scores);
        let top = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut shares = vec![0.0_f32; self.catalogue.category_codes()];
        for (item, score) in (1_u32..).zip(&scores) {
            shares[self.catalogue.category_code(item) as usize] += (score - top).exp();
        }
        let total = shares.iter().sum::<f32>().max(f32::MIN_POSITIVE);
        shares.iter_mut().for_each(|s| *s /= total);
        shares
    }
}
