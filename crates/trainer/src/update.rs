//! `onshelf update`: from version n of a teacher and the logs of a new period to version n + 1.
//!
//! | strategy | what it learns from |
//! | --- | --- |
//! | gradient | the new period |
//! | dropout | the same, with dropout |
//! | ewc | the same; parameters that mattered before are drawn back (Kirkpatrick et al., PNAS 2017) |
//! | replay | the new period and as many clicks of older sessions |
//! | distillation | the new period and the old network's opinion on it (Li & Hoiem, ECCV 2016) |
//! | reptile | the new period, in tasks from whose ends the start moves half-way (Nichol et al., 2018) |
//! | combined | the new period and as many clicks of older sessions, with dropout |
//!
//! Rates are tried on validation sessions, which also decide which pass is kept and whether the new
//! version is better than the old one at all.

mod reptile;

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use clap::ValueEnum;
use onshelf_core::metrics::Summary;
use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;
use onshelf_model::training::{
    Anchor, Candidates, Fit, FloatItems, Importance, Network, SoftTargets, Stepper, TrainSet, batches,
};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::corpus::{Corpus, append_sessions, part_of};
use crate::dataset::Dataset;
use crate::device::device;
use crate::newcomers;
use crate::progress::Progress;
use crate::teacher::{
    self, Lessons, Rates, TeacherState, UpdateRecord, dataset_hash, encoder_part, fit_reranker, float_items,
    halves, run_pass, validate_network, validate_teacher,
};

/// Held-out positions of earlier periods that tell what was forgotten.
const MEMORY: usize = 1500;
/// Predictions for the new period that the reranker is fitted on.
const RERANKED: usize = 5000;
/// The old network's items kept at each position.
const TOLD: usize = 20;

/// How a teacher learns a new period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Strategy {
    /// The new period alone.
    Gradient,
    /// The new period alone, with dropout.
    Dropout,
    /// Elastic weight consolidation.
    Ewc,
    /// Exemplar replay.
    Replay,
    /// Learning without forgetting.
    Distillation,
    /// A meta-learned start.
    Reptile,
    /// Replay with dropout: what won.
    Combined,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Gradient,
        Self::Dropout,
        Self::Ewc,
        Self::Replay,
        Self::Distillation,
        Self::Reptile,
        Self::Combined,
    ];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |v| v.get_name().to_owned())
    }

    fn replays(self) -> bool {
        matches!(self, Self::Replay | Self::Combined)
    }

    fn distils(self) -> bool {
        matches!(self, Self::Distillation)
    }

    fn drops(self) -> bool {
        matches!(self, Self::Dropout | Self::Combined)
    }
}

/// Everything that decides the result of an update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UpdateOptions {
    /// How.
    pub strategy: Strategy,
    /// Seed of everything random.
    pub seed: u64,
    /// Passes over the lessons.
    pub passes: usize,
    /// Clicks of older sessions for each new one.
    pub replay: f64,
    /// Share of the loss that follows the old network where it is asked (0-1).
    pub distil: f32,
    /// Strength of the anchor.
    pub ewc: f32,
    /// Factors on the rates of the first training; more than one are tried on validation sessions.
    pub scales: Vec<f32>,
    /// Whether the reranker is fitted anew.
    pub rerank: bool,
}

impl Default for UpdateOptions {
    fn default() -> Self {
        Self {
            strategy: Strategy::Combined,
            seed: 1,
            passes: 3,
            replay: 1.0,
            distil: 0.3,
            ewc: 100.0,
            scales: vec![0.5],
            rerank: true,
        }
    }
}

/// How an update went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateReport {
    /// The period that was learned.
    pub period: u32,
    /// The network on held-out sessions of the new period, before (new items placed) and after.
    pub newest: [Summary; 2],
    /// The same on held-out sessions of earlier periods, among the items known before.
    pub earlier: [Summary; 2],
    /// The whole teacher on held-out sessions of the new period.
    pub teacher: Summary,
    /// Items clicked for the first time, placed by their neighbours, their attributes, and at random.
    pub newcomers: [usize; 3],
    /// The factor on the rates that was chosen.
    pub scale: f32,
    /// Passes kept.
    pub passes: usize,
    /// Whether the new network was worse on validation and the old one was kept.
    pub kept_old: bool,
    /// The reranker's fit.
    pub reranker: Fit,
    /// Processor seconds.
    pub cpu_seconds: f64,
}

/// Updates the teacher in `from` with the periods after its last one up to `to`, one by one, into `out`.
///
/// # Errors
/// Where the period was learned before or has nothing to learn from, the teacher has other dimensions,
/// a loss is not finite (nothing is written then), or the new version is worse on validation sessions.
pub fn update(
    data_dir: &Path,
    from: &Path,
    out: &Path,
    to: Option<u32>,
    options: &UpdateOptions,
    progress: &dyn Progress,
) -> Result<Vec<UpdateReport>> {
    let data = Dataset::load(data_dir)?;
    let mut state = TeacherState::load(from)?;
    let hash = dataset_hash(data_dir)?;
    newcomers::fit_catalogue(&mut state, &data, &hash)?;
    let last = state.info.options.last_period;
    let periods: Vec<u32> =
        data.sessions.by_period().map(|p| p.0).filter(|&p| p > last && to.is_none_or(|to| p <= to)).collect();
    ensure!(
        !periods.is_empty(),
        "the teacher in {} has learned periods 0 to {last}, and the data set has none after it{}; prepare newer logs",
        from.display(),
        to.map_or_else(String::new, |to| format!(" up to {to}"))
    );
    let mut reports = Vec::new();
    for period in periods {
        let (next, report) = advance(&data, &state, period, options, progress)?;
        if report.kept_old {
            bail!(
                "the version with period {period} is worse than the one before on validation sessions \
                 (R@20 {:.2} after {:.2}, MRR@20 {:.2} after {:.2}); it was not written. Try a smaller --scales, \
                 or another --strategy",
                report.newest[1].recall_20 * 100.0,
                report.newest[0].recall_20 * 100.0,
                report.newest[1].mrr_20 * 100.0,
                report.newest[0].mrr_20 * 100.0
            );
        }
        state = next;
        reports.push(report);
    }
    state.save(out)?;
    Ok(reports)
}

/// One update in memory.
///
/// # Errors
/// As [`update`], but for a worse version: the old network is kept then and the report says so.
pub fn advance(
    data: &Dataset,
    state: &TeacherState,
    period: u32,
    options: &UpdateOptions,
    progress: &dyn Progress,
) -> Result<(TeacherState, UpdateReport)> {
    let cpu = cpu_time::ProcessTime::now();
    let started = std::time::Instant::now();
    let last = state.info.options.last_period;
    ensure!(period > last, "period {period} comes after {last} periods were learned: periods go in order");
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ u64::from(period).wrapping_mul(0x9e37_79b9));
    let mut report = UpdateReport { period, ..Default::default() };
    let mut next = state.clone();
    next.info.options.last_period = period;
    next.info.held.push(last);
    let before = teacher::corpus(data, &state.info.options, &state.info.held)?;
    let now = teacher::corpus(data, &next.info.options, &next.info.held)?;
    let fresh = now.in_period(period);
    ensure!(
        fresh.clone().any(|s| now.train.log.session(s).len() >= 2),
        "period {period} has no session of two clicks or more to learn from; leave it out"
    );

    // What the old version says of sessions it has not seen teaches the reranker for nothing.
    if options.rerank {
        let unseen = before.tests(data, data.sessions.in_period(period));
        let mut old = state.ready(&before)?;
        let max_len = state.info.options.max_len;
        report.reranker = fit_reranker(&mut old, &unseen, max_len, RERANKED, &mut rng, progress)?;
        next.reranker = old.reranker;
    }

    report.newcomers = newcomers::place(&mut next.weights, data, &before.counts, &now, fresh.clone());
    let memory = memory(data, &now, &next.info.held, &before.counts);
    let judge =
        Judge { now: &now, memory: &memory, known: &before.counts, max_len: state.info.options.max_len };
    let start = judge.marks(&next.weights, &next.info.shape)?;
    let mut best: Option<Tried> = None;
    for &scale in &options.scales {
        let tried = learn(&next, &now, fresh.clone(), options, scale, &judge, &mut rng, progress)?;
        if best.as_ref().is_none_or(|b| tried.merit > b.merit) {
            best = Some(tried);
        }
    }
    let Some(best) = best else { bail!("--scales names no factor") };
    let marks = best.marks;
    (report.scale, report.passes) = (best.scale, best.passes);
    report.newest = [start[0], marks[0]];
    report.earlier = [start[1], marks[1]];
    report.kept_old = best.merit < judge.merit(&start);
    if !report.kept_old {
        next.weights = best.weights;
        next.moments = Some(best.moments);
    }
    report.cpu_seconds = cpu.elapsed().as_secs_f64();
    if options.rerank {
        report.teacher =
            validate_teacher(&next.ready(&now)?, &now, &halves(&now.validation).1, judge.max_len)?;
        next.info.validation = report.teacher;
    }
    next.info.validation_network = marks[0];
    next.info.reranker_fit = report.reranker;
    next.info.seconds += started.elapsed().as_secs_f64();
    next.info.cpu_seconds += report.cpu_seconds;
    next.info.updates.push(UpdateRecord {
        period,
        strategy: options.strategy.name(),
        parent: state.info.network.clone(),
        scale: report.scale,
        cpu_seconds: report.cpu_seconds,
    });
    progress.finish(&format!(
        "period {period} by {}: new sessions R@20 {:.2} (before {:.2}), earlier ones {:.2} (before {:.2}), {:.0} processor seconds",
        options.strategy.name(),
        report.newest[1].recall_20 * 100.0,
        report.newest[0].recall_20 * 100.0,
        report.earlier[1].recall_20 * 100.0,
        report.earlier[0].recall_20 * 100.0,
        report.cpu_seconds
    ));
    Ok((next, report))
}

/// Held-out sessions of earlier periods, at most [`MEMORY`] positions, spread evenly.
fn memory(data: &Dataset, now: &Corpus, held: &[u32], known: &[u32]) -> TrainSet {
    let mut all = TrainSet::default();
    held.iter().for_each(|&p| append_sessions(&mut all, &now.held_out(data, p, known)));
    let positions: usize = all.log.iter().map(|s| s.len().saturating_sub(1)).sum();
    let stride = positions.div_ceil(MEMORY).max(1);
    part_of(&all, |s| s % stride == 0)
}

/// Says how good a network is on sessions that it has not seen.
struct Judge<'a> {
    now: &'a Corpus,
    memory: &'a TrainSet,
    known: &'a [u32],
    max_len: usize,
}

impl Judge<'_> {
    /// On the new period, and on earlier ones among the items known then.
    fn marks(&self, weights: &Weights, shape: &StudentShape) -> Result<[Summary; 2]> {
        let network = Network::new(weights, shape, self.now.items, &device())?;
        let items = float_items(weights, shape.dim)?;
        let newest =
            validate_network(&network, &items, &self.now.counts, &self.now.validation, self.max_len)?;
        let earlier = validate_network(&network, &items, self.known, self.memory, self.max_len)?;
        Ok([newest, earlier])
    }

    /// Mostly the new period, which is what comes next; a third what is not to be forgotten.
    fn merit(&self, marks: &[Summary; 2]) -> f64 {
        let one = |s: &Summary| s.recall_20 + 2.0 * s.mrr_20;
        if marks[1].tests == 0 { one(&marks[0]) } else { (2.0 * one(&marks[0]) + one(&marks[1])) / 3.0 }
    }
}

/// What came of one factor on the rates.
struct Tried {
    merit: f64,
    weights: Weights,
    moments: Weights,
    scale: f32,
    passes: usize,
    marks: [Summary; 2],
}

#[expect(clippy::too_many_arguments, reason = "one try of an update")]
fn learn(
    state: &TeacherState,
    now: &Corpus,
    fresh: Range<usize>,
    options: &UpdateOptions,
    scale: f32,
    judge: &Judge<'_>,
    rng: &mut ChaCha8Rng,
    progress: &dyn Progress,
) -> Result<Tried> {
    let strategy = options.strategy;
    let shape = &state.info.shape;
    let mut rates = Rates { passes: options.passes, ..Rates::of(&state.info.options) };
    rates.rate *= scale;
    rates.item_rate *= scale;
    if !strategy.drops() {
        rates.dropout = 0.0;
    }
    let mut items = float_items(&state.weights, shape.dim)?;
    let mut stepper = Stepper::new(encoder_part(&state.weights), shape.clone(), &device());
    if let Some(moments) = &state.moments {
        // Fresh moments would give every row a first step of full size, whatever its gradient.
        let mut saved = state.weights.clone();
        saved.floats.extend(moments.floats.clone());
        stepper.restore(&saved)?;
        items.restore(&saved)?;
    }
    let new = part_of(&now.train, |s| fresh.contains(&s));
    let candidates = Candidates::new(&now.counts, 0.5, state.info.options.negatives);
    if strategy == Strategy::Ewc {
        stepper.anchor =
            Some(anchor(&mut stepper, &mut items, now, &fresh, &candidates, &rates, options, rng)?);
    }
    let mut best: Option<Tried> = None;
    let soft = if strategy.distils() {
        rates.distil = options.distil;
        Some(told(state, now, &new, rng)?)
    } else {
        None
    };
    for pass in 0..rates.passes {
        let mut set = TrainSet::default();
        if strategy.replays() {
            set = older(&now.train, &fresh, options.replay, rng);
        }
        append_sessions(&mut set, &new);
        let candidates = candidates.clone().with_targets(&set.log.counts(now.items));
        let lessons = Lessons { set: &set, candidates: &candidates, soft: soft.as_ref() };
        if strategy == Strategy::Reptile {
            reptile::run_pass(pass, &lessons, &rates, &mut stepper, &mut items, rng, progress)?;
        } else {
            run_pass("update", pass, &lessons, &rates, &mut stepper, &mut items, rng, progress)?;
        }
        let weights = Network::weights(&stepper.weights, &items.vectors, &items.biases);
        let marks = judge.marks(&weights, shape)?;
        let merit = judge.merit(&marks);
        if best.as_ref().is_none_or(|b| merit > b.merit) {
            let moments = teacher::moments(&stepper, &items);
            best = Some(Tried { merit, weights, moments, scale, passes: pass + 1, marks });
        }
    }
    best.ok_or_else(|| anyhow::anyhow!("--passes must be at least 1"))
}

/// Sessions before `new`, at random, with `share` times as many clicks.
fn older(all: &TrainSet, new: &Range<usize>, share: f64, rng: &mut ChaCha8Rng) -> TrainSet {
    let clicks_of = |s: usize| all.log.session(s).len();
    let wanted = (new.clone().map(clicks_of).sum::<usize>() as f64 * share) as usize;
    let mut order: Vec<usize> = (0..new.start).collect();
    order.shuffle(rng);
    let mut clicks = 0;
    let chosen: HashSet<usize> = order
        .into_iter()
        .take_while(|&s| {
            let more = clicks < wanted;
            clicks += clicks_of(s);
            more
        })
        .collect();
    part_of(all, |s| chosen.contains(&s))
}

/// The old network's best items at every position of the new sessions.
fn told(state: &TeacherState, now: &Corpus, set: &TrainSet, rng: &mut ChaCha8Rng) -> Result<SoftTargets> {
    let mut out = SoftTargets::new(TOLD, set.log.clicks());
    let shape = &state.info.shape;
    let network = Network::new(&state.weights, shape, now.items, &device())?;
    let items = float_items(&state.weights, shape.dim)?;
    for batch in batches(set, shape.max_len, 256, rng, |_| true) {
        let mut chances = network.scores(&batch, &items)?;
        network.probabilities(&mut chances, &now.counts);
        out.add(&batch, &chances, now.items);
    }
    Ok(out)
}

/// How much each parameter mattered on older sessions.
#[expect(clippy::too_many_arguments, reason = "called once")]
fn anchor(
    stepper: &mut Stepper,
    items: &mut FloatItems,
    now: &Corpus,
    fresh: &Range<usize>,
    candidates: &Candidates,
    rates: &Rates,
    options: &UpdateOptions,
    rng: &mut ChaCha8Rng,
) -> Result<Anchor> {
    let set = older(&now.train, fresh, options.replay, rng);
    let candidates = candidates.clone().with_targets(&set.log.counts(now.items));
    stepper.importance = Some(Importance::default());
    let lessons = Lessons { set: &set, candidates: &candidates, soft: None };
    run_pass("importance", 0, &lessons, rates, stepper, items, rng, &crate::progress::Silent)?;
    let importance = stepper.importance.take().unwrap_or_default();
    let dim = items.vectors.len() / items.biases.len().max(1);
    Ok(Anchor::new(importance, stepper.weights.clone(), items.vectors.clone(), dim, options.ewc))
}
