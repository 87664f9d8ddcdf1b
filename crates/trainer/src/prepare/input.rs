//! Opening log files, plain or compressed, and telling how far the reading is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;

use crate::progress::Progress;

const BUFFER: usize = 1 << 16;

/// How far a line may reach; a longer one is no log line but a broken or foreign file.
const MAX_LINE: usize = 1 << 24;

/// Announces the reading of files; [`open`] then tells the progress in bytes.
pub(super) fn start(files: &[PathBuf], what: &str, progress: &dyn Progress) -> Result<()> {
    let mut bytes = 0;
    for file in files {
        bytes += file.metadata().with_context(|| file.display().to_string())?.len();
    }
    progress.start(what, Some(bytes));
    Ok(())
}

/// Opens a file; one that begins as gzip does is decompressed, whatever its name.
pub(super) fn open<'p>(path: &Path, progress: &'p dyn Progress) -> Result<Box<dyn BufRead + 'p>> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    let mut raw = BufReader::with_capacity(BUFFER, Counted { file, progress });
    let is_gzip = raw.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(raw)))
    } else {
        Box::new(raw)
    })
}

/// The first non-empty lines of a file, as far as they are text.
pub(super) fn first_lines(path: &Path, count: usize) -> Result<Vec<String>> {
    let mut lines = Vec::new();
    let silent = crate::progress::Silent;
    each_line(path, &silent, |_, line| {
        lines.push(String::from_utf8_lossy(line).into_owned());
        Ok(lines.len() < count)
    })?;
    Ok(lines)
}

/// Calls `row` with the number (from 1) and bytes of each line that is not empty, until it says
/// `false`.
pub(super) fn each_line(
    path: &Path,
    progress: &dyn Progress,
    mut row: impl FnMut(u64, &[u8]) -> Result<bool>,
) -> Result<()> {
    let mut reader = open(path, progress)?;
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut limited = reader.by_ref().take(MAX_LINE as u64);
        let read =
            limited.read_until(b'\n', &mut line).with_context(|| format!("{}:{number}", path.display()))?;
        if read == 0 {
            break;
        }
        anyhow::ensure!(
            read < MAX_LINE,
            "{}:{number}: a line of more than {} MB",
            path.display(),
            MAX_LINE >> 20
        );
        let content = line.trim_ascii();
        if !content.is_empty() && !row(number, content)? {
            break;
        }
    }
    Ok(())
}

/// Tells how many bytes of the file are read, before decompression.
struct Counted<'p> {
    file: File,
    progress: &'p dyn Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}
