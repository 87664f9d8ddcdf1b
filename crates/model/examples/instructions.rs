//! One piece of a device's work again and again, for a counter of instructions to look at: times shake on a busy
//! machine, counts do not. `benches/instructions.sh` runs it under callgrind, which collects within
//! `counted_work` alone.
//!
//! ```sh
//! cargo run --release -p onshelf-model --example instructions -- scan|encode|learn ITEMS TIMES
//! ```

use std::hint::black_box;

use onshelf_core::rank::CENTROIDS;
use onshelf_core::version::{FineTuneConfig, StudentShape};
use onshelf_core::weights::Tensor;
use onshelf_model::encoder;
use onshelf_model::personal::{Lesson, Personal};
use onshelf_model::student::{Adapter, Compute, Encoded, SessionInput, Student};
use pollster::block_on;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Clicks of the session.
const CLICKS: usize = 19;

fn main() {
    let mut args = std::env::args().skip(1);
    let work = args.next().unwrap_or_default();
    let mut number = || args.next().and_then(|n| n.parse().ok());
    let (Some(items), Some(times)) = (number(), number()) else {
        eprintln!("three arguments: scan|encode|learn ITEMS TIMES");
        std::process::exit(2);
    };
    let student = student(items);
    match work.as_str() {
        "scan" => scan(&student, times),
        "encode" => encode(&student, times),
        "learn" => learn(&student, times),
        other => {
            eprintln!("{other:?} is none of scan, encode, learn");
            std::process::exit(2);
        }
    }
}

/// Where counting begins and ends: never inlined, so that it has a name.
#[inline(never)]
fn counted_work(mut work: impl FnMut()) {
    work();
}

/// Random numbers in the shape of DIGINETICA's student.
fn student(items: usize) -> Student {
    let shape = StudentShape {
        dim: 96,
        blocks: 2,
        heads: 2,
        hidden: 192,
        max_len: 20,
        subspaces: 12,
        adapter_rank: 16,
        temperature: 0.07,
        times: false,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut weights = encoder::init(&shape, &mut rng);
    Adapter::new(shape.dim, shape.adapter_rank, &mut rng).write(&mut weights);
    let row = shape.subspaces + 1;
    let codes = (0..items * row).map(|_| rng.random()).collect();
    weights.bytes.insert("items.codes".into(), (vec![items, row], codes));
    // Item vectors of length about 1.
    let limit = (3.0 / shape.dim as f32).sqrt();
    for (name, dims, limit) in [
        ("items.centroids", vec![shape.subspaces, CENTROIDS, shape.dim / shape.subspaces], limit),
        ("items.bias", vec![CENTROIDS], 1.0),
    ] {
        let n = dims.iter().product();
        let values = (0..n).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * limit).collect();
        weights.floats.insert(name.into(), Tensor { shape: dims, values });
    }
    Student::new(&weights, &shape, &Compute::Cpu).expect("tensors of this shape")
}

/// A session of so many clicks on items of the whole catalogue.
fn session(student: &Student, clicks: usize) -> SessionInput {
    let items = student.table().items();
    SessionInput {
        items: (0..clicks).map(|at| (at * 7919 % items + 1) as u32).collect(),
        kinds: vec![0; clicks],
        gaps: vec![0; clicks],
    }
}

/// The scores of all items for a session vector.
fn scan(student: &Student, times: usize) {
    let query: Vec<f32> = (0..student.shape().dim).map(|at| (at as f32 * 0.7).sin()).collect();
    let (mut lut, mut scores) = (Vec::new(), Vec::new());
    let mut work = || student.table().score_all(black_box(&query), &mut lut, &mut scores);
    work();
    (0..times).for_each(|_| counted_work(&mut work));
    assert_eq!(scores.len(), student.table().items());
}

/// One more position behind those of a session that is encoded.
fn encode(student: &Student, times: usize) {
    let mut before = Encoded::default();
    student.encode_on(&session(student, CLICKS), &mut before);
    let longer = session(student, CLICKS + 1);
    for _ in 0..times {
        let mut encoded = before.clone();
        counted_work(|| student.encode_on(&longer, &mut encoded));
        assert_eq!(encoded.vectors().len(), (CLICKS + 1) * student.shape().dim);
    }
}

/// One optimiser step on a session, its candidates as students are shipped with.
fn learn(student: &Student, times: usize) {
    let clicks = session(student, CLICKS + 1);
    let vectors = student.encode(&clicks);
    let config = FineTuneConfig::tuned();
    let hard = (1..=config.hard as u32).collect();
    let lesson =
        Lesson::new(&vectors, &clicks.items, student.shape().dim).expect("two items").with_hard(hard);
    let mut personal = Personal::new(student, 1);
    let mut step = || {
        let loss = block_on(personal.step(student, &lesson, None, &config)).expect("a finite step");
        assert!(loss.is_finite());
    };
    step();
    (0..times).for_each(|_| counted_work(&mut step));
}
