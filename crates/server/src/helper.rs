//! The helper's two answers: to an aggregation job, and to a request for its share of a batch.

use axum::http::StatusCode;
use janus_messages::codec::{Decode as _, Encode as _};
use janus_messages::problem_type::DapProblemType;
use janus_messages::query_type::TimeInterval;
use janus_messages::{
    AggregateShare, AggregateShareAad, AggregateShareReq, AggregationJobInitializeReq, AggregationJobResp,
    BatchSelector, HpkeCiphertext, Interval, PrepareError, PrepareInit, PrepareResp, PrepareStepResult,
    TaskId,
};
use onshelf_core::protocol::hpke::{Purpose, seal};
use sha2::{Digest as _, Sha256};

use crate::aggregator::{Aggregator, LoadedTask};
use crate::prepare::{Finished, Sums, help, reason};
use crate::problem::Refusal;
use crate::random;
use crate::store::{Answer, Claim, Closing, Dropped, Id, Known, Span};
use crate::upload::check_time;

fn invalid(detail: &'static str) -> Refusal {
    Refusal::dap(DapProblemType::InvalidMessage, detail)
}

/// Answers an aggregation job. The same request gets the same answer, however often it comes; another
/// request under its id is refused.
///
/// # Errors
/// [`Refusal`].
pub async fn aggregation_job(
    aggregator: &Aggregator,
    task: &std::sync::Arc<LoadedTask>,
    job: &Id,
    body: Vec<u8>,
) -> Result<Vec<u8>, Refusal> {
    let hash: [u8; 32] = Sha256::digest(&body).into();
    let request = AggregationJobInitializeReq::<TimeInterval>::get_decoded(&body)
        .map_err(|_| invalid("the body is not an aggregation job of a time-interval task"))?;
    if !request.aggregation_parameter().is_empty() {
        return Err(invalid("Prio3 has no aggregation parameter"));
    }
    // Something may change between looking and writing: then look again.
    for _ in 0..5 {
        match aggregator.store.known_job(&task.id, job, &hash).await? {
            Known::Same(response) => return Ok(response),
            Known::Other => return Err(Refusal::http(StatusCode::CONFLICT, "another job has this id")),
            Known::New => {}
        }
        if let Some(response) = prepare(aggregator, task, job, &hash, request.prepare_inits()).await? {
            return Ok(response);
        }
    }
    Err(Refusal::http(StatusCode::SERVICE_UNAVAILABLE, "the task's batches keep changing; try again"))
}

async fn prepare(
    aggregator: &Aggregator,
    task: &std::sync::Arc<LoadedTask>,
    job: &Id,
    hash: &[u8; 32],
    inits: &[PrepareInit],
) -> Result<Option<Vec<u8>>, Refusal> {
    let named: Vec<(Id, u64)> = inits.iter().map(|init| id_and_time(task, init)).collect();
    let mut ids: Vec<&Id> = named.iter().map(|(id, _)| id).collect();
    ids.sort_unstable();
    if ids.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(invalid("a report is in the job twice"));
    }
    let dropped = aggregator.store.dropped(&task.id, &named).await?;
    let (worker, owned) = (task.clone(), inits.to_vec());
    let helped = tokio::task::spawn_blocking(move || help(&worker, &owned))
        .await
        .map_err(|_| Refusal::http(StatusCode::INTERNAL_SERVER_ERROR, "verifying failed"))?;
    let (mut sums, mut counted, mut answers) = (Sums::default(), Vec::new(), Vec::new());
    for (((init, (id, bucket)), dropped), helped) in inits.iter().zip(&named).zip(dropped).zip(helped) {
        let result = match verdict(aggregator, task, init, dropped, helped) {
            Ok((share, message)) => {
                sums.add(*bucket, id, &share);
                counted.push((*id, *bucket));
                PrepareStepResult::Continue { message }
            }
            Err(error) => {
                aggregator.metrics.reject(reason(error), 1);
                PrepareStepResult::Reject(error)
            }
        };
        answers.push(PrepareResp::new(*init.report_share().metadata().id(), result));
    }
    let response =
        AggregationJobResp::new(answers).get_encoded().map_err(|_| invalid("the answer is too long"))?;
    let reports = sums.reports();
    let buckets = sums.buckets();
    let answer = Answer {
        task: &task.id,
        job,
        request: hash,
        response: &response,
        reports: &counted,
        buckets: &buckets,
    };
    if !aggregator.store.answer_job(&answer).await? {
        return Ok(None);
    }
    aggregator.metrics.aggregated.inc_by(reports);
    Ok(Some(response))
}

fn id_and_time(task: &LoadedTask, init: &PrepareInit) -> (Id, u64) {
    let metadata = init.report_share().metadata();
    (*metadata.id().as_ref(), task.bucket(metadata.time().as_seconds_since_epoch()))
}

fn verdict(
    aggregator: &Aggregator,
    task: &LoadedTask,
    init: &PrepareInit,
    dropped: Option<Dropped>,
    helped: Result<Finished, PrepareError>,
) -> Result<Finished, PrepareError> {
    let time = init.report_share().metadata().time().as_seconds_since_epoch();
    match dropped {
        Some(Dropped::Replayed) => return Err(PrepareError::ReportReplayed),
        Some(Dropped::Collected) => return Err(PrepareError::BatchCollected),
        None => {}
    }
    if task.key_expires <= aggregator.now() {
        return Err(PrepareError::HpkeUnknownConfigId);
    }
    match check_time(aggregator, task, time) {
        // Whether it came in time was the leader's to say; the task's own bounds hold here as well.
        Err(PrepareError::TaskExpired) if task.manifest.is_open(time) => helped,
        Err(error) => Err(error),
        Ok(()) => helped,
    }
}

/// Times of a batch, where they are ones that a task can have.
///
/// # Errors
/// `batchInvalid`.
pub fn span(task: &LoadedTask, interval: &Interval) -> Result<Span, Refusal> {
    let (start, duration) = (interval.start().as_seconds_since_epoch(), interval.duration().as_seconds());
    let precision = task.manifest.parameters().time_precision;
    let aligned = start.is_multiple_of(precision) && duration.is_multiple_of(precision) && duration > 0;
    let end = start.checked_add(duration).filter(|end| aligned && *end < 1 << 40);
    let end = end.ok_or(Refusal::dap(
        DapProblemType::BatchInvalid,
        "start and duration must be multiples of the task's precision",
    ))?;
    Ok(Span { start, end })
}

/// Seals a role's noised share of a batch to the collector.
///
/// # Errors
/// [`Refusal`] where the batch cannot be written, which an earlier check rules out.
pub fn seal_share(
    aggregator: &Aggregator,
    task: &LoadedTask,
    selector: BatchSelector<TimeInterval>,
    share: &[u8],
) -> Result<HpkeCiphertext, Refusal> {
    let failed = || Refusal::http(StatusCode::INTERNAL_SERVER_ERROR, "the share could not be sealed");
    let aad = AggregateShareAad::new(TaskId::from(task.id), Vec::new(), selector);
    let aad = aad.get_encoded().map_err(|_| failed())?;
    let purpose = Purpose::AggregateShare(aggregator.role().dap());
    let collector = &task.manifest.parameters().collector;
    seal(collector, purpose, &aad, share, &mut random::fill).map_err(|_| failed())
}

/// Closes a batch with this aggregator's noise.
///
/// # Errors
/// [`Refusal::Store`].
pub async fn close(
    aggregator: &Aggregator,
    task: &LoadedTask,
    span: Span,
    claim: Option<Claim>,
) -> Result<Closing, Refusal> {
    let (noise, std) = (aggregator.noise, task.manifest.noise());
    // A share without noise must never leave: one that cannot be noised becomes nothing at all.
    let add = move |share: &[u8]| noise.add(share, std).unwrap_or_default();
    let min_batch = task.manifest.parameters().min_batch;
    Ok(aggregator.store.close_batch(&task.id, span, min_batch, claim, &add).await?)
}

/// Answers a request for this helper's share of a batch.
///
/// # Errors
/// [`Refusal`]: `batchInvalid`, `batchOverlap`, `batchMismatch`, `invalidBatchSize`.
pub async fn aggregate_share(
    aggregator: &Aggregator,
    task: &LoadedTask,
    body: &[u8],
) -> Result<Vec<u8>, Refusal> {
    let request = AggregateShareReq::<TimeInterval>::get_decoded(body)
        .map_err(|_| invalid("the body is not a request for a time-interval task's share"))?;
    if !request.aggregation_parameter().is_empty() {
        return Err(invalid("Prio3 has no aggregation parameter"));
    }
    let span = span(task, request.batch_selector().batch_interval())?;
    let checksum = request.checksum().as_ref().try_into().map_err(|_| invalid("not a checksum"))?;
    let claim = Claim { reports: request.report_count(), checksum };
    let dap = |kind, detail| Err(Refusal::dap(kind, detail));
    match close(aggregator, task, span, Some(claim)).await? {
        Closing::Closed(sum) => {
            aggregator.metrics.released.inc();
            let sealed = seal_share(aggregator, task, request.batch_selector().clone(), &sum.share)?;
            AggregateShare::new(sealed).get_encoded().map_err(|_| invalid("the share is too long"))
        }
        Closing::Overlap => {
            dap(DapProblemType::BatchOverlap, "another batch with some of these times was released")
        }
        Closing::Mismatch => {
            aggregator.mismatch(task, span, claim.reports);
            dap(DapProblemType::BatchMismatch, "count or checksum is not this helper's")
        }
        Closing::TooFew(_) | Closing::Pending | Closing::Held(_) => {
            dap(DapProblemType::InvalidBatchSize, "the batch has fewer reports than the task allows")
        }
    }
}
