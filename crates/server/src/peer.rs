//! A leader's requests to its helper.

use std::time::Duration;

use janus_messages::codec::{Decode as _, Encode as _};
use janus_messages::query_type::TimeInterval;
use janus_messages::{
    AggregateShare, AggregateShareReq, AggregationJobInitializeReq, AggregationJobResp, HpkeCiphertext,
};
use reqwest::{Client, Method, Response, StatusCode, header};
use thiserror::Error;

use crate::aggregator::{LoadedTask, Peer};
use crate::problem::{PROBLEM_MEDIA_TYPE, Problem};
use crate::store::Id;

/// The longest answer that is read.
const ANSWER_LIMIT: usize = 16 << 20;

/// Why the helper gave no answer that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PeerError {
    /// It could not be reached, or was too slow.
    #[error("the helper cannot be reached: {0}")]
    Away(String),
    /// It refused: the status and DAP's type of problem, if it gave one.
    #[error("the helper refused with {status} {kind}")]
    Refused {
        /// The status.
        status: u16,
        /// DAP's type of problem, or nothing.
        kind: String,
    },
    /// It answered nonsense.
    #[error("the helper answered nonsense: {0}")]
    Nonsense(&'static str),
}

impl PeerError {
    /// Whether the same request will never be answered otherwise: DAP's refusals of a batch.
    #[must_use]
    pub fn final_kind(&self) -> Option<&str> {
        let Self::Refused { status: 400, kind } = self else { return None };
        let kinds = ["batchMismatch", "batchOverlap", "batchInvalid", "batchQueriedTooManyTimes"];
        kinds.iter().any(|known| kind.ends_with(known)).then_some(kind)
    }
}

/// Speaks to the helper.
#[derive(Clone, Debug)]
pub struct HelperClient {
    client: Client,
    peer: Peer,
}

impl HelperClient {
    /// A client that waits at most `timeout` seconds for an answer.
    ///
    /// # Errors
    /// [`PeerError::Away`] where no TLS can be had.
    pub fn new(peer: Peer, timeout: u64) -> Result<Self, PeerError> {
        let client = http_client(timeout).map_err(|e| PeerError::Away(e.to_string()))?;
        Ok(Self { client, peer })
    }

    /// Sends an aggregation job.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn aggregation_job(
        &self,
        task: &LoadedTask,
        job: &Id,
        request: &AggregationJobInitializeReq<TimeInterval>,
    ) -> Result<AggregationJobResp, PeerError> {
        let id = janus_messages::AggregationJobId::from(*job);
        let path = format!("aggregation_jobs/{id}");
        let media = AggregationJobInitializeReq::<TimeInterval>::MEDIA_TYPE;
        let body = request.get_encoded().map_err(|_| PeerError::Nonsense("a job too long to be written"))?;
        let expected = (StatusCode::CREATED, AggregationJobResp::MEDIA_TYPE);
        let answer = self.ask(task, Method::PUT, &path, media, body, expected).await?;
        AggregationJobResp::get_decoded(&answer).map_err(|_| PeerError::Nonsense("not an answer to a job"))
    }

    /// Asks for the helper's share of a batch.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn aggregate_share(
        &self,
        task: &LoadedTask,
        request: &AggregateShareReq<TimeInterval>,
    ) -> Result<HpkeCiphertext, PeerError> {
        let media = AggregateShareReq::<TimeInterval>::MEDIA_TYPE;
        let body = request.get_encoded().map_err(|_| PeerError::Nonsense("a request too long"))?;
        let expected = (StatusCode::OK, AggregateShare::MEDIA_TYPE);
        let answer = self.ask(task, Method::POST, "aggregate_shares", media, body, expected).await?;
        let share = AggregateShare::get_decoded(&answer)
            .map_err(|_| PeerError::Nonsense("not an aggregate share"))?;
        Ok(share.encrypted_aggregate_share().clone())
    }

    async fn ask(
        &self,
        task: &LoadedTask,
        method: Method,
        path: &str,
        media: &str,
        body: Vec<u8>,
        (status, answer_media): (StatusCode, &str),
    ) -> Result<Vec<u8>, PeerError> {
        let base = self.peer.url.as_ref().unwrap_or(&task.manifest.parameters().helper.url);
        let url = format!("{base}tasks/{}/{path}", task.manifest.id_text());
        let request = self.client.request(method, url).header(header::CONTENT_TYPE, media);
        let request = request.bearer_auth(&self.peer.token.0).body(body);
        let away = |e: reqwest::Error| PeerError::Away(e.without_url().to_string());
        let answer = request.send().await.map_err(away)?;
        let found = answer.status();
        let media = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media = media.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned();
        let bytes = read_body(answer, ANSWER_LIMIT).await.map_err(away)?;
        let bytes = bytes.ok_or(PeerError::Nonsense("an answer longer than 16 MiB"))?;
        if found == status || (found == StatusCode::OK && status == StatusCode::CREATED) {
            let right = media == answer_media;
            return if right { Ok(bytes) } else { Err(PeerError::Nonsense("another media type")) };
        }
        let problem: Problem = match media == PROBLEM_MEDIA_TYPE {
            true => serde_json::from_slice(&bytes).unwrap_or_default(),
            false => Problem::default(),
        };
        // What goes into logs is a known word or nothing.
        let known = problem.kind.parse::<janus_messages::problem_type::DapProblemType>();
        let kind = known.map_or_else(|_| String::new(), |kind| kind.type_uri().to_owned());
        Err(PeerError::Refused { status: found.as_u16(), kind })
    }
}

/// An answer's body; `None` where it is longer than `limit` bytes, of which no more are read then.
///
/// # Errors
/// Where the connection is lost.
pub(crate) async fn read_body(mut answer: Response, limit: usize) -> reqwest::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if bytes.len() + chunk.len() > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

/// An HTTP client that waits at most `timeout` seconds for an answer and follows nobody elsewhere.
///
/// # Errors
/// Where no TLS can be had.
pub fn http_client(timeout: u64) -> reqwest::Result<Client> {
    Client::builder()
        .timeout(Duration::from_secs(timeout))
        .connect_timeout(Duration::from_secs(timeout.min(10)))
        .redirect(reqwest::redirect::Policy::none())
        .build()
}
