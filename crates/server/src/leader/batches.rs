//! Batches that the collector asks for.

use janus_messages::codec::Encode as _;
use janus_messages::problem_type::DapProblemType;
use janus_messages::query_type::TimeInterval;
use janus_messages::{
    AggregateShareReq, BatchSelector, Collection, Duration, HpkeCiphertext, Interval, PartialBatchSelector,
    ReportIdChecksum, Time,
};

use super::{Leader, Step, holder};
use crate::aggregator::LoadedTask;
use crate::helper::{close, seal_share};
use crate::problem::Refusal;
use crate::store::{Closing, Lease, Span, Stage, Stored, Sum};

/// How a try to answer a collection job ended.
enum Outcome {
    Result(Vec<u8>),
    Failed(String),
    Later,
}

impl Leader {
    /// Brings one collection job forward.
    pub(super) async fn collect(&self) -> Stored<Step> {
        let aggregator = &self.aggregator;
        let leased =
            aggregator.store.lease_collection(aggregator.now(), self.lease_until(), holder()).await?;
        let Some(lease) = leased else { return Ok(Step::Idle) };
        let outcome = match self.try_collect(&lease).await {
            Ok(outcome) => outcome,
            Err(Refusal::Store(error)) => return Err(error),
            Err(refusal) => Outcome::Failed(refusal_kind(&refusal)),
        };
        match outcome {
            Outcome::Result(result) => {
                aggregator.store.mark_collection(&lease, Stage::Done, "", &result).await?;
                Ok(Step::Done)
            }
            Outcome::Failed(kind) => {
                tracing::warn!(kind, "a collection job failed");
                aggregator.store.mark_collection(&lease, Stage::Failed, &kind, &[]).await?;
                Ok(Step::Done)
            }
            Outcome::Later => {
                // Waiting for reports is no failure: look again every few seconds.
                let again = self.again(lease.attempts).min(aggregator.now() + 5);
                aggregator.store.release_collection(&lease, again).await?;
                Ok(Step::Later)
            }
        }
    }

    async fn try_collect(&self, lease: &Lease) -> Result<Outcome, Refusal> {
        let aggregator = &self.aggregator;
        let Some(job) = aggregator.store.collection(&lease.task, &lease.job).await? else {
            return Ok(Outcome::Later);
        };
        let task = aggregator.task(&lease.task).await?;
        let min_batch = task.manifest.parameters().min_batch;
        let held = match aggregator.store.hold_batch(&task.id, job.span, min_batch).await? {
            Closing::Held(sum) | Closing::Closed(sum) => sum,
            Closing::Overlap => return Ok(Outcome::Failed(uri(DapProblemType::BatchOverlap))),
            Closing::Pending | Closing::Mismatch => return Ok(Outcome::Later),
            Closing::TooFew(_) => {
                // More may come while the task is open; after that, never.
                let p = task.manifest.parameters();
                let over = aggregator.now() >= p.expires.saturating_add(aggregator.settings.times.late);
                let failed = Outcome::Failed(uri(DapProblemType::InvalidBatchSize));
                return Ok(if over { failed } else { Outcome::Later });
            }
        };
        // The helper first: it closes nothing where it counts otherwise. Then nothing is lost here either.
        let selector = BatchSelector::<TimeInterval>::new_time_interval(interval(job.span)?);
        let helper = match self.helpers_share(&task, job.span, &held, &selector).await? {
            Ok(share) => share,
            Err(outcome) => return Ok(outcome),
        };
        let Closing::Closed(sum) = close(aggregator, &task, job.span, None).await? else {
            return Ok(Outcome::Later);
        };
        aggregator.metrics.released.inc();
        let leader = seal_share(aggregator, &task, selector, &sum.share)?;
        let mut covered = sum.span.unwrap_or(job.span);
        covered.end += task.manifest.parameters().time_precision;
        let collection = Collection::<TimeInterval>::new(
            PartialBatchSelector::new_time_interval(),
            sum.reports,
            interval(covered)?,
            leader,
            helper,
        );
        let failed = |_| Refusal::dap(DapProblemType::BatchInvalid, "the collection cannot be written");
        Ok(Outcome::Result(collection.get_encoded().map_err(failed)?))
    }

    async fn helpers_share(
        &self,
        task: &LoadedTask,
        span: Span,
        held: &Sum,
        selector: &BatchSelector<TimeInterval>,
    ) -> Result<Result<HpkeCiphertext, Outcome>, Refusal> {
        let checksum = ReportIdChecksum::from(held.checksum);
        let request = AggregateShareReq::new(selector.clone(), Vec::new(), held.reports, checksum);
        let error = match self.helper.aggregate_share(task, &request).await {
            Ok(share) => return Ok(Ok(share)),
            Err(error) => error,
        };
        let Some(kind) = error.final_kind() else {
            tracing::warn!(%error, "the helper's share of a batch is missing");
            return Ok(Err(Outcome::Later));
        };
        if kind == uri(DapProblemType::BatchMismatch) {
            self.aggregator.mismatch(task, span, held.reports);
        }
        self.aggregator.store.free_batch(&task.id, span).await?;
        Ok(Err(Outcome::Failed(kind.to_owned())))
    }
}

fn interval(span: Span) -> Result<Interval, Refusal> {
    let duration = Duration::from_seconds(span.end.saturating_sub(span.start));
    Interval::new(Time::from_seconds_since_epoch(span.start), duration)
        .map_err(|_| Refusal::dap(DapProblemType::BatchInvalid, "an interval beyond time"))
}

fn uri(kind: DapProblemType) -> String {
    kind.type_uri().to_owned()
}

fn refusal_kind(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Dap { kind, .. } => uri(*kind),
        _ => String::new(),
    }
}
