//! Reading a request: who asks, of which task, with what body.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use janus_messages::TaskId;
use janus_messages::problem_type::DapProblemType;

use crate::aggregator::Token;
use crate::problem::Refusal;
use crate::store::Id;

/// The task of an address.
pub(super) fn task_id(text: &str) -> Result<TaskId, Refusal> {
    let bad = || Refusal::dap(DapProblemType::InvalidMessage, "the task id is not 32 bytes of base64url");
    text.parse().map_err(|_| bad())
}

/// The job of an address.
pub(super) fn job_id(text: &str) -> Result<Id, Refusal> {
    let id: Result<janus_messages::AggregationJobId, _> = text.parse();
    let bad = |_| Refusal::dap(DapProblemType::InvalidMessage, "the job id is not 16 bytes of base64url");
    id.map(|id| *id.as_ref()).map_err(bad)
}

/// Checks a request's token: `Authorization: Bearer`, or DAP's older `DAP-Auth-Token`.
pub(super) fn authorise(headers: &HeaderMap, allowed: &[Token]) -> Result<(), Refusal> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    let given = bearer.or_else(|| text(header::HeaderName::from_static("dap-auth-token")));
    let known = given.is_some_and(|given| allowed.iter().any(|token| token.is(given)));
    let refusal = Refusal::dap(DapProblemType::UnauthorizedRequest, "the token is missing or not known here");
    if known { Ok(()) } else { Err(refusal) }
}

/// Refuses another media type than a resource takes.
pub(crate) fn media_type(headers: &HeaderMap, expected: &str) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    let wrong = Refusal::http(StatusCode::UNSUPPORTED_MEDIA_TYPE, "this resource takes another media type");
    if kind.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(wrong) }
}

/// Reads a body within a length and a time.
pub(crate) async fn body(request: Request<Body>, limit: usize, seconds: u64) -> Result<Vec<u8>, Refusal> {
    let large = || Refusal::http(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than is taken here");
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if announced.and_then(|text| text.parse::<usize>().ok()).is_some_and(|length| length > limit) {
        return Err(large());
    }
    let read = axum::body::to_bytes(request.into_body(), limit);
    match tokio::time::timeout(Duration::from_secs(seconds), read).await {
        Ok(Ok(bytes)) => Ok(bytes.into()),
        Ok(Err(error)) if is_length(&error) => Err(large()),
        Ok(Err(_)) => Err(Refusal::http(StatusCode::BAD_REQUEST, "the body ended early")),
        Err(_) => Err(Refusal::http(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
    }
}

/// Whether a body was refused for its length.
fn is_length(error: &axum::Error) -> bool {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if error.to_string().contains("length limit exceeded") {
            return true;
        }
        source = error.source();
    }
    false
}
