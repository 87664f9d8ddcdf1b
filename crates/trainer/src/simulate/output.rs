//! The files of a made-up shop, written as the clicks are sorted: a large log is never in memory.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use onshelf_core::event::EventKind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::parquet::Parts;
use super::{Product, Row, SimulateOptions, Simulated, stock, visits};
use crate::files::{Staged, cannot_write};
use crate::progress::Progress;
use crate::spill::{Record, Spill, take};

/// Bytes of clicks that are sorted in memory.
const MEMORY: usize = 256 << 20;

/// How the clicks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `csv`: one file, `clicks.csv`.
    #[default]
    Csv,
    /// `parquet`: a folder of files, `clicks/part-00000.parquet` and on.
    Parquet,
}

impl FromStr for Format {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "csv" => Self::Csv,
            "parquet" => Self::Parquet,
            _ => bail!("unknown format {name:?}; known are csv, parquet"),
        })
    }
}

/// Makes a shop and writes `products.json`, `items.csv` and `clicks.csv` into a folder.
///
/// # Errors
///
/// When an option is out of its range or a file cannot be written.
pub fn run(options: &SimulateOptions, folder: &Path, progress: &dyn Progress) -> Result<Simulated> {
    run_as(Format::Csv, options, folder, progress)
}

/// As [`run`], with the clicks in a format. Parquet files replace the folder `clicks`.
///
/// # Errors
///
/// As [`run`].
pub fn run_as(
    format: Format,
    options: &SimulateOptions,
    folder: &Path,
    progress: &dyn Progress,
) -> Result<Simulated> {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let stock = stock(options, &mut random)?;
    let mut staged = Staged::new(folder)?;
    staged.write("products.json", &products_json(&stock.products)?)?;
    staged.write("items.csv", &items_csv(&stock.products)?)?;

    let spill = Spill::create(folder)?;
    let mut sorter = spill.sorter("clicks", MEMORY);
    let mut events = 0;
    let log = visits(options, &stock, &mut random, progress, |row| {
        sorter.push(Sortable::of(&row, events))?;
        events += 1;
        Ok(())
    })?;
    progress.finish(&format!("simulated {} sessions, {events} events", log.sessions));
    progress.start("writing", Some(events));
    let rows = sorter.finish()?;
    let rows = rows.iter()?.map(|row| {
        progress.advance(1);
        row.map(|row| row.row())
    });
    match format {
        Format::Csv => {
            write_csv(&staged.add("clicks.csv"), rows, &stock.products)?;
            staged.commit()?;
        }
        Format::Parquet => {
            let parts = Parts::create(spill.path("parts"))?;
            parts.write(rows, &stock.products)?.replace(&folder.join("clicks"))?;
            staged.commit()?;
        }
    }
    progress.finish(&format!("wrote {events} events"));
    Ok(Simulated {
        products: stock.products.len(),
        sessions: log.sessions as usize,
        events: usize::try_from(events)?,
        planted: log.planted,
    })
}

/// A [`Row`] in the order of the file: by time and session, then as it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Sortable {
    time_ms: i64,
    session: u32,
    made: u64,
    shopper: u32,
    product: u32,
    dwell_ms: u32,
    kind: EventKind,
}

/// Stands for no product and for no dwell.
const NONE: u32 = u32::MAX;

impl Sortable {
    fn of(row: &Row, made: u64) -> Self {
        let Row { session, shopper, product, kind, time_ms, dwell_ms } = *row;
        let (product, dwell_ms) = (product.unwrap_or(NONE), dwell_ms.unwrap_or(NONE));
        Self { time_ms, session, made, shopper, product, dwell_ms, kind }
    }

    fn row(self) -> Row {
        let some = |number: u32| (number != NONE).then_some(number);
        let Self { session, shopper, kind, time_ms, .. } = self;
        Row { session, shopper, product: some(self.product), kind, time_ms, dwell_ms: some(self.dwell_ms) }
    }
}

impl Record for Sortable {
    const BYTES: usize = 33;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.time_ms.to_le_bytes());
        out.extend(self.made.to_le_bytes());
        for number in [self.session, self.shopper, self.product, self.dwell_ms] {
            out.extend(number.to_le_bytes());
        }
        out.push(self.kind.code());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            time_ms: i64::from_le_bytes(take(bytes)?),
            made: u64::from_le_bytes(take(bytes)?),
            session: u32::from_le_bytes(take(bytes)?),
            shopper: u32::from_le_bytes(take(bytes)?),
            product: u32::from_le_bytes(take(bytes)?),
            dwell_ms: u32::from_le_bytes(take(bytes)?),
            kind: EventKind::from_code(take::<1>(bytes)?[0]).ok()?,
        })
    }
}

/// The id of a row's session.
pub(super) fn session_id(row: &Row) -> String {
    format!("s{:06}", row.session + 1)
}

/// The id of a row's shopper.
pub(super) fn user_id(row: &Row) -> String {
    format!("u{:05}", row.shopper + 1)
}

fn write_csv(path: &Path, rows: impl Iterator<Item = Result<Row>>, products: &[Product]) -> Result<()> {
    let named = || cannot_write(path);
    let mut out = BufWriter::new(File::create(path).with_context(named)?);
    writeln!(out, "session_id,user_id,item_id,event,time,dwell_ms").with_context(named)?;
    for row in rows {
        let row = row?;
        let item = row.product.map_or("", |product| &products[product as usize].item_id);
        let (session, user) = (session_id(&row), user_id(&row));
        let dwell = row.dwell_ms.map(|dwell| dwell.to_string()).unwrap_or_default();
        writeln!(out, "{session},{user},{item},{},{},{dwell}", row.kind, row.time_ms).with_context(named)?;
    }
    out.flush().with_context(named)
}

#[derive(Serialize)]
struct ProductsFile<'a> {
    shop: &'a str,
    currency: &'a str,
    products: &'a [Product],
}

fn products_json(products: &[Product]) -> Result<Vec<u8>> {
    let file = ProductsFile { shop: "Marlow & Finch", currency: "EUR", products };
    Ok(serde_json::to_vec(&file)?)
}

fn items_csv(products: &[Product]) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["item_id", "name", "brand", "category", "price", "stock"])?;
    for product in products {
        out.write_record([
            &product.item_id,
            &product.name,
            &product.brand,
            &product.category.join(" > "),
            &format!("{:.2}", product.price),
            &product.stock.to_string(),
        ])?;
    }
    Ok(out.into_inner()?)
}
