//! onshelf's pure domain: events, catalogue, clean-data rules, model versions, ranking, metrics.
//!
//! No Burn, no JavaScript, no input or output, no clock and no global randomness: bytes, times
//! and seeds come in as arguments, so that every result can be repeated.

pub mod catalogue;
pub mod event;
pub mod metrics;
pub mod neighbour;
pub mod part;
pub mod privacy;
#[cfg(feature = "protocol")]
pub mod protocol;
pub mod quality;
pub mod rank;
pub mod slices;
pub mod version;
pub mod weights;
