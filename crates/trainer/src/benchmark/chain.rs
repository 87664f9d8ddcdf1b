//! A network that goes from period to period, and one that is trained from nothing at each.

use std::fs;

use anyhow::{Context, Result, ensure};
use onshelf_core::metrics::{Accumulator, Summary};
use onshelf_model::training::{TrainSet, exact_batches};

use super::{BenchmarkOptions, Cell, Results};
use crate::corpus::{Corpus, CorpusOptions, part_of};
use crate::dataset::Dataset;
use crate::evaluate::rank_rows;
use crate::progress::Progress;
use crate::stop;
use crate::student::{self, DistillOptions};
use crate::teacher::{self, TeacherState, TrainOptions, dataset_hash};
use crate::update::{Strategy, UpdateOptions, UpdateReport, advance};

/// Name of the student of the combined teacher.
pub(crate) const STUDENT: &str = "student";
/// Name of the network that is trained from nothing.
pub(crate) const JOINT: &str = "joint";
/// Factors on the learning rates that are tried.
const SCALES: [f32; 3] = [1.0, 0.5, 0.25];
/// Updates at which they are tried; in between the last choice stays.
const TUNED: [usize; 3] = [0, 4, 9];
/// Share of a period that is held out where a reranker has to be fitted on it.
const JOINT_VALIDATION: f64 = 0.1;

pub(super) struct Work<'a> {
    pub(super) data: &'a Dataset,
    pub(super) options: &'a BenchmarkOptions,
    pub(super) periods: &'a [u32],
    pub(super) progress: &'a dyn Progress,
}

impl Work<'_> {
    /// The period before one.
    pub(super) fn before(&self, period: u32) -> u32 {
        self.periods.iter().copied().filter(|&p| p < period).max().unwrap_or(0)
    }

    /// The tests of a period: items that no earlier period has are taken out.
    pub(super) fn tests(&self, period: u32) -> Result<TrainSet> {
        let seen = self.before(period);
        let all = Corpus::new(self.data, &CorpusOptions { last_period: seen, ..Default::default() })?;
        let set = all.tests(self.data, self.data.sessions.in_period(period));
        let set = part_of(&set, |s| s % self.options.stride == 0);
        ensure!(
            set.log.iter().any(|s| s.len() >= 2),
            "period {period} has no session of two clicks on known items to test on"
        );
        Ok(set)
    }

    /// Metrics of the network alone and, with `whole`, of the teacher.
    fn test(
        &self,
        state: &TeacherState,
        period: u32,
        whole: bool,
        name: &str,
    ) -> Result<(Summary, Option<Summary>)> {
        let corpus = teacher::corpus(self.data, &state.info.options, &state.info.held)?;
        let tests = self.tests(period)?;
        let teacher = state.ready(&corpus)?;
        let total: usize = tests.log.iter().map(|s| s.len().saturating_sub(1)).sum();
        self.progress.start(&format!("{name}, test period {period}"), Some(total as u64));
        let (mut alone, mut together) = (Accumulator::new(), Accumulator::new());
        for batch in exact_batches(&tests, state.info.options.max_len, 256) {
            if stop::asked() {
                return Err(stop::Stopped.into());
            }
            let mut scores = teacher.network.scores(&batch, &teacher.items)?;
            rank_rows(&mut scores, &corpus.counts, &batch.targets, &mut alone);
            if whole {
                teacher.weigh(&batch, &mut scores, false);
                rank_rows(&mut scores, &corpus.counts, &batch.targets, &mut together);
            }
            self.progress.advance(batch.rows.len() as u64);
        }
        let n = corpus.items;
        let out = (alone.summary(n), whole.then(|| together.summary(n)));
        let best = out.1.as_ref().unwrap_or(&out.0);
        self.progress.finish(&format!(
            "{name} period {period}: R@20 {:.2} MRR@20 {:.2} (network {:.2} {:.2})",
            best.recall_20 * 100.0,
            best.mrr_20 * 100.0,
            out.0.recall_20 * 100.0,
            out.0.mrr_20 * 100.0
        ));
        Ok(out)
    }
}

/// Tests on every period, learning each after it was tested.
pub(super) fn run(work: &Work<'_>, results: &mut Results, strategy: Strategy, seed: u64) -> Result<()> {
    let name = strategy.name();
    let folder = work.options.out.join("state").join(format!("{name}-{seed}"));
    let tested = &work.periods[1..];
    let Some(&first) = tested.iter().find(|&&p| results.find(&name, seed, p).is_none()) else {
        let _ = fs::remove_dir_all(&folder);
        return Ok(());
    };
    let whole = strategy == Strategy::Combined;
    let (mut state, mut report) = start(work, results, &folder, strategy, seed, first)?;
    for &period in tested.iter().filter(|&&p| p >= first) {
        let (metrics, teacher) = work.test(&state, period, whole, &name)?;
        let cpu_seconds = report.as_ref().map_or(state.info.cpu_seconds, |r: &UpdateReport| r.cpu_seconds);
        let cell = Cell {
            method: name.clone(),
            seed,
            period,
            metrics,
            teacher,
            cpu_seconds,
            update: report,
            ..Default::default()
        };
        results.add(cell, &work.options.out)?;
        if whole {
            distil(work, results, &state, seed, period)?;
        }
        if tested.last() == Some(&period) {
            break;
        }
        let (next, told) = learn(work, &state, strategy, seed, period)?;
        next.save(&folder)?;
        crate::files::write_json(&folder.join("update.json"), &told)?;
        (state, report) = (TeacherState::load(&folder)?, Some(told));
    }
    let _ = fs::remove_dir_all(&folder);
    Ok(())
}

/// Distils and tests the student of a teacher, where that is asked for.
fn distil(
    work: &Work<'_>,
    results: &mut Results,
    state: &TeacherState,
    seed: u64,
    period: u32,
) -> Result<()> {
    let (periods, options) = &work.options.student;
    let first = work.options.strategies.iter().find(|s| s.0 == Strategy::Combined).and_then(|s| s.1.first());
    if !periods.contains(&period) || first != Some(&seed) || results.find(STUDENT, seed, period).is_some() {
        return Ok(());
    }
    let cpu = cpu_time::ProcessTime::now();
    let corpus = teacher::corpus(work.data, &state.info.options, &state.info.held)?;
    let loaded = state.clone().with(corpus)?;
    let source = loaded.source(&work.data.catalogue);
    let options = DistillOptions { seed, ..options.clone() };
    let done = student::fit(&source, &options, work.progress)?;
    let cpu_seconds = cpu.elapsed().as_secs_f64();
    let metrics = done.measure(&work.tests(period)?, &loaded.corpus.counts)?;
    let bytes = Some([done.file.len() as u64, loaded.bytes()?]);
    work.progress.finish(&format!(
        "student period {period}: R@20 {:.2} MRR@20 {:.2}",
        metrics.recall_20 * 100.0,
        metrics.mrr_20 * 100.0
    ));
    let cell =
        Cell { method: STUDENT.into(), seed, period, metrics, cpu_seconds, bytes, ..Default::default() };
    results.add(cell, &work.options.out)
}

/// The teacher before `first`: from the folder, or from the first period on.
fn start(
    work: &Work<'_>,
    results: &Results,
    folder: &std::path::Path,
    strategy: Strategy,
    seed: u64,
    first: u32,
) -> Result<(TeacherState, Option<UpdateReport>)> {
    let wanted = work.before(first);
    if let Ok(state) = TeacherState::load(folder)
        && state.info.options.last_period == wanted
    {
        let report = crate::files::read_json(&folder.join("update.json"), "benchmark").ok();
        return Ok((state, report));
    }
    let options = TrainOptions { seed, last_period: work.periods[0], ..work.options.train.clone() };
    // All strategies begin with the same network.
    let shared = work.options.out.join("state").join(format!("first-{seed}"));
    let mut state = match TeacherState::load(&shared) {
        Ok(state) if state.info.options == options => state,
        _ => {
            let corpus = teacher::corpus(work.data, &options, &[])?;
            let hash = dataset_hash(&work.options.data)?;
            let state = teacher::fit(work.data, &corpus, &options, hash, None, work.progress)?;
            state.save(&shared)?;
            TeacherState::load(&shared)?
        }
    };
    let mut report = None;
    for &period in work.periods[1..].iter().filter(|&&p| p <= wanted) {
        ensure!(results.find(&strategy.name(), seed, period).is_some(), "period {period} was not tested");
        let (next, told) = learn(work, &state, strategy, seed, period)?;
        (state, report) = (next, Some(told));
    }
    Ok((state, report))
}

fn learn(
    work: &Work<'_>,
    state: &TeacherState,
    strategy: Strategy,
    seed: u64,
    period: u32,
) -> Result<(TeacherState, UpdateReport)> {
    let done = state.info.updates.len();
    let last = state.info.updates.last().map_or(1.0, |u| u.scale);
    let scales = if TUNED.contains(&done) { SCALES.to_vec() } else { vec![last] };
    let options = UpdateOptions {
        strategy,
        seed,
        passes: work.options.passes,
        scales,
        rerank: strategy == Strategy::Combined,
        ..Default::default()
    };
    advance(work.data, state, period, &options, work.progress)
}

/// A network trained from nothing on all periods before one, with neighbours and reranker.
pub(super) fn joint(work: &Work<'_>, results: &mut Results, period: u32, seed: u64) -> Result<()> {
    if results.find(JOINT, seed, period).is_some() {
        return Ok(());
    }
    let folder = work.options.out.join("state").join(format!("{JOINT}-{seed}-{period}"));
    let options = TrainOptions {
        seed,
        last_period: work.before(period),
        validation: JOINT_VALIDATION,
        ..work.options.train.clone()
    };
    teacher::train(&work.options.data, &folder, &options, work.progress)?;
    let state = TeacherState::load(&folder).context("the joint teacher")?;
    let (metrics, teacher) = work.test(&state, period, true, JOINT)?;
    let cpu_seconds = state.info.cpu_seconds;
    let cell =
        Cell { method: JOINT.into(), seed, period, metrics, teacher, cpu_seconds, ..Default::default() };
    results.add(cell, &work.options.out)?;
    let _ = fs::remove_dir_all(&folder);
    Ok(())
}
