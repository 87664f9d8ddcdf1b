//! One small shop, carried through the whole pipeline once for all tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use onshelf_trainer::export::{self, Exported};
use onshelf_trainer::prepare::{self, PrepareOptions, QualityReport};
use onshelf_trainer::progress::Silent;
use onshelf_trainer::simulate::{self, SimulateOptions};
use onshelf_trainer::student::{self, DistillOptions, StudentInfo};
use onshelf_trainer::teacher::{self, TeacherInfo, TrainOptions};

/// Newest period that models see; the one after it is tested on.
pub(crate) const TRAINED_TO: u32 = 3;

/// The folders of one run.
pub(crate) struct Built {
    pub(crate) root: PathBuf,
    pub(crate) report: QualityReport,
    pub(crate) teacher: TeacherInfo,
    pub(crate) student: StudentInfo,
    pub(crate) exported: Exported,
}

impl Built {
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log/views.txt")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    pub(crate) fn teacher_dir(&self) -> PathBuf {
        self.root.join("teacher")
    }

    pub(crate) fn student_dir(&self) -> PathBuf {
        self.root.join("student")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.root.join("secret/key")
    }

    pub(crate) fn published(&self) -> PathBuf {
        self.root.join("published")
    }

    /// The public key, as a page would configure it.
    pub(crate) fn trusted(&self) -> Vec<String> {
        vec![self.exported.public_key.clone()]
    }
}

/// Small and quick, not good.
pub(crate) fn train_options() -> TrainOptions {
    TrainOptions {
        seed: 5,
        last_period: TRAINED_TO,
        passes: 2,
        dim: 16,
        blocks: 1,
        heads: 2,
        max_len: 8,
        temperature: 0.1,
        positions: 128,
        negatives: 128,
        rate: 3e-3,
        item_rate: 5e-2,
        decay: 0.01,
        dropout: 0.1,
        half_life: 0.0,
        validation: 0.1,
    }
}

pub(crate) fn distill_options() -> DistillOptions {
    DistillOptions {
        seed: 6,
        subspaces: 8,
        adapter_rank: 4,
        passes: 2,
        coded_passes: 2,
        taught: 100_000,
        thinned: 1,
        k: 10,
        distil: 0.9,
        rates: [2e-3, 1e-3],
        item_rates: [2e-2, 5e-3],
        dropout: 0.1,
        positions: 128,
        negatives: 128,
        meta: 0,
        fisher: 200,
    }
}

/// The run that the tests share; they must not change its files.
pub(crate) fn built() -> &'static Built {
    static BUILT: OnceLock<Built> = OnceLock::new();
    BUILT.get_or_init(build)
}

fn build() -> Built {
    let root = folder();
    let log = root.join("log");
    fs::create_dir_all(&log).unwrap();
    let options = SimulateOptions { products: 300, shoppers: 400, days: 10, seed: 4 };
    let shop = simulate::generate(&options, &Silent).unwrap();
    simulate::write_rsc15(&shop, &log.join("views.txt")).unwrap();
    let data = root.join("data");
    let report = prepare::run(&prepare_options(&log.join("views.txt"), &data), &Silent).unwrap();
    let teacher = teacher::train(&data, &root.join("teacher"), &train_options(), &Silent).unwrap();
    let student =
        student::distill(&data, &root.join("teacher"), &root.join("student"), &distill_options(), &Silent)
            .unwrap();
    let exported = export::export(
        &data,
        &root.join("student"),
        &root.join("secret/key"),
        "a shop",
        1_767_571_200,
        &root.join("published"),
    )
    .unwrap();
    Built { root, report, teacher, student, exported }
}

pub(crate) fn prepare_options(log: &Path, out: &Path) -> PrepareOptions {
    PrepareOptions { period_days: Some(2), name: Some("made up".into()), ..PrepareOptions::new(log, out) }
}

/// A folder of this process, below Cargo's folder for tests. A static is never dropped, so each run
/// clears away what finished runs have left.
fn folder() -> PathBuf {
    let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let old = entry.metadata().and_then(|m| m.modified()).is_ok_and(|at| {
            SystemTime::now().duration_since(at).is_ok_and(|age| age > Duration::from_secs(600))
        });
        if old && entry.file_name().to_string_lossy().starts_with("pipeline-") {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let root = parent.join(format!("pipeline-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).unwrap();
    root
}

/// Copies a folder.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Every file below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { out.extend(files(&path)) } else { out.push(path) }
    }
    out.sort();
    out
}
