//! Runs of the program that do not come to their end.
#![cfg(unix)]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ONSHELF: &str = env!("CARGO_BIN_EXE_onshelf");

/// A log of which a MiB of memory holds a part.
fn log(rows: usize) -> String {
    let mut text = "session,item,time\n".to_owned();
    for row in 0..rows {
        text += &format!("s{},i{},{}\n", row / 4, row % 97, row * 10);
    }
    text
}

/// The names and contents of a folder.
fn content(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let mut content: Vec<_> = entries
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap()))
        .collect();
    content.sort();
    content
}

/// A folder with a data set in `data`.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old.csv"), log(40)).unwrap();
    let status = Command::new(ONSHELF)
        .args(["prepare", "--input", "old.csv", "--out", "data"])
        .current_dir(&folder)
        .output()
        .unwrap()
        .status;
    assert!(status.success());
    folder
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !there() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn error_of(mut child: Child) -> (Option<i32>, String) {
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

#[test]
fn ctrl_c_removes_the_temporary_files_and_keeps_the_old_data_set() {
    let folder = prepared();
    let data = folder.path().join("data");
    let before = content(&data);
    // A pipe that stays open: the run cannot end before it is stopped.
    let pipe = folder.path().join("new.csv");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = Command::new(ONSHELF)
        .args(["prepare", "--layout", "csv", "--memory", "1", "--input", "new.csv", "--out", "data"])
        .current_dir(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    out.write_all(log(60_000).as_bytes()).unwrap();
    wait_for("no run is spilled", || data.join(".onshelf.tmp/rows-0").exists());
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    // The handler runs in a thread of its own; rows go on until the flag is seen.
    wait_for("the run goes on", || out.write_all(b"s,i,5\n").is_err());
    drop(out);
    let (code, error) = error_of(child);
    assert_eq!(code, Some(130), "{error}");
    assert!(error.contains("stopped on request"), "{error}");
    assert!(content(&data) == before);
}

#[test]
fn a_write_that_fails_names_the_file_and_the_remedy_and_leaves_nothing() {
    let folder = prepared();
    let data = folder.path().join("data");
    let before = content(&data);
    fs::write(folder.path().join("new.csv"), log(60_000)).unwrap();
    // Rows of 45 bytes in memory of half a MiB: a run is larger than files may be here.
    let child = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 200; exec \"$0\" \"$@\"", ONSHELF])
        .args(["prepare", "--memory", "1", "--input", "new.csv", "--out", "data"])
        .current_dir(&folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (code, error) = error_of(child);
    assert_eq!(code, Some(1), "{error}");
    for word in ["data/.onshelf.tmp/rows-0", "free space on that disk", "is unchanged"] {
        assert!(error.contains(word), "{error}");
    }
    assert!(content(&data) == before);
}
