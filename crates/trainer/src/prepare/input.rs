//! Opening log files, plain or compressed, and telling how far the reading is.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;

use super::store::Remote;
use crate::progress::{Progress, Silent};

const BUFFER: usize = 1 << 16;

/// How far a line may reach; a longer one is no log line but a broken or foreign file.
const MAX_LINE: usize = 1 << 24;

/// How deep folders of Parquet files are followed: partitions by year, month, day, hour and more.
const MAX_DEPTH: usize = 16;

/// Where a file or folder is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// On this machine.
    Local(PathBuf),
    /// In an object store.
    Remote(Remote),
}

/// A file of a log.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    /// Its path within the input.
    pub(super) name: String,
    pub(super) place: Place,
}

/// A log: a file, or a folder of them.
#[derive(Debug, Clone)]
pub(super) struct Input(pub(super) Place);

impl Input {
    /// Finds a path of this machine, or an address with `://`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        match path.to_str().filter(|text| text.contains("://")) {
            Some(url) => Ok(Self(Place::Remote(Remote::open(url)?))),
            None => Ok(Self(Place::Local(path.to_owned()))),
        }
    }

    pub(super) fn is_folder(&self) -> bool {
        match &self.0 {
            Place::Local(path) => path.is_dir(),
            Place::Remote(remote) => remote.is_folder(),
        }
    }

    /// The input as one file.
    pub(super) fn file(&self) -> LogFile {
        LogFile { name: self.0.name(), place: self.0.clone() }
    }

    /// The files right in the folder, by name.
    pub(super) fn files(&self) -> Result<Vec<LogFile>> {
        let mut files = Vec::new();
        list(&self.0, "", 0, &mut files)?;
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// The files in the folder and in the folders below it, by path. Folders whose names begin
    /// with `_` or `.` hold what an engine has not finished.
    pub(super) fn files_below(&self) -> Result<Vec<LogFile>> {
        let mut files = Vec::new();
        list(&self.0, "", MAX_DEPTH, &mut files)?;
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::Local(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Remote(remote) => remote.name(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Remote(remote) => remote.fmt(f),
        }
    }
}

/// Adds the files of a folder, and those of the folders below it as far down as `depth`.
fn list(folder: &Place, prefix: &str, depth: usize, to: &mut Vec<LogFile>) -> Result<()> {
    let (files, folders): (Vec<Place>, Vec<Place>) = match folder {
        Place::Local(path) => list_local(path)?,
        Place::Remote(remote) => {
            let (files, folders) = remote.list()?;
            (files.into_iter().map(Place::Remote).collect(), folders.into_iter().map(Place::Remote).collect())
        }
    };
    to.extend(files.into_iter().map(|place| LogFile { name: format!("{prefix}{}", place.name()), place }));
    for folder in folders.iter().filter(|_| depth > 0) {
        let name = folder.name();
        if !name.starts_with(['_', '.']) {
            list(folder, &format!("{prefix}{name}/"), depth - 1, to)?;
        }
    }
    Ok(())
}

fn list_local(folder: &Path) -> Result<(Vec<Place>, Vec<Place>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in folder.read_dir().with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        if !path.is_dir() {
            files.push(Place::Local(path));
        } else if !entry.file_type()?.is_symlink() {
            // A link may lead back up, and its files would be read again and again.
            folders.push(Place::Local(path));
        }
    }
    Ok((files, folders))
}

impl LogFile {
    /// The name without the folders.
    pub(super) fn base(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> Result<u64> {
        match &self.place {
            Place::Local(path) => Ok(path.metadata().with_context(|| self.to_string())?.len()),
            Place::Remote(remote) => Ok(remote.bytes()),
        }
    }

    /// The file of another name in the same folder, if there is one.
    pub(super) fn sibling(&self, name: &str) -> Result<Option<Self>> {
        let place = match &self.place {
            Place::Local(path) => {
                Some(path.with_file_name(name)).filter(|path| path.exists()).map(Place::Local)
            }
            Place::Remote(remote) => remote.sibling(name)?.map(Place::Remote),
        };
        Ok(place.map(|place| Self { name: name.to_owned(), place }))
    }

    /// Opens the file; one that begins as gzip does is decompressed, whatever its name.
    pub(super) fn open<'p>(&self, progress: &'p dyn Progress) -> Result<Box<dyn BufRead + 'p>> {
        let source: Box<dyn Read> = match &self.place {
            Place::Local(path) => Box::new(File::open(path).with_context(|| self.to_string())?),
            Place::Remote(remote) => Box::new(remote.read()),
        };
        let mut raw = BufReader::with_capacity(BUFFER, Counted { source, progress });
        let is_gzip = raw.fill_buf().with_context(|| self.to_string())?.starts_with(&[0x1f, 0x8b]);
        Ok(if is_gzip {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw)))
        } else {
            Box::new(raw)
        })
    }

    /// The first non-empty lines, as far as they are text.
    pub(super) fn first_lines(&self, count: usize) -> Result<Vec<String>> {
        let mut lines = Vec::new();
        self.each_line(&Silent, |_, line| {
            lines.push(String::from_utf8_lossy(line).into_owned());
            Ok(lines.len() < count)
        })?;
        Ok(lines)
    }

    /// Calls `row` with the number (from 1) and bytes of each line that is not empty, until it
    /// says `false`.
    pub(super) fn each_line(
        &self,
        progress: &dyn Progress,
        mut row: impl FnMut(u64, &[u8]) -> Result<bool>,
    ) -> Result<()> {
        let mut reader = self.open(progress)?;
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let mut limited = reader.by_ref().take(MAX_LINE as u64);
            let read = limited.read_until(b'\n', &mut line).with_context(|| format!("{self}:{number}"))?;
            if read == 0 {
                break;
            }
            anyhow::ensure!(read < MAX_LINE, "{self}:{number}: a line of more than {} MB", MAX_LINE >> 20);
            let content = line.trim_ascii();
            if !content.is_empty() && !row(number, content)? {
                break;
            }
        }
        Ok(())
    }
}

impl fmt::Display for LogFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)
    }
}

/// Announces the reading of files; [`LogFile::open`] then tells the progress in bytes.
pub(super) fn start(files: &[LogFile], what: &str, progress: &dyn Progress) -> Result<()> {
    let mut bytes = 0;
    for file in files {
        bytes += file.bytes()?;
    }
    progress.start(what, Some(bytes));
    Ok(())
}

/// Tells how many bytes of the file are read, before decompression.
struct Counted<'p> {
    source: Box<dyn Read>,
    progress: &'p dyn Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}
