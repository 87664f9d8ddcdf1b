//! RecBole's atomic files: `NAME.inter` and beside it, possibly, `NAME.item`, tab-separated with
//! `name:type` headers.

use anyhow::{Context, Result, ensure};

use super::collect::Collector;
use super::csv::Dialect;
use super::input::{Input, LogFile};
use super::items::ItemTable;
use super::layout::plain;
use super::{Layout, PrepareOptions};
use crate::progress::Progress;

pub(super) const DIALECT: Dialect = Dialect { delimiter: Some(b'\t'), no_header: false, typed_header: true };

/// Refuses files that repeat each click once per later target; read as a log they would be wrong.
pub(super) fn check(header: &[String], file: &LogFile) -> Result<()> {
    ensure!(
        !header.iter().any(|name| name == "item_id_list"),
        "{file} holds item_id_list sequences cut for a benchmark; prepare reads one event a row"
    );
    Ok(())
}

/// Reads the item file beside the interactions, if there is one.
pub(super) fn read_items(
    input: &Input,
    items: &mut ItemTable,
    options: &PrepareOptions,
    collector: &mut Collector,
    progress: &dyn Progress,
) -> Result<()> {
    let inter = Layout::RecBole.files(input)?.into_iter().next().context("no .inter file")?;
    let stem = plain(inter.base()).trim_end_matches(".inter");
    for ending in [".item", ".item.gz"] {
        if let Some(file) = inter.sibling(&format!("{stem}{ending}"))? {
            return items.read_table(&file, &DIALECT, &options.item_columns, collector, progress);
        }
    }
    Ok(())
}
