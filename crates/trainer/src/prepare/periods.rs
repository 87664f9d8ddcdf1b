//! A folder of `period_N.txt`: lines `session item` in time order, as ADER's DIGINETICA.

use anyhow::{Context, Result};

use super::collect::{BadRow, Row, RowTime};
use super::layout::{period_of, plain};
use super::{Layout, Reading, Source};

pub(super) fn read(mut reading: Reading<'_>) -> Result<Source> {
    for file in reading.files {
        let period = period_of(plain(file.base()));
        reading.begin(file);
        reading.collector.period(period.with_context(|| format!("{file} is not named period_N.txt"))?);
        file.each_line(reading.progress, |line, content| {
            let mut words = words(content);
            let known = words.next().zip(words.next()).map(|(owner, item)| row(owner, item));
            reading.row(line, known.ok_or(BadRow::TooFewColumns))?;
            Ok(true)
        })?;
    }
    Ok(Source {
        layout: Layout::Periods,
        has_times: false,
        by_user: false,
        has_periods: true,
        prepared: true,
    })
}

/// The words of a line.
pub(super) fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

/// A row of which only session and item are known.
pub(super) fn row<'a>(owner: &'a [u8], item: &'a [u8]) -> Row<'a> {
    Row { owner, user: None, item, time: RowTime::None, event: None, dwell: None }
}
