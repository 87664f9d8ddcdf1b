//! The public log of versions: one signed entry a line, each with the hash of the one before, so that nobody
//! gets a special model: a browser takes a version only if the log names it, and takes a log only if it goes
//! on from the one that it saw. `docs/formats.md` is normative.

use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};

use super::{VersionError, check_format, envelope, sha256_hex};

/// The newest format of entries this build reads and the one it writes.
pub const LOG_FORMAT: u32 = 1;
/// DSSE payload type of an entry.
pub const LOG_PAYLOAD_TYPE: &str = "application/vnd.onshelf.version-log-entry+json";
/// Largest log that is read: some 20,000 entries.
pub const LOG_LIMIT: usize = 16 << 20;
/// What the first entry names as the one before it.
const NOTHING: &str = "";

/// Why an entry was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A new version.
    Published,
    /// An earlier version serves again.
    RolledBack,
}

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// [`LOG_FORMAT`] at writing.
    pub format: u32,
    /// Its number, from 0.
    pub sequence: u64,
    /// SHA-256 (hex) of the payload of the entry before; empty for the first.
    pub previous: String,
    /// Why it was written.
    pub event: Event,
    /// SHA-256 (hex) of the manifest's exact bytes: the version that serves from now on.
    pub model: String,
    /// When, seconds since 1970.
    pub at: u64,
}

/// A log whose signatures and hashes hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionLog {
    entries: Vec<Entry>,
    hashes: Vec<String>,
}

fn broken(what: impl Into<String>) -> VersionError {
    VersionError::Invalid(format!("version log: {}", what.into()))
}

impl VersionLog {
    /// Reads a log, one envelope a line, each line ended by a line feed.
    ///
    /// # Errors
    /// [`VersionError`] for the first entry that is not signed by a trusted key, not the next one, or cut off.
    pub fn read(bytes: &[u8], trusted_keys: &[String]) -> Result<Self, VersionError> {
        Self::read_lines(bytes, |line, _| envelope::open(LOG_PAYLOAD_TYPE, line, trusted_keys))
    }

    /// As [`Self::read`], but looks at the signature of the newest entry alone. By the hashes that entry is about all
    /// before it, so whoever signed it signed them; and a log of any length costs one signature.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_by_newest(bytes: &[u8], trusted_keys: &[String]) -> Result<Self, VersionError> {
        Self::read_lines(bytes, |line, is_newest| {
            if is_newest {
                envelope::open(LOG_PAYLOAD_TYPE, line, trusted_keys)
            } else {
                envelope::unverified(LOG_PAYLOAD_TYPE, line)
            }
        })
    }

    fn read_lines(
        bytes: &[u8],
        open: impl Fn(&[u8], bool) -> Result<Vec<u8>, VersionError>,
    ) -> Result<Self, VersionError> {
        if bytes.len() > LOG_LIMIT {
            return Err(broken("longer than 16 MiB"));
        }
        let mut out = Self::default();
        let mut rest = bytes;
        while !rest.is_empty() {
            let end =
                rest.iter().position(|b| *b == b'\n').ok_or_else(|| broken("its last line is cut off"))?;
            let payload = open(&rest[..end], end + 1 == rest.len())?;
            check_format("version log", &payload, LOG_FORMAT)?;
            let entry: Entry = serde_json::from_slice(&payload).map_err(|e| broken(e.to_string()))?;
            out.check(&entry)?;
            out.entries.push(entry);
            out.hashes.push(sha256_hex(&payload));
            rest = &rest[end + 1..];
        }
        Ok(out)
    }

    fn check(&self, entry: &Entry) -> Result<(), VersionError> {
        let at = entry.sequence;
        if at != self.entries.len() as u64 || entry.previous != self.head() {
            return Err(broken(format!("entry {at} does not follow the one before it")));
        }
        if entry.model.len() != 64 || !entry.model.bytes().all(|b| b"0123456789abcdef".contains(&b)) {
            return Err(broken(format!("entry {at} names no version")));
        }
        match entry.event {
            Event::RolledBack if !self.names(&entry.model) => {
                Err(broken(format!("entry {at} goes back to a version that never served")))
            }
            _ => Ok(()),
        }
    }

    /// The line of the next entry, signed; the log holds it then.
    ///
    /// # Errors
    /// [`VersionError`] where it would break a rule.
    pub fn append(
        &mut self,
        event: Event,
        model: &str,
        at: u64,
        key: &SigningKey,
    ) -> Result<Vec<u8>, VersionError> {
        let entry = Entry {
            format: LOG_FORMAT,
            sequence: self.entries.len() as u64,
            previous: self.head().to_owned(),
            event,
            model: model.to_owned(),
            at,
        };
        self.check(&entry)?;
        let payload = serde_json::to_vec(&entry).map_err(|e| broken(e.to_string()))?;
        let sealed = envelope::seal(LOG_PAYLOAD_TYPE, &payload, key)?;
        // One line: what is sealed is printed over several.
        let value: serde_json::Value = serde_json::from_slice(&sealed).map_err(|e| broken(e.to_string()))?;
        let mut line = serde_json::to_vec(&value).map_err(|e| broken(e.to_string()))?;
        line.push(b'\n');
        self.hashes.push(sha256_hex(&payload));
        self.entries.push(entry);
        Ok(line)
    }

    /// The entries, oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// SHA-256 (hex) of the newest entry's payload; empty for an empty log.
    #[must_use]
    pub fn head(&self) -> &str {
        self.hashes.last().map_or(NOTHING, String::as_str)
    }

    /// Whether some entry names a version (the whole SHA-256 of its manifest, hex).
    #[must_use]
    pub fn names(&self, model: &str) -> bool {
        self.entries.iter().any(|e| e.model == model)
    }

    /// Whether the log goes on from one whose newest entry had that hash (empty: from nothing).
    #[must_use]
    pub fn goes_on_from(&self, head: &str) -> bool {
        head == NOTHING || self.hashes.iter().any(|h| h == head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::{signing_key, to_hex};

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn key(digit: &str) -> (SigningKey, Vec<String>) {
        let key = signing_key(&digit.repeat(64)).unwrap();
        let public = to_hex(key.verifying_key().as_bytes());
        (key, vec![public])
    }

    /// A is published, then B, then A serves again.
    fn three() -> (Vec<Vec<u8>>, Vec<String>) {
        let (key, trusted) = key("1");
        let mut log = VersionLog::default();
        let events = [(Event::Published, A), (Event::Published, B), (Event::RolledBack, A)];
        let line = |(at, (event, model)): (usize, (Event, &str))| {
            log.append(event, model, 1_700_000_000 + at as u64, &key).unwrap()
        };
        (events.into_iter().enumerate().map(line).collect(), trusted)
    }

    #[test]
    fn a_log_reads_as_it_was_written_and_goes_on() {
        let (lines, trusted) = three();
        let whole = VersionLog::read(&lines.concat(), &trusted).unwrap();
        assert_eq!(whole.entries().len(), 3);
        assert!(whole.names(A) && whole.names(B) && !whole.names(&"c".repeat(64)));
        let earlier = VersionLog::read(&lines[..2].concat(), &trusted).unwrap();
        assert!(whole.goes_on_from(earlier.head()) && whole.goes_on_from(""));
        assert!(!earlier.goes_on_from(whole.head()), "a shorter log is no continuation");
    }

    #[test]
    fn a_log_that_was_tampered_with_is_refused() {
        let (lines, trusted) = three();
        let [a, b, c] = [&lines[0][..], &lines[1][..], &lines[2][..]];
        for read in [VersionLog::read, VersionLog::read_by_newest] {
            let read = |lines: &[&[u8]]| read(&lines.concat(), &trusted);
            assert!(read(&[a, b, c]).is_ok());
            assert!(read(&[a, c]).is_err(), "an entry is missing");
            assert!(read(&[b]).is_err(), "the beginning is missing");
            assert!(read(&[a, a]).is_err(), "an entry stands twice");
            assert!(read(&[b, a]).is_err(), "another order");
            assert!(read(&[a, &b[..b.len() - 1]]).is_err(), "cut off");
            let mut changed = a.to_vec();
            let at = changed.len() / 2;
            changed[at] ^= 1;
            assert!(read(&[&changed]).is_err());
            assert!(read(&[&changed, b]).is_err());
        }
        assert!(matches!(VersionLog::read(a, &key("2").1), Err(VersionError::UntrustedKey { .. })));
    }

    #[test]
    fn the_newest_entry_vouches_for_those_before_it() {
        let (lines, trusted) = three();
        let (stranger, _) = key("2");
        let mut own = VersionLog::default();
        let line = own.append(Event::Published, A, 1_700_000_000, &stranger).unwrap();
        // The same payload as the first line's, signed by somebody else: nobody but a trusted key goes on from it.
        let mixed = [line.clone(), lines[1].clone()].concat();
        assert!(VersionLog::read(&mixed, &trusted).is_err());
        assert_eq!(VersionLog::read_by_newest(&mixed, &trusted).unwrap().entries().len(), 2);
        // Another payload is not what the trusted entry names as the one before it.
        let mut other = VersionLog::default();
        let special = other.append(Event::Published, &"c".repeat(64), 1_700_000_000, &stranger).unwrap();
        assert!(VersionLog::read_by_newest(&[special, lines[1].clone()].concat(), &trusted).is_err());
        // And a stranger cannot have the last word.
        let last = own.append(Event::Published, &"c".repeat(64), 1_700_000_001, &stranger).unwrap();
        assert!(VersionLog::read_by_newest(&[lines[0].clone(), last].concat(), &trusted).is_err());
    }

    #[test]
    fn a_fork_does_not_go_on_from_what_was_seen() {
        let (lines, trusted) = three();
        let seen = VersionLog::read(&lines.concat(), &trusted).unwrap();
        let (key, _) = key("1");
        let mut fork = VersionLog::read(&lines[..1].concat(), &trusted).unwrap();
        fork.append(Event::Published, &"c".repeat(64), 1_700_000_001, &key).unwrap();
        assert!(!fork.goes_on_from(seen.head()));
    }

    #[test]
    fn going_back_needs_somewhere_to_go() {
        let (key, _) = key("1");
        let mut log = VersionLog::default();
        assert!(log.append(Event::RolledBack, A, 0, &key).is_err());
        assert!(log.append(Event::Published, "short", 0, &key).is_err());
        assert!(log.entries().is_empty());
    }
}
