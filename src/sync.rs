//! A task of a private round, and the report that a device contributes to it. With [`crate::relay`] all of the third module.

use onshelf_core::protocol::ProtocolError;
use onshelf_core::protocol::manifest::TaskManifest;
use onshelf_core::protocol::report::seal_delta;
use onshelf_core::version::VersionError;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;

use crate::convert::{JsTask, to_js};
use crate::error::{Code, Failure};
use crate::log;

/// A task whose signature was checked, with the id that its contents give it.
#[wasm_bindgen]
pub struct SyncTask {
    task: TaskManifest,
}

#[wasm_bindgen]
impl SyncTask {
    /// Checks that a trusted key signed the task, that it keeps every rule and, where an id was announced,
    /// that it is the one announced.
    ///
    /// # Errors
    /// `SIGNATURE_INVALID`, `UNTRUSTED_KEY`, `FORMAT_TOO_NEW`, `TASK_INVALID`, `TASK_MISMATCH`.
    pub fn verify(
        envelope: &[u8],
        public_keys: Vec<String>,
        announced_id: Option<String>,
    ) -> Result<SyncTask, JsValue> {
        let task = TaskManifest::verify(envelope, &public_keys).map_err(failure)?;
        let id = task.id_text();
        if let Some(announced) = announced_id.filter(|announced| *announced != id) {
            let text = format!("the task announced as {announced} is {id}");
            return Err(Failure::new(Code::TaskMismatch, text).into());
        }
        Ok(Self { task })
    }

    /// What the task says.
    ///
    /// # Errors
    /// None in practice.
    pub fn facts(&self) -> Result<JsValue, JsValue> {
        let p = self.task.parameters();
        Ok(to_js(&JsTask {
            task_id: self.task.id_text(),
            lineage: &p.lineage,
            round: p.round as f64,
            model: &p.model,
            parameters: p.encoding.dimension(),
            participations: p.policy.participations(),
            epsilon: p.policy.epsilon(),
            delta: p.policy.delta(),
            min_batch: p.min_batch as f64,
            opens_s: p.start as f64,
            expires_s: p.expires as f64,
            leader: &p.leader.url,
            helper: &p.helper.url,
        })?)
    }

    /// Checks the public log of versions: that trusted keys signed it, that it goes on from the entry whose hash
    /// this browser remembers (`seen`; empty for none), and that it names the task's model, so that nobody
    /// was given a special one. Gives the hash to remember.
    ///
    /// # Errors
    /// `LOG_INVALID`.
    #[wasm_bindgen(js_name = checkLog)]
    pub fn check_log(&self, log: &[u8], public_keys: Vec<String>, seen: &str) -> Result<String, JsValue> {
        Ok(log::check(log, &public_keys, seen, &self.task.parameters().model)?)
    }

    /// Checks that an aggregator (`leader` or `helper`) still uses the key that the task commits to;
    /// `list` is its encoded `HpkeConfigList`.
    ///
    /// # Errors
    /// `HPKE_MISMATCH`, `INVALID_REQUEST`.
    #[wasm_bindgen(js_name = checkConfig)]
    pub fn check_config(&self, role: &str, list: &[u8]) -> Result<(), JsValue> {
        let p = self.task.parameters();
        let aggregator = match role {
            "leader" => &p.leader,
            "helper" => &p.helper,
            _ => return Err(Failure::new(Code::InvalidRequest, "role must be leader or helper").into()),
        };
        if aggregator.hpke.is_listed(list) {
            return Ok(());
        }
        let text = format!("the {role} at {} does not use the key that the task commits to", aggregator.url);
        Err(Failure::new(Code::HpkeMismatch, text).into())
    }

    /// One report: clipped, rotated, rounded, shared and sealed with this browser's own randomness.
    /// `now_s` is the time in seconds since 1970.
    ///
    /// # Errors
    /// `TASK_EXPIRED`, `TASK_INVALID` for a delta of another length, `NOT_FINITE`.
    pub fn seal(&self, delta: &[f32], now_s: f64) -> Result<Vec<u8>, JsValue> {
        let mut pool = Pool::new()?;
        let sealed =
            seal_delta(&self.task, delta, now_s as u64, &mut |bytes| pool.fill(bytes)).map_err(failure)?;
        Ok(sealed.bytes)
    }
}

fn failure(error: ProtocolError) -> Failure {
    use onshelf_core::privacy::encode::EncodeError;
    let code = match &error {
        // What is wrong with an envelope is the task's here, and no model's.
        ProtocolError::Signature(VersionError::Invalid(_)) => Code::TaskInvalid,
        ProtocolError::Signature(inner) => return inner.clone().into(),
        ProtocolError::Mismatch { .. } => Code::TaskMismatch,
        ProtocolError::Closed { .. } => Code::TaskExpired,
        ProtocolError::Encode(EncodeError::NotFinite) => Code::NotFinite,
        _ => Code::TaskInvalid,
    };
    Failure::new(code, error.to_string())
}

/// Bytes of `crypto.getRandomValues`, fetched in portions: a call into JavaScript for every number would
/// cost more than the numbers.
pub(crate) struct Pool {
    crypto: JsValue,
    fill: js_sys::Function,
    bytes: [u8; Self::PORTION],
    used: usize,
}

impl Pool {
    /// Below the 65,536 that a browser gives at once.
    const PORTION: usize = 8_192;

    pub(crate) fn new() -> Result<Self, Failure> {
        let get = |object: &JsValue, name: &str| {
            js_sys::Reflect::get(object, &name.into()).ok().filter(|found| !found.is_undefined())
        };
        let found = get(&js_sys::global(), "crypto").and_then(|crypto| {
            let fill = get(&crypto, "getRandomValues")?.dyn_into().ok()?;
            Some((crypto, fill))
        });
        let (crypto, fill) =
            found.ok_or_else(|| Failure::new(Code::SyncUnavailable, "this browser has no randomness"))?;
        Ok(Self { crypto, fill, bytes: [0; Self::PORTION], used: Self::PORTION })
    }

    pub(crate) fn fill(&mut self, mut wanted: &mut [u8]) {
        while !wanted.is_empty() {
            if self.used == Self::PORTION {
                self.draw();
            }
            let count = wanted.len().min(Self::PORTION - self.used);
            let (now, later) = wanted.split_at_mut(count);
            now.copy_from_slice(&self.bytes[self.used..self.used + count]);
            // Nothing random is used twice, nor left lying about.
            self.bytes[self.used..self.used + count].fill(0);
            self.used += count;
            wanted = later;
        }
    }

    /// # Panics
    /// Where the browser refuses, which it may not for this many bytes: nothing could be sealed safely.
    fn draw(&mut self) {
        let array = js_sys::Uint8Array::new_with_length(Self::PORTION as u32);
        self.fill.call1(&self.crypto, &array).expect("getRandomValues failed");
        array.copy_to(&mut self.bytes);
        self.used = 0;
    }
}
