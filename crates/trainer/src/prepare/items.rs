//! What is known about the items besides the clicks on them.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use csv::ByteRecord;
use onshelf_core::catalogue::{ItemAttributes, MAX_ID_BYTES};
use serde_json::Value;

use super::collect::{BadRow, Collector};
use super::columns::{ColumnMap, ItemColumns};
use super::csv::{Dialect, Table};
use super::input::{self, LogFile};
use crate::progress::Progress;

/// Attributes by item id, in the order of their source.
#[derive(Debug, Default)]
pub(super) struct ItemTable {
    items: Vec<(String, ItemAttributes)>,
    by_id: HashMap<String, usize>,
    /// Rows read, good or bad.
    pub(super) rows: u64,
    /// Bad rows by reason; of a duplicate id, the first row stays.
    pub(super) quarantined: BTreeMap<String, u64>,
}

impl ItemTable {
    pub(super) fn get(&self, id: &str) -> Option<&ItemAttributes> {
        Some(&self.items[*self.by_id.get(id)?].1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &ItemAttributes)> {
        self.items.iter().map(|(id, attributes)| (id.as_str(), attributes))
    }

    /// Reads an item file: JSON lines when it begins with a brace, else delimited text.
    pub(super) fn read_file(
        &mut self,
        file: &LogFile,
        map: &ColumnMap,
        collector: &mut Collector,
        progress: &dyn Progress,
    ) -> Result<()> {
        let first = file.first_lines(1)?;
        if first.first().is_some_and(|line| line.starts_with('{')) {
            return self.read_json_lines(file, map, collector, progress);
        }
        let dialect = Dialect { delimiter: None, no_header: false, typed_header: false };
        self.read_table(file, &dialect, map, collector, progress)
    }

    /// Reads delimited text with a header.
    pub(super) fn read_table(
        &mut self,
        file: &LogFile,
        dialect: &Dialect,
        map: &ColumnMap,
        collector: &mut Collector,
        progress: &dyn Progress,
    ) -> Result<()> {
        collector.file(file);
        input::start(std::slice::from_ref(file), "reading the items", progress)?;
        let mut table = Table::open(file, dialect, progress)?;
        let columns = ItemColumns::find(map, &table.header).with_context(|| file.to_string())?;
        while let Some((line, record)) = table.next()? {
            let item = from_record(record, &columns);
            self.take(item, line, collector)?;
        }
        progress.finish(&format!("read {} items", self.items.len()));
        Ok(())
    }

    fn read_json_lines(
        &mut self,
        file: &LogFile,
        map: &ColumnMap,
        collector: &mut Collector,
        progress: &dyn Progress,
    ) -> Result<()> {
        collector.file(file);
        input::start(std::slice::from_ref(file), "reading the items", progress)?;
        file.each_line(progress, |line, content| {
            self.take(from_json(content, map), line, collector)?;
            Ok(true)
        })?;
        progress.finish(&format!("read {} items", self.items.len()));
        Ok(())
    }

    /// Reads a JSON object from item id to the list of its attribute ids, as
    /// `X_item2attributes.json` of S3-Rec. The list becomes the category path: the sets name
    /// neither categories nor brands.
    pub(super) fn read_attribute_ids(&mut self, file: &LogFile) -> Result<()> {
        let reader = file.open(&crate::progress::Silent)?;
        let table: BTreeMap<String, Vec<u64>> =
            serde_json::from_reader(reader).with_context(|| file.to_string())?;
        for (id, attribute_ids) in table {
            let category = attribute_ids.iter().map(u64::to_string).collect();
            let place = *self.by_id.entry(id).or_insert_with_key(|id| {
                self.items.push((id.clone(), ItemAttributes::default()));
                self.items.len() - 1
            });
            self.items[place].1.category = category;
            self.rows += 1;
        }
        Ok(())
    }

    fn take(
        &mut self,
        item: Result<(String, ItemAttributes), BadRow>,
        line: u64,
        collector: &mut Collector,
    ) -> Result<()> {
        self.rows += 1;
        let reason = match item {
            Ok((id, _)) if id.is_empty() => BadRow::MissingItem,
            Ok((id, _)) if id.len() > MAX_ID_BYTES => BadRow::IdTooLong,
            Ok((id, _)) if self.by_id.contains_key(&id) => BadRow::DuplicateId,
            Ok((id, attributes)) => {
                self.by_id.insert(id.clone(), self.items.len());
                self.items.push((id, attributes));
                return Ok(());
            }
            Err(reason) => reason,
        };
        *self.quarantined.entry(reason.as_str().to_owned()).or_default() += 1;
        collector.bad_item_row(line, reason)
    }
}

fn from_record(record: &ByteRecord, columns: &ItemColumns) -> Result<(String, ItemAttributes), BadRow> {
    let text = |at: usize| {
        let field = record.get(at).ok_or(BadRow::TooFewColumns)?;
        std::str::from_utf8(field).map(str::trim).map_err(|_| BadRow::NotUtf8)
    };
    let filled = |at: Option<usize>| match at.map(text).transpose()? {
        Some("") | None => Ok(None),
        Some(text) => Ok(Some(text.to_owned())),
    };
    let attributes = ItemAttributes {
        name: filled(columns.name)?,
        brand: filled(columns.brand)?,
        category: path_of(&filled(columns.category)?.unwrap_or_default()),
        price: filled(columns.price)?.map(|price| price_of(&price)).transpose()?,
        stock: filled(columns.stock)?.map(|stock| stock_of(&stock)).transpose()?,
    };
    Ok((text(columns.item)?.to_owned(), attributes))
}

/// An item from a JSON object. Objects need not all have the same fields.
fn from_json(line: &[u8], map: &ColumnMap) -> Result<(String, ItemAttributes), BadRow> {
    let Ok(Value::Object(object)) = serde_json::from_slice(line) else {
        return Err(BadRow::Malformed);
    };
    let header: Vec<String> = object.keys().cloned().collect();
    let columns = ItemColumns::find(map, &header).map_err(|_| BadRow::MissingItem)?;
    let value = |at: usize| &object[&header[at]];
    let filled = |at: Option<usize>| at.map(value).and_then(plain).filter(|text| !text.is_empty());
    let category = match columns.category.map(value) {
        Some(Value::Array(path)) => path.iter().filter_map(plain).collect(),
        Some(other) => path_of(&plain(other).unwrap_or_default()),
        None => Vec::new(),
    };
    let attributes = ItemAttributes {
        name: filled(columns.name),
        brand: filled(columns.brand),
        category,
        price: filled(columns.price).map(|price| price_of(&price)).transpose()?,
        stock: filled(columns.stock).map(|stock| stock_of(&stock)).transpose()?,
    };
    Ok((plain(value(columns.item)).unwrap_or_default(), attributes))
}

/// The text of a JSON string or number.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `Home > Kitchen > Mugs` as a path.
fn path_of(text: &str) -> Vec<String> {
    text.split('>').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn price_of(text: &str) -> Result<f32, BadRow> {
    let price: f32 = text.parse().map_err(|_| BadRow::BadPrice)?;
    (price.is_finite() && price >= 0.0).then_some(price).ok_or(BadRow::BadPrice)
}

/// A whole number; exports often write `7.0`.
fn stock_of(text: &str) -> Result<u32, BadRow> {
    let whole = text.strip_suffix(".0").unwrap_or(text);
    whole.parse().map_err(|_| BadRow::BadStock)
}
