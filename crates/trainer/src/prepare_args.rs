//! Arguments of `onshelf prepare`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use onshelf_trainer::prepare::PrepareOptions;

/// Arguments of `onshelf prepare`.
#[derive(Args)]
pub(crate) struct PrepareArgs {
    /// A log file, or a folder of them.
    #[arg(long)]
    input: PathBuf,
    /// Folder of the data set.
    #[arg(long)]
    out: PathBuf,
    /// How the input is laid out [default: found by looking]: csv, recbole, parquet, periods, sequences, rsc15.
    #[arg(long)]
    layout: Option<String>,
    /// Name of the data set in tables.
    #[arg(long)]
    name: Option<String>,
    /// Names of the log's columns, such as session=SessionId,item=ItemId,time=Time,event=Kind,user=UserId.
    #[arg(long)]
    columns: Option<String>,
    /// Attributes of items: CSV, TSV or JSON lines with item_id,name,brand,category,price,stock.
    #[arg(long)]
    items: Option<PathBuf>,
    /// Days of a period, from the first click.
    #[arg(long)]
    period_days: Option<u32>,
    /// Drop sessions of fewer clicks.
    #[arg(long)]
    min_session: Option<usize>,
    /// Drop items of fewer clicks.
    #[arg(long, default_value_t = 1)]
    min_item_count: usize,
    /// Rules to switch off: robots, duplicates, bounces, floods, comma-separated.
    #[arg(long)]
    no_filter: Option<String>,
}

impl PrepareArgs {
    pub(crate) fn options(&self) -> Result<PrepareOptions> {
        let mut options = PrepareOptions::new(&self.input, &self.out);
        options.layout = self.layout.as_deref().map(str::parse).transpose()?;
        options.name.clone_from(&self.name);
        if let Some(columns) = &self.columns {
            options.columns = columns.parse()?;
        }
        options.items.clone_from(&self.items);
        options.period_days = self.period_days;
        options.min_session = self.min_session;
        options.min_item_count = self.min_item_count;
        if let Some(names) = &self.no_filter {
            options.no_filter(names)?;
        }
        Ok(options)
    }
}
