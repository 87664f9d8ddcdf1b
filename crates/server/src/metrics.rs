//! Counters in Prometheus' text format. No label names a report or a shopper.

use std::fmt::Write as _;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::aggregator::Role;
use crate::store::StoreError;

/// A label set with one reason.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: String,
}

/// A label set of an HTTP answer.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Answer {
    resource: String,
    status: u16,
}

/// An aggregator's counters since it started.
pub struct Metrics {
    registry: Registry,
    rejected: Family<Reason, Counter>,
    answers: Family<Answer, Counter>,
    storage: Family<Reason, Counter>,
    /// Reports stored.
    pub uploaded: Counter,
    /// Reports verified and summed.
    pub aggregated: Counter,
    /// Batches released.
    pub released: Counter,
    /// Jobs that could not be finished at once.
    pub retried: Counter,
    /// Batches that leader and helper count differently.
    pub mismatched: Counter,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Counters of a role, all at zero.
    #[must_use]
    pub fn new(role: Role) -> Self {
        let mut registry =
            Registry::with_prefix_and_labels("onshelf", std::iter::once(("role".into(), role.name().into())));
        let rejected = Family::default();
        let answers = Family::default();
        let storage = Family::default();
        let [uploaded, aggregated, released, retried, mismatched] =
            std::array::from_fn(|_| Counter::default());
        registry.register("reports_rejected", "Reports refused, by reason", Family::clone(&rejected));
        registry.register(
            "http_answers",
            "Requests answered, by resource and status",
            Family::clone(&answers),
        );
        registry.register("reports_uploaded", "Reports stored", Counter::clone(&uploaded));
        registry.register("reports_aggregated", "Reports verified and summed", Counter::clone(&aggregated));
        registry.register("batches_released", "Noised sums stored for release", Counter::clone(&released));
        registry.register(
            "storage_failures",
            "Failures of the database: full, away or damaged",
            Family::clone(&storage),
        );
        registry.register(
            "batches_mismatched",
            "Batches that leader and helper count differently; an operator has to act",
            Counter::clone(&mismatched),
        );
        registry.register("jobs_retried", "Jobs given back to be tried again", Counter::clone(&retried));
        Self { registry, rejected, answers, storage, uploaded, aggregated, released, retried, mismatched }
    }

    /// Counts refused reports.
    pub fn reject(&self, reason: &str, count: u64) {
        self.rejected.get_or_create(&Reason { reason: reason.to_owned() }).inc_by(count);
    }

    /// Refused reports of a reason.
    #[must_use]
    pub fn rejected(&self, reason: &str) -> u64 {
        self.rejected.get_or_create(&Reason { reason: reason.to_owned() }).get()
    }

    /// Counts a failure of the database.
    pub fn storage_failed(&self, error: &StoreError) {
        self.storage.get_or_create(&Reason { reason: error.reason().to_owned() }).inc();
    }

    /// Counts an answered request.
    pub fn answered(&self, resource: &str, status: u16) {
        self.answers.get_or_create(&Answer { resource: resource.to_owned(), status }).inc();
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        if encode(&mut out, &self.registry).is_err() {
            out.clear();
            let _ = writeln!(out, "# EOF");
        }
        out
    }
}
