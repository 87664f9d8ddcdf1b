//! Arguments of `onshelf simulate`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use onshelf_trainer::progress::Progress;
use onshelf_trainer::simulate::{self, Format, SimulateOptions};

/// Arguments of `onshelf simulate`.
#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// Folder for products.json, items.csv and the clicks.
    #[arg(long)]
    out: PathBuf,
    /// How the clicks are written: csv (clicks.csv) or parquet (a folder, clicks).
    #[arg(long, default_value = "csv")]
    format: Format,
    /// Products in the shop.
    #[arg(long, default_value_t = 3000)]
    products: usize,
    /// Shoppers.
    #[arg(long, default_value_t = 6000)]
    shoppers: usize,
    /// Days of clicks.
    #[arg(long, default_value_t = 28)]
    days: u32,
    /// Seed: the same seed gives the same bytes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl SimulateArgs {
    pub(crate) fn run(&self, progress: &dyn Progress) -> Result<String> {
        let options = SimulateOptions {
            products: self.products,
            shoppers: self.shoppers,
            days: self.days,
            seed: self.seed,
        };
        simulate::run_as(self.format, &options, &self.out, progress)?;
        let clicks = if self.format == Format::Csv { "clicks.csv" } else { "the folder clicks" };
        Ok(format!("products.json, items.csv and {clicks} in {}", self.out.display()))
    }
}
