//! The mathematics of a private report: clip, rotate, quantise, account.
//!
//! ```text
//! delta ─ clip ─ rotate ─ quantise ─► integers ─► shares …  sum of n ─ dequantise ─ unrotate ─► mean delta
//! ```

pub mod encode;
pub mod gaussian;
pub mod ledger;
pub mod quantise;
pub mod rotate;
