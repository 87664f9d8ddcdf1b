//! Catalogues and weights that are strange, broken, or do not fit together.

use onshelf_core::catalogue::{Catalogue, CatalogueError};
use onshelf_core::weights::WeightsError;
use onshelf_model::ModelError;
use onshelf_model::shopper::{Kind, Request, Tracked};
use pollster::block_on;

use crate::shop::*;

#[test]
fn ids_of_any_script_work() {
    let long = "€".repeat(170) + "ab";
    assert_eq!(long.len(), 512);
    let strange = [
        "🧦👩‍🚀",
        "كتاب/١٢",
        "שָׁלוֹם",
        "line\nbreak",
        "\u{0}",
        " ",
        "\"},{\"",
        "e\u{301}",
        "é",
        "\u{202e}abc",
        &long,
    ];
    let n = strange.len();
    let mut s = load("v1", catalogue(strange).unwrap(), &weights(n)).unwrap();
    for (at, id) in strange.into_iter().enumerate() {
        assert_eq!(view(&mut s, id, NOON + at as i64 * MINUTE), Tracked::Accepted, "{id:?}");
    }
    block_on(s.fine_tune(2)).unwrap();
    let mut all = ids(&mut s, &shelf(100));
    all.sort();
    let mut expected = strange.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(all, expected);
    let newest_first: Vec<String> = strange.iter().rev().map(|&s| s.to_owned()).collect();
    assert_eq!(ids(&mut s, &Request { kind: Kind::Continue, ..shelf(100) }), newest_first);
    let mut other = load("v1", catalogue(strange).unwrap(), &weights(n)).unwrap();
    other.import_state(&s.export_state().unwrap()).unwrap();
    assert_eq!(ask(&mut other, &shelf(100)), ask(&mut s, &shelf(100)));
    assert!(serde_json::from_str::<serde_json::Value>(&s.export_readable().unwrap()).is_ok());
}

#[test]
fn ids_that_are_too_long_empty_or_twice_are_refused() {
    assert!(matches!(catalogue(["a".repeat(513)]), Err(CatalogueError::IdTooLong { index: 1, bytes: 513 })));
    assert!(matches!(catalogue(["a", ""]), Err(CatalogueError::EmptyId { index: 2 })));
    let twice = catalogue(["a", "ж", "c", "ж"]).unwrap_err();
    assert_eq!(twice, CatalogueError::DuplicateId { id: "ж".into(), first: 2, second: 4 });
    let json = br#"{"format":1,"ids":["a","b","a"]}"#;
    assert!(Catalogue::from_json(json).unwrap_err().to_string().contains("\"a\" stands twice"));
}

#[test]
fn catalogue_and_table_must_be_of_one_size() {
    for items in [0, ITEMS - 1, ITEMS + 1] {
        let error = load("v1", numbered(items), &weights(ITEMS)).unwrap_err().to_string();
        assert!(
            error.contains(&items.to_string()) && error.contains("50") && error.contains("export"),
            "{error}"
        );
    }
}

#[test]
fn an_empty_catalogue_gives_empty_shelves() {
    let mut s = load("v1", numbered(0), &weights(0)).unwrap();
    assert!(ask(&mut s, &shelf(5)).is_empty());
    assert_eq!(view(&mut s, "i1", NOON), Tracked::LeftOut("unknown_item"));
}

#[test]
fn a_catalogue_of_one_item_can_be_learned_from() {
    let mut s = load("v1", numbered(1), &weights(1)).unwrap();
    for n in 0..4 {
        view(&mut s, "i1", NOON + n * MINUTE);
    }
    let tuned = block_on(s.fine_tune(3)).unwrap().unwrap();
    assert!(tuned.loss_after.abs() < 1e-6, "there is nothing else to choose: {tuned:?}");
    assert_eq!(ids(&mut s, &shelf(5)), ["i1"]);
}

#[test]
fn weights_that_are_not_finite_missing_or_misshapen_are_named() {
    let good = weights(ITEMS);
    for name in good.floats.keys() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut broken = good.clone();
            *broken.floats.get_mut(name).unwrap().values.last_mut().unwrap() = bad;
            let error = load("v1", numbered(ITEMS), &broken).unwrap_err();
            assert_eq!(error, ModelError::Weights(WeightsError::NotFinite(name.clone())));
        }
        let mut missing = good.clone();
        missing.floats.remove(name);
        let error = load("v1", numbered(ITEMS), &missing).unwrap_err();
        assert_eq!(error, ModelError::Weights(WeightsError::Missing(name.clone())));
        let mut misshapen = good.clone();
        misshapen.floats.get_mut(name).unwrap().shape.insert(0, 1);
        let error = load("v1", numbered(ITEMS), &misshapen).unwrap_err().to_string();
        assert!(error.contains(name.as_str()), "{error}");
    }
    let mut no_codes = good.clone();
    no_codes.bytes.clear();
    assert!(load("v1", numbered(ITEMS), &no_codes).unwrap_err().to_string().contains("items.codes"));
    let mut odd = good;
    odd.bytes.get_mut("items.codes").unwrap().1.pop();
    assert!(load("v1", numbered(ITEMS), &odd).is_err());
}
