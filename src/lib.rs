//! The browser shell of onshelf: the only home of JavaScript types.
//!
//! One class, [`engine::Engine`], runs in a dedicated worker and owns one device. It fetches and
//! verifies a model version, keeps a [`Shopper`](onshelf_model::shopper::Shopper) and stores its
//! state in IndexedDB. Everything that can be decided without a browser is decided in
//! `onshelf-core` and `onshelf-model`.
#![cfg(target_arch = "wasm32")]

mod convert;
mod device;
mod engine;
mod error;
mod fetch;
mod storage;

use wasm_bindgen::prelude::*;

/// Runs once when the module is started: a panic becomes an `Error` with the code `PANIC`.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|info| {
        wasm_bindgen::throw_val(error::Failure::new(error::Code::Panic, info.to_string()).into());
    }));
}
