//! What a shopper's device does with the published version.

use std::collections::HashMap;
use std::fs;

use onshelf_core::catalogue::Catalogue;
use onshelf_core::event::EventKind;
use onshelf_core::version::{Manifest, Role};
use onshelf_core::weights::Weights;
use onshelf_model::shopper::{Request, Restored, Shopper, Tracked};
use onshelf_model::student::Compute;
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::replay::{self, Replay};
use onshelf_trainer::{student, teacher};
use pollster::block_on;

use crate::built::{Built, built};

/// As a browser does: verify, fetch by content, check, load.
fn load(built: &Built) -> Shopper {
    let root = built.published();
    let verified = Manifest::verify(&fs::read(root.join("latest.json")).unwrap(), &built.trusted()).unwrap();
    let fetch = |role: Role| {
        let entry = verified.manifest.file(role).unwrap();
        let content = fs::read(root.join(&entry.path)).unwrap();
        entry.verify(&content).unwrap();
        content
    };
    let weights = Weights::from_safetensors(&fetch(Role::Weights)).unwrap();
    let catalogue = Catalogue::from_json(&fetch(Role::Catalogue)).unwrap();
    Shopper::new(verified.version, verified.manifest, catalogue, &weights, &Compute::Cpu, 3).unwrap()
}

fn replays(built: &Built, name: &str, count: usize) -> Vec<Replay> {
    let data = Dataset::load(&built.data()).unwrap();
    let student = student::load(&built.student_dir()).unwrap();
    let corpus = teacher::load(&built.teacher_dir(), &built.data(), &data).unwrap().corpus;
    let path = built.root.join(name);
    let written = replay::write(&data, &corpus, &student, 4, count, &path).unwrap();
    let read: Vec<Replay> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    assert_eq!(read.len(), written);
    read
}

fn click(shopper: &mut Shopper, replay: &Replay, at: usize) {
    let kind = EventKind::parse(&replay.kinds[at]).unwrap();
    let tracked = shopper.track(&replay.clicks[at], kind, None, replay.times[at]);
    // What `prepare` let through, the same rules let through on the device.
    assert_eq!(tracked, Tracked::Accepted, "click {at} of {}", replay.clicks.len());
}

fn shelf(shopper: &mut Shopper) -> Vec<(String, f32)> {
    let request = Request { count: 20, ..Request::default() };
    block_on(shopper.recommend(&request)).unwrap().into_iter().map(|l| (l.item_id, l.score)).collect()
}

/// The same items in the same order, but for neighbours of all but equal score.
fn same_ranking(found: &[(String, f32)], expected: &[(String, f32)]) {
    let scores: HashMap<&str, f32> = expected.iter().map(|(id, s)| (id.as_str(), *s)).collect();
    assert_eq!(found.len(), 20);
    for (rank, ((id, score), (wanted, wanted_score))) in found.iter().zip(expected).enumerate() {
        let near = |a: f32, b: f32| (a - b).abs() <= 1e-4 * b.abs().max(1.0);
        assert!(near(*score, *wanted_score), "rank {rank}: score {score}, natively {wanted_score}");
        let tie = scores.get(id.as_str()).is_some_and(|&s| near(s, *wanted_score));
        assert!(id == wanted || tie, "rank {rank}: {id}, natively {wanted}");
    }
}

#[test]
fn a_device_ranks_as_the_evaluation_did_click_by_click() {
    let built = built();
    let replays = replays(built, "replay.json", 25);
    assert!(
        replays.len() >= 20 && replays.iter().any(|r| r.clicks.len() > 9),
        "sessions longer than the encoder reads"
    );
    for replay in &replays {
        let mut shopper = load(built);
        for (at, ranking) in replay.rankings.iter().enumerate() {
            click(&mut shopper, replay, at);
            same_ranking(&shelf(&mut shopper), &ranking[..20]);
        }
    }
}

#[test]
fn learning_lowers_the_loss_and_survives_a_reload() {
    let built = built();
    let replays = replays(built, "replay-tune.json", 12);
    let mut lower = 0;
    for replay in &replays {
        let mut shopper = load(built);
        (0..replay.clicks.len()).for_each(|at| click(&mut shopper, replay, at));
        let tuned = block_on(shopper.fine_tune(12)).unwrap().unwrap();
        assert!(tuned.loss_before.is_finite() && tuned.loss_after.is_finite());
        lower += usize::from(tuned.kept && tuned.loss_after < tuned.loss_before);
        let state = shopper.export_state().unwrap();
        let mut reloaded = load(built);
        assert_eq!(reloaded.import_state(&state), Ok(Restored::Everything));
        assert_eq!(shelf(&mut reloaded), shelf(&mut shopper));
        assert_eq!(reloaded.export_state().unwrap(), state);
    }
    assert_eq!(lower, replays.len(), "sessions whose loss fell");
}

#[test]
fn erasing_brings_the_shipped_shelf_back() {
    let built = built();
    let replay = &replays(built, "replay-erase.json", 1)[0];
    let (mut fresh, mut shopper) = (load(built), load(built));
    (0..replay.clicks.len()).for_each(|at| click(&mut shopper, replay, at));
    block_on(shopper.fine_tune(6)).unwrap();
    assert_ne!(shelf(&mut shopper), shelf(&mut fresh));
    shopper.erase();
    assert_eq!(shelf(&mut shopper), shelf(&mut fresh));
    assert_eq!(shopper.export_state().unwrap(), fresh.export_state().unwrap());
    assert!(shopper.clicks().is_empty() && shopper.personal().steps == 0);
}
