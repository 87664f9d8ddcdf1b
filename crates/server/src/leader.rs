//! What a leader does by itself: make jobs of reports, work them off with the helper, close batches that
//! the collector asks for, and forget what is over. Every step is leased and can be repeated, so any
//! number of workers may run, and be killed, at any time.

mod batches;
mod work;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::aggregator::{Aggregator, Role};
use crate::peer::{HelperClient, PeerError};
use crate::random;
use crate::store::Stored;

/// Pause of a worker that found nothing to do.
const IDLE: Duration = Duration::from_millis(500);
/// Pause between two looks for what is over.
const UPKEEP: Duration = Duration::from_secs(600);

/// A leader with its helper.
#[derive(Clone, Debug)]
pub struct Leader {
    aggregator: Arc<Aggregator>,
    helper: HelperClient,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Something was finished.
    Done,
    /// Something was tried and has to be tried again later.
    Later,
    /// There was nothing to do.
    Idle,
}

impl Leader {
    /// A leader over an aggregator of that role.
    ///
    /// # Errors
    /// [`PeerError`] where no TLS can be had, or where the settings name no helper.
    pub fn new(aggregator: Arc<Aggregator>) -> Result<Self, PeerError> {
        let peer = aggregator.settings.helper.clone();
        let peer = peer.filter(|_| aggregator.role() == Role::Leader);
        let peer = peer.ok_or(PeerError::Nonsense("a leader needs a helper in its settings"))?;
        let helper = HelperClient::new(peer, aggregator.settings.times.peer)?;
        Ok(Self { aggregator, helper })
    }

    /// Works until told to stop; a step that was begun is finished.
    #[must_use]
    pub fn spawn(&self, workers: usize, stop: &watch::Receiver<bool>) -> Vec<JoinHandle<()>> {
        let worker = |_| {
            let (leader, mut stop) = (self.clone(), stop.clone());
            tokio::spawn(async move {
                while !*stop.borrow() {
                    let pause = match leader.step().await {
                        Step::Done => continue,
                        Step::Later | Step::Idle => IDLE,
                    };
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        _ = stop.changed() => {}
                    }
                }
            })
        };
        (0..workers.max(1)).map(worker).collect()
    }

    /// One job, or one collection, or nothing. Faults are logged and tried again later.
    pub async fn step(&self) -> Step {
        let logged = |what: &str, result: Stored<Step>| {
            result.unwrap_or_else(|error| {
                self.aggregator.metrics.storage_failed(&error);
                tracing::warn!(%error, what, "will be tried again");
                Step::Later
            })
        };
        let made = logged("making jobs", self.make_jobs().await);
        let worked = logged("aggregating", self.work().await);
        let closed = logged("collecting", self.collect().await);
        let all = [made, worked, closed];
        if all.contains(&Step::Done) {
            Step::Done
        } else if all.contains(&Step::Later) {
            Step::Later
        } else {
            Step::Idle
        }
    }

    /// When a job that failed may be tried again.
    fn again(&self, attempts: u32) -> u64 {
        let times = &self.aggregator.settings.times;
        let wait = 1_u64.checked_shl(attempts.saturating_sub(1)).unwrap_or(u64::MAX).min(times.backoff);
        self.aggregator.now() + wait
    }

    fn lease_until(&self) -> u64 {
        self.aggregator.now() + self.aggregator.settings.times.lease
    }
}

/// A number that tells one holder of a lease from another.
fn holder() -> i64 {
    i64::from_le_bytes(random::array())
}

/// Forgets tasks and keys that are over, every ten minutes, until told to stop. Both roles do it.
#[must_use]
pub fn spawn_upkeep(aggregator: Arc<Aggregator>, stop: &watch::Receiver<bool>) -> JoinHandle<()> {
    let mut stop = stop.clone();
    tokio::spawn(async move {
        while !*stop.borrow() {
            if let Err(error) = upkeep(&aggregator).await {
                tracing::warn!(%error, "upkeep will be tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(UPKEEP) => {}
                _ = stop.changed() => {}
            }
        }
    })
}

/// Forgets tasks whose retention is over, and keys that ended as long ago; makes a new key where none
/// counts. Gives how many tasks were forgotten.
///
/// # Errors
/// [`crate::store::StoreError`].
pub async fn upkeep(aggregator: &Aggregator) -> Stored<u64> {
    let (now, times) = (aggregator.now(), aggregator.settings.times);
    let mut forgotten = 0;
    for task in aggregator.tasks().await? {
        let p = task.manifest.parameters();
        if now > p.expires.saturating_add(times.late).saturating_add(times.retention) {
            aggregator.store.drop_task(&task.id).await?;
            aggregator.unload(&task.id);
            forgotten += 1;
        }
    }
    let oldest = now.saturating_sub(times.retention.saturating_add(366 * 86_400));
    aggregator.store.drop_keys(oldest).await?;
    crate::keys::ensure(&*aggregator.store, now, times.key_lifetime).await?;
    Ok(forgotten)
}
