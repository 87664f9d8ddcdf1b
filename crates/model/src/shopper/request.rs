//! What a page may ask for.

use std::collections::HashSet;

use onshelf_core::catalogue::Catalogue;
use thiserror::Error;

use crate::error::ModelError;

/// Most items of one shelf.
pub const COUNT_LIMIT: usize = 1000;
/// A boost moves a logit by at most so much, up or down.
pub const BOOST_LIMIT: f32 = 10.0;
/// Most boosts of one request.
pub const BOOSTS_LIMIT: usize = 64;

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
    /// Close to one item: its nearest neighbours by item vector. What could replace it.
    Similar,
    /// What goes with an item, or with what lies in the cart: what the shipped student expects after a session in which
    /// just that was put into the cart, without the categories of these items. What completes it.
    BoughtTogether,
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

/// Moves some items up or down. Every condition given must hold; at least one must be given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Boost {
    /// Any of these items; unknown ids are passed over.
    pub item_ids: Vec<String>,
    /// Any of these brands.
    pub brand: Vec<String>,
    /// Beginning of the category path, from the root.
    pub category: Vec<String>,
    /// Added to the logit, -[`BOOST_LIMIT`] to [`BOOST_LIMIT`]: 0.7 doubles the odds, 2.3 make them ten times as high.
    pub by: f32,
}

/// A shelf to be ranked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// Which kind.
    pub kind: Kind,
    /// The item of a `similar` or `bought_together` shelf; the latter is about the cart without one.
    pub item_id: Option<String>,
    /// How many items, 1 to [`COUNT_LIMIT`].
    pub count: usize,
    /// Business rules.
    pub filter: Filter,
    /// Rank only these; unknown ids are passed over.
    pub candidates: Option<Vec<String>>,
    /// At most so many of one category; 0: no cap.
    pub max_per_category: usize,
    /// What the page pushes, or holds back; at most [`BOOSTS_LIMIT`]. Not for [`Kind::Continue`].
    pub boosts: Vec<Boost>,
    /// 0: by score alone. Up to 1: how much items unlike those before them are preferred ([`onshelf_core::rank::diversify`]).
    /// Not for [`Kind::Continue`].
    pub diversity: f32,
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
    boosts: Vec<(Boost, HashSet<u32>)>,
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
        self.check_order()?;
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
            boosts: self.boosts.iter().map(|boost| (boost.clone(), look_up(&boost.item_ids))).collect(),
            filter: self.filter.clone(),
        })
    }

    /// Checks what moves items about.
    fn check_order(&self) -> Result<(), RequestError> {
        let refuse = |what: String| Err(RequestError::Invalid(what));
        if !(0.0..=1.0).contains(&self.diversity) {
            return refuse(format!("diversity is {}, it must be 0 to 1", self.diversity));
        }
        if self.boosts.len() > BOOSTS_LIMIT {
            return refuse(format!("there are {} boosts, at most {BOOSTS_LIMIT} may be", self.boosts.len()));
        }
        for boost in &self.boosts {
            if !(-BOOST_LIMIT..=BOOST_LIMIT).contains(&boost.by) {
                return refuse(format!("a boost by {} must be -{BOOST_LIMIT} to {BOOST_LIMIT}", boost.by));
            }
            if boost.item_ids.is_empty() && boost.brand.is_empty() && boost.category.is_empty() {
                return refuse("a boost needs item_ids, a brand or a category".into());
            }
        }
        Ok(())
    }
}

impl Checked {
    /// Whether the page pushes anything.
    pub(super) fn has_boosts(&self) -> bool {
        !self.boosts.is_empty()
    }

    /// Adds the boosts to the scores of all items (`scores[i]` is item `i + 1`'s).
    pub(super) fn boost(&self, catalogue: &Catalogue, scores: &mut [f32]) {
        for (boost, items) in &self.boosts {
            // Items that are named are few: nobody else needs to be looked at.
            let named: Vec<u32> = match boost.item_ids.is_empty() {
                true => (1..=scores.len() as u32).collect(),
                false => items.iter().copied().collect(),
            };
            for item in named {
                let fits = under(catalogue, item, &boost.category) && branded(catalogue, item, &boost.brand);
                if let (true, Some(score)) = (fits, scores.get_mut(item as usize - 1)) {
                    *score += boost.by;
                }
            }
        }
    }

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
            && under(catalogue, item, &f.category)
            && branded(catalogue, item, &f.brand)
            && (!f.in_stock || catalogue.stock(item) != Some(0))
            && f.price_min.is_none_or(|low| catalogue.price(item).is_some_and(|p| p >= low))
            && f.price_max.is_none_or(|high| catalogue.price(item).is_some_and(|p| p <= high))
    }
}

/// Whether an item lies under a category; every item does where none is given.
fn under(catalogue: &Catalogue, item: u32, category: &[String]) -> bool {
    category.is_empty() || catalogue.category(item).starts_with(category)
}

/// Whether an item has one of these brands; every item does where none is given.
fn branded(catalogue: &Catalogue, item: u32, brands: &[String]) -> bool {
    brands.is_empty() || catalogue.brand(item).is_some_and(|own| brands.iter().any(|brand| brand == own))
}
