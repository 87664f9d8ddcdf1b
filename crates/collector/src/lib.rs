//! What a collector asks aggregators over HTTP: their keys, to take a task, and the noised sum of a batch;
//! and, for demonstrations, what a client uploads.
//!
//! Whoever asks for a sum has to have written the batch's cost into the privacy ledger before: from the
//! moment that the leader closes the batch, the release has happened.

use std::fmt;
use std::time::Duration;

use onshelf_core::protocol::ProtocolError;
use onshelf_core::protocol::collect::{
    Batch, COLLECT_MEDIA_TYPE, COLLECTION_MEDIA_TYPE, NoisedSum, collection_request, open_collection,
};
use onshelf_core::protocol::hpke::{Keypair, PublicConfig};
use onshelf_core::protocol::manifest::TaskManifest;
use onshelf_core::protocol::report::{REPORT_MEDIA_TYPE, SealedReport, upload_url};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header};
use serde::Deserialize;
use thiserror::Error;

/// The longest answer that is read: a sum of 4,096 values is a thousandth of it.
const ANSWER_LIMIT: usize = 16 << 20;
/// Longest wait for one answer, seconds.
const ANSWER_SECONDS: u64 = 60;

/// Why there is no answer that can be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The aggregator cannot be reached, or answered nonsense; ask again.
    #[error("{0}")]
    Away(String),
    /// It refused.
    #[error("refused with status {status} {kind}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// DAP's type of problem.
        kind: String,
    },
    /// It has no result yet; ask again with the same job.
    #[error("no result within {0} seconds; ask again with the same job")]
    Pending(u64),
    /// The answer cannot be opened.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

/// A bearer token.
#[derive(Clone)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// A refusal's type (RFC 9457).
#[derive(Default, Deserialize)]
struct Problem {
    #[serde(default, rename = "type")]
    kind: String,
}

/// A client of aggregators.
#[derive(Clone, Debug)]
pub struct CollectorClient {
    client: Client,
    token: Token,
    key: Keypair,
    leader: Option<String>,
}

impl CollectorClient {
    /// A collector with its key and the leader's token for it. `leader`: an address that replaces the
    /// task's.
    ///
    /// # Errors
    /// [`CollectError::Away`] where no TLS can be had.
    pub fn new(token: Token, key: Keypair, leader: Option<String>) -> Result<Self, CollectError> {
        Ok(Self { client: http_client()?, token, key, leader })
    }

    /// Opens a collection job ([`onshelf_core::protocol::report::random_id`] makes its id), and asks until
    /// the noised sum is there, for at most `patience` seconds. The same job may be asked for again after
    /// any fault: the sum is the same, with the same noise.
    ///
    /// # Errors
    /// [`CollectError`].
    pub async fn collect(
        &self,
        task: &TaskManifest,
        batch: Batch,
        job: &str,
        patience: u64,
    ) -> Result<NoisedSum, CollectError> {
        self.start(task, batch, job).await?;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(patience);
        loop {
            if let Some(body) = self.poll(task, job).await? {
                return Ok(open_collection(task, &self.key, batch, &body)?);
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(CollectError::Pending(patience));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Opens a collection job; one that is open with the same batch stays as it is.
    ///
    /// # Errors
    /// [`CollectError`].
    pub async fn start(&self, task: &TaskManifest, batch: Batch, job: &str) -> Result<(), CollectError> {
        let request = self.client.request(Method::PUT, self.url(task, job)).bearer_auth(&self.token.0);
        let request = request.header(header::CONTENT_TYPE, COLLECT_MEDIA_TYPE);
        let answer = request.body(collection_request(batch)?).send().await.map_err(away)?;
        if answer.status().is_success() { Ok(()) } else { Err(refused(answer).await) }
    }

    /// Asks once: the collection's bytes, or nothing yet.
    ///
    /// # Errors
    /// [`CollectError`].
    pub async fn poll(&self, task: &TaskManifest, job: &str) -> Result<Option<Vec<u8>>, CollectError> {
        let request = self.client.request(Method::POST, self.url(task, job)).bearer_auth(&self.token.0);
        let answer = request.send().await.map_err(away)?;
        match answer.status() {
            StatusCode::ACCEPTED => Ok(None),
            StatusCode::OK => {
                let media = answer.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok());
                if media != Some(COLLECTION_MEDIA_TYPE) {
                    return Err(CollectError::Away("another media type than a collection's".into()));
                }
                read(answer).await.map(Some)
            }
            _ => Err(refused(answer).await),
        }
    }

    fn url(&self, task: &TaskManifest, job: &str) -> String {
        let base = self.leader.as_ref().unwrap_or(&task.parameters().leader.url);
        format!("{base}tasks/{}/collection_jobs/{job}", task.id_text())
    }
}

/// What an operator asks of one aggregator.
#[derive(Clone, Debug)]
pub struct OperatorClient {
    client: Client,
    url: String,
    token: Token,
}

/// One of an aggregator's keys.
#[derive(Clone, Debug, Deserialize)]
pub struct ListedKey {
    /// Its public configuration.
    pub config: PublicConfig,
    /// When it ends, seconds since 1970.
    pub expires: u64,
}

impl OperatorClient {
    /// A client for the aggregator at `url` (with `/` at its end) with an operator's token.
    ///
    /// # Errors
    /// [`CollectError::Away`] where no TLS can be had.
    pub fn new(url: &str, token: Token) -> Result<Self, CollectError> {
        let url = if url.ends_with('/') { url.to_owned() } else { format!("{url}/") };
        Ok(Self { client: http_client()?, url, token })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its keys, newest first.
    ///
    /// # Errors
    /// [`CollectError`].
    pub async fn keys(&self) -> Result<Vec<ListedKey>, CollectError> {
        let body = self.ask(self.client.get(format!("{}onshelf/keys", self.url))).await?;
        serde_json::from_slice(&body).map_err(|_| CollectError::Away("its list of keys is no list".into()))
    }

    /// Gives it a signed task.
    ///
    /// # Errors
    /// [`CollectError`].
    pub async fn add_task(&self, envelope: &[u8]) -> Result<(), CollectError> {
        let request = self.client.post(format!("{}onshelf/tasks", self.url)).body(envelope.to_vec());
        self.ask(request).await.map(|_| ())
    }

    /// Its rounds, their sizes, refused reports by reason, as JSON.
    ///
    /// # Errors
    /// [`CollectError`].
    pub async fn status(&self) -> Result<serde_json::Value, CollectError> {
        let body = self.ask(self.client.get(format!("{}onshelf/status", self.url))).await?;
        serde_json::from_slice(&body).map_err(|_| CollectError::Away("its status is no JSON".into()))
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Vec<u8>, CollectError> {
        let answer = request.bearer_auth(&self.token.0).send().await.map_err(away)?;
        if answer.status().is_success() { read(answer).await } else { Err(refused(answer).await) }
    }
}

/// Uploads reports to a task's leader, as a browser does: for demonstrations and load tests.
#[derive(Clone, Debug)]
pub struct Uploads {
    client: Client,
    url: String,
}

impl Uploads {
    /// To the leader of a task.
    ///
    /// # Errors
    /// [`CollectError::Away`] where no TLS can be had.
    pub fn new(task: &TaskManifest) -> Result<Self, CollectError> {
        Ok(Self { client: http_client()?, url: upload_url(task) })
    }

    /// Uploads one report; again it does nothing.
    ///
    /// # Errors
    /// [`CollectError`].
    pub async fn put(&self, report: &SealedReport) -> Result<(), CollectError> {
        let request = self.client.put(&self.url).header(header::CONTENT_TYPE, REPORT_MEDIA_TYPE);
        let answer = request.body(report.bytes.clone()).send().await.map_err(away)?;
        if answer.status().is_success() { Ok(()) } else { Err(refused(answer).await) }
    }
}

/// Waits for an answer at most a minute, and follows nobody elsewhere.
fn http_client() -> Result<Client, CollectError> {
    Client::builder()
        .timeout(Duration::from_secs(ANSWER_SECONDS))
        .connect_timeout(Duration::from_secs(10))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|e| CollectError::Away(e.to_string()))
}

async fn read(mut answer: Response) -> Result<Vec<u8>, CollectError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(away)? {
        if bytes.len() + chunk.len() > ANSWER_LIMIT {
            return Err(CollectError::Away("an answer longer than 16 MiB".into()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn away(error: reqwest::Error) -> CollectError {
    CollectError::Away(error.without_url().to_string())
}

async fn refused(answer: Response) -> CollectError {
    let status = answer.status().as_u16();
    let problem: Option<Problem> =
        answer.bytes().await.ok().and_then(|body| serde_json::from_slice(&body).ok());
    CollectError::Refused { status, kind: problem.unwrap_or_default().kind }
}
