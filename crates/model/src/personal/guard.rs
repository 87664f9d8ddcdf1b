//! Who orders the shelf, and the way back.

use onshelf_core::weights::{Tensor, Weights};
use serde::{Deserialize, Serialize};

use super::Personal;
use crate::error::ModelError;
use crate::student::{Adapter, Student};

/// How fast old evidence fades from the guard: its memory is about ten clicks.
const FADE: f64 = 0.9;
/// Clicks that have to be compared before the shelf may follow the personal model.
const PATIENCE: u32 = 3;
/// From this lead (nats a click) the personal model has a say.
const SAY: f64 = 0.1;
/// From this lead (nats a click) it has the whole say. Both chosen on the shoppers of the new-shopper
/// benchmark that decide: so that few shelves get worse.
const LEAD: f64 = 0.15;

/// Prequential comparison of the personal with the shipped model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    /// Clicks compared since the beginning or the last roll-back.
    pub clicks: u32,
    /// Faded mean of `loss(shipped) - loss(personal)` in nats a click; above 0 the personal leads.
    pub lead: f64,
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
    }

    /// The personal model's say in the order of the shelf: 0 none, 1 all of it, between them where it is
    /// ahead but by little.
    #[must_use]
    pub fn say(&self) -> f32 {
        if self.clicks < PATIENCE {
            return 0.0;
        }
        ((self.lead - SAY) / (LEAD - SAY)).clamp(0.0, 1.0) as f32
    }
}

/// The parameters that had the best lead so far.
#[derive(Clone, PartialEq)]
pub(super) struct Good {
    pub(super) lead: f64,
    adapter: Adapter,
    taste: Vec<f32>,
    affinity: Vec<f32>,
}

impl Good {
    pub(super) fn write(&self, out: &mut Weights) {
        self.adapter.write_as("good", out);
        for (name, values) in [("good.taste", &self.taste), ("good.affinity", &self.affinity)] {
            out.floats.insert(name.into(), Tensor { shape: vec![values.len()], values: values.clone() });
        }
    }

    /// Reads what [`Self::write`] wrote, for `[dim, rank, traits]`.
    pub(super) fn read(
        weights: &Weights,
        [dim, rank, traits]: [usize; 3],
        lead: f64,
    ) -> Result<Self, ModelError> {
        let adapter = Adapter::read_as("good", weights, dim, rank)?;
        let taste = weights.get("good.taste", &[dim])?.values.clone();
        Ok(Self { lead, adapter, taste, affinity: weights.get("good.affinity", &[traits])?.values.clone() })
    }
}

impl Personal {
    /// Notes one click's losses; keeps a copy of parameters that have the whole say, and goes back to them,
    /// or to the shipped student, where the lead was lost.
    pub fn judge(&mut self, student: &Student, shipped: f64, personal: f64) {
        self.guard.note(shipped, personal);
        let Guard { clicks, lead, .. } = self.guard;
        if self.guard.say() == 1.0 {
            if self.good.as_ref().is_none_or(|good| lead > good.lead) {
                self.good = Some(Box::new(Good {
                    lead,
                    adapter: self.adapter.clone(),
                    taste: self.taste.clone(),
                    affinity: self.affinity.clone(),
                }));
            }
        } else if clicks >= PATIENCE && lead < if self.good.is_some() { 0.0 } else { -LEAD } {
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
            (self.adapter, self.taste, self.affinity) = (good.adapter, good.taste, good.affinity);
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
    fn a_say_needs_patience_and_a_lead() {
        assert_eq!(after(&[9.0, 9.0]).say(), 0.0);
        assert_eq!(after(&[9.0, 9.0, 9.0]).say(), 1.0);
        assert_eq!(after(&[SAY; 3]).say(), 0.0);
        assert_eq!(after(&[-1.0; 9]).say(), 0.0);
        let half = after(&[(SAY + LEAD) / 2.0; 5]).say();
        assert!((half - 0.5).abs() < 1e-6, "{half}");
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
