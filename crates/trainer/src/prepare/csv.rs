//! Delimited text with named columns, one event a row.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use csv::{ByteRecord, Reader, ReaderBuilder};

use super::collect::{BadRow, Collector, Row, RowTime};
use super::columns::{ColumnMap, LogColumns};
use super::{Layout, PrepareOptions, Source, input};
use crate::progress::Progress;

/// The delimiters that are looked for, the likeliest first.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];

/// How a delimited file is to be read.
#[derive(Debug, Clone)]
pub(super) struct Dialect {
    /// `None` looks at the first line.
    pub(super) delimiter: Option<u8>,
    pub(super) no_header: bool,
    /// Whether header entries are `name:type`.
    pub(super) typed_header: bool,
}

/// A delimited file whose header is read.
pub(super) struct Table<'p> {
    reader: Reader<Box<dyn Read + 'p>>,
    /// Names of the columns.
    pub(super) header: Vec<String>,
    record: ByteRecord,
    /// The first record is data and waits in `record`.
    pending: bool,
    path: PathBuf,
}

impl<'p> Table<'p> {
    pub(super) fn open(path: &Path, dialect: &Dialect, progress: &'p dyn Progress) -> Result<Self> {
        let mut input = input::open(path, progress)?;
        let delimiter = match dialect.delimiter {
            Some(delimiter) => delimiter,
            None => sniff(input.fill_buf()?),
        };
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            // Between tabs a quotation mark is a character like any other (inches, titles).
            .quoting(delimiter != b'\t')
            .has_headers(false)
            .flexible(true)
            .from_reader(input as Box<dyn Read>);
        let mut table = Self {
            reader,
            header: Vec::new(),
            record: ByteRecord::new(),
            pending: false,
            path: path.to_owned(),
        };
        ensure!(table.next()?.is_some(), "{} is empty", path.display());
        table.header = names(&table.record, dialect);
        table.pending = dialect.no_header;
        Ok(table)
    }

    /// The next row and its line, from 1.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &ByteRecord)>> {
        if !std::mem::take(&mut self.pending) {
            let path = &self.path;
            let more = self.reader.read_byte_record(&mut self.record);
            if !more.with_context(|| path.display().to_string())? {
                return Ok(None);
            }
        }
        let line = self.record.position().map_or(0, csv::Position::line);
        Ok(Some((line, &self.record)))
    }
}

fn names(first: &ByteRecord, dialect: &Dialect) -> Vec<String> {
    if dialect.no_header {
        return (1..=first.len()).map(|number| number.to_string()).collect();
    }
    let name = |field: &[u8]| {
        let text = String::from_utf8_lossy(field);
        let name = text.trim_start_matches('\u{feff}').trim();
        match name.split_once(':') {
            Some((name, _)) if dialect.typed_header => name.to_owned(),
            _ => name.to_owned(),
        }
    };
    first.iter().map(name).collect()
}

/// The delimiter that stands most often in the first line.
fn sniff(start: &[u8]) -> u8 {
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| line.iter().filter(|&byte| byte == delimiter).count();
    // `max_by_key` takes the last of equals; the likeliest delimiter comes first.
    DELIMITERS.into_iter().rev().max_by_key(count).unwrap_or(b',')
}

/// Reads a log with the columns of the options.
pub(super) fn read(
    files: &[PathBuf],
    options: &PrepareOptions,
    collector: &mut Collector,
    progress: &dyn Progress,
) -> Result<Source> {
    let dialect = Dialect { delimiter: options.delimiter, no_header: options.no_header, typed_header: false };
    read_files(Layout::Csv, files, &dialect, &options.columns, collector, progress)
}

/// Reads the files of a delimited log.
pub(super) fn read_files(
    layout: Layout,
    files: &[PathBuf],
    dialect: &Dialect,
    map: &ColumnMap,
    collector: &mut Collector,
    progress: &dyn Progress,
) -> Result<Source> {
    let mut known: Option<LogColumns> = None;
    for file in files {
        collector.file(file);
        let mut table = Table::open(file, dialect, progress)?;
        let columns = LogColumns::find(map, &table.header).with_context(|| file.display().to_string())?;
        let same = known.is_none_or(|known| {
            (known.by_user, known.time.is_some()) == (columns.by_user, columns.time.is_some())
        });
        ensure!(same, "{} has other columns than the files before it", file.display());
        known = Some(columns);
        while let Some((line, record)) = table.next()? {
            match row(record, &columns) {
                Some(row) => collector.row(line, &row)?,
                None => collector.bad(line, BadRow::TooFewColumns)?,
            }
        }
    }
    let columns = known.context("no file")?;
    Ok(Source {
        layout,
        has_times: columns.time.is_some(),
        by_user: columns.by_user,
        has_periods: false,
        prepared: false,
    })
}

/// The fields of a record; `None` when it has too few.
fn row<'a>(record: &'a ByteRecord, columns: &LogColumns) -> Option<Row<'a>> {
    let optional = |at: Option<usize>| match at {
        Some(at) => record.get(at).map(Some),
        None => Some(None),
    };
    Some(Row {
        owner: record.get(columns.owner)?,
        user: optional(columns.user)?,
        item: record.get(columns.item)?,
        time: optional(columns.time)?.map_or(RowTime::None, RowTime::Text),
        event: optional(columns.event)?,
        dwell: optional(columns.dwell)?,
    })
}
