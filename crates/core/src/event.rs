//! What a shopper did: one [`Click`] and its [`EventKind`].
//!
//! The names are those of the Google Analytics 4 e-commerce events, so that a shop that already
//! sends those has nothing to rename.

use std::fmt;

/// Why an event could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The name is not one of the six event names of [`EventKind::as_str`].
    #[error(
        "unknown event name {0:?}; known are view_item, select_item, add_to_cart, remove_from_cart, purchase, search"
    )]
    UnknownName(String),
    /// The number is not one of the codes of [`EventKind::code`].
    #[error("unknown event code {0}; known are 0 to 5")]
    UnknownCode(u8),
}

/// The kind of an interaction. The numbers are part of the file formats and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum EventKind {
    /// `view_item`: the item's own page was opened.
    #[default]
    ViewItem = 0,
    /// `select_item`: the item was chosen from a list.
    SelectItem = 1,
    /// `add_to_cart`
    AddToCart = 2,
    /// `remove_from_cart`
    RemoveFromCart = 3,
    /// `purchase`
    Purchase = 4,
    /// `search`: names no item.
    Search = 5,
}

impl EventKind {
    /// Every kind, at the position of its code.
    pub const ALL: [EventKind; 6] = [
        Self::ViewItem,
        Self::SelectItem,
        Self::AddToCart,
        Self::RemoveFromCart,
        Self::Purchase,
        Self::Search,
    ];

    /// The GA4 event name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ViewItem => "view_item",
            Self::SelectItem => "select_item",
            Self::AddToCart => "add_to_cart",
            Self::RemoveFromCart => "remove_from_cart",
            Self::Purchase => "purchase",
            Self::Search => "search",
        }
    }

    /// Reads a GA4 event name, letter for letter.
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownName`] for any other text.
    pub fn parse(name: &str) -> Result<Self, EventError> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| EventError::UnknownName(name.to_owned()))
    }

    /// What a GA4 e-commerce event says that a shopper did; `None` where it says nothing about an item that another
    /// event does not say: lists that were shown, promotions, the way through the checkout, refunds.
    ///
    /// The six names of [`Self::as_str`] are themselves. `add_to_wishlist` counts as `select_item` (chosen, not
    /// taken), `view_search_results` as `search`.
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownName`] for any other text.
    pub fn of_ga4(name: &str) -> Result<Option<Self>, EventError> {
        match name {
            "add_to_wishlist" => Ok(Some(Self::SelectItem)),
            "view_search_results" => Ok(Some(Self::Search)),
            "view_item_list" | "view_promotion" | "select_promotion" | "view_cart" | "begin_checkout"
            | "add_shipping_info" | "add_payment_info" | "refund" => Ok(None),
            other => Self::parse(other).map(Some),
        }
    }

    /// The number of this kind in files: 0 to 5.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a number from a file.
    ///
    /// # Errors
    ///
    /// [`EventError::UnknownCode`] above 5.
    pub fn from_code(code: u8) -> Result<Self, EventError> {
        Self::ALL.get(usize::from(code)).copied().ok_or(EventError::UnknownCode(code))
    }

    /// Whether events of this kind name an item; only a search does not.
    #[must_use]
    pub const fn names_item(self) -> bool {
        !matches!(self, Self::Search)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for EventKind {
    type Err = EventError;

    fn from_str(name: &str) -> Result<Self, EventError> {
        Self::parse(name)
    }
}

/// One interaction of one shopper.
///
/// `Debug` hides the item and the time: a log line must never tell what somebody looked at.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Click {
    /// Dense item index of the catalogue, from 1; 0 is padding and stands in a search.
    pub item: u32,
    /// What was done.
    pub kind: EventKind,
    /// When, in Unix milliseconds; `None` when the source has no clock.
    pub at_ms: Option<i64>,
    /// How long the item stayed in view, in milliseconds; `None` when not measured (yet).
    pub dwell_ms: Option<u32>,
}

impl Click {
    /// A view of `item` with neither time nor dwell.
    #[must_use]
    pub const fn view(item: u32) -> Self {
        Self { item, kind: EventKind::ViewItem, at_ms: None, dwell_ms: None }
    }

    /// An event of `kind` on `item` at a time in Unix milliseconds.
    #[must_use]
    pub const fn at(item: u32, kind: EventKind, at_ms: i64) -> Self {
        Self { item, kind, at_ms: Some(at_ms), dwell_ms: None }
    }
}

impl fmt::Debug for Click {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Click").field("kind", &self.kind).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_go_both_ways() {
        for (code, kind) in (0u8..).zip(EventKind::ALL) {
            assert_eq!(kind.code(), code);
            assert_eq!(EventKind::from_code(code), Ok(kind));
            assert_eq!(EventKind::parse(kind.as_str()), Ok(kind));
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!(EventKind::from_code(6), Err(EventError::UnknownCode(6)));
    }

    #[test]
    fn an_unknown_name_is_told() {
        let error = EventKind::parse("View_Item").unwrap_err();
        assert!(error.to_string().contains("View_Item"), "{error}");
    }

    #[test]
    fn ga4_names_are_acts_or_known_to_be_none() {
        for kind in EventKind::ALL {
            assert_eq!(EventKind::of_ga4(kind.as_str()), Ok(Some(kind)));
        }
        assert_eq!(EventKind::of_ga4("add_to_wishlist"), Ok(Some(EventKind::SelectItem)));
        assert_eq!(EventKind::of_ga4("view_item_list"), Ok(None));
        assert_eq!(EventKind::of_ga4("generate_lead"), Err(EventError::UnknownName("generate_lead".into())));
    }

    #[test]
    fn only_a_search_names_no_item() {
        let without: Vec<_> = EventKind::ALL.into_iter().filter(|kind| !kind.names_item()).collect();
        assert_eq!(without, [EventKind::Search]);
    }

    #[test]
    fn debug_hides_the_item_and_the_time() {
        let click =
            Click { dwell_ms: Some(987), ..Click::at(424_242, EventKind::Purchase, 1_700_000_000_123) };
        let shown = format!("{click:?} {click:#?}");
        assert!(shown.contains("Purchase"));
        for secret in ["424242", "1700000000123", "987"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
