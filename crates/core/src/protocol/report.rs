//! A delta as one DAP report: what a browser uploads, once.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use janus_messages::codec::Encode;
use janus_messages::{
    InputShareAad, PlaintextInputShare, Report, ReportId, ReportMetadata, Role, TaskId, Time,
};

use super::hpke::{PublicConfig, Purpose, seal};
use super::manifest::TaskManifest;
use super::shard::SEED_BYTES;
use super::{ProtocolError, Random};

/// The media type of a report.
pub const REPORT_MEDIA_TYPE: &str = Report::MEDIA_TYPE;

/// A report ready for `PUT`; it holds nothing that can be read without an aggregator's key.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedReport {
    /// Random, so it names nobody; a second upload of it is dropped.
    pub id: [u8; 16],
    /// The body of the request.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for SealedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedReport({} bytes)", self.bytes.len())
    }
}

/// Where a task's reports are put: `PUT` this address with [`REPORT_MEDIA_TYPE`].
#[must_use]
pub fn upload_url(task: &TaskManifest) -> String {
    format!("{}tasks/{}/reports", task.parameters().leader.url, task.id_text())
}

/// Clips, rotates, quantises, shards and seals a delta of the shared adapter: `dimension` finite values.
/// `now_seconds` (since 1970) is rounded down to the task's precision.
///
/// # Errors
/// [`ProtocolError::Encode`] for a delta of another length or not finite, [`ProtocolError::Closed`] when
/// the task takes no reports now.
pub fn seal_delta(
    task: &TaskManifest,
    delta: &[f32],
    now_seconds: u64,
    random: &mut Random<'_>,
) -> Result<SealedReport, ProtocolError> {
    let mut word = || {
        let mut bytes = [0; 4];
        random(&mut bytes);
        u32::from_le_bytes(bytes)
    };
    let vector = task.parameters().encoding.encode(delta, &mut word)?;
    seal_integers(task, &vector, now_seconds, random)
}

/// Shards and seals the integers of a report, [`seal_delta`]'s second half.
///
/// # Errors
/// As [`seal_delta`]; [`ProtocolError::Message`] for integers out of range.
pub fn seal_integers(
    task: &TaskManifest,
    vector: &[u32],
    now_seconds: u64,
    random: &mut Random<'_>,
) -> Result<SealedReport, ProtocolError> {
    let p = task.parameters();
    if !task.is_open(now_seconds) {
        return Err(ProtocolError::Closed { start: p.start, expires: p.expires, now: now_seconds });
    }
    let (mut id, mut seeds) = ([0; 16], [0; SEED_BYTES]);
    random(&mut id);
    random(&mut seeds);
    let shares = task.vdaf().shard(vector, &id, &seeds)?;
    let time = Time::from_seconds_since_epoch(now_seconds - now_seconds % p.time_precision);
    let metadata = ReportMetadata::new(ReportId::from(id), time);
    let long = |_| ProtocolError::Message("longer than DAP allows");
    let aad = InputShareAad::new(TaskId::from(task.id()), metadata.clone(), shares.public.clone())
        .get_encoded()
        .map_err(long)?;
    let mut sealed = |to: &PublicConfig, role: Role, share: Vec<u8>| {
        let plain = PlaintextInputShare::new(Vec::new(), share).get_encoded().map_err(long)?;
        seal(to, Purpose::InputShare(role), &aad, &plain, random)
    };
    let leader = sealed(&p.leader.hpke, Role::Leader, shares.leader)?;
    let helper = sealed(&p.helper.hpke, Role::Helper, shares.helper)?;
    let report = Report::new(metadata, shares.public, leader, helper);
    Ok(SealedReport { id, bytes: report.get_encoded().map_err(long)? })
}

/// A new random id for a DAP resource that its creator names, in the form of addresses.
#[must_use]
pub fn random_id(random: &mut Random<'_>) -> String {
    let mut id = [0; 16];
    random(&mut id);
    BASE64URL.encode(id)
}
