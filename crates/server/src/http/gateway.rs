//! An oblivious HTTP gateway (RFC 9458) before the resources that clients use: it opens what a relay of another party
//! sends, hands the request to this role in the same process, and seals the answer. It never learns who asked.
//!
//! A request that comes twice does nothing twice: a report counts once by its id, and a list of keys changes nothing.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{Method, Request, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use onshelf_core::protocol::bhttp;
use onshelf_core::protocol::ohttp::{
    KEYS_MEDIA_TYPE, REQUEST_MEDIA_TYPE, RESPONSE_MEDIA_TYPE, Unopened, decapsulate, encode_keys,
};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use super::Shared;
use super::dap::{allow_pages, of_type};
use super::request::{body, media_type};
use crate::problem::Refusal;
use crate::random;

/// What encapsulation and binary HTTP add to a report, at most.
pub(crate) const OVERHEAD: usize = 4_096;
/// The longest answer to a client, bytes.
const ANSWER_LIMIT: usize = 1 << 20;

#[derive(Clone)]
struct Gateway {
    shared: Shared,
    own: Router,
    at_once: Arc<Semaphore>,
}

/// Puts a gateway beside a role's own resources.
pub(super) fn before(shared: &Shared, own: Router) -> Router {
    let at_once = Arc::new(Semaphore::new(shared.aggregator.settings.limits.uploads_at_once.max(1)));
    let gateway = Gateway { shared: shared.clone(), own: own.clone(), at_once };
    let routes = Router::new().route("/ohttp-gateway", post(exchange)).route("/ohttp-keys", get(keys));
    own.merge(routes.with_state(gateway))
}

/// `GET ohttp-keys`.
async fn keys(State(gateway): State<Gateway>) -> Response {
    let own = &gateway.shared.aggregator.settings.gateway_keys;
    let offered: Vec<_> = own.iter().take(1).map(|key| key.public().clone()).collect();
    gateway.shared.aggregator.metrics.answered("ohttp_keys", 200);
    allow_pages(of_type(StatusCode::OK, KEYS_MEDIA_TYPE, encode_keys(&offered)))
}

/// `POST ohttp-gateway`.
async fn exchange(State(gateway): State<Gateway>, request: Request<Body>) -> Response {
    let response = gateway.exchange(request).await.unwrap_or_else(|refusal| refusal.response(None));
    gateway.shared.aggregator.metrics.answered("ohttp_gateway", response.status().as_u16());
    response
}

impl Gateway {
    async fn exchange(&self, request: Request<Body>) -> Result<Response, Refusal> {
        media_type(request.headers(), REQUEST_MEDIA_TYPE)?;
        let busy = |_| Refusal::http(StatusCode::SERVICE_UNAVAILABLE, "too many requests at once; try later");
        let _permit = self.at_once.clone().try_acquire_owned().map_err(busy)?;
        let settings = &self.shared.aggregator.settings;
        let limit = settings.limits.report_bytes + OVERHEAD;
        let message = body(request, limit, settings.limits.body_seconds).await?;
        let refused = |reason| match reason {
            Unopened::Key => Refusal::GatewayKey,
            Unopened::Message => Refusal::http(StatusCode::BAD_REQUEST, "the request cannot be opened"),
        };
        let (plain, opened) = decapsulate(&settings.gateway_keys, &message).map_err(refused)?;
        // From here on every answer is the client's alone to read.
        let answer = match inner(&plain) {
            Ok(request) => self.own.clone().oneshot(request).await.unwrap_or_else(|never| match never {}),
            Err(refusal) => refusal.response(None),
        };
        let failed = |_| Refusal::http(StatusCode::INTERNAL_SERVER_ERROR, "the answer cannot be sealed");
        let sealed = opened.seal(&encoded(answer).await?, &mut random::fill).map_err(failed)?;
        let mut response = of_type(StatusCode::OK, RESPONSE_MEDIA_TYPE, sealed);
        let never = header::HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, never);
        Ok(response)
    }
}

/// The request inside, if it is one that clients make. Whatever host and path before it names, it reaches this role.
fn inner(plain: &[u8]) -> Result<Request<Body>, Refusal> {
    let bad = || Refusal::http(StatusCode::BAD_REQUEST, "not a binary HTTP request of known length");
    let request = bhttp::Request::decode(plain).map_err(|_| bad())?;
    let path = std::str::from_utf8(&request.path).map_err(|_| bad())?;
    let (resource, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    let mut parts = resource.rsplit('/');
    let (method, uri) = match (&request.method[..], parts.next(), parts.next(), parts.next()) {
        (b"PUT", Some("reports"), Some(task), Some("tasks")) => {
            (Method::PUT, format!("/tasks/{task}/reports"))
        }
        (b"GET", Some("hpke_config"), ..) => {
            (Method::GET, format!("/hpke_config?{}", query.unwrap_or_default()))
        }
        _ => {
            return Err(Refusal::http(StatusCode::FORBIDDEN, "this gateway leads to uploads and keys alone"));
        }
    };
    let media = request.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(b"content-type"));
    let media = media.map_or(&b""[..], |(_, value)| value.as_slice());
    Request::builder()
        .method(method)
        .uri(uri)
        .header(header::CONTENT_TYPE, media)
        .body(Body::from(request.content))
        .map_err(|_| bad())
}

/// An answer as binary HTTP, with the fields that clients read.
async fn encoded(answer: Response) -> Result<Vec<u8>, Refusal> {
    let failed = |_| Refusal::http(StatusCode::INTERNAL_SERVER_ERROR, "the answer is too long");
    let field = |name: &header::HeaderName| {
        let value = answer.headers().get(name)?;
        Some((name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
    };
    let fields = [header::CONTENT_TYPE, header::RETRY_AFTER].iter().filter_map(field).collect();
    let status = answer.status().as_u16();
    let content = to_bytes(answer.into_body(), ANSWER_LIMIT).await.map_err(failed)?.into();
    Ok(bhttp::Response { status, fields, content }.encoded())
}
