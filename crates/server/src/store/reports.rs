//! Uploaded reports and the leader's jobs over them.

use super::jobs::rest_of_lease;
use super::sql::{Tx, array, bytes, int, number};
use super::{Bucket, Id, Lease, SqlStore, Stored, StoredReport, Task, Upload};

impl SqlStore {
    pub(super) async fn insert_report(
        &self,
        task: &Task,
        report: &StoredReport,
        time: u64,
        now: u64,
        quota: u64,
    ) -> Stored<Upload> {
        let mut tx = self.begin().await?;
        // Nothing may come into a batch while it is closed.
        self.lock_task(&mut tx, task, false).await?;
        if Self::is_released(&mut tx, task, time).await? {
            return Ok(Upload::Collected);
        }
        let waiting = sqlx::query("SELECT COUNT(*) FROM reports WHERE task = $1 AND state < 2");
        if number(&waiting.bind(task.to_vec()).fetch_one(&mut *tx).await?, 0)? >= quota {
            return Ok(Upload::Full);
        }
        let statement = "INSERT INTO reports (task, id, time, arrived, state, job, body)
            VALUES ($1, $2, $3, $4, 0, $5, $6) ON CONFLICT DO NOTHING";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(report.id.to_vec()).bind(int(time));
        let done = query.bind(int(now)).bind(Vec::new()).bind(report.body.clone()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(if done.rows_affected() == 1 { Upload::New } else { Upload::Replayed })
    }

    /// Whether a batch with that time was released.
    pub(super) async fn is_released(tx: &mut Tx, task: &Task, time: u64) -> Stored<bool> {
        let statement = "SELECT COUNT(*) FROM released WHERE task = $1 AND start <= $2 AND until > $2";
        let row = sqlx::query(statement).bind(task.to_vec()).bind(int(time)).fetch_one(&mut **tx).await?;
        Ok(number(&row, 0)? > 0)
    }

    pub(super) async fn insert_job(&self, task: &Task, job: &Id, size: u32, older_than: u64) -> Stored<u64> {
        let mut tx = self.begin().await?;
        let statement = "SELECT COUNT(*), CAST(COALESCE(MIN(arrived), 0) AS BIGINT) FROM
            (SELECT arrived FROM reports WHERE task = $1 AND state = 0 ORDER BY arrived LIMIT $2) waiting";
        let row =
            sqlx::query(statement).bind(task.to_vec()).bind(i64::from(size)).fetch_one(&mut *tx).await?;
        let (waiting, oldest) = (number(&row, 0)?, number(&row, 1)?);
        if waiting == 0 || (waiting < u64::from(size) && oldest > older_than) {
            return Ok(0);
        }
        let statement = self.locking(
            "UPDATE reports SET state = 1, job = $1 WHERE task = $2 AND id IN
            (SELECT id FROM reports WHERE task = $3 AND state = 0 ORDER BY arrived LIMIT $4{SKIP})",
        );
        let query = sqlx::query(&statement).bind(job.to_vec()).bind(task.to_vec()).bind(task.to_vec());
        let taken = query.bind(i64::from(size)).execute(&mut *tx).await?.rows_affected();
        if taken == 0 {
            return Ok(0);
        }
        let statement =
            "INSERT INTO jobs (task, id, state, lease, holder, attempts) VALUES ($1, $2, 0, 0, 0, 0)";
        sqlx::query(statement).bind(task.to_vec()).bind(job.to_vec()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(taken)
    }

    pub(super) async fn reports_of(&self, lease: &Lease) -> Stored<Vec<StoredReport>> {
        let statement = "SELECT id, body FROM reports WHERE task = $1 AND job = $2 AND state = 1 ORDER BY id";
        let query = sqlx::query(statement).bind(lease.task.to_vec()).bind(lease.job.to_vec());
        let rows = query.fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(StoredReport { id: array(row, 0)?, body: bytes(row, 1)? })).collect()
    }

    pub(super) async fn sum_job(&self, lease: &Lease, buckets: &[Bucket]) -> Stored<bool> {
        let mut tx = self.begin().await?;
        self.lock_task(&mut tx, &lease.task, false).await?;
        let statement = "UPDATE jobs SET state = 1, lease = 0
            WHERE task = $1 AND id = $2 AND state = 0 AND holder = $3";
        if rest_of_lease(sqlx::query(statement), lease).execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        for bucket in buckets {
            self.add_to_bucket(&mut tx, &lease.task, bucket).await?;
        }
        let statement = "UPDATE reports SET state = 2, body = $1 WHERE task = $2 AND job = $3 AND state = 1";
        let query =
            sqlx::query(statement).bind(Vec::new()).bind(lease.task.to_vec()).bind(lease.job.to_vec());
        query.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }
}
