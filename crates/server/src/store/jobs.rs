//! Leases, and a helper's answers to a leader's jobs.

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, Row as _};

use super::sql::{array, bytes, int, number};
use super::{Answer, CollectionJob, Dropped, Id, Known, Lease, Opened, Span, SqlStore, Stage, Stored, Task};

/// Binds task, job and holder as the last parameters.
pub(super) fn rest_of_lease<'q>(
    query: Query<'q, Any, AnyArguments<'q>>,
    lease: &Lease,
) -> Query<'q, Any, AnyArguments<'q>> {
    query.bind(lease.task.to_vec()).bind(lease.job.to_vec()).bind(lease.holder)
}

impl Stage {
    fn number(self) -> i64 {
        match self {
            Self::Waiting => 0,
            Self::Done => 2,
            Self::Failed => 3,
        }
    }

    fn of(number: i64) -> Self {
        match number {
            0 | 1 => Self::Waiting,
            2 => Self::Done,
            _ => Self::Failed,
        }
    }
}

impl SqlStore {
    /// Takes the row of `table` whose lease ended first.
    pub(super) async fn lease(
        &self,
        table: &'static str,
        open: &'static str,
        now: u64,
        until: u64,
        holder: i64,
    ) -> Stored<Option<Lease>> {
        let mut tx = self.begin().await?;
        let statement = self.locking(&format!(
            "SELECT task, id, attempts FROM {table} WHERE {open} AND lease <= $1 ORDER BY lease LIMIT 1{{SKIP}}"
        ));
        let Some(row) = sqlx::query(&statement).bind(int(now)).fetch_optional(&mut *tx).await? else {
            return Ok(None);
        };
        let attempts = u32::try_from(number(&row, 2)?).unwrap_or(u32::MAX).saturating_add(1);
        let lease = Lease { task: array(&row, 0)?, job: array(&row, 1)?, holder, attempts };
        let statement =
            format!("UPDATE {table} SET lease = $1, holder = $2, attempts = $3 WHERE task = $4 AND id = $5");
        let query = sqlx::query(&statement).bind(int(until)).bind(holder).bind(i64::from(attempts));
        query.bind(lease.task.to_vec()).bind(lease.job.to_vec()).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(Some(lease))
    }

    pub(super) async fn release(&self, table: &'static str, lease: &Lease, until: u64) -> Stored<()> {
        let statement = format!("UPDATE {table} SET lease = $1 WHERE task = $2 AND id = $3 AND holder = $4");
        rest_of_lease(sqlx::query(&statement).bind(int(until)), lease).execute(&self.pool).await?;
        Ok(())
    }

    pub(super) async fn answered(&self, task: &Task, job: &Id, request: &[u8; 32]) -> Stored<Known> {
        let query = sqlx::query("SELECT request, response FROM answers WHERE task = $1 AND id = $2");
        let row = query.bind(task.to_vec()).bind(job.to_vec()).fetch_optional(&self.pool).await?;
        let Some(row) = row else { return Ok(Known::New) };
        let same = array::<32>(&row, 0)? == *request;
        Ok(if same { Known::Same(bytes(&row, 1)?) } else { Known::Other })
    }

    pub(super) async fn dropped_of(
        connection: &mut AnyConnection,
        task: &Task,
        reports: &[(Id, u64)],
    ) -> Stored<Vec<Option<Dropped>>> {
        let mut out = Vec::with_capacity(reports.len());
        for (id, time) in reports {
            let seen = sqlx::query("SELECT COUNT(*) FROM reports WHERE task = $1 AND id = $2");
            let seen = seen.bind(task.to_vec()).bind(id.to_vec()).fetch_one(&mut *connection).await?;
            let statement = "SELECT COUNT(*) FROM released WHERE task = $1 AND start <= $2 AND until > $2";
            let gone = sqlx::query(statement).bind(task.to_vec()).bind(int(*time));
            let gone = gone.fetch_one(&mut *connection).await?;
            out.push(match (number(&seen, 0)?, number(&gone, 0)?) {
                (0, 0) => None,
                (0, _) => Some(Dropped::Collected),
                _ => Some(Dropped::Replayed),
            });
        }
        Ok(out)
    }

    pub(super) async fn answer(&self, answer: &Answer<'_>) -> Stored<bool> {
        let mut tx = self.begin().await?;
        self.lock_task(&mut tx, answer.task, false).await?;
        let statement = "INSERT INTO answers (task, id, request, response) VALUES ($1, $2, $3, $4)
            ON CONFLICT DO NOTHING";
        let query = sqlx::query(statement).bind(answer.task.to_vec()).bind(answer.job.to_vec());
        let query = query.bind(answer.request.to_vec()).bind(answer.response.to_vec());
        if query.execute(&mut *tx).await?.rows_affected() == 0 {
            return Ok(false);
        }
        for (id, time) in answer.reports {
            if Self::is_released(&mut tx, answer.task, *time).await? {
                return Ok(false);
            }
            let statement = "INSERT INTO reports (task, id, time, arrived, state, job, body)
                VALUES ($1, $2, $3, 0, 2, $4, $5) ON CONFLICT DO NOTHING";
            let query = sqlx::query(statement).bind(answer.task.to_vec()).bind(id.to_vec()).bind(int(*time));
            let done = query.bind(answer.job.to_vec()).bind(Vec::new()).execute(&mut *tx).await?;
            if done.rows_affected() == 0 {
                return Ok(false);
            }
        }
        for bucket in answer.buckets {
            self.add_to_bucket(&mut tx, answer.task, bucket).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    pub(super) async fn insert_collection(
        &self,
        task: &Task,
        job: &Id,
        request: &[u8],
        span: Span,
    ) -> Stored<Opened> {
        let mut tx = self.begin().await?;
        self.lock_task(&mut tx, task, true).await?;
        let query = sqlx::query("SELECT request FROM collections WHERE task = $1 AND id = $2");
        let known = query.bind(task.to_vec()).bind(job.to_vec()).fetch_optional(&mut *tx).await?;
        if let Some(row) = known {
            return Ok(if bytes(&row, 0)? == request { Opened::Ok } else { Opened::Other });
        }
        // A batch that is held belongs to the job above, or to none any more.
        for table in ["collections WHERE state < 3 AND", "released WHERE LENGTH(share) > 0 AND"] {
            let statement =
                format!("SELECT start, until FROM {table} task = $1 AND start < $2 AND until > $3 LIMIT 1");
            let query = sqlx::query(&statement).bind(task.to_vec()).bind(int(span.end)).bind(int(span.start));
            if let Some(row) = query.fetch_optional(&mut *tx).await? {
                let same = number(&row, 0)? == span.start && number(&row, 1)? == span.end;
                return Ok(if same { Opened::Queried } else { Opened::Overlap });
            }
        }
        let statement = "INSERT INTO collections
            (task, id, request, start, until, state, problem, result, lease, holder, attempts)
            VALUES ($1, $2, $3, $4, $5, 0, $6, $7, 0, 0, 0)";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(job.to_vec()).bind(request.to_vec());
        let query = query.bind(int(span.start)).bind(int(span.end)).bind(String::new()).bind(Vec::new());
        query.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(Opened::Ok)
    }

    pub(super) async fn collection_of(&self, task: &Task, job: &Id) -> Stored<Option<CollectionJob>> {
        let statement = "SELECT request, start, until, state, problem, result FROM collections
            WHERE task = $1 AND id = $2";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(job.to_vec());
        let read = |row: AnyRow| {
            Ok(CollectionJob {
                request: bytes(&row, 0)?,
                span: Span { start: number(&row, 1)?, end: number(&row, 2)? },
                stage: Stage::of(row.try_get::<i64, _>(3)?),
                problem: row.try_get::<String, _>(4)?,
                result: bytes(&row, 5)?,
            })
        };
        query.fetch_optional(&self.pool).await?.map(read).transpose()
    }

    pub(super) async fn mark(
        &self,
        lease: &Lease,
        stage: Stage,
        problem: &str,
        result: &[u8],
    ) -> Stored<bool> {
        let statement = "UPDATE collections SET state = $1, problem = $2, result = $3
            WHERE task = $4 AND id = $5 AND holder = $6 AND state < 2";
        let query =
            sqlx::query(statement).bind(stage.number()).bind(problem.to_owned()).bind(result.to_vec());
        Ok(rest_of_lease(query, lease).execute(&self.pool).await?.rows_affected() == 1)
    }
}
