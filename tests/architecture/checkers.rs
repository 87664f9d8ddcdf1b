//! Each rule fails on bad input, and lets good input through.

use serde_json::{Value, json};

use super::*;

fn package(name: &str, dependencies: &[(&str, &str)]) -> Value {
    let dependencies: Vec<Value> = dependencies
        .iter()
        .map(|(name, kind)| json!({ "name": name, "kind": if kind.is_empty() { Value::Null } else { json!(kind) } }))
        .collect();
    json!({ "name": name, "manifest_path": "Cargo.toml", "dependencies": dependencies })
}

fn broken_arrows(name: &str, dependencies: &[(&str, &str)]) -> usize {
    arrows(&json!({ "packages": [package(name, dependencies)] })).len()
}

#[test]
fn arrows_against_the_drawing_are_found() {
    assert_eq!(broken_arrows("onshelf-core", &[("serde", ""), ("proptest", "dev")]), 0);
    assert_eq!(broken_arrows("onshelf-core", &[("burn", "")]), 1);
    assert_eq!(broken_arrows("onshelf-core", &[("onshelf-model", "dev")]), 1);
    assert_eq!(broken_arrows("onshelf-model", &[("onshelf-core", ""), ("burn", "")]), 0);
    assert_eq!(broken_arrows("onshelf-model", &[("web-sys", ""), ("js-sys", "dev")]), 2);
    assert_eq!(broken_arrows("onshelf-trainer", &[("onshelf", "")]), 1);
    assert_eq!(broken_arrows("onshelf-server", &[("burn", ""), ("onshelf-model", "")]), 2);
    assert_eq!(broken_arrows("onshelf", &[("idb", ""), ("onshelf-trainer", "dev")]), 0);
    assert_eq!(broken_arrows("onshelf", &[("onshelf-trainer", "")]), 1);
    assert_eq!(broken_arrows("onshelf-unheard-of", &[]), 1);
}

#[test]
fn forbidden_crates_are_found_at_any_depth_unless_excused() {
    let tree = "0onshelf-core v0.1.0 (/somewhere)\n1safetensors v0.8.0\n2tempfile v3.0.0\n3getrandom v0.4.0\n\
                1serde v1.0.0\n2serde_core v1.0.0\n";
    assert_eq!(reached(tree, &NOT_FOR_CORE, &EXCUSED), [""; 0]);
    let found = reached(tree, &NOT_FOR_CORE, &[]);
    assert_eq!(found, ["onshelf-core → safetensors → tempfile → getrandom"]);
    let direct = format!("{tree}1getrandom v0.4.0\n1burn v0.22.1\n");
    let found = reached(&direct, &NOT_FOR_CORE, &EXCUSED);
    assert_eq!(found, ["onshelf-core → burn", "onshelf-core → getrandom"]);
}

#[test]
fn the_world_outside_is_found_however_it_is_named() {
    for code in [
        "use std::fs;",
        "use std::{collections::{BTreeMap, HashMap}, fs::File};",
        "let x = ::std::net::TcpStream::connect(a);",
        "use std::{\n    fmt,\n    env,\n};",
    ] {
        assert_eq!(outside(code).len(), 1, "{code}");
    }
    for code in ["use std::{fmt, collections::{BTreeMap, HashMap}};", "my_std::fs::x()", "std::fmt::Result"] {
        assert_eq!(outside(code), [""; 0], "{code}");
    }
    assert_eq!(
        words("let t = std::time::Instant::now();\nSystemTime", &CLOCKS),
        ["1: Instant", "2: SystemTime"]
    );
    assert_eq!(words("InstantNoodles instant", &CLOCKS), [""; 0]);
}

#[test]
fn blocking_reads_are_found_in_code_only() {
    assert_eq!(blocking("let v =\n  t.into_data();\nt.topk(5, 1);"), ["2: .into_data()", "3: .topk("]);
    assert_eq!(blocking("t.into_data_async().await"), [""; 0]);
    let source = "//! never `.into_data()`\nfn f() { /* .into_scalar() /* nested */ */ log(\".to_data()\"); }\n\
                  #[cfg(test)]\nmod tests {\n  fn g() { if x { t.into_data() } }\n}\n\
                  #[cfg(test)]\nuse a::b;\nfn h<'a>(c: char) { if c == '\"' { t.into_scalar() } }\n";
    assert_eq!(blocking(&code_of(source)), ["9: .into_scalar()"]);
    assert_eq!(blocking(&code_of("let a = r#\"\"quoted\" .topk(\"#; b.topk(1)")), ["1: .topk("]);
    assert_eq!(blocking(&code_of("let a = '\\''; b.topk(1); // .topk(")), ["1: .topk("]);
}

#[test]
fn training_outside_its_feature_is_found() {
    assert!(gates_training("pub mod adam;\n#[cfg(feature = \"training\")]\npub mod training;\n"));
    assert!(!gates_training("pub mod adam;\npub mod training;\n"));
    assert!(!gates_training("#[cfg(feature = \"cpu\")]\npub mod training;\n"));
}

#[test]
fn long_files_and_missing_lints_are_found() {
    assert!(too_long("a.rs", &"\n".repeat(MAX_LINES)).is_none());
    assert!(too_long("a.rs", &"\n".repeat(MAX_LINES + 1)).is_some());
    assert!(inherits_lints("[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"));
    for manifest in
        ["[package]\nworkspace = true\n", "[lints]\nworkspace = false\n", "[lints.rust]\nworkspace = true\n"]
    {
        assert!(!inherits_lints(manifest), "{manifest}");
    }
}
