//! The hot paths of a device, natively: ranking a catalogue, one more click, learning from it.
//!
//! `./build.sh bench` makes the model versions it needs; alone:
//!
//! ```sh
//! cargo bench --bench hot_paths
//! ```

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use onshelf_core::catalogue::Catalogue;
use onshelf_core::event::EventKind;
use onshelf_core::rank::top_k;
use onshelf_core::version::{Manifest, Role};
use onshelf_core::weights::Weights;
use onshelf_model::shopper::{Request, Shopper, Tracked};
use onshelf_model::student::{Compute, Student};
use pollster::block_on;

const SIZES: [usize; 3] = [10_000, 100_000, 1_000_000];
/// Clicks of the session, and the time between two.
const CLICKS: usize = 20;
const PACE_MS: i64 = 60_000;

fn folder(items: usize) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("build/bench/made-up-{items}/models"))
}

/// Manifest, weights and catalogue of a published version.
fn read(items: usize) -> (Manifest, Weights, Catalogue) {
    let folder = folder(items);
    let file = |name: &str| {
        fs::read(folder.join(name)).unwrap_or_else(|e| {
            panic!("{}: {e}; run ./build.sh bench, which makes it", folder.join(name).display())
        })
    };
    let keys: Vec<String> = serde_json::from_slice(&file("public-keys.json")).unwrap();
    let manifest = Manifest::verify(&file("latest.json"), &keys).unwrap().manifest;
    let content = |role| file(&manifest.file(role).unwrap().path);
    let weights = Weights::from_safetensors(&content(Role::Weights)).unwrap();
    let catalogue = Catalogue::from_json(&content(Role::Catalogue)).unwrap();
    (manifest, weights, catalogue)
}

fn scan(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan");
    for items in SIZES {
        let (manifest, weights, _) = read(items);
        let student = Student::new(&weights, &manifest.student, &Compute::Cpu).unwrap();
        let query: Vec<f32> = (0..manifest.student.dim).map(|at| (at as f32 * 0.7).sin()).collect();
        let (mut lut, mut scores) = (Vec::new(), Vec::new());
        group.bench_function(BenchmarkId::new("all scores", items), |b| {
            b.iter(|| student.table().score_all(&query, &mut lut, &mut scores));
        });
        group.bench_function(BenchmarkId::new("best twelve", items), |b| {
            b.iter(|| top_k(&scores, 12, |_| true));
        });
    }
}

/// A shopper who clicked on so many items.
fn browsed(items: usize) -> Shopper {
    let (manifest, weights, catalogue) = read(items);
    let mut shopper = Shopper::new("bench".into(), manifest, catalogue, &weights, &Compute::Cpu, 1).unwrap();
    (0..CLICKS).for_each(|at| click(&mut shopper, at));
    // The guard has compared them, so that it has one click to compare.
    block_on(shopper.fine_tune(1)).unwrap();
    shopper
}

fn click(shopper: &mut Shopper, at: usize) {
    let items = shopper.catalogue().len();
    let id = ((at * 7919) % items + 1).to_string();
    let tracked = shopper.track(&id, EventKind::ViewItem, None, at as i64 * PACE_MS);
    assert_eq!(tracked, Tracked::Accepted, "click {at}: a click that does not count costs nothing");
}

/// Times `work` after one more click; every time from the same session, encoded but for that click.
fn after_a_click(shopper: &mut Shopper, rounds: u64, mut work: impl FnMut(&mut Shopper)) -> Duration {
    let state = shopper.export_state().unwrap();
    let mut total = Duration::ZERO;
    for _ in 0..rounds {
        shopper.import_state(&state).unwrap();
        block_on(shopper.recommend(&shelf())).unwrap();
        let begin = Instant::now();
        click(shopper, CLICKS);
        work(shopper);
        total += begin.elapsed();
    }
    shopper.import_state(&state).unwrap();
    total
}

fn shelf() -> Request {
    Request { count: 12, ..Request::default() }
}

fn device(c: &mut Criterion) {
    let mut group = c.benchmark_group("device");
    for items in SIZES {
        let mut shopper = browsed(items);
        group.bench_function(BenchmarkId::new("click and shelf", items), |b| {
            b.iter_custom(|rounds| {
                after_a_click(&mut shopper, rounds, |s| {
                    black_box(block_on(s.recommend(&shelf())).unwrap());
                })
            });
        });
        group.bench_function(BenchmarkId::new("click and step", items), |b| {
            b.iter_custom(|rounds| {
                after_a_click(&mut shopper, rounds, |s| {
                    black_box(block_on(s.fine_tune(1)).unwrap());
                })
            });
        });
    }
}

criterion_group!(benches, scan, device);
criterion_main!(benches);
