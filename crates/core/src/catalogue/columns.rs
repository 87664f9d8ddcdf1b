//! The packed columns of a catalogue.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::CatalogueError;

/// Stands for "unknown" in the price column; not NaN, so that equal catalogues compare equal.
pub(super) const UNKNOWN_PRICE: f32 = -1.0;

/// Stands for "unknown" in the stock column.
pub(super) const UNKNOWN_STOCK: u32 = u32::MAX;

/// The stock column's entry; a stock that would read as "unknown" is one less.
pub(super) fn stock_code(stock: Option<u32>) -> u32 {
    stock.map_or(UNKNOWN_STOCK, |stock| stock.min(UNKNOWN_STOCK - 1))
}

/// Strings one behind the other in one buffer: 4 bytes a string over its text, against 24 and an
/// allocation for a `String`.
#[derive(Clone, Default, PartialEq)]
pub(super) struct TextColumn {
    text: String,
    /// Where each string ends.
    ends: Vec<u32>,
    /// Whether the text outgrew the offsets; from then on nothing is added.
    overflow: bool,
}

impl TextColumn {
    pub(super) fn push(&mut self, entry: &str) {
        let end = u32::try_from(self.text.len() + entry.len());
        match end {
            Ok(end) if !self.overflow => {
                self.text.push_str(entry);
                self.ends.push(end);
            }
            _ => self.overflow = true,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)? as usize;
        let start = match at {
            0 => 0,
            _ => self.ends[at - 1] as usize,
        };
        Some(&self.text[start..end])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|at| self.get(at))
    }

    /// Fails when not all that was pushed is held.
    pub(super) fn check_size(&self, column: &'static str) -> Result<(), CatalogueError> {
        match self.overflow {
            true => Err(CatalogueError::TooMuchText { column }),
            false => Ok(()),
        }
    }
}

impl Serialize for TextColumn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.len()))?;
        for entry in self.iter() {
            sequence.serialize_element(entry)?;
        }
        sequence.end()
    }
}

impl<'de> Deserialize<'de> for TextColumn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(TextVisitor)
    }
}

/// Reads strings straight into the buffer, without a `String` for each.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = TextColumn;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<TextColumn, A::Error> {
        let mut column = TextColumn::default();
        while sequence.next_element_seed(PushInto(&mut column))?.is_some() {}
        column.text.shrink_to_fit();
        column.ends.shrink_to_fit();
        Ok(column)
    }
}

/// Reads one string onto the end of a column.
struct PushInto<'a>(&'a mut TextColumn);

impl<'de> serde::de::DeserializeSeed<'de> for PushInto<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for PushInto<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, entry: &str) -> Result<(), E> {
        self.0.push(entry);
        Ok(())
    }
}

/// The distinct category paths: few, so each is a list of its own.
pub(super) type PathColumn = Vec<Vec<String>>;

/// Finds the position of an id: a hash table with linear probing that holds positions only (at
/// most 8 bytes an item); the text stays in the id column.
#[derive(Clone, PartialEq)]
pub(super) struct IdTable {
    /// Position + 1; 0 is free. The length is a power of two.
    slots: Vec<u32>,
}

impl IdTable {
    /// Enters every id. The error is the positions of two equal ids.
    pub(super) fn new(ids: &TextColumn) -> Result<Self, (usize, usize)> {
        // At most two thirds full keeps the probes short.
        let slots = (ids.len() + ids.len() / 2 + 1).next_power_of_two();
        let mut table = Self { slots: vec![0; slots] };
        for (position, id) in ids.iter().enumerate() {
            match table.probe(id, ids) {
                Ok(first) => return Err((first, position)),
                Err(free) => {
                    // The number of items is checked against MAX_ITEMS before.
                    table.slots[free] = u32::try_from(position + 1).expect("few enough items");
                }
            }
        }
        Ok(table)
    }

    pub(super) fn find(&self, id: &str, ids: &TextColumn) -> Option<usize> {
        self.probe(id, ids).ok()
    }

    /// The position of an id, or the free slot where it belongs.
    fn probe(&self, id: &str, ids: &TextColumn) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        // The high half of the product is the well mixed one.
        let mut slot = (hash(id.as_bytes()) >> 32) as usize & mask;
        loop {
            match self.slots[slot] {
                0 => return Err(slot),
                entry if ids.get(entry as usize - 1) == Some(id) => return Ok(entry as usize - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }
}

/// FNV-1a, with one more multiplication to mix the last bytes upwards. Ids are the shop's own,
/// so nothing is gained by choosing them to collide.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (fnv ^ (fnv >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
