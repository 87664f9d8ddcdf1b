//! Aggregators.
