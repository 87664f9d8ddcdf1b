//! A shopper's state as bytes: for IndexedDB, for another device, and for a new worker.
//!
//! A safetensors file: the personal tensors, and one U8 tensor `state` with JSON. Clicks are kept
//! by the shop's ids, so that a session outlives a change of catalogue. Written and read only
//! here, on the shopper's own device. `docs/formats.md` is normative.

use onshelf_core::event::{Click, EventKind};
use onshelf_core::quality::{Gate, Rules};
use onshelf_core::weights::Weights;
use serde::{Deserialize, Serialize};

use super::{SESSION_LIMIT, Shopper};
use crate::error::ModelError;
use crate::personal::{Facts, Personal, STATE_FORMAT};
use crate::student::Encoded;

/// What a restore brought back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// Session and personal model.
    Everything,
    /// The session only: the personal model belongs to another model version and was dropped.
    SessionOnly,
}

#[derive(Serialize, Deserialize)]
struct Saved {
    format: u32,
    model_version: String,
    clicks: Vec<SavedClick>,
    judged: usize,
    facts: Facts,
}

#[derive(Serialize, Deserialize)]
struct SavedClick {
    item_id: String,
    event: String,
    at_ms: Option<i64>,
    dwell_ms: Option<u32>,
}

#[derive(Deserialize)]
struct Header {
    format: u32,
}

impl Shopper {
    fn saved(&self) -> Saved {
        let clicks = self
            .clicks
            .iter()
            .map(|c| SavedClick {
                item_id: self.catalogue.id(c.item).unwrap_or_default().to_owned(),
                event: c.kind.as_str().to_owned(),
                at_ms: c.at_ms,
                dwell_ms: c.dwell_ms,
            })
            .collect();
        Saved {
            format: STATE_FORMAT,
            model_version: self.version.clone(),
            clicks,
            judged: self.judged,
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
        weights.bytes.insert("state".into(), (vec![json.len()], json));
        Ok(weights.to_safetensors()?)
    }

    /// The state in words: JSON for the shopper.
    ///
    /// # Errors
    /// As [`Self::export_state`].
    pub fn export_readable(&self) -> Result<String, ModelError> {
        let about = serde_json::json!({
            "about": "Everything that onshelf keeps about you on this device. Nothing of it was uploaded.",
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
        let same = saved.model_version == self.version;
        let personal = if same {
            Personal::from_weights(&self.student, self.traits.len(), &weights, &saved.facts)
                .map_err(|e| damaged(e.to_string()))?
        } else {
            self.nobody()
        };
        let mut clicks: Vec<Click> = saved
            .clicks
            .iter()
            .filter_map(|c| {
                let item = self.catalogue.index_of(&c.item_id)?;
                Some(Click {
                    item,
                    kind: EventKind::parse(&c.event).ok()?,
                    at_ms: c.at_ms,
                    dwell_ms: c.dwell_ms,
                })
            })
            .collect();
        let surplus = clicks.len().saturating_sub(SESSION_LIMIT);
        clicks.drain(..surplus);
        // Duplicates and floods are told from what was restored, not from what was replaced.
        self.gate = Gate::new(Rules::default());
        for click in &clicks {
            self.gate.judge(click);
        }
        self.judged = saved.judged.min(clicks.len());
        self.seen_ms = clicks.last().and_then(|c| c.at_ms);
        self.clicks = clicks;
        self.personal = personal;
        self.encoded = Encoded::default();
        Ok(if same { Restored::Everything } else { Restored::SessionOnly })
    }
}
