//! What a page asks for beside the score: boosts, diversity, what goes together. And forgetting one item.

use onshelf_core::catalogue::{Catalogue, CatalogueBuilder, ItemAttributes};
use onshelf_core::event::EventKind;
use onshelf_model::shopper::{
    BOOST_LIMIT, BOOSTS_LIMIT, Boost, Forgotten, Kind, Request, RequestError, Shopper,
};
use pollster::block_on;

use crate::shop::*;

/// Items in five categories by turns, `c0` to `c4`, of the brands `odd` and `even`.
fn sorted_catalogue() -> Catalogue {
    let mut builder = CatalogueBuilder::new();
    for i in 1..=ITEMS {
        let attributes = ItemAttributes {
            category: vec!["all".into(), format!("c{}", i % 5)],
            brand: Some(if i % 2 == 0 { "even".into() } else { "odd".into() }),
            ..ItemAttributes::default()
        };
        builder.push(&format!("i{i}"), attributes, true).unwrap();
    }
    builder.finish().unwrap()
}

fn sorted() -> Shopper {
    load("v1", sorted_catalogue(), &weights(ITEMS)).unwrap()
}

fn boosted(by: f32, boost: Boost) -> Request {
    Request { boosts: vec![Boost { by, ..boost }], kind: Kind::Popular, ..shelf(5) }
}

fn category(of: &str) -> u32 {
    of[1..].parse::<u32>().unwrap() % 5
}

#[test]
fn boosts_add_to_the_logit() {
    let mut s = sorted();
    let plain = ask(&mut s, &Request { kind: Kind::Popular, ..shelf(ITEMS) });
    let score = |id: &str| plain.iter().find(|x| x.0 == id).unwrap().1;
    let item = Boost { item_ids: vec!["i40".into(), "nobody".into()], ..Boost::default() };
    let first = ask(&mut s, &boosted(10.0, item.clone()));
    assert_eq!(first[0], ("i40".to_owned(), score("i40") + 10.0), "from far behind to the front");
    assert_eq!(first[1..], plain[..4]);
    assert_eq!(ask(&mut s, &boosted(0.0, item)), plain[..5]);

    let even = Boost { brand: vec!["even".into()], ..Boost::default() };
    assert_eq!(ids(&mut s, &boosted(10.0, even.clone())), ["i2", "i4", "i6", "i8", "i10"]);
    assert_eq!(ids(&mut s, &boosted(-10.0, even.clone())), ["i1", "i3", "i5", "i7", "i9"]);
    let third = Boost { category: vec!["all".into(), "c3".into()], ..Boost::default() };
    assert_eq!(ids(&mut s, &boosted(5.0, third.clone())), ["i3", "i8", "i13", "i18", "i23"]);
    // Both conditions of one boost must hold; two boosts add up.
    let both = Boost { brand: even.brand.clone(), ..third.clone() };
    assert_eq!(ids(&mut s, &boosted(10.0, both)), ["i8", "i18", "i28", "i38", "i48"]);
    let two = vec![Boost { by: 4.0, ..even }, Boost { by: 4.0, ..third }];
    let request = Request { boosts: two, kind: Kind::Popular, ..shelf(5) };
    assert_eq!(ids(&mut s, &request), ["i8", "i18", "i28", "i38", "i48"]);
}

#[test]
fn an_order_that_cannot_be_is_refused() {
    let mut s = shopper();
    let some = Boost { brand: vec!["x".into()], ..Boost::default() };
    let by = |by: f32| Request { boosts: vec![Boost { by, ..some.clone() }], ..shelf(3) };
    let requests = [
        by(BOOST_LIMIT + 0.1),
        by(-BOOST_LIMIT - 0.1),
        by(f32::NAN),
        by(f32::INFINITY),
        Request { boosts: vec![Boost { by: 1.0, ..Boost::default() }], ..shelf(3) },
        Request { boosts: vec![some.clone(); BOOSTS_LIMIT + 1], ..shelf(3) },
        Request { diversity: -0.1, ..shelf(3) },
        Request { diversity: 1.1, ..shelf(3) },
        Request { diversity: f32::NAN, ..shelf(3) },
    ];
    for request in requests {
        let error = block_on(s.recommend(&request)).unwrap_err();
        assert!(matches!(error, RequestError::Invalid(_)), "{request:?}: {error}");
    }
    assert_eq!(ask(&mut s, &Request { boosts: vec![some; BOOSTS_LIMIT], ..shelf(3) }).len(), 3);
}

#[test]
fn diversity_keeps_the_best_and_makes_neighbours_less_alike() {
    let mut s = sorted();
    let likeness = |s: &Shopper, ids: &[String]| {
        let vector = |id: &str| {
            let mut out = Vec::new();
            s.student().table().push_vector(s.catalogue().index_of(id).unwrap(), &mut out);
            let norm = out.iter().map(|x| x * x).sum::<f32>().sqrt();
            out.iter().map(|x| x / norm).collect::<Vec<_>>()
        };
        let mut most = 0.0;
        for (at, a) in ids.iter().enumerate() {
            for b in &ids[..at] {
                let cosine: f32 = vector(a).iter().zip(vector(b)).map(|(x, y)| x * y).sum();
                most += cosine.max(0.0);
            }
        }
        most
    };
    let asked =
        |diversity| Request { kind: Kind::Similar, item_id: Some("i7".into()), diversity, ..shelf(6) };
    let shelves: Vec<Vec<String>> = [0.0, 0.3, 0.7].iter().map(|&d| ids(&mut s, &asked(d))).collect();
    assert!(shelves.iter().all(|ids| ids.len() == 6 && ids[0] == shelves[0][0]), "{shelves:?}");
    let alike: Vec<f32> = shelves.iter().map(|ids| likeness(&s, ids)).collect();
    assert!(alike[1] < alike[0] && alike[2] < alike[1], "{alike:?}");
}

#[test]
fn what_goes_together_is_no_other_word_for_similar() {
    let mut s = sorted();
    let about = |kind, item: &str| Request { kind, item_id: Some(item.into()), ..shelf(8) };
    let together = ids(&mut s, &about(Kind::BoughtTogether, "i7"));
    assert_eq!(together.len(), 8);
    assert!(
        together.iter().all(|id| category(id) != category("i7")),
        "nothing that would replace it: {together:?}"
    );
    assert_ne!(together, ids(&mut s, &about(Kind::Similar, "i7")));
    let unknown = block_on(s.recommend(&about(Kind::BoughtTogether, "nobody"))).unwrap_err();
    assert_eq!(unknown, RequestError::UnknownItem("nobody".into()));

    // Without an item it is about the cart: empty, of one item, changed, bought.
    let cart = Request { kind: Kind::BoughtTogether, ..shelf(8) };
    let act = |s: &mut Shopper, id: &str, kind, minute: i64| s.track(id, kind, None, NOON + minute * MINUTE);
    assert!(ids(&mut s, &cart).is_empty());
    act(&mut s, "i9", EventKind::ViewItem, 0);
    assert!(ids(&mut s, &cart).is_empty(), "a view puts nothing into the cart");
    act(&mut s, "i7", EventKind::AddToCart, 1);
    let one = ids(&mut s, &cart);
    assert_eq!(one, together, "the views do not matter");
    act(&mut s, "i3", EventKind::AddToCart, 2);
    let two = ids(&mut s, &cart);
    assert!(two != one && two.iter().all(|id| ![2, 3].contains(&category(id))), "{two:?}");
    act(&mut s, "i3", EventKind::RemoveFromCart, 3);
    assert_eq!(ids(&mut s, &cart), one);
    act(&mut s, "i7", EventKind::Purchase, 4);
    assert!(ids(&mut s, &cart).is_empty());
    // In a shop without categories nothing is ruled out but the item.
    assert_eq!(ids(&mut shopper(), &about(Kind::BoughtTogether, "i7")).len(), 8);
}

/// The state of `clicked`, learned from click by click.
fn taught(clicked: &[&str]) -> Shopper {
    let mut s = shopper();
    for (n, id) in clicked.iter().enumerate() {
        view(&mut s, id, NOON + n as i64 * MINUTE);
        block_on(s.fine_tune(2)).unwrap();
    }
    s
}

#[test]
fn forgetting_an_item_leaves_no_trace_of_it() {
    let mut s = taught(&["i5", "i17", "i30", "i17", "i8", "i41"]);
    let holds = |s: &Shopper, what: &str| {
        let bytes = s.export_state().unwrap();
        bytes.windows(what.len()).any(|w| w == what.as_bytes()) || s.export_readable().unwrap().contains(what)
    };
    assert!(holds(&s, "\"i17\"") && s.personal().steps > 0);
    assert_eq!(s.forget("i17"), Forgotten { removed: 2, left: 4 });
    assert!(!holds(&s, "\"i17\"") && s.personal().steps == 0, "nothing learned is left either");

    // Learned anew it is the state of somebody who never clicked on it, but for the times between clicks.
    for clicks in 2..=4 {
        assert!(block_on(s.relearn(clicks, 2)).unwrap().unwrap().kept);
        assert_eq!(s.clicks().len(), 4);
    }
    let mut other = shopper();
    for (n, id) in [(0, "i5"), (2, "i30"), (4, "i8"), (5, "i41")] {
        view(&mut other, id, NOON + n * MINUTE);
        block_on(other.fine_tune(2)).unwrap();
    }
    assert_eq!(s.export_state().unwrap(), other.export_state().unwrap());
    assert_eq!(ask(&mut s, &shelf(20)), ask(&mut other, &shelf(20)));
}

#[test]
fn forgetting_what_is_not_there_changes_nothing() {
    let mut s = learned();
    let before = s.export_state().unwrap();
    for id in ["i44", "nobody", ""] {
        assert_eq!(s.forget(id), Forgotten { removed: 0, left: 4 });
    }
    assert_eq!(s.export_state().unwrap(), before);
    for id in ["i5", "i17", "i30"] {
        s.forget(id);
    }
    assert_eq!(s.export_state().unwrap(), shopper().export_state().unwrap(), "as if nobody had been here");
}
