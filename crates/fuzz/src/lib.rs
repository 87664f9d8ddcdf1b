//! Fuzz targets: one for every reader of bytes that come from outside, and the messages to begin with.
//!
//! A target gets any bytes and must neither panic nor break what it promises. Readers behind a signature, a hash or
//! encryption have a target that signs, chains or seals the bytes first, so that these do not hide them.
//! `cargo test -p onshelf-fuzz` runs all of them over the corpus and over changes of it; `./build.sh fuzz` has LLVM's
//! libFuzzer look for new paths.

mod dap;
mod fixture;
mod formats;
mod oblivious;
mod parts;

/// Messages to begin with, by name.
pub type Seeds = Vec<(&'static str, Vec<u8>)>;

/// A reader with what to begin with.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and its folder in the corpus.
    pub name: &'static str,
    /// Reads bytes.
    ///
    /// # Panics
    /// Where the reader has a defect.
    pub run: fn(&[u8]),
    /// Messages with their names: good ones, and bad ones that once were a defect.
    pub seeds: fn() -> Seeds,
}

/// All targets.
#[must_use]
pub fn targets() -> Vec<Target> {
    [dap::TARGETS, formats::TARGETS, oblivious::TARGETS].concat()
}

/// A target by name.
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    targets().into_iter().find(|target| target.name == name)
}
