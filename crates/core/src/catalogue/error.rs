//! Why a catalogue is refused.

use super::{FORMAT, MAX_ID_BYTES, MAX_ITEMS};

/// Why a catalogue cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// Two items have the same id.
    #[error("item id {id:?} stands twice, at index {first} and at index {second}")]
    DuplicateId {
        /// The id.
        id: String,
        /// Index of its first item.
        first: u32,
        /// Index of its second item.
        second: u32,
    },
    /// An id is the empty string.
    #[error("the item at index {index} has an empty id")]
    EmptyId {
        /// The item.
        index: u32,
    },
    /// An id is longer than [`MAX_ID_BYTES`].
    #[error("the id of the item at index {index} is {bytes} bytes long; {MAX_ID_BYTES} are allowed")]
    IdTooLong {
        /// The item.
        index: u32,
        /// Length of its id in bytes.
        bytes: usize,
    },
    /// A column has not one entry per item.
    #[error("column {column} has {found} entries for {expected} items")]
    ColumnLength {
        /// The field of the format.
        column: &'static str,
        /// Entries found.
        found: usize,
        /// Number of items.
        expected: usize,
    },
    /// A code points past the values of its column.
    #[error("column {column}: the item at index {index} has code {code}, but there are {values} values")]
    CodeOutOfRange {
        /// The field of the format.
        column: &'static str,
        /// The item.
        index: u32,
        /// Its code.
        code: u32,
        /// Number of values.
        values: usize,
    },
    /// `untrained` names an index that is no item.
    #[error("untrained names index {index}, but items are 1 to {items}")]
    IndexOutOfRange {
        /// The index.
        index: u32,
        /// Number of items.
        items: usize,
    },
    /// A price is negative or not a finite number.
    #[error("the item at index {index} has the price {price}; a price is a number from 0")]
    Price {
        /// The item.
        index: u32,
        /// Its price.
        price: f32,
    },
    /// The catalogue was written by a newer onshelf.
    #[error("the catalogue has format {found}, this onshelf reads up to {FORMAT}: update onshelf")]
    NewerFormat {
        /// Its format.
        found: u32,
    },
    /// The format number was never used.
    #[error("the catalogue has format {found}, which never existed")]
    UnknownFormat {
        /// Its format.
        found: u32,
    },
    /// More than [`MAX_ITEMS`] items.
    #[error("the catalogue has more than {MAX_ITEMS} items")]
    TooManyItems,
    /// One text column is larger than 4 GiB.
    #[error("column {column} holds more than 4 GiB of text")]
    TooMuchText {
        /// The field of the format.
        column: &'static str,
    },
    /// Not JSON, or not of the described shape.
    #[error("the catalogue cannot be read: {reason} (line {line}, column {column})")]
    Json {
        /// What is wrong.
        reason: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1; 0 before the first byte of the line.
        column: usize,
    },
}
