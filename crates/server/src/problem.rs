//! What a request is refused with: a DAP problem document (RFC 9457) and a status.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use janus_messages::TaskId;
use janus_messages::problem_type::DapProblemType;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::store::StoreError;

/// Media type of a problem document.
pub const PROBLEM_MEDIA_TYPE: &str = "application/problem+json";

/// Why a request was refused.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A DAP error, with what was wrong.
    #[error("{}: {detail}", .kind.type_uri())]
    Dap {
        /// DAP's type of problem.
        kind: DapProblemType,
        /// What was wrong, without any value of a report.
        detail: &'static str,
    },
    /// An HTTP error that DAP has no type for.
    #[error("{status}: {detail}")]
    Http {
        /// The status.
        status: StatusCode,
        /// What was wrong.
        detail: &'static str,
    },
    /// A task that is not taken, and why.
    #[error("{0}")]
    Task(String),
    /// An encapsulated request for a key that the gateway does not have (RFC 9458, section 5.3).
    #[error("no key of this gateway has that id")]
    GatewayKey,
    /// Storage failed; the request may be made again.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
}

impl Refusal {
    /// A DAP error.
    #[must_use]
    pub fn dap(kind: DapProblemType, detail: &'static str) -> Self {
        Self::Dap { kind, detail }
    }

    /// An HTTP error.
    #[must_use]
    pub fn http(status: StatusCode, detail: &'static str) -> Self {
        Self::Http { status, detail }
    }

    /// The status it is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Dap { kind: DapProblemType::UnrecognizedTask, .. }
            | Self::Dap { kind: DapProblemType::UnrecognizedAggregationJob, .. } => StatusCode::NOT_FOUND,
            Self::Dap { kind: DapProblemType::UnauthorizedRequest, .. } => StatusCode::FORBIDDEN,
            Self::Dap { .. } => StatusCode::BAD_REQUEST,
            Self::Http { status, .. } => *status,
            Self::Task(_) | Self::GatewayKey => StatusCode::BAD_REQUEST,
            Self::Store(error) if error.is_full() => StatusCode::INSUFFICIENT_STORAGE,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The answer; DAP wants the task named in it.
    #[must_use]
    pub fn response(&self, task: Option<&TaskId>) -> Response {
        let status = self.status();
        let mut document =
            Problem { status: status.as_u16(), taskid: task.map(ToString::to_string), ..Problem::default() };
        match self {
            Self::Dap { kind, detail } => {
                document.kind = kind.type_uri().into();
                document.title = kind.description().into();
                document.detail = Some((*detail).into());
            }
            Self::Http { detail, .. } => {
                document.title = status.canonical_reason().unwrap_or("error").into();
                document.detail = Some((*detail).into());
            }
            Self::Task(why) => {
                document.title = "The task is not taken.".into();
                document.detail = Some(why.clone());
            }
            Self::GatewayKey => {
                document.kind = "https://iana.org/assignments/http-problem-types#ohttp-key".into();
                document.title = "No key of this gateway has that id; fetch its key configuration.".into();
            }
            Self::Store(error) => {
                tracing::error!(%error, "storage");
                let what = if error.is_full() { "has no room left" } else { "is not available" };
                document.title = format!("The database {what}; try again later.");
            }
        }
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, PROBLEM_MEDIA_TYPE)], body).into_response();
        let pause = match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Some("5"),
            // Room is made by people.
            StatusCode::INSUFFICIENT_STORAGE => Some("60"),
            _ => None,
        };
        if let Some(seconds) = pause {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static(seconds));
        }
        response
    }
}

/// A problem document.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// A URN of DAP, or `about:blank`.
    #[serde(rename = "type", default = "blank")]
    pub kind: String,
    /// One line for people.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// What was wrong this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The task, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taskid: Option<String>,
}

fn blank() -> String {
    "about:blank".into()
}

impl Default for Problem {
    fn default() -> Self {
        Self { kind: blank(), title: String::new(), status: 0, detail: None, taskid: None }
    }
}
