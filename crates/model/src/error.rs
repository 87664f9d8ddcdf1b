//! What can go wrong with a model.

use onshelf_core::rank::TableError;
use onshelf_core::weights::WeightsError;
use thiserror::Error;

/// Errors of this crate.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelError {
    /// The weights do not fit the model.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The item table is broken.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The device did not answer.
    #[error("device: {0}; the session is kept, open the device again or use the CPU")]
    Device(String),
    /// A loss or a gradient was NaN or infinite.
    #[error("{what} is not finite at step {step}; nothing was changed, lower the learning rate")]
    NotFinite {
        /// What was computed.
        what: &'static str,
        /// At which step, from 0.
        step: u64,
    },
    /// State or parts do not fit together, or cannot be read.
    #[error("{0}")]
    State(String),
    /// Saved personal state of a newer onshelf.
    #[error("personal state has format {found}, this build reads up to {known}; update onshelf")]
    StateTooNew {
        /// Its format.
        found: u32,
        /// The newest known one.
        known: u32,
    },
}
