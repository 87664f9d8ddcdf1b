//! The library behind the `onshelf` command line: prepare, train, distill, evaluate, export,
//! inspect and simulate. `main.rs` only reads arguments and prints.

pub mod attributes;
mod baselines;
pub mod benchmark;
pub mod collect;
pub mod console;
pub mod contribute;
pub mod corpus;
pub mod dataset;
pub mod device;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod inspect;
pub mod memory;
pub mod newcomers;
pub mod prepare;
pub mod progress;
pub mod registry;
pub mod replay;
pub mod simulate;
mod spill;
pub mod stop;
pub mod store;
pub mod student;
pub mod sync;
pub mod teacher;
pub mod told;
pub mod update;
