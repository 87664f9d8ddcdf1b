use proptest::prelude::*;

use super::*;

fn sample() -> Catalogue {
    let mut builder = CatalogueBuilder::new();
    let mug = ItemAttributes {
        name: Some("Teal mug".into()),
        brand: Some("Fen & Co".into()),
        category: vec!["Home".into(), "Mugs".into()],
        price: Some(12.5),
        stock: Some(0),
    };
    assert_eq!(builder.push("sku-1", mug.clone(), true), Ok(1));
    assert_eq!(builder.push("ключ", ItemAttributes::default(), false), Ok(2));
    let third = ItemAttributes { name: None, ..mug };
    assert_eq!(builder.push("sku-3", third, true), Ok(3));
    builder.finish().expect("three valid items")
}

#[test]
fn items_are_found_both_ways() {
    let catalogue = sample();
    assert_eq!(catalogue.len(), 3);
    assert_eq!(catalogue.index_of("ключ"), Some(2));
    assert_eq!(catalogue.index_of("sku-2"), None);
    assert_eq!(catalogue.id(3), Some("sku-3"));
    assert_eq!((catalogue.id(0), catalogue.id(4)), (None, None));
}

#[test]
fn attributes_are_known_or_unknown() {
    let catalogue = sample();
    assert_eq!(catalogue.name(1), Some("Teal mug"));
    assert_eq!(catalogue.name(3), None);
    assert_eq!(catalogue.brand(1), Some("Fen & Co"));
    assert_eq!(catalogue.brand(2), None);
    assert_eq!(catalogue.category(1), ["Home", "Mugs"]);
    assert!(catalogue.category(2).is_empty());
    assert_eq!(catalogue.category_code(1), catalogue.category_code(3));
    assert_ne!(catalogue.category_code(1), catalogue.category_code(2));
    assert_eq!((catalogue.category_codes(), catalogue.brand_codes()), (2, 2));
    assert_eq!((catalogue.price(1), catalogue.price(2)), (Some(12.5), None));
    assert_eq!((catalogue.stock(1), catalogue.stock(2)), (Some(0), None));
    assert!(catalogue.is_trained(1) && !catalogue.is_trained(2));
    assert!(!catalogue.is_trained(0) && !catalogue.is_trained(4));
    assert!(catalogue.category(0).is_empty() && catalogue.price(4).is_none());
}

#[test]
fn the_bytes_are_the_documented_ones() {
    let expected = r#"{"format":1,"ids":["sku-1","ключ","sku-3"],"names":["Teal mug","",""],"brands":{"values":["Fen & Co",""],"codes":[0,1,0]},"categories":{"values":[["Home","Mugs"],[]],"codes":[0,1,0]},"prices":[12.5,null,12.5],"stocks":[0,null,0],"untrained":[2]}"#;
    let bytes = sample().to_json();
    assert_eq!(String::from_utf8(bytes.clone()).unwrap(), expected);
    let read = Catalogue::from_json(&bytes).unwrap();
    assert!(read == sample());
    assert_eq!(read.to_json(), bytes);
}

#[test]
fn columns_without_content_are_null() {
    let mut builder = CatalogueBuilder::new();
    builder.push("a", ItemAttributes::default(), true).unwrap();
    let bytes = builder.finish().unwrap().to_json();
    let expected = r#"{"format":1,"ids":["a"],"names":null,"brands":null,"categories":null,"prices":null,"stocks":null,"untrained":[]}"#;
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
    let shortest = Catalogue::from_json(br#"{"format":1,"ids":["a"]}"#).unwrap();
    assert_eq!(String::from_utf8(shortest.to_json()).unwrap(), expected);
    assert_eq!((shortest.category_code(1), shortest.category_codes()), (0, 1));
}

/// The message for a catalogue that must be refused.
fn refusal(json: &str) -> String {
    Catalogue::from_json(json.as_bytes()).expect_err("a bad catalogue").to_string()
}

#[test]
fn each_fault_is_named() {
    let cases = [
        (r#"{"format":1,"ids":["a","b","a"]}"#, r#"item id "a" stands twice, at index 1 and at index 3"#),
        (r#"{"format":1,"ids":["a",""]}"#, "the item at index 2 has an empty id"),
        (r#"{"format":1,"ids":["a"],"names":["x","y"]}"#, "column names has 2 entries for 1 items"),
        (r#"{"format":1,"ids":["a"],"prices":[]}"#, "column prices has 0 entries for 1 items"),
        (
            r#"{"format":1,"ids":["a"],"brands":{"values":["x"],"codes":[1]}}"#,
            "column brands: the item at index 1 has code 1, but there are 1 values",
        ),
        (
            r#"{"format":1,"ids":["a"],"categories":{"values":[],"codes":[0]}}"#,
            "column categories: the item at index 1 has code 0, but there are 0 values",
        ),
        (
            r#"{"format":1,"ids":["a"],"prices":[-1]}"#,
            "the item at index 1 has the price -1; a price is a number from 0",
        ),
        (
            r#"{"format":1,"ids":["a"],"prices":[1e99]}"#,
            "the item at index 1 has the price inf; a price is a number from 0",
        ),
        (r#"{"format":1,"ids":["a"],"untrained":[2]}"#, "untrained names index 2, but items are 1 to 1"),
        (r#"{"format":1,"ids":["a"],"untrained":[0]}"#, "untrained names index 0, but items are 1 to 1"),
        (r#"{"format":0,"ids":[]}"#, "the catalogue has format 0, which never existed"),
    ];
    for (json, message) in cases {
        assert_eq!(refusal(json), message);
    }
    let long = refusal(&format!(r#"{{"format":1,"ids":["{}"]}}"#, "x".repeat(513)));
    assert_eq!(long, "the id of the item at index 1 is 513 bytes long; 512 are allowed");
}

#[test]
fn a_newer_format_asks_for_an_update_whatever_its_shape() {
    let message = "the catalogue has format 2, this onshelf reads up to 1: update onshelf";
    assert_eq!(refusal(r#"{"format":2,"ids":["a"]}"#), message);
    assert_eq!(refusal(r#"{"items":{"a":1},"format":2}"#), message);
}

#[test]
fn json_faults_tell_their_place() {
    let message = refusal("{\"format\":1,\n\"ids\":[\"a\",}");
    assert!(message.ends_with("(line 2, column 12)"), "{message}");
    assert!(refusal(r#"{"format":1,"ids":["a"]} x"#).contains("trailing characters"));
    assert!(refusal(r#"{"format":1,"ids":["a"],"name":["x"]}"#).contains("unknown field"));
    assert!(refusal(r#"{"format":1,"ids":["a"],"stocks":[-3]}"#).contains("-3"));
    assert!(refusal("").contains("EOF"));
    assert!(Catalogue::from_json(b"{\"format\":1,\"ids\":[\"\xff\"]}").is_err());
}

#[test]
fn the_builder_refuses_bad_items_and_stays_usable() {
    let mut builder = CatalogueBuilder::new();
    let unknown = ItemAttributes::default;
    assert_eq!(builder.push("", unknown(), true), Err(CatalogueError::EmptyId { index: 1 }));
    let priced = |price| ItemAttributes { price: Some(price), ..unknown() };
    assert!(builder.push("a", priced(f32::NAN), true).is_err());
    assert!(builder.push("a", priced(-0.01), true).is_err());
    assert!(builder.is_empty());
    builder.push("a", unknown(), true).unwrap();
    builder.push("a", unknown(), true).unwrap();
    assert_eq!(builder.len(), 2);
    assert!(matches!(builder.finish(), Err(CatalogueError::DuplicateId { first: 1, second: 2, .. })));
}

#[test]
fn debug_shows_no_items() {
    assert_eq!(format!("{:?}", sample()), "Catalogue { items: 3, .. }");
}

/// Any item; ids are made distinct by the caller.
fn any_item() -> impl Strategy<Value = (ItemAttributes, bool)> {
    let text = || proptest::option::of("\\PC{1,12}");
    let category = proptest::collection::vec("\\PC{0,8}", 0..4);
    let price = proptest::option::of((0u32..10_000_000).prop_map(|cents| cents as f32 / 100.0));
    let stock = proptest::option::of(0..u32::MAX);
    (text(), text(), category, price, stock, any::<bool>()).prop_map(
        |(name, brand, category, price, stock, trained)| {
            let attributes = ItemAttributes { name, brand, category, price, stock };
            (attributes, trained)
        },
    )
}

proptest! {
    #[test]
    fn every_catalogue_survives_the_round_trip(
        items in proptest::collection::hash_map(
            any::<String>().prop_filter("ids are 1 to 512 bytes", |id| {
                (1..=MAX_ID_BYTES).contains(&id.len())
            }),
            any_item(),
            0..40,
        )
    ) {
        let mut builder = CatalogueBuilder::new();
        let items: Vec<_> = items.into_iter().collect();
        for (id, (attributes, trained)) in &items {
            builder.push(id, attributes.clone(), *trained).unwrap();
        }
        let bytes = builder.finish().unwrap().to_json();
        let read = Catalogue::from_json(&bytes).unwrap();
        prop_assert_eq!(read.to_json(), bytes);
        prop_assert_eq!(read.len(), items.len());
        for (index, (id, (attributes, trained))) in (1..).zip(&items) {
            prop_assert_eq!(read.index_of(id), Some(index));
            prop_assert_eq!(read.id(index), Some(id.as_str()));
            prop_assert_eq!(read.name(index), attributes.name.as_deref());
            prop_assert_eq!(read.brand(index), attributes.brand.as_deref());
            prop_assert_eq!(read.category(index), &attributes.category[..]);
            prop_assert_eq!(read.price(index), attributes.price);
            prop_assert_eq!(read.stock(index), attributes.stock);
            prop_assert_eq!(read.is_trained(index), *trained);
        }
    }

    #[test]
    fn any_bytes_are_an_error_and_no_panic(bytes in any::<Vec<u8>>()) {
        prop_assert!(Catalogue::from_json(&bytes).is_err());
    }
}
