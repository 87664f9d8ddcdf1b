//! Keeps ARCHITECTURE.md true: which package may depend on what, what the pure core may use, that
//! nothing which runs in a browser blocks, and that files stay short enough to read.
//!
//! Every rule is a function from text to a list of violations; `architecture/checkers.rs` shows
//! that each of them fails on bad input.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[path = "architecture/checkers.rs"]
mod checkers;
#[path = "architecture/source.rs"]
mod source;

use source::{code_of, line_of};

/// The target of the shipped modules.
const WASM: &str = "wasm32-unknown-unknown";
/// The longest source file.
const MAX_LINES: usize = 500;
/// Crates that know JavaScript; only the root package may name one.
const JAVASCRIPT: [&str; 7] =
    ["wasm-bindgen", "wasm-bindgen-futures", "js-sys", "web-sys", "serde-wasm-bindgen", "gloo", "idb"];
/// What the core must not reach, not even through others.
const NOT_FOR_CORE: [&str; 11] = [
    "burn",
    "wasm-bindgen",
    "wasm-bindgen-futures",
    "js-sys",
    "web-sys",
    "tokio",
    "rand",
    "getrandom",
    "fastrand",
    "rayon",
    "parquet",
];
/// Edges that are not followed. safetensors asks for tempfile to write files by itself, which the
/// core never has it do; tempfile brings sources of randomness.
const EXCUSED: [(&str, &str); 1] = [("safetensors", "tempfile")];
/// What each package of the workspace may depend on within the workspace; dev-dependencies of the
/// root package may name the trainer as well, for tests that cross both sides.
const ARROWS: [(&str, &[&str]); 8] = [
    ("onshelf-core", &[]),
    ("onshelf-collector", &["onshelf-core"]),
    ("onshelf-model", &["onshelf-core"]),
    ("onshelf-trainer", &["onshelf-collector", "onshelf-core", "onshelf-model"]),
    ("onshelf-server", &["onshelf-core"]),
    ("onshelf-fuzz", &["onshelf-core", "onshelf-server"]),
    ("onshelf", &["onshelf-core", "onshelf-model"]),
    ("onshelf-fixture", &["onshelf-core", "onshelf-model"]),
];
/// What only tests of a package may depend on: they compare or exercise both sides.
const TESTS_ONLY: [(&str, &str); 2] =
    [("onshelf", "onshelf-trainer"), ("onshelf-server", "onshelf-collector")];
/// Packages that may name JavaScript's crates: the browser shell, and what is measured beside peers.
const SHELLS: [&str; 2] = ["onshelf", "onshelf-fixture"];
/// Packages that may name Burn.
const BURN: [&str; 3] = ["onshelf-model", "onshelf-trainer", "onshelf"];
/// Modules of the standard library that reach outside.
const OUTSIDE: [&str; 7] = ["env", "fs", "io", "net", "os", "process", "thread"];
/// Types that read a clock.
const CLOCKS: [&str; 2] = ["Instant", "SystemTime"];
/// Sources of randomness that the protocol's crates link and the core must not call.
const CHANCE: [&str; 6] = ["getrandom", "thread_rng", "OsRng", "SysRng", "from_entropy", "random_vector"];
/// Methods of Burn's tensors and of CubeCL's client that wait for the device. Clippy bans them by type in the wasm
/// configuration (tests/clippy-wasm); this list needs no wasm toolchain.
const BLOCKING: [&str; 11] = [
    ".read_one(",
    ".read_one_unchecked(",
    ".into_data()",
    ".to_data()",
    ".try_into_data()",
    ".into_scalar()",
    ".topk(",
    ".topk_with_indices(",
    ".argsort(",
    ".sort_with_indices(",
    ".nonzero()",
];

#[test]
fn packages_depend_only_along_the_arrows() {
    assert_none(&arrows(&metadata()));
}

#[test]
fn the_core_reaches_neither_burn_nor_javascript_nor_randomness() {
    for target in [host().as_str(), WASM] {
        let tree = cargo(&["tree", "-p", "onshelf-core", "-e", "normal", "--target", target]);
        assert!(tree.starts_with("0onshelf-core "), "cargo tree gave {tree:?}");
        assert_none(&reached(&tree, &NOT_FOR_CORE, &EXCUSED));
    }
}

#[test]
fn the_server_never_links_burn() {
    let tree = cargo(&["tree", "-p", "onshelf-server", "-e", "normal", "--target", &host()]);
    assert!(tree.starts_with("0onshelf-server "), "cargo tree gave {tree:?}");
    assert_none(&reached(&tree, &["burn", "onshelf-model", "onshelf-trainer"], &[]));
}

#[test]
fn the_core_does_no_input_output_and_reads_no_clock() {
    let files = sources("crates/core/src", &["rs"], &[]);
    assert!(files.len() > 5, "crates/core/src has moved");
    assert_none(&each(&files, |code| [outside(code), words(code, &CLOCKS), words(code, &CHANCE)].concat()));
}

#[test]
fn nothing_that_runs_in_a_browser_blocks_or_reads_a_clock() {
    let mut files = sources("crates/model/src", &["rs"], &["training", "training.rs"]);
    files.extend(sources("src", &["rs"], &[]));
    assert!(files.len() > 10, "crates/model/src or src has moved");
    assert_none(&each(&files, |code| [blocking(code), words(code, &CLOCKS)].concat()));
    let root = fs::read_to_string(root().join("crates/model/src/lib.rs")).unwrap();
    assert!(gates_training(&root), "crates/model/src/lib.rs: training must stay behind its feature");
}

#[test]
fn source_files_stay_short() {
    let mut files = Vec::new();
    for folder in ["src", "crates", "tests", "www"] {
        files.extend(sources(folder, &["rs", "ts", "mjs", "js"], &[]));
    }
    assert!(files.len() > 100, "the sources have moved");
    let read = files.iter().map(|path| (named(path), fs::read_to_string(path).unwrap()));
    assert_none(&read.filter_map(|(name, text)| too_long(&name, &text)).collect::<Vec<_>>());
}

#[test]
fn every_package_inherits_the_lints_of_the_workspace() {
    let members = workspace(&metadata());
    assert!(members.len() >= 4, "{members:?}");
    for (name, manifest) in members {
        let text = fs::read_to_string(manifest).unwrap();
        assert!(inherits_lints(&text), "{name}: its Cargo.toml lacks `[lints] workspace = true`");
    }
}

// ---------------------------------------------------------------- rules

/// Violations among the direct dependencies of the workspace's packages.
fn arrows(metadata: &Value) -> Vec<String> {
    let mut out = Vec::new();
    for package in list(&metadata["packages"]) {
        let name = text(&package["name"]);
        let Some((_, allowed)) = ARROWS.iter().find(|(from, _)| *from == name) else {
            out.push(format!("{name}: a new package needs its arrow here and in ARCHITECTURE.md"));
            continue;
        };
        for dependency in list(&package["dependencies"]) {
            let (to, kind) = (text(&dependency["name"]), text(&dependency["kind"]));
            let own = ARROWS.iter().any(|(from, _)| *from == to);
            let tests_only = kind == "dev" && TESTS_ONLY.contains(&(name, to));
            if own && !allowed.contains(&to) && !tests_only {
                out.push(format!("{name} → {to} is no arrow"));
            }
            if JAVASCRIPT.contains(&to) && !SHELLS.contains(&name) {
                out.push(format!(
                    "{name} → {to}: only the root package and the peers' fixture know JavaScript"
                ));
            }
            if to == "burn" && !BURN.contains(&name) {
                out.push(format!("{name} → burn"));
            }
        }
    }
    out
}

/// Paths of `cargo tree --prefix depth` that end at a forbidden crate.
fn reached(tree: &str, forbidden: &[&str], excused: &[(&str, &str)]) -> Vec<String> {
    let mut out = BTreeSet::new();
    let mut path: Vec<&str> = Vec::new();
    for line in tree.lines() {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        let Ok(depth) = line[..digits].parse::<usize>() else { continue };
        path.truncate(depth);
        path.push(line[digits..].split(' ').next().unwrap_or_default());
        let skipped = path.windows(2).any(|edge| excused.contains(&(edge[0], edge[1])));
        if !skipped && path.last().is_some_and(|name| forbidden.contains(name)) {
            out.insert(path.join(" → "));
        }
    }
    out.into_iter().collect()
}

/// Uses of the standard library's modules that reach outside.
fn outside(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (at, _) in code.match_indices("std::") {
        if code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = code[at + 5..].trim_start();
        let names = match rest.strip_prefix('{') {
            Some(group) => group_names(group),
            None => vec![identifier(rest)],
        };
        for name in names.into_iter().filter(|name| OUTSIDE.contains(name)) {
            out.push(format!("{}: std::{name}", line_of(code, at)));
        }
    }
    out
}

/// The first names of a `{a, b::{c, d}, e}` whose opening brace is already taken off.
fn group_names(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut names) = (0_usize, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            ',' | '}' if depth == 0 => {
                names.push(identifier(group[start..at].trim_start()));
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    names
}

fn identifier(text: &str) -> &str {
    text.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default()
}

/// Places where one of the words stands as an identifier.
fn words(code: &str, wanted: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for (number, line) in (1..).zip(code.lines()) {
        for word in line.split(|c: char| !(c.is_alphanumeric() || c == '_')) {
            if wanted.contains(&word) {
                out.push(format!("{number}: {word}"));
            }
        }
    }
    out
}

/// Calls that wait for a device.
fn blocking(code: &str) -> Vec<String> {
    let mut out = Vec::new();
    for call in BLOCKING {
        out.extend(code.match_indices(call).map(|(at, _)| format!("{}: {call}", line_of(code, at))));
    }
    out
}

fn gates_training(lib: &str) -> bool {
    let code = code_of(lib);
    let gated = code.contains("cfg(feature = )]\npub mod training;");
    gated && lib.contains("#[cfg(feature = \"training\")]\npub mod training;")
}

fn too_long(name: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > MAX_LINES).then(|| format!("{name} has {lines} lines, {MAX_LINES} are allowed"))
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.find(|line| !line.is_empty()).is_some_and(|line| line.replace(' ', "") == "workspace=true")
}

// ---------------------------------------------------------------- reading the repository

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn named(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Runs a rule over the code of each file; files that only hold tests are left out.
fn each(files: &[PathBuf], rule: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let tested = files.iter().filter(|path| !path.ends_with("tests.rs"));
    tested
        .flat_map(|path| {
            let found = rule(&code_of(&fs::read_to_string(path).unwrap()));
            found.into_iter().map(|what| format!("{}:{what}", named(path))).collect::<Vec<_>>()
        })
        .collect()
}

/// The files below a folder with one of these endings, without folders of the build and
/// without the names left out.
fn sources(folder: &str, endings: &[&str], left_out: &[&str]) -> Vec<PathBuf> {
    let mut out = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if ["node_modules", "target", "dist", "build"].contains(&&*name) || left_out.contains(&&*name) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| endings.iter().any(|wanted| end == *wanted)) {
                out.push(path);
            }
        }
    }
    out.sort();
    out
}

/// The packages of the workspace and their manifests.
fn workspace(metadata: &Value) -> BTreeMap<String, PathBuf> {
    let packages = list(&metadata["packages"]).iter();
    packages.map(|p| (text(&p["name"]).to_owned(), text(&p["manifest_path"]).into())).collect()
}

fn metadata() -> Value {
    serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])).unwrap()
}

/// The host's target triple.
fn host() -> String {
    let about = run(&["-vV"]).unwrap();
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap_or_else(|| panic!("no host in {about}")).to_owned()
}

/// Runs cargo without the network; where crates of another target were never fetched, with it.
fn cargo(args: &[&str]) -> String {
    let mut args = args.to_vec();
    if args[0] == "tree" {
        args.extend(["--no-dedupe", "--prefix", "depth", "--format", "{p}"]);
    }
    args.push("--locked");
    let offline = run(&[&args[..], &["--offline"]].concat());
    offline.or_else(|_| run(&args)).unwrap_or_else(|error| panic!("cargo {args:?}: {error}"))
}

fn run(args: &[&str]) -> Result<String, String> {
    let output =
        Command::new(env!("CARGO")).args(args).current_dir(root()).output().map_err(|e| e.to_string())?;
    let told = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(told(output.stdout)) } else { Err(told(output.stderr)) }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn assert_none(violations: &[String]) {
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}
