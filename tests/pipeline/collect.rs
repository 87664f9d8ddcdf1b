//! Rounds on the shared small shop: opened, recorded, summed, judged, published or refused, and taken back.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};
use onshelf_core::part::Part;
use onshelf_core::protocol::hpke::Keypair;
use onshelf_core::protocol::manifest::{Aggregator, TaskManifest};
use onshelf_core::version::log::{Event, VersionLog};
use onshelf_core::version::{Manifest, Role, VerifiedManifest};
use onshelf_core::weights::Weights;
use onshelf_model::shared::{Scratch, add_wish};
use onshelf_model::student::{Compute, LEVEL_TREND, Student, TREND};
use onshelf_trainer::collect::{
    self, Folders, LEDGER, OpenOptions, Outcome, Places, Round, Stage, Sum, Sums, ledger, publish,
};
use onshelf_trainer::corpus::{Corpus, CorpusOptions};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::progress::Silent;
use onshelf_trainer::registry;
use onshelf_trainer::sync::judge::read;
use pollster::block_on;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::built::{TRAINED_TO, built, copy};

fn folders(scratch: &Path) -> Folders {
    copy(&built().published(), &scratch.join("models"));
    Folders {
        models: scratch.join("models"),
        rounds: scratch.join("rounds"),
        data: built().data(),
        deciding: None,
        key: built().key(),
    }
}

fn places() -> Places {
    let hpke = |n: u8| Keypair::derive(n, &[n; 32]).public().clone();
    let aggregator = |name: &str, n| Aggregator { url: format!("https://{name}.example/"), hpke: hpke(n) };
    Places {
        leader: aggregator("leader", 1),
        helper: aggregator("helper", 2),
        collector: hpke(3),
        time_precision: 3_600,
        duration: 86_400,
    }
}

fn options(epsilon: f64, participations: u32) -> OpenOptions {
    OpenOptions {
        lineage: "shop".into(),
        epsilon,
        participations,
        min_batch: 1_000,
        rotation: [7; 32],
        now: 1_767_600_000,
    }
}

fn serving(folders: &Folders) -> VerifiedManifest {
    Manifest::verify(&fs::read(folders.models.join("latest.json")).unwrap(), &built().trusted()).unwrap()
}

fn weights(folders: &Folders) -> Weights {
    let manifest = serving(folders).manifest;
    let path = folders.models.join(&manifest.file(Role::Weights).unwrap().path);
    Weights::from_safetensors(&fs::read(path).unwrap()).unwrap()
}

fn log(folders: &Folders) -> Vec<(Event, String)> {
    let bytes = fs::read(folders.models.join("versions.log")).unwrap();
    let log = VersionLog::read(&bytes, &built().trusted()).unwrap();
    log.entries().iter().map(|e| (e.event, e.model.clone())).collect()
}

/// What shoppers of the period after training would send, each twenty times; `sign` −1 for their opposite.
struct Shoppers<'a> {
    folders: &'a Folders,
    sign: f32,
    asked: RefCell<usize>,
}

impl Shoppers<'_> {
    /// To the part that a round is about.
    fn contributions(&self, round: u64) -> Vec<Vec<f32>> {
        let data = Dataset::load(&built().data()).unwrap();
        let corpus =
            Corpus::new(&data, &CorpusOptions { last_period: TRAINED_TO, ..Default::default() }).unwrap();
        let set = corpus.tests(&data, data.sessions.in_period(TRAINED_TO + 1));
        let shape = serving(self.folders).manifest.student;
        let student = Student::new(&weights(self.folders), &shape, &Compute::Cpu).unwrap();
        let range = Part::of_round(&shape, round).unwrap().range(&shape).unwrap();
        let wish = |r: &onshelf_trainer::sync::judge::Read| {
            let mut out = vec![0.0; student.table().trend_len()];
            block_on(add_wish(&student, &r.vectors, &r.items, &mut Scratch::default(), &mut out)).unwrap();
            out[range.clone()].iter().map(|x| self.sign * x).collect()
        };
        read(&student, &set, &Silent).unwrap().iter().map(wish).collect()
    }
}

impl Sums for Shoppers<'_> {
    fn sum(&mut self, task: &TaskManifest) -> Result<Sum> {
        *self.asked.borrow_mut() += 1;
        let encoding = task.parameters().encoding;
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut out = Sum { reports: 0, sum: vec![0; encoding.length()] };
        for contribution in self.contributions(task.parameters().round) {
            for _ in 0..20 {
                let report = encoding.encode(&contribution, &mut || rng.next_u32())?;
                out.sum.iter_mut().zip(report).for_each(|(s, v)| *s += i128::from(v));
                out.reports += 1;
            }
        }
        Ok(out)
    }
}

/// Aggregators that are away.
struct Away;

impl Sums for Away {
    fn sum(&mut self, _: &TaskManifest) -> Result<Sum> {
        bail!("the leader does not answer")
    }
}

fn finish(folders: &Folders, sums: &mut dyn Sums) -> Result<Round> {
    collect::finish(folders, "shop", sums, 1_767_700_000, &|_| {}, &Silent)
}

#[test]
fn a_good_sum_becomes_a_version_and_can_be_taken_back() {
    let scratch = tempfile::tempdir().unwrap();
    let folders = folders(scratch.path());
    let before = serving(&folders);
    let round = collect::open(&folders, &places(), &options(8.0, 1), &Silent).unwrap();
    assert_eq!((round.number, &round.stage), (0, &Stage::Open));
    let offered = fs::read(folders.models.join("task.json")).unwrap();
    let task = TaskManifest::verify(&offered, &built().trusted()).unwrap();
    assert_eq!((task.id_text(), &task.parameters().model), (round.task.clone(), &before.digest));
    assert!(folders.models.join(format!("tasks/{}.json", round.task)).exists());
    let again = collect::open(&folders, &places(), &options(8.0, 1), &Silent).unwrap_err();
    assert!(again.to_string().contains("still open"), "{again:#}");

    // Aggregators that are away: the release is recorded, and once only.
    assert!(finish(&folders, &mut Away).is_err());
    let spent = || ledger::spent(&folders.rounds.join(LEDGER)).unwrap();
    assert_eq!(spent()[0].releases, 1);
    let mut sums = Shoppers { folders: &folders, sign: 1.0, asked: RefCell::new(0) };
    let over = finish(&folders, &mut sums).unwrap();
    assert_eq!((spent()[0].releases, *sums.asked.borrow()), (1, 1));
    assert!((spent()[0].epsilon - 8.0).abs() < 1e-3);

    let Stage::Over(Outcome::Published { version, verdict }) = over.stage.clone() else { panic!("{over:?}") };
    assert!(verdict.differences[0].gain > 0.0);
    let after = serving(&folders);
    assert_eq!((&after.version, after.manifest.format), (&version, 3));
    assert_eq!(after.manifest.previous.as_ref(), Some(&before.version));
    // What devices learned carries over: nothing but the trend is new.
    assert_eq!((before.manifest.format, &before.manifest.frozen), (1, &after.manifest.frozen));
    assert!(weights(&folders).floats[TREND].values.iter().any(|x| *x != 0.0));
    assert!(
        weights(&folders).floats[LEVEL_TREND].values.iter().all(|x| *x == 0.0),
        "of which no round was yet"
    );
    let published = (Event::Published, before.digest.clone());
    assert_eq!(log(&folders), [published.clone(), (Event::Published, after.digest.clone())]);

    let refused = finish(&folders, &mut Away).unwrap_err();
    assert!(refused.to_string().contains("is over"), "{refused:#}");
    // The budget of the lineage is spent: the next round is opened, and never released.
    collect::open(&folders, &places(), &options(8.0, 1), &Silent).unwrap();
    let error = finish(&folders, &mut sums).unwrap_err();
    assert!(error.to_string().contains("budget"), "{error:#}");
    assert_eq!((spent()[0].releases, *sums.asked.borrow()), (1, 1));
    collect::give_up(&folders, "shop").unwrap();

    let back = publish::roll_back(&folders.models, &folders.key, None, 1_767_800_000).unwrap();
    assert_eq!((&back, &serving(&folders).digest), (&before.version, &before.digest));
    assert_eq!(
        log(&folders)[1..],
        [(Event::Published, after.digest.clone()), (Event::RolledBack, before.digest)]
    );
    let forward = publish::roll_back(&folders.models, &folders.key, Some(&version), 1_767_800_001).unwrap();
    assert_eq!((forward, serving(&folders).digest), (version, after.digest));
    for wrong in ["0123456789abcdef", "../../etc/passwd", ""] {
        assert!(publish::roll_back(&folders.models, &folders.key, Some(wrong), 0).is_err());
    }
}

#[test]
fn a_bad_sum_is_refused_with_reasons_and_nothing_serves_it() {
    let scratch = tempfile::tempdir().unwrap();
    let folders = folders(scratch.path());
    let before = serving(&folders);
    collect::open(&folders, &places(), &options(4.0, 12), &Silent).unwrap();
    let mut sums = Shoppers { folders: &folders, sign: -1.0, asked: RefCell::new(0) };
    let over = finish(&folders, &mut sums).unwrap();
    let Stage::Over(Outcome::Refused { verdict }) = &over.stage else { panic!("{over:?}") };
    assert!(!verdict.reasons.is_empty());
    assert_eq!(serving(&folders).digest, before.digest);
    assert_eq!(log(&folders).len(), 1);
    // What was released is spent all the same.
    assert_eq!(ledger::spent(&folders.rounds.join(LEDGER)).unwrap()[0].releases, 1);
    // The next round syncs the next part, from the same version.
    let next = collect::open(&folders, &places(), &options(4.0, 12), &Silent).unwrap();
    assert_eq!((next.number, next.model), (1, before.digest));
}

#[test]
fn a_sum_of_too_few_reports_and_a_ledger_that_is_damaged_release_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let folders = folders(scratch.path());
    collect::open(&folders, &places(), &options(4.0, 12), &Silent).unwrap();
    let file = scratch.path().join("sum.json");
    let sum = Sum { reports: 999, sum: vec![0; 4096] };
    fs::write(&file, serde_json::to_vec(&sum).unwrap()).unwrap();
    let error = finish(&folders, &mut collect::FromFile(file.clone())).unwrap_err();
    assert!(error.to_string().contains("999 reports"), "{error:#}");
    fs::write(&file, r#"{"reports":2000,"sum":[1,2]}"#).unwrap();
    assert!(finish(&folders, &mut collect::FromFile(file)).is_err());
    let path = folders.rounds.join(LEDGER);
    let mut ledger = fs::read(&path).unwrap();
    ledger[70] ^= 1;
    fs::write(&path, ledger).unwrap();
    let mut sums = Shoppers { folders: &folders, sign: 1.0, asked: RefCell::new(0) };
    let error = format!("{:#}", finish(&folders, &mut sums).unwrap_err());
    assert!(error.contains("nothing more is released"), "{error}");
    assert_eq!(*sums.asked.borrow(), 0);
}

#[test]
fn a_round_of_another_version_or_key_is_not_finished() {
    let scratch = tempfile::tempdir().unwrap();
    let folders = folders(scratch.path());
    collect::open(&folders, &places(), &options(4.0, 12), &Silent).unwrap();
    let other = Folders { key: scratch.path().join("other"), ..folders.clone() };
    fs::write(&other.key, "5".repeat(64)).unwrap();
    assert!(finish(&other, &mut Away).is_err());
    // Another version was published meanwhile.
    onshelf_trainer::export::export(
        &built().data(),
        &built().student_dir(),
        &built().key(),
        "another",
        1_767_650_000,
        &folders.models,
    )
    .unwrap();
    let error = finish(&folders, &mut Away).unwrap_err();
    assert!(error.to_string().contains("serves now"), "{error:#}");
    assert!(!folders.rounds.join(LEDGER).exists());
}

#[test]
fn a_registry_takes_what_is_new_once_and_no_other_shops_log() {
    let scratch = tempfile::tempdir().unwrap();
    let folders = folders(scratch.path());
    let store = scratch.path().join("registry");
    fs::create_dir_all(&store).unwrap();
    let to = format!("file://{}", store.display());
    let first = registry::push(&folders.models, &to).unwrap();
    assert!(first.new >= 3 && first.there == 0 && first.bytes > 0, "{first:?}");
    let latest = || fs::read(store.join("latest.json")).unwrap();
    assert_eq!(latest(), fs::read(folders.models.join("latest.json")).unwrap());
    let again = registry::push(&folders.models, &to).unwrap();
    assert_eq!((again.new, again.there), (0, first.new));

    // A new version: its files, and the log that goes on.
    collect::open(&folders, &places(), &options(4.0, 12), &Silent).unwrap();
    let mut shoppers = Shoppers { folders: &folders, sign: 1.0, asked: RefCell::new(0) };
    collect::finish(&folders, "shop", &mut shoppers, 1_767_700_000, &|_| {}, &Silent).unwrap();
    let more = registry::push(&folders.models, &to).unwrap();
    assert!(more.new >= 1 && more.there == first.new, "{more:?}");
    assert_eq!(latest(), fs::read(folders.models.join("latest.json")).unwrap());

    // Ours without the newest entry is no continuation of the store's.
    let log = folders.models.join("versions.log");
    let lines = fs::read_to_string(&log).unwrap();
    let shorter = &lines[..lines.trim_end().rfind('\n').unwrap() + 1];
    fs::write(&log, shorter).unwrap();
    let error = registry::push(&folders.models, &to).unwrap_err();
    assert!(format!("{error:#}").contains("another log of versions"), "{error:#}");
    // A damaged file is not sent.
    fs::write(&log, &lines).unwrap();
    let weights = serving(&folders).manifest.file(Role::Weights).unwrap().path.clone();
    fs::write(folders.models.join(&weights), b"damaged").unwrap();
    let error = registry::push(&folders.models, &to).unwrap_err();
    assert!(format!("{error:#}").contains("is not what its name says"), "{error:#}");
}
