//! Delimited text with named columns, one event a row.

use std::io::{BufRead, Read};

use anyhow::{Context, Result, ensure};
use csv::{ByteRecord, Reader, ReaderBuilder};

use super::collect::{BadRow, Row, RowTime};
use super::columns::{Agreed, ColumnMap, LogColumns};
use super::input::LogFile;
use super::layout::{plain, split_of};
use super::{Layout, PrepareOptions, Reading, Source, recbole};
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
    name: String,
}

impl<'p> Table<'p> {
    pub(super) fn open(file: &LogFile, dialect: &Dialect, progress: &'p dyn Progress) -> Result<Self> {
        let mut input = file.open(progress)?;
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
            name: file.to_string(),
        };
        ensure!(table.next()?.is_some(), "{file} is empty");
        table.header = names(&table.record, dialect);
        table.pending = dialect.no_header;
        Ok(table)
    }

    /// The next row and its line, from 1.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &ByteRecord)>> {
        if !std::mem::take(&mut self.pending) {
            let more = self.reader.read_byte_record(&mut self.record);
            if !more.with_context(|| self.name.clone())? {
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

impl Dialect {
    /// How the files of a layout are delimited.
    fn of(layout: Layout, options: &PrepareOptions) -> Self {
        let delimiter = match layout {
            Layout::Rsc15 => Some(options.delimiter.unwrap_or(b'\t')),
            _ => options.delimiter,
        };
        match layout {
            Layout::RecBole => recbole::DIALECT,
            _ => Self { delimiter, no_header: options.no_header, typed_header: false },
        }
    }
}

/// Reads a delimited log.
pub(super) fn read(layout: Layout, mut reading: Reading<'_>) -> Result<Source> {
    let options = reading.options;
    let dialect = Dialect::of(layout, options);
    let map = match layout {
        Layout::Rsc15 if options.columns == ColumnMap::default() => {
            ColumnMap::fixed(&[("session", "SessionId"), ("item", "ItemId"), ("time", "Time")])
        }
        _ => options.columns.clone(),
    };
    let mut agreed = Agreed::default();
    let mut split = false;
    for file in reading.files {
        reading.begin(file);
        if let (Layout::Rsc15, Some(part)) = (layout, split_of(plain(file.base()))) {
            // A file by itself is a log like any other.
            split = reading.files.len() > 1;
            reading.collector.period(if split { part } else { 0 });
        }
        let mut table = Table::open(file, &dialect, reading.progress)?;
        if layout == Layout::RecBole {
            recbole::check(&table.header, file)?;
        }
        let columns = agreed.find(&map, &table.header, file)?;
        while let Some((line, record)) = table.next()? {
            reading.row(line, row(record, &columns).ok_or(BadRow::TooFewColumns))?;
        }
    }
    Ok(Source { has_periods: split, ..agreed.source(layout)? })
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
