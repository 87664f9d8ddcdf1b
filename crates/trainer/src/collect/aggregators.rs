//! The aggregators of a round over HTTP: their keys, the task, the sum.

use anyhow::{Context, Result, ensure};
use onshelf_collector::{CollectorClient, OperatorClient, Token};
use onshelf_core::protocol::collect::Batch;
use onshelf_core::protocol::hpke::Keypair;
use onshelf_core::protocol::manifest::{Aggregator, TaskManifest};
use onshelf_core::protocol::report::random_id;
use sha2::{Digest as _, Sha256};
use tokio::runtime::{Builder, Runtime};

use super::{Places, Sum, Sums};

/// Leader and helper, as an operator of both shares the shop's side of a round.
#[derive(Clone, Debug)]
pub struct Pair {
    leader: OperatorClient,
    helper: OperatorClient,
}

fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("starting the network")
}

impl Pair {
    /// By addresses and operators' tokens, leader first.
    ///
    /// # Errors
    /// Where no TLS can be had.
    pub fn new(leader: (&str, Token), helper: (&str, Token)) -> Result<Self> {
        Ok(Self {
            leader: OperatorClient::new(leader.0, leader.1)?,
            helper: OperatorClient::new(helper.0, helper.1)?,
        })
    }

    /// What a round is opened with: each aggregator's newest key, and the collector's own.
    ///
    /// # Errors
    /// Where an aggregator cannot be asked, or its newest key ends before the round does.
    pub fn places(&self, key: &Keypair, time_precision: u64, duration: u64, now: u64) -> Result<Places> {
        let runtime = runtime()?;
        let newest = |name: &str, client: &OperatorClient| -> Result<Aggregator> {
            let keys = runtime
                .block_on(client.keys())
                .with_context(|| format!("asking the {name} at {} for its keys", client.url()))?;
            let key = keys.into_iter().next().with_context(|| format!("the {name} has no key"))?;
            ensure!(
                key.expires > now + duration,
                "the {name}'s newest key ends before the round does; rotate it (`onshelf-server keys --rotate`)"
            );
            Ok(Aggregator { url: client.url().to_owned(), hpke: key.config })
        };
        Ok(Places {
            leader: newest("leader", &self.leader)?,
            helper: newest("helper", &self.helper)?,
            collector: key.public().clone(),
            time_precision,
            duration,
        })
    }

    /// Gives the signed task to both; one that has it already takes it again.
    ///
    /// # Errors
    /// Where an aggregator cannot be reached or refuses; repeat it then.
    pub fn announce(&self, envelope: &[u8]) -> Result<()> {
        let runtime = runtime()?;
        for (name, client) in [("helper", &self.helper), ("leader", &self.leader)] {
            runtime
                .block_on(client.add_task(envelope))
                .with_context(|| format!("giving the task to the {name} at {}", client.url()))?;
        }
        Ok(())
    }
}

/// Sums from the leader that a task names.
pub struct FromLeader {
    /// The collector's key.
    pub key: Keypair,
    /// The leader's token for the collector.
    pub token: Token,
    /// How long to wait for the sum, seconds.
    pub patience: u64,
}

impl Sums for FromLeader {
    fn sum(&mut self, task: &TaskManifest) -> Result<Sum> {
        let client = CollectorClient::new(self.token.clone(), self.key.clone(), None)?;
        let job = job_of(task);
        let collecting = client.collect(task, Batch::whole(task), &job, self.patience);
        let leader = &task.parameters().leader.url;
        let found =
            runtime()?.block_on(collecting).with_context(|| format!("asking the leader at {leader}"))?;
        Ok(Sum { reports: found.reports, sum: found.sum })
    }
}

/// The collection job of a task: always the same, so that a run after a crash asks for the sum that was
/// released, and for no other.
fn job_of(task: &TaskManifest) -> String {
    let digest = Sha256::digest([&b"onshelf collection job"[..], &task.id()].concat());
    random_id(&mut |id| id.copy_from_slice(&digest[..id.len()]))
}
