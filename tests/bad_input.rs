//! What pages, clocks and storage can hand to a shopper's runtime, and what must come of it.

use std::collections::BTreeMap;

use onshelf_core::catalogue::{Catalogue, CatalogueBuilder, CatalogueError, ItemAttributes};
use onshelf_core::event::EventKind;
use onshelf_core::quality::Rules;
use onshelf_core::rank::CENTROIDS;
use onshelf_core::version::{FineTuneConfig, MANIFEST_FORMAT, Manifest, StudentShape};
use onshelf_core::weights::{Tensor, Weights, WeightsError};
use onshelf_model::shopper::{
    COUNT_LIMIT, Filter, Kind, Request, RequestError, Restored, SESSION_LIMIT, Shopper, Tracked,
};
use onshelf_model::{Device, ModelError};
use pollster::block_on;

#[path = "support/random.rs"]
mod random;

use random::{Numbers, encoder_weights};

const ITEMS: usize = 50;
/// A Monday in 2026, Unix milliseconds.
const NOON: i64 = 1_767_614_400_000;
const MINUTE: i64 = 60_000;

fn shape() -> StudentShape {
    StudentShape {
        dim: 8,
        blocks: 1,
        heads: 2,
        hidden: 16,
        max_len: 10,
        subspaces: 4,
        adapter_rank: 2,
        temperature: 0.2,
        times: true,
    }
}

fn manifest(items: usize) -> Manifest {
    Manifest {
        format: MANIFEST_FORMAT,
        name: "test".into(),
        created: 1,
        previous: None,
        student: shape(),
        fine_tune: FineTuneConfig { learning_rate: 0.02, steps_per_click: 2, negatives: 16, proximal: 0.05 },
        items: items as u32,
        files: Vec::new(),
        metrics: BTreeMap::new(),
    }
}

/// A student whose item biases fall with the index: item 1 is the most popular.
fn weights(items: usize) -> Weights {
    let (shape, mut numbers) = (shape(), Numbers(3));
    let mut out = encoder_weights(&shape, &mut numbers);
    let mut put = |name: &str, shape: &[usize], values: Vec<f32>| {
        out.floats.insert(name.into(), Tensor { shape: shape.to_vec(), values });
    };
    put("items.centroids", &[shape.subspaces, CENTROIDS, 2], numbers.many(CENTROIDS * shape.dim, 0.5));
    put("items.bias", &[CENTROIDS], (0..CENTROIDS).map(|level| -(level as f32) / 20.0).collect());
    put("adapter.down", &[shape.dim, shape.adapter_rank], numbers.many(shape.dim * shape.adapter_rank, 0.5));
    put("adapter.up", &[shape.adapter_rank, shape.dim], vec![0.0; shape.dim * shape.adapter_rank]);
    let row = |item: usize| {
        [numbers.bits() as u8, numbers.bits() as u8, numbers.bits() as u8, numbers.bits() as u8, item as u8]
    };
    let codes: Vec<u8> = (0..items).flat_map(row).collect();
    out.bytes.insert("items.codes".into(), (vec![items, shape.subspaces + 1], codes));
    out
}

fn catalogue<S: AsRef<str>>(ids: impl IntoIterator<Item = S>) -> Result<Catalogue, CatalogueError> {
    let mut builder = CatalogueBuilder::new();
    for id in ids {
        builder.push(id.as_ref(), ItemAttributes::default(), true)?;
    }
    builder.finish()
}

fn numbered(items: usize) -> Catalogue {
    catalogue((1..=items).map(|i| format!("i{i}"))).unwrap()
}

fn load(version: &str, catalogue: Catalogue, weights: &Weights) -> Result<Shopper, ModelError> {
    let manifest = manifest(catalogue.len());
    Shopper::new(version.into(), manifest, catalogue, weights, &Device::flex(), false, 7)
}

fn shopper() -> Shopper {
    load("v1", numbered(ITEMS), &weights(ITEMS)).unwrap()
}

fn view(shopper: &mut Shopper, id: &str, at: i64) -> Tracked {
    shopper.track(id, EventKind::ViewItem, None, at)
}

/// A shopper who clicked on four items and was learned from.
fn learned() -> Shopper {
    let mut s = shopper();
    for (n, id) in ["i5", "i17", "i5", "i30"].into_iter().enumerate() {
        assert_eq!(view(&mut s, id, NOON + n as i64 * MINUTE), Tracked::Accepted);
        block_on(s.fine_tune(2)).unwrap();
    }
    s
}

fn shelf(count: usize) -> Request {
    Request { count, ..Request::default() }
}

fn ask(shopper: &mut Shopper, request: &Request) -> Vec<(String, f32)> {
    block_on(shopper.recommend(request)).unwrap().into_iter().map(|l| (l.item_id, l.score)).collect()
}

fn ids(shopper: &mut Shopper, request: &Request) -> Vec<String> {
    ask(shopper, request).into_iter().map(|l| l.0).collect()
}

fn by_popularity(n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("i{i}")).collect()
}

// --- requests ----------------------------------------------------------------------------------

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

// --- events ------------------------------------------------------------------------------------

#[test]
fn ten_thousand_clicks_in_a_second_do_no_harm() {
    let mut s = shopper();
    let mut left_out = BTreeMap::<&str, usize>::new();
    for n in 0..10_000_i64 {
        let id = format!("i{}", n % ITEMS as i64 + 1);
        if let Tracked::LeftOut(reason) = view(&mut s, &id, NOON + n / 10) {
            *left_out.entry(reason).or_default() += 1;
        }
    }
    assert!(s.clicks().len() <= 30, "{} clicks kept", s.clicks().len());
    assert_eq!(s.clicks().len() + left_out.values().sum::<usize>(), 10_000);
    assert!(left_out["flood"] > 9_900, "{left_out:?}");
    assert_eq!(ask(&mut s, &shelf(20)).len(), 20);
    // Whoever did that is a robot for the rest of the session, as in the logs; the next one is heard.
    assert_eq!(view(&mut s, "i7", NOON + 2 * MINUTE), Tracked::LeftOut("robot"));
    assert_eq!(view(&mut s, "i7", NOON + 40 * MINUTE), Tracked::Accepted);
    assert_eq!(s.clicks().len(), 1);
}

#[test]
fn after_a_short_flood_a_person_is_heard() {
    let mut s = shopper();
    for n in 0..150_i64 {
        view(&mut s, &format!("i{}", n % ITEMS as i64 + 1), NOON + n);
    }
    assert_eq!(view(&mut s, "i7", NOON + MINUTE), Tracked::Accepted);
}

#[test]
fn one_item_ten_thousand_times_is_one_click() {
    let mut s = shopper();
    let accepted = (0..10_000_i64).filter(|n| view(&mut s, "i4", NOON + n / 10) == Tracked::Accepted).count();
    assert_eq!((accepted, s.clicks().len()), (1, 1));
}

#[test]
fn a_long_session_is_bounded() {
    let mut s = shopper();
    let robot = Rules::default().max_clicks_per_session as i64;
    for n in 0..1000_i64 {
        let tracked = view(&mut s, &format!("i{}", n % 50 + 1), NOON + n * 2_000);
        assert_eq!(
            tracked,
            if n < robot { Tracked::Accepted } else { Tracked::LeftOut("robot") },
            "click {n}"
        );
        if n % 100 == 99 {
            block_on(s.fine_tune(1)).unwrap();
        }
    }
    assert_eq!(s.clicks().len(), SESSION_LIMIT);
    assert_eq!(ask(&mut s, &shelf(20)).len(), 20);
    assert!(s.export_state().unwrap().len() < 64 * 1024);
}

#[test]
fn bounces_are_left_out_but_purchases_never_are() {
    let mut s = shopper();
    assert_eq!(s.track("i1", EventKind::ViewItem, Some(100), NOON), Tracked::LeftOut("bounce"));
    assert_eq!(s.track("i1", EventKind::Purchase, Some(100), NOON + 1), Tracked::Accepted);
    assert_eq!(s.track("i1", EventKind::ViewItem, Some(u32::MAX), NOON + 5000), Tracked::Accepted);
}

#[test]
fn a_clock_may_go_backwards_or_mad() {
    let mut s = shopper();
    let times = [NOON, NOON - 86_400_000, NOON - 86_400_000 + 1, i64::MAX, i64::MIN, -1, 0, NOON];
    for (n, at) in times.into_iter().enumerate() {
        view(&mut s, &format!("i{}", n + 1), at);
        assert!(ask(&mut s, &shelf(5)).iter().all(|l| l.1.is_finite()), "after time {at}");
        block_on(s.fine_tune(1)).unwrap();
    }
    let state = s.export_state().unwrap();
    assert_eq!(shopper().import_state(&state), Ok(Restored::Everything));
}

#[test]
fn going_backwards_ends_no_session_and_a_long_silence_does() {
    let mut s = shopper();
    view(&mut s, "i1", NOON);
    view(&mut s, "i2", NOON - 5 * 3_600_000);
    assert_eq!(s.clicks().len(), 2);
    view(&mut s, "i3", NOON - 5 * 3_600_000 + 31 * MINUTE);
    assert_eq!(s.clicks().len(), 1);
}

// --- catalogues and weights --------------------------------------------------------------------

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

// --- saved state -------------------------------------------------------------------------------

/// The state's JSON with a change made to it.
fn rewritten(state: &[u8], change: impl Fn(&mut serde_json::Value)) -> Vec<u8> {
    let mut weights = Weights::from_safetensors(state).unwrap();
    let mut json: serde_json::Value = serde_json::from_slice(&weights.bytes["state"].1).unwrap();
    change(&mut json);
    let json = serde_json::to_vec(&json).unwrap();
    weights.bytes.insert("state".into(), (vec![json.len()], json));
    weights.to_safetensors().unwrap()
}

/// What must be as it was after a refused import.
fn snapshot(s: &mut Shopper) -> (Vec<(String, f32)>, Vec<u8>) {
    (ask(s, &shelf(20)), s.export_state().unwrap())
}

#[test]
fn a_state_comes_back_whole() {
    let mut s = learned();
    let state = s.export_state().unwrap();
    let mut other = shopper();
    assert_eq!(other.import_state(&state), Ok(Restored::Everything));
    assert_eq!(snapshot(&mut other), snapshot(&mut s));
    assert_eq!(other.personal().steps, s.personal().steps);
    assert!(other.is_personal());
    // Both learn the same from the next click.
    for one in [&mut s, &mut other] {
        view(one, "i8", NOON + 9 * MINUTE);
        block_on(one.fine_tune(2)).unwrap();
    }
    assert_eq!(snapshot(&mut other), snapshot(&mut s));
}

#[test]
fn a_newer_state_is_refused_in_words() {
    let mut s = learned();
    let before = snapshot(&mut s);
    // The newer format may have any shape beside its number.
    let newer = rewritten(&before.1, |json| *json = serde_json::json!({ "format": 2, "taste": [1] }));
    let error = s.import_state(&newer).unwrap_err();
    assert_eq!(error, ModelError::StateTooNew { found: 2, known: 1 });
    assert!(error.to_string().contains("update onshelf"));
    assert_eq!(snapshot(&mut s), before);
}

#[test]
fn a_truncated_or_foreign_state_changes_nothing() {
    let mut s = learned();
    let before = snapshot(&mut s);
    let state = &before.1;
    let step = (state.len() / 200).max(1);
    for cut in (0..state.len()).step_by(step).chain([state.len() - 1]) {
        assert!(s.import_state(&state[..cut]).is_err(), "cut at {cut}");
    }
    for foreign in [&b""[..], b"{}", b"<html>", &[0xff; 100], &[0; 16]] {
        let error = s.import_state(foreign).unwrap_err().to_string();
        assert!(error.contains("starts afresh"), "{error}");
    }
    let longer = [&state[..], &[0][..]].concat();
    assert!(s.import_state(&longer).is_err(), "trailing bytes");
    assert_eq!(snapshot(&mut s), before);
}

#[test]
fn a_flipped_bit_never_panics_and_never_gives_a_broken_shelf() {
    let state = learned().export_state().unwrap();
    let mut s = shopper();
    for bit in (0..state.len() * 8).step_by(97) {
        let mut flipped = state.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // Most flips are told; one in a number is not, and must still give a shelf.
        let _ = s.import_state(&flipped);
        assert_eq!(ask(&mut s, &shelf(5)).len(), 5, "bit {bit}");
    }
}

#[test]
fn a_state_with_broken_parts_is_refused() {
    let mut s = learned();
    let before = snapshot(&mut s);
    let broken_tensor = |name: &str, change: fn(&mut Tensor)| {
        let mut weights = Weights::from_safetensors(&before.1).unwrap();
        change(weights.floats.get_mut(name).unwrap());
        weights.to_safetensors().unwrap()
    };
    let states = [
        broken_tensor("taste", |t| t.values[0] = f32::NAN),
        broken_tensor("adapter.up", |t| t.values[0] = f32::INFINITY),
        broken_tensor("moments.up.second", |t| t.values[0] = f32::NAN),
        broken_tensor("adapter.down", |t| t.shape.reverse()),
        rewritten(&before.1, |json| json["facts"] = serde_json::json!(null)),
        rewritten(&before.1, |json| json["clicks"] = serde_json::json!({})),
        rewritten(&before.1, |json| json["format"] = serde_json::json!("one")),
    ];
    for state in states {
        let error = s.import_state(&state).unwrap_err().to_string();
        assert!(error.contains("starts afresh"), "{error}");
        assert_eq!(snapshot(&mut s), before);
    }
}

#[test]
fn another_models_state_keeps_the_session_and_drops_the_personal_part() {
    let state = learned().export_state().unwrap();
    // The new version lost item 17 and numbers the others differently.
    let ids = (1..=ITEMS).rev().filter(|&i| i != 17).map(|i| format!("i{i}"));
    let mut s = load("v2", catalogue(ids).unwrap(), &weights(ITEMS - 1)).unwrap();
    assert_eq!(s.import_state(&state), Ok(Restored::SessionOnly));
    let kept: Vec<&str> = s.clicks().iter().map(|c| s.catalogue().id(c.item).unwrap()).collect();
    assert_eq!(kept, ["i5", "i5", "i30"]);
    assert_eq!(s.personal().steps, 0);
    assert!(!s.is_personal());
    assert_eq!(ask(&mut s, &shelf(5)).len(), 5);
    block_on(s.fine_tune(2)).unwrap();
}

#[test]
fn another_models_shape_does_not_stop_the_session() {
    let state = learned().export_state().unwrap();
    let mut weights = weights(ITEMS);
    weights.floats.insert("adapter.down".into(), Tensor::zeros(&[8, 4]));
    weights.floats.insert("adapter.up".into(), Tensor::zeros(&[4, 8]));
    let mut manifest = manifest(ITEMS);
    manifest.student.adapter_rank = 4;
    let mut s =
        Shopper::new("v2".into(), manifest, numbered(ITEMS), &weights, &Device::flex(), false, 7).unwrap();
    assert_eq!(s.import_state(&state), Ok(Restored::SessionOnly));
    assert_eq!(s.clicks().len(), 4);
}

#[test]
fn a_state_with_too_many_or_unknown_clicks_is_cut_to_what_is_known() {
    let state = learned().export_state().unwrap();
    let crowded = rewritten(&state, |json| {
        let click = |n: i64, id: &str, event: &str| serde_json::json!({ "item_id": id, "event": event, "at_ms": NOON + n * MINUTE, "dwell_ms": null });
        let mut clicks: Vec<_> =
            (0..500).map(|n| click(n, &format!("i{}", n % 50 + 1), "view_item")).collect();
        clicks.push(click(501, "nobody", "view_item"));
        clicks.push(click(502, "i1", "time_travel"));
        json["clicks"] = clicks.into();
        json["judged"] = serde_json::json!(u32::MAX);
    });
    let mut s = shopper();
    assert_eq!(s.import_state(&crowded), Ok(Restored::Everything));
    assert_eq!(s.clicks().len(), SESSION_LIMIT);
    assert_eq!(ask(&mut s, &shelf(5)).len(), 5);
    block_on(s.fine_tune(1)).unwrap();
}

#[test]
fn erasing_leaves_a_shopper_nobody_knows() {
    let mut s = learned();
    s.erase();
    assert_eq!(snapshot(&mut s), snapshot(&mut shopper()));
    assert_eq!(view(&mut s, "i30", NOON + 3 * MINUTE), Tracked::Accepted, "old clicks make no duplicates");
}

#[test]
fn debug_output_tells_no_click() {
    let s = learned();
    let shown = format!("{s:?} {:?} {:?}", s.personal(), s.clicks());
    assert!(!shown.contains("i17") && !shown.contains("1767614"), "{shown}");
}
