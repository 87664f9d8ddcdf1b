//! The tables and plots of a benchmark.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use onshelf_core::metrics::Summary;
use plotters::prelude::SeriesLabelPosition;
use serde::Serialize;

use super::chain::{JOINT, STUDENT};
use super::{Cell, Results, by_run, plot};
use crate::baselines::Baseline;
use crate::evaluate::mean;
use crate::files::{write_atomic, write_json};

/// One row: a method, over its seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The method.
    pub method: String,
    /// Seeds that finished all their periods, or what there is.
    pub seeds: Vec<u64>,
    /// Number of tested periods.
    pub periods: usize,
    /// Mean over periods, then seeds.
    pub mean: Summary,
    /// Standard deviation of R@20 and MRR@20 over seeds; 0 with one.
    pub spread: [f64; 2],
    /// By period: mean over seeds.
    pub by_period: BTreeMap<u32, Summary>,
    /// Mean processor seconds of a version.
    pub cpu_seconds: f64,
    /// R@20 on held-out sessions of earlier periods: mean relative change by an update, and the worst.
    pub forgetting: Option<[f64; 2]>,
}

/// Joint against the winner, at the periods where Joint was trained; means over the seeds of each.
#[derive(Clone, Debug, Serialize)]
pub struct AgainstJoint {
    /// The periods.
    pub periods: Vec<u32>,
    /// Mean R@20 of the whole teacher: combined, joint, and their ratio.
    pub teacher: [f64; 3],
    /// The same of the networks alone.
    pub network: [f64; 3],
    /// Mean processor seconds: an update, a joint training, and their ratio.
    pub cpu_seconds: [f64; 3],
    /// Processor seconds of an update and of a joint training by period.
    pub by_period: Vec<(u32, f64, f64)>,
}

/// A student beside its teacher and VSKNN, on the same tests.
#[derive(Clone, Debug, Serialize)]
pub struct StudentLine {
    /// The tested period.
    pub period: u32,
    /// The student, its teacher, and VSKNN.
    pub test: [Summary; 3],
    /// Bytes of student and teacher.
    pub bytes: [u64; 2],
    /// Processor seconds of distilling.
    pub cpu_seconds: f64,
}

/// What a benchmark says.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The rows.
    pub lines: Vec<Line>,
    /// The comparison with Joint, where it was run.
    pub joint: Option<AgainstJoint>,
    /// The students.
    pub students: Vec<StudentLine>,
}

impl Report {
    /// Reads the cells.
    #[must_use]
    pub fn new(results: &Results, joint_periods: &[u32]) -> Self {
        let runs = by_run(results);
        let mut methods: Vec<String> = Baseline::NAMES.iter().map(|&m| m.to_owned()).collect();
        for key in runs.keys() {
            if !methods.contains(&key.0) && key.0 != STUDENT {
                methods.push(key.0.clone());
            }
        }
        let mut lines = Vec::new();
        for method in methods {
            let mine: Vec<_> = runs.iter().filter(|r| r.0.0 == method).collect();
            if mine.is_empty() {
                continue;
            }
            lines.push(line(&method, &mine, |c| Some(c.metrics)));
            if mine.iter().any(|r| r.1.iter().any(|c| c.teacher.is_some())) {
                let mut whole = line(&format!("{method}: whole teacher"), &mine, |c| c.teacher);
                whole.forgetting = None;
                lines.push(whole);
            }
        }
        Self { lines, joint: against_joint(results, joint_periods), students: students(results) }
    }

    /// The tables as Markdown.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let mut out = String::from(
            "| method | seeds | periods | R@20 | MRR@20 | ± R | ± MRR | processor s a version | forgetting: mean, worst |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
        );
        for l in &self.lines {
            let forgetting = l
                .forgetting
                .map_or_else(|| "–".into(), |f| format!("{:+.2} %, {:+.2} %", f[0] * 100.0, f[1] * 100.0));
            out.push_str(&format!(
                "| {} | {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {forgetting} |\n",
                l.method,
                l.seeds.len(),
                l.periods,
                l.mean.recall_20 * 100.0,
                l.mean.mrr_20 * 100.0,
                l.spread[0] * 100.0,
                l.spread[1] * 100.0,
                l.cpu_seconds,
            ));
        }
        if let Some(j) = &self.joint {
            out.push_str(&format!(
                "\nAgainst joint training, at periods {:?}: teacher's R@20 {:.2} of {:.2} ({:.1} %), network's {:.2} \
                 of {:.2} ({:.1} %), processor seconds {:.0} of {:.0} (1/{:.1}).\n",
                j.periods,
                j.teacher[0] * 100.0,
                j.teacher[1] * 100.0,
                j.teacher[2] * 100.0,
                j.network[0] * 100.0,
                j.network[1] * 100.0,
                j.network[2] * 100.0,
                j.cpu_seconds[0],
                j.cpu_seconds[1],
                1.0 / j.cpu_seconds[2].max(1e-9),
            ));
            for (period, update, joint) in &j.by_period {
                out.push_str(&format!(
                    "Period {period}: {update:.1} of {joint:.1} processor seconds (1/{:.1}).\n",
                    joint / update.max(1e-9)
                ));
            }
        }
        if !self.students.is_empty() {
            out.push_str(
                "\nStudents of the combined teacher (R@20 / MRR@20):\n\n\
                 | period | student | teacher | VSKNN | of the teacher's R@20, MRR@20 | bytes: student, teacher | \
                 processor seconds |\n| --- | --- | --- | --- | --- | --- | --- |\n",
            );
        }
        for l in &self.students {
            let pair = |s: &Summary| format!("{:.2} / {:.2}", 100.0 * s.recall_20, 100.0 * s.mrr_20);
            let [own, teacher, vsknn] = &l.test;
            out.push_str(&format!(
                "| {} | {} | {} | {} | {:.1} %, {:.1} % | {}, {} (1/{:.1}) | {:.0} |\n",
                l.period,
                pair(own),
                pair(teacher),
                pair(vsknn),
                100.0 * own.recall_20 / teacher.recall_20.max(1e-9),
                100.0 * own.mrr_20 / teacher.mrr_20.max(1e-9),
                l.bytes[0],
                l.bytes[1],
                l.bytes[1] as f64 / l.bytes[0].max(1) as f64,
                l.cpu_seconds,
            ));
        }
        out.push_str("\nR@20 / MRR@20 by period:\n\n| method |");
        let periods: Vec<u32> = self.lines.iter().flat_map(|l| l.by_period.keys().copied()).collect();
        let periods: std::collections::BTreeSet<u32> = periods.into_iter().collect();
        periods.iter().for_each(|p| out.push_str(&format!(" {p} |")));
        out.push_str(&format!("\n|{}\n", " --- |".repeat(periods.len() + 1)));
        for l in &self.lines {
            out.push_str(&format!("| {} |", l.method));
            for p in &periods {
                let cell = l.by_period.get(p);
                out.push_str(&cell.map_or_else(
                    || " |".into(),
                    |s| format!(" {:.2} / {:.2} |", s.recall_20 * 100.0, s.mrr_20 * 100.0),
                ));
            }
            out.push('\n');
        }
        out
    }

    pub(super) fn write(&self, out: &Path, results: &Results) -> Result<()> {
        let about = format!(
            "Data set {}, settings {}. {}.\n\n",
            &results.dataset[..12.min(results.dataset.len())],
            results.settings,
            super::machine::describe(),
        );
        write_atomic(&out.join("report.md"), (about + &self.to_markdown()).as_bytes())?;
        write_json(&out.join("report.json"), self)?;
        self.plot(&out.join("recall.svg"), "Recall@20 by period, %", |s| s.recall_20 * 100.0)?;
        self.plot(&out.join("mrr.svg"), "MRR@20 by period, %", |s| s.mrr_20 * 100.0)
    }

    /// Lines over periods, without the methods far below the rest.
    fn plot(&self, path: &Path, title: &str, value: fn(&Summary) -> f64) -> Result<()> {
        let lines: Vec<&Line> =
            self.lines.iter().filter(|l| !Baseline::NAMES[..2].contains(&l.method.as_str())).collect();
        let line = |l: &&Line| {
            let points = l.by_period.iter().map(|(&p, s)| (f64::from(p), value(s)));
            (l.method.clone(), points.collect::<Vec<_>>())
        };
        let lines: Vec<plot::Line> = lines.iter().map(line).collect();
        let points: Vec<(f64, f64)> = lines.iter().flat_map(|l| l.1.iter().copied()).collect();
        let Some(first) = points.iter().map(|p| p.0).min_by(f64::total_cmp) else { return Ok(()) };
        let last = points.iter().map(|p| p.0).fold(first + 1.0, f64::max);
        let low = points.iter().map(|p| p.1).fold(f64::INFINITY, f64::min).floor();
        let high = points.iter().map(|p| p.1).fold(low + 1.0, f64::max).ceil();
        let names = SeriesLabelPosition::LowerRight;
        let svg = plot::draw(title, "tested period", first..last, low..high, &lines, names)?;
        write_atomic(path, svg.as_bytes())
    }
}

fn line(method: &str, runs: &[(&(String, u64), &Vec<&Cell>)], of: fn(&Cell) -> Option<Summary>) -> Line {
    let means: Vec<Summary> =
        runs.iter().map(|r| mean(&r.1.iter().filter_map(|c| of(c)).collect::<Vec<_>>())).collect();
    let overall = mean(&means);
    let spread = |f: fn(&Summary) -> f64| {
        let n = means.len() as f64;
        let m = means.iter().map(f).sum::<f64>() / n;
        if n < 2.0 { 0.0 } else { (means.iter().map(|s| (f(s) - m).powi(2)).sum::<f64>() / (n - 1.0)).sqrt() }
    };
    let mut periods: BTreeMap<u32, Vec<Summary>> = BTreeMap::new();
    for cell in runs.iter().flat_map(|r| r.1.iter()) {
        if let Some(s) = of(cell) {
            periods.entry(cell.period).or_default().push(s);
        }
    }
    let cpu: Vec<f64> = runs.iter().flat_map(|r| r.1.iter().map(|c| c.cpu_seconds)).collect();
    let changes: Vec<f64> = runs
        .iter()
        .flat_map(|r| r.1.iter().filter_map(|c| c.update.as_ref()))
        .filter(|u| u.earlier[0].tests > 0 && u.earlier[0].recall_20 > 0.0)
        .map(|u| u.earlier[1].recall_20 / u.earlier[0].recall_20 - 1.0)
        .collect();
    Line {
        method: method.into(),
        seeds: runs.iter().map(|r| r.0.1).collect(),
        periods: periods.len(),
        mean: overall,
        spread: [spread(|s| s.recall_20), spread(|s| s.mrr_20)],
        by_period: periods.into_iter().map(|(p, s)| (p, mean(&s))).collect(),
        cpu_seconds: cpu.iter().sum::<f64>() / cpu.len().max(1) as f64,
        forgetting: (!changes.is_empty()).then(|| {
            [
                changes.iter().sum::<f64>() / changes.len() as f64,
                changes.iter().copied().fold(f64::INFINITY, f64::min),
            ]
        }),
    }
}

fn against_joint(results: &Results, periods: &[u32]) -> Option<AgainstJoint> {
    let of = |method: &str, f: &dyn Fn(&Cell) -> Option<f64>| -> Vec<(u32, f64)> {
        let mut out: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
        for c in results.cells.iter().filter(|c| c.method == method && periods.contains(&c.period)) {
            if let Some(x) = f(c) {
                out.entry(c.period).or_default().push(x);
            }
        }
        out.into_iter().map(|(p, v)| (p, v.iter().sum::<f64>() / v.len() as f64)).collect()
    };
    let pairs = |f: &dyn Fn(&Cell) -> Option<f64>| -> Vec<(u32, f64, f64)> {
        let (ours, theirs) = (of("combined", f), of(JOINT, f));
        let both = ours.iter().filter_map(|(p, a)| theirs.iter().find(|t| t.0 == *p).map(|t| (*p, *a, t.1)));
        both.collect()
    };
    let common = |f: &dyn Fn(&Cell) -> Option<f64>| -> Option<([f64; 3], Vec<u32>)> {
        let both = pairs(f);
        let n = both.len() as f64;
        let (a, b) = (both.iter().map(|x| x.1).sum::<f64>() / n, both.iter().map(|x| x.2).sum::<f64>() / n);
        (!both.is_empty()).then(|| ([a, b, a / b], both.iter().map(|x| x.0).collect()))
    };
    let (teacher, periods) = common(&|c| c.teacher.as_ref().map(|t| t.recall_20))?;
    let (network, _) = common(&|c| Some(c.metrics.recall_20))?;
    let (cpu_seconds, _) = common(&|c| Some(c.cpu_seconds))?;
    let by_period = pairs(&|c| Some(c.cpu_seconds));
    Some(AgainstJoint { periods, teacher, network, cpu_seconds, by_period })
}

fn students(results: &Results) -> Vec<StudentLine> {
    let all = results.cells.iter().filter(|c| c.method == STUDENT);
    all.filter_map(|c| {
        let teacher = results.find("combined", c.seed, c.period)?.teacher?;
        let vsknn = results.find("VSKNN", 0, c.period)?.metrics;
        let test = [c.metrics, teacher, vsknn];
        Some(StudentLine { period: c.period, test, bytes: c.bytes?, cpu_seconds: c.cpu_seconds })
    })
    .collect()
}
