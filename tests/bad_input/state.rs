//! Saved state that is newer, damaged, or another model's.

use onshelf_core::catalogue::{CatalogueBuilder, ItemAttributes};
use onshelf_core::version::{FineTuneConfig, Manifest};
use onshelf_core::weights::{Tensor, Weights};
use onshelf_model::ModelError;
use onshelf_model::shopper::{REACH, Restored, SESSION_LIMIT, Shopper, Tracked};
use onshelf_model::student::Compute;
use pollster::block_on;

use crate::shop::*;

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
    assert!(other.personal().steps > 0 && other.personal() == s.personal());
    assert_eq!(other.is_personal(), s.is_personal());
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
    let mut s = Shopper::new("v2".into(), manifest, numbered(ITEMS), &weights, &Compute::Cpu, 7).unwrap();
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

/// A shop of two categories whose shoppers learn leanings, and one who clicked `clicks` of them.
fn leaning(clicks: i64) -> Shopper {
    let mut builder = CatalogueBuilder::new();
    for n in 1..=ITEMS {
        let category = vec![if n % 2 == 0 { "even" } else { "odd" }.to_owned()];
        builder.push(&format!("i{n}"), ItemAttributes { category, ..Default::default() }, true).unwrap();
    }
    let fine_tune = FineTuneConfig { affinity_rate: 0.5, ..manifest(ITEMS).fine_tune };
    let manifest = Manifest { fine_tune, ..manifest(ITEMS) };
    let catalogue = builder.finish().unwrap();
    let mut s = Shopper::new("v1".into(), manifest, catalogue, &weights(ITEMS), &Compute::Cpu, 7).unwrap();
    for n in 0..clicks {
        view(&mut s, &format!("i{}", n * 6 % ITEMS as i64 + 2), NOON + n * MINUTE);
        block_on(s.fine_tune(1)).unwrap();
    }
    s
}

#[test]
fn a_state_of_before_there_was_evidence_is_read() {
    let mut s = leaning(5);
    let state = s.export_state().unwrap();
    let mut weights = Weights::from_safetensors(&rewritten(&state, |json| {
        json["facts"]["guard"].as_object_mut().unwrap().remove("evidence").unwrap();
    }))
    .unwrap();
    for name in ["affinity.seen", "affinity.expected"] {
        assert!(weights.floats.remove(name).is_some(), "{name}");
    }
    let mut other = leaning(0);
    assert_eq!(other.import_state(&weights.to_safetensors().unwrap()), Ok(Restored::Everything));
    assert_eq!(other.personal().guard.evidence, 0.0);
    assert_eq!(other.personal().guard.clicks, s.personal().guard.clicks);
    assert_eq!(other.personal().affinity, s.personal().affinity);
    // It goes on from the same leanings.
    for one in [&mut s, &mut other] {
        view(one, "i44", NOON + 60 * MINUTE / 3);
        block_on(one.fine_tune(1)).unwrap();
    }
    let (own, others) = (&s.personal().affinity, &other.personal().affinity);
    assert!(others.iter().all(|x| x.is_finite()) && others[1] > others[0] && own[1] > own[0]);

    let below = {
        let mut weights = Weights::from_safetensors(&state).unwrap();
        weights.floats.get_mut("affinity.seen").unwrap().values[0] = -2.0;
        weights.to_safetensors().unwrap()
    };
    let error = other.import_state(&below).unwrap_err().to_string();
    assert!(error.contains("negative"), "{error}");
}

#[test]
fn the_personal_model_orders_the_best_items_and_no_others() {
    let mut s = leaning(9);
    assert!(s.is_personal(), "{:?}", s.personal().guard);
    // The same clicks in the eyes of the shipped student: nothing was learned from them.
    let mut shipped = leaning(0);
    for click in s.clicks().to_vec() {
        let id = shipped.catalogue().id(click.item).unwrap().to_owned();
        view(&mut shipped, &id, click.at_ms.unwrap());
    }
    let (own, base) = (ids(&mut s, &shelf(ITEMS)), ids(&mut shipped, &shelf(ITEMS)));
    assert_ne!(own[..REACH], base[..REACH]);
    assert_eq!(own[REACH..], base[REACH..]);
    let sorted = |ids: &[String]| {
        let mut ids = ids.to_vec();
        ids.sort();
        ids
    };
    assert_eq!(sorted(&own[..REACH]), sorted(&base[..REACH]));
    // However many are asked for, the first are the same.
    assert_eq!(ids(&mut s, &shelf(5)), own[..5]);
    let even = |ids: &[String]| ids.iter().filter(|id| id[1..].parse::<u32>().unwrap() % 2 == 0).count();
    assert!(even(&own[..10]) > even(&base[..10]), "{own:?} {base:?}");
}

#[test]
fn a_session_is_contributed_once_unless_it_goes_on() {
    let mut s = learned();
    let part = s.part_of(0).unwrap();
    let first = block_on(s.contribution(&part)).unwrap().unwrap();
    assert_eq!(first.len(), part.range(&shape()).unwrap().len());
    assert!(first.iter().any(|x| *x != 0.0));
    s.contributed();
    assert_eq!(block_on(s.contribution(&part)), Ok(None));
    // It is part of what is saved.
    let mut other = shopper();
    other.import_state(&s.export_state().unwrap()).unwrap();
    assert_eq!(block_on(other.contribution(&part)), Ok(None));
    view(&mut other, "i8", NOON + 9 * MINUTE);
    let second = block_on(other.contribution(&part)).unwrap().unwrap();
    assert_ne!(second, first);
    // And forgotten with the shopper: who begins anew is not held to what another one gave.
    other.contributed();
    other.erase();
    for (at, id) in ["i5", "i17"].into_iter().enumerate() {
        view(&mut other, id, NOON - 60 * MINUTE + at as i64 * MINUTE);
    }
    assert!(block_on(other.contribution(&part)).unwrap().is_some());
}
