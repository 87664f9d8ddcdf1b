//! Which items a step scores: targets, the sessions' items, samples, and the teacher's best.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::batch::Batch;
use super::loss::SoftTargets;

/// Draws negatives in proportion to `count^power`.
#[derive(Clone, Debug)]
pub struct Candidates {
    cumulative: Vec<f64>,
    chance: Vec<f64>,
    /// Share of the clicks: how likely an item is one position's target.
    target: Vec<f64>,
    samples: usize,
}

impl Candidates {
    /// `counts[i]` are the clicks on item `i` (0 is padding); `samples` draws a step.
    #[must_use]
    pub fn new(counts: &[u32], power: f64, samples: usize) -> Self {
        let mut weights: Vec<f64> = counts.iter().map(|&c| f64::from(c).powf(power)).collect();
        if let Some(padding) = weights.first_mut() {
            *padding = 0.0;
        }
        for (w, &c) in weights.iter_mut().zip(counts) {
            if c == 0 {
                *w = 0.0;
            }
        }
        let total: f64 = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        let chance: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let mut sum = 0.0;
        let cumulative = chance
            .iter()
            .map(|c| {
                sum += c;
                sum
            })
            .collect();
        let clicks = counts.iter().map(|&c| f64::from(c)).sum::<f64>().max(1.0);
        let target = counts.iter().map(|&c| f64::from(c) / clicks).collect();
        Self { cumulative, chance, target, samples }
    }

    /// The targets come from another log than the negatives: `counts` are its clicks.
    #[must_use]
    pub fn with_targets(mut self, counts: &[u32]) -> Self {
        let clicks = counts.iter().map(|&c| f64::from(c)).sum::<f64>().max(1.0);
        self.target = counts.iter().map(|&c| f64::from(c) / clicks).collect();
        self
    }

    /// Log of the chance that an item is among the candidates of a step: drawn at least once as a
    /// sample, or as one of `clicks` items that come up in proportion to their clicks.
    fn log_chance(&self, item: u32, clicks: usize) -> f32 {
        let at = item as usize;
        let expected = self.samples as f64 * self.chance[at] + clicks as f64 * self.target[at];
        (1.0 - (-expected).exp()).max(1e-6).ln() as f32
    }

    fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        let at: f64 = rng.random();
        self.cumulative.partition_point(|&c| c <= at).min(self.cumulative.len() - 1) as u32
    }
}

/// A step's candidates: items, and the log of each one's chance to be among them. Reused from step
/// to step, so that the index over all items is made once.
#[derive(Default)]
pub(super) struct Chosen {
    /// Ascending, each once.
    pub items: Vec<u32>,
    pub log_chance: Vec<f32>,
    /// By item: its place in `items`, [`NONE`] for others.
    places: Vec<u32>,
}

const NONE: u32 = u32::MAX;

impl Chosen {
    /// The place of an item among the candidates.
    pub(super) fn place(&self, item: u32) -> Option<usize> {
        self.places.get(item as usize).filter(|&&p| p != NONE).map(|&p| p as usize)
    }

    fn add(&mut self, item: u32) {
        let at = item as usize;
        if at >= self.places.len() {
            self.places.resize(at + 1, NONE);
        }
        if self.places[at] == NONE {
            self.places[at] = 0;
            self.items.push(item);
        }
    }

    pub(super) fn choose(
        &mut self,
        batch: &Batch,
        candidates: &Candidates,
        soft: Option<&SoftTargets>,
        certain: usize,
        rng: &mut ChaCha8Rng,
    ) {
        self.items.drain(..).for_each(|i| self.places[i as usize] = NONE);
        batch.targets.iter().for_each(|&t| self.add(t));
        // The sessions' own items: whether they come again has to be learned.
        batch.items.iter().filter(|&&i| i != 0).for_each(|&i| self.add(i));
        for _ in 0..candidates.samples {
            self.add(candidates.draw(rng));
        }
        if let Some(soft) = soft {
            for &position in &batch.positions {
                let best = soft.of(position).map_or(&[][..], |(items, _)| items);
                best.iter().take(certain).filter(|&&i| i != 0).for_each(|&i| self.add(i));
            }
        }
        self.items.sort_unstable();
        self.items.iter().enumerate().for_each(|(place, &i)| self.places[i as usize] = place as u32);
        // Targets, session items and the teacher's best come up about as often as they are clicked.
        let certain = if soft.is_some() { certain } else { 0 };
        let clicks = batch.targets.len() * (1 + certain);
        self.items
            .par_iter()
            .with_min_len(512)
            .map(|&i| candidates.log_chance(i, clicks))
            .collect_into_vec(&mut self.log_chance);
    }
}
