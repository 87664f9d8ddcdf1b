//! What the shop does: clean data, numbers that can be trusted, a version that verifies.

use std::fs;

use onshelf_core::catalogue::Catalogue;
use onshelf_trainer::corpus::{Corpus, CorpusOptions};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::evaluate::evaluate;
use onshelf_trainer::inspect::inspect;
use onshelf_trainer::prepare::{self, PrepareOptions};
use onshelf_trainer::progress::Silent;
use onshelf_trainer::teacher::TrainOptions;
use onshelf_trainer::{export, student, teacher};
use serde_json::Value;

use crate::built::{TRAINED_TO, built, distill_options, train_options};

#[test]
fn prepared_data_is_whole_and_in_order() {
    let built = built();
    let data = Dataset::load(&built.data()).unwrap();
    assert_eq!(data.origin.layout, "rsc15");
    assert!(data.sessions.has_times());
    assert_eq!(data.periods().iter().map(|p| p.period).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    let report = serde_json::to_value(&built.report).unwrap();
    assert!(report.to_string().contains("robot"), "the simulated noise is reported: {report}");
    let newest = data.periods().iter().map(|p| p.span_ms.unwrap()).collect::<Vec<_>>();
    // A session belongs to the period of one of its clicks, so neighbours may overlap by a session.
    assert!(newest.windows(2).all(|w| w[0].0 < w[1].0), "periods follow each other in time");
}

#[test]
fn all_methods_are_measured_and_the_student_beats_popularity() {
    let built = built();
    let data = Dataset::load(&built.data()).unwrap();
    let teacher = teacher::load(&built.teacher_dir(), &built.data(), &data).unwrap();
    let student = student::load(&built.student_dir()).unwrap();
    let table =
        evaluate(&data, &teacher.corpus, TRAINED_TO, &[4], Some(&teacher), Some(&student), &Silent).unwrap();
    let methods: Vec<&str> = table.rows.iter().map(|r| r.method.as_str()).collect();
    assert_eq!(
        methods,
        ["popularity", "item transitions", "VSKNN", "teacher's network", "teacher", "student"]
    );
    let tests = table.rows[0].mean.tests;
    assert!(tests > 100, "{tests} tests");
    for row in &table.rows {
        assert_eq!(row.mean.tests, tests, "every method is asked the same");
        // JSON has no NaN: it would stand there as null.
        shares(&row.method, &serde_json::to_value(row.mean).unwrap());
    }
    let of = |method: &str| table.row(method).unwrap().mean;
    let (student, popular) = (of("student"), of("popularity"));
    assert!(student.recall_20 > popular.recall_20 && student.mrr_20 > popular.mrr_20, "{}", table.to_text());
    assert!(of("teacher").recall_20 > popular.recall_20, "{}", table.to_text());
}

fn shares(method: &str, summary: &Value) {
    for (name, value) in summary.as_object().unwrap() {
        let value = value.as_f64().unwrap_or_else(|| panic!("{method}: {name} is {value}"));
        assert!(name == "tests" || (0.0..=1.0).contains(&value), "{method}: {name} is {value}");
    }
}

#[test]
fn training_data_is_never_tested_on() {
    let built = built();
    let data = Dataset::load(&built.data()).unwrap();
    let options = CorpusOptions { last_period: TRAINED_TO, validation: 0.0, ..Default::default() };
    let corpus = Corpus::new(&data, &options).unwrap();
    let error = evaluate(&data, &corpus, TRAINED_TO, &[3], None, None, &Silent).unwrap_err();
    assert!(error.to_string().contains("period 3 was trained on"), "{error}");
}

#[test]
fn the_numbers_in_the_folders_are_finite() {
    let built = built();
    shares("teacher", &serde_json::to_value(built.teacher.validation).unwrap());
    shares("student", &serde_json::to_value(built.student.validation).unwrap());
    assert!(built.student.bytes[0] > 0 && built.teacher.validation.tests > 0);
}

#[test]
fn the_published_version_verifies() {
    let built = built();
    let about = inspect(&built.published(), &built.trusted()).unwrap();
    assert_eq!(about["kind"], "model version");
    assert_eq!(about["version"], built.exported.version.as_str());
    assert_eq!(about["manifest"]["name"], "a shop");
    assert!(about["files"].as_array().unwrap().iter().all(|f| f["intact"] == true));
    let manifest = built.published().join(format!("manifests/{}.json", built.exported.version));
    assert_eq!(inspect(&manifest, &built.trusted()).unwrap()["version"], about["version"]);
    for folder in [built.data(), built.teacher_dir(), built.student_dir()] {
        inspect(&folder, &[]).unwrap();
    }
    let keys: Vec<String> =
        serde_json::from_slice(&fs::read(built.published().join("public-keys.json")).unwrap()).unwrap();
    assert_eq!(keys, built.trusted());
}

#[test]
fn the_secret_key_is_the_owners_and_not_published() {
    let built = built();
    let secret = fs::read_to_string(built.key()).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(built.key()).unwrap().permissions().mode() & 0o777, 0o600);
    }
    for file in crate::built::files(&built.published()) {
        let content = fs::read(&file).unwrap();
        assert!(!content.windows(64).any(|w| w == secret.as_bytes()), "{} holds the key", file.display());
    }
}

/// Forty sessions, each with an item of its own between two that all have.
fn log_with_rare_items() -> String {
    let mut log = "SessionId\tItemId\tTime\n".to_owned();
    for session in 1..=40 {
        for (at, item) in [1, 1000 + session, 2].into_iter().enumerate() {
            log += &format!("{session}\t{item}\t{}\n", 1_767_571_200 + session * 3600 + at * 60);
        }
    }
    log
}

#[test]
fn what_training_never_saw_is_marked_untrained() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("log.txt"), log_with_rare_items()).unwrap();
    prepare::run(&PrepareOptions::new(at("log.txt"), at("data")), &Silent).unwrap();
    // Every fourth session is held out for validation, and with it the item that only it has.
    let train = TrainOptions { last_period: 0, passes: 1, validation: 0.25, ..train_options() };
    teacher::train(&at("data"), &at("teacher"), &train, &Silent).unwrap();
    student::distill(&at("data"), &at("teacher"), &at("student"), &distill_options(), &Silent).unwrap();
    export::export(&at("data"), &at("student"), &at("key"), "x", 1, &at("out")).unwrap();

    let data = Dataset::load(&at("data")).unwrap();
    let teacher = teacher::load(&at("teacher"), &at("data"), &data).unwrap();
    let about = inspect(&at("out"), &[]).unwrap();
    let file = about["files"].as_array().unwrap().iter().find(|f| f["role"] == "catalogue").unwrap();
    let catalogue = fs::read(at("out").join(file["path"].as_str().unwrap())).unwrap();
    let catalogue = Catalogue::from_json(&catalogue).unwrap();
    assert!(teacher.corpus.counts[1..].contains(&0), "some item was held out");
    for (item, &count) in (1..).zip(&teacher.corpus.counts[1..]) {
        let id = catalogue.id(item).unwrap();
        assert_eq!(catalogue.is_trained(item), count > 0, "item {id} had {count} training clicks");
    }
}
