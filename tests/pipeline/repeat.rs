//! The same seed gives the same bytes, also when the work was interrupted.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Mutex;

use onshelf_core::weights::Weights;
use onshelf_trainer::prepare;
use onshelf_trainer::progress::{Progress, Silent};
use onshelf_trainer::student::{self, DistillOptions};
use onshelf_trainer::teacher::{self, TrainOptions};
use serde_json::Value;

use crate::built::{built, distill_options, prepare_options, train_options};

/// Dies in the middle of a named piece of work, as a process that is killed does: nothing that
/// comes after is run. Notes what was said before.
struct Crash {
    during: &'static str,
    at: u32,
    state: Mutex<(String, u32, Vec<String>)>,
}

impl Crash {
    fn new(during: &'static str, at: u32) -> Self {
        Self { during, at, state: Mutex::default() }
    }
}

impl Progress for Crash {
    fn start(&self, what: &str, _: Option<u64>) {
        let mut state = self.state.lock().unwrap();
        state.0 = what.to_owned();
        state.1 = 0;
    }

    fn advance(&self, _: u64) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        if state.0.starts_with(self.during) && state.1 == self.at {
            drop(state);
            // Without the panic hook: this is no failure.
            resume_unwind(Box::new("crashed"));
        }
    }

    fn finish(&self, message: &str) {
        self.state.lock().unwrap().2.push(message.to_owned());
    }
}

/// Notes what was said.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn start(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn finish(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

impl Heard {
    fn any(&self, part: &str) -> bool {
        self.0.lock().unwrap().iter().any(|m| m.contains(part))
    }
}

fn crash(data: &Path, out: &Path, options: &TrainOptions, during: &'static str) {
    let progress = Crash::new(during, 2);
    let result = catch_unwind(AssertUnwindSafe(|| teacher::train(data, out, options, &progress)));
    assert!(result.is_err(), "it was to crash during {during}");
    assert!(!out.join("teacher.json").exists(), "no half-made teacher");
}

/// `teacher.json` without the time it took.
fn timeless(file: &Path) -> Value {
    let mut json: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    for field in ["seconds", "cpu_seconds"] {
        json.as_object_mut().unwrap().remove(field).unwrap();
    }
    json
}

#[test]
fn an_interrupted_training_ends_in_the_same_teacher() {
    let built = built();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("teacher");
    crash(&built.data(), &out, &train_options(), "train pass 2/2");
    assert!(out.join("checkpoint.safetensors").exists());
    let heard = Heard::default();
    teacher::train(&built.data(), &out, &train_options(), &heard).unwrap();
    assert!(heard.any("going on after pass 1 of 2"));
    let network = |dir: &Path| fs::read(dir.join("network.safetensors")).unwrap();
    assert!(network(&out) == network(&built.teacher_dir()), "the networks differ");
    assert_eq!(timeless(&out.join("teacher.json")), timeless(&built.teacher_dir().join("teacher.json")));
    assert!(!out.join("checkpoint.safetensors").exists() && !out.join("checkpoint.json").exists());
}

#[test]
fn a_crash_before_the_first_checkpoint_or_after_the_last_pass_loses_nothing_either() {
    let built = built();
    for during in ["train pass 1/2", "fit the reranker"] {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("teacher");
        crash(&built.data(), &out, &train_options(), during);
        teacher::train(&built.data(), &out, &train_options(), &Silent).unwrap();
        assert_eq!(timeless(&out.join("teacher.json")), timeless(&built.teacher_dir().join("teacher.json")));
    }
}

#[test]
fn a_checkpoint_of_other_options_is_not_gone_on_from() {
    let built = built();
    let folder = tempfile::tempdir().unwrap();
    crash(&built.data(), folder.path(), &TrainOptions { seed: 77, ..train_options() }, "train pass 2/2");
    let heard = Heard::default();
    teacher::train(&built.data(), folder.path(), &train_options(), &heard).unwrap();
    assert!(heard.any("starting afresh"));
    assert_eq!(
        timeless(&folder.path().join("teacher.json")),
        timeless(&built.teacher_dir().join("teacher.json"))
    );
}

#[test]
fn damaged_checkpoints_are_told_by_name() {
    let built = built();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path();
    crash(&built.data(), out, &train_options(), "train pass 2/2");
    let again =
        || format!("{:#}", teacher::train(&built.data(), out, &train_options(), &Silent).unwrap_err());

    let (weights, info) = (out.join("checkpoint.safetensors"), out.join("checkpoint.json"));
    let (good_weights, good_info) = (fs::read(&weights).unwrap(), fs::read(&info).unwrap());
    fs::write(&weights, &good_weights[..good_weights.len() / 2]).unwrap();
    let error = again();
    assert!(error.contains("checkpoint.safetensors"), "truncated: {error}");
    let mut flipped = good_weights.clone();
    flipped[good_weights.len() / 2] ^= 4;
    fs::write(&weights, flipped).unwrap();
    let error = again();
    assert!(error.contains("checkpoint.safetensors"), "flipped: {error}");
    fs::remove_file(&weights).unwrap();
    let error = again();
    assert!(error.contains("checkpoint.safetensors"), "deleted: {error}");
    fs::write(&weights, &good_weights).unwrap();
    fs::write(&info, &good_info[..good_info.len() / 2]).unwrap();
    let error = again();
    assert!(error.contains("checkpoint.json"), "truncated: {error}");

    let mut other_pass: Value = serde_json::from_slice(&good_info).unwrap();
    other_pass["passes_done"] = 2.into();
    fs::write(&info, serde_json::to_vec(&other_pass).unwrap()).unwrap();
    let error = again();
    assert!(error.contains("different passes") && error.contains("afresh"), "{error}");
    // The remedy that the message names works.
    fs::remove_file(&info).unwrap();
    fs::remove_file(&weights).unwrap();
    teacher::train(&built.data(), out, &train_options(), &Silent).unwrap();
}

#[test]
fn the_same_seed_gives_the_same_student() {
    let built = built();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    prepare::run(&prepare_options(&built.log(), &data), &Silent).unwrap();
    for name in ["catalogue.json", "sessions.safetensors", "dataset.json"] {
        assert!(
            fs::read(data.join(name)).unwrap() == fs::read(built.data().join(name)).unwrap(),
            "{name} differs"
        );
    }
    let bytes = |seed: u64, name: &str| {
        let out = folder.path().join(name);
        let options = DistillOptions { seed, ..distill_options() };
        student::distill(&data, &built.teacher_dir(), &out, &options, &Silent).unwrap();
        fs::read(out.join("student.safetensors")).unwrap()
    };
    let first = fs::read(built.student_dir().join("student.safetensors")).unwrap();
    assert!(bytes(distill_options().seed, "same") == first, "the students differ");
    assert!(bytes(99, "other") != first);
}

#[test]
fn a_distillation_that_crashes_leaves_the_old_student_whole() {
    let built = built();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("student");
    crate::built::copy(&built.student_dir(), &out);
    let before = fs::read(out.join("student.safetensors")).unwrap();
    let options = DistillOptions { seed: 99, ..distill_options() };
    let progress = Crash::new("distil pass 2/2", 2);
    let run = || student::distill(&built.data(), &built.teacher_dir(), &out, &options, &progress);
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
    assert!(fs::read(out.join("student.safetensors")).unwrap() == before);
    student::load(&out).unwrap();
}

#[test]
fn a_checkpoint_holds_everything_that_training_needs() {
    let built = built();
    let folder = tempfile::tempdir().unwrap();
    crash(&built.data(), folder.path(), &train_options(), "train pass 2/2");
    let saved =
        Weights::from_safetensors(&fs::read(folder.path().join("checkpoint.safetensors")).unwrap()).unwrap();
    let network =
        Weights::from_safetensors(&fs::read(built.teacher_dir().join("network.safetensors")).unwrap())
            .unwrap();
    for name in network.floats.keys() {
        assert!(saved.floats.contains_key(name), "{name}");
        assert!(saved.floats.contains_key(&format!("adam.{name}.first")), "moments of {name}");
    }
}
