//! Federated rounds on the shared small shop.

use onshelf_trainer::benchmark::federated::{self, Arm, FederatedOptions};
use onshelf_trainer::progress::Silent;
use onshelf_trainer::teacher::TrainOptions;
use onshelf_trainer::{student, teacher};

use crate::built::{built, distill_options, train_options};

fn options(student: &std::path::Path, out: &std::path::Path) -> FederatedOptions {
    FederatedOptions {
        data: built().data(),
        student: student.to_owned(),
        out: out.to_owned(),
        shoppers: vec![10, 100_000],
        epsilons: vec![8.0],
        stride: 1,
        periods: 0,
        central_trend: true,
        central: Vec::new(),
        seed: 1,
    }
}

#[test]
fn every_arm_learns_what_it_may_and_the_same_seed_gives_the_same_table() {
    let folder = tempfile::tempdir().unwrap();
    let (first, small) = (folder.path().join("teacher"), folder.path().join("student"));
    let train = TrainOptions { last_period: 0, ..train_options() };
    teacher::train(&built().data(), &first, &train, &Silent).unwrap();
    student::distill(&built().data(), &first, &small, &distill_options(), &Silent).unwrap();
    let options = options(&small, folder.path());
    let done = federated::run(&options, &Silent).unwrap();
    let arms: Vec<Arm> = done.lines.iter().map(|line| line.arm).collect();
    let [few, many] = [10, 100_000];
    let private = |shoppers| Arm::Private { shoppers, epsilon: 8.0 };
    let exact = Arm::Sum { shoppers: many };
    let central = [Arm::CentralTrend, Arm::CentralStudent];
    assert_eq!(arms, [&[Arm::Frozen, private(few), private(many), exact][..], &central].concat());
    let frozen = &done.lines[0];
    assert!(frozen.mean.tests > 0 && frozen.mean.recall_20 > 0.0);
    let rounds: usize = done.devices.iter().map(|(_, devices)| devices / few * done.participations).sum();
    assert!(rounds > 0 && done.parameters[1] <= 4096);
    for line in &done.lines {
        let expected = if line.arm == private(few) { rounds } else { 0 };
        assert_eq!(line.rounds[0], expected, "{}", line.arm);
        assert_eq!(line.mean.tests, frozen.mean.tests, "{}", line.arm);
        // Below its size no round is released, and nothing is learned.
        if line.arm == private(many) || line.arm == exact {
            assert_eq!(line.mean, frozen.mean, "{}", line.arm);
        }
    }
    assert!(std::fs::read_to_string(folder.path().join("federated.svg")).unwrap().contains("<svg"));
    assert_eq!(done.to_markdown(), federated::run(&options, &Silent).unwrap().to_markdown());
}

#[test]
fn a_student_without_two_later_periods_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = federated::run(&options(&built().student_dir(), folder.path()), &Silent).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("one to learn, one to test"), "{text}");
    assert!(!folder.path().join("federated.json").exists());
}
