//! `onshelf console`: the operator's console over HTTP, read only and behind a token.
//!
//! It serves the built page (`www/console`) and `status.json`: what both aggregators say of their tasks, and
//! what the collector's own folders say of rounds, budget and versions. It changes nothing, and asks the aggregators
//! anew for every answer. TLS is a reverse proxy's, as for the aggregators.

mod status;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use onshelf_collector::{OperatorClient, Token};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

/// What the page may do: nothing but ask this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// The files of the page, with their media types.
const PAGES: [(&str, &str); 3] = [
    ("index.html", "text/html; charset=utf-8"),
    ("console.js", "text/javascript; charset=utf-8"),
    ("styles.css", "text/css; charset=utf-8"),
];
/// Fewest characters of the token.
const TOKEN_LENGTH: usize = 16;

/// What is served.
#[derive(Clone, Debug)]
pub struct ConsoleOptions {
    /// Folder of the published model versions.
    pub models: PathBuf,
    /// Folder of ledger and rounds.
    pub rounds: PathBuf,
    /// Folder of the built page.
    pub pages: PathBuf,
    /// Leader and helper.
    pub aggregators: [OperatorClient; 2],
    /// Who may read.
    pub token: Token,
    /// Where to listen.
    pub listen: SocketAddr,
}

/// Serves until Ctrl-C or SIGTERM; `ready` is told the address.
///
/// # Errors
/// Where the page is not built, the token is short, or the address is taken.
pub fn run(options: ConsoleOptions, ready: &dyn Fn(SocketAddr)) -> Result<()> {
    for (name, _) in PAGES {
        let path = options.pages.join(name);
        ensure!(path.is_file(), "{} is missing; build the page with ./build.sh build", path.display());
    }
    ensure!(
        options.token.0.len() >= TOKEN_LENGTH,
        "the console's token must have {TOKEN_LENGTH} characters or more"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("listening on {}", options.listen))?;
        ready(listener.local_addr()?);
        let stopped = async {
            use tokio::signal::unix::{SignalKind, signal};
            let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        };
        axum::serve(listener, router(options)).with_graceful_shutdown(stopped).await?;
        Ok(())
    })
}

/// The page and `status.json`.
pub fn router(options: ConsoleOptions) -> Router {
    Router::new()
        .route("/", get(index))
        .route("/status.json", get(status_json))
        .route("/{name}", get(page))
        .with_state(Arc::new(options))
}

fn headers(mut response: Response, media: &'static str) -> Response {
    let own = [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in own {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn index(State(options): State<Arc<ConsoleOptions>>) -> Response {
    file(&options, "index.html")
}

async fn page(State(options): State<Arc<ConsoleOptions>>, Path(name): Path<String>) -> Response {
    file(&options, &name)
}

fn file(options: &ConsoleOptions, name: &str) -> Response {
    // Only names of the list reach the disk.
    let found = PAGES.iter().find(|(known, _)| *known == name);
    match found.and_then(|(name, media)| Some((fs::read(options.pages.join(name)).ok()?, media))) {
        Some((content, media)) => headers(content.into_response(), media),
        None => headers((StatusCode::NOT_FOUND, "not found\n").into_response(), "text/plain; charset=utf-8"),
    }
}

async fn status_json(State(options): State<Arc<ConsoleOptions>>, asked: HeaderMap) -> Response {
    let text = |status: StatusCode, text: String| {
        headers((status, text + "\n").into_response(), "text/plain; charset=utf-8")
    };
    let bearer = asked.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "));
    if !bearer.is_some_and(|given| same(given, &options.token.0)) {
        return text(StatusCode::UNAUTHORIZED, "the token is missing or not known here".into());
    }
    match status::of(&options).await {
        Ok(status) => headers(axum::Json(status).into_response(), "application/json"),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, crate::told::told(&error)),
    }
}

/// Compares hashes, so that the time it takes does not tell how much of a token is right.
fn same(given: &str, token: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(token)
}

#[cfg(test)]
mod tests;
