//! The public log of versions, as the engine of the CPU and the sync module check it.

use onshelf_core::version::log::VersionLog;

use crate::error::{Code, Failure};

/// Checks that a trusted key signed the log, that it goes on from the entry whose hash this browser remembers
/// (`seen`; empty for none), and that it names a model (SHA-256 of its manifest, hex), so that nobody was given a
/// special one. Gives the hash to remember.
///
/// # Errors
/// `LOG_INVALID`.
pub(crate) fn check(log: &[u8], public_keys: &[String], seen: &str, model: &str) -> Result<String, Failure> {
    let invalid = |text: String| Failure::new(Code::LogInvalid, text);
    let log = VersionLog::read_by_newest(log, public_keys).map_err(|e| invalid(e.to_string()))?;
    if !log.goes_on_from(seen) {
        let text = "the log of versions is not the one that this browser saw before, nor its continuation";
        return Err(invalid(text.into()));
    }
    if !log.names(model) {
        return Err(invalid("the log of versions does not name this model".into()));
    }
    Ok(log.head().to_owned())
}
