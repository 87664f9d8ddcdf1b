//! What a leader does with an upload: refuse it with a reason, or store it as it came, sealed.

use axum::http::StatusCode;
use janus_messages::codec::Decode as _;
use janus_messages::problem_type::DapProblemType;
use janus_messages::{PrepareError, Report};

use crate::aggregator::{Aggregator, LoadedTask, Role};
use crate::prepare::{input_share, reason};
use crate::problem::Refusal;
use crate::store::{StoredReport, Upload};

/// When a report may come: a refusal and the word it is counted by.
///
/// # Errors
/// DAP's reason.
pub fn check_time(aggregator: &Aggregator, task: &LoadedTask, time: u64) -> Result<(), PrepareError> {
    let (now, times) = (aggregator.now(), &aggregator.settings.times);
    if time > now.saturating_add(times.clock_skew) {
        return Err(PrepareError::ReportTooEarly);
    }
    let over = now >= task.manifest.parameters().expires.saturating_add(times.late);
    if over || !task.manifest.is_open(time) { Err(PrepareError::TaskExpired) } else { Ok(()) }
}

fn refusal(error: PrepareError) -> Refusal {
    let (kind, detail) = match error {
        PrepareError::ReportTooEarly => {
            (DapProblemType::ReportTooEarly, "the report's time is ahead of ours")
        }
        PrepareError::HpkeUnknownConfigId => {
            (DapProblemType::OutdatedConfig, "the leader's share is sealed to a key that is not the task's")
        }
        PrepareError::TaskExpired => {
            (DapProblemType::ReportRejected, "the task takes no reports of this time")
        }
        PrepareError::BatchCollected => (DapProblemType::ReportRejected, "its batch was collected"),
        PrepareError::HpkeDecryptError => {
            (DapProblemType::ReportRejected, "the leader's share cannot be opened")
        }
        _ => (DapProblemType::InvalidMessage, "the leader's share or the public share is malformed"),
    };
    Refusal::dap(kind, detail)
}

/// Checks and stores an upload. A report that is there already is counted and taken again without
/// effect, so that a client may repeat an upload whose answer was lost.
///
/// # Errors
/// [`Refusal`].
pub async fn upload(aggregator: &Aggregator, task: &LoadedTask, body: Vec<u8>) -> Result<(), Refusal> {
    let counted = async |word: &'static str, refusal: Refusal| {
        aggregator.metrics.reject(word, 1);
        // The refusal stands whether or not it could be counted for good.
        let _ = aggregator.store.reject(&task.id, word, 1).await;
        refusal
    };
    let Ok(report) = Report::get_decoded(&body) else {
        let refusal = Refusal::dap(DapProblemType::InvalidMessage, "the body is not a report");
        return Err(counted("malformed", refusal).await);
    };
    let time = report.metadata().time().as_seconds_since_epoch();
    let id = *report.metadata().id().as_ref();
    let checked = check_time(aggregator, task, time).and_then(|()| {
        if task.key_expires <= aggregator.now() {
            return Err(PrepareError::HpkeUnknownConfigId);
        }
        let sealed = report.leader_encrypted_input_share();
        input_share(task, Role::Leader, report.metadata(), report.public_share(), sealed).map(|_| ())
    });
    if let Err(error) = checked {
        return Err(counted(reason(error), refusal(error)).await);
    }
    let stored = StoredReport { id, body };
    let quota = aggregator.settings.limits.waiting_reports;
    let bucket = task.bucket(time);
    match aggregator.store.put_report(&task.id, &stored, bucket, aggregator.now(), quota).await? {
        Upload::New => {
            aggregator.metrics.uploaded.inc();
            Ok(())
        }
        Upload::Replayed => {
            counted("replayed", refusal(PrepareError::ReportReplayed)).await;
            Ok(())
        }
        Upload::Collected => {
            let error = PrepareError::BatchCollected;
            Err(counted(reason(error), refusal(error)).await)
        }
        Upload::Full => {
            let full =
                Refusal::http(StatusCode::TOO_MANY_REQUESTS, "too many reports of this task wait; try later");
            Err(counted("queue-full", full).await)
        }
    }
}
