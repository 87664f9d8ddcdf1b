//! `SessionId`, `ItemId`, `Time` between tabs: the layout of session-rec's prepared sets.

use std::path::PathBuf;

use anyhow::Result;

use super::collect::Collector;
use super::columns::ColumnMap;
use super::csv::{Dialect, read_files};
use super::{Layout, PrepareOptions, Source};
use crate::progress::Progress;

pub(super) fn read(
    files: &[PathBuf],
    options: &PrepareOptions,
    collector: &mut Collector,
    progress: &dyn Progress,
) -> Result<Source> {
    let map = if options.columns == ColumnMap::default() {
        ColumnMap::fixed(&[("session", "SessionId"), ("item", "ItemId"), ("time", "Time")])
    } else {
        options.columns.clone()
    };
    let dialect = Dialect {
        delimiter: Some(options.delimiter.unwrap_or(b'\t')),
        no_header: options.no_header,
        typed_header: false,
    };
    read_files(Layout::Rsc15, files, &dialect, &map, collector, progress)
}
