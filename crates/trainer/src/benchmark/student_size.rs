//! Size against quality: the same teacher distilled into students of several sizes.
//!
//! A log with periods: the teacher learns all but the newest, which is the test. Users' histories: a
//! fifth of the users is the test, as in [`super::new_shoppers`].

use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::metrics::Summary;
use plotters::prelude::*;
use serde::Serialize;

use super::machine;
use super::new_shoppers::{Shipped, known, split};
use crate::baselines::Baseline;
use crate::dataset::Dataset;
use crate::evaluate::{measure, simple};
use crate::files::{write_atomic, write_json};
use crate::progress::Progress;
use crate::student::{self, DistillOptions};
use crate::teacher::{self, TeacherState, TrainOptions, dataset_hash};

/// One row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The method.
    pub method: String,
    /// Bytes an item of a student's table.
    pub bytes_an_item: Option<usize>,
    /// Bytes of all that answers.
    pub bytes: Option<u64>,
    /// On the tests.
    pub test: Summary,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct StudentSize {
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// How students were distilled, but for their subspaces.
    pub distil: DistillOptions,
    /// The rows: VSKNN, the teacher, and students from small to large.
    pub lines: Vec<Line>,
}

/// Distils students of each number of subspaces and tests them.
///
/// # Errors
/// Where there is nothing to test, a number of subspaces does not divide the dimensions, or a device
/// fails; or on Ctrl-C.
pub fn run(
    data_dir: &Path,
    out: &Path,
    train: &TrainOptions,
    distil: &DistillOptions,
    subspaces: &[usize],
    progress: &dyn Progress,
) -> Result<StudentSize> {
    let data = Dataset::load(data_dir)?;
    let hash = dataset_hash(data_dir)?;
    let periods: Vec<u32> = data.sessions.by_period().map(|p| p.0).collect();
    let (loaded, tests) = if let [.., last, newest] = periods[..] {
        let options = TrainOptions { last_period: last, ..train.clone() };
        let folder = out.join("teacher");
        teacher::train(data_dir, &folder, &options, progress)?;
        let state = TeacherState::load(&folder)?;
        let corpus = teacher::corpus(&data, &state.info.options, &[])?;
        let tests = corpus.tests(&data, data.sessions.in_period(newest));
        (state.with(corpus)?, tests)
    } else {
        let [teach, decide, test] = split(&data);
        let loaded = Shipped::teacher(&data, &hash, [teach, decide], train, progress)?;
        let tests = known(&test, &loaded.corpus.counts);
        (loaded, tests)
    };
    ensure!(tests.log.iter().any(|s| s.len() > 1), "there is no session of two known items to test on");
    let (corpus, max_len) = (&loaded.corpus, train.max_len);
    let mut lines = Vec::new();
    let mut add = |method: String, bytes_an_item: Option<usize>, bytes: Option<u64>, test: Summary| {
        progress.finish(&format!(
            "{method}: R@20 {:.2} MRR@20 {:.2}",
            test.recall_20 * 100.0,
            test.mrr_20 * 100.0
        ));
        lines.push(Line { method, bytes_an_item, bytes, test });
    };
    let vsknn = Baseline::new("VSKNN", &corpus.train.log, corpus.items);
    let test = measure(&tests, &corpus.counts, max_len, |b| Ok(simple(b, corpus.items, &vsknn)))?;
    add("VSKNN".into(), None, None, test);
    let test = measure(&tests, &corpus.counts, max_len, |b| Ok(loaded.teacher.chances(b, false)?))?;
    add("teacher".into(), None, Some(loaded.bytes()?), test);
    let options: Vec<DistillOptions> =
        subspaces.iter().map(|&subspaces| DistillOptions { subspaces, ..distil.clone() }).collect();
    for (done, m) in
        student::fit_all(&loaded.source(&data.catalogue), &options, progress)?.iter().zip(subspaces)
    {
        let test = done.measure(&tests, &corpus.counts)?;
        add(format!("student, {m} subspaces"), Some(m + 1), Some(done.file.len() as u64), test);
    }
    let found = StudentSize { dataset: hash, distil: distil.clone(), lines };
    write_json(&out.join("student-size.json"), &found)?;
    write_atomic(&out.join("student-size.md"), found.to_markdown().as_bytes())?;
    found.plot(&out.join("student-size.svg"))?;
    Ok(found)
}

impl StudentSize {
    /// The table as Markdown, in percent.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let teacher = self.lines.iter().find(|l| l.method == "teacher");
        let mut out = format!(
            "Students of one teacher; {} tests, seed {}, data set {}. {}.\n\n\
             | method | bytes an item | bytes | teacher's bytes / its bytes | R@20 | of the teacher's | MRR@20 | of the teacher's |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- |\n",
            self.lines.first().map_or(0, |l| l.test.tests),
            self.distil.seed,
            &self.dataset[..12.min(self.dataset.len())],
            machine::describe()
        );
        for l in &self.lines {
            let share = |of: fn(&Summary) -> f64| {
                teacher.map_or(0.0, |t| 100.0 * of(&l.test) / of(&t.test).max(f64::MIN_POSITIVE))
            };
            let ratio = l.bytes.zip(teacher.and_then(|t| t.bytes));
            out.push_str(&format!(
                "| {} | {} | {} | {} | {:.2} | {:.1} % | {:.2} | {:.1} % |\n",
                l.method,
                l.bytes_an_item.map_or_else(String::new, |b| b.to_string()),
                l.bytes.map_or_else(String::new, |b| b.to_string()),
                ratio.map_or_else(String::new, |(own, all)| format!("{:.1}", all as f64 / own as f64)),
                100.0 * l.test.recall_20,
                share(|s| s.recall_20),
                100.0 * l.test.mrr_20,
                share(|s| s.mrr_20)
            ));
        }
        out
    }

    /// Bytes against R@20, with the teacher and VSKNN as lines.
    fn plot(&self, path: &Path) -> Result<()> {
        let students: Vec<(f64, f64)> = self
            .lines
            .iter()
            .filter(|l| l.bytes_an_item.is_some())
            .map(|l| (l.bytes.unwrap_or(0) as f64 / 1e3, 100.0 * l.test.recall_20))
            .collect();
        let level =
            |name: &str| self.lines.iter().find(|l| l.method == name).map(|l| 100.0 * l.test.recall_20);
        let all = students.iter().map(|p| p.1).chain(level("teacher")).chain(level("VSKNN"));
        let (low, high) = all.fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
        let right = students.iter().map(|p| p.0).fold(1.0, f64::max) * 1.1;
        let margin = ((high - low) * 0.1).max(0.1);
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, (720, 420)).into_drawing_area();
            area.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(&area)
                .caption("Student: bytes against R@20", ("sans-serif", 18))
                .margin(12)
                .x_label_area_size(44)
                .y_label_area_size(56)
                .build_cartesian_2d(0.0..right, low - margin..high + margin)?;
            chart.configure_mesh().x_desc("kB").y_desc("R@20, %").light_line_style(WHITE).draw()?;
            for (name, colour) in [("teacher", RGBColor(34, 102, 68)), ("VSKNN", RGBColor(170, 100, 20))] {
                if let Some(y) = level(name) {
                    chart
                        .draw_series(LineSeries::new([(0.0, y), (right, y)], colour.stroke_width(2)))?
                        .label(name)
                        .legend(move |(x, y)| {
                            PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2))
                        });
                }
            }
            let blue = RGBColor(40, 80, 180);
            chart
                .draw_series(LineSeries::new(students.clone(), blue.stroke_width(2)))?
                .label("student")
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], blue.stroke_width(2)));
            chart.draw_series(students.iter().map(|&p| Circle::new(p, 4, blue.filled())))?;
            chart
                .configure_series_labels()
                .position(SeriesLabelPosition::MiddleRight)
                .background_style(WHITE)
                .border_style(RGBColor(200, 200, 200))
                .draw()?;
            area.present()?;
        }
        write_atomic(path, svg.as_bytes()).context("the plot")
    }
}
