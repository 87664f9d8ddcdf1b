//! Ctrl-C: finish the step at hand, keep the checkpoint, say how to go on.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C; a second one ends the process at once.
pub fn listen() {
    let result = ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
    // Without a handler Ctrl-C ends the process: checkpoints are written atomically, so that is safe.
    drop(result);
}

/// Whether somebody asked to stop.
#[must_use]
pub fn asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}

/// Fails once somebody asked to stop: for loops over many rows.
///
/// # Errors
/// [`Stopped`].
pub fn check() -> Result<(), Stopped> {
    if asked() { Err(Stopped) } else { Ok(()) }
}

/// The error with which interrupted work ends.
#[derive(Debug, thiserror::Error)]
#[error(
    "stopped on request; run the same command again: training goes on from its last checkpoint, the rest begins anew"
)]
pub struct Stopped;
