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

mod output;
mod parquet;
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
use crate::stop;

pub use output::{Format, run, run_as};
pub use products::Product;
use products::Stock;

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

/// Makes a shop without writing it.
///
/// # Errors
///
/// When an option is out of its range.
pub fn generate(options: &SimulateOptions, progress: &dyn Progress) -> Result<Shop> {
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let stock = stock(options, &mut random)?;
    let mut rows = Vec::new();
    let log = visits(options, &stock, &mut random, progress, |row| {
        rows.push(row);
        Ok(())
    })?;
    // Stable, so that events of the same moment keep their order.
    rows.sort_by_key(|row| (row.time_ms, row.session));
    progress.finish(&format!("simulated {} sessions, {} events", log.sessions, rows.len()));
    Ok(Shop { products: stock.products, rows, sessions: log.sessions as usize, planted: log.planted })
}

/// The products, after a look at the options.
fn stock(options: &SimulateOptions, random: &mut ChaCha8Rng) -> Result<Stock> {
    ensure!((120..=100_000).contains(&options.products), "products: 120 to 100,000");
    ensure!((1..=10_000_000).contains(&options.shoppers), "shoppers: 1 to 10,000,000");
    ensure!((1..=366).contains(&options.days), "days: 1 to 366");
    Ok(products::make(options.products, options.days, random))
}

/// Hands over the rows of all visits, shopper by shopper. What is returned has the counts.
fn visits(
    options: &SimulateOptions,
    stock: &Stock,
    random: &mut ChaCha8Rng,
    progress: &dyn Progress,
    mut take: impl FnMut(Row) -> Result<()>,
) -> Result<shoppers::Log> {
    progress.start("simulating", Some(options.shoppers as u64));
    let mut log = shoppers::Log::default();
    for shopper in 0..options.shoppers as u32 {
        stop::check()?;
        shoppers::visit(shopper, stock, options.days, &mut log, random);
        log.rows.drain(..).try_for_each(&mut take)?;
        progress.advance(1);
    }
    // One session in a thousand is a robot's.
    for robot in 0..(log.sessions / 1_000).max(2) {
        shoppers::robot(robot, stock, options, &mut log, random);
        log.rows.drain(..).try_for_each(&mut take)?;
    }
    Ok(log)
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

#[cfg(test)]
mod tests;
