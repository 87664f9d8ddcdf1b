//! RecBole's atomic files: `NAME.inter` and beside it, possibly, `NAME.item`, tab-separated with
//! `name:type` headers.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::collect::Collector;
use super::csv::{Dialect, Table, read_files};
use super::items::ItemTable;
use super::layout::plain;
use super::{Layout, PrepareOptions, Source};
use crate::progress::{Progress, Silent};

const DIALECT: Dialect = Dialect { delimiter: Some(b'\t'), no_header: false, typed_header: true };

/// Reads the interactions.
pub(super) fn read(
    files: &[PathBuf],
    options: &PrepareOptions,
    collector: &mut Collector,
    progress: &dyn Progress,
) -> Result<Source> {
    for file in files {
        let header = Table::open(file, &DIALECT, &Silent)?.header;
        // Such a file repeats each click once per later target; read as a log it would be wrong.
        ensure!(
            !header.iter().any(|name| name == "item_id_list"),
            "{} holds item_id_list sequences cut for a benchmark; prepare reads one event a row",
            file.display()
        );
    }
    read_files(Layout::RecBole, files, &DIALECT, &options.columns, collector, progress)
}

/// Reads the item file beside the interactions, if there is one.
pub(super) fn read_items(
    input: &Path,
    items: &mut ItemTable,
    options: &PrepareOptions,
    collector: &mut Collector,
    progress: &dyn Progress,
) -> Result<()> {
    let inter = Layout::RecBole.files(input)?.into_iter().next().context("no .inter file")?;
    let name = inter.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let stem = plain(&name).trim_end_matches(".inter");
    for ending in [".item", ".item.gz"] {
        let path = inter.with_file_name(format!("{stem}{ending}"));
        if path.exists() {
            return items.read_table(&path, &DIALECT, &options.item_columns, collector, progress);
        }
    }
    Ok(())
}
