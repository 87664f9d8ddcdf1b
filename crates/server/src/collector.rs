//! The collector's side over HTTP: asks a leader for a batch and gives the noised sum.
//!
//! Whoever calls this has to have written the batch's cost into the privacy ledger before: from the
//! moment that the leader closes the batch, the release has happened.

use std::time::Duration;

use onshelf_core::protocol::ProtocolError;
use onshelf_core::protocol::collect::{
    Batch, COLLECT_MEDIA_TYPE, COLLECTION_MEDIA_TYPE, NoisedSum, collection_request, open_collection,
};
use onshelf_core::protocol::hpke::Keypair;
use onshelf_core::protocol::manifest::TaskManifest;
use reqwest::{Client, Method, Response, StatusCode, header};
use thiserror::Error;

use crate::aggregator::Token;
use crate::problem::Problem;

/// Why there is no sum.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CollectError {
    /// The leader cannot be reached, or answered nonsense; ask again with the same job.
    #[error("the leader: {0}")]
    Away(String),
    /// The leader refused.
    #[error("the leader refused with {status} {kind}")]
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

/// A collector.
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
        let client = crate::peer::http_client(60).map_err(|e| CollectError::Away(e.to_string()))?;
        Ok(Self { client, token, key, leader })
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
                Ok(Some(answer.bytes().await.map_err(away)?.into()))
            }
            _ => Err(refused(answer).await),
        }
    }

    fn url(&self, task: &TaskManifest, job: &str) -> String {
        let base = self.leader.as_ref().unwrap_or(&task.parameters().leader.url);
        format!("{base}tasks/{}/collection_jobs/{job}", task.id_text())
    }
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
