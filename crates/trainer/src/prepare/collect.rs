//! Checks the rows of a log, one by one, and keeps the good ones as [`Event`]s; the others go to
//! the quarantine.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, ensure};
use onshelf_core::catalogue::{MAX_ID_BYTES, MAX_ITEMS};
use onshelf_core::event::EventKind;

use super::event_kind;
use super::sessions::{Event, NO_DWELL, NO_ITEM};
use super::time::{TimeUnit, is_plausible};

const QUARANTINE: &str = "quarantine.tsv";

/// Why a row cannot be used. The names stand in reports and in `quarantine.tsv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadRow {
    TooFewColumns,
    MissingSession,
    MissingItem,
    IdTooLong,
    NotUtf8,
    BadTime,
    UnknownEvent,
    BadDwell,
    BadPrice,
    BadStock,
    DuplicateId,
    Malformed,
}

impl BadRow {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TooFewColumns => "too_few_columns",
            Self::MissingSession => "missing_session",
            Self::MissingItem => "missing_item",
            Self::IdTooLong => "id_too_long",
            Self::NotUtf8 => "not_utf8",
            Self::BadTime => "bad_time",
            Self::UnknownEvent => "unknown_event",
            Self::BadDwell => "bad_dwell",
            Self::BadPrice => "bad_price",
            Self::BadStock => "bad_stock",
            Self::DuplicateId => "duplicate_id",
            Self::Malformed => "malformed",
        }
    }
}

/// The time of a row, as its source has it.
#[derive(Debug, Clone, Copy)]
pub(super) enum RowTime<'a> {
    /// The source has no times.
    None,
    /// Text in the unit of the options.
    Text(&'a [u8]),
    /// Unix milliseconds.
    Ms(i64),
}

/// The fields of a row as bytes, not yet trusted. A field that the source has not is `None`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row<'a> {
    /// The session or the user.
    pub(super) owner: &'a [u8],
    /// The user that the session belongs to, where session ids are not unique without.
    pub(super) user: Option<&'a [u8]>,
    pub(super) item: &'a [u8],
    pub(super) time: RowTime<'a>,
    pub(super) event: Option<&'a [u8]>,
    pub(super) dwell: Option<&'a [u8]>,
}

/// Takes rows in the order of the source.
pub(super) struct Collector {
    events: Vec<Event>,
    items: Vec<Rc<str>>,
    item_numbers: HashMap<Rc<str>, u32>,
    owner_numbers: HashMap<Box<str>, u32>,
    owners: u32,
    period: u32,
    rows: u64,
    quarantined: BTreeMap<String, u64>,
    time_unit: TimeUnit,
    quarantine: Quarantine,
}

/// What a [`Collector`] took.
pub(super) struct Collected {
    /// The good rows in the order of the source.
    pub(super) events: Vec<Event>,
    /// The ids of the items; [`Event::item`] counts in here.
    pub(super) items: Vec<Rc<str>>,
    /// Rows, good or bad.
    pub(super) rows: u64,
    /// Bad rows by reason.
    pub(super) quarantined: BTreeMap<String, u64>,
    /// The unit of the times, when some were read.
    pub(super) time_unit: Option<TimeUnit>,
}

impl Collector {
    /// Starts with an empty quarantine in `output`.
    pub(super) fn create(output: &Path, time_unit: TimeUnit) -> Result<Self> {
        Ok(Self {
            events: Vec::new(),
            items: Vec::new(),
            item_numbers: HashMap::new(),
            owner_numbers: HashMap::new(),
            owners: 0,
            period: 0,
            rows: 0,
            quarantined: BTreeMap::new(),
            time_unit,
            quarantine: Quarantine::create(output)?,
        })
    }

    /// The rows that follow are from this file.
    pub(super) fn file(&mut self, path: &Path) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.quarantine.file = name.replace(['\t', '\n', '\r'], " ");
    }

    /// The rows that follow are of this period, and their sessions are not those of before, even
    /// where an id comes again.
    pub(super) fn period(&mut self, period: u32) {
        self.period = period;
        self.owner_numbers.clear();
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes the row at a line (from 1) of the current file.
    pub(super) fn row(&mut self, line: u64, row: &Row<'_>) -> Result<()> {
        match self.check(row)? {
            Ok(event) => {
                self.rows += 1;
                self.events.push(event);
                Ok(())
            }
            Err(reason) => self.bad(line, reason),
        }
    }

    /// Takes a row of which not even the fields could be told.
    pub(super) fn bad(&mut self, line: u64, reason: BadRow) -> Result<()> {
        self.rows += 1;
        *self.quarantined.entry(reason.as_str().to_owned()).or_default() += 1;
        self.quarantine.write(line, reason)
    }

    /// Writes a row of another table than the log to the quarantine, without counting it.
    pub(super) fn bad_item_row(&mut self, line: u64, reason: BadRow) -> Result<()> {
        self.quarantine.write(line, reason)
    }

    /// Closes the quarantine and hands over what was taken.
    pub(super) fn finish(self) -> Result<Collected> {
        self.quarantine.finish()?;
        let text_times = self.time_unit != TimeUnit::Auto && !self.events.is_empty();
        Ok(Collected {
            events: self.events,
            items: self.items,
            rows: self.rows,
            quarantined: self.quarantined,
            time_unit: text_times.then_some(self.time_unit),
        })
    }

    /// The outer error is one of capacity, the inner one of the row.
    fn check(&mut self, row: &Row<'_>) -> Result<std::result::Result<Event, BadRow>> {
        ensure!(self.rows < u64::from(u32::MAX), "a log of more than 4,294,967,295 rows");
        let fields = match self.fields(row) {
            Ok(fields) => fields,
            Err(reason) => return Ok(Err(reason)),
        };
        let item = match fields.item {
            Some(item) => self.item_number(item)?,
            None => NO_ITEM,
        };
        Ok(Ok(Event {
            owner: self.owner_number(fields.user, fields.owner),
            item,
            time: fields.time,
            seq: self.rows as u32,
            period: self.period,
            dwell: fields.dwell.map_or(NO_DWELL, |dwell| dwell.min(NO_DWELL - 1)),
            kind: fields.kind,
        }))
    }

    fn fields<'a>(&mut self, row: &Row<'a>) -> std::result::Result<Fields<'a>, BadRow> {
        let owner = text(row.owner)?;
        let user = row.user.map(text).transpose()?;
        let kind = match row.event {
            Some(name) => event_kind(text(name)?).ok_or(BadRow::UnknownEvent)?,
            None => EventKind::ViewItem,
        };
        let item = kind.names_item().then(|| text(row.item)).transpose()?;
        if owner.is_empty() || user.is_some_and(str::is_empty) {
            return Err(BadRow::MissingSession);
        }
        if item.is_some_and(str::is_empty) {
            return Err(BadRow::MissingItem);
        }
        let longest = [Some(owner), user, item].into_iter().flatten().map(str::len).max();
        if longest > Some(MAX_ID_BYTES) {
            return Err(BadRow::IdTooLong);
        }
        let dwell = match row.dwell.map(text).transpose()?.filter(|dwell| !dwell.is_empty()) {
            Some(dwell) => Some(dwell.parse().map_err(|_| BadRow::BadDwell)?),
            None => None,
        };
        let time = match row.time {
            RowTime::None => 0,
            RowTime::Text(time) => self.time_unit.parse(text(time)?).ok_or(BadRow::BadTime)?,
            RowTime::Ms(time) => Some(time).filter(|ms| is_plausible(*ms)).ok_or(BadRow::BadTime)?,
        };
        Ok(Fields { user, owner, item, kind, time, dwell })
    }

    fn item_number(&mut self, id: &str) -> Result<u32> {
        if let Some(&number) = self.item_numbers.get(id) {
            return Ok(number);
        }
        ensure!(self.items.len() < MAX_ITEMS, "the log names more than {MAX_ITEMS} items");
        let number = u32::try_from(self.items.len())?;
        let id: Rc<str> = id.into();
        self.items.push(Rc::clone(&id));
        self.item_numbers.insert(id, number);
        Ok(number)
    }

    fn owner_number(&mut self, user: Option<&str>, id: &str) -> u32 {
        // With its length before it, no other pair reads the same.
        let pair = user.map(|user| format!("{}:{user}{id}", user.len()));
        let id = pair.as_deref().unwrap_or(id);
        if let Some(&number) = self.owner_numbers.get(id) {
            return number;
        }
        let number = self.owners;
        // Never more owners than rows, which `check` bounds.
        self.owners += 1;
        self.owner_numbers.insert(id.into(), number);
        number
    }
}

/// The fields of a good row.
struct Fields<'a> {
    user: Option<&'a str>,
    owner: &'a str,
    /// `None` for events that name no item.
    item: Option<&'a str>,
    kind: EventKind,
    time: i64,
    dwell: Option<u32>,
}

fn text(bytes: &[u8]) -> std::result::Result<&str, BadRow> {
    std::str::from_utf8(bytes).map(str::trim).map_err(|_| BadRow::NotUtf8)
}

/// `quarantine.tsv`: file, line and reason of each bad row. Not its content, which may be
/// personal; the line number leads there.
struct Quarantine {
    out: BufWriter<File>,
    temporary: PathBuf,
    path: PathBuf,
    file: String,
}

impl Quarantine {
    fn create(folder: &Path) -> Result<Self> {
        let temporary = folder.join(format!(".{QUARANTINE}.tmp"));
        let file = File::create(&temporary).with_context(|| temporary.display().to_string())?;
        let mut out = BufWriter::new(file);
        writeln!(out, "file\tline\treason")?;
        Ok(Self { out, temporary, path: folder.join(QUARANTINE), file: String::new() })
    }

    fn write(&mut self, line: u64, reason: BadRow) -> Result<()> {
        Ok(writeln!(self.out, "{}\t{line}\t{}", self.file, reason.as_str())?)
    }

    fn finish(mut self) -> Result<()> {
        self.out.flush()?;
        fs::rename(&self.temporary, &self.path).with_context(|| self.path.display().to_string())
    }
}
