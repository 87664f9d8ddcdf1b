//! A **task**: one round of sums, and everything about it that matters. Its id is a hash of all of that,
//! so a server cannot hand one shopper another model, another noise or another key under the same id.
//! `docs/formats.md` is normative.

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ProtocolError;
use super::hpke::PublicConfig;
use super::shard::Vdaf;
use crate::privacy::encode::Encoding;
use crate::privacy::gaussian::{NoiseStd, Policy};
use crate::version::{check_format, envelope};

/// The newest format of tasks this build reads and the one it writes.
pub const TASK_FORMAT: u32 = 1;
/// DSSE payload type of a task.
pub const TASK_PAYLOAD_TYPE: &str = "application/vnd.onshelf.task+json";
/// Nothing is released of fewer reports, whatever a task says.
pub const MIN_BATCH: u64 = 1_000;
/// The most participations of one shopper that a task may account for.
pub const MAX_PARTICIPATIONS: u32 = 12;
/// The largest ε over all participations.
pub const MAX_EPSILON: f64 = 8.0;
/// The largest δ over all participations.
pub const MAX_DELTA: f64 = 1e-6;

/// What a task's hash begins with.
const DOMAIN: &[u8] = b"onshelf task 1";

/// One of the two aggregators, as clients and its peer see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aggregator {
    /// Where its DAP resources are, with a slash at the end. `https`, or `http` on this machine.
    pub url: String,
    /// The key that shares for it are sealed to.
    pub hpke: PublicConfig,
}

/// What a task says. Any values can be written here; [`TaskManifest::new`] is what checks them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskParameters {
    /// [`TASK_FORMAT`] at writing.
    pub format: u32,
    /// The model version that deltas are relative to: the whole SHA-256 of its signed payload, hex
    /// ([`crate::version::VerifiedManifest::digest`]).
    pub model: String,
    /// The line of models that one privacy budget covers: letters, digits, `-`, `_`, `.`; at most 64.
    pub lineage: String,
    /// Number of the round within the lineage.
    pub round: u64,
    /// Dimension, bits, clip norm and rotation of a report.
    pub encoding: Encoding,
    /// Chunk length of Prio3SumVec's proofs; [`Vdaf::chunk_length`] gives the usual one.
    pub chunk_length: u32,
    /// ε, δ, participations and noise multiplier.
    pub policy: Policy,
    /// Fewest reports that anything is released of; at least [`MIN_BATCH`].
    pub min_batch: u64,
    /// The aggregator that clients upload to.
    pub leader: Aggregator,
    /// The other one.
    pub helper: Aggregator,
    /// The key that sums are sealed to.
    pub collector: PublicConfig,
    /// Report times are rounded down to multiples of it, and batches made of such: 60 to 604,800 seconds.
    pub time_precision: u64,
    /// When reports are taken from, seconds since 1970; a multiple of the precision.
    pub start: u64,
    /// When they no longer are; a multiple of the precision, at most 366 days after the start.
    pub expires: u64,
}

/// A task that keeps the rules; others cannot be constructed, through serde neither.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "TaskParameters", into = "TaskParameters")]
pub struct TaskManifest(TaskParameters);

impl TryFrom<TaskParameters> for TaskManifest {
    type Error = ProtocolError;

    fn try_from(parameters: TaskParameters) -> Result<Self, ProtocolError> {
        Self::new(parameters)
    }
}

impl From<TaskManifest> for TaskParameters {
    fn from(task: TaskManifest) -> Self {
        task.0
    }
}

fn rule(holds: bool, what: &str) -> Result<(), ProtocolError> {
    if holds { Ok(()) } else { Err(ProtocolError::Task(what.to_owned())) }
}

/// A base address that clients may be sent to.
fn is_base_url(url: &str) -> bool {
    let host = |rest: &str| rest.split(['/', ':']).next().unwrap_or_default().to_owned();
    let secure = url.strip_prefix("https://").is_some_and(|rest| !host(rest).is_empty());
    let local =
        url.strip_prefix("http://").is_some_and(|rest| ["localhost", "127.0.0.1"].contains(&&*host(rest)));
    let plain = url.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/[]".contains(&b));
    (secure || local) && plain && url.len() <= 1_000 && url.ends_with('/')
}

impl TaskManifest {
    /// Checks every rule.
    ///
    /// # Errors
    /// [`ProtocolError::Task`] names the rule that is broken.
    pub fn new(p: TaskParameters) -> Result<Self, ProtocolError> {
        rule((1..=TASK_FORMAT).contains(&p.format), "its format is not known")?;
        let hex = p.model.len() == 64 && p.model.bytes().all(|b| b"0123456789abcdef".contains(&b));
        rule(hex, "model must be a SHA-256 in lower-case hex")?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        rule(
            (1..=64).contains(&p.lineage.len()) && p.lineage.bytes().all(plain),
            "lineage must be 1 to 64 letters, digits, '-', '_' or '.'",
        )?;
        rule((MIN_BATCH..=1 << 32).contains(&p.min_batch), "min_batch must be 1,000 to 2^32")?;
        rule(p.policy.participations() <= MAX_PARTICIPATIONS, "participations must be at most 12")?;
        rule(p.policy.epsilon() <= MAX_EPSILON, "epsilon must be at most 8")?;
        rule(p.policy.delta() <= MAX_DELTA, "delta must be at most 1e-6")?;
        rule(
            is_base_url(&p.leader.url) && is_base_url(&p.helper.url) && p.leader.url != p.helper.url,
            "leader and helper need different https addresses that end in '/'",
        )?;
        rule(p.leader.hpke != p.helper.hpke, "leader and helper need different keys")?;
        rule((60..=604_800).contains(&p.time_precision), "time_precision must be 60 to 604,800 seconds")?;
        rule(
            p.start.is_multiple_of(p.time_precision) && p.expires.is_multiple_of(p.time_precision),
            "start and expires must be multiples of time_precision",
        )?;
        rule(
            p.expires > p.start && p.expires - p.start <= 366 * 86_400 && p.expires < 1 << 40,
            "expires must be after start, by at most 366 days",
        )?;
        Vdaf::new(&p.encoding, p.chunk_length)?;
        Ok(Self(p))
    }

    /// What it says.
    #[must_use]
    pub fn parameters(&self) -> &TaskParameters {
        &self.0
    }

    /// The id: SHA-256 of the canonical encoding.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        Sha256::digest(self.canonical()).into()
    }

    /// The id as DAP's addresses have it: base64url without padding.
    #[must_use]
    pub fn id_text(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.id())
    }

    /// The verifiable function of the task.
    #[must_use]
    pub fn vdaf(&self) -> Vdaf {
        Vdaf::checked(&self.0.encoding, self.0.chunk_length)
    }

    /// The standard deviation of the noise that **each** aggregator adds to its share, in steps.
    #[must_use]
    pub fn noise(&self) -> NoiseStd {
        self.0.policy.noise(&self.0.encoding)
    }

    /// Whether reports of that time belong to the task.
    #[must_use]
    pub fn is_open(&self, seconds: u64) -> bool {
        (self.0.start..self.0.expires).contains(&seconds)
    }

    /// Signs: gives the envelope's JSON.
    ///
    /// # Errors
    /// [`ProtocolError::Signature`].
    pub fn sign(&self, key: &SigningKey) -> Result<Vec<u8>, ProtocolError> {
        let payload = serde_json::to_vec(self).map_err(|e| ProtocolError::Task(e.to_string()))?;
        Ok(envelope::seal(TASK_PAYLOAD_TYPE, &payload, key)?)
    }

    /// Reads an envelope, checks that a trusted key signed it, and only then reads the task.
    ///
    /// # Errors
    /// [`ProtocolError`].
    pub fn verify(envelope: &[u8], trusted_keys: &[String]) -> Result<Self, ProtocolError> {
        let payload = envelope::open(TASK_PAYLOAD_TYPE, envelope, trusted_keys)?;
        check_format("task", &payload, TASK_FORMAT)?;
        serde_json::from_slice(&payload).map_err(|e| ProtocolError::Task(e.to_string()))
    }

    /// What a browser checks before it takes part: that the task is for its model, that it is the one
    /// whose id was announced (`None`: none was), and that it is open.
    ///
    /// # Errors
    /// [`ProtocolError::Mismatch`] or [`ProtocolError::Closed`].
    pub fn check_offer(
        &self,
        model_digest: &str,
        announced_id: Option<&str>,
        now_seconds: u64,
    ) -> Result<(), ProtocolError> {
        let same = |what, found: &str, expected: &str| {
            let (found, expected) = (found.to_owned(), expected.to_owned());
            if found == expected { Ok(()) } else { Err(ProtocolError::Mismatch { what, found, expected }) }
        };
        same("model", &self.0.model, model_digest)?;
        if let Some(id) = announced_id {
            same("id", &self.id_text(), id)?;
        }
        let (start, expires) = (self.0.start, self.0.expires);
        let closed = ProtocolError::Closed { start, expires, now: now_seconds };
        if self.is_open(now_seconds) { Ok(()) } else { Err(closed) }
    }

    /// Every field in the order of the struct: numbers as 64 bits big-endian (floats as their IEEE 754
    /// bits), texts and bytes behind their length as 32 bits.
    fn canonical(&self) -> Vec<u8> {
        let p = &self.0;
        let mut out = Canonical(DOMAIN.to_vec());
        out.number(p.format.into()).text(&p.model).text(&p.lineage).number(p.round);
        let e = &p.encoding;
        out.number(e.dimension() as u64).number(e.bits().into()).float(e.clip()).bytes(&e.seed().0);
        out.number(p.chunk_length.into());
        let policy = &p.policy;
        out.float(policy.epsilon()).float(policy.delta()).number(policy.participations().into());
        out.float(policy.noise_multiplier()).text("zero-out").number(p.min_batch);
        for aggregator in [&p.leader, &p.helper] {
            out.text(&aggregator.url).bytes(&aggregator.hpke.encoded());
        }
        out.bytes(&p.collector.encoded()).number(p.time_precision).number(p.start).number(p.expires);
        out.0
    }
}

struct Canonical(Vec<u8>);

impl Canonical {
    fn number(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    fn float(&mut self, value: f64) -> &mut Self {
        self.number(value.to_bits())
    }

    fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.0.extend_from_slice(&(value.len() as u32).to_be_bytes());
        self.0.extend_from_slice(value);
        self
    }

    fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }
}

#[cfg(test)]
pub(super) mod tests;
