//! The browser shell of onshelf: the only home of JavaScript types.
//!
//! One class, [`engine::Engine`], runs in a dedicated worker and owns one device. It fetches and
//! verifies a model version, keeps a [`Shopper`](onshelf_model::shopper::Shopper) and stores its
//! state in IndexedDB. Two more, [`sync::SyncTask`] and [`relay::Exchange`], have a module of their own, which is
//! fetched where a private round is open. Everything that can be decided without a browser is decided in
//! `onshelf-core` and `onshelf-model`.
#![cfg(target_arch = "wasm32")]

// Each module of the package uses what it needs of these two.
#[cfg_attr(not(feature = "engine"), allow(dead_code))]
mod convert;
#[cfg(feature = "engine")]
mod device;
#[cfg(feature = "engine")]
mod engine;
#[cfg_attr(not(feature = "engine"), allow(dead_code))]
mod error;
#[cfg(feature = "engine")]
mod fetch;
#[cfg(any(feature = "cpu", feature = "sync"))]
mod log;
#[cfg(feature = "sync")]
mod relay;
#[cfg(feature = "engine")]
mod storage;
#[cfg(feature = "sync")]
mod sync;

use wasm_bindgen::prelude::*;

/// Runs once when the module is started: a panic becomes an `Error` with the code `PANIC`.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        wasm_bindgen::throw_val(error::Failure::new(error::Code::Panic, info.to_string()).into());
    }));
}
