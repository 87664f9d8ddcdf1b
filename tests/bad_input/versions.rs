//! A new model version while something was learned on the one before, earlier sessions, and a lost lead.

use onshelf_core::part::Part;
use onshelf_core::version::{FileEntry, FineTuneConfig, Manifest, Role, Strategy};
use onshelf_core::weights::{Tensor, Weights};
use onshelf_model::shopper::{PAST_CLICKS, PAST_SESSIONS, Restored, Shopper, Tracked};
use onshelf_model::student::{Compute, FISHER};
use pollster::block_on;

use crate::shop::{ITEMS, MINUTE, NOON, ask, learned, manifest, numbered, shelf, view, weights};

/// A version as `export` makes it, with what is frozen named.
fn version(name: &str, frozen: &str, catalogue: &[u8], weights: &Weights) -> Shopper {
    let files = vec![FileEntry::describe(Role::Catalogue, catalogue, "json")];
    let manifest = Manifest { frozen: Some(frozen.into()), files, ..manifest(ITEMS) };
    Shopper::new(name.into(), manifest, numbered(ITEMS), weights, &Compute::Cpu, 7).unwrap()
}

fn learn(s: &mut Shopper) {
    for (n, id) in ["i5", "i17", "i6", "i30"].into_iter().enumerate() {
        assert_eq!(view(s, id, NOON + n as i64 * MINUTE), Tracked::Accepted);
        block_on(s.fine_tune(2)).unwrap();
    }
}

/// The same weights with another adapter, as a sync makes them.
fn synced() -> Weights {
    let mut out = weights(ITEMS);
    for name in ["adapter.down", "adapter.up"] {
        out.floats.get_mut(name).unwrap().values.iter_mut().for_each(|x| *x += 0.25);
    }
    out
}

#[test]
fn a_version_with_another_adapter_alone_carries_what_was_learned_over() {
    let mut old = version("v1", "f", b"c", &weights(ITEMS));
    learn(&mut old);
    let mut new = version("v2", "f", b"c", &synced());
    assert_eq!(new.import_state(&old.export_state().unwrap()), Ok(Restored::Rebased));
    let (before, after) = (old.personal(), new.personal());
    assert!(before.steps > 0 && after.steps == before.steps);
    assert_eq!(after.taste, before.taste);
    for (new, old) in [(&after.adapter.down, &before.adapter.down), (&after.adapter.up, &before.adapter.up)] {
        assert!(new.iter().zip(old).all(|(n, o)| (n - o - 0.25).abs() < 1e-6));
    }
    // It has to prove itself against the new version.
    assert_eq!(after.guard.clicks, 0);
    assert_eq!(new.clicks(), old.clicks());
    assert_eq!(ask(&mut new, &shelf(5)).len(), 5);
    block_on(new.fine_tune(2)).unwrap();
}

/// The same weights with a trend, as rounds of private sums make them.
fn with_trend() -> Weights {
    let mut out = weights(ITEMS);
    let centroids = &out.floats["items.centroids"];
    let values = (0..centroids.values.len()).map(|at| 0.1 * (at as f32).sin()).collect();
    let trend = Tensor { shape: centroids.shape.clone(), values };
    out.floats.insert("items.trend".into(), trend);
    let values = (0..256).map(|at| 0.3 * (at as f32).cos()).collect();
    out.floats.insert("items.level_trend".into(), Tensor { shape: vec![256], values });
    out
}

#[test]
fn a_version_with_a_trend_alone_carries_what_was_learned_over_as_it_is() {
    let mut old = version("v1", "f", b"c", &weights(ITEMS));
    learn(&mut old);
    let mut new = version("v2", "f", b"c", &with_trend());
    assert_eq!(new.import_state(&old.export_state().unwrap()), Ok(Restored::Rebased));
    assert_eq!(new.personal().adapter, old.personal().adapter);
    assert_eq!(new.personal().taste, old.personal().taste);
    let (before, after) = (ask(&mut old, &shelf(20)), ask(&mut new, &shelf(20)));
    assert_ne!(before, after, "the trend orders shelves");
}

#[test]
fn a_contribution_is_of_the_clicks_at_the_shipped_student() {
    let mut s = version("v1", "f", b"c", &with_trend());
    let part = Part::of_round(s.student().shape(), 0).unwrap();
    assert_eq!(block_on(s.contribution(&part)).unwrap(), None, "no click");
    view(&mut s, "i5", NOON);
    assert_eq!(block_on(s.contribution(&part)).unwrap(), None, "one click foretells nothing");
    view(&mut s, "i17", NOON + MINUTE);
    let given = block_on(s.contribution(&part)).unwrap().unwrap();
    assert_eq!(given.len(), part.range(s.student().shape()).unwrap().len());
    assert!(given.iter().any(|x| *x != 0.0) && given.iter().all(|x| x.is_finite()));
    // What was learned here is not in it, and nothing is changed by it.
    let state = s.export_state().unwrap();
    assert_eq!(block_on(s.contribution(&part)).unwrap().unwrap(), given);
    assert_eq!(s.export_state().unwrap(), state);
    block_on(s.fine_tune(3)).unwrap();
    assert_eq!(block_on(s.contribution(&part)).unwrap().unwrap(), given);
    let beyond = Part { first: 0, count: 100 };
    assert!(block_on(s.contribution(&beyond)).is_err());
}

#[test]
fn a_trend_that_does_not_fit_is_refused() {
    let load = |weights: &Weights| {
        Shopper::new("v1".into(), manifest(ITEMS), numbered(ITEMS), weights, &Compute::Cpu, 7)
            .map(|_| ())
            .map_err(|e| e.to_string())
    };
    for name in ["items.trend", "items.level_trend"] {
        let mut short = with_trend();
        short.floats.get_mut(name).unwrap().values.truncate(10);
        short.floats.get_mut(name).unwrap().shape = vec![10];
        assert!(load(&short).unwrap_err().contains(name));
        let mut broken = with_trend();
        broken.floats.get_mut(name).unwrap().values[3] = f32::INFINITY;
        assert!(load(&broken).is_err());
        let mut alone = with_trend();
        alone.floats.remove(name);
        assert!(load(&alone).is_ok(), "without {name}");
    }
    assert!(load(&with_trend()).is_ok());
}

#[test]
fn any_other_difference_drops_it_and_keeps_the_session() {
    let mut old = version("v1", "f", b"c", &weights(ITEMS));
    learn(&mut old);
    let state = old.export_state().unwrap();
    let unnamed = learned().export_state().unwrap();
    for (frozen, catalogue, state) in [("g", b"c", &state), ("f", b"d", &state), ("f", b"c", &unnamed)] {
        let mut new = version("v2", frozen, catalogue, &synced());
        assert_eq!(new.import_state(state), Ok(Restored::SessionOnly));
        assert_eq!((new.personal().steps, new.clicks().len()), (0, 4));
    }
}

#[test]
fn a_state_whose_shipped_adapter_is_damaged_changes_nothing() {
    let mut old = version("v1", "f", b"c", &weights(ITEMS));
    learn(&mut old);
    let mut state = Weights::from_safetensors(&old.export_state().unwrap()).unwrap();
    state.floats.remove("base.up");
    let mut new = version("v2", "f", b"c", &synced());
    let before = new.export_state().unwrap();
    let error = new.import_state(&state.to_safetensors().unwrap()).unwrap_err().to_string();
    assert!(error.contains("base.up") && error.contains("starts afresh"), "{error}");
    assert_eq!(new.export_state().unwrap(), before);
}

fn replaying(replay: f32) -> Shopper {
    let manifest =
        Manifest { fine_tune: FineTuneConfig { replay, ..manifest(ITEMS).fine_tune }, ..manifest(ITEMS) };
    Shopper::new("v1".into(), manifest, numbered(ITEMS), &weights(ITEMS), &Compute::Cpu, 7).unwrap()
}

/// So many sessions, a day apart, of so many clicks.
fn visit(s: &mut Shopper, sessions: i64, clicks: i64) {
    for session in 0..sessions {
        for click in 0..clicks {
            let id = format!("i{}", (session * 7 + click * 3) % ITEMS as i64 + 1);
            view(s, &id, NOON + session * 24 * 60 * MINUTE + click * MINUTE);
            block_on(s.fine_tune(1)).unwrap();
        }
    }
}

fn past(s: &Shopper) -> Vec<Vec<String>> {
    let json: serde_json::Value = serde_json::from_str(&s.export_readable().unwrap()).unwrap();
    let ids = |clicks: &serde_json::Value| {
        let ids = clicks.as_array().unwrap().iter();
        ids.map(|c| c["item_id"].as_str().unwrap().to_owned()).collect()
    };
    json["state"]["past"].as_array().map(|all| all.iter().map(ids).collect()).unwrap_or_default()
}

#[test]
fn earlier_sessions_are_kept_only_where_they_are_replayed_and_within_bounds() {
    let mut plain = replaying(0.0);
    visit(&mut plain, 3, 4);
    assert_eq!(past(&plain).len(), 0);
    let mut s = replaying(0.3);
    visit(&mut s, PAST_SESSIONS as i64 + 4, PAST_CLICKS as i64 + 3);
    let kept = past(&s);
    assert_eq!(kept.len(), PAST_SESSIONS);
    assert!(kept.iter().all(|clicks| clicks.len() == PAST_CLICKS));
    // They survive a reload, make the steps other steps, and go with the rest.
    let mut again = replaying(0.3);
    assert_eq!(again.import_state(&s.export_state().unwrap()), Ok(Restored::Everything));
    assert_eq!(past(&again), kept);
    let mut without = replaying(0.0);
    without.import_state(&s.export_state().unwrap()).unwrap();
    assert_eq!(past(&without).len(), 0);
    // The guard may undo a step or what came before it: they need not differ at the end.
    let mut differed = 0;
    for click in 0..4 {
        for s in [&mut again, &mut without] {
            let id = format!("i{}", click * 11 + 2);
            view(s, &id, NOON + 99 * 24 * 60 * MINUTE + i64::from(click) * MINUTE);
            block_on(s.fine_tune(1)).unwrap();
        }
        differed += usize::from(again.personal().taste != without.personal().taste);
    }
    assert!(differed > 0);
    again.set_strategy(Strategy::Gradient).unwrap();
    assert_eq!(past(&again).len(), 0);
    s.erase();
    assert_eq!(past(&s).len(), 0);
}

#[test]
fn a_lead_that_is_lost_puts_the_last_good_state_back() {
    let mut s = learned();
    let shipped = s.student().base().clone();
    let mut personal = s.personal().clone();
    for _ in 0..4 {
        personal.judge(s.student(), 5.0, 4.0);
    }
    assert_eq!(personal.guard.say(), 1.0);
    let good = personal.clone();
    personal.taste.iter_mut().for_each(|x| *x += 1.0);
    let mut clicks = 0;
    while personal.guard.rolled_back == 0 {
        personal.judge(s.student(), 4.0, 5.0);
        clicks += 1;
        assert!(clicks < 40, "never put back");
    }
    assert_eq!((&personal.taste, &personal.adapter), (&good.taste, &good.adapter));
    assert_eq!((personal.guard.clicks, personal.guard.say()), (0, 0.0));
    // Without a good state before it, what is behind goes back to the shipped student.
    let mut clicks = 0;
    while personal.guard.rolled_back == 1 {
        personal.judge(s.student(), 4.0, 5.0);
        clicks += 1;
        assert!(clicks < 10, "never put back");
    }
    assert_eq!(personal.adapter, shipped);
    assert!(personal.taste.iter().all(|x| *x == 0.0));
    s.erase();
}

#[test]
fn a_good_state_is_saved_with_the_rest() {
    let mut s = learned();
    let mut state = Weights::from_safetensors(&s.export_state().unwrap()).unwrap();
    let names: Vec<&String> = state.floats.keys().filter(|n| n.starts_with("good.")).collect();
    if s.personal().guard.say() < 1.0 {
        assert!(names.is_empty(), "{names:?}");
    }
    // A state that promises one and has none is damaged.
    let json = &mut state.bytes.get_mut("state").unwrap().1;
    let mut saved: serde_json::Value = serde_json::from_slice(json).unwrap();
    saved["facts"]["good_lead"] = serde_json::json!(0.5);
    *json = serde_json::to_vec(&saved).unwrap();
    let length = json.len();
    state.bytes.get_mut("state").unwrap().0 = vec![length];
    state.floats.retain(|name, _| !name.starts_with("good."));
    let error = s.import_state(&state.to_safetensors().unwrap()).unwrap_err().to_string();
    assert!(error.contains("good.down"), "{error}");
}

#[test]
fn a_strategy_alone_has_the_strength_of_the_manifest_or_a_usual_one() {
    let shipped = FineTuneConfig { proximal: 0.2, distil: 0.0, memory: 0.5, ..FineTuneConfig::tuned() };
    assert_eq!(shipped.clone().with(Strategy::Shipped), shipped);
    let gradient = shipped.clone().with(Strategy::Gradient);
    assert_eq!([gradient.proximal, gradient.distil, gradient.memory, gradient.replay], [0.0; 4]);
    let proximal = shipped.clone().with(Strategy::Proximal);
    assert_eq!([proximal.proximal, proximal.distil, proximal.memory], [0.2, 0.0, 0.0]);
    let replay = shipped.clone().with(Strategy::Replay);
    assert!(replay.replay > 0.0 && replay.memory == 0.5 && replay.distil == 0.0);
    let ewc = shipped.clone().with(Strategy::Ewc);
    assert!(ewc.ewc > 0.0 && ewc.memory == 0.0);
    let distil = shipped.with(Strategy::Distillation);
    assert!(distil.distil > 0.0 && distil.replay == 0.0);
}

/// A version that was shipped with its Fisher information.
fn informed(fisher: Vec<f32>, fine_tune: FineTuneConfig) -> Result<Shopper, onshelf_model::ModelError> {
    let mut weights = weights(ITEMS);
    weights.floats.insert(FISHER.into(), Tensor { shape: vec![2, fisher.len() / 2], values: fisher });
    let manifest = Manifest { fine_tune, ..manifest(ITEMS) };
    Shopper::new("v1".into(), manifest, numbered(ITEMS), &weights, &Compute::Cpu, 7)
}

#[test]
fn consolidation_needs_the_information_and_is_refused_without() {
    let asked = FineTuneConfig { ewc: 0.1, ..manifest(ITEMS).fine_tune };
    let without = Manifest { fine_tune: asked.clone(), ..manifest(ITEMS) };
    let error = Shopper::new("v1".into(), without, numbered(ITEMS), &weights(ITEMS), &Compute::Cpu, 7)
        .unwrap_err()
        .to_string();
    assert!(error.contains("Fisher") && error.contains("choose proximal"), "{error}");
    let mut s = learned();
    let before = s.export_state().unwrap();
    assert!(s.set_strategy(Strategy::Ewc).unwrap_err().to_string().contains("Fisher"));
    assert_eq!(s.export_state().unwrap(), before);

    let n = 2 * s.student().base().down.len();
    // Parameters of which nothing is known move freely, the others hardly.
    let halves: Vec<f32> = (0..n).map(|at| if at < n / 2 { 1e4 } else { 0.0 }).collect();
    let mut s = informed(halves, manifest(ITEMS).fine_tune).unwrap();
    s.set_strategy(Strategy::Ewc).unwrap();
    visit(&mut s, 1, 6);
    let (own, base) = (s.personal().adapter.clone(), s.student().base().clone());
    let moved = |own: &[f32], base: &[f32]| own.iter().zip(base).map(|(o, b)| (o - b).abs()).sum::<f32>();
    let (down, up) = (moved(&own.down, &base.down), moved(&own.up, &base.up));
    assert!(down < 0.7 * up, "down moved by {down}, up by {up}");
    assert_eq!(s.student().parameters(), learned().student().parameters());

    let damaged = informed(vec![-1.0; n], asked.clone()).unwrap_err().to_string();
    assert!(damaged.contains("negative"), "{damaged}");
    assert!(informed(vec![1.0; n - 2], asked).is_err());
}
