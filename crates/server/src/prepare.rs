//! Verifying reports and adding them up: the arithmetic of both roles, without storage or network.

use std::collections::BTreeMap;

use janus_messages::codec::{Decode as _, Encode as _, ParameterizedDecode as _};
use janus_messages::{
    HpkeCiphertext, InputShareAad, PlaintextInputShare, PrepareError, PrepareInit, PrepareResp,
    PrepareStepResult, Report, ReportMetadata, ReportShare, TaskId,
};
use onshelf_core::protocol::hpke::{Purpose, open};
use prio::field::Field128;
use prio::topology::ping_pong::{
    PingPongContinuedValue, PingPongMessage, PingPongState, PingPongTopology as _,
};
use prio::vdaf::prio3::{Prio3InputShare, Prio3PublicShare, Prio3SumVec};
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use crate::aggregator::{LoadedTask, Role};
use crate::store::{Bucket, Id, Span, StoredReport, Sum};

type Input = Prio3InputShare<Field128, 16>;
type Public = Prio3PublicShare<16>;
/// What a leader keeps of a report until the helper has answered.
pub type State = PingPongState<16, 16, Prio3SumVec>;

/// The share of a report that is sealed to a role, opened and read.
///
/// # Errors
/// DAP's reason.
pub fn input_share(
    task: &LoadedTask,
    role: Role,
    metadata: &ReportMetadata,
    public: &[u8],
    ciphertext: &HpkeCiphertext,
) -> Result<(Public, Input), PrepareError> {
    if u8::from(*ciphertext.config_id()) != task.key.public().id() {
        return Err(PrepareError::HpkeUnknownConfigId);
    }
    let aad = InputShareAad::new(TaskId::from(task.id), metadata.clone(), public.to_vec());
    let aad = aad.get_encoded().map_err(|_| PrepareError::InvalidMessage)?;
    let plain = open(&task.key, Purpose::InputShare(role.dap()), &aad, ciphertext)
        .map_err(|_| PrepareError::HpkeDecryptError)?;
    let invalid = |_| PrepareError::InvalidMessage;
    let share = PlaintextInputShare::get_decoded(&plain).map_err(invalid)?;
    // No extension is known here, and DAP has unknown ones refused.
    if !share.extensions().is_empty() {
        return Err(PrepareError::InvalidMessage);
    }
    let number = usize::from(role == Role::Helper);
    let input = Input::get_decoded_with_param(&(&task.vdaf, number), share.payload()).map_err(invalid)?;
    let public = Public::get_decoded_with_param(&task.vdaf, public).map_err(invalid)?;
    Ok((public, input))
}

/// A report that a leader has begun.
pub struct Begun {
    /// Its id.
    pub id: Id,
    /// Its time.
    pub time: u64,
    /// What the leader needs for the helper's answer.
    pub state: State,
    /// What the helper gets.
    pub init: PrepareInit,
}

/// The first step of a leader with a job's reports, in parallel: those that can go on, and the reasons of
/// the others.
#[must_use]
pub fn begin(task: &LoadedTask, reports: &[StoredReport]) -> (Vec<Begun>, Vec<PrepareError>) {
    let all: Vec<_> = reports.par_iter().map(|report| begin_one(task, &report.body)).collect();
    let (mut begun, mut refused) = (Vec::new(), Vec::new());
    for one in all {
        match one {
            Ok(one) => begun.push(one),
            Err(reason) => refused.push(reason),
        }
    }
    (begun, refused)
}

fn begin_one(task: &LoadedTask, body: &[u8]) -> Result<Begun, PrepareError> {
    let report = Report::get_decoded(body).map_err(|_| PrepareError::InvalidMessage)?;
    let metadata = report.metadata();
    let id = *metadata.id().as_ref();
    let sealed = report.leader_encrypted_input_share();
    let (public, input) = input_share(task, Role::Leader, metadata, report.public_share(), sealed)?;
    let (state, message) = task
        .vdaf
        .leader_initialized(&task.verify_key, &(), &id, &public, &input)
        .map_err(|_| PrepareError::VdafPrepError)?;
    let share = ReportShare::new(
        metadata.clone(),
        report.public_share().to_vec(),
        report.helper_encrypted_input_share().clone(),
    );
    let time = metadata.time().as_seconds_since_epoch();
    Ok(Begun { id, time, state, init: PrepareInit::new(share, message) })
}

/// Output shares added up by bucket.
#[derive(Default)]
pub struct Sums(BTreeMap<u64, (Vec<Field128>, u64, [u8; 32])>);

impl Sums {
    /// Adds a report's output share.
    pub fn add(&mut self, bucket: u64, id: &Id, share: &[Field128]) {
        let (sum, reports, checksum) =
            self.0.entry(bucket).or_insert_with(|| (vec![Field128::from(0); share.len()], 0, [0; 32]));
        sum.iter_mut().zip(share).for_each(|(a, b)| *a += *b);
        *reports += 1;
        checksum.iter_mut().zip(Sha256::digest(id)).for_each(|(a, b)| *a ^= b);
    }

    /// The buckets, as they are stored.
    #[must_use]
    pub fn buckets(self) -> Vec<Bucket> {
        let bucket = |(start, (sum, reports, checksum)): (u64, (Vec<Field128>, u64, [u8; 32]))| {
            let mut share = Vec::with_capacity(sum.len() * 16);
            for value in &sum {
                // Encoding a field element into a vector cannot fail.
                let _ = value.encode(&mut share);
            }
            Bucket { start, sum: Sum { share, reports, checksum, span: Some(Span { start, end: start }) } }
        };
        self.0.into_iter().map(bucket).collect()
    }

    /// Reports in all buckets.
    #[must_use]
    pub fn reports(&self) -> u64 {
        self.0.values().map(|(_, reports, _)| reports).sum()
    }
}

/// The last step of a leader: `None` where the answers do not belong to the reports.
#[must_use]
pub fn end(
    task: &LoadedTask,
    begun: Vec<Begun>,
    answers: &[PrepareResp],
) -> Option<(Sums, Vec<PrepareError>)> {
    let fits = |(one, answer): (&Begun, &PrepareResp)| answer.report_id().as_ref() == &one.id;
    if begun.len() != answers.len() || !begun.iter().zip(answers).all(fits) {
        return None;
    }
    let (mut sums, mut refused) = (Sums::default(), Vec::new());
    for (one, answer) in begun.into_iter().zip(answers) {
        match end_one(task, one.state, answer.result()) {
            Ok(share) => sums.add(task.bucket(one.time), &one.id, &share),
            Err(reason) => refused.push(reason),
        }
    }
    Some((sums, refused))
}

fn end_one(
    task: &LoadedTask,
    state: State,
    answer: &PrepareStepResult,
) -> Result<Vec<Field128>, PrepareError> {
    match answer {
        PrepareStepResult::Continue { message } => match task.vdaf.leader_continued(state, &(), message) {
            Ok(PingPongContinuedValue::FinishedNoMessage { output_share }) => {
                Ok(output_share.as_ref().to_vec())
            }
            _ => Err(PrepareError::VdafPrepError),
        },
        PrepareStepResult::Reject(reason) => Err(*reason),
        PrepareStepResult::Finished => Err(PrepareError::InvalidMessage),
    }
}

/// What a helper makes of a report: its output share and the message for the leader.
pub type Finished = (Vec<Field128>, PingPongMessage);

/// A helper's only step with a job's reports, in parallel.
#[must_use]
pub fn help(task: &LoadedTask, inits: &[PrepareInit]) -> Vec<Result<Finished, PrepareError>> {
    inits.par_iter().map(|init| help_one(task, init)).collect()
}

fn help_one(task: &LoadedTask, init: &PrepareInit) -> Result<Finished, PrepareError> {
    let share = init.report_share();
    let metadata = share.metadata();
    let sealed = share.encrypted_input_share();
    let (public, input) = input_share(task, Role::Helper, metadata, share.public_share(), sealed)?;
    let failed = |_| PrepareError::VdafPrepError;
    let id = metadata.id().as_ref();
    let transition = task
        .vdaf
        .helper_initialized(&task.verify_key, &(), id, &public, &input, init.message())
        .map_err(failed)?;
    match transition.evaluate(&task.vdaf).map_err(failed)? {
        (PingPongState::Finished(output), message) => Ok((output.as_ref().to_vec(), message)),
        (PingPongState::Continued(_), _) => Err(PrepareError::VdafPrepError),
    }
}

/// The word by which a reason is counted.
#[must_use]
pub fn reason(error: PrepareError) -> &'static str {
    match error {
        PrepareError::BatchCollected => "batch-collected",
        PrepareError::ReportReplayed => "replayed",
        PrepareError::ReportDropped => "dropped",
        PrepareError::HpkeUnknownConfigId => "unknown-key",
        PrepareError::HpkeDecryptError => "not-opened",
        PrepareError::VdafPrepError => "proof-failed",
        PrepareError::BatchSaturated => "batch-saturated",
        PrepareError::TaskExpired => "too-late",
        PrepareError::InvalidMessage => "malformed",
        PrepareError::ReportTooEarly => "too-early",
    }
}
