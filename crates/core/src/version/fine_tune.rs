//! How devices fine-tune, as a manifest says it.

use serde::{Deserialize, Serialize};

/// How a device fine-tunes; chosen with the model, on validation data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FineTuneConfig {
    /// Adam's learning rate for the personal part and the adapter.
    pub learning_rate: f32,
    /// Optimiser steps for each click.
    pub steps_per_click: usize,
    /// Sampled negative items of a step.
    pub negatives: usize,
    /// Strength of the pull towards the shipped student (proximal term).
    pub proximal: f32,
    /// What a click of the session counts, compared with the one after it (0: only the newest counts;
    /// 1: all count the same): a small memory against forgetting.
    #[serde(default = "memory", skip_serializing_if = "is_memory")]
    pub memory: f32,
    /// The shipped student's best items at the newest position that are certain to be among the
    /// candidates of a step: the softmax is exact where it matters.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hard: usize,
    /// What a click counts for the shopper's leanings to categories and brands, against 1 for what the model
    /// version foretold (0: none are learned).
    #[serde(default, skip_serializing_if = "is_default")]
    pub affinity_rate: f32,
    /// What is left of these counts at the next click (0–1).
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub affinity_memory: f32,
    /// Share of the loss that follows the shipped student's own ranking (0–1).
    #[serde(default, skip_serializing_if = "is_default")]
    pub distil: f32,
    /// Share of a step that goes to one of the shopper's earlier sessions (0–1; 0: none are kept).
    #[serde(default, skip_serializing_if = "is_default")]
    pub replay: f32,
    /// Strength of elastic weight consolidation: above 0 each parameter of the adapter is pulled by this times
    /// the Fisher information that the student was shipped with (mean 1), and no longer by `proximal`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub ewc: f32,
}

/// What it was before manifests named it; those manifests must keep their bytes.
fn memory() -> f32 {
    0.8
}

/// What leanings remembered before manifests named it.
fn whole() -> f32 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_whole(value: &f32) -> bool {
    *value == whole()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_memory(value: &f32) -> bool {
    *value == memory()
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl FineTuneConfig {
    /// What students are shipped with: chosen on the shoppers that decide in `onshelf benchmark new-shoppers`.
    #[must_use]
    pub fn tuned() -> Self {
        Self {
            learning_rate: 0.001,
            steps_per_click: 1,
            negatives: 512,
            proximal: 0.05,
            memory: memory(),
            hard: 200,
            affinity_rate: 0.2,
            affinity_memory: 0.8,
            distil: 0.5,
            replay: 0.0,
            ewc: 0.0,
        }
    }

    /// The same rate and steps with one strategy alone; its strength is the manifest's, or a usual one where
    /// the manifest does without.
    #[must_use]
    pub fn with(self, strategy: Strategy) -> Self {
        let or = |value: f32, usual: f32| if value > 0.0 { value } else { usual };
        let plain = Self { proximal: 0.0, memory: 0.0, distil: 0.0, replay: 0.0, ewc: 0.0, ..self.clone() };
        let near = Self { proximal: or(self.proximal, 0.05), ..plain };
        match strategy {
            Strategy::Shipped => self,
            Strategy::Gradient => Self { proximal: 0.0, ..near },
            Strategy::Proximal => near,
            Strategy::Ewc => Self { ewc: or(self.ewc, 0.05), ..near },
            Strategy::Replay => {
                Self { memory: or(self.memory, memory()), replay: or(self.replay, 0.3), ..near }
            }
            Strategy::Distillation => Self { distil: or(self.distil, 0.5), ..near },
        }
    }
}

/// How a device keeps from forgetting while it fine-tunes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// What the manifest says.
    #[default]
    Shipped,
    /// The newest click alone.
    Gradient,
    /// A pull towards the shipped student (Li et al., MLSys 2020).
    Proximal,
    /// The same pull on the adapter, stronger where the shipped student is sure of a parameter: elastic weight
    /// consolidation (Kirkpatrick et al., PNAS 2017). Needs a student that was shipped with its Fisher information.
    Ewc,
    /// Earlier clicks and sessions again.
    Replay,
    /// Part of the loss follows the shipped student's own ranking (Li & Hoiem, ECCV 2016).
    Distillation,
}

/// What a manifest means that does not name all fields.
impl Default for FineTuneConfig {
    fn default() -> Self {
        Self {
            learning_rate: 0.01,
            steps_per_click: 4,
            negatives: 128,
            proximal: 0.05,
            memory: memory(),
            hard: 0,
            affinity_rate: 0.0,
            affinity_memory: whole(),
            distil: 0.0,
            replay: 0.0,
            ewc: 0.0,
        }
    }
}
