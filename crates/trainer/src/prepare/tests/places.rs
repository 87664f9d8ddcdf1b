//! Logs in folders of Parquet and in object stores.

use object_store::memory::InMemory;
use object_store::path::Path as StorePath;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};

use super::super::input::Place;
use super::super::store::Remote;
use super::*;

/// A file of sessions `a` and `b`, one row each, in row groups of one row.
fn part(items: [i64; 2], nanoseconds: bool) -> Vec<u8> {
    let unit = if nanoseconds { "NANOS" } else { "MILLIS" };
    let schema = format!(
        "message log {{
            required int64 time (TIMESTAMP({unit},true));
            required binary session_id (STRING);
            optional binary payload;
            required int64 item_id;
        }}"
    );
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::default()).unwrap();
    for (session, item) in ["a", "b"].iter().zip(items) {
        let mut group = writer.next_row_group().unwrap();
        let time = 1_700_000_000_000 + item * 60_000;
        let time = if nanoseconds { time * 1_000_000 } else { time };
        for (place, value) in [(0, time), (1, 0), (2, 0), (3, item)] {
            let mut column = group.next_column().unwrap().unwrap();
            match place {
                1 => column.typed::<ByteArrayType>().write_batch(&[(*session).into()], None, None).map(drop),
                2 => column.typed::<ByteArrayType>().write_batch(&[], Some(&[0]), None).map(drop),
                _ => column.typed::<Int64Type>().write_batch(&[value], None, None).map(drop),
            }
            .unwrap();
            column.close().unwrap();
        }
        group.close().unwrap();
    }
    writer.close().unwrap();
    bytes
}

/// What an engine leaves: partitions, a file of an unfinished task, and marks.
fn partitions() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("day=1/part-0.parquet", part([1, 2], false)),
        ("day=1/part-1.parquet", part([3, 4], false)),
        ("day=2/hour=5/part-0.parquet", part([5, 6], true)),
        ("day=2/_SUCCESS", Vec::new()),
        ("_temporary/0/part-0.parquet", part([8, 9], false)),
    ]
}

const PARTITIONED: [[&str; 3]; 2] = [["1", "3", "5"], ["2", "4", "6"]];

fn lay_out(files: &[(&str, Vec<u8>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join("log").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    folder
}

/// The files in a store that lives in memory, under `shop/log`.
fn store(files: &[(&str, Vec<u8>)]) -> Box<dyn ObjectStore> {
    let store = InMemory::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (name, content) in files {
        let path = StorePath::from(format!("shop/log/{name}"));
        runtime.block_on(store.put(&path, PutPayload::from(content.clone()))).unwrap();
    }
    Box::new(store)
}

fn remote(files: &[(&str, Vec<u8>)], path: &str) -> Input {
    Input(Place::Remote(Remote::in_store(store(files), "memory://", path).unwrap()))
}

fn address(folder: &TempDir) -> String {
    format!("file://{}/log", folder.path().display())
}

#[test]
fn partitions_of_parquet_are_read_wherever_they_lie() {
    let files = partitions();
    let folder = lay_out(&files);
    let local = PrepareOptions::new(folder.path().join("log"), folder.path().join("local"));
    let (report, data) = prepare(&local);
    assert_eq!(data.origin.layout, "parquet");
    assert_eq!((report.rows, sessions(&data)), (6, PARTITIONED.map(|ids| ids.to_vec()).to_vec()));
    assert_eq!(data.sessions.times(0).unwrap()[2] - data.sessions.times(0).unwrap()[0], 240_000);

    let url = PrepareOptions::new(address(&folder), folder.path().join("url"));
    let (from_url, again) = prepare(&url);
    assert_eq!((&report, &data.sessions, &data.origin), (&from_url, &again.sessions, &again.origin));

    let mut memory = PrepareOptions::new("memory://shop/log", folder.path().join("memory"));
    memory.memory = 200;
    let from_memory = run_on(&remote(&files, "shop/log"), &memory, &Silent).unwrap();
    assert_eq!(report, from_memory);
    assert_eq!(Dataset::load(&memory.output).unwrap().sessions, data.sessions);
}

#[test]
fn text_logs_in_a_store_are_read_with_their_items() {
    let files = [
        ("a.csv", b"session,item\ns,1\ns,\n".to_vec()),
        ("b.csv.gz", gzip(b"session,item\ns,2\n")),
        ("items.csv", b"item_id,name\n1,One\n".to_vec()),
        ("below/c.csv", b"session,item\ns,3\n".to_vec()),
    ];
    let folder = lay_out(&files);
    let options = PrepareOptions::new(address(&folder), folder.path().join("out"));
    for input in [Input::open(&options.input).unwrap(), remote(&files, "shop/log")] {
        let report = run_on(&input, &options, &Silent).unwrap();
        let data = Dataset::load(&options.output).unwrap();
        assert_eq!((report.rows, sessions(&data)), (4 - 1, vec![vec!["1", "2"]]));
        assert_eq!(data.catalogue.name(1), Some("One"));
        let quarantine = fs::read_to_string(options.output.join("quarantine.tsv")).unwrap();
        assert_eq!(quarantine.lines().last(), Some("a.csv\t3\tmissing_item"));
    }
    let one = PrepareOptions::new(format!("{}/a.csv", address(&folder)), folder.path().join("out"));
    assert!(run(&PrepareOptions { min_session: Some(1), ..one }, &Silent).is_ok());
}

#[test]
fn a_recbole_log_in_a_store_finds_its_items() {
    let files = [
        ("x.inter", b"session_id:token\titem_id:token\ns\t1\ns\t2\n".to_vec()),
        ("x.item", b"item_id:token\titem_name:token\n2\tTwo\n".to_vec()),
    ];
    let out = tempfile::tempdir().unwrap();
    let options = PrepareOptions::new("memory://", out.path());
    for path in ["shop/log", "shop/log/x.inter"] {
        run_on(&remote(&files, path), &options, &Silent).unwrap();
        assert_eq!(Dataset::load(out.path()).unwrap().catalogue.name(2), Some("Two"));
    }
}

#[test]
fn large_files_are_read_across_blocks() {
    let mut log = b"session,item,note\n".to_vec();
    for i in 0..60_000 {
        writeln!(log, "{},{},{}", i / 3, i % 500, "x".repeat(170)).unwrap();
    }
    assert!(log.len() > 2 * (4 << 20));
    let out = tempfile::tempdir().unwrap();
    let options = PrepareOptions::new("memory://", out.path());
    let input = remote(&[("a.csv", log)], "shop/log/a.csv");
    assert_eq!(run_on(&input, &options, &Silent).unwrap().kept, 60_000);
}

#[test]
fn places_that_hold_no_log_are_named() {
    let folder = lay_out(&[("readme.md", Vec::new())]);
    let refused = |input: &str| {
        let options = PrepareOptions::new(input, folder.path().join("out"));
        format!("{:#}", run(&options, &Silent).unwrap_err())
    };
    assert!(refused(&address(&folder)).contains("no known layout in file:///"));
    assert!(refused("ftp://host/log").contains("known are files and folders"));
    let missing = format!("{}/nowhere/log.csv", address(&folder));
    assert!(refused(&missing).contains("nowhere/log.csv"), "{}", refused(&missing));
    #[cfg(not(feature = "s3"))]
    assert!(refused("s3://bucket/log").contains("--features s3"));
    assert!(!folder.path().join("out").exists(), "nothing was begun");
}
