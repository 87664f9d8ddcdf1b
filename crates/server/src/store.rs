//! Where an aggregator keeps its state: one trait, with SQLite and PostgreSQL behind it.
//!
//! Every method is one transaction. What must not happen twice (a report counted, noise drawn) is
//! decided by the database, so that any number of processes may be killed at any time.

mod jobs;
mod reports;
mod schema;
mod sql;
mod sums;

use std::fmt;

use async_trait::async_trait;
use thiserror::Error;

pub use sql::SqlStore;

/// Storage failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database said no, or is away.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// What was read is not what is ever written.
    #[error("database: {0} does not parse")]
    Damaged(&'static str),
}

impl StoreError {
    /// Whether the database has no room for what was to be written: `SQLITE_FULL`, or PostgreSQL's `disk_full`.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        error.code().is_some_and(|code| ["13", "53100"].contains(&&*code))
    }

    /// The word by which it is counted.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            _ if self.is_full() => "full",
            Self::Database(_) => "away",
            Self::Damaged(_) => "damaged",
        }
    }
}

/// Result of a store's methods.
pub type Stored<T> = Result<T, StoreError>;
/// A task's id.
pub type Task = [u8; 32];
/// The id of a report or a job.
pub type Id = [u8; 16];

/// An HPKE key as stored.
#[derive(Clone)]
pub struct StoredKey {
    /// DAP's encoding of the public configuration.
    pub public: Vec<u8>,
    /// The private half.
    pub private: Vec<u8>,
    /// When it is no longer used, seconds since 1970.
    pub expires: u64,
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredKey(until {})", self.expires)
    }
}

/// A batch's times: start and end, seconds, the end not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First second.
    pub start: u64,
    /// First second after.
    pub end: u64,
}

/// A sum of output shares, with what both aggregators compare.
#[derive(Clone, PartialEq, Eq)]
pub struct Sum {
    /// The share, field elements as the draft encodes them; nothing for no report.
    pub share: Vec<u8>,
    /// Reports in it.
    pub reports: u64,
    /// XOR of SHA-256 of their ids.
    pub checksum: [u8; 32],
    /// Times of the buckets that had reports.
    pub span: Option<Span>,
}

impl fmt::Debug for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sum({} reports)", self.reports)
    }
}

/// The sum of one bucket: one multiple of the task's precision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// First second.
    pub start: u64,
    /// Its sum.
    pub sum: Sum,
}

/// What became of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upload {
    /// Stored.
    New,
    /// A report of that id is there.
    Replayed,
    /// Its batch was collected.
    Collected,
    /// The task's queue is full.
    Full,
}

/// A leased job of the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The task.
    pub task: Task,
    /// The job.
    pub job: Id,
    /// Who holds it: only that holder's result counts.
    pub holder: i64,
    /// How often it was tried, this time included.
    pub attempts: u32,
}

/// A report as uploaded, still sealed.
#[derive(Clone)]
pub struct StoredReport {
    /// Its id.
    pub id: Id,
    /// The bytes of the upload.
    pub body: Vec<u8>,
}

impl fmt::Debug for StoredReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoredReport({} bytes)", self.body.len())
    }
}

/// What a helper found of a job that a leader asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    New,
    /// The same request: its answer.
    Same(Vec<u8>),
    /// Another request under that id.
    Other,
}

/// Why a bucket's report was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Its id was seen before.
    Replayed,
    /// Its batch was collected.
    Collected,
}

/// Where a collection job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Waits for reports, or for the helper's share.
    Waiting,
    /// Both shares are there.
    Done,
    /// It will give nothing.
    Failed,
}

/// A collection job of the leader.
#[derive(Clone)]
pub struct CollectionJob {
    /// The request's bytes.
    pub request: Vec<u8>,
    /// The times asked for.
    pub span: Span,
    /// Where it stands.
    pub stage: Stage,
    /// The DAP type of the problem of a failed one.
    pub problem: String,
    /// The answer of a finished one.
    pub result: Vec<u8>,
}

/// How opening a collection job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is there now, or was there with the same request.
    Ok,
    /// Another request has that id.
    Other,
    /// The same times are asked for, or were released, by another job.
    Queried,
    /// Its times overlap another's.
    Overlap,
}

/// How closing a batch ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closing {
    /// It is closed, now or before: the noised sum.
    Closed(Sum),
    /// It is held: nothing is added to it, and no noise was drawn yet. The sum has no share.
    Held(Sum),
    /// Reports are still on their way through.
    Pending,
    /// Too few reports: how many there are.
    TooFew(u64),
    /// Another batch overlaps it.
    Overlap,
    /// The peer's count or checksum is another.
    Mismatch,
}

/// What the peer says of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Reports.
    pub reports: u64,
    /// XOR of SHA-256 of their ids.
    pub checksum: [u8; 32],
}

/// Adds noise to an encoded share, once.
pub type AddNoise<'a> = &'a (dyn Fn(&[u8]) -> Vec<u8> + Send + Sync);

/// Counts of a task, for its operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct TaskCounts {
    /// Reports that wait to be aggregated.
    pub waiting: u64,
    /// Reports in batches that were not collected.
    pub aggregated: u64,
    /// Reports in batches that were.
    pub collected: u64,
    /// Refused ones, by reason.
    pub rejected: std::collections::BTreeMap<String, u64>,
    /// Leader: collection jobs that failed, by DAP's type of problem.
    pub failed_collections: std::collections::BTreeMap<String, u64>,
}

/// An aggregator's state.
#[async_trait]
pub trait Store: Send + Sync {
    /// Whether the database answers.
    async fn ping(&self) -> Stored<()>;

    /// Stores a key; false where its id is taken.
    async fn put_key(&self, id: u8, key: &StoredKey) -> Stored<bool>;
    /// All keys, newest first.
    async fn keys(&self) -> Stored<Vec<StoredKey>>;
    /// Forgets keys that no longer count.
    async fn drop_keys(&self, expired_before: u64) -> Stored<u64>;

    /// Stores a task's envelope; the same task again is no error.
    async fn put_task(&self, task: &Task, envelope: &[u8], now: u64) -> Stored<()>;
    /// All tasks' envelopes.
    async fn tasks(&self) -> Stored<Vec<Vec<u8>>>;
    /// One task's envelope.
    async fn task(&self, task: &Task) -> Stored<Option<Vec<u8>>>;
    /// Forgets a task and all that belongs to it.
    async fn drop_task(&self, task: &Task) -> Stored<()>;
    /// Counts refused reports.
    async fn reject(&self, task: &Task, reason: &str, count: u64) -> Stored<()>;
    /// What an operator may see.
    async fn counts(&self, task: &Task) -> Stored<TaskCounts>;

    /// Stores an upload, unless it is there, its batch was collected, or `quota` reports wait already.
    async fn put_report(
        &self,
        task: &Task,
        report: &StoredReport,
        time: u64,
        now: u64,
        quota: u64,
    ) -> Stored<Upload>;
    /// Puts up to `size` waiting reports into a job; none where fewer than `size` wait and the oldest
    /// came after `older_than`.
    async fn make_job(&self, task: &Task, job: &Id, size: u32, older_than: u64) -> Stored<u64>;
    /// Leases a job whose lease is over.
    async fn lease_job(&self, now: u64, until: u64, holder: i64) -> Stored<Option<Lease>>;
    /// The reports of a job, in the order of their ids.
    async fn job_reports(&self, lease: &Lease) -> Stored<Vec<StoredReport>>;
    /// Adds a job's sums and forgets its reports' shares; false where the lease is another's by now.
    async fn finish_job(&self, lease: &Lease, buckets: &[Bucket]) -> Stored<bool>;
    /// Gives a job back until a time.
    async fn release_job(&self, lease: &Lease, until: u64) -> Stored<()>;

    /// Whether a job was answered before, with which request.
    async fn known_job(&self, task: &Task, job: &Id, request: &[u8; 32]) -> Stored<Known>;
    /// Which of these reports must not be added: an answer for each.
    async fn dropped(&self, task: &Task, reports: &[(Id, u64)]) -> Stored<Vec<Option<Dropped>>>;
    /// Adds a job's sums, remembers its reports and its answer; false where something changed since
    /// [`Store::dropped`], or where the job is there already: look again then.
    async fn answer_job(&self, answer: &Answer<'_>) -> Stored<bool>;

    /// Opens a collection job.
    async fn open_collection(&self, task: &Task, job: &Id, request: &[u8], span: Span) -> Stored<Opened>;
    /// A collection job.
    async fn collection(&self, task: &Task, job: &Id) -> Stored<Option<CollectionJob>>;
    /// Ends a collection job; what was released stays released.
    async fn drop_collection(&self, task: &Task, job: &Id) -> Stored<bool>;
    /// Leases a collection job that is not finished.
    async fn lease_collection(&self, now: u64, until: u64, holder: i64) -> Stored<Option<Lease>>;
    /// Gives a collection job back until a time.
    async fn release_collection(&self, lease: &Lease, until: u64) -> Stored<()>;
    /// Marks a leased collection job.
    async fn mark_collection(
        &self,
        lease: &Lease,
        stage: Stage,
        problem: &str,
        result: &[u8],
    ) -> Stored<bool>;

    /// The sums that were not released, by bucket: what two operators compare where their counts differ.
    async fn buckets(&self, task: &Task) -> Stored<Vec<Bucket>>;
    /// Forgets a bucket's sum for good and the failed collection jobs of its times, so that these can be asked
    /// for again; how many reports it had, or `None` where there is none.
    async fn drop_bucket(&self, task: &Task, start: u64) -> Stored<Option<u64>>;

    /// Holds a batch, so that nothing is added to it while the peer is asked for its share; or gives what was
    /// stored when it was closed.
    async fn hold_batch(&self, task: &Task, span: Span, min_batch: u64) -> Stored<Closing>;
    /// Lets go of a batch that is held; one that is closed stays closed.
    async fn free_batch(&self, task: &Task, span: Span) -> Stored<()>;
    /// Closes a batch: adds its buckets up, adds noise, stores the noised sum and forgets the buckets, or
    /// gives what was stored then. `claim`: what the peer says of it.
    async fn close_batch(
        &self,
        task: &Task,
        span: Span,
        min_batch: u64,
        claim: Option<Claim>,
        noise: AddNoise<'_>,
    ) -> Stored<Closing>;
}

/// A helper's answer to a job.
pub struct Answer<'a> {
    /// The task.
    pub task: &'a Task,
    /// The job.
    pub job: &'a Id,
    /// Hash of the request.
    pub request: &'a [u8; 32],
    /// The response's bytes.
    pub response: &'a [u8],
    /// The reports that are in the sums, with their times.
    pub reports: &'a [(Id, u64)],
    /// The sums.
    pub buckets: &'a [Bucket],
}
