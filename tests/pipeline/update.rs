//! A teacher learns period by period; a benchmark does so for every strategy, and goes on where it
//! was interrupted.

use std::fs;
use std::path::{Path, PathBuf};

use onshelf_trainer::benchmark::{
    self, BenchmarkOptions, Results, cold_start, leave_one_out, new_shoppers, student_size,
};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::prepare::{self, PrepareOptions};
use onshelf_trainer::progress::Silent;
use onshelf_trainer::simulate::{self, SimulateOptions};
use onshelf_trainer::teacher::{self, TeacherState, TrainOptions};
use onshelf_trainer::update::{self, Strategy, UpdateOptions};

use crate::built::{built, copy, distill_options, train_options};

fn early() -> TrainOptions {
    TrainOptions { last_period: 0, passes: 1, ..train_options() }
}

/// A teacher of the first period alone.
fn first(folder: &Path) -> PathBuf {
    let out = folder.join("first");
    teacher::train(&built().data(), &out, &early(), &Silent).unwrap();
    out
}

fn gentle(strategy: Strategy) -> UpdateOptions {
    UpdateOptions { strategy, passes: 1, scales: vec![0.3], rerank: false, ..Default::default() }
}

#[test]
fn every_strategy_learns_a_period_and_leaves_the_old_version_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let from = first(folder.path());
    let before = fs::read(from.join("network.safetensors")).unwrap();
    let data = Dataset::load(&built().data()).unwrap();
    let old = TeacherState::load(&from).unwrap();
    for strategy in Strategy::ALL {
        let (new, report) = update::advance(&data, &old, 1, &gentle(strategy), &Silent).unwrap();
        assert_eq!(new.info.options.last_period, 1, "{strategy:?}");
        assert_eq!((new.info.held.clone(), new.info.updates.len()), (vec![0], 1), "{strategy:?}");
        assert!(report.newest[1].tests > 0 && report.earlier[1].tests > 0, "{strategy:?}");
        assert_eq!(new.weights == old.weights, report.kept_old, "{strategy:?}: what was learned is there");
        let (again, same) = update::advance(&data, &old, 1, &gentle(strategy), &Silent).unwrap();
        assert_eq!((again.weights, same.newest), (new.weights, report.newest), "{strategy:?} repeats itself");
    }
    assert_eq!(fs::read(from.join("network.safetensors")).unwrap(), before);
}

#[test]
fn the_strategies_are_not_one_another() {
    let folder = tempfile::tempdir().unwrap();
    let data = Dataset::load(&built().data()).unwrap();
    let old = TeacherState::load(&first(folder.path())).unwrap();
    let mut seen: Vec<(Strategy, Vec<f32>)> = Vec::new();
    for strategy in Strategy::ALL {
        let options = UpdateOptions { ewc: 1e4, ..gentle(strategy) };
        let (new, report) = update::advance(&data, &old, 1, &options, &Silent).unwrap();
        if report.kept_old {
            continue;
        }
        let vectors = new.weights.floats["items.vectors"].values.clone();
        for (other, theirs) in &seen {
            assert!(*theirs != vectors, "{strategy:?} did what {other:?} does");
        }
        seen.push((strategy, vectors));
    }
    assert!(seen.len() >= 5, "only {} strategies changed the network", seen.len());
}

#[test]
fn an_update_from_folder_to_folder() {
    let folder = tempfile::tempdir().unwrap();
    let from = first(folder.path());
    let out = folder.path().join("second");
    let options = UpdateOptions { rerank: true, ..gentle(Strategy::Combined) };
    let reports = update::update(&built().data(), &from, &out, Some(2), &options, &Silent).unwrap();
    assert_eq!(reports.iter().map(|r| r.period).collect::<Vec<_>>(), [1, 2]);
    let data = Dataset::load(&built().data()).unwrap();
    let loaded = teacher::load(&out, &built().data(), &data).unwrap();
    assert_eq!(loaded.info.updates.len(), 2);
    assert!(teacher::load(&from, &built().data(), &data).is_ok(), "the old version stays loadable");

    let error = update::update(&built().data(), &out, &out, Some(2), &options, &Silent).unwrap_err();
    assert!(error.to_string().contains("has learned periods 0 to 2"), "{error}");
    let state = TeacherState::load(&out).unwrap();
    let error = update::advance(&data, &state, 1, &options, &Silent).err().unwrap();
    assert!(error.to_string().contains("periods go in order"), "{error}");
}

#[test]
fn a_loss_that_is_no_number_names_its_step_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let from = first(folder.path());
    let out = folder.path().join("second");
    let options = UpdateOptions { scales: vec![1e30], ..gentle(Strategy::Gradient) };
    let error = update::update(&built().data(), &from, &out, Some(1), &options, &Silent).unwrap_err();
    let told = format!("{error:#}");
    assert!(told.contains("step") || told.contains("worse than the one before"), "{told}");
    assert!(!out.exists());
}

#[test]
fn other_dimensions_and_another_catalogue_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let from = first(folder.path());
    let data = Dataset::load(&built().data()).unwrap();
    let mut state = TeacherState::load(&from).unwrap();
    state.info.shape.dim = 32;
    let error = update::advance(&data, &state, 1, &gentle(Strategy::Gradient), &Silent).err().unwrap();
    assert!(format!("{error:#}").contains("items.vectors"), "{error:#}");

    let log = folder.path().join("few.csv");
    fs::write(&log, "session_id,item_id,time\n1,a,1700000000\n1,b,1700000010\n").unwrap();
    let few = folder.path().join("few");
    prepare::run(&PrepareOptions::new(&log, &few), &Silent).unwrap();
    let out = folder.path().join("out");
    let error = update::update(&few, &from, &out, None, &gentle(Strategy::Gradient), &Silent).unwrap_err();
    assert!(error.to_string().contains("prepare the new logs together"), "{error}");
}

#[test]
fn a_period_of_single_clicks_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    fs::create_dir(&log).unwrap();
    let sessions = |first: usize, items: &[usize]| -> String {
        (0..60)
            .flat_map(|s| items.iter().map(move |i| format!("{} {}\n", first + s, 1 + (s + i) % 9)))
            .collect()
    };
    fs::write(log.join("period_0.txt"), sessions(0, &[0, 1, 2])).unwrap();
    fs::write(log.join("period_1.txt"), sessions(100, &[0])).unwrap();
    let data_dir = folder.path().join("data");
    prepare::run(&PrepareOptions::new(&log, &data_dir), &Silent).unwrap();
    let from = folder.path().join("first");
    teacher::train(&data_dir, &from, &early(), &Silent).unwrap();
    let out = folder.path().join("second");
    let error =
        update::update(&data_dir, &from, &out, None, &gentle(Strategy::Gradient), &Silent).unwrap_err();
    assert!(error.to_string().contains("no session of two clicks"), "{error}");
}

fn quick(out: &Path) -> BenchmarkOptions {
    BenchmarkOptions {
        data: built().data(),
        out: out.to_path_buf(),
        strategies: vec![(Strategy::Combined, vec![1, 2]), (Strategy::Gradient, vec![1])],
        joint: (vec![2], vec![1]),
        student: (vec![2], distill_options()),
        train: early(),
        passes: 1,
        stride: 2,
        last: Some(2),
    }
}

fn results(out: &Path) -> Results {
    serde_json::from_slice(&fs::read(out.join("results.json")).unwrap()).unwrap()
}

#[test]
fn a_benchmark_goes_on_where_it_was_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let report = benchmark::run(&quick(&whole), &Silent).unwrap();
    let all = results(&whole);
    // 4 simple methods, 2 seeds of one strategy and 1 of another over 2 periods; joint and a student at one.
    assert_eq!(all.cells.len(), 2 * (4 + 3) + 2);
    let student = all.cells.iter().find(|c| c.method == "student").unwrap();
    let [bytes, teacher] = student.bytes.unwrap();
    assert!(0 < bytes && bytes < teacher && student.metrics.recall_20 > 0.0);
    for name in ["report.md", "report.json", "recall.svg", "mrr.svg"] {
        assert!(fs::metadata(whole.join(name)).unwrap().len() > 100, "{name}");
    }
    let joint = report.joint.as_ref().unwrap();
    assert_eq!(joint.periods, [2]);
    assert!(joint.cpu_seconds.iter().all(|s| *s > 0.0));

    copy(&whole, &cut);
    let mut some = results(&cut);
    some.cells.retain(|c| !(c.period == 2 && c.method != "VSKNN") && c.seed < 2);
    fs::write(cut.join("results.json"), serde_json::to_vec(&some).unwrap()).unwrap();
    benchmark::run(&quick(&cut), &Silent).unwrap();
    let again = results(&cut);
    assert_eq!(again.cells.len(), all.cells.len());
    for cell in &all.cells {
        let same = again
            .cells
            .iter()
            .find(|c| (&c.method, c.seed, c.period) == (&cell.method, cell.seed, cell.period))
            .unwrap();
        assert_eq!(
            (same.metrics, same.teacher),
            (cell.metrics, cell.teacher),
            "{} {}",
            cell.method,
            cell.period
        );
    }

    let other = BenchmarkOptions { passes: 2, ..quick(&cut) };
    let error = benchmark::run(&other, &Silent).unwrap_err();
    assert!(error.to_string().contains("name another --out"), "{error}");
}

#[test]
fn leave_one_out_masks_what_was_seen_and_beats_chance() {
    let folder = tempfile::tempdir().unwrap();
    let train = TrainOptions { validation: 0.0, passes: 2, ..early() };
    let report = leave_one_out::run(&built().data(), folder.path(), &train, &Silent).unwrap();
    let data = Dataset::load(&built().data()).unwrap();
    let chance = 10.0 / data.catalogue.len() as f64;
    for method in ["item transitions", "network", "teacher"] {
        let line = report.lines.iter().find(|l| l.method == method).unwrap();
        assert!(line.test.hr_10 > 2.0 * chance, "{method}: {} at chance {chance}", line.test.hr_10);
        assert!(line.test.tests == report.lines[0].test.tests);
    }
    assert!(folder.path().join("report.md").exists());
}

/// A small shop whose items have categories and brands.
fn described(folder: &Path) -> PathBuf {
    let options = SimulateOptions { products: 200, shoppers: 400, days: 14, seed: 3 };
    simulate::run(&options, &folder.join("logs"), &Silent).unwrap();
    let data = folder.join("data");
    let options = PrepareOptions {
        items: Some(folder.join("logs/items.csv")),
        ..PrepareOptions::new(folder.join("logs/clicks.csv"), &data)
    };
    prepare::run(&options, &Silent).unwrap();
    data
}

#[test]
fn new_shoppers_are_foretold_before_they_are_learned_from() {
    let folder = tempfile::tempdir().unwrap();
    let train = TrainOptions { validation: 0.0, passes: 2, ..early() };
    let report = new_shoppers::run(
        &described(folder.path()),
        folder.path(),
        &train,
        &distill_options(),
        1,
        &[],
        &Silent,
    )
    .unwrap();
    let [teach, decide, test] = report.shoppers;
    let share = test as f64 / (teach + decide + test) as f64;
    assert!((0.1..0.3).contains(&share) && decide > 0, "{:?}", report.shoppers);
    assert_eq!(report.lines.len(), 7);
    for line in &report.lines {
        let all = &line.all;
        assert_eq!(all.tests, line.by_position.iter().map(|p| p.1.tests).sum::<usize>());
        // A strategy only differs in what it learned.
        assert_eq!(all.hr_10[0], report.lines[0].all.hr_10[0]);
        assert!(all.hr_10[0] > 0.0 && all.loss.iter().all(|l| l.is_finite()));
        assert!(line.harmed[1] + line.helped[1] <= 1.0 && line.gain[2].interval[0] <= line.gain[2].mean);
        assert!(line.all.loss[1] != line.all.loss[0], "{} learned nothing", line.strategy);
    }
    assert!(fs::read_to_string(folder.path().join("new-shoppers.md")).unwrap().contains("| replay (rate"));
    let data = folder.path().join("data");
    let options = distill_options();
    let unknown =
        new_shoppers::run(&data, folder.path(), &train, &options, 1, &["luck".into()], &Silent).unwrap_err();
    assert!(unknown.to_string().contains("known are gradient"), "{unknown}");
}

#[test]
fn students_of_one_teacher_differ_in_size() {
    let folder = tempfile::tempdir().unwrap();
    let train = TrainOptions { passes: 2, ..early() };
    let sizes = [2, 8];
    let report =
        student_size::run(&built().data(), folder.path(), &train, &distill_options(), &sizes, &Silent)
            .unwrap();
    let bytes: Vec<u64> = report.lines.iter().filter_map(|l| l.bytes).collect();
    let items = Dataset::load(&built().data()).unwrap().catalogue.len() as u64;
    let [teacher, small, large] = bytes[..] else { panic!("{bytes:?}") };
    assert!(small < large && large < teacher);
    // Six bytes an item more, and nothing else grows.
    assert!((large - small).abs_diff(6 * items) < 200, "{small} {large} {items}");
    assert!(report.lines.iter().all(|l| l.test.tests == report.lines[0].test.tests && l.test.tests > 0));
    assert!(fs::read_to_string(folder.path().join("student-size.svg")).unwrap().contains("R@20"));
}

#[test]
fn held_out_items_are_found_by_their_attributes() {
    let folder = tempfile::tempdir().unwrap();
    let train = TrainOptions { validation: 0.0, passes: 4, ..early() };
    let report =
        cold_start::run(&described(folder.path()), folder.path(), &train, &distill_options(), &Silent)
            .unwrap();
    let [items, held, placed] = report.items;
    assert!(held * 20 > items && held * 5 < items && placed > 0, "{:?}", report.items);
    let line = |name: &str| report.lines.iter().find(|l| l.method.starts_with(name)).unwrap();
    assert_eq!(line("popularity").all.hr_10, 0.0, "nobody clicked them in training");
    let found = line("network").cold.hr_10;
    assert!(found > 1.5 * report.chance[1], "{found} at chance {}", report.chance[1]);
}
