//! onshelf's aggregators: the leader and the helper of draft-ietf-ppm-dap-09.
//!
//! Each adds up shares that mean nothing by themselves, and adds noise of its own before anything
//! leaves. An [`Aggregator`] is one role with its own keys and database; [`http::router`] is its DAP
//! resources, [`leader`] the work that a leader does by itself.
//!
//! Neither role keeps what it no longer needs: a report's shares go when it is summed, a sum without
//! noise goes when the one with noise is stored.

pub mod aggregator;
pub mod bench;
pub mod config;
pub mod helper;
pub mod http;
pub mod keys;
pub mod leader;
pub mod metrics;
pub mod noise;
pub mod peer;
pub mod prepare;
pub mod problem;
pub mod random;
pub mod relay;
pub mod service;
pub mod store;
pub mod upload;

pub use aggregator::{Aggregator, Role, Settings};
pub use problem::Refusal;
