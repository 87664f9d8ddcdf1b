//! The prepared data set: what `prepare` writes and everything that trains or evaluates reads.
//!
//! A folder of three files:
//!
//! | file | content |
//! | --- | --- |
//! | `catalogue.json` | the items, see [`onshelf_core::catalogue`] |
//! | `sessions.safetensors` | `items` U32 \[n\], `kinds` U8 \[n\], `times` I64 \[n\] in Unix ms (\[0\] without times), `offsets` U64 \[s+1\], `periods` U32 \[s\] |
//! | `dataset.json` | [`DatasetInfo`]: counts, periods, the quality report, and the SHA-256 of the other two |
//!
//! Sessions stand in the order of their periods. `dataset.json` is written last, so a folder
//! whose writing was interrupted is told by a hash that does not match.

mod sessions;
mod writer;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::catalogue::Catalogue;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::prepare::QualityReport;

pub use sessions::Sessions;
use writer::PeriodCounts;
pub use writer::{DatasetWriter, Shape, Written};

/// The newest format this version reads, and the one it writes.
pub const FORMAT: u32 = 1;

const CATALOGUE: &str = "catalogue.json";
const SESSIONS: &str = "sessions.safetensors";
const INFO: &str = "dataset.json";

/// What a period holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeriodInfo {
    /// Its number, from 0.
    pub period: u32,
    /// Number of sessions.
    pub sessions: usize,
    /// Number of clicks.
    pub clicks: usize,
    /// Items whose first click lies in it.
    pub new_items: usize,
    /// First and last click in Unix milliseconds; `None` without times.
    pub span_ms: Option<(i64, i64)>,
}

/// What the writer of a data set says about it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Origin {
    /// A name for tables.
    pub name: String,
    /// The layout of the source, as `--layout` names it.
    pub layout: String,
    /// Whether a session is the whole history of one user.
    pub has_users: bool,
    /// How the periods came about and whatever else an evaluation must know.
    pub protocol: Vec<String>,
    /// How the source was cleaned.
    pub quality: Option<QualityReport>,
}

/// `dataset.json`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetInfo {
    /// [`FORMAT`].
    pub format: u32,
    /// What the writer says about the data set.
    #[serde(flatten)]
    pub origin: Origin,
    /// Number of items in the catalogue.
    pub items: usize,
    /// Number of sessions.
    pub sessions: usize,
    /// Number of clicks.
    pub clicks: usize,
    /// Whether clicks have times.
    pub has_times: bool,
    /// The periods that have sessions.
    pub periods: Vec<PeriodInfo>,
    /// SHA-256 of the other files, in hexadecimal.
    pub sha256: BTreeMap<String, String>,
}

/// Only the version: what can be read of any format.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// A prepared data set.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The items.
    pub catalogue: Catalogue,
    /// The sessions.
    pub sessions: Sessions,
    /// Where it comes from.
    pub origin: Origin,
}

impl Dataset {
    /// Reads the data set in a folder.
    ///
    /// # Errors
    ///
    /// When a file is missing, of a newer format, broken, or not the one `dataset.json` names.
    pub fn load(dir: &Path) -> Result<Self> {
        let info = Self::info(dir)?;
        let catalogue_bytes = read_checked(dir, CATALOGUE, &info)?;
        let catalogue = Catalogue::from_json(&catalogue_bytes)
            .with_context(|| dir.join(CATALOGUE).display().to_string())?;
        let session_bytes = read_checked(dir, SESSIONS, &info)?;
        let sessions = Sessions::from_bytes(&session_bytes, catalogue.len(), info.has_times)
            .with_context(|| dir.join(SESSIONS).display().to_string())?;
        Ok(Self { catalogue, sessions, origin: info.origin })
    }

    /// Reads only `dataset.json`.
    ///
    /// # Errors
    ///
    /// When it is missing, of a newer format, or broken.
    pub fn info(dir: &Path) -> Result<DatasetInfo> {
        let path = dir.join(INFO);
        let bytes = fs::read(&path)
            .with_context(|| format!("{} is not there; `onshelf prepare` writes it", path.display()))?;
        let Header { format } = serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
        ensure!(
            format <= FORMAT,
            "{} has format {format}, this onshelf reads up to {FORMAT}: update onshelf",
            path.display()
        );
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
    }

    /// Writes the data set into a folder, which is made if needed. Files already there are
    /// replaced only when all new ones are complete.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let sessions = &self.sessions;
        let shape =
            Shape { sessions: sessions.len(), clicks: sessions.clicks(), has_times: sessions.has_times() };
        let mut writer = DatasetWriter::create(dir, &self.catalogue, shape)?;
        for i in 0..sessions.len() {
            let times = sessions.times(i).unwrap_or_default();
            writer.push(sessions.period(i), sessions.session(i), sessions.kinds(i), times)?;
        }
        writer.finish()?.commit(self.origin.clone())
    }

    /// The periods that have sessions, ascending, with their counts.
    #[must_use]
    pub fn periods(&self) -> Vec<PeriodInfo> {
        let sessions = &self.sessions;
        let mut counts = PeriodCounts::new(self.catalogue.len());
        for i in 0..sessions.len() {
            counts.push(sessions.period(i), sessions.session(i), sessions.times(i).unwrap_or_default());
        }
        counts.periods
    }
}

fn read_checked(dir: &Path, name: &str, info: &DatasetInfo) -> Result<Vec<u8>> {
    let path = dir.join(name);
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    ensure!(
        info.sha256.get(name) == Some(&sha256(&bytes)),
        "{} is not the file that {INFO} names (its SHA-256 differs): it was changed, or writing \
         the data set was interrupted; run `onshelf prepare` again",
        path.display()
    );
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
