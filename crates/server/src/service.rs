//! A configured process: its roles, their workers, and one listener.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::aggregator::{Aggregator, Clock, Role, system_clock};
use crate::config::{Config, ConfigError};
use crate::http::operator::EMBEDDED_NOTICE;
use crate::http::router;
use crate::leader::{Leader, spawn_upkeep};
use crate::noise::Noise;
use crate::peer::PeerError;
use crate::store::{SqlStore, StoreError};

/// Why a process could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServiceError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The helper's client.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// The network.
    #[error("listening on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// Serving.
    #[error("serving: {0}")]
    Serve(std::io::Error),
}

/// Opens the aggregators of a configuration.
///
/// # Errors
/// [`ServiceError`].
pub async fn open(
    config: &Config,
    noise: Noise,
    clock: &Clock,
) -> Result<Vec<Arc<Aggregator>>, ServiceError> {
    let mut out = Vec::new();
    for (role, section) in config.roles() {
        let store = Arc::new(SqlStore::open(&section.database, section.connections).await?);
        let settings = section.settings(role)?;
        out.push(Arc::new(Aggregator::with_noise(settings, store, clock.clone(), noise).await?));
    }
    Ok(out)
}

/// Runs a configuration until `stop` says so: then no more requests are taken, those that were are
/// answered, and every worker ends its step.
///
/// # Errors
/// [`ServiceError`].
pub async fn run(config: &Config, stop: watch::Receiver<bool>) -> Result<(), ServiceError> {
    run_with(config, stop, Noise::gaussian()).await
}

/// As [`run`], with another source of noise: for tests.
///
/// # Errors
/// [`ServiceError`].
#[doc(hidden)]
pub async fn run_with(
    config: &Config,
    stop: watch::Receiver<bool>,
    noise: Noise,
) -> Result<(), ServiceError> {
    let aggregators = open(config, noise, &system_clock()).await?;
    if config.embedded {
        tracing::warn!("{EMBEDDED_NOTICE}");
    }
    let mut workers: Vec<JoinHandle<()>> = Vec::new();
    let mut app = Router::new();
    for aggregator in &aggregators {
        workers.push(spawn_upkeep(aggregator.clone(), &stop));
        if let (Role::Leader, Some(section)) = (aggregator.role(), &config.leader) {
            workers.extend(Leader::new(aggregator.clone())?.spawn(section.workers, &stop));
        }
        let routes = router(aggregator.clone(), config.embedded);
        app = if config.embedded {
            app.nest(&format!("/{}", aggregator.role().name()), routes)
        } else {
            routes
        };
    }
    if config.embedded {
        app = app.route("/", axum::routing::get(|| async { EMBEDDED_NOTICE }));
    }
    let listener = TcpListener::bind(config.listen).await;
    let listener = listener.map_err(|error| ServiceError::Listen(config.listen, error))?;
    let address = listener.local_addr().map_err(ServiceError::Serve)?;
    tracing::info!(%address, "listening");
    serve(listener, app, stop).await?;
    for worker in workers {
        // A worker that panicked has been logged; the others end all the same.
        let _ = worker.await;
    }
    Ok(())
}

/// Serves until told to stop.
///
/// # Errors
/// [`ServiceError::Serve`].
pub async fn serve(
    listener: TcpListener,
    app: Router,
    mut stop: watch::Receiver<bool>,
) -> Result<(), ServiceError> {
    let stopped = async move {
        while !*stop.borrow() {
            if stop.changed().await.is_err() {
                break;
            }
        }
    };
    axum::serve(listener, app).with_graceful_shutdown(stopped).await.map_err(ServiceError::Serve)
}
