//! Aggregation jobs.

use std::sync::Arc;

use janus_messages::{AggregationJobInitializeReq, PartialBatchSelector, PrepareError};

use super::{Leader, Step, holder};
use crate::aggregator::LoadedTask;
use crate::prepare::{Begun, begin, end, reason};
use crate::random;
use crate::store::{Lease, Stored};

impl Leader {
    /// Makes jobs of reports that wait.
    pub(super) async fn make_jobs(&self) -> Stored<Step> {
        let aggregator = &self.aggregator;
        let older_than = aggregator.now().saturating_sub(aggregator.settings.times.linger);
        let size = aggregator.settings.limits.job_reports.max(1);
        let mut step = Step::Idle;
        for task in aggregator.tasks().await? {
            if aggregator.store.make_job(&task.id, &random::array(), size, older_than).await? > 0 {
                step = Step::Done;
            }
        }
        Ok(step)
    }

    /// Works one job off.
    pub(super) async fn work(&self) -> Stored<Step> {
        let aggregator = &self.aggregator;
        let lease = aggregator.store.lease_job(aggregator.now(), self.lease_until(), holder()).await?;
        let Some(lease) = lease else { return Ok(Step::Idle) };
        if self.job(&lease).await? {
            return Ok(Step::Done);
        }
        aggregator.metrics.retried.inc();
        aggregator.store.release_job(&lease, self.again(lease.attempts)).await?;
        Ok(Step::Later)
    }

    /// False where the job has to be tried again.
    async fn job(&self, lease: &Lease) -> Stored<bool> {
        let aggregator = &self.aggregator;
        let Ok(task) = aggregator.task(&lease.task).await else { return Ok(false) };
        let reports = aggregator.store.job_reports(lease).await?;
        let worker = task.clone();
        let begun = tokio::task::spawn_blocking(move || begin(&worker, &reports)).await;
        let Ok((begun, mut refused)) = begun else { return Ok(false) };
        let buckets = if begun.is_empty() {
            Vec::new()
        } else {
            let Some((sums, more)) = self.with_helper(&task, lease, begun).await else { return Ok(false) };
            refused.extend(more);
            aggregator.metrics.aggregated.inc_by(sums.reports());
            sums.buckets()
        };
        if !aggregator.store.finish_job(lease, &buckets).await? {
            // Another worker holds it by now, and will finish it with the same result.
            tracing::info!("a job's lease was over before it was finished");
            return Ok(true);
        }
        self.count(&task, &refused).await?;
        Ok(true)
    }

    async fn with_helper(
        &self,
        task: &Arc<LoadedTask>,
        lease: &Lease,
        begun: Vec<Begun>,
    ) -> Option<(crate::prepare::Sums, Vec<PrepareError>)> {
        let inits = begun.iter().map(|one| one.init.clone()).collect();
        let request =
            AggregationJobInitializeReq::new(Vec::new(), PartialBatchSelector::new_time_interval(), inits);
        let answer = match self.helper.aggregation_job(task, &lease.job, &request).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::warn!(%error, attempts = lease.attempts, "an aggregation job will be tried again");
                return None;
            }
        };
        let worker = task.clone();
        let ended = tokio::task::spawn_blocking(move || end(&worker, begun, answer.prepare_resps())).await;
        let ended = ended.ok().flatten();
        if ended.is_none() {
            tracing::warn!("the helper's answers do not belong to the job's reports");
        }
        ended
    }

    async fn count(&self, task: &LoadedTask, refused: &[PrepareError]) -> Stored<()> {
        for error in refused {
            let word = reason(*error);
            self.aggregator.metrics.reject(word, 1);
            self.aggregator.store.reject(&task.id, word, 1).await?;
        }
        Ok(())
    }
}
