//! One role of the protocol: its tasks, keys, settings and store.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use janus_messages::problem_type::DapProblemType;
use onshelf_core::protocol::hpke::{Keypair, PublicConfig};
use onshelf_core::protocol::manifest::TaskManifest;
use prio::vdaf::prio3::Prio3SumVec;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::keys;
use crate::metrics::Metrics;
use crate::noise::Noise;
use crate::problem::Refusal;
use crate::store::{Span, Store, StoreError, Stored, Task};

/// Which of the two an aggregator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes uploads, drives aggregation, answers the collector.
    Leader,
    /// Verifies and sums what the leader sends it.
    Helper,
}

impl Role {
    /// The word for logs, metrics and addresses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Helper => "helper",
        }
    }

    /// DAP's number of it.
    #[must_use]
    pub fn dap(self) -> janus_messages::Role {
        match self {
            Self::Leader => janus_messages::Role::Leader,
            Self::Helper => janus_messages::Role::Helper,
        }
    }
}

/// A bearer token. It is compared by hash and never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// Whether a request's token is this one, in time that does not tell how much of it is.
    #[must_use]
    pub fn is(&self, given: &str) -> bool {
        use subtle::ConstantTimeEq as _;
        Sha256::digest(&self.0).ct_eq(&Sha256::digest(given)).into()
    }
}

/// What bounds the work that others can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest upload, bytes.
    pub report_bytes: usize,
    /// Largest aggregation job, bytes.
    pub job_bytes: usize,
    /// Seconds that a request's body may take.
    pub body_seconds: u64,
    /// Uploads that are read at once; more get 503.
    pub uploads_at_once: usize,
    /// Reports of a task that may wait to be aggregated; more get 429.
    pub waiting_reports: u64,
    /// Reports of an aggregation job.
    pub job_reports: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            report_bytes: 1 << 20,
            job_bytes: 16 << 20,
            body_seconds: 30,
            uploads_at_once: 64,
            waiting_reports: 100_000,
            job_reports: 100,
        }
    }
}

/// Times, all in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Times {
    /// How far ahead of ours a client's clock may be.
    pub clock_skew: u64,
    /// How long after a task's end its reports are still taken.
    pub late: u64,
    /// How long after a task's end its data are kept.
    pub retention: u64,
    /// How long reports wait for a job to fill.
    pub linger: u64,
    /// How long a worker may hold a job.
    pub lease: u64,
    /// The longest pause between two tries of a job.
    pub backoff: u64,
    /// How long a new HPKE key is used.
    pub key_lifetime: u64,
    /// How long the helper may take to answer.
    pub peer: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            clock_skew: 60,
            late: 3_600,
            retention: 14 * 86_400,
            linger: 10,
            lease: 600,
            backoff: 300,
            key_lifetime: 180 * 86_400,
            peer: 120,
        }
    }
}

/// Where a leader finds its helper.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// An address for the leader alone, where it is not the one in the task.
    pub url: Option<String>,
    /// The token that the helper wants.
    pub token: Token,
}

/// What an aggregator is told by its operator.
#[derive(Clone)]
pub struct Settings {
    /// Which it is.
    pub role: Role,
    /// Public keys that may sign tasks, hex.
    pub task_keys: Vec<String>,
    /// 32 bytes that both aggregators know and nobody else: verification keys are derived from them.
    pub verify_secret: [u8; 32],
    /// Tokens that may add tasks and read the status.
    pub operator_tokens: Vec<Token>,
    /// Helper: tokens of its leader.
    pub leader_tokens: Vec<Token>,
    /// Leader: tokens of the collector.
    pub collector_tokens: Vec<Token>,
    /// Leader: its helper.
    pub helper: Option<Peer>,
    /// Keys of an oblivious HTTP gateway before this role's resources for clients, the offered one first; none:
    /// there is no gateway.
    pub gateway_keys: Vec<Keypair>,
    /// Bounds.
    pub limits: Limits,
    /// Times.
    pub times: Times,
}

/// Without its secrets.
impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Settings({}, {:?}, {:?})", self.role.name(), self.limits, self.times)
    }
}

/// Seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The machine's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()))
}

/// Why a task was not taken.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// Its signature, form or rules.
    #[error(transparent)]
    Protocol(#[from] onshelf_core::protocol::ProtocolError),
    /// It names a key for this role that is not among ours.
    #[error(
        "task: the {0}'s key in it is none of this {0}'s; make the task anew with a key that `keys list` prints"
    )]
    ForeignKey(&'static str),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A task ready to be worked on.
pub struct LoadedTask {
    /// Its id.
    pub id: Task,
    /// What it says.
    pub manifest: TaskManifest,
    /// The verifiable function.
    pub vdaf: Prio3SumVec,
    /// The secret that both aggregators derive their checks from.
    pub verify_key: [u8; 16],
    /// The key that shares for this role are sealed to.
    pub key: Keypair,
    /// When that key is no longer used.
    pub key_expires: u64,
}

impl fmt::Debug for LoadedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoadedTask({})", self.manifest.id_text())
    }
}

impl LoadedTask {
    /// A report's time, rounded down to the task's precision.
    #[must_use]
    pub fn bucket(&self, seconds: u64) -> u64 {
        seconds - seconds % self.manifest.parameters().time_precision
    }
}

/// One role with its own keys and database.
pub struct Aggregator {
    /// What it was told.
    pub settings: Settings,
    /// Its state.
    pub store: Arc<dyn Store>,
    /// Counters.
    pub metrics: Metrics,
    /// What time it is.
    pub clock: Clock,
    pub(crate) noise: Noise,
    loaded: RwLock<HashMap<Task, Arc<LoadedTask>>>,
}

impl fmt::Debug for Aggregator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aggregator({})", self.settings.role.name())
    }
}

impl Aggregator {
    /// An aggregator over a store. It makes a key where it has none that counts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn new(settings: Settings, store: Arc<dyn Store>, clock: Clock) -> Stored<Self> {
        Self::with_noise(settings, store, clock, Noise::gaussian()).await
    }

    /// As [`Aggregator::new`], with another source of noise: for tests, which need exact sums.
    ///
    /// # Errors
    /// [`StoreError`].
    #[doc(hidden)]
    pub async fn with_noise(
        settings: Settings,
        store: Arc<dyn Store>,
        clock: Clock,
        noise: Noise,
    ) -> Stored<Self> {
        keys::ensure(&*store, clock(), settings.times.key_lifetime).await?;
        let metrics = Metrics::new(settings.role);
        Ok(Self { settings, store, metrics, clock, noise, loaded: RwLock::default() })
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> u64 {
        (self.clock)()
    }

    /// Its role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.settings.role
    }

    /// Takes a signed task; one that is there already is taken again without effect.
    ///
    /// # Errors
    /// [`TaskError`].
    pub async fn add_task(&self, envelope: &[u8]) -> Result<Arc<LoadedTask>, TaskError> {
        let manifest = TaskManifest::verify(envelope, &self.settings.task_keys)?;
        let task = self.load(manifest).await?;
        self.store.put_task(&task.id, envelope, self.now()).await?;
        Ok(self.remember(task))
    }

    /// A task by id.
    ///
    /// # Errors
    /// [`Refusal::Dap`] for one that is not there, or that no longer has a key.
    pub async fn task(&self, id: &Task) -> Result<Arc<LoadedTask>, Refusal> {
        let known = self.loaded.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        if let Some(task) = known {
            return Ok(task);
        }
        let unknown = || Refusal::dap(DapProblemType::UnrecognizedTask, "no such task here");
        let envelope = self.store.task(id).await?.ok_or_else(unknown)?;
        let unusable = |error: TaskError| {
            tracing::error!(%error, "a stored task cannot be used");
            match error {
                TaskError::Store(error) => Refusal::Store(error),
                _ => Refusal::http(StatusCode::INTERNAL_SERVER_ERROR, "the task cannot be used any more"),
            }
        };
        let manifest =
            TaskManifest::verify(&envelope, &self.settings.task_keys).map_err(|e| unusable(e.into()))?;
        Ok(self.remember(self.load(manifest).await.map_err(unusable)?))
    }

    /// All tasks that can be used.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tasks(&self) -> Stored<Vec<Arc<LoadedTask>>> {
        let mut out = Vec::new();
        for envelope in self.store.tasks().await? {
            let Ok(manifest) = TaskManifest::verify(&envelope, &self.settings.task_keys) else {
                tracing::warn!("a stored task is signed by a key that is not trusted any more");
                continue;
            };
            match self.task(&manifest.id()).await {
                Ok(task) => out.push(task),
                Err(Refusal::Store(error)) => return Err(error),
                Err(_) => {}
            }
        }
        Ok(out)
    }

    /// Says that the two count a batch differently: nothing of it can be released until both operators have
    /// dropped the buckets that differ.
    pub(crate) fn mismatch(&self, task: &LoadedTask, span: Span, reports: u64) {
        self.metrics.mismatched.inc();
        let (role, task) = (self.role().name(), task.manifest.id_text());
        tracing::error!(
            role,
            task,
            start = span.start,
            end = span.end,
            reports,
            "leader and helper count other reports in this batch; nothing was released. Compare `onshelf-server \
             buckets` of both and drop those that differ on both sides (docs/server.md)"
        );
    }

    /// Forgets a task in memory.
    pub(crate) fn unload(&self, id: &Task) {
        self.loaded.write().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    fn remember(&self, task: LoadedTask) -> Arc<LoadedTask> {
        let task = Arc::new(task);
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded.entry(task.id).or_insert(task).clone()
    }

    async fn load(&self, manifest: TaskManifest) -> Result<LoadedTask, TaskError> {
        let own: &PublicConfig = match self.role() {
            Role::Leader => &manifest.parameters().leader.hpke,
            Role::Helper => &manifest.parameters().helper.hpke,
        };
        let keys = keys::all(&*self.store).await?;
        let found = keys.into_iter().find(|key| key.pair.public() == own);
        let key = found.ok_or(TaskError::ForeignKey(self.role().name()))?;
        let id = manifest.id();
        let vdaf = manifest.vdaf().prio()?;
        let verify_key = verify_key(&self.settings.verify_secret, &id);
        Ok(LoadedTask { id, manifest, vdaf, verify_key, key: key.pair, key_expires: key.expires })
    }
}

/// The verification key of a task: the first 16 bytes of SHA-256("onshelf verify key 1" ‖ secret ‖ id).
/// Clients must not know it: whoever does can make shares that pass and mean nothing.
#[must_use]
pub fn verify_key(secret: &[u8; 32], task: &Task) -> [u8; 16] {
    let hash = Sha256::new()
        .chain_update(b"onshelf verify key 1")
        .chain_update(secret)
        .chain_update(task)
        .finalize();
    std::array::from_fn(|at| hash[at])
}
