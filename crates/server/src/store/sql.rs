//! SQLite and PostgreSQL, with the same statements for both.

use async_trait::async_trait;
use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyPool, Connection as _, Row as _, Transaction};

use super::schema::{OF_A_TASK, TABLES};
use super::{
    AddNoise, Answer, Bucket, Claim, Closing, CollectionJob, Dropped, Id, Known, Lease, Opened, Span, Stage,
    Store, StoreError, Stored, StoredKey, StoredReport, Task, TaskCounts, Upload,
};

/// A [`Store`] in a database.
#[derive(Clone, Debug)]
pub struct SqlStore {
    pub(super) pool: AnyPool,
    postgres: bool,
}

/// What each connection to SQLite is told at its start.
const PRAGMAS: [&str; 4] = [
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    // What is deleted is overwritten: a sum without noise must not stay in free pages.
    "PRAGMA secure_delete = ON",
    "PRAGMA busy_timeout = 10000",
];

fn of_sqlite(options: AnyPoolOptions) -> AnyPoolOptions {
    options
        .after_connect(|connection, _| {
            Box::pin(async move {
                for pragma in PRAGMAS {
                    sqlx::query(pragma).fetch_all(&mut *connection).await?;
                }
                Ok(())
            })
        })
        // A full disk makes SQLite roll back by itself. sqlx then takes the connection to be in a transaction for
        // ever, and no other could begin: it is replaced.
        .before_acquire(|connection, _| Box::pin(async move { Ok(!connection.is_in_transaction()) }))
}

/// An open transaction.
pub(super) type Tx = Transaction<'static, Any>;

impl SqlStore {
    /// Opens a database and makes the tables that are missing. `sqlite:PATH` (made where it is not there)
    /// or `postgres://…`; `connections` counts for PostgreSQL, SQLite has one.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn open(url: &str, connections: u32) -> Stored<Self> {
        sqlx::any::install_default_drivers();
        let postgres = url.starts_with("postgres");
        let address = if postgres || url.contains('?') { url.to_owned() } else { format!("{url}?mode=rwc") };
        let options = AnyPoolOptions::new()
            .max_connections(if postgres { connections } else { 1 })
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(std::time::Duration::from_secs(30));
        let options = if postgres { options } else { of_sqlite(options) };
        let pool = options.connect(&address).await?;
        let store = Self { pool, postgres };
        store.prepare().await?;
        Ok(store)
    }

    async fn prepare(&self) -> Stored<()> {
        let mut tx = self.begin().await?;
        if self.postgres {
            // Two processes that start at once would both create the tables.
            sqlx::query("SELECT CAST(pg_advisory_xact_lock(6577) AS TEXT)").execute(&mut *tx).await?;
        }
        for statement in TABLES {
            let bytes = if self.postgres { " BYTEA" } else { " BLOB" };
            sqlx::query(&statement.replace(" BYTES", bytes)).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Begins a transaction that may write.
    pub(super) async fn begin(&self) -> Stored<Tx> {
        let tx = if self.postgres {
            self.pool.begin().await
        } else {
            self.pool.begin_with("BEGIN IMMEDIATE").await
        };
        Ok(tx?)
    }

    /// A statement with the locking clauses that PostgreSQL needs and SQLite, which has one writer, lacks.
    pub(super) fn locking(&self, statement: &str) -> String {
        let clauses =
            [("{UPDATE}", " FOR UPDATE"), ("{SHARE}", " FOR SHARE"), ("{SKIP}", " FOR UPDATE SKIP LOCKED")];
        clauses.iter().fold(statement.to_owned(), |text, (mark, clause)| {
            text.replace(mark, if self.postgres { clause } else { "" })
        })
    }

    /// Locks a task's row: shared by what adds to its batches, alone by what closes one.
    pub(super) async fn lock_task(&self, tx: &mut Tx, task: &Task, alone: bool) -> Stored<()> {
        let clause = if alone { "{UPDATE}" } else { "{SHARE}" };
        let statement = self.locking(&format!("SELECT added FROM tasks WHERE id = $1{clause}"));
        sqlx::query(&statement).bind(task.to_vec()).fetch_optional(&mut **tx).await?;
        Ok(())
    }
}

/// A row's number.
pub(super) fn number(row: &AnyRow, column: usize) -> Stored<u64> {
    u64::try_from(row.try_get::<i64, _>(column)?).map_err(|_| StoreError::Damaged("a number below zero"))
}

/// A row's bytes.
pub(super) fn bytes(row: &AnyRow, column: usize) -> Stored<Vec<u8>> {
    Ok(row.try_get::<Vec<u8>, _>(column)?)
}

/// A row's bytes of a fixed length.
pub(super) fn array<const N: usize>(row: &AnyRow, column: usize) -> Stored<[u8; N]> {
    bytes(row, column)?.try_into().map_err(|_| StoreError::Damaged("an id or hash"))
}

/// Seconds and counts as databases have them.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[async_trait]
impl Store for SqlStore {
    async fn ping(&self) -> Stored<()> {
        sqlx::query("SELECT 1").execute(&self.pool).await?;
        Ok(())
    }

    async fn put_key(&self, id: u8, key: &StoredKey) -> Stored<bool> {
        let statement = "INSERT INTO hpke_keys (id, public, private, created, expires)
            SELECT $1, $2, $3, (SELECT COALESCE(MAX(created), 0) + 1 FROM hpke_keys), $4 WHERE 1 = 1
            ON CONFLICT DO NOTHING";
        let query =
            sqlx::query(statement).bind(i64::from(id)).bind(key.public.clone()).bind(key.private.clone());
        let done = query.bind(int(key.expires)).execute(&self.pool).await?;
        Ok(done.rows_affected() == 1)
    }

    async fn keys(&self) -> Stored<Vec<StoredKey>> {
        let statement = "SELECT public, private, expires FROM hpke_keys ORDER BY created DESC";
        let rows = sqlx::query(statement).fetch_all(&self.pool).await?;
        let key = |row: &AnyRow| {
            Ok(StoredKey { public: bytes(row, 0)?, private: bytes(row, 1)?, expires: number(row, 2)? })
        };
        rows.iter().map(key).collect()
    }

    async fn drop_keys(&self, expired_before: u64) -> Stored<u64> {
        let statement = "DELETE FROM hpke_keys WHERE expires < $1";
        Ok(sqlx::query(statement).bind(int(expired_before)).execute(&self.pool).await?.rows_affected())
    }

    async fn put_task(&self, task: &Task, envelope: &[u8], now: u64) -> Stored<()> {
        let statement = "INSERT INTO tasks (id, envelope, added) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(envelope.to_vec()).bind(int(now));
        query.execute(&self.pool).await?;
        Ok(())
    }

    async fn tasks(&self) -> Stored<Vec<Vec<u8>>> {
        let rows = sqlx::query("SELECT envelope FROM tasks ORDER BY added").fetch_all(&self.pool).await?;
        rows.iter().map(|row| bytes(row, 0)).collect()
    }

    async fn task(&self, task: &Task) -> Stored<Option<Vec<u8>>> {
        let query = sqlx::query("SELECT envelope FROM tasks WHERE id = $1").bind(task.to_vec());
        query.fetch_optional(&self.pool).await?.map(|row| bytes(&row, 0)).transpose()
    }

    async fn drop_task(&self, task: &Task) -> Stored<()> {
        let mut tx = self.begin().await?;
        for table in OF_A_TASK {
            let statement = format!("DELETE FROM {table} WHERE task = $1");
            sqlx::query(&statement).bind(task.to_vec()).execute(&mut *tx).await?;
        }
        sqlx::query("DELETE FROM tasks WHERE id = $1").bind(task.to_vec()).execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }

    async fn reject(&self, task: &Task, reason: &str, count: u64) -> Stored<()> {
        let statement = "INSERT INTO rejects (task, reason, n) VALUES ($1, $2, $3)
            ON CONFLICT (task, reason) DO UPDATE SET n = rejects.n + excluded.n";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(reason.to_owned()).bind(int(count));
        query.execute(&self.pool).await?;
        Ok(())
    }

    async fn counts(&self, task: &Task) -> Stored<TaskCounts> {
        let one = |statement: &'static str| async move {
            let row = sqlx::query(statement).bind(task.to_vec()).fetch_one(&self.pool).await?;
            number(&row, 0)
        };
        let rows = sqlx::query("SELECT reason, n FROM rejects WHERE task = $1 ORDER BY reason");
        let rows = rows.bind(task.to_vec()).fetch_all(&self.pool).await?;
        let failed = sqlx::query(
            "SELECT problem, COUNT(*) FROM collections WHERE task = $1 AND state = 3 GROUP BY problem",
        );
        let failed = failed.bind(task.to_vec()).fetch_all(&self.pool).await?;
        let reason = |row: &AnyRow| Ok((row.try_get::<String, _>(0)?, number(row, 1)?));
        Ok(TaskCounts {
            waiting: one("SELECT COUNT(*) FROM reports WHERE task = $1 AND state < 2").await?,
            aggregated: one("SELECT CAST(COALESCE(SUM(reports), 0) AS BIGINT) FROM buckets WHERE task = $1")
                .await?,
            collected: one("SELECT CAST(COALESCE(SUM(reports), 0) AS BIGINT) FROM released
                WHERE task = $1 AND LENGTH(share) > 0")
            .await?,
            rejected: rows.iter().map(reason).collect::<Stored<_>>()?,
            failed_collections: failed.iter().map(reason).collect::<Stored<_>>()?,
        })
    }

    async fn put_report(
        &self,
        task: &Task,
        report: &StoredReport,
        time: u64,
        now: u64,
        quota: u64,
    ) -> Stored<Upload> {
        self.insert_report(task, report, time, now, quota).await
    }

    async fn make_job(&self, task: &Task, job: &Id, size: u32, older_than: u64) -> Stored<u64> {
        self.insert_job(task, job, size, older_than).await
    }

    async fn lease_job(&self, now: u64, until: u64, holder: i64) -> Stored<Option<Lease>> {
        self.lease("jobs", "state = 0", now, until, holder).await
    }

    async fn job_reports(&self, lease: &Lease) -> Stored<Vec<StoredReport>> {
        self.reports_of(lease).await
    }

    async fn finish_job(&self, lease: &Lease, buckets: &[Bucket]) -> Stored<bool> {
        self.sum_job(lease, buckets).await
    }

    async fn release_job(&self, lease: &Lease, until: u64) -> Stored<()> {
        self.release("jobs", lease, until).await
    }

    async fn known_job(&self, task: &Task, job: &Id, request: &[u8; 32]) -> Stored<Known> {
        self.answered(task, job, request).await
    }

    async fn dropped(&self, task: &Task, reports: &[(Id, u64)]) -> Stored<Vec<Option<Dropped>>> {
        let mut connection = self.pool.acquire().await?;
        Self::dropped_of(&mut connection, task, reports).await
    }

    async fn answer_job(&self, answer: &Answer<'_>) -> Stored<bool> {
        self.answer(answer).await
    }

    async fn open_collection(&self, task: &Task, job: &Id, request: &[u8], span: Span) -> Stored<Opened> {
        self.insert_collection(task, job, request, span).await
    }

    async fn collection(&self, task: &Task, job: &Id) -> Stored<Option<CollectionJob>> {
        self.collection_of(task, job).await
    }

    async fn drop_collection(&self, task: &Task, job: &Id) -> Stored<bool> {
        let statement = "DELETE FROM collections WHERE task = $1 AND id = $2";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(job.to_vec());
        Ok(query.execute(&self.pool).await?.rows_affected() == 1)
    }

    async fn lease_collection(&self, now: u64, until: u64, holder: i64) -> Stored<Option<Lease>> {
        self.lease("collections", "state < 2", now, until, holder).await
    }

    async fn release_collection(&self, lease: &Lease, until: u64) -> Stored<()> {
        self.release("collections", lease, until).await
    }

    async fn mark_collection(
        &self,
        lease: &Lease,
        stage: Stage,
        problem: &str,
        result: &[u8],
    ) -> Stored<bool> {
        self.mark(lease, stage, problem, result).await
    }

    async fn buckets(&self, task: &Task) -> Stored<Vec<Bucket>> {
        self.buckets_of(task).await
    }

    async fn drop_bucket(&self, task: &Task, start: u64) -> Stored<Option<u64>> {
        self.forget_bucket(task, start).await
    }

    async fn hold_batch(&self, task: &Task, span: Span, min_batch: u64) -> Stored<Closing> {
        self.hold(task, span, min_batch).await
    }

    async fn free_batch(&self, task: &Task, span: Span) -> Stored<()> {
        let mut tx = self.begin().await?;
        Self::free(&mut tx, task, span).await?;
        Ok(tx.commit().await?)
    }

    async fn close_batch(
        &self,
        task: &Task,
        span: Span,
        min_batch: u64,
        claim: Option<Claim>,
        noise: AddNoise<'_>,
    ) -> Stored<Closing> {
        self.close(task, span, min_batch, claim, noise).await
    }
}
