//! The lines of the privacy ledger: what was released about a lineage of models.
//!
//! One entry a line, `<hash> <JSON>`, where the hash (SHA-256, hex) is over the hash before and the JSON's exact
//! bytes. Who keeps the file decides what a line that was cut off means; here it is passed over.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::gaussian::Policy;
use crate::version::sha256_hex;

/// Format of an entry.
pub const LEDGER_FORMAT: u32 = 1;

/// Why a ledger is closed: nothing more may be released.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LedgerError {
    /// A line does not go on from the one before it, or does not parse.
    #[error("line {0} is not what was written; nothing more is released")]
    Broken(usize),
    /// A line of a newer onshelf.
    #[error("line {line} has format {format}; update onshelf")]
    TooNew {
        /// The line, from 1.
        line: usize,
        /// Its format.
        format: u32,
    },
}

/// One release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// Format of the entry, 1.
    pub format: u32,
    /// The line of models.
    pub lineage: String,
    /// Number of the round.
    pub round: u64,
    /// The task's id.
    pub task: String,
    /// Which batch of it, so that asking again for the same sum is no second release.
    pub batch: String,
    /// Standard deviation of the noise of one aggregator, over the sensitivity.
    pub noise_multiplier: f64,
    /// ρ that a shopper who took part loses.
    pub rho: f64,
    /// When it was written, seconds since 1970.
    pub at: u64,
}

impl Release {
    /// A round's release under a policy.
    #[must_use]
    pub fn new(lineage: &str, round: u64, task: &str, batch: &str, policy: &Policy, at: u64) -> Self {
        Self {
            format: LEDGER_FORMAT,
            lineage: lineage.into(),
            round,
            task: task.into(),
            batch: batch.into(),
            noise_multiplier: policy.noise_multiplier(),
            rho: policy.rho(),
            at,
        }
    }

    /// The line of this release after the one with hash `head` (empty: the first), ended by a line feed, and
    /// its own hash. `None` where a number is none that JSON has.
    #[must_use]
    pub fn line(&self, head: &str) -> Option<(String, String)> {
        let entry = serde_json::to_string(self).ok()?;
        let hash = entry_hash(head, &entry);
        Some((format!("{hash} {entry}\n"), hash))
    }
}

/// The hash of an entry after the one with hash `head`.
#[must_use]
pub fn entry_hash(head: &str, entry: &str) -> String {
    sha256_hex(format!("{head}\n{entry}").as_bytes())
}

/// The lines of a ledger.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lines {
    /// What was released, oldest first.
    pub releases: Vec<Release>,
    /// The hash of the last line, empty where there is none.
    pub head: String,
    /// Bytes of whole lines.
    pub whole: usize,
}

impl Lines {
    /// Reads a ledger's bytes. What follows the last line feed was cut off and is passed over.
    ///
    /// # Errors
    /// [`LedgerError`] with the first line that is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, LedgerError> {
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let mut out = Self { whole, ..Self::default() };
        for (number, line) in (1..).zip(bytes[..out.whole].split_inclusive(|b| *b == b'\n')) {
            let line = &line[..line.len() - 1];
            let (hash, release) = out.next(line).ok_or(LedgerError::Broken(number))?;
            if release.format > LEDGER_FORMAT {
                return Err(LedgerError::TooNew { line: number, format: release.format });
            }
            out.head = hash;
            out.releases.push(release);
        }
        Ok(out)
    }

    fn next(&self, line: &[u8]) -> Option<(String, Release)> {
        let (hash, entry) = std::str::from_utf8(line).ok()?.split_once(' ')?;
        if entry_hash(&self.head, entry) != hash {
            return None;
        }
        let release: Release = serde_json::from_str(entry).ok()?;
        (release.rho > 0.0 && release.rho.is_finite()).then(|| (hash.to_owned(), release))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written_and_no_other_way() {
        let policy = Policy::new(4.0, 1e-6, 12).unwrap();
        let (mut bytes, mut head) = (Vec::new(), String::new());
        let releases = [1, 2, 3].map(|round| Release::new("shop", round, "task", "all", &policy, 7));
        for release in &releases {
            let (line, hash) = release.line(&head).unwrap();
            bytes.extend_from_slice(line.as_bytes());
            head = hash;
        }
        let read = Lines::read(&bytes).unwrap();
        assert_eq!((&read.releases[..], &read.head, read.whole), (&releases[..], &head, bytes.len()));
        let cut = Lines::read(&bytes[..bytes.len() - 1]).unwrap();
        assert_eq!(cut.releases, releases[..2], "a line that was cut off is passed over");
        for at in 0..bytes.len() - 1 {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert!(Lines::read(&changed).is_err(), "byte {at}");
        }
        // A line of format 2, well written.
        let newer = Release { format: 2, ..releases[0].clone() };
        let error = Lines::read(newer.line("").unwrap().0.as_bytes());
        assert_eq!(error, Err(LedgerError::TooNew { line: 1, format: 2 }));
    }
}
