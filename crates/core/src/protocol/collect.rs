//! The collector's half: asking for a batch's sum, and reading it.

use std::fmt;

use janus_messages::codec::{Decode, Encode};
use janus_messages::query_type::TimeInterval;
use janus_messages::{
    AggregateShareAad, BatchSelector, Collection, CollectionReq, Duration, HpkeCiphertext, Interval, Query,
    Role, TaskId, Time,
};
use prio::field::{Field128, FieldElement};

use super::ProtocolError;
use super::hpke::{Keypair, Purpose, open};
use super::manifest::TaskManifest;

/// The media type of a request for a sum.
pub const COLLECT_MEDIA_TYPE: &str = CollectionReq::<TimeInterval>::MEDIA_TYPE;
/// The media type of a sum.
pub const COLLECTION_MEDIA_TYPE: &str = Collection::<TimeInterval>::MEDIA_TYPE;

/// The times of a batch: a start and a length, seconds, both multiples of the task's precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// First second, since 1970.
    pub start: u64,
    /// Seconds.
    pub duration: u64,
}

impl Batch {
    /// All of a task's time.
    #[must_use]
    pub fn whole(task: &TaskManifest) -> Self {
        let p = task.parameters();
        Self { start: p.start, duration: p.expires - p.start }
    }

    fn interval(self) -> Result<Interval, ProtocolError> {
        Interval::new(Time::from_seconds_since_epoch(self.start), Duration::from_seconds(self.duration))
            .map_err(|_| ProtocolError::Message("an interval beyond time"))
    }
}

/// The body of the request that opens a collection job ([`COLLECT_MEDIA_TYPE`]).
///
/// # Errors
/// [`ProtocolError::Message`] for an interval that is none.
pub fn collection_request(batch: Batch) -> Result<Vec<u8>, ProtocolError> {
    CollectionReq::new(Query::new_time_interval(batch.interval()?), Vec::new())
        .get_encoded()
        .map_err(|_| ProtocolError::Message("longer than DAP allows"))
}

/// The noised sum of a batch.
#[derive(Clone, PartialEq, Eq)]
pub struct NoisedSum {
    /// How many reports it is of.
    pub reports: u64,
    /// One integer for each of a report's; noise may carry it below zero.
    pub sum: Vec<i128>,
}

impl fmt::Debug for NoisedSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoisedSum({} reports)", self.reports)
    }
}

impl NoisedSum {
    /// The mean delta: dequantised and rotated back, `dimension` values.
    ///
    /// # Errors
    /// [`ProtocolError::Encode`].
    pub fn mean_delta(&self, task: &TaskManifest) -> Result<Vec<f32>, ProtocolError> {
        Ok(task.parameters().encoding.decode_mean(&self.sum, self.reports)?)
    }
}

/// Opens both shares of a collection ([`COLLECTION_MEDIA_TYPE`]) and adds them.
///
/// # Errors
/// [`ProtocolError::Message`] for bytes that are none, or of fewer reports than the task allows to
/// release; [`ProtocolError::Hpke`] for shares that are not for this task, batch or key.
pub fn open_collection(
    task: &TaskManifest,
    key: &Keypair,
    batch: Batch,
    body: &[u8],
) -> Result<NoisedSum, ProtocolError> {
    let collection = Collection::<TimeInterval>::get_decoded(body)
        .map_err(|_| ProtocolError::Message("not a collection"))?;
    let reports = collection.report_count();
    if reports < task.parameters().min_batch {
        return Err(ProtocolError::Message("a collection of fewer reports than the task allows"));
    }
    let selector = BatchSelector::<TimeInterval>::new_time_interval(batch.interval()?);
    let aad = AggregateShareAad::new(TaskId::from(task.id()), Vec::new(), selector)
        .get_encoded()
        .map_err(|_| ProtocolError::Message("longer than DAP allows"))?;
    let share = |from: Role, ciphertext: &HpkeCiphertext| {
        let plain = open(key, Purpose::AggregateShare(from), &aad, ciphertext)?;
        decode_share(&plain, task.vdaf().length())
    };
    let leader = share(Role::Leader, collection.leader_encrypted_aggregate_share())?;
    let helper = share(Role::Helper, collection.helper_encrypted_aggregate_share())?;
    let sum = leader.into_iter().zip(helper).map(|(a, b)| signed(a + b)).collect();
    Ok(NoisedSum { reports, sum })
}

/// Reads an aggregate share of `length` field elements.
///
/// # Errors
/// [`ProtocolError::Message`].
pub fn decode_share(bytes: &[u8], length: usize) -> Result<Vec<Field128>, ProtocolError> {
    let wrong = ProtocolError::Message("not a share of the task's length");
    if bytes.len() != length * Field128::ENCODED_SIZE {
        return Err(wrong);
    }
    bytes
        .chunks_exact(Field128::ENCODED_SIZE)
        .map(|chunk| Field128::get_decoded(chunk).map_err(|_| wrong.clone()))
        .collect()
}

/// Field elements above the middle are negative numbers.
#[must_use]
pub fn signed(value: Field128) -> i128 {
    let (up, down) = (u128::from(value), u128::from(-value));
    if up <= down { up as i128 } else { -(down as i128) }
}

#[cfg(test)]
mod tests;
