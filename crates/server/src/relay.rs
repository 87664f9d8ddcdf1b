//! An oblivious HTTP relay: hands encapsulated requests to one gateway, and nothing else of who sent them. It cannot
//! read them. It keeps the promise only where another party runs it than the aggregator behind it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use onshelf_core::protocol::ohttp::{KEYS_MEDIA_TYPE, REQUEST_MEDIA_TYPE, RESPONSE_MEDIA_TYPE};
use reqwest::{Client, RequestBuilder};
use tokio::sync::Semaphore;

use crate::http::dap::{allow_pages, may_send, of_type};
use crate::http::request::{body, media_type};
use crate::peer::{http_client, read_body};
use crate::problem::Refusal;

/// The longest request that is relayed: the longest report of an aggregator's defaults, and what encapsulates it.
const REQUEST_LIMIT: usize = (1 << 20) + 4_096;
/// The longest answer.
const ANSWER_LIMIT: usize = (1 << 20) + 4_096;
/// Seconds that a body may take, and the gateway.
const PATIENCE: u64 = 30;
/// Requests in memory at once; more get 503.
const AT_ONCE: usize = 128;

#[derive(Clone)]
struct Relay {
    client: Client,
    base: Arc<str>,
    at_once: Arc<Semaphore>,
}

/// The relay's resources: `POST` of an encapsulated request to the address itself, and the gateway's keys, which a
/// client has to compare with a hash that it was shipped with. `base`: of the aggregator with the gateway.
///
/// # Errors
/// Where no TLS can be had.
pub fn router(base: &str) -> reqwest::Result<Router> {
    let relay = Relay {
        client: http_client(PATIENCE)?,
        base: format!("{}/", base.trim_end_matches('/')).into(),
        at_once: Arc::new(Semaphore::new(AT_ONCE)),
    };
    Ok(Router::new()
        .route("/", post(exchange).options(|| async { may_send("POST") }))
        .route("/ohttp-keys", get(keys))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(relay))
}

async fn exchange(State(relay): State<Relay>, request: Request<Body>) -> Response {
    allow_pages(relay.exchange(request).await.unwrap_or_else(|refusal| refusal.response(None)))
}

async fn keys(State(relay): State<Relay>) -> Response {
    let request = relay.client.get(format!("{}ohttp-keys", relay.base));
    allow_pages(relay.answer(request, KEYS_MEDIA_TYPE).await.unwrap_or_else(|refusal| refusal.response(None)))
}

impl Relay {
    async fn exchange(&self, request: Request<Body>) -> Result<Response, Refusal> {
        media_type(request.headers(), REQUEST_MEDIA_TYPE)?;
        let busy = |_| Refusal::http(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try later");
        let _permit = self.at_once.clone().try_acquire_owned().map_err(busy)?;
        let message = body(request, REQUEST_LIMIT, PATIENCE).await?;
        // A request of our own: no header of the client's is in it, nor its address.
        let request = self.client.post(format!("{}ohttp-gateway", self.base));
        let request = request.header(header::CONTENT_TYPE, REQUEST_MEDIA_TYPE).body(message);
        self.answer(request, RESPONSE_MEDIA_TYPE).await
    }

    async fn answer(&self, request: RequestBuilder, media: &'static str) -> Result<Response, Refusal> {
        let away = |_| Refusal::http(StatusCode::BAD_GATEWAY, "the gateway cannot be reached");
        let answer = request.send().await.map_err(away)?;
        let status = answer.status();
        let later = answer.headers().get(header::RETRY_AFTER).cloned();
        let too_long = || Refusal::http(StatusCode::BAD_GATEWAY, "the gateway's answer is too long");
        let bytes = read_body(answer, ANSWER_LIMIT).await.map_err(away)?.ok_or_else(too_long)?;
        if status == StatusCode::OK {
            return Ok(of_type(status, media, bytes));
        }
        // A refusal of the gateway's is about the encapsulation; its document says which.
        let document = [(header::CONTENT_TYPE, crate::problem::PROBLEM_MEDIA_TYPE)];
        let mut refused = (status, document, bytes).into_response();
        refused.headers_mut().extend(later.map(|later| (header::RETRY_AFTER, later)));
        Ok(refused)
    }
}
