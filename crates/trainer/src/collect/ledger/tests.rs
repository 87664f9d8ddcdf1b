use std::process::Command;

use onshelf_core::privacy::gaussian::Policy;

use super::*;

fn release(round: u64, epsilon: f64, participations: u32) -> Release {
    let policy = Policy::new(epsilon, DELTA, participations).unwrap();
    Release::new("shop", round, &format!("task {round}"), "all", &policy, 1_700_000_000 + round)
}

fn quietly(_: &str) {}

#[test]
fn what_was_recorded_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = Ledger::open(&path).unwrap();
    assert!(Ledger::open(&path).unwrap_err().to_string().contains("in use"));
    for round in 0..3 {
        assert_eq!(ledger.record(release(round, 4.0, 12), 4.0, &quietly).unwrap(), Recorded::Now);
    }
    let spent_then = ledger.spent().unwrap();
    drop(ledger);
    let mut again = Ledger::open(&path).unwrap();
    assert_eq!(again.spent().unwrap(), spent_then);
    assert_eq!(spent(&path).unwrap(), spent_then);
    assert_eq!(spent_then[0].releases, 3);
    // Three of twelve participations: more than nothing, less than the whole.
    assert!(spent_then[0].epsilon > 1.0 && spent_then[0].epsilon < 2.5, "{:?}", spent_then[0]);
    // After a crash between ledger and release the same release is asked for again, at another time.
    let same = Release { at: 1, ..release(2, 4.0, 12) };
    assert_eq!(again.record(same, 4.0, &quietly).unwrap(), Recorded::Before);
    let other = Release { batch: "a part".into(), ..release(2, 4.0, 12) };
    assert!(again.record(other, 4.0, &quietly).is_err(), "another batch of the same task");
}

#[test]
fn the_budget_is_a_wall() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(&folder.path().join("ledger.jsonl")).unwrap();
    ledger.record(release(0, 4.0, 1), 4.0, &quietly).unwrap();
    let error = ledger.record(release(1, 4.0, 1), 4.0, &quietly).unwrap_err().to_string();
    assert!(error.contains("budget is 4") && error.contains("new lineage"), "{error}");
    assert!(ledger.record(release(1, 4.0, 1), 9.0, &quietly).is_err(), "above the ceiling");
    let other = Release { lineage: "another".into(), ..release(1, 4.0, 1) };
    ledger.record(other, 4.0, &quietly).unwrap();
    assert_eq!(ledger.spent().unwrap().len(), 2);
    assert!((ledger.spent().unwrap()[0].epsilon - 4.0).abs() < 1e-3);
}

#[test]
fn a_shopper_is_counted_for_twelve_rounds_the_costliest() {
    let folder = tempfile::tempdir().unwrap();
    let mut ledger = Ledger::open(&folder.path().join("ledger.jsonl")).unwrap();
    for round in 0..30 {
        ledger.record(release(round, 4.0, 12), 4.0, &quietly).unwrap();
    }
    let spent = &ledger.spent().unwrap()[0];
    assert!(spent.epsilon <= 4.0 && spent.epsilon > 3.99, "{}", spent.epsilon);
    assert!(spent.epsilon_of_all > 6.0);
}

#[test]
fn damage_closes_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let mut ledger = Ledger::open(&path).unwrap();
    for round in 0..3 {
        ledger.record(release(round, 1.0, 12), 4.0, &quietly).unwrap();
    }
    drop(ledger);
    let whole = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = whole.split_inclusive(|b| *b == b'\n').collect();
    let damaged = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        Ledger::open(&path).map(|l| l.releases.len()).map_err(|e| format!("{e:#}"))
    };
    let mut cheaper = whole.clone();
    let at = whole.windows(5).position(|w| w == b"\"rho\"").unwrap() + 8;
    cheaper[at] = if cheaper[at] == b'1' { b'2' } else { b'1' };
    for bad in [cheaper, [lines[0], lines[2]].concat(), [lines[1], lines[0]].concat(), b"\n".to_vec()] {
        assert!(damaged(&bad).unwrap_err().contains("nothing more is released"));
    }
    // What a crash cut off was never released.
    assert_eq!(damaged(&whole[..whole.len() - 7]), Ok(2));
    assert_eq!(damaged(&whole), Ok(3));
    assert_eq!(damaged(b""), Ok(0));
}

const DIE_AT: &str = "ONSHELF_TEST_DIE_AT";
const DIE_IN: &str = "ONSHELF_TEST_DIE_IN";
const STEPS: [&str; 6] = ["checked", "cut", "half", "written", "flushed", "released"];

/// Records and "releases" (writes a file) until it is killed; run by the test below only.
#[test]
fn child() {
    let (Ok(die_at), Ok(folder)) = (std::env::var(DIE_AT), std::env::var(DIE_IN)) else { return };
    let folder = PathBuf::from(folder);
    let die = |step: &str| {
        if step == die_at {
            let _ = Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
            std::thread::sleep(std::time::Duration::from_secs(60));
        }
    };
    let mut ledger = Ledger::open(&folder.join("ledger.jsonl")).unwrap();
    let round = ledger.releases.len() as u64;
    ledger.record(release(round, 1.0, 12), 4.0, &die).unwrap();
    fs::write(folder.join(format!("released {round}")), b"sum").unwrap();
    die("released");
}

#[test]
fn a_kill_at_any_step_leaves_no_release_without_its_entry() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    for (turn, step) in STEPS.iter().chain(&STEPS).enumerate() {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "collect::ledger::tests::child"]).env(DIE_AT, step).env(DIE_IN, folder.path());
        let status = child.output().unwrap().status;
        assert!(!status.success(), "the child was not killed at {step}");
        let ledger = Ledger::open(&path).unwrap();
        let released = fs::read_dir(folder.path()).unwrap().flatten();
        let released = released.filter(|e| e.file_name().to_string_lossy().starts_with("released")).count();
        assert!(released <= ledger.releases.len(), "turn {turn}, killed at {step}");
        for round in 0..released {
            assert!(
                !folder.path().join(format!("released {round}")).exists() || round < ledger.releases.len()
            );
        }
    }
    let ledger = Ledger::open(&path).unwrap();
    // Written but not released: "written", "flushed" (and "released" was). The rest wrote nothing whole.
    assert_eq!(ledger.releases.len(), 6);
}
