//! What a page may ask for.

use std::collections::HashSet;

use onshelf_core::catalogue::Catalogue;
use thiserror::Error;

use crate::error::ModelError;

/// Most items of one shelf.
pub const COUNT_LIMIT: usize = 1000;

/// Why a shelf could not be ranked.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// A field is out of range.
    #[error("{0}")]
    Invalid(String),
    /// The item of a `similar` shelf is not in the catalogue.
    #[error(
        "item {0:?} is not in this model version's catalogue; check the id, or publish a version that knows it"
    )]
    UnknownItem(String),
    /// The model or its device failed.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Kinds of shelf.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Ranked for this shopper, by the session and what was learned.
    #[default]
    ForYou,
    /// Close to one item.
    Similar,
    /// What everybody clicks, as the model version knows it.
    Popular,
    /// The session's own items, newest first.
    Continue,
}

/// Business rules of a shelf. Empty lists and `None` do not restrict.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Beginning of the category path, from the root.
    pub category: Vec<String>,
    /// Any of these brands.
    pub brand: Vec<String>,
    /// Only items whose stock is unknown or above 0.
    pub in_stock: bool,
    /// Lowest price; items without a price are left out.
    pub price_min: Option<f32>,
    /// Highest price; items without a price are left out.
    pub price_max: Option<f32>,
    /// Never these items.
    pub exclude: Vec<String>,
}

/// A shelf to be ranked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Which kind.
    pub kind: Kind,
    /// The item of a `similar` shelf.
    pub item_id: Option<String>,
    /// How many items, 1 to [`COUNT_LIMIT`].
    pub count: usize,
    /// Business rules.
    pub filter: Filter,
    /// Rank only these; unknown ids are passed over.
    pub candidates: Option<Vec<String>>,
    /// At most so many of one category; 0: no cap.
    pub max_per_category: usize,
}

/// An item of a ranked shelf.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The shop's id.
    pub item_id: String,
    /// The logit that ranked it.
    pub score: f32,
}

/// A request's rules with ids looked up.
pub(super) struct Checked {
    pub(super) item: Option<u32>,
    filter: Filter,
    exclude: HashSet<u32>,
    candidates: Option<HashSet<u32>>,
}

impl Request {
    /// Checks ranges and looks ids up.
    pub(super) fn check(&self, catalogue: &Catalogue) -> Result<Checked, RequestError> {
        if self.count == 0 || self.count > COUNT_LIMIT {
            return Err(RequestError::Invalid(format!(
                "count is {}, it must be 1 to {COUNT_LIMIT}",
                self.count
            )));
        }
        for (name, price) in [("price_min", self.filter.price_min), ("price_max", self.filter.price_max)] {
            if price.is_some_and(|p| p.is_nan()) {
                return Err(RequestError::Invalid(format!("filter.{name} is not a number")));
            }
        }
        let item = match (&self.item_id, self.kind) {
            (Some(id), _) => {
                Some(catalogue.index_of(id).ok_or_else(|| RequestError::UnknownItem(id.clone()))?)
            }
            (None, Kind::Similar) => {
                return Err(RequestError::Invalid("a similar shelf needs item_id".into()));
            }
            (None, _) => None,
        };
        let look_up =
            |ids: &[String]| ids.iter().filter_map(|id| catalogue.index_of(id)).collect::<HashSet<u32>>();
        Ok(Checked {
            item,
            exclude: look_up(&self.filter.exclude),
            candidates: self.candidates.as_deref().map(look_up),
            filter: self.filter.clone(),
        })
    }
}

impl Checked {
    /// Whether an item may stand on the shelf. Items that training never saw may only where the
    /// page names them as candidates.
    pub(super) fn allows(&self, catalogue: &Catalogue, item: u32) -> bool {
        let f = &self.filter;
        let named = match &self.candidates {
            Some(candidates) => candidates.contains(&item),
            None => catalogue.is_trained(item),
        };
        named
            && !self.exclude.contains(&item)
            && (f.category.is_empty() || catalogue.category(item).starts_with(&f.category))
            && (f.brand.is_empty() || catalogue.brand(item).is_some_and(|b| f.brand.iter().any(|x| x == b)))
            && (!f.in_stock || catalogue.stock(item) != Some(0))
            && f.price_min.is_none_or(|low| catalogue.price(item).is_some_and(|p| p >= low))
            && f.price_max.is_none_or(|high| catalogue.price(item).is_some_and(|p| p <= high))
    }
}
