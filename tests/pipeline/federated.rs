//! Federated rounds on the shared small shop.

use std::sync::LazyLock;

use onshelf_core::part::Part;
use onshelf_core::slices::add_scaled;
use onshelf_core::weights::Weights;
use onshelf_model::shared::{Scratch, add_wish};
use onshelf_model::student::{Compute, Student};
use onshelf_trainer::benchmark::federated::poisoning::{self, Attack, Defence};
use onshelf_trainer::benchmark::federated::{self, Arm, FederatedOptions};
use onshelf_trainer::corpus::{Corpus, CorpusOptions};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::progress::Silent;
use onshelf_trainer::sync::canary::Click;
use onshelf_trainer::sync::gate::{Half, gate};
use onshelf_trainer::sync::judge::{Read, read};
use onshelf_trainer::sync::optimiser::{self, Released};
use onshelf_trainer::teacher::TrainOptions;
use onshelf_trainer::{student, teacher};
use tempfile::TempDir;

use crate::built::{TRAINED_TO, built, distill_options, train_options};

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

/// A student of the shop's first period, to which two later ones are left.
fn early() -> std::path::PathBuf {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        let teacher = folder.path().join("teacher");
        let train = TrainOptions { last_period: 0, ..train_options() };
        teacher::train(&built().data(), &teacher, &train, &Silent).unwrap();
        let student = folder.path().join("student");
        student::distill(&built().data(), &teacher, &student, &distill_options(), &Silent).unwrap();
        folder
    });
    FOLDER.path().join("student")
}

#[test]
fn every_arm_learns_what_it_may_and_the_same_seed_gives_the_same_table() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(&early(), folder.path());
    let done = federated::run(&options, &Silent).unwrap();
    let arms: Vec<Arm> = done.lines.iter().map(|line| line.arm).collect();
    let [few, many] = [10, 100_000];
    let private = |shoppers| Arm::Private { shoppers, epsilon: 8.0 };
    let exact = Arm::Sum { shoppers: many };
    assert_eq!(arms, [Arm::Frozen, Arm::Replay, private(few), private(many), exact, Arm::CentralTrend]);
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
fn poison_works_where_nothing_is_in_its_way_and_not_behind_the_defences() {
    let folder = tempfile::tempdir().unwrap();
    let done = poisoning::run(&options(&early(), folder.path()), &Silent).unwrap();
    let (frozen, seen) = (done.frozen.0.mrr_20, done.frozen.1);
    let line = |attack, share, defence| {
        let wanted = |l: &&poisoning::Line| (l.attack, l.share, l.defence) == (attack, share, defence);
        done.lines.iter().find(wanted).unwrap()
    };
    // Shoppers alone do no harm to a server that trusts them; one attacker in twenty, unchecked, does as they please.
    assert!(line(None, 0.0, Defence::Averaging).test.mrr_20 > 0.98 * frozen);
    for attack in [Attack::SignFlip, Attack::MaximumNorm] {
        let found = line(Some(attack), 0.05, Defence::Averaging);
        assert!(found.test.mrr_20 < 0.8 * frozen, "{attack}: {} of {frozen}", found.test.mrr_20);
    }
    let promoted = line(Some(Attack::Promotion), 0.05, Defence::Averaging).exposure;
    assert!(seen < 0.1 && promoted > 0.5, "seen before {promoted} of the clicks, {seen} before");
    for line in done.lines.iter().filter(|l| l.attack.is_some() && l.defence == Defence::All) {
        let what = format!("{:?} by {}: {:?}, seen {}", line.attack, line.share, line.test, line.exposure);
        assert!(line.test.mrr_20 > 0.98 * frozen, "{what}");
        assert!(line.exposure < seen + 0.02, "{what}");
    }
    let table = std::fs::read_to_string(folder.path().join("poisoning.md")).unwrap();
    assert_eq!(table.matches("\n| promotion of an item |").count(), 18);
}

#[test]
fn a_student_without_two_later_periods_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = federated::run(&options(&built().student_dir(), folder.path()), &Silent).unwrap_err();
    let text = format!("{error:#}");
    assert!(text.contains("one to learn, one to test"), "{text}");
    assert!(!folder.path().join("federated.json").exists());
}

/// The student of the shared small shop, old sessions (of the newest period it knows) and new ones (after it).
fn old_and_new() -> (Student, Vec<Read>, Vec<Read>) {
    let loaded = student::load(&built().student_dir()).unwrap();
    let weights = Weights::from_safetensors(&loaded.file).unwrap();
    let student = Student::new(&weights, &loaded.info.student, &Compute::Cpu).unwrap();
    let data = Dataset::load(&built().data()).unwrap();
    let options = CorpusOptions { last_period: TRAINED_TO, ..Default::default() };
    let corpus = Corpus::new(&data, &options).unwrap();
    let of = |period| read(&student, &corpus.tests(&data, data.sessions.in_period(period)), &Silent).unwrap();
    let (old, new) = (of(TRAINED_TO), of(TRAINED_TO + 1));
    (student, old, new)
}

/// What aggregators would release of these sessions, each part by itself, without noise and unclipped; they are told
/// that it has this much.
fn sums(student: &Student, sessions: &[Read], noise: f64) -> Vec<Released> {
    let all: Vec<Vec<f32>> = sessions
        .iter()
        .map(|r| optimiser::contribution(student, r, &mut Scratch::default()).unwrap())
        .collect();
    let part = |part: Part| {
        let range = part.range(student.shape()).unwrap();
        let mut mean = vec![0.0; range.len()];
        all.iter().for_each(|c| add_scaled(&mut mean, 1.0 / all.len() as f32, &c[range.clone()]));
        Released { part, mean, noise, clip: 1e6 }
    };
    Part::all(student.shape()).unwrap().into_iter().map(part).collect()
}

fn loss(student: &mut Student, trend: &[f32], sessions: &[Read]) -> f64 {
    student.set_trend(trend.to_vec()).unwrap();
    let mut wish = vec![0.0; student.table().trend_len()];
    let (mut positions, mut sum) = (0, 0.0);
    for r in sessions {
        let mut scratch = Scratch::default();
        let wished = add_wish(student, &r.vectors, &r.items, &mut scratch, &mut wish);
        let (n, loss) = pollster::block_on(wished).unwrap();
        (positions, sum) = (positions + n, sum + loss);
    }
    sum / positions as f64
}

#[test]
fn a_sum_is_followed_to_what_its_sessions_want_and_noise_is_not() {
    let (mut student, old, new) = old_and_new();
    let nowhere = vec![0.0; student.table().trend_len()];
    let run = |student: &mut Student, released: &[Released]| {
        let passes = optimiser::trends(student, released, &old, 1, &Silent).unwrap();
        assert_eq!(passes.len(), optimiser::PASSES);
        assert!(student.table().trend().is_none_or(|t| t.iter().all(|x| *x == 0.0)), "put back");
        passes.last().unwrap().clone()
    };
    let (of_new, of_old) = (sums(&student, &new, 0.0), sums(&student, &old, 0.0));
    let (followed, replayed) = (run(&mut student, &of_new), run(&mut student, &of_old));
    let before = loss(&mut student, &nowhere, &new);
    let [after, by_old] = [&followed, &replayed].map(|trend| loss(&mut student, trend, &new));
    assert!(after < by_old && after < before, "{before} before, {by_old} by the old alone, {after} after");
    // What noise of that size would make of nothing is nothing: only the old sessions are left.
    student.set_trend(nowhere).unwrap();
    let noisy = sums(&student, &new, 1e3);
    let noisy = run(&mut student, &noisy);
    let off = noisy.iter().zip(&replayed).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(off < 1e-4, "{off}");
}

#[test]
fn one_half_chooses_what_would_pass_and_the_other_judges() {
    let (mut student, ..) = old_and_new();
    let n = student.table().trend_len();
    let marked = |mark: f32| vec![mark; n];
    student.set_trend(marked(0.5)).unwrap();
    let mark = |student: &Student| student.table().trend().unwrap()[0];
    // 200 sessions of an early and a late click; what the halves say of each trend.
    let run = |student: &mut Student, trends: &[f32], said: &dyn Fn(f32, Half) -> [f64; 2]| {
        let clicks = |student: &Student, half: Half| {
            let values = said(mark(student), half);
            let of = |at: usize| Click {
                session: at / 2,
                before: 2 + 2 * (at % 2),
                after_known: at.is_multiple_of(4),
                value: values[at % 2],
            };
            Ok((0..400).map(of).collect())
        };
        let (verdict, trend) = gate(student, trends.iter().map(|mark| marked(*mark)), clicks).unwrap();
        assert_eq!(trend.is_some(), verdict.passes());
        (trend.map(|trend| trend[0]), verdict)
    };
    // The largest gain is worse for late clicks; the next one passes, and wins on the half that judges.
    let said = |mark: f32, _| match mark {
        0.1 => [0.5, 0.1],
        0.2 => [0.3, 0.2],
        0.3 => [0.25, 0.2],
        _ => [0.2, 0.2],
    };
    assert_eq!(run(&mut student, &[0.3, 0.1, 0.2], &said).0, Some(0.2));
    assert_eq!(mark(&student), 0.2, "it serves");
    // Chosen, and then refused: the one before serves again, and no other is tried.
    student.set_trend(marked(0.5)).unwrap();
    let judged =
        |mark: f32, half| if half == Half::Judges && mark == 0.2 { [0.1, 0.1] } else { said(mark, half) };
    let (trend, verdict) = run(&mut student, &[0.3, 0.1, 0.2], &judged);
    assert_eq!((trend, mark(&student)), (None, 0.5));
    assert!(verdict.reasons[0].starts_with("no gain in all"), "{:?}", verdict.reasons);
    // None that would pass.
    let (trend, verdict) = run(&mut student, &[0.1], &said);
    assert_eq!((trend, mark(&student)), (None, 0.5));
    assert!(verdict.reasons[0].contains("sessions that choose"), "{:?}", verdict.reasons);
    assert!(!run(&mut student, &[], &said).1.passes());
}

#[test]
fn a_sum_that_does_not_fit_is_refused() {
    let (mut student, old, _) = old_and_new();
    let good = sums(&student, &old[..2], 0.0).remove(0);
    let long = Released { mean: vec![0.0; 3], ..good.clone() };
    let mut broken = good.clone();
    broken.mean[5] = f32::NAN;
    let beyond = Released { part: Part { first: 99, count: 1 }, ..good.clone() };
    let free = Released { clip: 0.0, ..good.clone() };
    for (what, one) in [("length", long), ("finite", broken), ("part", beyond), ("clip", free)] {
        assert!(optimiser::trends(&mut student, &[one], &old, 1, &Silent).is_err(), "{what}");
    }
    assert!(optimiser::trends(&mut student, &[good], &[], 1, &Silent).is_err(), "no old sessions");
}
