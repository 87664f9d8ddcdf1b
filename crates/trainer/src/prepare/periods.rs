//! A folder of `period_N.txt`: lines `session item` in time order, as ADER's DIGINETICA.

use std::path::PathBuf;

use anyhow::{Context, Result};

use super::collect::{BadRow, Collector, Row, RowTime};
use super::layout::{period_of, plain};
use super::{Layout, Source, input};
use crate::progress::Progress;

pub(super) fn read(files: &[PathBuf], collector: &mut Collector, progress: &dyn Progress) -> Result<Source> {
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        let period = period_of(plain(&name))
            .with_context(|| format!("{} is not named period_N.txt", file.display()))?;
        collector.file(file);
        collector.period(period);
        input::each_line(file, progress, |line, content| {
            let mut words = words(content);
            match (words.next(), words.next()) {
                (Some(owner), Some(item)) => collector.row(line, &row(owner, item))?,
                _ => collector.bad(line, BadRow::TooFewColumns)?,
            }
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
