//! Arguments of `onshelf prepare`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use onshelf_trainer::prepare::{DEFAULT_MEMORY, PrepareOptions};

/// Arguments of `onshelf prepare`.
#[derive(Args)]
pub(crate) struct PrepareArgs {
    /// A log file, or a folder of them: a path, or an address with file:// or s3://.
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
    /// Names of the columns of --items, such as item=SKU,name=Title.
    #[arg(long)]
    item_columns: Option<String>,
    /// A JSON object from item to its attribute ids, for the layout of user sequences.
    #[arg(long)]
    item_attributes: Option<PathBuf>,
    /// The character between columns [default: found in the first line].
    #[arg(long)]
    delimiter: Option<char>,
    /// The first line of a delimited file is data; columns are named by their number, from 1.
    #[arg(long)]
    no_header: bool,
    /// For logs with users and no sessions: minutes without a click that end a session.
    #[arg(long, default_value_t = 30)]
    inactivity_minutes: u32,
    /// For logs with users and no sessions: a user's whole history is one sequence.
    #[arg(long)]
    user_history: bool,
    /// Days of a period, from the first click.
    #[arg(long)]
    period_days: Option<u32>,
    /// Two periods: sessions that begin in the last so many days, and those before.
    #[arg(long, conflicts_with = "period_days")]
    last_days: Option<u32>,
    /// Drop sessions of fewer clicks.
    #[arg(long)]
    min_session: Option<usize>,
    /// Drop items of fewer clicks.
    #[arg(long, default_value_t = 1)]
    min_item_count: usize,
    /// MiB of rows to keep in memory; what is beyond goes to a temporary folder in --out.
    #[arg(long, default_value_t = (DEFAULT_MEMORY >> 20) as u64, value_parser = clap::value_parser!(u64).range(1..=1_048_576))]
    memory: u64,
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
        if let Some(columns) = &self.item_columns {
            options.item_columns = columns.parse()?;
        }
        options.item_attributes.clone_from(&self.item_attributes);
        options.delimiter = self
            .delimiter
            .map(|c| u8::try_from(c).map_err(|_| anyhow::anyhow!("--delimiter {c:?} is not one byte")))
            .transpose()?;
        options.no_header = self.no_header;
        options.inactivity_minutes = self.inactivity_minutes;
        options.user_history = self.user_history;
        options.period_days = self.period_days;
        options.last_days = self.last_days;
        options.min_session = self.min_session;
        options.min_item_count = self.min_item_count;
        options.memory = usize::try_from(self.memory << 20)?;
        if let Some(names) = &self.no_filter {
            options.no_filter(names)?;
        }
        Ok(options)
    }
}
