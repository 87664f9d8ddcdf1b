//! The protocol of private sums: what browsers, aggregators and collectors say to each other.
//!
//! The wire is draft-ietf-ppm-dap-09 with Prio3SumVec of draft-irtf-cfrg-vdaf-08, the drafts that
//! interoperate today; neither is an RFC. Everything that belongs to them stays in this module and the
//! crates it names, so that a later draft is a change here alone.
//!
//! ```text
//! delta ─ clip, rotate, quantise ─ shard ─ seal ─► report ─► aggregators ─► noised shares ─ open, unshard ─► mean delta
//! ```
//!
//! Bytes, times and randomness come in as arguments. Keys and shares never appear in `Debug`.

pub mod bhttp;
pub mod collect;
pub mod hpke;
pub mod manifest;
pub mod ohttp;
pub mod report;
pub mod shard;

use thiserror::Error;

use crate::privacy::encode::EncodeError;
use crate::version::VersionError;

/// Fills a slice with bytes that nobody can predict: `getrandom` on a server, `crypto.getRandomValues`
/// in a browser, a seeded stream in a test.
pub type Random<'a> = dyn FnMut(&mut [u8]) + 'a;

/// Why something of the protocol was refused. No value of a delta, share or key is named.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A task breaks a rule; the message says which.
    #[error("task: {0}")]
    Task(String),
    /// The task's signature or envelope.
    #[error("task: {0}")]
    Signature(#[from] VersionError),
    /// The task is not the one that was announced, or is of another model.
    #[error(
        "task: its {what} is {found}, expected {expected}; it was changed, or is meant for somebody else"
    )]
    Mismatch {
        /// What differs.
        what: &'static str,
        /// What the task says.
        found: String,
        /// What was expected.
        expected: String,
    },
    /// The task takes no reports at this time.
    #[error("task: takes reports from {start} to {expires} (seconds since 1970), it is {now} now")]
    Closed {
        /// First second.
        start: u64,
        /// First second after.
        expires: u64,
        /// The time given.
        now: u64,
    },
    /// The delta could not be encoded, or the sum not decoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// Sealing or opening failed: a wrong key, or changed bytes.
    #[error("encryption: {0}")]
    Hpke(&'static str),
    /// A gateway's key configurations are not those that the client was told to expect.
    #[error(
        "key configurations: their SHA-256 is {found}, expected {expected}; they were changed, or are meant for somebody else"
    )]
    GatewayKeys {
        /// Their hash.
        found: String,
        /// The hash that was expected.
        expected: String,
    },
    /// Bytes are not the message they should be.
    #[error("message: {0}")]
    Message(&'static str),
}
