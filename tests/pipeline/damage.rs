//! Deleted, cut and altered files, foreign keys and newer formats are told in words that name the
//! file.

use std::fs;
use std::path::{Path, PathBuf};

use onshelf_core::version::{MANIFEST_FORMAT, Manifest, signing_key};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::inspect::inspect;
use onshelf_trainer::{export, student, teacher};
use serde_json::Value;

use crate::built::{Built, built, copy, files};

#[derive(Clone, Copy, Debug)]
enum Damage {
    Deleted,
    Cut,
    /// One bit in the middle of the file.
    Flipped,
    /// The first bit: for text files, of which some bits mean nothing.
    FirstFlipped,
}

fn damage(file: &Path, kind: Damage) {
    let mut content = fs::read(file).unwrap();
    match kind {
        Damage::Deleted => return fs::remove_file(file).unwrap(),
        Damage::Cut => content.truncate(content.len() / 2),
        Damage::Flipped => {
            let middle = content.len() / 2;
            content[middle] ^= 4;
        }
        Damage::FirstFlipped => content[0] ^= 4,
    }
    fs::write(file, content).unwrap();
}

/// Damages a file of a copy of `folder` and gives what `read` then says.
fn told(folder: &Path, name: &Path, kind: Damage, read: impl Fn(&Path) -> Option<String>) -> String {
    let scratch = tempfile::tempdir().unwrap();
    let copied = scratch.path().join("copy");
    copy(folder, &copied);
    assert_eq!(read(&copied), None, "the copy is whole");
    damage(&copied.join(name), kind);
    let error = read(&copied).unwrap_or_else(|| panic!("{} {kind:?} goes unnoticed", name.display()));
    let file = name.file_name().unwrap().to_string_lossy();
    assert!(error.contains(&*file), "{} {kind:?}: the message names no file: {error}", name.display());
    error
}

fn data_set(dir: &Path) -> Option<String> {
    Dataset::load(dir).err().map(|e| format!("{e:#}"))
}

fn student_of(dir: &Path) -> Option<String> {
    student::load(dir).err().map(|e| format!("{e:#}"))
}

fn teacher_of(built: &Built) -> impl Fn(&Path) -> Option<String> + '_ {
    let data = Dataset::load(&built.data()).unwrap();
    move |dir| teacher::load(dir, &built.data(), &data).err().map(|e| format!("{e:#}"))
}

#[test]
fn data_sets() {
    let built = built();
    for name in ["catalogue.json", "sessions.safetensors"] {
        for kind in [Damage::Deleted, Damage::Cut, Damage::Flipped, Damage::FirstFlipped] {
            told(&built.data(), name.as_ref(), kind, data_set);
        }
    }
    for kind in [Damage::Deleted, Damage::Cut, Damage::FirstFlipped] {
        told(&built.data(), "dataset.json".as_ref(), kind, data_set);
    }
}

#[test]
fn teachers() {
    let built = built();
    let read = teacher_of(built);
    for name in ["teacher.json", "network.safetensors"] {
        for kind in [Damage::Deleted, Damage::Cut, Damage::FirstFlipped] {
            told(&built.teacher_dir(), name.as_ref(), kind, &read);
        }
    }
}

#[test]
fn students() {
    let built = built();
    for name in ["student.json", "student.safetensors"] {
        for kind in [Damage::Deleted, Damage::Cut, Damage::FirstFlipped] {
            told(&built.student_dir(), name.as_ref(), kind, student_of);
        }
    }
}

#[test]
fn a_flipped_bit_in_a_teachers_weights() {
    let built = built();
    told(&built.teacher_dir(), "network.safetensors".as_ref(), Damage::Flipped, teacher_of(built));
}

#[test]
fn a_flipped_bit_in_a_students_weights() {
    let built = built();
    told(&built.student_dir(), "student.safetensors".as_ref(), Damage::Flipped, student_of);
}

#[test]
fn published_versions() {
    let built = built();
    let root = built.published();
    for file in files(&root) {
        let name: PathBuf = file.strip_prefix(&root).unwrap().to_owned();
        // Stored manifests are read by their own path; nobody reads the list of keys back.
        let read = |dir: &Path| {
            let at = if name.starts_with("manifests") { dir.join(&name) } else { dir.to_owned() };
            inspect(&at, &built.trusted()).err().map(|e| format!("{e:#}"))
        };
        if name == Path::new("public-keys.json") {
            continue;
        }
        for kind in [Damage::Deleted, Damage::Cut, Damage::Flipped, Damage::FirstFlipped] {
            // A server can do without the compressed copy, and a folder of an earlier release has no log.
            let optional = name.ends_with("versions.log") || name.extension().is_some_and(|e| e == "gz");
            if !(optional && matches!(kind, Damage::Deleted)) {
                told(&root, &name, kind, read);
            }
        }
    }
}

#[test]
fn a_foreign_key() {
    let built = built();
    let other = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".to_owned();
    let error = format!("{:#}", inspect(&built.published(), &[other]).unwrap_err());
    assert!(error.contains(&built.exported.public_key) && error.contains("trusted"), "{error}");
    let error = format!("{:#}", inspect(&built.published(), &["abc".into()]).unwrap_err());
    assert!(error.contains("64 hexadecimal digits"), "{error}");
}

#[test]
fn a_damaged_key_file() {
    let built = built();
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("shop.key");
    let secret = fs::read_to_string(built.key()).unwrap();
    fs::write(&key, &secret[..40]).unwrap();
    let out = folder.path().join("out");
    let error = export::export(&built.data(), &built.student_dir(), &key, "x", 1, &out).unwrap_err();
    let error = format!("{error:#}");
    assert!(error.contains("shop.key") && error.contains("64 hexadecimal digits"), "{error}");
    assert!(!error.contains(&secret[..16]), "an error must not tell a secret key: {error}");
    assert!(!out.join("latest.json").exists(), "nothing is published without a signature");
}

#[test]
fn a_student_of_another_data_set() {
    let built = built();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let options = onshelf_trainer::prepare::PrepareOptions {
        min_item_count: 3,
        ..crate::built::prepare_options(&built.log(), &data)
    };
    onshelf_trainer::prepare::run(&options, &onshelf_trainer::progress::Silent).unwrap();
    let out = folder.path().join("out");
    let error = export::export(&data, &built.student_dir(), &built.key(), "x", 1, &out).unwrap_err();
    assert!(error.to_string().contains("another data set"), "{error}");
    let loaded = Dataset::load(&data).unwrap();
    let error = teacher::load(&built.teacher_dir(), &data, &loaded).err().unwrap();
    assert!(error.to_string().contains("another data set"), "{error}");
}

/// Rewrites a JSON file as a newer onshelf might: another number, and other fields.
fn newer(folder: &Path, name: &str, lost: &str) -> tempfile::TempDir {
    let scratch = tempfile::tempdir().unwrap();
    copy(folder, scratch.path());
    let file = scratch.path().join(name);
    let mut json: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let format = json["format"].as_u64().unwrap() + 1;
    json["format"] = format.into();
    assert!(json.as_object_mut().unwrap().remove(lost).is_some());
    fs::write(&file, serde_json::to_vec(&json).unwrap()).unwrap();
    scratch
}

#[test]
fn a_newer_data_set() {
    let folder = newer(&built().data(), "dataset.json", "items");
    let error = data_set(folder.path()).unwrap();
    assert!(error.contains("dataset.json") && error.contains("update onshelf"), "{error}");
}

#[test]
fn a_newer_teacher() {
    let built = built();
    let folder = newer(&built.teacher_dir(), "teacher.json", "blend_sharpness");
    let error = teacher_of(built)(folder.path()).unwrap();
    assert!(error.contains("format 3") && error.contains("update onshelf"), "{error}");
}

#[test]
fn a_newer_student() {
    let folder = newer(&built().student_dir(), "student.json", "fine_tune");
    let error = student_of(folder.path()).unwrap();
    assert!(error.contains("format 3") && error.contains("update onshelf"), "{error}");
}

#[test]
fn an_older_student() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("student.json"), r#"{ "format": 1, "options": { "seed": 1 } }"#).unwrap();
    let error = student_of(folder.path()).unwrap();
    assert!(error.contains("format 1") && error.contains("distill` again"), "{error}");
}

#[test]
fn a_newer_version() {
    let built = built();
    let scratch = tempfile::tempdir().unwrap();
    copy(&built.published(), scratch.path());
    let latest = scratch.path().join("latest.json");
    let read = Manifest::verify(&fs::read(&latest).unwrap(), &built.trusted()).unwrap().manifest;
    let key = signing_key(&fs::read_to_string(built.key()).unwrap()).unwrap();
    fs::write(&latest, Manifest { format: MANIFEST_FORMAT + 1, ..read }.sign(&key).unwrap().0).unwrap();
    let error = format!("{:#}", inspect(scratch.path(), &built.trusted()).unwrap_err());
    assert!(error.contains("latest.json") && error.contains("update onshelf"), "{error}");
}
