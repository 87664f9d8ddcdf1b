use super::super::hpke::Keypair;
use super::*;
use crate::privacy::rotate::Seed;
use crate::version::{signing_key, to_hex};

pub(in super::super) fn key(n: u8) -> Keypair {
    Keypair::derive(n, &[n; 32])
}

pub(in super::super) fn parameters() -> TaskParameters {
    let encoding = Encoding::new(12, 4, 1.0, Seed([7; 32])).unwrap();
    TaskParameters {
        format: TASK_FORMAT,
        model: "ab".repeat(32),
        lineage: "shop".into(),
        round: 3,
        encoding,
        chunk_length: Vdaf::chunk_length(&encoding),
        policy: Policy::new(4.0, 1e-6, 2).unwrap(),
        min_batch: 1_000,
        leader: Aggregator { url: "https://leader.example/".into(), hpke: key(1).public().clone() },
        helper: Aggregator { url: "https://helper.example/dap/".into(), hpke: key(2).public().clone() },
        collector: key(3).public().clone(),
        time_precision: 3_600,
        start: 1_800_000_000,
        expires: 1_800_000_000 + 7 * 86_400,
    }
}

pub(in super::super) fn task() -> TaskManifest {
    TaskManifest::new(parameters()).unwrap()
}

type Change = fn(&mut TaskParameters);

/// One change for each field that a server might want to differ for one shopper.
const CHANGES: [(&str, Change); 17] = [
    ("model", |p| p.model.replace_range(..1, "0")),
    ("lineage", |p| p.lineage.push('x')),
    ("round", |p| p.round += 1),
    ("dimension", |p| p.encoding = Encoding::new(13, 4, 1.0, Seed([7; 32])).unwrap()),
    ("bits", |p| p.encoding = Encoding::new(12, 5, 1.0, Seed([7; 32])).unwrap()),
    ("clip", |p| p.encoding = Encoding::new(12, 4, 1.5, Seed([7; 32])).unwrap()),
    ("seed", |p| p.encoding = Encoding::new(12, 4, 1.0, Seed([8; 32])).unwrap()),
    ("chunk_length", |p| p.chunk_length += 1),
    ("policy", |p| p.policy = Policy::new(4.0, 1e-6, 3).unwrap()),
    ("min_batch", |p| p.min_batch += 1),
    ("leader url", |p| p.leader.url = "https://other.example/".into()),
    ("leader key", |p| p.leader.hpke = key(9).public().clone()),
    ("helper key", |p| p.helper.hpke = key(9).public().clone()),
    ("collector", |p| p.collector = key(9).public().clone()),
    ("precision", |p| p.time_precision = 1_800),
    ("start", |p| p.start -= 3_600),
    ("expires", |p| p.expires += 3_600),
];

#[test]
fn the_id_commits_to_everything() {
    let id = task().id();
    for (what, change) in CHANGES {
        let mut changed = parameters();
        change(&mut changed);
        assert_ne!(TaskManifest::new(changed).unwrap().id(), id, "{what}");
    }
}

#[test]
fn the_id_is_the_documented_hash() {
    // python3 tests/golden/task_id.py, an independent writer of the canonical encoding.
    let golden = include_str!("../../../../../tests/golden/task_id.txt");
    assert_eq!(to_hex(&task().id()), golden.trim());
}

#[test]
fn what_is_signed_verifies_and_nothing_else() {
    let signer = signing_key(&"11".repeat(32)).unwrap();
    let public = to_hex(signer.verifying_key().as_bytes());
    let envelope = task().sign(&signer).unwrap();
    assert_eq!(TaskManifest::verify(&envelope, std::slice::from_ref(&public)).unwrap(), task());
    assert!(TaskManifest::verify(&envelope, &["22".repeat(32)]).is_err());
    let other = String::from_utf8(envelope).unwrap().replace(TASK_PAYLOAD_TYPE, "application/json");
    assert!(TaskManifest::verify(other.as_bytes(), &[public]).is_err());
}

#[test]
fn a_browser_refuses_another_model_another_task_and_another_time() {
    let (task, p) = (task(), parameters());
    let id = task.id_text();
    assert_eq!(task.check_offer(&p.model, Some(&id), p.start), Ok(()));
    assert!(matches!(
        task.check_offer(&"cd".repeat(32), Some(&id), p.start),
        Err(ProtocolError::Mismatch { what: "model", .. })
    ));
    let mut special = parameters();
    special.policy = Policy::new(8.0, 1e-6, 2).unwrap();
    let special = TaskManifest::new(special).unwrap();
    assert!(matches!(
        special.check_offer(&p.model, Some(&id), p.start),
        Err(ProtocolError::Mismatch { what: "id", .. })
    ));
    for now in [p.start - 1, p.expires] {
        assert!(matches!(task.check_offer(&p.model, None, now), Err(ProtocolError::Closed { .. })));
    }
}

#[test]
fn what_breaks_a_rule_cannot_be_constructed_through_serde_neither() {
    let bad: [(&str, Change); 14] = [
        ("format", |p| p.format = 2),
        ("model", |p| p.model = "AB".repeat(32)),
        ("lineage", |p| p.lineage = "a b".into()),
        ("batch", |p| p.min_batch = 999),
        ("participations", |p| p.policy = Policy::new(4.0, 1e-6, 13).unwrap()),
        ("epsilon", |p| p.policy = Policy::new(8.1, 1e-6, 1).unwrap()),
        ("delta", |p| p.policy = Policy::new(4.0, 1e-5, 1).unwrap()),
        ("plain http", |p| p.leader.url = "http://leader.example/".into()),
        ("no slash", |p| p.helper.url = "https://helper.example".into()),
        ("one address", |p| p.helper.url = p.leader.url.clone()),
        ("one key", |p| p.helper.hpke = p.leader.hpke.clone()),
        ("precision", |p| p.start += 1),
        ("time", |p| p.expires = p.start),
        ("chunk", |p| p.chunk_length = 16 * 4 + 1),
    ];
    for (what, change) in bad {
        let mut p = parameters();
        change(&mut p);
        assert!(TaskManifest::new(p.clone()).is_err(), "{what}");
        let json = serde_json::to_string(&p).unwrap();
        assert!(serde_json::from_str::<TaskManifest>(&json).is_err(), "{what}");
    }
    let good = serde_json::to_string(&task()).unwrap();
    assert_eq!(serde_json::from_str::<TaskManifest>(&good).unwrap(), task());
    // The noise is part of the policy, and a policy that claims too much is none.
    let z = task().parameters().policy.noise_multiplier().to_string();
    assert!(good.contains(&z));
    assert!(serde_json::from_str::<TaskManifest>(&good.replace(&z, "0.5")).is_err());
}

#[test]
fn noise_is_that_of_the_policy() {
    let noise = task().noise();
    let std = noise.numerator as f64 / noise.denominator as f64;
    let p = parameters();
    let wanted = p.policy.noise_multiplier() * p.encoding.sensitivity();
    assert!(std >= wanted && std < wanted * 1.000_01);
}
