//! onshelf's own formats: what is signed, chained, or a file of a model version.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::Signer as _;
use onshelf_core::catalogue::Catalogue;
use onshelf_core::privacy::gaussian::Policy;
use onshelf_core::privacy::ledger::{Lines, Release, entry_hash};
use onshelf_core::protocol::manifest::{TASK_PAYLOAD_TYPE, TaskManifest};
use onshelf_core::version::log::{Event, LOG_PAYLOAD_TYPE, VersionLog};
use onshelf_core::version::{
    FileEntry, FineTuneConfig, Manifest, PAYLOAD_TYPE, Role, StudentShape, from_hex_32, to_hex,
};
use onshelf_core::weights::{Tensor, Weights};
use onshelf_server::config::Config;

use crate::fixture::{fixture, signer, trusted};
use crate::{Seeds, Target};

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "task", run: task, seeds: task_seeds },
    Target { name: "version_log", run: version_log, seeds: version_log_seeds },
    Target { name: "model_manifest", run: model_manifest, seeds: model_manifest_seeds },
    Target { name: "ledger", run: ledger, seeds: ledger_seeds },
    Target { name: "catalogue", run: catalogue, seeds: catalogue_seeds },
    Target { name: "weights", run: weights, seeds: weights_seeds },
    Target { name: "server_config", run: server_config, seeds: server_config_seeds },
];

/// An envelope in one line around any payload, signed well: what a signature would hide from the fuzzer.
fn sealed(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    let envelope = serde_json::json!({
        "payloadType": payload_type,
        "payload": BASE64.encode(payload),
        "signatures": [{ "keyid": trusted()[0], "sig": BASE64.encode(signer().sign(&message).to_bytes()) }],
    });
    envelope.to_string().into_bytes()
}

/// A task, as it comes and as the payload of a good envelope.
fn task(bytes: &[u8]) {
    let _ = TaskManifest::verify(bytes, &trusted());
    let signed = TaskManifest::verify(&sealed(TASK_PAYLOAD_TYPE, bytes), &trusted());
    let Ok(task) = signed else { return };
    // Written again it is the same task: else two readers could take it for two.
    let again = task.sign(&signer()).expect("a task can be written");
    let again = TaskManifest::verify(&again, &trusted()).expect("what was written is read");
    assert_eq!(task.id(), again.id());
    let p = task.parameters();
    assert!(p.min_batch >= 1_000 && p.policy.epsilon() <= 8.0 && p.policy.delta() <= 1e-6);
    let _ = task.check_offer(&p.model, None, p.start);
}

fn task_seeds() -> Seeds {
    let f = fixture();
    let payload = serde_json::to_vec(&f.task).expect("encodes");
    vec![("envelope", f.envelope.clone()), ("payload", payload)]
}

/// The log of versions, as it comes and as payloads of good envelopes, one a line.
fn version_log(bytes: &[u8]) {
    let _ = VersionLog::read(bytes, &trusted());
    let mut log = Vec::new();
    for payload in bytes.split(|byte| *byte == b'\n') {
        log.extend(sealed(LOG_PAYLOAD_TYPE, payload));
        log.push(b'\n');
    }
    if let Ok(log) = VersionLog::read(&log, &trusted()) {
        assert!(log.entries().iter().all(|entry| log.names(&entry.model)));
        assert!(log.goes_on_from(log.head()));
    }
}

fn version_log_seeds() -> Seeds {
    let (mut log, mut lines, mut payloads) = (VersionLog::default(), Vec::new(), Vec::new());
    let steps = [(Event::Published, "a"), (Event::Published, "b"), (Event::RolledBack, "a")];
    for (at, (event, model)) in (1_700_000_000..).zip(steps) {
        lines.extend(log.append(event, &model.repeat(64), at, &signer()).expect("an entry"));
    }
    for entry in log.entries() {
        payloads.push(serde_json::to_string(entry).expect("encodes"));
    }
    vec![("log", lines), ("payloads", payloads.join("\n").into_bytes())]
}

/// A model's manifest, as it comes and as the payload of a good envelope.
fn model_manifest(bytes: &[u8]) {
    let _ = Manifest::verify(bytes, &trusted());
    if let Ok(verified) = Manifest::verify(&sealed(PAYLOAD_TYPE, bytes), &trusted()) {
        verified.manifest.sign(&signer()).expect("what was read keeps the rules of what is written");
        assert!(from_hex_32(&verified.digest).is_some_and(|digest| to_hex(&digest) == verified.digest));
        for role in [Role::Weights, Role::Catalogue] {
            let _ = verified.manifest.file(role);
        }
    }
}

fn manifest() -> Manifest {
    Manifest {
        format: 1,
        name: "fuzz".into(),
        created: 1_700_000_000,
        previous: None,
        student: StudentShape {
            dim: 16,
            blocks: 1,
            heads: 2,
            hidden: 32,
            max_len: 20,
            subspaces: 4,
            adapter_rank: 4,
            temperature: 0.1,
            times: false,
        },
        frozen: None,
        fine_tune: FineTuneConfig::tuned(),
        items: 3,
        files: vec![
            FileEntry::describe(Role::Weights, b"weights", "safetensors"),
            FileEntry::describe(Role::Catalogue, b"catalogue", "json"),
        ],
        metrics: [("MRR@20".to_owned(), 0.2)].into(),
    }
}

fn model_manifest_seeds() -> Seeds {
    let manifest = manifest();
    let (envelope, _) = manifest.sign(&signer()).expect("a manifest");
    vec![("envelope", envelope), ("payload", serde_json::to_vec(&manifest).expect("encodes"))]
}

/// The ledger, as it comes and as entries whose hashes are right.
fn ledger(bytes: &[u8]) {
    let as_it_comes = Lines::read(bytes);
    if let Ok(lines) = &as_it_comes {
        assert!(lines.whole <= bytes.len());
    }
    let (mut chained, mut head) = (String::new(), String::new());
    for entry in String::from_utf8_lossy(bytes).split('\n') {
        head = entry_hash(&head, entry);
        chained.push_str(&format!("{head} {entry}\n"));
    }
    if let Ok(lines) = Lines::read(chained.as_bytes()) {
        assert_eq!((lines.whole, &lines.head), (chained.len(), &head));
        assert!(lines.releases.iter().all(|release| release.rho > 0.0));
    }
}

fn ledger_seeds() -> Seeds {
    let policy = Policy::new(4.0, 1e-6, 12).expect("a policy");
    let (mut lines, mut entries, mut head) = (String::new(), Vec::new(), String::new());
    for round in 1..4 {
        let release = Release::new("shop", round, "task", "all", &policy, 1_700_000_000 + round);
        let (line, hash) = release.line(&head).expect("encodes");
        entries.push(serde_json::to_string(&release).expect("encodes"));
        lines.push_str(&line);
        head = hash;
    }
    let cut = lines[..lines.len() - 20].into();
    vec![("lines", lines.into()), ("cut", cut), ("entries", entries.join("\n").into())]
}

fn catalogue(bytes: &[u8]) {
    let Ok(catalogue) = Catalogue::from_json(bytes) else { return };
    let again = Catalogue::from_json(&catalogue.to_json()).expect("what was written is read");
    assert_eq!(again.len(), catalogue.len());
    for item in 1..=u32::try_from(catalogue.len()).unwrap_or(u32::MAX) {
        let id = catalogue.id(item).expect("every item has an id");
        assert_eq!(catalogue.index_of(id), Some(item));
        let _ =
            (catalogue.name(item), catalogue.brand(item), catalogue.category(item), catalogue.price(item));
    }
}

fn catalogue_seeds() -> Seeds {
    vec![("good", CATALOGUE.as_bytes().to_vec())]
}

const CATALOGUE: &str = r#"{"format":1,"ids":["sku-1","ключ"],"names":["Teal mug",""],"brands":{"values":["Fen & Co",""],"codes":[0,1]},"categories":{"values":[["Home","Mugs"],[]],"codes":[0,1]},"prices":[12.5,null],"stocks":[0,null],"untrained":[2]}"#;

fn weights(bytes: &[u8]) {
    let Ok(weights) = Weights::from_safetensors(bytes) else { return };
    let again = weights.to_safetensors().expect("what was read can be written");
    assert!(Weights::from_safetensors(&again).is_ok());
}

fn weights_seeds() -> Seeds {
    let mut weights = Weights::default();
    weights.floats.insert("adapter.down".into(), Tensor { shape: vec![2, 3], values: vec![0.5; 6] });
    weights.bytes.insert("codes".into(), (vec![4], vec![1, 2, 3, 4]));
    vec![("good", weights.to_safetensors().expect("encodes"))]
}

fn server_config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(config) = Config::parse(text, &|name| Some(name.repeat(40))) else { return };
    for (role, section) in config.roles() {
        let _ = section.settings(role);
    }
}

fn server_config_seeds() -> Seeds {
    let leader = r#"listen = "127.0.0.1:8301"
[leader]
database = "sqlite:leader.db"
task_keys = ["d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"]
verify_secret = "env:SECRET"
collector_tokens = ["collector-collector"]
helper = { token = "helper-helper-helper" }
limits = { job_reports = 50 }
"#;
    vec![("leader", leader.into())]
}
