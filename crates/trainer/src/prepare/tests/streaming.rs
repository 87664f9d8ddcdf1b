//! Logs that do not fit in the memory they are given.

use proptest::prelude::*;

use super::*;
use crate::spill::FOLDER;

/// The four files of a data set.
fn files(folder: &Path) -> [Vec<u8>; 4] {
    ["catalogue.json", "sessions.safetensors", "dataset.json", "quarantine.tsv"]
        .map(|name| fs::read(folder.join(name)).unwrap())
}

/// One row of a log of many faults: session, user, item, kind, step in seconds, dwell.
type LogRow = (u8, u8, u8, u8, u8, Option<u16>);

fn log(rows: &[LogRow]) -> String {
    let mut text = "session_id,user_id,item_id,event,time,dwell_ms\n".to_owned();
    let mut now = 1_000_000_u64;
    for &(session, user, item, kind, step, dwell) in rows {
        // Some go back in time, as rows of several servers do.
        now = now + u64::from(step) * 600 - 300 * u64::from(step % 3);
        let kind = ["view", "view", "cart", "search", "lick"][usize::from(kind % 5)];
        let dwell = dwell.map(|dwell| dwell.to_string()).unwrap_or_default();
        text += &format!("s{session},u{user},i{item},{kind},{now},{dwell}\n");
    }
    text
}

fn rows() -> impl Strategy<Value = Vec<LogRow>> {
    let dwell = proptest::option::of(0_u16..3_000);
    proptest::collection::vec((0_u8..30, 0_u8..6, 0_u8..25, any::<u8>(), any::<u8>(), dwell), 30..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However little memory there is, and so however many runs are merged, the files are the same.
    #[test]
    fn memory_does_not_change_the_result(
        rows in rows(),
        memory in 1_usize..20_000,
        by_user: bool,
        history: bool,
        days in proptest::option::of(1_u32..5),
        min_item_count in 1_usize..12,
        min_session in proptest::option::of(1_usize..5),
    ) {
        let folder = input("log.csv", log(&rows));
        let prepared = |out: &str, memory: usize| {
            let mut options = options(&folder, "log.csv");
            options.output = folder.path().join(out);
            if by_user {
                // A session column that nobody named: only users are left.
                options.no_header = true;
                options.columns = "user=2,item=3,event=4,time=5,dwell=6".parse().unwrap();
            }
            options.user_history = history;
            options.period_days = days;
            options.min_item_count = min_item_count;
            options.min_session = min_session;
            options.memory = memory;
            let done = run(&options, &Silent).map_err(|error| error.to_string().replace(out, ""));
            assert!(!options.output.join(FOLDER).exists());
            done.map(|report| (report, files(&options.output)))
        };
        prop_assert!(prepared("out-1", DEFAULT_MEMORY) == prepared("out-2", memory));
    }
}

/// The rounds of rare items and short sessions, done as the definition says: on all clicks at once.
#[test]
fn rare_items_and_short_sessions_are_dropped_in_rounds() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = (proptest::collection::vec((0_usize..40, 0_usize..20), 20..200), 1_usize..6, 1_usize..5);
    runner
        .run(&strategy, |(rows, min_item_count, min_session)| {
            let mut sessions: Vec<Vec<usize>> = vec![Vec::new(); 40];
            rows.iter().for_each(|&(session, item)| sessions[session].push(item));
            let (mut rare, mut short) = (0, 0);
            let total = |sessions: &[Vec<usize>]| sessions.iter().map(Vec::len).sum::<usize>();
            loop {
                let before = total(&sessions);
                let count = |item: usize| sessions.iter().flatten().filter(|&&other| other == item).count();
                let counts: Vec<usize> = (0..20).map(count).collect();
                sessions.iter_mut().for_each(|items| items.retain(|&item| counts[item] >= min_item_count));
                let common = total(&sessions);
                sessions.retain(|items| items.len() >= min_session);
                rare += before - common;
                short += common - total(&sessions);
                if total(&sessions) == before {
                    break;
                }
            }
            let mut text = "session,item\n".to_owned();
            rows.iter().for_each(|(session, item)| text += &format!("{session},{item}\n"));
            let folder = input("log.csv", text);
            let mut options = options(&folder, "log.csv");
            options.min_item_count = min_item_count;
            options.min_session = Some(min_session);
            options.memory = 1_000;
            match run(&options, &Silent) {
                Ok(report) => {
                    let found = |reason| count(&report.filtered, reason) as usize;
                    prop_assert_eq!((found("rare_item"), found("short_session")), (rare, short));
                    prop_assert_eq!(report.kept as usize, total(&sessions));
                }
                Err(_) => prop_assert_eq!(total(&sessions), 0),
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_robot_of_any_length_is_counted_whole() {
    let mut log = "session,item,time\n".to_owned();
    for i in 0..20_000 {
        log += &format!("none,{},{}\n", i % 90, i * 3);
    }
    log += "a,1,10\na,2,20\n";
    let folder = input("log.csv", log);
    let mut options = options(&folder, "log.csv");
    options.memory = 4_096;
    let (report, data) = prepare(&options);
    assert_eq!((report.robot_sessions, count(&report.filtered, "robot")), (1, 20_000));
    assert_eq!(sessions(&data), [["1", "2"]]);
}

#[test]
fn a_log_that_breaks_off_leaves_no_temporary_file() {
    let mut log = "session,item\n".to_owned();
    for i in 0..2_000 {
        log += &format!("{},{i}\n", i / 4);
    }
    let folder = input("log.csv", &log);
    let mut options = options(&folder, "log.csv");
    options.memory = 4_096;
    prepare(&options);
    let before = files(&options.output);
    let whole = gzip(log.as_bytes());
    fs::write(folder.path().join("log.csv"), &whole[..whole.len() - 20]).unwrap();
    assert!(run(&options, &Silent).is_err());
    assert!(before == files(&options.output));
    assert_eq!(fs::read_dir(&options.output).unwrap().count(), 4);
}
