//! DAP's resources over HTTP, and what an operator needs beside them.

pub(crate) mod dap;
mod gateway;
pub mod operator;
pub(crate) mod request;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{get, post, put};
use tokio::sync::Semaphore;

use crate::aggregator::{Aggregator, Role};
use crate::problem::{PROBLEM_MEDIA_TYPE, Refusal};

/// What every handler gets.
#[derive(Clone)]
pub struct Shared {
    /// The role.
    pub aggregator: Arc<Aggregator>,
    /// One permit for each upload that is read: bounds memory.
    uploads: Arc<Semaphore>,
    /// Whether one operator holds both roles.
    embedded: bool,
}

/// The resources of one role. `embedded`: the other role runs in the same process, which the status
/// page says.
pub fn router(aggregator: Arc<Aggregator>, embedded: bool) -> Router {
    let role = aggregator.role();
    let uploads = Arc::new(Semaphore::new(aggregator.settings.limits.uploads_at_once.max(1)));
    let router = Router::new()
        .route("/hpke_config", get(dap::hpke_config))
        .route("/onshelf/tasks", post(operator::add_task))
        .route("/onshelf/keys", get(operator::keys))
        .route("/onshelf/status", get(operator::status))
        .route("/metrics", get(operator::metrics))
        .route("/healthz", get(operator::healthy))
        .route("/readyz", get(operator::ready));
    let router = match role {
        Role::Leader => {
            router.route("/tasks/{task}/reports", put(dap::upload).options(dap::preflight)).route(
                "/tasks/{task}/collection_jobs/{job}",
                put(dap::open_collection).post(dap::poll_collection).delete(dap::delete_collection),
            )
        }
        Role::Helper => router
            .route(
                "/tasks/{task}/aggregation_jobs/{job}",
                put(dap::aggregation_job).post(dap::continue_job).delete(dap::delete_job),
            )
            .route("/tasks/{task}/aggregate_shares", post(dap::aggregate_share)),
    };
    let shared = Shared { aggregator, uploads, embedded };
    let own = router.fallback(not_found).method_not_allowed_fallback(not_allowed).with_state(shared.clone());
    let with_gateway = !shared.aggregator.settings.gateway_keys.is_empty();
    let all = if with_gateway { gateway::before(&shared, own) } else { own };
    all.layer(map_response(as_problem))
}

/// What axum itself refuses, an address that is no text for one, becomes a problem document as well.
async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_problem = |media: &HeaderValue| media == PROBLEM_MEDIA_TYPE;
    let said = response.headers().get(header::CONTENT_TYPE).is_some_and(is_problem);
    if said || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    Refusal::http(status, "this resource takes no such request").response(None)
}

async fn not_found(State(shared): State<Shared>) -> Response {
    shared.aggregator.metrics.answered("unknown", 404);
    Refusal::http(axum::http::StatusCode::NOT_FOUND, "no such resource").response(None)
}

async fn not_allowed(State(shared): State<Shared>) -> Response {
    shared.aggregator.metrics.answered("unknown", 405);
    Refusal::http(axum::http::StatusCode::METHOD_NOT_ALLOWED, "this resource has other methods")
        .response(None)
}
