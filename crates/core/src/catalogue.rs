//! The shop's items: dense index ↔ the shop's own id, and what is known about each item.
//!
//! Items are numbered 1 to `n`; index 0 is the padding of short sessions and never an item. Text
//! is kept in one buffer per column, so that a million items fit in a browser.
//!
//! # The JSON format, version 1
//!
//! Written by `prepare` and `export`, read by the trainer and the browser. One object; position
//! `k` of every column belongs to index `k + 1`:
//!
//! | field | content |
//! | --- | --- |
//! | `format` | `1` |
//! | `ids` | the shop's ids: distinct strings of 1 to 512 bytes |
//! | `names` | strings, `""` where unknown; or `null` |
//! | `brands` | `{"values": [string], "codes": [position in values]}`; or `null` |
//! | `categories` | `{"values": [[string, from the root]], "codes": [position in values]}`; or `null` |
//! | `prices` | numbers ≥ 0, `null` where unknown; or `null` |
//! | `stocks` | whole numbers from 0, `null` where unknown; or `null` |
//! | `untrained` | indices (from 1) of the items without a place: no training click named them, and nothing is known about them that is known about others |
//!
//! Columns that are `null` may be left out; unknown fields are refused. The same catalogue always
//! gives the same bytes.

mod builder;
mod columns;
mod error;

use std::fmt;

use serde::{Deserialize, Serialize};

use columns::{IdTable, PathColumn, TextColumn, UNKNOWN_PRICE, UNKNOWN_STOCK};

pub use builder::{CatalogueBuilder, ItemAttributes};
pub use error::CatalogueError;

/// The newest format this version reads, and the one it writes.
pub const FORMAT: u32 = 1;
/// The longest id, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 512;
/// The most items, so that an index fits in 24 bits.
pub const MAX_ITEMS: usize = 16_777_215;

/// The items of a shop. Indices are 1 to [`Catalogue::len`]; the accessors answer with "unknown"
/// (`None`, an empty path, code 0) for 0 and for indices past the end.
#[derive(Clone, PartialEq)]
pub struct Catalogue {
    ids: TextColumn,
    by_id: IdTable,
    names: Option<TextColumn>,
    brands: Option<Coded<TextColumn>>,
    categories: Option<Coded<PathColumn>>,
    /// [`UNKNOWN_PRICE`] where unknown.
    prices: Option<Vec<f32>>,
    /// [`UNKNOWN_STOCK`] where unknown.
    stocks: Option<Vec<u32>>,
    /// Whether each item was named in training.
    trained: Vec<bool>,
}

/// A column of few distinct values.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Coded<V> {
    values: V,
    codes: Vec<u32>,
}

/// The JSON object, for reading.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    format: u32,
    ids: TextColumn,
    #[serde(default)]
    names: Option<TextColumn>,
    #[serde(default)]
    brands: Option<Coded<TextColumn>>,
    #[serde(default)]
    categories: Option<Coded<PathColumn>>,
    #[serde(default)]
    prices: Option<Vec<Option<f32>>>,
    #[serde(default)]
    stocks: Option<Vec<Option<u32>>>,
    #[serde(default)]
    untrained: Vec<u32>,
}

/// Only the version of the JSON object: what can be read of any format.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// The JSON object, for writing; fields in the documented order.
#[derive(Serialize)]
struct Write<'a> {
    format: u32,
    ids: &'a TextColumn,
    names: &'a Option<TextColumn>,
    brands: &'a Option<Coded<TextColumn>>,
    categories: &'a Option<Coded<PathColumn>>,
    prices: Option<Vec<Option<f32>>>,
    stocks: Option<Vec<Option<u32>>>,
    untrained: Vec<u32>,
}

impl Catalogue {
    /// Reads the JSON format described in the [module documentation](self).
    ///
    /// # Errors
    ///
    /// Every [`CatalogueError`]; nothing outside the format is accepted.
    pub fn from_json(bytes: &[u8]) -> Result<Self, CatalogueError> {
        let read: Result<Read, _> = serde_json::from_slice(bytes);
        // A newer format may have any shape, so its number is looked for before complaining.
        let format = match &read {
            Ok(read) => Some(read.format),
            Err(_) => serde_json::from_slice(bytes).ok().map(|Header { format }| format),
        };
        match format {
            Some(found) if found > FORMAT => return Err(CatalogueError::NewerFormat { found }),
            Some(found) if found < FORMAT => return Err(CatalogueError::UnknownFormat { found }),
            _ => {}
        }
        let read = read.map_err(|error| json_error(&error))?;
        let trained = trained_flags(&read.untrained, read.ids.len())?;
        Self::from_columns(Columns {
            ids: read.ids,
            names: read.names,
            brands: read.brands,
            categories: read.categories,
            prices: read.prices.map(price_column).transpose()?,
            stocks: read.stocks.map(|column| column.into_iter().map(columns::stock_code).collect()),
            trained,
        })
    }

    /// Writes the JSON format: the same bytes for the same catalogue.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let known_price = |&price: &f32| (price != UNKNOWN_PRICE).then_some(price);
        let known_stock = |&stock: &u32| (stock != UNKNOWN_STOCK).then_some(stock);
        let write = Write {
            format: FORMAT,
            ids: &self.ids,
            names: &self.names,
            brands: &self.brands,
            categories: &self.categories,
            prices: self.prices.as_ref().map(|p| p.iter().map(known_price).collect()),
            stocks: self.stocks.as_ref().map(|s| s.iter().map(known_stock).collect()),
            untrained: (1..).zip(&self.trained).filter(|(_, t)| !**t).map(|(i, _)| i).collect(),
        };
        serde_json::to_vec(&write).expect("strings and finite numbers are always valid JSON")
    }

    /// Checks everything that one column alone cannot know.
    fn from_columns(columns: Columns) -> Result<Self, CatalogueError> {
        let items = columns.ids.len();
        if items > MAX_ITEMS {
            return Err(CatalogueError::TooManyItems);
        }
        columns.ids.check_size("ids")?;
        check_ids(&columns.ids)?;
        check_length("names", columns.names.as_ref().map(TextColumn::len), items)?;
        if let Some(names) = &columns.names {
            names.check_size("names")?;
        }
        if let Some(Coded { values, codes }) = &columns.brands {
            values.check_size("brands")?;
            check_codes("brands", codes, values.len(), items)?;
        }
        if let Some(Coded { values, codes }) = &columns.categories {
            check_codes("categories", codes, values.len(), items)?;
        }
        check_length("prices", columns.prices.as_ref().map(Vec::len), items)?;
        check_length("stocks", columns.stocks.as_ref().map(Vec::len), items)?;
        let by_id = IdTable::new(&columns.ids).map_err(|(first, second)| CatalogueError::DuplicateId {
            id: columns.ids.get(second).unwrap_or_default().to_owned(),
            first: index_at(first),
            second: index_at(second),
        })?;
        Ok(Self {
            ids: columns.ids,
            by_id,
            names: columns.names,
            brands: columns.brands,
            categories: columns.categories,
            prices: columns.prices,
            stocks: columns.stocks,
            trained: columns.trained,
        })
    }

    /// Number of items; the last index.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The index of the shop's id.
    #[must_use]
    pub fn index_of(&self, id: &str) -> Option<u32> {
        self.by_id.find(id, &self.ids).map(index_at)
    }

    /// The shop's id of an item.
    #[must_use]
    pub fn id(&self, index: u32) -> Option<&str> {
        self.ids.get(position(index)?)
    }

    /// The name of an item.
    #[must_use]
    pub fn name(&self, index: u32) -> Option<&str> {
        let name = self.names.as_ref()?.get(position(index)?)?;
        (!name.is_empty()).then_some(name)
    }

    /// The brand of an item.
    #[must_use]
    pub fn brand(&self, index: u32) -> Option<&str> {
        let brands = self.brands.as_ref()?;
        let brand = brands.values.get(*brands.codes.get(position(index)?)? as usize)?;
        (!brand.is_empty()).then_some(brand)
    }

    /// The number of an item's brand, below [`Self::brand_codes`]. Items without a brand share a
    /// number (0 in a catalogue without brands).
    #[must_use]
    pub fn brand_code(&self, index: u32) -> u32 {
        code_of(self.brands.as_ref().map(|coded| &coded.codes[..]), index)
    }

    /// How many brand numbers there are; at least 1.
    #[must_use]
    pub fn brand_codes(&self) -> usize {
        self.brands.as_ref().map_or(1, |coded| coded.values.len().max(1))
    }

    /// The category path of an item from the root; empty when unknown.
    #[must_use]
    pub fn category(&self, index: u32) -> &[String] {
        match self.id(index) {
            Some(_) => self.category_of_code(self.category_code(index)),
            None => &[],
        }
    }

    /// The number of an item's category path, below [`Self::category_codes`]. Items without a
    /// category share a number (0 in a catalogue without categories).
    #[must_use]
    pub fn category_code(&self, index: u32) -> u32 {
        code_of(self.categories.as_ref().map(|coded| &coded.codes[..]), index)
    }

    /// How many category numbers there are; at least 1.
    #[must_use]
    pub fn category_codes(&self) -> usize {
        self.categories.as_ref().map_or(1, |coded| coded.values.len().max(1))
    }

    /// The category path of a number from [`Self::category_code`]; empty when there is none.
    #[must_use]
    pub fn category_of_code(&self, code: u32) -> &[String] {
        self.categories.as_ref().and_then(|coded| coded.values.get(code as usize)).map_or(&[], Vec::as_slice)
    }

    /// The price of an item in the shop's currency, from 0.
    #[must_use]
    pub fn price(&self, index: u32) -> Option<f32> {
        let price = *self.prices.as_ref()?.get(position(index)?)?;
        (price != UNKNOWN_PRICE).then_some(price)
    }

    /// How many pieces of an item are in stock; 0 is sold out.
    #[must_use]
    pub fn stock(&self, index: u32) -> Option<u32> {
        let stock = *self.stocks.as_ref()?.get(position(index)?)?;
        (stock != UNKNOWN_STOCK).then_some(stock)
    }

    /// Whether the item has a place: training saw it, or its attributes say where. Another item is
    /// recommended only when asked for.
    #[must_use]
    pub fn is_trained(&self, index: u32) -> bool {
        position(index).and_then(|at| self.trained.get(at)).copied().unwrap_or(false)
    }
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").field("items", &self.len()).finish_non_exhaustive()
    }
}

/// Columns whose entries are valid each for itself.
struct Columns {
    ids: TextColumn,
    names: Option<TextColumn>,
    brands: Option<Coded<TextColumn>>,
    categories: Option<Coded<PathColumn>>,
    prices: Option<Vec<f32>>,
    stocks: Option<Vec<u32>>,
    trained: Vec<bool>,
}

/// Position in the columns of an index; `None` for the padding.
fn position(index: u32) -> Option<usize> {
    Some(index.checked_sub(1)? as usize)
}

/// Index of a position in the columns. Only for error messages may it saturate: catalogues end
/// far below.
fn index_at(position: usize) -> u32 {
    u32::try_from(position + 1).unwrap_or(u32::MAX)
}

fn code_of(codes: Option<&[u32]>, index: u32) -> u32 {
    codes.and_then(|codes| codes.get(position(index)?)).copied().unwrap_or(0)
}

fn bad_price(price: f32) -> bool {
    !price.is_finite() || price < 0.0
}

fn price_column(column: Vec<Option<f32>>) -> Result<Vec<f32>, CatalogueError> {
    let entries = (1..).zip(column);
    entries
        .map(|(index, price)| match price {
            // A JSON number may be finite and yet too large for an f32.
            Some(price) if bad_price(price) => Err(CatalogueError::Price { index, price }),
            price => Ok(price.unwrap_or(UNKNOWN_PRICE)),
        })
        .collect()
}

fn trained_flags(untrained: &[u32], items: usize) -> Result<Vec<bool>, CatalogueError> {
    let mut trained = vec![true; items];
    for &index in untrained {
        let flag = position(index).and_then(|at| trained.get_mut(at));
        *flag.ok_or(CatalogueError::IndexOutOfRange { index, items })? = false;
    }
    Ok(trained)
}

fn check_ids(ids: &TextColumn) -> Result<(), CatalogueError> {
    for (index, id) in (1..).zip(ids.iter()) {
        check_id(index, id)?;
    }
    Ok(())
}

fn check_id(index: u32, id: &str) -> Result<(), CatalogueError> {
    match id.len() {
        0 => Err(CatalogueError::EmptyId { index }),
        1..=MAX_ID_BYTES => Ok(()),
        bytes => Err(CatalogueError::IdTooLong { index, bytes }),
    }
}

fn check_length(column: &'static str, found: Option<usize>, expected: usize) -> Result<(), CatalogueError> {
    match found {
        Some(found) if found != expected => Err(CatalogueError::ColumnLength { column, found, expected }),
        _ => Ok(()),
    }
}

fn check_codes(
    column: &'static str,
    codes: &[u32],
    values: usize,
    items: usize,
) -> Result<(), CatalogueError> {
    check_length(column, Some(codes.len()), items)?;
    match codes.iter().position(|&code| code as usize >= values) {
        Some(at) => {
            Err(CatalogueError::CodeOutOfRange { column, index: index_at(at), code: codes[at], values })
        }
        None => Ok(()),
    }
}

fn json_error(error: &serde_json::Error) -> CatalogueError {
    let (line, column) = (error.line(), error.column());
    let full = error.to_string();
    let place = format!(" at line {line} column {column}");
    CatalogueError::Json { reason: full.strip_suffix(&place).unwrap_or(&full).to_owned(), line, column }
}

#[cfg(test)]
mod tests;
