//! The class that a worker drives.

use onshelf_core::catalogue::Catalogue;
use onshelf_core::event::EventKind;
use onshelf_core::version::{MANIFEST_LIMIT, Manifest, Role};
use onshelf_core::weights::Weights;
use onshelf_model::personal::Tuned;
use onshelf_model::shopper::{Forgotten, Shopper, Tracked};
use onshelf_model::student::Compute;
use wasm_bindgen::prelude::*;

use crate::convert::{
    JsAdapter, JsClick, JsEvent, JsExplanation, JsForgotten, JsGuard, JsInspection, JsItem, JsLearned,
    JsModel, JsSaved, JsShare, JsShelf, JsTracked, JsTuned, from_js, request, to_js,
};
use crate::error::{Code, Failure};
use crate::{device, fetch, storage};

/// Categories that an inspection lists.
const LEARNED: usize = 8;

/// A model version on one device, with one shopper's session and personal model. No two calls may
/// overlap: the worker keeps one queue.
#[wasm_bindgen]
pub struct Engine {
    compute: Compute,
    adapter: Option<JsAdapter>,
    shopper: Option<Shopper>,
    /// SHA-256 (hex) of the signed manifest: what tasks of private rounds name a version by.
    digest: String,
    shelves: u32,
}

type Answer = Result<JsValue, JsValue>;

#[wasm_bindgen]
impl Engine {
    /// Opens this module's device.
    ///
    /// # Errors
    /// `DEVICE_UNAVAILABLE`.
    pub async fn create() -> Result<Engine, JsValue> {
        let (compute, adapter) = device::open().await?;
        Ok(Engine { compute, adapter, shopper: None, digest: String::new(), shelves: 0 })
    }

    /// `"cpu"` or `"webgpu"`.
    #[must_use]
    pub fn device(&self) -> String {
        device::KIND.to_owned()
    }

    /// The graphics adapter, or `null`.
    ///
    /// # Errors
    /// None in practice.
    pub fn adapter(&self) -> Answer {
        Ok(device::describe(self.adapter.as_ref())?)
    }

    /// Fetches a model version, verifies signature and hashes, and puts it on the device.
    ///
    /// # Errors
    /// `NETWORK`, `MANIFEST_INVALID`, `UNTRUSTED_KEY`, `SIGNATURE_INVALID`, `FORMAT_TOO_NEW`,
    /// `FILE_TRUNCATED`, `HASH_MISMATCH`, `CATALOGUE_INVALID`. A version loaded before stays.
    pub async fn load(
        &mut self,
        manifest_url: String,
        public_keys: Vec<String>,
        on_progress: js_sys::Function,
    ) -> Answer {
        let report = |stage: &str, loaded: usize, total: usize| {
            // A listener that throws must not stop the load.
            let _ = on_progress.call3(
                &JsValue::NULL,
                &stage.into(),
                &(loaded as f64).into(),
                &(total as f64).into(),
            );
        };
        let envelope = fetch::fetch(&manifest_url, MANIFEST_LIMIT as u64, |_| ()).await?;
        report("manifest", envelope.len(), envelope.len());
        let verified = Manifest::verify(&envelope, &public_keys).map_err(Failure::from)?;
        let mut contents = Vec::new();
        for (role, stage) in [(Role::Weights, "weights"), (Role::Catalogue, "catalogue")] {
            let file = verified.manifest.file(role).map_err(Failure::from)?;
            let url = fetch::resolve(&manifest_url, &file.path);
            let total = usize::try_from(file.bytes).unwrap_or(usize::MAX);
            let content =
                fetch::fetch(&url, file.bytes, |loaded| report(stage, loaded.min(total), total)).await?;
            file.verify(&content).map_err(Failure::from)?;
            contents.push(content);
        }
        report("verify", 1, 1);
        let weights = Weights::from_safetensors(&contents[0]).map_err(Failure::from)?;
        let catalogue = Catalogue::from_json(&contents[1]).map_err(Failure::from)?;
        let digest = verified.digest;
        let seed = js_sys::Math::random().to_bits();
        let shopper =
            Shopper::new(verified.version, verified.manifest, catalogue, &weights, &self.compute, seed)
                .map_err(|e| Failure::new(Code::ManifestInvalid, e.to_string()))?;
        #[cfg(feature = "webgpu")]
        shopper.student().warm().await.map_err(Failure::from)?;
        report("device", 1, 1);
        let facts = facts(&shopper, &digest);
        (self.shopper, self.digest) = (Some(shopper), digest);
        Ok(to_js(&facts)?)
    }

    /// Learns by another strategy than the model version asks for.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, also for `ewc` where the model version has no Fisher information; `NOT_LOADED`.
    #[wasm_bindgen(js_name = setStrategy)]
    pub fn set_strategy(&mut self, strategy: JsValue) -> Result<(), JsValue> {
        let strategy = from_js(strategy, "strategy")?;
        let done = self.shopper()?.set_strategy(strategy);
        Ok(done.map_err(|e| Failure::new(Code::InvalidRequest, e.to_string()))?)
    }

    fn shopper(&mut self) -> Result<&mut Shopper, Failure> {
        self.shopper.as_mut().ok_or_else(|| Failure::new(Code::NotLoaded, "no model version is loaded"))
    }

    /// Takes an event into the session; `now_ms` is Unix time in milliseconds.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `NOT_LOADED`.
    pub fn track(&mut self, event: JsValue, now_ms: f64) -> Answer {
        let shopper = self.shopper()?;
        let event: JsEvent = from_js(event, "event")?;
        let kind =
            EventKind::of_ga4(&event.event).map_err(|e| Failure::new(Code::InvalidRequest, e.to_string()))?;
        // A search names no item either, so both are left out under the same reason.
        let kind = kind.unwrap_or(EventKind::Search);
        let dwell = event.dwell_ms.filter(|d| d.is_finite() && *d >= 0.0).map(|d| d as u32);
        let item_id = match (&event.item_id, kind.names_item()) {
            (Some(id), _) => id.as_str(),
            (None, false) => "",
            (None, true) => {
                let text = format!("event {} needs item_id", event.event);
                return Err(Failure::new(Code::InvalidRequest, text).into());
            }
        };
        let (accepted, reason) = match shopper.track(item_id, kind, dwell, now_ms as i64) {
            Tracked::Accepted => (true, None),
            Tracked::LeftOut(reason) => (false, Some(reason)),
        };
        Ok(to_js(&JsTracked { accepted, reason, session_length: shopper.clicks().len() })?)
    }

    /// Ranks a shelf.
    ///
    /// # Errors
    /// `INVALID_REQUEST`, `UNKNOWN_ITEM`, `NOT_LOADED`, `DEVICE_LOST`.
    pub async fn recommend(&mut self, shelf: JsValue, now_ms: f64) -> Answer {
        self.shelves = self.shelves.wrapping_add(1);
        let shelf_id = format!("{:x}-{:x}", now_ms as u64, self.shelves);
        let (slot, kind, request) = request(shelf)?;
        let shopper = self.shopper()?;
        let listed = shopper.recommend(&request).await.map_err(Failure::from)?;
        let items =
            (1..).zip(listed).map(|(rank, l)| JsItem { item_id: l.item_id, score: l.score, rank }).collect();
        let personal = shopper.is_personal() && kind == "for_you";
        Ok(to_js(&JsShelf { shelf_id, slot, kind, items, model_version: shopper.version(), personal })?)
    }

    /// Learns from the session with so many optimiser steps.
    ///
    /// # Errors
    /// `NOT_FINITE`, `NOT_LOADED`, `DEVICE_LOST`; what was learned before is kept.
    #[wasm_bindgen(js_name = fineTune)]
    pub async fn fine_tune(&mut self, steps: u32) -> Answer {
        let tuned = self.shopper()?.fine_tune(steps as usize).await.map_err(Failure::from)?;
        Ok(to_js(&told(tuned))?)
    }

    /// Removes every click on an item, and all that was learned; `relearn` brings back what the other clicks teach.
    ///
    /// # Errors
    /// `NOT_LOADED`.
    pub fn forget(&mut self, item_id: String) -> Answer {
        let Forgotten { removed, left } = self.shopper()?.forget(&item_id);
        Ok(to_js(&JsForgotten { removed, left })?)
    }

    /// Learns from the first `clicks` of the session, as if the others had not happened yet.
    ///
    /// # Errors
    /// As `fineTune`.
    pub async fn relearn(&mut self, clicks: u32, steps: u32) -> Answer {
        let tuned = self.shopper()?.relearn(clicks as usize, steps as usize).await.map_err(Failure::from)?;
        Ok(to_js(&told(tuned))?)
    }

    /// Which past clicks an item's score rests on.
    ///
    /// # Errors
    /// `UNKNOWN_ITEM`, `NOT_LOADED`, `DEVICE_LOST`.
    pub async fn explain(&mut self, item_id: String) -> Answer {
        let told = self.shopper()?.explain(&item_id).await.map_err(Failure::from)?;
        let because = told
            .because
            .into_iter()
            .map(|s| JsShare { item_id: s.item_id, position: s.position, contribution: s.contribution })
            .collect();
        Ok(to_js(&JsExplanation {
            item_id,
            score: told.score,
            because,
            personal_contribution: told.personal,
        })?)
    }

    /// The state in words.
    ///
    /// # Errors
    /// `NOT_LOADED`, `DEVICE_LOST`.
    pub async fn inspect(&mut self) -> Answer {
        let digest = self.digest.clone();
        let shopper = self.shopper()?;
        let learned = shopper.learned(LEARNED).await.map_err(Failure::from)?;
        let session = shopper
            .clicks()
            .iter()
            .map(|c| JsClick {
                item_id: shopper.catalogue().id(c.item).unwrap_or_default().to_owned(),
                event: c.kind.as_str(),
            })
            .collect();
        Ok(to_js(&JsInspection {
            model: facts(shopper, &digest),
            session,
            steps: shopper.personal().steps as f64,
            guard: JsGuard {
                compared: shopper.personal().guard.clicks,
                lead_nats: shopper.personal().guard.lead,
                evidence_nats: shopper.personal().guard.evidence,
                personal: shopper.is_personal(),
                say: shopper.personal().guard.say(),
                rolled_back: shopper.personal().guard.rolled_back,
            },
            learned: learned.into_iter().map(|(category, weight)| JsLearned { category, weight }).collect(),
        })?)
    }

    /// Session and personal model as bytes.
    ///
    /// # Errors
    /// `NOT_LOADED`.
    #[wasm_bindgen(js_name = exportState)]
    pub fn export_state(&mut self) -> Result<Vec<u8>, JsValue> {
        Ok(self.shopper()?.export_state().map_err(Failure::from)?)
    }

    /// Takes over what `exportState` gave. The personal model of another model version is dropped,
    /// the session is kept.
    ///
    /// # Errors
    /// `STATE_CORRUPT`, `STATE_VERSION`, `NOT_LOADED`; nothing is changed then.
    #[wasm_bindgen(js_name = importState)]
    pub fn import_state(&mut self, bytes: &[u8]) -> Result<(), JsValue> {
        self.shopper()?.import_state(bytes).map_err(Failure::from)?;
        Ok(())
    }

    /// Everything kept about the shopper, as JSON.
    ///
    /// # Errors
    /// `NOT_LOADED`.
    #[wasm_bindgen(js_name = exportReadable)]
    pub fn export_readable(&mut self) -> Result<String, JsValue> {
        Ok(self.shopper()?.export_readable().map_err(Failure::from)?)
    }

    /// Stores the state on this device.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`, `STORAGE_FULL`, `NOT_LOADED`; the old state stays whole.
    pub async fn save(&mut self) -> Answer {
        let state = self.shopper()?.export_state().map_err(Failure::from)?;
        storage::save(&state).await?;
        Ok(to_js(&JsSaved { bytes: state.len() })?)
    }

    /// Brings stored state back; tells whether there was any.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`, `STATE_CORRUPT`, `STATE_VERSION`, `NOT_LOADED`.
    pub async fn restore(&mut self) -> Result<bool, JsValue> {
        let stored = storage::restore().await?;
        let shopper = self.shopper()?;
        match stored {
            Some(bytes) => {
                shopper.import_state(&bytes).map_err(Failure::from)?;
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// What this device would contribute to round `round` of the model's lineage; `undefined` where there is
    /// nothing new to learn from. Never shown to a page.
    ///
    /// # Errors
    /// `NOT_LOADED`, `NOT_FINITE`, `DEVICE_LOST`, `STATE_CORRUPT`.
    pub async fn contribution(&mut self, round: f64) -> Result<Option<Vec<f32>>, JsValue> {
        let shopper = self.shopper()?;
        let part = shopper.part_of(round as u64).map_err(Failure::from)?;
        Ok(shopper.contribution(&part).await.map_err(Failure::from)?)
    }

    /// Notes that a contribution was made of all that is known now.
    ///
    /// # Errors
    /// `NOT_LOADED`.
    pub fn contributed(&mut self) -> Result<(), JsValue> {
        self.shopper()?.contributed();
        Ok(())
    }

    /// Forgets the shopper, here and, with `stored`, in storage.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`; what is in memory is forgotten all the same.
    pub async fn erase(&mut self, stored: bool) -> Result<(), JsValue> {
        if let Some(shopper) = &mut self.shopper {
            shopper.erase();
        }
        if stored {
            storage::erase().await?;
        }
        Ok(())
    }
}

/// The CPU's engine is there in every worker, so it is the one that checks.
#[cfg(feature = "cpu")]
#[wasm_bindgen]
impl Engine {
    /// Checks the public log of versions: that trusted keys signed it, that it goes on from the entry whose hash
    /// this browser remembers (`seen`; empty for none), and that it names the loaded version. Gives the hash to
    /// remember.
    ///
    /// # Errors
    /// `LOG_INVALID`, `NOT_LOADED`.
    #[wasm_bindgen(js_name = checkLog)]
    pub fn check_log(&mut self, log: &[u8], public_keys: Vec<String>, seen: &str) -> Result<String, JsValue> {
        self.shopper()?;
        Ok(crate::log::check(log, &public_keys, seen, &self.digest)?)
    }
}

fn told(tuned: Option<Tuned>) -> JsTuned {
    match tuned {
        Some(t) => JsTuned {
            steps: t.steps,
            loss_before: t.loss_before,
            loss_after: t.loss_after,
            kept: t.kept,
            reason: (!t.kept).then_some("the steps made the ranking worse and were undone"),
        },
        None => JsTuned {
            steps: 0,
            loss_before: 0.0,
            loss_after: 0.0,
            kept: false,
            reason: Some("the session has fewer than two clicks"),
        },
    }
}

fn facts(shopper: &Shopper, digest: &str) -> JsModel {
    JsModel {
        model_version: shopper.version().to_owned(),
        model_digest: digest.to_owned(),
        items: shopper.catalogue().len(),
        parameters: shopper.student().parameters(),
        personal_parameters: shopper.personal().parameters(),
        steps_per_click: shopper.steps_per_click(),
    }
}
