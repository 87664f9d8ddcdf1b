//! Who orders the shelf, and the way back.
//!
//! Two experts foretell every click: the shipped student and the personal model. Each says what chance it gives
//! to the click among the items whose order is at stake, so the sum of the differences of their log-losses is a
//! log-likelihood ratio. The *evidence* is the log-odds of the personal expert, from even odds on, by Bayes' rule
//! with Herbster & Warmuth's fixed share (*Machine Learning* 1998), which lets the better expert change:
//!
//! ```text
//! w' = w · e^d / (w · e^d + 1 − w)        d = loss(shipped) − loss(personal), nats
//! w  = (1 − SHARE) · w' + SHARE / 2       evidence = ln(w / (1 − w))
//! ```
//!
//! The mixture of the experts by these weights loses at most `ln 2` nats more than the shipped student alone on
//! any clicks where none is shared, and `ln 2 − (n − 1) ln(1 − SHARE/2)` with sharing: whatever the shopper does,
//! at every moment. As the likelihood ratio of that mixture to the shipped student is a martingale with mean 1
//! while the shipped student is right, the chance that it *ever* exceeds `1/α` is at most `α` (Ville's inequality;
//! Ramdas et al., *Statistical Science* 2023): looking after every click costs nothing.

use onshelf_core::weights::{Tensor, Weights};
use serde::{Deserialize, Serialize};

use super::{Personal, read_leanings, write_leanings};
use crate::affinity::Counts;
use crate::error::ModelError;
use crate::student::{Adapter, Student};

/// How fast the mean that is shown as lead forgets: its memory is about ten clicks.
const FADE: f64 = 0.9;
/// Clicks that have to be compared before the shelf may follow the personal model.
const PATIENCE: u32 = 2;
/// Share of the weight that is dealt out anew after every click. This and [`SURE`] were chosen on the shoppers of
/// the new-shopper benchmark that decide.
const SHARE: f64 = 0.1;
/// Odds from which on one is ahead for certain: it has the whole say.
const SURE: f64 = 9.0;

/// Prequential comparison of the personal with the shipped model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Clicks compared since the beginning or the last roll-back.
    pub clicks: u32,
    /// Faded mean of `loss(shipped) - loss(personal)` in nats a click; above 0 the personal leads.
    pub lead: f64,
    /// Log-odds (nats) of the personal model, from even odds (0) on. A state of before there was any begins there.
    #[serde(default)]
    pub evidence: f64,
    /// How often the personal model was put back because it had lost its lead.
    #[serde(default)]
    pub rolled_back: u32,
}

impl Guard {
    /// Notes one click's loss (negative log-likelihood, nats) under both models.
    pub fn note(&mut self, shipped: f64, personal: f64) {
        let difference = shipped - personal;
        if !difference.is_finite() {
            return;
        }
        self.clicks += 1;
        let fade = FADE.min(1.0 - 1.0 / f64::from(self.clicks));
        self.lead = fade * self.lead + (1.0 - fade) * difference;
        let weight = (1.0 - SHARE) * chance(self.evidence + difference) + SHARE / 2.0;
        self.evidence = (weight / (1.0 - weight)).ln();
    }

    /// The personal model's say in the order of the shelf: its weight while it is not certain who is ahead, else
    /// all (1) or none (0).
    #[must_use]
    pub fn say(&self) -> f32 {
        if self.clicks < PATIENCE || self.evidence <= -SURE.ln() {
            return 0.0;
        }
        if self.evidence >= SURE.ln() { 1.0 } else { chance(self.evidence) as f32 }
    }
}

/// The chance of log-odds.
fn chance(odds: f64) -> f64 {
    1.0 / (1.0 + (-odds).exp())
}

/// The parameters that had the best lead so far.
#[derive(Clone, PartialEq)]
pub(super) struct Good {
    pub(super) lead: f64,
    adapter: Adapter,
    taste: Vec<f32>,
    counts: Counts,
    affinity: Vec<f32>,
}

impl Good {
    pub(super) fn write(&self, out: &mut Weights) {
        self.adapter.write_as("good", out);
        let taste = Tensor { shape: vec![self.taste.len()], values: self.taste.clone() };
        out.floats.insert("good.taste".into(), taste);
        write_leanings("good.affinity", &self.affinity, &self.counts, out);
    }

    /// Reads what [`Self::write`] wrote, for `[dim, rank, traits]`.
    pub(super) fn read(
        weights: &Weights,
        [dim, rank, traits]: [usize; 3],
        lead: f64,
    ) -> Result<Self, ModelError> {
        let adapter = Adapter::read_as("good", weights, dim, rank)?;
        let taste = weights.get("good.taste", &[dim])?.values.clone();
        let (affinity, counts) = read_leanings("good.affinity", weights, traits)?;
        Ok(Self { lead, adapter, taste, counts, affinity })
    }
}

impl Personal {
    /// Notes one click's losses; keeps a copy of parameters that have the whole say, and goes back to them where
    /// the lead was lost, or to the shipped student where that one is ahead for certain.
    pub fn judge(&mut self, student: &Student, shipped: f64, personal: f64) {
        self.guard.note(shipped, personal);
        let Guard { clicks, evidence, .. } = self.guard;
        if self.guard.say() == 1.0 {
            if self.good.as_ref().is_none_or(|good| evidence > good.lead) {
                self.good = Some(Box::new(Good {
                    lead: evidence,
                    adapter: self.adapter.clone(),
                    taste: self.taste.clone(),
                    counts: self.counts.clone(),
                    affinity: self.affinity.clone(),
                }));
            }
        } else if clicks >= PATIENCE && evidence < if self.good.is_some() { 0.0 } else { -SURE.ln() } {
            self.roll_back(student);
        }
    }

    /// The same parameters on another shipped student: they have to prove themselves anew.
    #[must_use]
    pub fn on_trial(mut self) -> Self {
        self.good = None;
        self.guard = Guard { rolled_back: self.guard.rolled_back, ..Guard::default() };
        self
    }

    /// To the best parameters there were, else to the shipped ones. They have to prove themselves anew.
    fn roll_back(&mut self, student: &Student) {
        let good = self.good.take();
        let rolled_back = self.guard.rolled_back.saturating_add(1);
        *self = Self {
            steps: self.steps,
            guard: Guard { rolled_back, ..Guard::default() },
            ..Self::new(student, self.seed).leaning(self.affinity.len())
        };
        if let Some(good) = good {
            (self.adapter, self.taste) = (good.adapter, good.taste);
            (self.counts, self.affinity) = (good.counts, good.affinity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(differences: &[f64]) -> Guard {
        let mut guard = Guard::default();
        differences.iter().for_each(|d| guard.note(5.0, 5.0 - d));
        guard
    }

    #[test]
    fn a_say_needs_patience_and_is_the_weight_while_unsure() {
        assert_eq!(after(&[9.0]).say(), 0.0);
        assert_eq!(after(&[9.0, 9.0]).say(), 1.0);
        assert_eq!(after(&[0.0; 5]).say(), 0.5);
        assert_eq!(after(&[-1.0; 9]).say(), 0.0);
        // One click, by hand: the posterior weight, a tenth of it dealt out anew.
        let weight = 0.9 * (0.5 * 0.4_f64.exp() / (0.5 * 0.4_f64.exp() + 0.5)) + 0.05;
        let guard = after(&[0.4]);
        assert!((guard.evidence - (weight / (1.0 - weight)).ln()).abs() < 1e-12);
        let said = after(&[0.4, 0.0]).say();
        assert!((f64::from(said) - (0.9 * weight + 0.05)).abs() < 1e-6, "{said}");
    }

    #[test]
    fn the_better_expert_may_change() {
        // After a hundred clicks of one kind a few of the other are enough.
        let mut guard = after(&[1.0; 100]);
        assert_eq!(guard.say(), 1.0);
        (0..8).for_each(|_| guard.note(4.0, 5.0));
        assert_eq!(guard.say(), 0.0, "{guard:?}");
        (0..8).for_each(|_| guard.note(5.0, 4.0));
        assert_eq!(guard.say(), 1.0, "{guard:?}");
    }

    /// Where the shipped student is right, the mixture's likelihood ratio rarely ever gets far above 1.
    #[test]
    fn looking_after_every_click_costs_nothing() {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(5);
        let (shoppers, clicks, alpha) = (4000, 60, 0.1);
        let mut fooled = 0;
        for _ in 0..shoppers {
            let (mut guard, mut ratio, mut most) = (Guard::default(), 0.0_f64, 0.0_f64);
            for _ in 0..clicks {
                // Two items: the shipped student gives 0.7 to the first and is right, the personal model 0.4.
                let (right, other) = if rng.random::<f64>() < 0.7 { (0.7_f64, 0.4_f64) } else { (0.3, 0.6) };
                let weight = chance(guard.evidence);
                ratio += (weight * other / right + 1.0 - weight).ln();
                most = most.max(ratio);
                guard.note(-right.ln(), -other.ln());
            }
            fooled += usize::from(most >= (1.0_f64 / alpha).ln());
        }
        assert!((fooled as f64) < alpha * f64::from(shoppers), "{fooled} of {shoppers}");
        assert!(fooled > 0, "the test tells nothing if nothing ever happens");
    }

    /// Whatever the clicks are: at most so many nats worse than the shipped student alone.
    #[test]
    fn the_mixture_never_loses_much() {
        let mut state = 7_u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1_u32 << 31)
        };
        for _ in 0..200 {
            let (mut guard, mut loss) = (Guard::default(), 0.0_f64);
            let bias = next() * 3.0 - 2.0;
            for n in 1..=50_u32 {
                let difference = next() * 2.0 - 1.0 + bias;
                let weight = chance(guard.evidence);
                loss -= (weight * difference.exp() + 1.0 - weight).ln();
                let bound = 2.0_f64.ln() - f64::from(n - 1) * (1.0 - SHARE / 2.0).ln();
                assert!(loss <= bound + 1e-9, "{loss} after {n} clicks, at most {bound}");
                guard.note(0.0, -difference);
            }
        }
    }

    #[test]
    fn what_is_not_a_number_is_no_evidence() {
        let mut guard = after(&[1.0, 1.0]);
        for (shipped, personal) in [(f64::NAN, 1.0), (1.0, f64::NAN), (f64::INFINITY, 1.0)] {
            guard.note(shipped, personal);
        }
        assert_eq!(guard, after(&[1.0, 1.0]));
    }
}
