//! Every target over its corpus, over changes of it, and over made-up bytes. `PROPTEST_CASES` makes the run longer.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use onshelf_fuzz::{Target, targets};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The files of a target by name.
fn files(target: &Target) -> BTreeMap<String, Vec<u8>> {
    let folder = corpus().join(target.name);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let named =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap());
    entries.map(|entry| named(entry.unwrap())).collect()
}

#[test]
fn every_target_takes_its_corpus() {
    let mut read = 0;
    for target in targets() {
        for bytes in files(&target).values() {
            (target.run)(bytes);
            read += 1;
        }
    }
    assert!(read >= 50, "{read}");
}

#[test]
fn the_corpus_is_what_the_command_writes() {
    for target in targets() {
        let files = files(&target);
        for (name, bytes) in (target.seeds)() {
            assert!(
                files.get(name) == Some(&bytes),
                "corpus/{}/{name} is another; run: cargo run -p onshelf-fuzz --bin seeds -- --write",
                target.name
            );
        }
    }
    let folders: Vec<String> =
        fs::read_dir(corpus()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert!(folders.iter().all(|name| onshelf_fuzz::target(name).is_some()), "{folders:?}");
}

/// Some bytes of a message changed, put in or taken out, and its end cut off.
fn changed(
    original: &[u8],
    changes: &[(prop::sample::Index, u8, u8)],
    cut: Option<prop::sample::Index>,
) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for (at, how, value) in changes {
        let at = at.index(bytes.len() + 1);
        match how % 3 {
            0 if at < bytes.len() => bytes[at] = *value,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            _ => bytes.insert(at, *value),
        }
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len() + 1));
    }
    bytes
}

#[test]
fn changed_messages_and_made_up_bytes_break_nothing() {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(256);
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    for target in targets() {
        let corpus: Vec<Vec<u8>> = files(&target).into_values().collect();
        let change = (any::<prop::sample::Index>(), any::<u8>(), any::<u8>());
        let message = (
            any::<prop::sample::Index>(),
            prop::collection::vec(change, 1..6),
            prop::option::weighted(0.2, any::<prop::sample::Index>()),
        );
        let message = message
            .prop_map(|(which, changes, cut)| changed(&corpus[which.index(corpus.len())], &changes, cut));
        let bytes = prop_oneof![4 => message, 1 => prop::collection::vec(any::<u8>(), 0..600)];
        let run = |bytes: Vec<u8>| -> Result<(), TestCaseError> {
            (target.run)(&bytes);
            Ok(())
        };
        if let Err(error) = TestRunner::new(config.clone()).run(&bytes, run) {
            panic!("{}: {error}", target.name);
        }
    }
}
