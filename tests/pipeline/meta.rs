//! A meta-learned start of the adapter.

use onshelf_core::version::FineTuneConfig;
use onshelf_core::weights::Weights;
use onshelf_model::personal::{Lesson, Personal};
use onshelf_model::student::{Compute, SessionInput, Student};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::progress::Silent;
use onshelf_trainer::student::{self, DistillOptions};
use pollster::block_on;

use crate::built::{built, distill_options};

/// A student's tensors, and its mean loss (nats) on sessions before any learning and after four steps on each.
fn measured(dir: &std::path::Path, data: &Dataset) -> (Weights, [f64; 2]) {
    let found = student::load(dir).unwrap();
    let weights = Weights::from_safetensors(&found.file).unwrap();
    let student = Student::new(&weights, &found.info.student, &Compute::Cpu).unwrap();
    let config = FineTuneConfig { learning_rate: 0.003, memory: 1.0, ..FineTuneConfig::tuned() };
    let (mut sums, mut sessions) = ([0.0; 2], 0.0);
    for s in 0..data.sessions.len() {
        let items = data.sessions.session(s).to_vec();
        let n = items.len();
        let input = SessionInput { items, kinds: vec![0; n], gaps: vec![0; n] };
        let vectors = student.encode(&input);
        let Some(lesson) = Lesson::new(&vectors, &input.items, student.shape().dim) else { continue };
        let mut shopper = Personal::new(&student, 1);
        sums[0] += block_on(shopper.loss(&student, &lesson, &config)).unwrap();
        for _ in 0..4 {
            block_on(shopper.step(&student, &lesson, None, &config)).unwrap();
        }
        sums[1] += block_on(shopper.loss(&student, &lesson, &config)).unwrap();
        sessions += 1.0;
    }
    (weights, sums.map(|sum| sum / sessions))
}

#[test]
fn a_meta_learned_start_makes_the_same_steps_lead_further() {
    let built = built();
    let folder = tempfile::tempdir().unwrap();
    let with = |name: &str, meta: usize| {
        let out = folder.path().join(name);
        let options = DistillOptions { meta, ..distill_options() };
        student::distill(&built.data(), &built.teacher_dir(), &out, &options, &Silent).unwrap();
        out
    };
    let data = Dataset::load(&built.data()).unwrap();
    let (plain, cold) = measured(&built.student_dir(), &data);
    let first = with("first", 4000);
    let (meta, warm) = measured(&first, &data);
    assert!(plain.floats["adapter.up"].values.iter().all(|&x| x == 0.0));
    assert!(meta.floats["adapter.up"].values.iter().any(|&x| x != 0.0), "the start was not kept");
    assert!(
        warm[1] < cold[1],
        "after four steps: {} nats from the learned start, {} without",
        warm[1],
        cold[1]
    );
    for (name, tensor) in &plain.floats {
        let same = meta.floats[name].values == tensor.values;
        assert!(same || name.starts_with("adapter."), "{name} changed too");
    }
    let again = std::fs::read(with("again", 4000).join("student.safetensors")).unwrap();
    assert!(std::fs::read(first.join("student.safetensors")).unwrap() == again, "not repeatable");
}

#[test]
fn the_adapters_fisher_information_is_shipped() {
    let found = student::load(&built().student_dir()).unwrap();
    let weights = Weights::from_safetensors(&found.file).unwrap();
    let student = Student::new(&weights, &found.info.student, &Compute::Cpu).unwrap();
    let fisher = student.fisher().expect("none was shipped");
    let half = student.base().down.len();
    let mean = |values: &[f32]| values.iter().map(|x| f64::from(*x)).sum::<f64>() / values.len() as f64;
    assert!((mean(fisher) - 1.0).abs() < 0.05, "mean {}", mean(fisher));
    // `down` tells something although `up` is zero as shipped, and no parameter is free.
    assert!(student.base().up.iter().all(|&x| x == 0.0));
    assert!(mean(&fisher[..half]) > 2e-3 && fisher.iter().all(|&x| x > 5e-4));
    let (least, most) = fisher.iter().fold((f32::MAX, 0.0_f32), |(a, b), &x| (a.min(x), b.max(x)));
    assert!(most > 3.0 * least, "it should tell parameters apart: {least} to {most}");
    // It goes with the adapter, so it is no part of what is frozen; and `distill --fisher 0` ships none.
    let folder = tempfile::tempdir().unwrap();
    let options = DistillOptions { fisher: 0, ..distill_options() };
    student::distill(&built().data(), &built().teacher_dir(), folder.path(), &options, &Silent).unwrap();
    let without = Weights::from_safetensors(&student::load(folder.path()).unwrap().file).unwrap();
    let mut with = weights;
    assert!(with.floats.remove(onshelf_model::student::FISHER).is_some());
    assert!(with == without, "other tensors differ");
}
