//! Writes a data set session by session, so that it never has to be in memory.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use onshelf_core::catalogue::Catalogue;
use onshelf_core::event::EventKind;
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};
use sha2::{Digest, Sha256};

use super::{CATALOGUE, DatasetInfo, FORMAT, INFO, Origin, PeriodInfo, SESSIONS, hex, sha256};
use crate::files::{Staged, cannot_write};

const BUFFER: usize = 1 << 18;

/// What the sessions of a data set will be, which decides where each column of the file begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Number of sessions.
    pub sessions: usize,
    /// Number of clicks in all sessions.
    pub clicks: usize,
    /// Whether clicks have times.
    pub has_times: bool,
}

/// A data set being written. What was there before stays until [`Written::commit`].
pub struct DatasetWriter {
    staged: Staged,
    catalogue_sha256: String,
    items: usize,
    shape: Shape,
    written: Shape,
    columns: Columns,
    periods: PeriodCounts,
}

impl DatasetWriter {
    /// Writes the catalogue, and makes room for sessions of the given shape.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn create(dir: &Path, catalogue: &Catalogue, shape: Shape) -> Result<Self> {
        let mut staged = Staged::new(dir)?;
        let bytes = catalogue.to_json();
        staged.write(CATALOGUE, &bytes)?;
        let columns = Columns::create(staged.add(SESSIONS), shape)?;
        Ok(Self {
            staged,
            catalogue_sha256: sha256(&bytes),
            items: catalogue.len(),
            shape,
            written: Shape { sessions: 0, clicks: 0, ..shape },
            columns,
            periods: PeriodCounts::new(catalogue.len()),
        })
    }

    /// Adds a session: its items (from 1), and the kinds and times (Unix milliseconds, empty in a
    /// set without times) of its clicks.
    ///
    /// # Errors
    ///
    /// When `period` is before that of the previous session, or the file cannot be written.
    pub fn push(&mut self, period: u32, items: &[u32], kinds: &[EventKind], times: &[i64]) -> Result<()> {
        let last = self.periods.periods.last().map_or(0, |info| info.period);
        ensure!(period >= last, "session of period {period} after period {last}");
        self.periods.push(period, items, times);
        self.written.sessions += 1;
        self.written.clicks += items.len();
        let end = self.written.clicks as u64;
        let path = &self.columns.path;
        let [all_items, all_kinds, all_times, offsets, periods] = &mut self.columns.parts;
        let mut write = || -> io::Result<()> {
            items.iter().try_for_each(|item| all_items.write_all(&item.to_le_bytes()))?;
            kinds.iter().try_for_each(|kind| all_kinds.write_all(&[kind.code()]))?;
            times.iter().try_for_each(|time| all_times.write_all(&time.to_le_bytes()))?;
            offsets.write_all(&end.to_le_bytes())?;
            periods.write_all(&period.to_le_bytes())
        };
        write().with_context(|| cannot_write(path))
    }

    /// Completes the sessions.
    ///
    /// # Errors
    ///
    /// When they are not of the promised shape, or the file cannot be written.
    pub fn finish(self) -> Result<Written> {
        ensure!(self.written == self.shape, "{:?} was written instead of {:?}", self.written, self.shape);
        Ok(Written {
            staged: self.staged,
            catalogue_sha256: self.catalogue_sha256,
            sessions_sha256: self.columns.finish()?,
            items: self.items,
            shape: self.shape,
            periods: self.periods.periods,
        })
    }
}

/// A data set that lacks only what its writer says about it.
pub struct Written {
    staged: Staged,
    catalogue_sha256: String,
    sessions_sha256: String,
    items: usize,
    shape: Shape,
    periods: Vec<PeriodInfo>,
}

impl Written {
    /// The periods that have sessions, ascending, with their counts.
    #[must_use]
    pub fn periods(&self) -> &[PeriodInfo] {
        &self.periods
    }

    /// Puts the new files in the place of the old ones, `dataset.json` last.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn commit(mut self, origin: Origin) -> Result<()> {
        let info = DatasetInfo {
            format: FORMAT,
            origin,
            items: self.items,
            sessions: self.shape.sessions,
            clicks: self.shape.clicks,
            has_times: self.shape.has_times,
            periods: self.periods,
            sha256: [
                (CATALOGUE.to_owned(), self.catalogue_sha256),
                (SESSIONS.to_owned(), self.sessions_sha256),
            ]
            .into(),
        };
        let mut text = serde_json::to_vec_pretty(&info)?;
        text.push(b'\n');
        self.staged.write(INFO, &text)?;
        self.staged.commit()
    }
}

/// Counts what [`PeriodInfo`] tells.
pub(super) struct PeriodCounts {
    pub(super) periods: Vec<PeriodInfo>,
    /// By item, whether a session had it.
    seen: Vec<bool>,
}

impl PeriodCounts {
    pub(super) fn new(items: usize) -> Self {
        Self { periods: Vec::new(), seen: vec![false; items + 1] }
    }

    /// Counts a session in; periods come in ascending order.
    pub(super) fn push(&mut self, period: u32, items: &[u32], times: &[i64]) {
        if self.periods.last().is_none_or(|info| info.period != period) {
            self.periods.push(PeriodInfo { period, sessions: 0, clicks: 0, new_items: 0, span_ms: None });
        }
        let Some(info) = self.periods.last_mut() else {
            return;
        };
        info.sessions += 1;
        info.clicks += items.len();
        for &item in items {
            info.new_items += usize::from(!std::mem::replace(&mut self.seen[item as usize], true));
        }
        for &time in times {
            let (first, last) = info.span_ms.unwrap_or((time, time));
            info.span_ms = Some((first.min(time), last.max(time)));
        }
    }
}

/// `sessions.safetensors`, its columns written side by side.
struct Columns {
    path: PathBuf,
    /// Each stands where its column goes on: items, kinds, times, offsets, periods.
    parts: [BufWriter<File>; 5],
}

impl Columns {
    fn create(path: PathBuf, shape: Shape) -> Result<Self> {
        let header = header(shape)?;
        let mut parts = Vec::new();
        let create = || -> io::Result<File> {
            let mut file = File::create(&path)?;
            file.write_all(&header.bytes)?;
            file.set_len(header.bytes.len() as u64 + header.data)?;
            Ok(file)
        };
        drop(create().with_context(|| cannot_write(&path))?);
        for begin in header.begins {
            let mut file = File::options().write(true).open(&path)?;
            file.seek(SeekFrom::Start(header.bytes.len() as u64 + begin))?;
            parts.push(BufWriter::with_capacity(BUFFER, file));
        }
        let parts = <[_; 5]>::try_from(parts).ok().context("five columns")?;
        let mut columns = Self { path, parts };
        // The first session begins at 0; each push adds where it ends.
        columns.parts[3].write_all(&0_u64.to_le_bytes())?;
        Ok(columns)
    }

    /// Everything to the file; its SHA-256.
    fn finish(self) -> Result<String> {
        for mut part in self.parts {
            part.flush().with_context(|| cannot_write(&self.path))?;
        }
        let mut file = File::open(&self.path)?;
        let mut digest = Sha256::new();
        let mut buffer = vec![0; BUFFER];
        loop {
            let read = file.read(&mut buffer).with_context(|| self.path.display().to_string())?;
            if read == 0 {
                return Ok(hex(&digest.finalize()));
            }
            digest.update(&buffer[..read]);
        }
    }
}

/// The beginning of the file, and where the columns stand after it.
struct Header {
    bytes: Vec<u8>,
    begins: [u64; 5],
    /// Bytes of all columns.
    data: u64,
}

fn header(shape: Shape) -> Result<Header> {
    let times = if shape.has_times { shape.clicks } else { 0 };
    let columns = [
        ("items", Dtype::U32, shape.clicks),
        ("kinds", Dtype::U8, shape.clicks),
        ("times", Dtype::I64, times),
        ("offsets", Dtype::U64, shape.sessions + 1),
        ("periods", Dtype::U32, shape.sessions),
    ];
    // The order that the library gives them: wide types first, for their alignment, then by name.
    let mut order = [0, 1, 2, 3, 4];
    order.sort_by_key(|&at| (Reverse(columns[at].1), columns[at].0));
    let (mut begins, mut data, mut tensors) = ([0; 5], 0, Vec::new());
    for at in order {
        let (name, dtype, count) = columns[at];
        let end = data + count * dtype.bitsize() / 8;
        begins[at] = data as u64;
        tensors.push((name.to_owned(), TensorInfo { dtype, shape: vec![count], data_offsets: (data, end) }));
        data = end;
    }
    let about = HashMap::from([("format".to_owned(), FORMAT.to_string())]);
    let mut text = serde_json::to_vec(&Metadata::new(Some(about), tensors)?)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    Ok(Header { bytes, begins, data: data as u64 })
}
