//! What an operator asks: tasks, keys, status, metrics, health.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::Shared;
use super::request::{authorise, body};
use crate::aggregator::TaskError;
use crate::keys;
use crate::problem::Refusal;
use crate::store::TaskCounts;

/// What the embedded mode says of itself, wherever it is asked.
pub const EMBEDDED_NOTICE: &str = "Leader and helper run in one process: whoever operates it holds both shares of \
every report and can put them together. There is no secrecy against that operator. For development and demonstration.";

#[derive(Serialize)]
struct Taken {
    task: String,
}

/// `POST onshelf/tasks`: a signed task.
pub(super) async fn add_task(State(shared): State<Shared>, request: Request<Body>) -> Response {
    add(&shared, request).await.unwrap_or_else(|refusal| refusal.response(None))
}

async fn add(shared: &Shared, request: Request<Body>) -> Result<Response, Refusal> {
    let aggregator = &shared.aggregator;
    authorise(request.headers(), &aggregator.settings.operator_tokens)?;
    let body = body(request, 1 << 20, aggregator.settings.limits.body_seconds).await?;
    match aggregator.add_task(&body).await {
        Ok(task) => {
            let taken = Taken { task: task.manifest.id_text() };
            Ok((StatusCode::CREATED, Json(taken)).into_response())
        }
        Err(TaskError::Store(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "a task was refused");
            Ok(Refusal::Task(error.to_string()).response(None))
        }
    }
}

#[derive(Serialize)]
struct PublicKey {
    config: String,
    expires: u64,
}

/// `GET onshelf/keys`: the public configurations for new tasks, newest first.
pub(super) async fn keys(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let listed = async {
        authorise(&headers, &shared.aggregator.settings.operator_tokens)?;
        let keys = keys::all(&*shared.aggregator.store).await?;
        let public =
            |key: &keys::Key| PublicKey { config: key.pair.public().clone().into(), expires: key.expires };
        Ok(Json(keys.iter().map(public).collect::<Vec<_>>()).into_response())
    };
    listed.await.unwrap_or_else(|refusal: Refusal| refusal.response(None))
}

#[derive(Serialize)]
struct Status {
    role: &'static str,
    notice: &'static str,
    tasks: Vec<TaskStatus>,
}

#[derive(Serialize)]
struct TaskStatus {
    task: String,
    model: String,
    lineage: String,
    round: u64,
    epsilon: f64,
    delta: f64,
    noise_multiplier: f64,
    min_batch: u64,
    start: u64,
    expires: u64,
    #[serde(flatten)]
    counts: TaskCounts,
}

/// `GET onshelf/status`: rounds, their sizes, refused reports by reason.
pub(super) async fn status(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    status_of(&shared, &headers).await.unwrap_or_else(|refusal| refusal.response(None))
}

async fn status_of(shared: &Shared, headers: &HeaderMap) -> Result<Response, Refusal> {
    let aggregator = &shared.aggregator;
    authorise(headers, &aggregator.settings.operator_tokens)?;
    let mut tasks = Vec::new();
    for task in aggregator.tasks().await? {
        let p = task.manifest.parameters();
        tasks.push(TaskStatus {
            task: task.manifest.id_text(),
            model: p.model.clone(),
            lineage: p.lineage.clone(),
            round: p.round,
            epsilon: p.policy.epsilon(),
            delta: p.policy.delta(),
            noise_multiplier: p.policy.noise_multiplier(),
            min_batch: p.min_batch,
            start: p.start,
            expires: p.expires,
            counts: aggregator.store.counts(&task.id).await?,
        });
    }
    let notice = if shared.embedded { EMBEDDED_NOTICE } else { "" };
    Ok(Json(Status { role: aggregator.role().name(), notice, tasks }).into_response())
}

/// `GET metrics`.
pub(super) async fn metrics(State(shared): State<Shared>) -> Response {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media)], shared.aggregator.metrics.text()).into_response()
}

/// `GET healthz`: the process answers.
pub(super) async fn healthy() -> &'static str {
    "ok\n"
}

/// `GET readyz`: the database answers.
pub(super) async fn ready(State(shared): State<Shared>) -> Response {
    match shared.aggregator.store.ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => Refusal::Store(error).response(None),
    }
}
