//! Lines `user item item …` in time order, as S3-Rec's Amazon sets. Each item is a row.

use anyhow::Result;

use super::collect::BadRow;
use super::periods::{row, words};
use super::{Layout, Reading, Source};

pub(super) fn read(mut reading: Reading<'_>) -> Result<Source> {
    for file in reading.files {
        reading.begin(file);
        file.each_line(reading.progress, |line, content| {
            let mut words = words(content);
            let user = words.next().unwrap_or_default();
            let mut words = words.peekable();
            if words.peek().is_none() {
                reading.row(line, Err(BadRow::TooFewColumns))?;
            }
            for item in words {
                reading.row(line, Ok(row(user, item)))?;
            }
            Ok(true)
        })?;
    }
    Ok(Source {
        layout: Layout::Sequences,
        has_times: false,
        by_user: true,
        has_periods: false,
        prepared: true,
    })
}
