//! `quarantine.tsv`: file, line and reason of each bad row. Not its content, which may be
//! personal; the line number leads there.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::collect::BadRow;
use crate::files::{Staged, cannot_write};

const NAME: &str = "quarantine.tsv";

pub(super) struct Quarantine {
    staged: Staged,
    out: BufWriter<File>,
    path: PathBuf,
    file: String,
}

impl Quarantine {
    /// An empty one, beside that of an earlier run.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let mut staged = Staged::new(folder)?;
        let path = staged.add(NAME);
        let file = File::create(&path).with_context(|| cannot_write(&path))?;
        let mut out = BufWriter::new(file);
        writeln!(out, "file\tline\treason").with_context(|| cannot_write(&path))?;
        Ok(Self { staged, out, path, file: String::new() })
    }

    /// The rows that follow are from this file.
    pub(super) fn file(&mut self, name: &str) {
        self.file = name.replace(['\t', '\n', '\r'], " ");
    }

    pub(super) fn write(&mut self, line: u64, reason: BadRow) -> Result<()> {
        let written = writeln!(self.out, "{}\t{line}\t{}", self.file, reason.as_str());
        written.with_context(|| cannot_write(&self.path))
    }

    /// Puts it in the place of the one before.
    pub(super) fn finish(mut self) -> Result<()> {
        self.out.flush().with_context(|| cannot_write(&self.path))?;
        drop(self.out);
        self.staged.commit()
    }
}
