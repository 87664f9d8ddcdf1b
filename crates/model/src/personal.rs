//! What one shopper's device learns: the adapter's change, a taste vector, and whether to use them.
//!
//! A step trains on the session's own positions with the encoder and the item table frozen, so its
//! cost does not grow with the catalogue. The softmax runs over the clicked items and a sample;
//! sampled items stand for the rest of the catalogue by importance weights. A proximal term pulls
//! towards the shipped student (Li et al., *FedProx*, MLSys 2020).
//!
//! The guard is prequential (Dawid 1984): every click is predicted by the shipped student and by
//! the personal one **before** it is learned from, and the shelf follows whichever is ahead ([`Guard`]).

mod gradient;
mod guard;

use onshelf_core::slices::{dot, softmax};
use onshelf_core::version::FineTuneConfig;
use onshelf_core::weights::{self, Weights};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::adam::Adam;
use crate::affinity::Counts;
use crate::error::ModelError;
use crate::student::{Adapter, Student};

use guard::Good;
pub use guard::Guard;

/// Newest format of saved personal state, and the one written.
pub const STATE_FORMAT: u32 = 1;

/// Name of the saved leanings.
const LEANINGS: &str = "affinity";

/// Names of the saved moments.
const MOMENTS: [&str; 3] = ["moments.down", "moments.up", "moments.taste"];

/// Personal parameters and their optimiser state.
#[derive(Clone, PartialEq)]
pub struct Personal {
    /// Starts as the shipped adapter.
    pub adapter: Adapter,
    /// Added to every session vector; zeros at first. Never leaves the device.
    pub taste: Vec<f32>,
    /// What the leanings to categories and brands rest on. Never leaves the device.
    pub counts: Counts,
    /// Those leanings ([`crate::affinity::Traits`]). Never leave the device.
    pub affinity: Vec<f32>,
    /// Optimiser steps so far.
    pub steps: u64,
    /// Whether the personal model is ahead.
    pub guard: Guard,
    /// What to go back to when the lead is lost.
    good: Option<Box<Good>>,
    moments: [Adam; 3],
    seed: u64,
}

impl std::fmt::Debug for Personal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Personal({} steps)", self.steps)
    }
}

/// What the steps on one click did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tuned {
    /// Optimiser steps.
    pub steps: u32,
    /// Mean loss on the session before the first step, nats a click.
    pub loss_before: f64,
    /// Mean loss after the last step.
    pub loss_after: f64,
    /// Whether the steps were kept.
    pub kept: bool,
}

/// One session's training rows, frozen while its steps run.
#[derive(Clone)]
pub struct Lesson {
    /// Session vectors before the adapter, `[rows, dim]`.
    sessions: Vec<f32>,
    /// All clicks of those positions and the one after the last: row `r` saw `items[..=r]` and is
    /// followed by `items[r + 1]`.
    items: Vec<u32>,
    /// Items that are certain to be candidates.
    hard: Vec<u32>,
}

impl Lesson {
    /// Pairs every position's vector (`[clicks, dim]`, as [`Student::encode`] gives them) with the
    /// click that followed it. `None` where fewer than two items were clicked.
    #[must_use]
    pub fn new(vectors: &[f32], items: &[u32], dim: usize) -> Option<Self> {
        let clicks = vectors.len() / dim.max(1);
        let items = &items[items.len().saturating_sub(clicks)..];
        (clicks >= 2).then(|| Self {
            sessions: vectors[..(clicks - 1) * dim].to_vec(),
            items: items.to_vec(),
            hard: Vec::new(),
        })
    }

    /// Makes sure of some candidates.
    #[must_use]
    pub fn with_hard(mut self, items: Vec<u32>) -> Self {
        self.hard = items;
        self
    }

    fn session(&self, row: usize, dim: usize) -> &[f32] {
        &self.sessions[row * dim..(row + 1) * dim]
    }

    /// Number of training rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.items.len() - 1
    }
}

impl Personal {
    /// A shopper nothing is known about, without leanings.
    #[must_use]
    pub fn new(student: &Student, seed: u64) -> Self {
        let adapter = student.base().clone();
        let dim = student.shape().dim;
        let moments = [Adam::new(adapter.down.len()), Adam::new(adapter.up.len()), Adam::new(dim)];
        Self {
            adapter,
            taste: vec![0.0; dim],
            counts: Counts::default(),
            affinity: Vec::new(),
            steps: 0,
            guard: Guard::default(),
            good: None,
            moments,
            seed,
        }
    }

    /// The same with leanings to so many traits, none yet.
    #[must_use]
    pub fn leaning(mut self, traits: usize) -> Self {
        self.counts = Counts::none(traits);
        self.affinity = vec![0.0; traits];
        self
    }

    /// Number of personal parameters.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.adapter.down.len() + self.adapter.up.len() + self.taste.len() + self.affinity.len()
    }

    /// The query of the personal model for a session vector.
    #[must_use]
    pub fn query(&self, session: &[f32]) -> Vec<f32> {
        self.adapter.apply(session, Some(&self.taste))
    }

    /// One optimiser step on a lesson, a share of it (`config.replay`) on an earlier session's; gives the
    /// mean loss on the lesson before it (nats a click).
    ///
    /// # Errors
    /// [`ModelError::NotFinite`] or [`ModelError::Device`]; the state is unchanged then.
    pub async fn step(
        &mut self,
        student: &Student,
        lesson: &Lesson,
        earlier: Option<&Lesson>,
        config: &FineTuneConfig,
    ) -> Result<f64, ModelError> {
        let candidates = Sample::draw(student, lesson, config, self.seed ^ self.steps);
        let (loss, mut gradient) = self.gradient(student, lesson, &candidates, config).await?;
        if let Some(earlier) = earlier {
            let candidates = Sample::draw(student, earlier, config, self.seed ^ self.steps);
            let again = self.gradient(student, earlier, &candidates, config).await?.1;
            let share = config.replay.clamp(0.0, 1.0);
            gradient.iter_mut().zip(again).for_each(|(g, a)| *g += share * (a - *g));
        }
        if !loss.is_finite() {
            return Err(ModelError::NotFinite { what: "loss", step: self.steps });
        }
        if !gradient.iter().all(|g| g.is_finite()) {
            return Err(ModelError::NotFinite { what: "gradient", step: self.steps });
        }
        let before = self.clone();
        let (down, rest) = gradient.split_at(self.adapter.down.len());
        let (up, taste) = rest.split_at(self.adapter.up.len());
        let rate = config.learning_rate;
        self.moments[0].step(&mut self.adapter.down, down, rate, 0.0);
        self.moments[1].step(&mut self.adapter.up, up, rate, 0.0);
        self.moments[2].step(&mut self.taste, taste, rate, 0.0);
        self.steps += 1;
        let parts = [&self.adapter.down, &self.adapter.up, &self.taste];
        if parts.iter().any(|p| p.iter().any(|x| !x.is_finite())) {
            let step = before.steps;
            *self = before;
            return Err(ModelError::NotFinite { what: "parameter", step });
        }
        Ok(loss)
    }

    /// Adds to `sum` (`down` before `up`) what a lesson tells of the Fisher information of the adapter's
    /// parameters, where they stand now.
    #[cfg(feature = "training")]
    pub fn add_information(
        &self,
        student: &Student,
        lesson: &Lesson,
        config: &FineTuneConfig,
        rng: &mut impl rand::Rng,
        sum: &mut [f64],
    ) {
        let sample = Sample::draw(student, lesson, config, self.seed ^ self.steps);
        gradient::add_information(self, student, lesson, &sample, rng, sum);
    }

    /// The mean loss on a lesson now (nats a click), without learning.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub async fn loss(
        &self,
        student: &Student,
        lesson: &Lesson,
        config: &FineTuneConfig,
    ) -> Result<f64, ModelError> {
        let sample = Sample::draw(student, lesson, config, self.seed ^ self.steps);
        Ok(self.gradient(student, lesson, &sample, config).await?.0)
    }

    /// Loss (nats a click) and its gradient by `down`, `up` and `taste`, one behind the other.
    async fn gradient(
        &self,
        student: &Student,
        lesson: &Lesson,
        sample: &Sample,
        config: &FineTuneConfig,
    ) -> Result<(f64, Vec<f32>), ModelError> {
        let (loss, mut all) = gradient::gradient(self, student, lesson, sample, config.proximal).await?;
        if let (true, Some(fisher)) = (config.ewc > 0.0, student.fisher()) {
            gradient::consolidate(self, student, fisher, config, &mut all);
        }
        Ok((loss, all))
    }

    /// The state as tensors, to be saved or handed to another device.
    #[must_use]
    pub fn to_weights(&self) -> Weights {
        let mut out = Weights::default();
        self.adapter.write(&mut out);
        let taste = weights::Tensor { shape: vec![self.taste.len()], values: self.taste.clone() };
        out.floats.insert("taste".into(), taste);
        write_leanings(LEANINGS, &self.affinity, &self.counts, &mut out);
        for (adam, name) in self.moments.iter().zip(MOMENTS) {
            adam.write(name, &mut out);
        }
        if let Some(good) = &self.good {
            good.write(&mut out);
        }
        out
    }

    /// Small facts that go beside the tensors.
    #[must_use]
    pub fn facts(&self) -> Facts {
        Facts {
            steps: self.steps,
            guard: self.guard,
            good_lead: self.good.as_ref().map(|good| good.lead),
            seed: self.seed,
        }
    }

    /// For so many traits, reads what [`Self::to_weights`] and [`Self::facts`] gave.
    ///
    /// # Errors
    /// [`ModelError::Weights`] where it was made for another shape or is damaged.
    pub fn from_weights(
        student: &Student,
        traits: usize,
        weights: &Weights,
        facts: &Facts,
    ) -> Result<Self, ModelError> {
        let (dim, rank) = (student.shape().dim, student.shape().adapter_rank);
        let adapter = Adapter::read(weights, dim, rank)?;
        let moment = |name: &str, n: usize| -> Result<Adam, ModelError> {
            Ok(Adam::read(name, n, weights)?.unwrap_or_else(|| Adam::new(n)))
        };
        let [down, up, taste] = MOMENTS;
        let (affinity, counts) = read_leanings(LEANINGS, weights, traits)?;
        Ok(Self {
            moments: [moment(down, dim * rank)?, moment(up, dim * rank)?, moment(taste, dim)?],
            adapter,
            taste: weights.get("taste", &[dim])?.values.clone(),
            counts,
            affinity,
            steps: facts.steps,
            guard: facts.guard,
            good: facts
                .good_lead
                .map(|lead| Good::read(weights, [dim, rank, traits], lead).map(Box::new))
                .transpose()?,
            seed: facts.seed,
        })
    }
}

/// Adds leanings and what they rest on as `<name>`, `<name>.seen` and `<name>.expected`; nothing where there are
/// no traits.
fn write_leanings(name: &str, leanings: &[f32], counts: &Counts, out: &mut Weights) {
    if leanings.is_empty() {
        return;
    }
    for (end, values) in [("", leanings), (".seen", &counts.seen), (".expected", &counts.expected)] {
        let tensor = weights::Tensor { shape: vec![values.len()], values: values.to_vec() };
        out.floats.insert(format!("{name}{end}"), tensor);
    }
}

/// Reads what [`write_leanings`] wrote. A state of before there were counts has leanings alone, one of before
/// there were leanings nothing.
fn read_leanings(name: &str, weights: &Weights, traits: usize) -> Result<(Vec<f32>, Counts), ModelError> {
    if !weights.floats.contains_key(name) {
        return Ok((vec![0.0; traits], Counts::none(traits)));
    }
    let values = |end: &str| -> Result<Vec<f32>, ModelError> {
        Ok(weights.get(&format!("{name}{end}"), &[traits])?.values.clone())
    };
    let leanings = values("")?;
    let counts = match weights.floats.contains_key(&format!("{name}.seen")) {
        // Counts below nothing would have leanings that are no numbers.
        true => Counts { seen: values(".seen")?, expected: values(".expected")? }.checked()?,
        false => Counts::of_leanings(&leanings),
    };
    Ok((leanings, counts))
}

/// Numbers of a [`Personal`] that are not tensors.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Optimiser steps.
    pub steps: u64,
    /// The guard.
    pub guard: Guard,
    /// Lead of the state to go back to, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub good_lead: Option<f64>,
    /// Seed of the negatives.
    pub seed: u64,
}

/// Candidates of a step.
struct Sample {
    items: Vec<u32>,
    /// `[count, dim]`
    vectors: Vec<f32>,
    /// `[rows, count]`: item biases, the log of how many items a sampled one stands for, and the
    /// repeat boosts of each row.
    offsets: Vec<f32>,
    /// `[rows, count]`: weight of each row at its target, summing to 1 over everything.
    wanted: Vec<f32>,
}

impl Sample {
    fn draw(student: &Student, lesson: &Lesson, config: &FineTuneConfig, seed: u64) -> Self {
        let (clicks, negatives) = (&lesson.items[..], config.negatives);
        let table = student.table();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut items: Vec<u32> = clicks.iter().chain(&lesson.hard).copied().collect();
        items.sort_unstable();
        items.dedup();
        let known = items.len();
        let all = table.items() as u32;
        for _ in 0..negatives {
            let item = rng.random_range(1..=all.max(1));
            if items[..known].binary_search(&item).is_err() {
                items.push(item);
            }
        }
        let stands_for = (all as usize).saturating_sub(known) as f32 / (items.len() - known).max(1) as f32;
        let mut vectors = Vec::with_capacity(items.len() * table.dim());
        let mut bias = Vec::with_capacity(items.len());
        for (at, &item) in items.iter().enumerate() {
            table.push_scoring(item, &mut vectors);
            bias.push(table.bias_of(item) + if at < known { 0.0 } else { stands_for.ln() });
        }
        let targets = &clicks[1..];
        let raw: Vec<f32> = (0..targets.len()).rev().map(|age| config.memory.powi(age as i32)).collect();
        let total: f32 = raw.iter().sum();
        let mut wanted = vec![0.0; targets.len() * items.len()];
        let mut offsets = Vec::with_capacity(wanted.len());
        for (row, (target, weight)) in targets.iter().zip(raw).enumerate() {
            offsets.extend_from_slice(&bias);
            let own = &mut offsets[row * items.len()..];
            for (at, &item) in items[..known].iter().enumerate() {
                own[at] += student.repeat_boost(item, &clicks[..=row]);
            }
            if let Ok(at) = items[..known].binary_search(target) {
                wanted[row * items.len() + at] = (1.0 - config.distil) * weight / total;
            }
            if config.distil > 0.0 {
                let at = row * items.len()..(row + 1) * items.len();
                let chances = shipped_chances(
                    student,
                    lesson.session(row, table.dim()),
                    &vectors,
                    &offsets[at.clone()],
                );
                wanted[at]
                    .iter_mut()
                    .zip(chances)
                    .for_each(|(w, c)| *w += config.distil * c * weight / total);
            }
        }
        Self { items, vectors, offsets, wanted }
    }
}

/// What the shipped student says of the candidates at one position.
fn shipped_chances(student: &Student, session: &[f32], vectors: &[f32], offsets: &[f32]) -> Vec<f32> {
    let query = student.base().apply(session, None);
    let scale = 1.0 / student.shape().temperature;
    let candidates = vectors.chunks_exact(query.len()).zip(offsets);
    let mut chances: Vec<f32> = candidates.map(|(v, o)| scale * dot(v, &query) + o).collect();
    softmax(&mut chances);
    chances
}

/// Negative log-likelihood (nats) of `item` under full scores.
#[must_use]
pub fn loss_of(scores: &[f32], item: u32) -> f64 {
    let Some(&own) = (item as usize).checked_sub(1).and_then(|i| scores.get(i)) else { return f64::NAN };
    let top = scores.iter().copied().filter(|s| s.is_finite()).fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = scores.iter().map(|s| (s - top).exp()).sum();
    f64::from(top + sum.ln() - own)
}
