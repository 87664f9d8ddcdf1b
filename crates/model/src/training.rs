//! Training on a server: sampled softmax over shared candidates, with sparse item updates.
//!
//! One step reads a batch of sessions of similar length, scores every position against one shared
//! set of candidates (the batch's targets and sampled items), and corrects each candidate's score
//! by the logarithm of its chance of being in the set (Bengio & Senécal 2008; Yi et al., RecSys
//! 2019). The softmax and its gradient are computed in one pass over the scores; Burn's autodiff
//! carries the gradient through the encoder.

mod anchor;
mod batch;
mod candidates;
mod items;
mod loss;
mod network;
mod part;
mod rerank;
mod step;
mod teacher;
mod wide;

pub use anchor::{Anchor, Importance};
pub use batch::{Batch, TrainSet, batches, exact_batches};
pub use candidates::Candidates;
pub use items::{CodedItems, FloatItems, ItemSource};
pub use loss::SoftTargets;
pub use network::{Network, session_vectors};
pub use rerank::{CANDIDATES, Examples, FEATURES, Fit, ItemFacts, Reranker};
pub use step::{StepOptions, Stepper};
pub use teacher::{Blend, Teacher};
