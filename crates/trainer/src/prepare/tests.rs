use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::schema::parser::parse_message_type;
use flate2::Compression;
use flate2::write::GzEncoder;
use tempfile::TempDir;

use super::*;
use crate::dataset::Dataset;
use crate::progress::Silent;

mod places;
mod streaming;

/// A folder with one input file in it.
fn input(name: &str, content: impl AsRef<[u8]>) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    folder
}

fn options(folder: &TempDir, name: &str) -> PrepareOptions {
    PrepareOptions::new(folder.path().join(name), folder.path().join("out"))
}

fn found(folder: &TempDir, name: &str) -> Input {
    Input::open(&folder.path().join(name)).unwrap()
}

fn prepare(options: &PrepareOptions) -> (QualityReport, Dataset) {
    let report = run(options, &Silent).unwrap();
    (report, Dataset::load(&options.output).unwrap())
}

/// The ids of the items of each session.
fn sessions(data: &Dataset) -> Vec<Vec<&str>> {
    let id = |item: &u32| data.catalogue.id(*item).unwrap();
    (0..data.sessions.len()).map(|i| data.sessions.session(i).iter().map(id).collect()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn count(counts: &std::collections::BTreeMap<String, u64>, reason: &str) -> u64 {
    counts.get(reason).copied().unwrap_or(0)
}

#[test]
fn every_row_is_accounted_for() {
    let mut log = b"session_id,item_id,event,time,dwell_ms\n".to_vec();
    let long = "x".repeat(513);
    for row in [
        "a,1,view_item,1000,".to_owned(),    // line 2
        "a,1,view_item,1000.2,".to_owned(),  // duplicate
        "a,2,view_item,1010,799".to_owned(), // bounce
        "a,2,purchase,1020,5".to_owned(),    // kept
        "a,,search,1030,".to_owned(),        // no item
        "b,3,view_item,2000,".to_owned(),    // short session
        "a,1".to_owned(),                    // line 8: too few columns
        ",1,view_item,1000,".to_owned(),     // line 9: no session
        "a,,view_item,1000,".to_owned(),     // line 10: no item
        format!("a,{long},view_item,1000,"), // line 11: too long
        "a,1,view_item,soon,".to_owned(),    // line 12: no time
        "a,1,view_item,,".to_owned(),        // line 13: no time
        "a,1,lick,1000,".to_owned(),         // line 14: unknown event
        "a,1,view_item,1000,-4".to_owned(),  // line 15: no dwell
    ] {
        writeln!(log, "{row}").unwrap();
    }
    log.extend_from_slice(b"a,\xff,view_item,1000,\n"); // line 16
    let folder = input("log.csv", log);
    let (report, data) = prepare(&options(&folder, "log.csv"));

    assert_eq!((report.rows, report.kept), (15, 2));
    let filtered: u64 = report.filtered.values().sum();
    let quarantined: u64 = report.quarantined.values().sum();
    assert_eq!(report.rows, report.kept + filtered + quarantined);
    for reason in ["duplicate", "bounce", "no_item", "short_session"] {
        assert_eq!(count(&report.filtered, reason), 1, "{reason}");
    }
    assert_eq!(count(&report.quarantined, "bad_time"), 2);
    assert_eq!(sessions(&data), [["1", "2"]]);
    assert_eq!(data.sessions.kinds(0), [EventKind::ViewItem, EventKind::Purchase]);
    assert_eq!(data.sessions.times(0), Some(&[1_000_000, 1_020_000][..]));

    let quarantine = fs::read_to_string(folder.path().join("out/quarantine.tsv")).unwrap();
    let lines: Vec<_> = quarantine.lines().collect();
    assert_eq!(lines[0], "file\tline\treason");
    assert_eq!(lines[1], "log.csv\t8\ttoo_few_columns");
    assert_eq!(lines.last(), Some(&"log.csv\t16\tnot_utf8"));
    assert_eq!(lines.len() as u64, 1 + quarantined);
    let text = report.to_text();
    for word in ["quarantined: bad_time", "filtered: bounce", "kept as clicks"] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn switches_and_limits_hold() {
    let mut log = "session,item,time\n".to_owned();
    for i in 0..250 {
        log += &format!("robot,{},{}\n", i % 50, i * 5);
    }
    log += "a,1,10\na,1,10.5\na,2,20\nb,1,30\nb,3,40\n";
    let folder = input("log.csv", log);
    let (report, data) = prepare(&options(&folder, "log.csv"));
    assert_eq!((report.robot_sessions, count(&report.filtered, "robot")), (1, 250));
    assert_eq!(sessions(&data), [["1", "2"], ["1", "3"]]);

    let mut all = options(&folder, "log.csv");
    all.no_filter("robots, duplicates").unwrap();
    assert!(all.no_filter("robot").is_err());
    let (report, _) = prepare(&all);
    assert_eq!((report.kept, report.sessions), (255, 3));
    let state = |rule: &str| {
        let found = report.rules.iter().find(|r| r.rule == rule).unwrap();
        found.state.clone()
    };
    assert_eq!(state("robot"), "switched off");
    assert_eq!(state("flood"), "applied");
    assert_eq!(state("bounce"), "not applicable: the source has no dwell times");

    // Items 2 and 3 are rare; without them no session is long enough.
    let mut strict = options(&folder, "log.csv");
    strict.min_item_count = 2;
    let error = run(&strict, &Silent).unwrap_err().to_string();
    assert!(error.contains("no click is left") && error.contains("2 rare_item"), "{error}");
}

#[test]
fn compressed_files_marks_and_delimiters_are_understood() {
    let rows =
        "\u{feff}SessionId;ItemId;When\r\n\"s\";\"a;b\";2014-04-02T11:17:46Z\r\ns;c;2014-04-02T11:18:46Z\r\n";
    let folder = input("log.csv.gz", gzip(rows.as_bytes()));
    let mut options = options(&folder, "log.csv.gz");
    options.columns = "time=When".parse().unwrap();
    let (report, data) = prepare(&options);
    assert_eq!(sessions(&data), [["a;b", "c"]]);
    assert!(report.notes.iter().any(|note| note.contains("ISO 8601")));
    assert_eq!(data.origin.name, "log");

    let cut = &gzip(&rows.as_bytes().repeat(50))[..40];
    let folder = input("log.csv.gz", cut);
    assert!(run(&self::options(&folder, "log.csv.gz"), &Silent).is_err());
}

#[test]
fn a_file_without_header_is_read_by_number() {
    let folder = input("log.tsv", "x\ts\t5\nx\ts\t7\n");
    let mut options = options(&folder, "log.tsv");
    options.no_header = true;
    options.columns = "session=2,item=3".parse().unwrap();
    let (report, data) = prepare(&options);
    assert_eq!((report.rows, sessions(&data)), (2, vec![vec!["5", "7"]]));
}

#[test]
fn users_without_sessions_are_cut_by_inactivity() {
    let log = "user_id,item_id,time\nu,1,0\nv,1,0\nu,2,1799\nu,3,3599\nu,4,3700\nv,2,9\n";
    let folder = input("log.csv", log);
    let (report, data) = prepare(&options(&folder, "log.csv"));
    assert_eq!(sessions(&data), [vec!["1", "2"], vec!["1", "2"], vec!["3", "4"]]);
    assert!(!data.origin.has_users);
    assert!(report.notes.iter().any(|note| note.contains("30 minutes")));

    let mut whole = options(&folder, "log.csv");
    whole.user_history = true;
    let (_, data) = prepare(&whole);
    assert_eq!(sessions(&data), [vec!["1", "2", "3", "4"], vec!["1", "2"]]);
    assert!(data.origin.has_users);
}

#[test]
fn session_ids_may_belong_to_users() {
    let log = "user_id,session_id,item_id\nu,1,a\nv,1,b\nu,1,c\nv,1,d\n,1,e\n";
    let folder = input("log.csv", log);
    let (_, data) = prepare(&options(&folder, "log.csv"));
    assert_eq!(sessions(&data), [["a", "b", "c", "d", "e"]]);
    let mut both = options(&folder, "log.csv");
    both.columns = "user=user_id,session=session_id".parse().unwrap();
    let (report, data) = prepare(&both);
    assert_eq!(sessions(&data), [["a", "c"], ["b", "d"]]);
    assert_eq!(count(&report.quarantined, "missing_session"), 1);
}

#[test]
fn a_folder_may_hold_several_logs_and_an_item_table() {
    let folder = input("log_1.csv", "session,item,time\ns,1,10\nt,2,20\n");
    fs::write(folder.path().join("log_2.csv"), "time,session,item\n30,s,2\n40,t,1\n").unwrap();
    fs::write(folder.path().join("items.csv"), "item_id,name\n1,One\n").unwrap();
    let (report, data) = prepare(&PrepareOptions::new(folder.path(), folder.path().join("out")));
    assert_eq!(sessions(&data), [["1", "2"], ["2", "1"]]);
    assert_eq!((report.rows, data.catalogue.name(1)), (4, Some("One")));
}

#[test]
fn periods_of_days_are_counted_from_the_first_click() {
    let day = 86_400;
    let log = format!(
        "session,item,time\nlate,9,{}\nlate,1,{}\nearly,5,{}\nearly,6,{}\n",
        15 * day,
        15 * day + 9,
        day,
        8 * day
    );
    let folder = input("log.csv", log);
    let mut options = options(&folder, "log.csv");
    options.period_days = Some(7);
    let (report, data) = prepare(&options);
    assert_eq!(sessions(&data), [["5", "6"], ["9", "1"]]);
    assert_eq!((data.sessions.period(0), data.sessions.period(1)), (0, 2));
    assert_eq!(report.periods.len(), 2);
}

#[test]
fn the_last_days_are_a_period_of_their_own() {
    let day = 86_400;
    let log = format!(
        "SessionId\tItemId\tTime\nold\t5\t1\nold\t6\t{}\nlong\t1\t{}\nlong\t2\t{}\nnew\t9\t{}\nnew\t1\t{}\n",
        60,
        3 * day,
        3 * day + 60,
        3 * day + 61,
        4 * day + 60,
    );
    let folder = input("log.txt", log);
    let mut options = options(&folder, "log.txt");
    options.last_days = Some(1);
    let (_, data) = prepare(&options);
    assert_eq!(sessions(&data), [["5", "6"], ["1", "2"], ["9", "1"]]);
    assert_eq!([0, 1, 2].map(|s| data.sessions.period(s)), [0, 0, 1]);
}

#[test]
fn a_split_folder_gives_two_periods() {
    let header = "SessionId\tItemId\tTime\n";
    let folder = input("clicks_train_full.txt", format!("{header}1\t7\t10.5\n1\t8\t11\n"));
    for (name, rows) in [("clicks_train_tr", "1\t7\t10.5\n"), ("clicks_test", "1\t8\t90\n1\t7\t99\n")] {
        fs::write(folder.path().join(format!("{name}.txt")), format!("{header}{rows}")).unwrap();
    }
    // Session 1 of the test part is not that of the training part.
    let options = PrepareOptions::new(folder.path(), folder.path().join("out"));
    let (report, data) = prepare(&options);
    assert_eq!(sessions(&data), [["7", "8"], ["8", "7"]]);
    assert_eq!([0, 1].map(|s| data.sessions.period(s)), [0, 1]);
    assert_eq!((report.rows, data.origin.layout.as_str()), (4, "rsc15"));

    fs::remove_file(folder.path().join("clicks_test.txt")).unwrap();
    let error = run(&options, &crate::progress::Silent).unwrap_err().to_string();
    assert!(error.contains("_test.txt; it has clicks_train_full.txt"), "{error}");
}

#[test]
fn recbole_files_bring_their_items() {
    let folder = input(
        "shop.inter",
        "session_id:token\titem_id:token\ttimestamp:float\ns\ti2\t1e9\ns\ti1\t1000000007\n",
    );
    let items = "item_id:token\titem_name:token_seq\tprice:float\ni1\t15\" frame\t9.5\ni3\tnew\t1\ni1\tagain\t2\ni4\tbad\t-1\n";
    fs::write(folder.path().join("shop.item"), items).unwrap();
    let (report, data) = prepare(&PrepareOptions::new(folder.path(), folder.path().join("out")));
    assert_eq!(data.origin.layout, "recbole");
    assert_eq!(sessions(&data), [["i2", "i1"]]);
    let catalogue = &data.catalogue;
    assert_eq!((catalogue.name(2), catalogue.price(2)), (Some("15\" frame"), Some(9.5)));
    assert_eq!(catalogue.index_of("i3"), Some(3));
    assert!(!catalogue.is_trained(3) && catalogue.is_trained(1));
    assert_eq!((report.items, report.items_without_clicks), (3, 1));
    assert_eq!(count(&report.item_rows_quarantined, "duplicate_id"), 1);
    assert_eq!(count(&report.item_rows_quarantined, "bad_price"), 1);
}

#[test]
fn items_may_be_json_lines() {
    let folder = input("log.csv", "session,item\ns,1\ns,2\n");
    let items = concat!(
        r#"{"item_id":1,"name":"Teal mug","category":["Home","Mugs"],"price":"12.50","stock":3}"#,
        "\n",
        r#"{"item_id":"2","category":"Home > Mugs","brand":null}"#,
        "\n{broken\n",
    );
    fs::write(folder.path().join("items.jsonl"), items).unwrap();
    let mut options = options(&folder, "log.csv");
    options.items = Some(folder.path().join("items.jsonl"));
    let (report, data) = prepare(&options);
    let catalogue = &data.catalogue;
    assert_eq!(catalogue.name(1), Some("Teal mug"));
    assert_eq!((catalogue.price(1), catalogue.stock(1)), (Some(12.5), Some(3)));
    assert_eq!(catalogue.category_code(1), catalogue.category_code(2));
    assert_eq!(catalogue.category(2), ["Home", "Mugs"]);
    assert_eq!(count(&report.item_rows_quarantined, "malformed"), 1);
}

fn write_parquet(path: &Path) {
    let schema = "message log {
        required binary session_id (UTF8);
        optional binary unused (UTF8);
        required int64 item_id;
        required int64 time (TIMESTAMP_MICROS);
        optional double dwell;
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = fs::File::create(path).unwrap();
    let properties = WriterProperties::builder()
        .set_compression(::parquet::basic::Compression::ZSTD(Default::default()))
        .build();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties)).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let texts = ["a", "a", ""].map(|text| ByteArray::from(text.as_bytes().to_vec()));
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&[], Some(&[0; 3]), None).unwrap();
    column.close().unwrap();
    for values in [[70, 80, 90], [1_000_000, 61_000_999, 2]] {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<DoubleType>().write_batch(&[900.0], Some(&[0, 1, 0]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn parquet_is_read() {
    let folder = tempfile::tempdir().unwrap();
    write_parquet(&folder.path().join("log.parquet"));
    let (report, data) = prepare(&options(&folder, "log.parquet"));
    assert_eq!((report.rows, count(&report.quarantined, "missing_session")), (3, 1));
    assert_eq!(sessions(&data), [["70", "80"]]);
    assert_eq!(data.sessions.times(0), Some(&[1_000, 61_000][..]));
}

/// A folder of period files.
fn periods(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (period, lines) in files.iter().enumerate() {
        let path = folder.path().join(format!("period_{period}.txt.gz"));
        fs::write(path, gzip(lines.as_bytes())).unwrap();
    }
    folder
}

#[test]
fn periods_keep_their_sessions_apart_and_their_numbers() {
    // Session 7 comes again in period 1, and the items do not appear in the order of their ids.
    let folder = periods(&["7 2\n8 1\n7 1\nlonely\n", "7 3\n7 3\n"]);
    let options = PrepareOptions::new(folder.path(), folder.path().join("out"));
    let (report, data) = prepare(&options);
    assert_eq!(data.origin.layout, "periods");
    assert_eq!(sessions(&data), [vec!["2", "1"], vec!["1"], vec!["3", "3"]]);
    assert_eq!((1..=3).map(|i| data.catalogue.id(i).unwrap()).collect::<Vec<_>>(), ["1", "2", "3"]);
    assert!(!data.sessions.has_times());
    assert_eq!((report.rows, report.kept), (6, 5));
    let states: Vec<_> = report.rules.iter().map(|rule| rule.state.as_str()).collect();
    assert_eq!(states[0], "not applicable: the source has no times");
    assert_eq!(states[3], "applied");
}

#[test]
fn numbers_that_run_against_the_periods_are_not_kept() {
    let folder = periods(&["7 2\n7 3\n", "8 1\n8 3\n"]);
    let options = PrepareOptions::new(folder.path(), folder.path().join("out"));
    let (_, data) = prepare(&options);
    assert_eq!((1..=3).map(|i| data.catalogue.id(i).unwrap()).collect::<Vec<_>>(), ["2", "3", "1"]);
}

#[test]
fn sequences_are_users_with_attributes() {
    let folder = input("users.txt", "1 1 2 3\n2 3 1\n3\n");
    fs::write(folder.path().join("attributes.json"), r#"{"1":[4,5],"2":[4,5],"9":[6]}"#).unwrap();
    let mut options = options(&folder, "users.txt");
    options.item_attributes = Some(folder.path().join("attributes.json"));
    let (report, data) = prepare(&options);
    assert!(data.origin.has_users);
    assert_eq!(data.origin.layout, "sequences");
    assert_eq!(sessions(&data), [vec!["1", "2", "3"], vec!["3", "1"]]);
    assert_eq!((report.rows, count(&report.quarantined, "too_few_columns")), (6, 1));
    assert_eq!(data.catalogue.category(1), ["4", "5"]);
    assert_eq!(data.catalogue.category_code(1), data.catalogue.category_code(2));
    assert!(!data.catalogue.is_trained(4));
    assert!(report.rules[3].state.starts_with("not applicable"));
}

#[test]
fn the_same_log_gives_the_same_bytes() {
    let folder = input("log.csv", "session,item,time\nb,2,9\na,1,5\nb,1,12\na,3,7\n");
    let bytes = |out: &str| {
        let mut options = options(&folder, "log.csv");
        options.output = folder.path().join(out);
        run(&options, &Silent).unwrap();
        ["catalogue.json", "sessions.safetensors", "dataset.json", "quarantine.tsv"]
            .map(|name| fs::read(options.output.join(name)).unwrap())
    };
    assert!(bytes("one") == bytes("two"));
}

#[test]
fn a_run_that_fails_leaves_the_old_data_set_and_says_why() {
    let folder = input("log.csv", "session,item\ns,1\ns,2\n");
    let options = options(&folder, "log.csv");
    prepare(&options);
    fs::write(folder.path().join("log.csv"), "session,item\ns\n,1\n").unwrap();
    let error = run(&options, &Silent).unwrap_err().to_string();
    assert!(error.contains("1 missing_session, 1 too_few_columns"), "{error}");
    let quarantine = fs::read_to_string(options.output.join("quarantine.tsv")).unwrap();
    assert_eq!(quarantine.lines().count(), 3);
    assert_eq!(Dataset::load(&options.output).unwrap().sessions.len(), 1);
}

#[test]
fn the_layout_is_told_by_looking() {
    let cases = [
        ("a.inter", "x:token", Layout::RecBole),
        ("a.parquet", "PAR1", Layout::Parquet),
        ("a.txt", "SessionId\tItemId\tTime\n", Layout::Rsc15),
        ("b.txt", "1 2 3\n2 3\n", Layout::Sequences),
        ("c.txt", "session\titem\n", Layout::Csv),
    ];
    for (name, content, layout) in cases {
        let folder = input(name, content);
        assert_eq!(layout::detect(&found(&folder, name)).unwrap(), layout, "{name}");
        assert_eq!(layout.to_string().parse::<Layout>().unwrap(), layout);
    }
    for (name, content) in [("d.txt", "1 2\n3 4\n"), ("e.txt", "")] {
        let folder = input(name, content);
        assert!(layout::detect(&found(&folder, name)).is_err());
    }
    assert!("cvs".parse::<Layout>().unwrap_err().to_string().contains("csv, recbole"));
}
