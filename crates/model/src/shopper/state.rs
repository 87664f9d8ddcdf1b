//! A shopper's state as bytes: for IndexedDB, for another device, and for a new worker.
//!
//! A safetensors file: the personal tensors, and one U8 tensor `state` with JSON. Clicks are kept
//! by the shop's ids, so that a session outlives a change of catalogue. Written and read only
//! here, on the shopper's own device. `docs/formats.md` is normative.

use onshelf_core::event::{Click, EventKind};
use onshelf_core::quality::{Gate, Rules};
use onshelf_core::version::Role;
use onshelf_core::weights::Weights;
use serde::{Deserialize, Serialize};

use super::{PAST_CLICKS, PAST_SESSIONS, SESSION_LIMIT, Shopper};
use crate::error::ModelError;
use crate::personal::{Facts, Personal, STATE_FORMAT};
use crate::student::{Adapter, Encoded};

/// What a restore brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// Session and personal model.
    Everything,
    /// Session and personal model, carried over: the model version differs in the shared adapter alone.
    Rebased,
    /// The session only: the personal model belongs to another model and was dropped.
    SessionOnly,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    format: u32,
    model_version: String,
    clicks: Vec<SavedClick>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    past: Vec<Vec<SavedClick>>,
    /// What this version's personal model may be carried over to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ground: Option<Ground>,
    judged: usize,
    /// [`Shopper::contributed`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    contributed_ms: Option<i64>,
    facts: Facts,
}

#[derive(Serialize, Deserialize)]
struct SavedClick {
    item_id: String,
    event: String,
    at_ms: Option<i64>,
    dwell_ms: Option<u32>,
}

/// What stays the same between two versions of which one was learned from the other by syncing.
#[derive(PartialEq, Serialize, Deserialize)]
struct Ground {
    /// [`onshelf_core::version::Manifest::frozen`].
    frozen: String,
    /// SHA-256 (hex) of the catalogue: leanings are by its categories and brands.
    catalogue: String,
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

impl Shopper {
    fn saved_clicks(&self, clicks: &[Click]) -> Vec<SavedClick> {
        let saved = |c: &Click| SavedClick {
            item_id: self.catalogue.id(c.item).unwrap_or_default().to_owned(),
            event: c.kind.as_str().to_owned(),
            at_ms: c.at_ms,
            dwell_ms: c.dwell_ms,
        };
        clicks.iter().map(saved).collect()
    }

    /// The saved clicks on items that this catalogue has.
    fn known_clicks(&self, saved: &[SavedClick], limit: usize) -> Vec<Click> {
        let known = |c: &SavedClick| {
            let item = self.catalogue.index_of(&c.item_id)?;
            Some(Click { item, kind: EventKind::parse(&c.event).ok()?, at_ms: c.at_ms, dwell_ms: c.dwell_ms })
        };
        let mut clicks: Vec<Click> = saved.iter().filter_map(known).collect();
        let surplus = clicks.len().saturating_sub(limit);
        clicks.drain(..surplus);
        clicks
    }

    fn ground(&self) -> Option<Ground> {
        let catalogue = self.manifest.file(Role::Catalogue).ok()?.sha256.clone();
        Some(Ground { frozen: self.manifest.frozen.clone()?, catalogue })
    }

    fn saved(&self) -> Saved {
        Saved {
            format: STATE_FORMAT,
            model_version: self.version.clone(),
            clicks: self.saved_clicks(&self.clicks),
            past: self.past.iter().map(|clicks| self.saved_clicks(clicks)).collect(),
            ground: self.ground(),
            judged: self.judged,
            contributed_ms: self.contributed_ms,
            facts: self.personal.facts(),
        }
    }

    /// The state as bytes.
    ///
    /// # Errors
    /// [`ModelError::State`] where it cannot be written, which would be a defect.
    pub fn export_state(&self) -> Result<Vec<u8>, ModelError> {
        let json = serde_json::to_vec(&self.saved()).map_err(|e| ModelError::State(e.to_string()))?;
        let mut weights = self.personal.to_weights();
        if self.manifest.frozen.is_some() {
            self.student.base().write_as("base", &mut weights);
        }
        weights.bytes.insert("state".into(), (vec![json.len()], json));
        Ok(weights.to_safetensors()?)
    }

    /// The state in words: JSON for the shopper.
    ///
    /// # Errors
    /// As [`Self::export_state`].
    pub fn export_readable(&self) -> Result<String, ModelError> {
        let about = serde_json::json!({
            "about": "Everything that onshelf keeps about you on this device. None of it is ever uploaded as it stands here. \
                      Where you agreed to take part in private rounds, only sums over many shoppers can be read.",
            "state": self.saved(),
            "leanings": self.traits.named(&self.personal.affinity),
            "taste": self.personal.taste,
            "adapter": { "down": self.personal.adapter.down, "up": self.personal.adapter.up },
        });
        serde_json::to_string_pretty(&about).map_err(|e| ModelError::State(e.to_string()))
    }

    /// Takes over a state. Nothing is changed where it cannot be read.
    ///
    /// # Errors
    /// [`ModelError::StateTooNew`] or [`ModelError::State`] with what is wrong.
    pub fn import_state(&mut self, bytes: &[u8]) -> Result<Restored, ModelError> {
        let damaged = |e: String| ModelError::State(format!("{e}; it is dropped and learning starts afresh"));
        let weights = Weights::from_safetensors(bytes).map_err(|e| damaged(e.to_string()))?;
        let json = &weights.bytes.get("state").ok_or_else(|| damaged("no state in it".into()))?.1;
        let Header { format } = serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
        if format > STATE_FORMAT {
            return Err(ModelError::StateTooNew { found: format, known: STATE_FORMAT });
        }
        let saved: Saved = serde_json::from_slice(json).map_err(|e| damaged(e.to_string()))?;
        let restored = match saved.model_version == self.version {
            true => Restored::Everything,
            false if saved.ground.is_some() && saved.ground == self.ground() => Restored::Rebased,
            false => Restored::SessionOnly,
        };
        let read = |weights: &Weights| {
            Personal::from_weights(&self.student, self.traits.len(), weights, &saved.facts)
                .map_err(|e| damaged(e.to_string()))
        };
        let personal = match restored {
            Restored::Everything => read(&weights)?,
            Restored::Rebased => read(&self.rebase(weights).map_err(|e| damaged(e.to_string()))?)?.on_trial(),
            Restored::SessionOnly => self.nobody(),
        };
        let clicks = self.known_clicks(&saved.clicks, SESSION_LIMIT);
        let past = saved.past.iter().rev().take(if self.config.replay > 0.0 { PAST_SESSIONS } else { 0 });
        self.past = past.map(|s| self.known_clicks(s, PAST_CLICKS)).filter(|s| s.len() > 1).collect();
        self.past.reverse();
        // Duplicates and floods are told from what was restored, not from what was replaced.
        self.gate = Gate::new(Rules::default());
        for click in &clicks {
            self.gate.judge(click);
        }
        self.judged = saved.judged.min(clicks.len());
        self.seen_ms = clicks.last().and_then(|c| c.at_ms);
        self.contributed_ms = saved.contributed_ms;
        self.clicks = clicks;
        self.personal = personal;
        self.encoded = Encoded::default();
        Ok(restored)
    }

    /// The personal adapter moved as the shipped one did: new base + (personal - old base).
    fn rebase(&self, mut weights: Weights) -> Result<Weights, ModelError> {
        let (dim, rank) = (self.manifest.student.dim, self.manifest.student.adapter_rank);
        let (new, old) = (self.student.base(), Adapter::read_as("base", &weights, dim, rank)?);
        let mut own = Adapter::read(&weights, dim, rank)?;
        for (own, (new, old)) in [(&mut own.down, (&new.down, &old.down)), (&mut own.up, (&new.up, &old.up))]
        {
            own.iter_mut().zip(new.iter().zip(old)).for_each(|(x, (new, old))| *x += new - old);
        }
        own.write(&mut weights);
        Ok(weights)
    }
}
