//! The resources of draft-ietf-ppm-dap-09.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use janus_messages::codec::{Decode as _, Encode as _};
use janus_messages::problem_type::DapProblemType;
use janus_messages::query_type::TimeInterval;
use janus_messages::{
    AggregateShare, AggregateShareReq, AggregationJobContinueReq, AggregationJobInitializeReq,
    AggregationJobResp, Collection, CollectionReq, HpkeConfigList, Report, TaskId,
};

use super::Shared;
use super::request::{authorise, body, job_id, media_type, task_id};
use crate::aggregator::{LoadedTask, Token};
use crate::helper;
use crate::keys;
use crate::problem::Refusal;
use crate::store::{CollectionJob, Known, Opened, Stage};
use crate::upload;

/// Counts an answer and gives a refusal its form.
fn answer(
    shared: &Shared,
    resource: &str,
    task: Option<&TaskId>,
    result: Result<Response, Refusal>,
) -> Response {
    if let Err(Refusal::Store(error)) = &result {
        shared.aggregator.metrics.storage_failed(error);
    }
    let response = result.unwrap_or_else(|refusal| refusal.response(task));
    shared.aggregator.metrics.answered(resource, response.status().as_u16());
    response
}

/// The longest request for a sum, bytes.
const SMALL: usize = 1 << 16;

/// Reads a request of another party: its token, its media type, the task of its address, its body.
async fn read(
    shared: &Shared,
    allowed: &[Token],
    task: &str,
    media: &str,
    limit: usize,
    request: Request<Body>,
) -> Result<(Arc<LoadedTask>, Vec<u8>), Refusal> {
    authorise(request.headers(), allowed)?;
    media_type(request.headers(), media)?;
    let task = shared.aggregator.task(task_id(task)?.as_ref()).await?;
    Ok((task, body(request, limit, shared.aggregator.settings.limits.body_seconds).await?))
}

pub(crate) fn of_type(status: StatusCode, media: &'static str, bytes: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, media)], bytes).into_response()
}

/// Lets pages of any shop upload: the request carries no cookie, and the answer nothing.
pub(crate) fn allow_pages(mut response: Response) -> Response {
    let any = header::HeaderValue::from_static("*");
    response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    // Else a page on another origin cannot see how long it is to wait.
    let seen = header::HeaderValue::from_static("retry-after");
    response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, seen);
    response
}

/// `OPTIONS tasks/{task}/reports`: a browser asks first, since a report's media type is none of the web's.
pub(super) async fn preflight() -> Response {
    may_send("PUT")
}

/// What a browser is told that asks whether it may send a body of a media type of ours.
pub(crate) fn may_send(method: &'static str) -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, method),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    allow_pages((StatusCode::NO_CONTENT, headers).into_response())
}

/// `GET hpke_config`.
pub(super) async fn hpke_config(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let named = query.split('&').find_map(|pair| pair.strip_prefix("task_id="));
    let task = named.and_then(|text| task_id(text).ok());
    let result = match named {
        Some(text) => configs_of_task(&shared, text).await,
        None => configs(&shared).await,
    };
    allow_pages(answer(&shared, "hpke_config", task.as_ref(), result))
}

async fn configs_of_task(shared: &Shared, text: &str) -> Result<Response, Refusal> {
    let task = shared.aggregator.task(task_id(text)?.as_ref()).await?;
    if task.key_expires <= shared.aggregator.now() {
        return Err(Refusal::dap(DapProblemType::OutdatedConfig, "the task's key has ended"));
    }
    config_list(vec![task.key.public().config().clone()])
}

async fn configs(shared: &Shared) -> Result<Response, Refusal> {
    let now = shared.aggregator.now();
    let keys = keys::all(&*shared.aggregator.store).await?;
    let used = keys.iter().filter(|key| key.expires > now);
    config_list(used.map(|key| key.pair.public().config().clone()).collect())
}

fn config_list(configs: Vec<janus_messages::HpkeConfig>) -> Result<Response, Refusal> {
    let failed = |_| Refusal::http(StatusCode::INTERNAL_SERVER_ERROR, "too many keys");
    let bytes = HpkeConfigList::new(configs).get_encoded().map_err(failed)?;
    let mut response = of_type(StatusCode::OK, HpkeConfigList::MEDIA_TYPE, bytes);
    let day = header::HeaderValue::from_static("max-age=86400");
    response.headers_mut().insert(header::CACHE_CONTROL, day);
    Ok(response)
}

/// `PUT tasks/{task}/reports`.
pub(super) async fn upload(
    State(shared): State<Shared>,
    Path(task): Path<String>,
    request: Request<Body>,
) -> Response {
    let id = task_id(&task).ok();
    let result = upload_to(&shared, &task, request).await;
    allow_pages(answer(&shared, "reports", id.as_ref(), result))
}

async fn upload_to(shared: &Shared, task: &str, request: Request<Body>) -> Result<Response, Refusal> {
    let aggregator = &shared.aggregator;
    media_type(request.headers(), Report::MEDIA_TYPE)?;
    let task = aggregator.task(task_id(task)?.as_ref()).await?;
    let busy = |_| Refusal::http(StatusCode::SERVICE_UNAVAILABLE, "too many uploads at once; try later");
    let _permit = shared.uploads.clone().try_acquire_owned().map_err(busy)?;
    let limits = &aggregator.settings.limits;
    let body = body(request, limits.report_bytes, limits.body_seconds).await?;
    upload::upload(aggregator, &task, body).await?;
    Ok(StatusCode::CREATED.into_response())
}

/// `PUT tasks/{task}/aggregation_jobs/{job}`.
pub(super) async fn aggregation_job(
    State(shared): State<Shared>,
    Path((task, job)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let id = task_id(&task).ok();
    let result = aggregation_job_of(&shared, &task, &job, request).await;
    answer(&shared, "aggregation_jobs", id.as_ref(), result)
}

async fn aggregation_job_of(
    shared: &Shared,
    task: &str,
    job: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (aggregator, limit) = (&shared.aggregator, shared.aggregator.settings.limits.job_bytes);
    let media = AggregationJobInitializeReq::<TimeInterval>::MEDIA_TYPE;
    let (task, body) = read(shared, &aggregator.settings.leader_tokens, task, media, limit, request).await?;
    let job = job_id(job)?;
    let response = helper::aggregation_job(aggregator, &task, &job, body).await?;
    Ok(of_type(StatusCode::CREATED, AggregationJobResp::MEDIA_TYPE, response))
}

/// `POST tasks/{task}/aggregation_jobs/{job}`: Prio3 is over after the first step, so nothing continues.
pub(super) async fn continue_job(
    State(shared): State<Shared>,
    Path((task, job)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let id = task_id(&task).ok();
    let result = continue_of(&shared, &task, &job, request).await;
    answer(&shared, "aggregation_jobs", id.as_ref(), result)
}

async fn continue_of(
    shared: &Shared,
    task: &str,
    job: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (aggregator, limit) = (&shared.aggregator, shared.aggregator.settings.limits.job_bytes);
    let media = AggregationJobContinueReq::MEDIA_TYPE;
    let (task, body) = read(shared, &aggregator.settings.leader_tokens, task, media, limit, request).await?;
    let job = job_id(job)?;
    let bad = |_| Refusal::dap(DapProblemType::InvalidMessage, "the body does not continue a job");
    AggregationJobContinueReq::get_decoded(&body).map_err(bad)?;
    let known = aggregator.store.known_job(&task.id, &job, &[0; 32]).await?;
    Err(if known == Known::New {
        Refusal::dap(DapProblemType::UnrecognizedAggregationJob, "no such job here")
    } else {
        Refusal::dap(DapProblemType::StepMismatch, "Prio3 has one step, and it is done")
    })
}

/// `DELETE tasks/{task}/aggregation_jobs/{job}`: what was summed stays summed.
pub(super) async fn delete_job(
    State(shared): State<Shared>,
    Path((task, _)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let id = task_id(&task).ok();
    let result = authorise(&headers, &shared.aggregator.settings.leader_tokens);
    answer(&shared, "aggregation_jobs", id.as_ref(), result.map(|()| StatusCode::NO_CONTENT.into_response()))
}

/// `POST tasks/{task}/aggregate_shares`.
pub(super) async fn aggregate_share(
    State(shared): State<Shared>,
    Path(task): Path<String>,
    request: Request<Body>,
) -> Response {
    let id = task_id(&task).ok();
    let result = aggregate_share_of(&shared, &task, request).await;
    answer(&shared, "aggregate_shares", id.as_ref(), result)
}

async fn aggregate_share_of(
    shared: &Shared,
    task: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (aggregator, media) = (&shared.aggregator, AggregateShareReq::<TimeInterval>::MEDIA_TYPE);
    let (task, body) = read(shared, &aggregator.settings.leader_tokens, task, media, SMALL, request).await?;
    let share = helper::aggregate_share(aggregator, &task, &body).await?;
    Ok(of_type(StatusCode::OK, AggregateShare::MEDIA_TYPE, share))
}

/// `PUT tasks/{task}/collection_jobs/{job}`.
pub(super) async fn open_collection(
    State(shared): State<Shared>,
    Path((task, job)): Path<(String, String)>,
    request: Request<Body>,
) -> Response {
    let id = task_id(&task).ok();
    let result = open_of(&shared, &task, &job, request).await;
    answer(&shared, "collection_jobs", id.as_ref(), result)
}

async fn open_of(
    shared: &Shared,
    task: &str,
    job: &str,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (aggregator, media) = (&shared.aggregator, CollectionReq::<TimeInterval>::MEDIA_TYPE);
    let (task, body) =
        read(shared, &aggregator.settings.collector_tokens, task, media, SMALL, request).await?;
    let job = job_id(job)?;
    let invalid = |detail| Refusal::dap(DapProblemType::InvalidMessage, detail);
    let asked = CollectionReq::<TimeInterval>::get_decoded(&body)
        .map_err(|_| invalid("the body is not a collection request of a time-interval task"))?;
    if !asked.aggregation_parameter().is_empty() {
        return Err(invalid("Prio3 has no aggregation parameter"));
    }
    let span = helper::span(&task, asked.query().batch_interval())?;
    match aggregator.store.open_collection(&task.id, &job, &body, span).await? {
        Opened::Ok => Ok(StatusCode::CREATED.into_response()),
        Opened::Other => Err(Refusal::http(StatusCode::CONFLICT, "another collection job has this id")),
        Opened::Queried => Err(Refusal::dap(
            DapProblemType::BatchQueriedTooManyTimes,
            "these times were asked for before; a batch is released once",
        )),
        Opened::Overlap => {
            Err(Refusal::dap(DapProblemType::BatchOverlap, "another batch has some of these times"))
        }
    }
}

/// `POST tasks/{task}/collection_jobs/{job}`.
pub(super) async fn poll_collection(
    State(shared): State<Shared>,
    Path((task, job)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let id = task_id(&task).ok();
    let result = poll_of(&shared, &task, &job, &headers).await;
    answer(&shared, "collection_jobs", id.as_ref(), result)
}

async fn poll_of(shared: &Shared, task: &str, job: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let aggregator = &shared.aggregator;
    authorise(headers, &aggregator.settings.collector_tokens)?;
    let (task, job) = (aggregator.task(task_id(task)?.as_ref()).await?, job_id(job)?);
    let missing = || Refusal::http(StatusCode::NOT_FOUND, "no such collection job");
    let job: CollectionJob = aggregator.store.collection(&task.id, &job).await?.ok_or_else(missing)?;
    match job.stage {
        Stage::Done => Ok(of_type(StatusCode::OK, Collection::<TimeInterval>::MEDIA_TYPE, job.result)),
        Stage::Failed => {
            let kind = job.problem.parse().unwrap_or(DapProblemType::BatchInvalid);
            Err(Refusal::dap(kind, "the batch cannot be released"))
        }
        Stage::Waiting => Ok((StatusCode::ACCEPTED, [(header::RETRY_AFTER, "1")]).into_response()),
    }
}

/// `DELETE tasks/{task}/collection_jobs/{job}`.
pub(super) async fn delete_collection(
    State(shared): State<Shared>,
    Path((task, job)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    let id = task_id(&task).ok();
    let result = delete_of(&shared, &task, &job, &headers).await;
    answer(&shared, "collection_jobs", id.as_ref(), result)
}

async fn delete_of(shared: &Shared, task: &str, job: &str, headers: &HeaderMap) -> Result<Response, Refusal> {
    let aggregator = &shared.aggregator;
    authorise(headers, &aggregator.settings.collector_tokens)?;
    let (task, job) = (aggregator.task(task_id(task)?.as_ref()).await?, job_id(job)?);
    let missing = Refusal::http(StatusCode::NOT_FOUND, "no such collection job");
    let gone = aggregator.store.drop_collection(&task.id, &job).await?;
    if gone { Ok(StatusCode::NO_CONTENT.into_response()) } else { Err(missing) }
}
