//! What happens to noised sums: the server optimiser and the gate before a new version.
//!
//! Used by `onshelf collect`, which publishes, and by `onshelf benchmark federated`, which measures.

pub mod canary;
pub mod gate;
pub mod judge;
pub mod optimiser;
