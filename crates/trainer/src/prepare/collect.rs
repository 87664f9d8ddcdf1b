//! Checks the rows of a log, one by one, and sorts the good ones by their sessions as [`Event`]s;
//! the others go to the quarantine.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::{Result, ensure};
use onshelf_core::catalogue::{MAX_ID_BYTES, MAX_ITEMS};
use onshelf_core::event::EventKind;
use sha2::{Digest, Sha256};

use super::event_kind;
use super::events::{Event, NO_DWELL, NO_ITEM};
use super::input::LogFile;
use super::quarantine::Quarantine;
use super::time::{TimeUnit, is_plausible};
use crate::spill::{Sorted, Sorter};
use crate::stop;

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

/// Takes rows in the order of the source. What it keeps in memory grows with the items, not with
/// the rows or the sessions.
pub(super) struct Collector {
    log: Sorter<Event>,
    events: u64,
    has_dwell: bool,
    items: Vec<Rc<str>>,
    item_numbers: HashMap<Rc<str>, u32>,
    period: u32,
    rows: u64,
    quarantined: BTreeMap<String, u64>,
    time_unit: TimeUnit,
    quarantine: Quarantine,
}

/// What a [`Collector`] took.
pub(super) struct Collected {
    /// The good rows by session or user, then by time.
    pub(super) log: Sorted<Event>,
    /// Number of good rows.
    pub(super) events: u64,
    /// Whether a good row has a dwell time.
    pub(super) has_dwell: bool,
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
    /// Starts with nothing.
    pub(super) fn new(log: Sorter<Event>, quarantine: Quarantine, time_unit: TimeUnit) -> Self {
        Self {
            log,
            events: 0,
            has_dwell: false,
            items: Vec::new(),
            item_numbers: HashMap::new(),
            period: 0,
            rows: 0,
            quarantined: BTreeMap::new(),
            time_unit,
            quarantine,
        }
    }

    /// The rows that follow are from this file.
    pub(super) fn file(&mut self, file: &LogFile) {
        self.quarantine.file(&file.name);
    }

    /// The rows that follow are of this period, and their sessions are not those of before, even
    /// where an id comes again.
    pub(super) fn period(&mut self, period: u32) {
        self.period = period;
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Takes the row at a line (from 1) of the current file, or what is wrong with it.
    pub(super) fn row(&mut self, line: u64, row: std::result::Result<Row<'_>, BadRow>) -> Result<()> {
        stop::check()?;
        let fields = row.and_then(|row| self.fields(&row));
        self.rows += 1;
        match fields {
            Ok(fields) => self.keep(&fields),
            Err(reason) => {
                *self.quarantined.entry(reason.as_str().to_owned()).or_default() += 1;
                self.quarantine.write(line, reason)
            }
        }
    }

    /// Writes a row of another table than the log to the quarantine, without counting it.
    pub(super) fn bad_item_row(&mut self, line: u64, reason: BadRow) -> Result<()> {
        self.quarantine.write(line, reason)
    }

    /// Closes the quarantine, for a log that cannot be read to its end.
    pub(super) fn give_up(self) -> Result<()> {
        self.quarantine.finish()
    }

    /// Closes the quarantine and hands over what was taken.
    pub(super) fn finish(self) -> Result<Collected> {
        self.quarantine.finish()?;
        let text_times = self.time_unit != TimeUnit::Auto && self.events > 0;
        Ok(Collected {
            log: self.log.finish()?,
            events: self.events,
            has_dwell: self.has_dwell,
            items: self.items,
            rows: self.rows,
            quarantined: self.quarantined,
            time_unit: text_times.then_some(self.time_unit),
        })
    }

    fn keep(&mut self, fields: &Fields<'_>) -> Result<()> {
        let item = match fields.item {
            Some(item) => self.item_number(item)?,
            None => NO_ITEM,
        };
        self.events += 1;
        self.has_dwell |= fields.dwell.is_some();
        self.log.push(Event {
            owner: owner_key(self.period, fields.user, fields.owner),
            time: fields.time,
            seq: self.rows,
            item,
            period: self.period,
            dwell: fields.dwell.map_or(NO_DWELL, |dwell| dwell.min(NO_DWELL - 1)),
            kind: fields.kind,
        })
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
}

/// Stands for a session or user, so that ids need not be kept. No two texts are known that share
/// their first 128 bits of SHA-256.
fn owner_key(period: u32, user: Option<&str>, id: &str) -> u128 {
    let mut digest = Sha256::new_with_prefix(period.to_le_bytes());
    if let Some(user) = user {
        // With its length before it, no other pair reads the same.
        digest.update((user.len() as u64).to_le_bytes());
        digest.update(user);
    }
    digest.update(id);
    let digest = digest.finalize();
    digest.iter().take(16).fold(0, |key, &byte| key << 8 | u128::from(byte))
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
