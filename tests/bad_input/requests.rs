//! Requests that cannot be met, and empty sessions.

use onshelf_core::event::EventKind;
use onshelf_model::shopper::{COUNT_LIMIT, Filter, Kind, Request, RequestError, Tracked};
use pollster::block_on;

use crate::shop::*;

#[test]
fn an_empty_session_gets_the_popular_shelf() {
    let mut s = shopper();
    assert_eq!(ids(&mut s, &shelf(10)), by_popularity(10));
    assert_eq!(ids(&mut s, &Request { kind: Kind::Popular, ..shelf(10) }), by_popularity(10));
    assert_eq!(ids(&mut s, &Request { kind: Kind::Continue, ..shelf(10) }), Vec::<String>::new());
    assert_eq!(block_on(s.fine_tune(3)), Ok(None), "there is nothing to learn from");
    let explained = block_on(s.explain("i3")).unwrap();
    assert!(explained.because.is_empty() && explained.score.is_finite());
    assert_eq!(block_on(s.learned(5)), Ok(Vec::new()));
}

#[test]
fn counts_outside_the_range_are_refused() {
    let mut s = shopper();
    for count in [0, COUNT_LIMIT + 1, usize::MAX] {
        let error = block_on(s.recommend(&shelf(count))).unwrap_err();
        assert!(matches!(error, RequestError::Invalid(_)));
        assert!(
            error.to_string().contains(&count.to_string()) && error.to_string().contains("1000"),
            "{error}"
        );
    }
    assert_eq!(ask(&mut s, &shelf(COUNT_LIMIT)).len(), ITEMS, "a shelf cannot be longer than the catalogue");
    assert_eq!(ask(&mut s, &Request { max_per_category: 1, ..shelf(COUNT_LIMIT) }).len(), ITEMS);
}

#[test]
fn unknown_items_are_left_out_or_named() {
    let mut s = shopper();
    for id in ["", "i0", "I1", "i1 ", "i51", "\u{0}"] {
        assert_eq!(view(&mut s, id, NOON), Tracked::LeftOut("unknown_item"));
        let similar = Request { kind: Kind::Similar, item_id: Some(id.into()), ..shelf(3) };
        assert_eq!(block_on(s.recommend(&similar)), Err(RequestError::UnknownItem(id.into())));
        assert_eq!(block_on(s.explain(id)), Err(RequestError::UnknownItem(id.into())));
    }
    assert!(s.clicks().is_empty());
    let missing = block_on(s.recommend(&Request { kind: Kind::Similar, ..shelf(3) })).unwrap_err();
    assert!(missing.to_string().contains("item_id"), "{missing}");
    assert_eq!(s.track("i1", EventKind::Search, None, NOON), Tracked::LeftOut("not_an_item_event"));

    let some = vec!["nobody".to_owned(), "i9".to_owned(), "i9".to_owned(), "i2".to_owned()];
    let request = Request { candidates: Some(some), ..shelf(10) };
    assert_eq!(ids(&mut s, &request), ["i2", "i9"], "unknown candidates are passed over");
    assert_eq!(ids(&mut s, &Request { candidates: Some(Vec::new()), ..shelf(10) }), Vec::<String>::new());
}

#[test]
fn strange_filters_give_short_shelves_or_errors() {
    let mut s = shopper();
    let filtered = |filter: Filter| Request { filter, ..shelf(5) };
    for price in [f32::NAN, -f32::NAN] {
        let error = block_on(s.recommend(&filtered(Filter { price_max: Some(price), ..Filter::default() })))
            .unwrap_err();
        assert!(error.to_string().contains("price_max"), "{error}");
    }
    // No item has a price, a brand or a category here.
    let none = [
        Filter { price_min: Some(f32::NEG_INFINITY), ..Filter::default() },
        Filter { price_min: Some(9.0), price_max: Some(1.0), ..Filter::default() },
        Filter { brand: vec![String::new()], ..Filter::default() },
        Filter { category: vec!["x".into()], ..Filter::default() },
        Filter { exclude: by_popularity(ITEMS), ..Filter::default() },
    ];
    for filter in none {
        assert!(ask(&mut s, &filtered(filter)).is_empty());
    }
    let excluded =
        filtered(Filter { exclude: vec!["i1".into(), "nobody".into()], in_stock: true, ..Filter::default() });
    assert_eq!(ids(&mut s, &excluded), ["i2", "i3", "i4", "i5", "i6"]);
}
