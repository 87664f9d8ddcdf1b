//! Small helpers around files: atomic writes and JSON.

use std::fs;
use std::io::Write;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use onshelf_core::version::{sha256_hex, to_hex};
use onshelf_core::weights::Weights;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes a file so that a reader sees the old or the new content, never a part: to a temporary
/// name, flushed to the disk, then renamed.
///
/// # Errors
/// Where the folder cannot be made or written; the old file stays whole.
pub fn write_atomic(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write()
        .inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
        .with_context(|| format!("writing {}", path.display()))
}

/// What to do about a file that cannot be written.
pub(crate) fn cannot_write(path: &Path) -> String {
    format!(
        "cannot write {}; free space on that disk or name another folder, then run the command again (what \
         was finished before is unchanged)",
        path.display()
    )
}

/// Files that replace others together: each is written under a temporary name, and renamed only
/// when all are complete. What is not committed is removed.
#[derive(Debug)]
pub(crate) struct Staged {
    dir: PathBuf,
    names: Vec<String>,
}

impl Staged {
    /// Nothing staged yet in a folder, which is made if needed.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| cannot_write(dir))?;
        Ok(Self { dir: dir.to_owned(), names: Vec::new() })
    }

    /// The temporary path to write the next file to.
    pub(crate) fn add(&mut self, name: &str) -> PathBuf {
        self.names.push(name.to_owned());
        self.temporary(name)
    }

    /// Writes the next file.
    pub(crate) fn write(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let path = self.add(name);
        fs::write(&path, content).with_context(|| cannot_write(&path))
    }

    /// Puts all files in their places, in the order in which they were added.
    pub(crate) fn commit(mut self) -> Result<()> {
        for name in &self.names {
            let path = self.temporary(name);
            let flushed = fs::File::open(&path).and_then(|file| file.sync_all());
            flushed.with_context(|| cannot_write(&path))?;
        }
        while let Some(name) = self.names.first() {
            let path = self.dir.join(name);
            fs::rename(self.temporary(name), &path).with_context(|| cannot_write(&path))?;
            self.names.remove(0);
        }
        Ok(())
    }

    fn temporary(&self, name: &str) -> PathBuf {
        self.dir.join(format!(".{name}.tmp"))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = fs::remove_file(self.temporary(name));
        }
    }
}

/// Makes a file of 32 secret random bytes, 64 hex digits that only its owner may read; one that is there stays.
pub(crate) fn make_secret(path: &Path) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|e| anyhow::anyhow!("no randomness for a key: {e}"))?;
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    let mut open = fs::OpenOptions::new();
    open.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    let mut file = open.open(path).with_context(|| format!("making the key {}", path.display()))?;
    file.write_all(to_hex(&seed).as_bytes())?;
    Ok(())
}

/// Writes JSON, atomically.
///
/// # Errors
/// As [`write_atomic`].
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    write_atomic(path, &text)
}

/// Reads JSON that begins with a `format` number, which is looked at first: a newer format may have
/// any other fields.
///
/// # Errors
/// Where the file is missing, of a newer or a too old format, or does not parse, with its path.
pub fn read_versioned<T: DeserializeOwned>(
    path: &Path,
    written_by: &str,
    known: RangeInclusive<u32>,
) -> Result<T> {
    #[derive(serde::Deserialize)]
    struct Header {
        format: u32,
    }
    let Header { format } = read_json(path, written_by)?;
    ensure!(
        format <= *known.end(),
        "{} has format {format}, this onshelf reads up to {}: update onshelf",
        path.display(),
        known.end()
    );
    ensure!(
        format >= *known.start(),
        "{} has format {format}, of an older onshelf; run `onshelf {written_by}` again",
        path.display()
    );
    read_json(path, written_by)
}

/// Reads a file, checked against the SHA-256 that the JSON file beside it names.
///
/// # Errors
/// Where the file is missing or another one, with its path.
pub fn read_checked(path: &Path, sha256: &str, written_by: &str) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    ensure!(
        sha256_hex(&bytes) == sha256,
        "{} is not the file that was written with the JSON beside it (its SHA-256 differs): it was changed, \
         or writing was interrupted; run `onshelf {written_by}` again",
        path.display()
    );
    Ok(bytes)
}

/// The same for tensors.
///
/// # Errors
/// As [`read_checked`], or where it is no file of tensors.
pub fn read_weights(path: &Path, sha256: &str, written_by: &str) -> Result<Weights> {
    let bytes = read_checked(path, sha256, written_by)?;
    Weights::from_safetensors(&bytes).with_context(|| path.display().to_string())
}

/// Reads JSON.
///
/// # Errors
/// Where the file is missing or does not parse, with its path.
pub fn read_json<T: DeserializeOwned>(path: &Path, written_by: &str) -> Result<T> {
    let bytes = fs::read(path)
        .with_context(|| format!("{} is not there; `onshelf {written_by}` writes it", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
}
