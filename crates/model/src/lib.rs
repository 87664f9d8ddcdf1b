//! onshelf's models on Burn: a session encoder shared by the teacher's network and the student,
//! training with sampled softmax, distillation, and fine-tuning on one shopper's clicks.
//!
//! Parameters live in CPU memory ([`onshelf_core::weights::Weights`]); a device gets copies and
//! gives back results and gradients. So a lost GPU loses nothing, and the same code runs natively
//! and in a browser. Everything random comes from a seed that the caller passes in.

pub mod adam;
pub mod affinity;
pub mod encoder;
pub mod error;
#[cfg(feature = "webgpu")]
pub mod gpu;
pub mod personal;
pub mod quantise;
pub mod shared;
pub mod shopper;
pub mod student;
#[cfg(feature = "training")]
pub mod training;

#[cfg(feature = "burn")]
pub use burn::tensor::Device;
#[cfg(feature = "wgpu")]
pub use burn::tensor::DeviceKind;
pub use error::ModelError;
