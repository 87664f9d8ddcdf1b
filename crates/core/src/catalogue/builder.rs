//! Building a catalogue item by item.

use std::collections::HashMap;

use super::columns::{PathColumn, TextColumn, UNKNOWN_PRICE, stock_code};
use super::{Catalogue, CatalogueError, Coded, Columns, MAX_ITEMS, bad_price, check_id, index_at};

/// What is known about one item.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ItemAttributes {
    /// The name shown to shoppers.
    pub name: Option<String>,
    /// The brand.
    pub brand: Option<String>,
    /// The category path from the root; empty when unknown.
    pub category: Vec<String>,
    /// The price in the shop's currency, from 0.
    pub price: Option<f32>,
    /// Pieces in stock. More than 4,294,967,294 are kept as that.
    pub stock: Option<u32>,
}

/// Collects items into a [`Catalogue`]. A column is written only when some item fills it.
#[derive(Default)]
pub struct CatalogueBuilder {
    ids: TextColumn,
    names: TextColumn,
    brands: TextColumn,
    brand_codes: Vec<u32>,
    brand_numbers: HashMap<String, u32>,
    categories: PathColumn,
    category_codes: Vec<u32>,
    category_numbers: HashMap<Vec<String>, u32>,
    prices: Vec<f32>,
    stocks: Vec<u32>,
    trained: Vec<bool>,
}

impl CatalogueBuilder {
    /// An empty catalogue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an item and returns its index. `trained` says whether a training click names it.
    ///
    /// # Errors
    ///
    /// [`CatalogueError::EmptyId`], [`CatalogueError::IdTooLong`], [`CatalogueError::Price`] and
    /// [`CatalogueError::TooManyItems`]; the builder is then unchanged. An id that stands twice
    /// is found by [`Self::finish`].
    pub fn push(
        &mut self,
        id: &str,
        attributes: ItemAttributes,
        trained: bool,
    ) -> Result<u32, CatalogueError> {
        if self.trained.len() == MAX_ITEMS {
            return Err(CatalogueError::TooManyItems);
        }
        let index = index_at(self.trained.len());
        check_id(index, id)?;
        if let Some(price) = attributes.price.filter(|price| bad_price(*price)) {
            return Err(CatalogueError::Price { index, price });
        }
        let brand = attributes.brand.unwrap_or_default();
        let brands = &mut self.brands;
        let brand_code = number_of(&mut self.brand_numbers, brand, |brand| brands.push(brand));
        let paths = &mut self.categories;
        let category_code = number_of(&mut self.category_numbers, attributes.category, |path| {
            paths.push(path.clone());
        });
        self.ids.push(id);
        self.names.push(attributes.name.as_deref().unwrap_or_default());
        self.brand_codes.push(brand_code);
        self.category_codes.push(category_code);
        self.prices.push(attributes.price.unwrap_or(UNKNOWN_PRICE));
        self.stocks.push(stock_code(attributes.stock));
        self.trained.push(trained);
        Ok(index)
    }

    /// Number of items so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.trained.len()
    }

    /// Whether there is no item yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trained.is_empty()
    }

    /// The catalogue of the items added.
    ///
    /// # Errors
    ///
    /// [`CatalogueError::DuplicateId`] and [`CatalogueError::TooMuchText`].
    pub fn finish(self) -> Result<Catalogue, CatalogueError> {
        let brands = Coded { values: self.brands, codes: self.brand_codes };
        let categories = Coded { values: self.categories, codes: self.category_codes };
        let has_name = self.names.iter().any(|name| !name.is_empty());
        let has_brand = brands.values.iter().any(|brand| !brand.is_empty());
        let has_category = categories.values.iter().any(|path| !path.is_empty());
        let has_price = self.prices.iter().any(|price| *price != UNKNOWN_PRICE);
        let has_stock = self.stocks.iter().any(|stock| *stock != stock_code(None));
        Catalogue::from_columns(Columns {
            ids: self.ids,
            names: has_name.then_some(self.names),
            brands: has_brand.then_some(brands),
            categories: has_category.then_some(categories),
            prices: has_price.then_some(self.prices),
            stocks: has_stock.then_some(self.stocks),
            trained: self.trained,
        })
    }
}

/// The number of a value in its column; a new value gets the next one.
fn number_of<K: Eq + std::hash::Hash>(numbers: &mut HashMap<K, u32>, value: K, add: impl FnOnce(&K)) -> u32 {
    if let Some(&number) = numbers.get(&value) {
        return number;
    }
    // Never more values than items, which are counted in 24 bits.
    let number = u32::try_from(numbers.len()).expect("no more values than items");
    add(&value);
    numbers.insert(value, number);
    number
}
