//! Lines `user item item …` in time order, as S3-Rec's Amazon sets. Each item is a row.

use std::path::PathBuf;

use anyhow::Result;

use super::collect::{BadRow, Collector};
use super::periods::{row, words};
use super::{Layout, Source, input};
use crate::progress::Progress;

pub(super) fn read(files: &[PathBuf], collector: &mut Collector, progress: &dyn Progress) -> Result<Source> {
    for file in files {
        collector.file(file);
        input::each_line(file, progress, |line, content| {
            let mut words = words(content);
            let user = words.next().unwrap_or_default();
            let mut words = words.peekable();
            if words.peek().is_none() {
                collector.bad(line, BadRow::TooFewColumns)?;
            }
            for item in words {
                collector.row(line, &row(user, item))?;
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
