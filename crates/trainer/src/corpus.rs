//! Views of a prepared data set: sessions to train on, and tests that respect time.

use std::ops::Range;

use anyhow::{Result, ensure};
use onshelf_model::encoder::gap_bucket;
use onshelf_model::training::TrainSet;

use crate::dataset::{Dataset, Sessions};

/// What a model may see: the sessions of periods `0..=last`.
pub struct Corpus {
    /// Sessions to train on.
    pub train: TrainSet,
    /// Held-out sessions of the last period, for choices that must not be made on training data.
    pub validation: TrainSet,
    /// Clicks on each item in `train`; index 0 is padding.
    pub counts: Vec<u32>,
    /// Number of items in the catalogue.
    pub items: usize,
    /// Where the sessions of each period begin in `train`.
    pub starts: Vec<(u32, usize)>,
    stride: usize,
}

/// How training sessions are chosen and weighted.
#[derive(Clone, Debug, Default)]
pub struct CorpusOptions {
    /// Newest period to train on.
    pub last_period: u32,
    /// Share of the newest period's sessions that is held out for validation (0–0.5).
    pub validation: f64,
    /// Periods after which a session counts half; 0: all count fully.
    pub half_life: f64,
    /// Earlier periods of which the same share is held out, so that what an update forgets can be told.
    pub held: Vec<u32>,
}

impl Corpus {
    /// Cuts a data set.
    ///
    /// # Errors
    /// Where there is nothing to train on.
    pub fn new(data: &Dataset, options: &CorpusOptions) -> Result<Self> {
        let sessions = &data.sessions;
        let items = data.catalogue.len();
        let seen = sessions.before_period(options.last_period + 1);
        let stride = held_out_stride(options.validation);
        let mut out = Self {
            train: TrainSet::default(),
            validation: TrainSet::default(),
            counts: vec![0; items + 1],
            items,
            starts: Vec::new(),
            stride,
        };
        let mut held = Vec::new();
        for (period, range) in sessions.by_period().filter(|p| seen.contains(&p.1.start)) {
            out.starts.push((period, out.train.log.len()));
            let newest = period == options.last_period;
            let sits_out = newest || options.held.contains(&period);
            let age = f64::from(options.last_period - period);
            let weight = if options.half_life > 0.0 { 0.5_f64.powf(age / options.half_life) } else { 1.0 };
            for s in range.clone() {
                if sits_out && is_held_out(s - range.start, stride) {
                    if newest {
                        held.push(s);
                    }
                    continue;
                }
                append(&mut out.train, sessions, s, weight as f32, |_| true);
                sessions.session(s).iter().for_each(|&i| out.counts[i as usize] += 1);
            }
        }
        ensure!(
            out.train.log.iter().any(|s| s.len() >= 2),
            "no session with two clicks or more in periods 0 to {}; prepare more data or choose a later --last-period",
            options.last_period
        );
        for s in held {
            append(&mut out.validation, sessions, s, 1.0, |i| out.counts[i as usize] > 0);
        }
        Ok(out)
    }

    /// Sessions that were chosen elsewhere, as one period without validation.
    #[must_use]
    pub fn of(train: TrainSet, items: usize) -> Self {
        let counts = train.log.counts(items);
        Self { train, validation: TrainSet::default(), counts, items, starts: vec![(0, 0)], stride: 0 }
    }

    /// The held-out sessions of an earlier period, as far as `known` says that their items were known.
    #[must_use]
    pub fn held_out(&self, data: &Dataset, period: u32, known: &[u32]) -> TrainSet {
        let mut set = TrainSet::default();
        let range = data.sessions.in_period(period);
        for s in range.clone().filter(|s| is_held_out(s - range.start, self.stride)) {
            append(&mut set, &data.sessions, s, 1.0, |i| known[i as usize] > 0);
        }
        set
    }

    /// The sessions of `train` that lie in a period.
    #[must_use]
    pub fn in_period(&self, period: u32) -> Range<usize> {
        let at = self.starts.iter().position(|p| p.0 == period);
        let start = at.map_or(self.train.log.len(), |at| self.starts[at].1);
        let end = at.and_then(|at| self.starts.get(at + 1)).map_or(self.train.log.len(), |p| p.1);
        start..end
    }

    /// The sessions of a period as tests: items never seen in training are taken out, and
    /// sessions that fall below two clicks with them.
    #[must_use]
    pub fn tests(&self, data: &Dataset, range: Range<usize>) -> TrainSet {
        let mut set = TrainSet::default();
        for s in range {
            append(&mut set, &data.sessions, s, 1.0, |i| self.counts[i as usize] > 0);
        }
        set
    }
}

fn is_held_out(at: usize, stride: usize) -> bool {
    stride > 0 && at % stride == stride / 2
}

fn held_out_stride(share: f64) -> usize {
    if share <= 0.0 { 0 } else { (1.0 / share.min(0.5)).round() as usize }
}

/// Some sessions of a set.
#[must_use]
pub fn part_of(set: &TrainSet, wanted: impl Fn(usize) -> bool) -> TrainSet {
    let mut out = TrainSet::default();
    let mut at = 0;
    for (s, session) in set.log.iter().enumerate() {
        let range = at..at + session.len();
        at = range.end;
        if wanted(s) {
            out.log.push(session);
            out.kinds.extend_from_slice(&set.kinds[range.clone()]);
            out.gaps.extend_from_slice(&set.gaps[range]);
            out.weights.push(set.weights[s]);
        }
    }
    out
}

/// Adds the sessions of another set.
pub fn append_sessions(set: &mut TrainSet, more: &TrainSet) {
    more.log.iter().for_each(|s| set.log.push(s));
    set.kinds.extend_from_slice(&more.kinds);
    set.gaps.extend_from_slice(&more.gaps);
    set.weights.extend_from_slice(&more.weights);
}

fn append(set: &mut TrainSet, sessions: &Sessions, s: usize, weight: f32, keep: impl Fn(u32) -> bool) {
    let (items, kinds, times) = (sessions.session(s), sessions.kinds(s), sessions.times(s));
    let kept: Vec<usize> = (0..items.len()).filter(|&at| items[at] != 0 && keep(items[at])).collect();
    if kept.is_empty() {
        return;
    }
    let clicks: Vec<u32> = kept.iter().map(|&at| items[at]).collect();
    let mut before: Option<i64> = None;
    for &at in &kept {
        set.kinds.push(kinds[at].code());
        let time = times.map(|t| t[at]);
        set.gaps.push(gap_bucket(time.zip(before).map(|(now, then)| (now - then).max(0))));
        before = time;
    }
    set.log.push(&clicks);
    set.weights.push(weight);
}
