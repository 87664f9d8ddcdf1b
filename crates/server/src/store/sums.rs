//! Sums of buckets, and how a batch of them is closed.

use prio::codec::{Decode as _, Encode as _};
use prio::field::{Field128, FieldElement as _};
use sqlx::any::AnyRow;

use super::sql::{Tx, array, bytes, int, number};
use super::{AddNoise, Bucket, Claim, Closing, Span, SqlStore, StoreError, Stored, Sum, Task};

impl Sum {
    /// The sum of no report.
    #[must_use]
    pub fn empty() -> Self {
        Self { share: Vec::new(), reports: 0, checksum: [0; 32], span: None }
    }

    /// Adds another sum.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for shares of different lengths.
    pub fn add(&mut self, other: &Self) -> Stored<()> {
        if self.share.is_empty() {
            self.share.clone_from(&other.share);
        } else if !other.share.is_empty() {
            self.share = add_shares(&self.share, &other.share)?;
        }
        self.reports += other.reports;
        self.checksum.iter_mut().zip(other.checksum).for_each(|(a, b)| *a ^= b);
        self.span = match (self.span, other.span) {
            (Some(a), Some(b)) => Some(Span { start: a.start.min(b.start), end: a.end.max(b.end) }),
            (a, b) => a.or(b),
        };
        Ok(())
    }
}

fn add_shares(a: &[u8], b: &[u8]) -> Stored<Vec<u8>> {
    let damaged = || StoreError::Damaged("a share");
    if a.len() != b.len() {
        return Err(damaged());
    }
    let size = Field128::ENCODED_SIZE;
    let mut out = Vec::with_capacity(a.len());
    for (a, b) in a.chunks_exact(size).zip(b.chunks_exact(size)) {
        let a = Field128::get_decoded(a).map_err(|_| damaged())?;
        let b = Field128::get_decoded(b).map_err(|_| damaged())?;
        (a + b).encode(&mut out).map_err(|_| damaged())?;
    }
    Ok(out)
}

impl SqlStore {
    pub(super) async fn add_to_bucket(&self, tx: &mut Tx, task: &Task, bucket: &Bucket) -> Stored<()> {
        let statement =
            "INSERT INTO buckets (task, start, share, reports, checksum) VALUES ($1, $2, $3, 0, $4)
            ON CONFLICT DO NOTHING";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(int(bucket.start));
        query.bind(Vec::new()).bind(vec![0; 32]).execute(&mut **tx).await?;
        let statement = self
            .locking("SELECT share, reports, checksum FROM buckets WHERE task = $1 AND start = $2{UPDATE}");
        let query = sqlx::query(&statement).bind(task.to_vec()).bind(int(bucket.start));
        let row = query.fetch_one(&mut **tx).await?;
        let mut sum =
            Sum { share: bytes(&row, 0)?, reports: number(&row, 1)?, checksum: array(&row, 2)?, span: None };
        sum.add(&bucket.sum)?;
        let statement =
            "UPDATE buckets SET share = $1, reports = $2, checksum = $3 WHERE task = $4 AND start = $5";
        let query = sqlx::query(statement).bind(sum.share).bind(int(sum.reports)).bind(sum.checksum.to_vec());
        query.bind(task.to_vec()).bind(int(bucket.start)).execute(&mut **tx).await?;
        Ok(())
    }

    pub(super) async fn close(
        &self,
        task: &Task,
        span: Span,
        min_batch: u64,
        claim: Option<Claim>,
        noise: AddNoise<'_>,
    ) -> Stored<Closing> {
        let mut tx = self.begin().await?;
        self.lock_task(&mut tx, task, true).await?;
        match Self::released(&mut tx, task, span).await? {
            Some(Closing::Closed(sum)) if claim.is_some_and(|claim| differs(&sum, claim)) => {
                return Ok(Closing::Mismatch);
            }
            None | Some(Closing::Held(_)) => {}
            Some(closing) => return Ok(closing),
        }
        let mut sum = match Self::ready(&mut tx, task, span, min_batch, claim).await? {
            Ok(sum) => sum,
            Err(closing) => return Ok(closing),
        };
        sum.share = noise(&sum.share);
        if sum.share.is_empty() {
            return Err(StoreError::Damaged("a share that noise was to be added to"));
        }
        Self::free(&mut tx, task, span).await?;
        Self::insert_released(&mut tx, task, span, &sum).await?;
        // The sum without noise is not needed any more, and must not be there to be read.
        let statement = "DELETE FROM buckets WHERE task = $1 AND start >= $2 AND start < $3";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(int(span.start)).bind(int(span.end));
        query.execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(Closing::Closed(sum))
    }

    pub(super) async fn hold(&self, task: &Task, span: Span, min_batch: u64) -> Stored<Closing> {
        let mut tx = self.begin().await?;
        self.lock_task(&mut tx, task, true).await?;
        if let Some(closing) = Self::released(&mut tx, task, span).await? {
            return Ok(closing);
        }
        let mut sum = match Self::ready(&mut tx, task, span, min_batch, None).await? {
            Ok(sum) => sum,
            Err(closing) => return Ok(closing),
        };
        // The sum without noise stays where it is, and goes nowhere else.
        sum.share = Vec::new();
        Self::insert_released(&mut tx, task, span, &sum).await?;
        tx.commit().await?;
        Ok(Closing::Held(sum))
    }

    /// Lets go of a batch that is held.
    pub(super) async fn free(tx: &mut Tx, task: &Task, span: Span) -> Stored<()> {
        let statement =
            "DELETE FROM released WHERE task = $1 AND start = $2 AND until = $3 AND LENGTH(share) = 0";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(int(span.start)).bind(int(span.end));
        query.execute(&mut **tx).await?;
        Ok(())
    }

    async fn insert_released(tx: &mut Tx, task: &Task, span: Span, sum: &Sum) -> Stored<()> {
        let covered = sum.span.unwrap_or(span);
        let statement = "INSERT INTO released (task, start, until, share, reports, checksum, first, last)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(int(span.start)).bind(int(span.end));
        let query = query.bind(sum.share.clone()).bind(int(sum.reports)).bind(sum.checksum.to_vec());
        query.bind(int(covered.start)).bind(int(covered.end)).execute(&mut **tx).await?;
        Ok(())
    }

    /// The sum of a batch that may be closed, without noise; or why it may not.
    async fn ready(
        tx: &mut Tx,
        task: &Task,
        span: Span,
        min_batch: u64,
        claim: Option<Claim>,
    ) -> Stored<Result<Sum, Closing>> {
        if Self::pending(tx, task, span).await? > 0 {
            return Ok(Err(Closing::Pending));
        }
        let sum = Self::sum_of(tx, task, span).await?;
        if claim.is_some_and(|claim| differs(&sum, claim)) {
            return Ok(Err(Closing::Mismatch));
        }
        if sum.reports < min_batch || sum.share.is_empty() {
            return Ok(Err(Closing::TooFew(sum.reports)));
        }
        Ok(Ok(sum))
    }

    pub(super) async fn buckets_of(&self, task: &Task) -> Stored<Vec<Bucket>> {
        let statement = "SELECT start, share, reports, checksum FROM buckets WHERE task = $1 ORDER BY start";
        let rows = sqlx::query(statement).bind(task.to_vec()).fetch_all(&self.pool).await?;
        rows.iter().map(|row| Ok(Bucket { start: number(row, 0)?, sum: bucket_of(row)? })).collect()
    }

    pub(super) async fn forget_bucket(&self, task: &Task, start: u64) -> Stored<Option<u64>> {
        let mut tx = self.begin().await?;
        self.lock_task(&mut tx, task, true).await?;
        let query = sqlx::query("SELECT reports FROM buckets WHERE task = $1 AND start = $2");
        let query = query.bind(task.to_vec()).bind(int(start));
        let Some(row) = query.fetch_optional(&mut *tx).await? else { return Ok(None) };
        let times = "start <= $2 AND until > $2";
        let gone = [
            ("buckets", "start = $2".to_owned()),
            ("collections", format!("state = 3 AND {times}")),
            ("released", format!("LENGTH(share) = 0 AND {times}")),
        ];
        for (table, which) in gone {
            let statement = format!("DELETE FROM {table} WHERE task = $1 AND {which}");
            sqlx::query(&statement).bind(task.to_vec()).bind(int(start)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(Some(number(&row, 0)?))
    }

    /// What was released, or is held, of these times.
    async fn released(tx: &mut Tx, task: &Task, span: Span) -> Stored<Option<Closing>> {
        let statement = "SELECT start, until, share, reports, checksum, first, last FROM released
            WHERE task = $1 AND start < $2 AND until > $3";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(int(span.end)).bind(int(span.start));
        let Some(row) = query.fetch_optional(&mut **tx).await? else { return Ok(None) };
        if number(&row, 0)? != span.start || number(&row, 1)? != span.end {
            return Ok(Some(Closing::Overlap));
        }
        let covered = Span { start: number(&row, 5)?, end: number(&row, 6)? };
        let sum = Sum {
            share: bytes(&row, 2)?,
            reports: number(&row, 3)?,
            checksum: array(&row, 4)?,
            span: Some(covered),
        };
        Ok(Some(if sum.share.is_empty() { Closing::Held(sum) } else { Closing::Closed(sum) }))
    }

    /// Reports of these times that are not summed yet.
    async fn pending(tx: &mut Tx, task: &Task, span: Span) -> Stored<u64> {
        let statement =
            "SELECT COUNT(*) FROM reports WHERE task = $1 AND state < 2 AND time >= $2 AND time < $3";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(int(span.start)).bind(int(span.end));
        number(&query.fetch_one(&mut **tx).await?, 0)
    }

    async fn sum_of(tx: &mut Tx, task: &Task, span: Span) -> Stored<Sum> {
        let statement = "SELECT start, share, reports, checksum FROM buckets
            WHERE task = $1 AND start >= $2 AND start < $3 ORDER BY start";
        let query = sqlx::query(statement).bind(task.to_vec()).bind(int(span.start)).bind(int(span.end));
        let mut sum = Sum::empty();
        for row in query.fetch_all(&mut **tx).await? {
            sum.add(&bucket_of(&row)?)?;
        }
        Ok(sum)
    }
}

fn bucket_of(row: &AnyRow) -> Stored<Sum> {
    let start = number(row, 0)?;
    // A bucket's end is its start here; whoever knows the task's precision adds it.
    let span = Some(Span { start, end: start });
    Ok(Sum { share: bytes(row, 1)?, reports: number(row, 2)?, checksum: array(row, 3)?, span })
}

fn differs(sum: &Sum, claim: Claim) -> bool {
    sum.reports != claim.reports || sum.checksum != claim.checksum
}
