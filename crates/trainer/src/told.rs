//! An error and its causes in one line.

use anyhow::Error;

/// The messages of an error and of its causes, one after the other; a cause that a message before it has told already,
/// as those of object stores do, is left out.
#[must_use]
pub fn told(error: &Error) -> String {
    let mut out = String::new();
    for message in error.chain().map(ToString::to_string) {
        if !out.contains(message.trim()) {
            if !out.is_empty() {
                out.push_str(": ");
            }
            out.push_str(message.trim());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let plain = anyhow!("no such bucket").context("models/latest.json");
        assert_eq!(told(&plain), "models/latest.json: no such bucket");
        let twice = anyhow!("no such bucket").context("PUT failed: no such bucket\n").context("latest.json");
        assert_eq!(told(&twice), "latest.json: PUT failed: no such bucket");
    }
}
