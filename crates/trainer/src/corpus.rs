//! Views of a prepared data set: sessions to train on, and tests that respect time.

use std::ops::Range;

use anyhow::{Result, ensure};
use onshelf_core::neighbour::SessionLog;
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
}

/// How training sessions are chosen and weighted.
#[derive(Clone, Copy, Debug)]
pub struct CorpusOptions {
    /// Newest period to train on.
    pub last_period: u32,
    /// Share of the newest period's sessions that is held out for validation (0–0.5).
    pub validation: f64,
    /// Periods after which a session counts half; 0: all count fully.
    pub half_life: f64,
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
        let newest = sessions.in_period(options.last_period);
        let stride = held_out_stride(options.validation);
        let mut out = Self { train: empty_set(), validation: empty_set(), counts: vec![0; items + 1], items };
        for s in seen {
            let held_out = newest.contains(&s) && stride > 0 && (s - newest.start) % stride == stride / 2;
            if held_out {
                continue;
            }
            let age = f64::from(options.last_period - sessions.period(s));
            let weight = if options.half_life > 0.0 { 0.5_f64.powf(age / options.half_life) } else { 1.0 };
            append(&mut out.train, sessions, s, weight as f32, |_| true);
            sessions.session(s).iter().for_each(|&i| out.counts[i as usize] += 1);
        }
        ensure!(
            out.train.log.iter().any(|s| s.len() >= 2),
            "no session with two clicks or more in periods 0 to {}; prepare more data or choose a later --last-period",
            options.last_period
        );
        if stride > 0 {
            let held: Vec<usize> =
                newest.clone().filter(|s| (s - newest.start) % stride == stride / 2).collect();
            for s in held {
                append(&mut out.validation, sessions, s, 1.0, |i| out.counts[i as usize] > 0);
            }
        }
        Ok(out)
    }

    /// The sessions of a period as tests: items never seen in training are taken out, and
    /// sessions that fall below two clicks with them.
    #[must_use]
    pub fn tests(&self, data: &Dataset, range: Range<usize>) -> TrainSet {
        let mut set = empty_set();
        for s in range {
            append(&mut set, &data.sessions, s, 1.0, |i| self.counts[i as usize] > 0);
        }
        set
    }
}

fn held_out_stride(share: f64) -> usize {
    if share <= 0.0 { 0 } else { (1.0 / share.min(0.5)).round() as usize }
}

fn empty_set() -> TrainSet {
    TrainSet { log: SessionLog::new(), ..Default::default() }
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
