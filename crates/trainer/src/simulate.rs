//! `onshelf simulate`: a made-up shop with products, shoppers and their clicks, the same bytes
//! for the same seed.
//!
//! For demonstrations and tests, never for claims about quality: a model that does well here has
//! found the rules below, not people. What there is to find:
//!
//! - popularity is skewed, some products are in fashion for a while, and one in seven arrives
//!   during the weeks;
//! - a shopper prefers some categories, colours, brands and a price level, and these drift;
//! - a session keeps to a category; every product has substitutes, which are looked at before
//!   something is put in the cart, and complements, which are looked at afterwards; products looked
//!   at before come again;
//! - robots, floods, double clicks and bounces, as many as [`Planted`] says.

mod products;
mod shoppers;
mod words;

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::event::EventKind;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::progress::Progress;

pub use products::Product;

/// 2026-01-05T00:00:00Z, a Monday.
const START_MS: i64 = 1_767_571_200_000;
const DAY_MS: i64 = 86_400_000;

/// The size of the made-up shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SimulateOptions {
    /// Products, 120 to 100,000.
    pub products: usize,
    /// Shoppers, from 1.
    pub shoppers: usize,
    /// Days of clicks, 1 to 366.
    pub days: u32,
    /// Everything follows from it.
    pub seed: u64,
}

impl Default for SimulateOptions {
    /// About 40,000 sessions and 200,000 events.
    fn default() -> Self {
        Self { products: 3_000, shoppers: 6_000, days: 28, seed: 1 }
    }
}

/// The noise in the clicks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Planted {
    /// Sessions of robots, each of more than 200 events.
    pub robot_sessions: usize,
    /// Their events.
    pub robot_events: usize,
    /// Sessions with a flood.
    pub flood_sessions: usize,
    /// Events of floods: [`FLOOD_EVENTS`] a flood, of which the rule lets at most 30 pass.
    pub flood_events: usize,
    /// Events fired twice, outside of robots and floods.
    pub duplicates: usize,
    /// Views left within 700 ms, outside of robots and floods.
    pub bounces: usize,
}

/// Events of one flood.
pub const FLOOD_EVENTS: usize = 60;

/// One row of `clicks.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// From 0, in the order in which sessions were made.
    pub session: u32,
    /// From 0.
    pub shopper: u32,
    /// Position of the product, or `None` in a search.
    pub product: Option<u32>,
    /// What was done.
    pub kind: EventKind,
    /// Unix milliseconds.
    pub time_ms: i64,
    /// How long a view lasted, in milliseconds.
    pub dwell_ms: Option<u32>,
}

/// A made-up shop.
#[derive(Debug, Clone, PartialEq)]
pub struct Shop {
    /// The products; their position is their number.
    pub products: Vec<Product>,
    /// The events in time order.
    pub rows: Vec<Row>,
    /// Number of sessions.
    pub sessions: usize,
    /// The noise among the events.
    pub planted: Planted,
}

/// What [`run`] made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Simulated {
    /// Number of products.
    pub products: usize,
    /// Number of sessions.
    pub sessions: usize,
    /// Number of events.
    pub events: usize,
    /// The noise among them.
    pub planted: Planted,
}

/// Makes a shop and writes `products.json`, `items.csv` and `clicks.csv` into a folder.
///
/// # Errors
///
/// When an option is out of its range or a file cannot be written.
pub fn run(options: &SimulateOptions, folder: &Path, progress: &dyn Progress) -> Result<Simulated> {
    let shop = generate(options, progress)?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    write(folder, "products.json", &products_json(&shop)?)?;
    write(folder, "items.csv", &items_csv(&shop)?)?;
    write(folder, "clicks.csv", &clicks_csv(&shop)?)?;
    Ok(Simulated {
        products: shop.products.len(),
        sessions: shop.sessions,
        events: shop.rows.len(),
        planted: shop.planted,
    })
}

/// Makes a shop without writing it.
///
/// # Errors
///
/// When an option is out of its range.
pub fn generate(options: &SimulateOptions, progress: &dyn Progress) -> Result<Shop> {
    ensure!((120..=100_000).contains(&options.products), "products: 120 to 100,000");
    ensure!((1..=10_000_000).contains(&options.shoppers), "shoppers: 1 to 10,000,000");
    ensure!((1..=366).contains(&options.days), "days: 1 to 366");
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let stock = products::make(options.products, options.days, &mut random);
    progress.start("simulating", Some(options.shoppers as u64));
    let mut log = shoppers::Log::default();
    for shopper in 0..options.shoppers as u32 {
        shoppers::visit(shopper, &stock, options.days, &mut log, &mut random);
        progress.advance(1);
    }
    shoppers::robots(&stock, options, &mut log, &mut random);
    // Stable, so that events of the same moment keep their order.
    log.rows.sort_by_key(|row| (row.time_ms, row.session));
    progress.finish(&format!("simulated {} sessions, {} events", log.sessions, log.rows.len()));
    Ok(Shop {
        products: stock.products,
        rows: log.rows,
        sessions: log.sessions as usize,
        planted: log.planted,
    })
}

/// Writes the views as session-rec's RSC15 files have them: `SessionId`, `ItemId` and `Time` in
/// Unix seconds, between tabs, the sessions one after the other.
///
/// # Errors
///
/// When the file cannot be written.
pub fn write_rsc15(shop: &Shop, path: &Path) -> Result<()> {
    let mut views: Vec<_> = views(shop).collect();
    views.sort_by_key(|(row, _)| row.session);
    let mut out = b"SessionId\tItemId\tTime\n".to_vec();
    for (row, product) in views {
        let (seconds, ms) = (row.time_ms / 1_000, row.time_ms % 1_000);
        writeln!(out, "{}\t{}\t{seconds}.{ms:03}", row.session + 1, product + 1)?;
    }
    fs::write(path, out).with_context(|| path.display().to_string())
}

/// Writes the views as ADER's DIGINETICA has them: `period_N.txt` for week N with lines
/// `session item` in time order.
///
/// # Errors
///
/// When a file cannot be written.
pub fn write_period_layout(shop: &Shop, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut periods: Vec<Vec<u8>> = Vec::new();
    for (row, product) in views(shop) {
        let week = usize::try_from((row.time_ms - START_MS) / (7 * DAY_MS))?;
        if periods.len() <= week {
            periods.resize(week + 1, Vec::new());
        }
        writeln!(periods[week], "{} {}", row.session + 1, product + 1)?;
    }
    for (week, lines) in periods.iter().enumerate() {
        write(folder, &format!("period_{week}.txt"), lines)?;
    }
    Ok(())
}

fn views(shop: &Shop) -> impl Iterator<Item = (&Row, u32)> {
    let views = shop.rows.iter().filter(|row| row.kind == EventKind::ViewItem);
    views.filter_map(|row| Some((row, row.product?)))
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let path = folder.join(name);
    let temporary = folder.join(format!(".{name}.tmp"));
    fs::write(&temporary, bytes).with_context(|| temporary.display().to_string())?;
    fs::rename(&temporary, &path).with_context(|| path.display().to_string())
}

#[derive(Serialize)]
struct ProductsFile<'a> {
    shop: &'a str,
    currency: &'a str,
    products: &'a [Product],
}

fn products_json(shop: &Shop) -> Result<Vec<u8>> {
    let file = ProductsFile { shop: "Marlow & Finch", currency: "EUR", products: &shop.products };
    Ok(serde_json::to_vec(&file)?)
}

fn items_csv(shop: &Shop) -> Result<Vec<u8>> {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["item_id", "name", "brand", "category", "price", "stock"])?;
    for product in &shop.products {
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

fn clicks_csv(shop: &Shop) -> Result<Vec<u8>> {
    let mut out = b"session_id,user_id,item_id,event,time,dwell_ms\n".to_vec();
    for row in &shop.rows {
        let item = match row.product {
            Some(product) => &shop.products[product as usize].item_id,
            None => "",
        };
        write!(out, "s{:06},u{:05},{item},{},{},", row.session + 1, row.shopper + 1, row.kind, row.time_ms)?;
        if let Some(dwell) = row.dwell_ms {
            write!(out, "{dwell}")?;
        }
        out.push(b'\n');
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
