//! Sessions cut into windows and packed into batches of similar length.

use onshelf_core::neighbour::SessionLog;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::encoder::SessionBatch;
use crate::student::SessionInput;

/// Sessions to train on, oldest first.
#[derive(Clone, Debug, Default)]
pub struct TrainSet {
    /// The clicks.
    pub log: SessionLog,
    /// Event kinds, one a click.
    pub kinds: Vec<u8>,
    /// Time-gap buckets, one a click.
    pub gaps: Vec<u8>,
    /// How much each session counts (1: fully).
    pub weights: Vec<f32>,
}

impl TrainSet {
    /// Adds a session of which nothing but the items is known.
    pub fn push_items(&mut self, items: &[u32]) {
        self.log.push(items);
        self.kinds.resize(self.kinds.len() + items.len(), 0);
        self.gaps.resize(self.gaps.len() + items.len(), 0);
        self.weights.push(1.0);
    }

    /// A session as a student reads it.
    #[must_use]
    pub fn input(&self, session: usize) -> SessionInput {
        let at = self.log.range(session);
        SessionInput {
            items: self.log.session(session).to_vec(),
            kinds: self.kinds[at.clone()].to_vec(),
            gaps: self.gaps[at].to_vec(),
        }
    }

    /// The same sessions in the same order, of each only a random share of the clicks and at least
    /// one: what people might as well have clicked, for a teacher to be asked about.
    #[must_use]
    pub fn thinned(&self, share: f64, rng: &mut ChaCha8Rng) -> Self {
        let mut out = Self { weights: self.weights.clone(), ..Self::default() };
        let mut start = 0;
        for session in self.log.iter() {
            let mut kept: Vec<usize> = (0..session.len()).filter(|_| rng.random_bool(share)).collect();
            if kept.is_empty() && !session.is_empty() {
                kept.push(0);
            }
            let items: Vec<u32> = kept.iter().map(|&at| session[at]).collect();
            out.log.push(&items);
            out.kinds.extend(kept.iter().map(|&at| self.kinds[start + at]));
            out.gaps.extend(kept.iter().map(|&at| self.gaps[start + at]));
            start += session.len();
        }
        out
    }

    /// Index of the first click of session `s` in `kinds` and `gaps`.
    fn starts(&self) -> Vec<usize> {
        let mut at = 0;
        self.log
            .iter()
            .map(|s| {
                at += s.len();
                at - s.len()
            })
            .collect()
    }
}

/// Sessions of one length and the positions that are predicted.
#[derive(Clone, Default)]
pub struct Batch {
    /// What the encoder reads besides the items.
    pub input: SessionBatch,
    /// Clicked items, `[sessions, length]`; 0 is padding.
    pub items: Vec<u32>,
    /// Rows of the flattened batch that are predicted.
    pub rows: Vec<usize>,
    /// The item to predict at each of those rows.
    pub targets: Vec<u32>,
    /// Weight of each of those rows.
    pub weights: Vec<f32>,
    /// Number of each of those positions in the training set (for soft targets): the index of the
    /// target's click.
    pub positions: Vec<u32>,
    /// Number of the session of each of those positions in the set's log.
    pub sessions: Vec<u32>,
}

/// Never prints a click.
impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Batch({} sessions, {} predictions)", self.input.sessions, self.rows.len())
    }
}

impl Batch {
    /// Keeps only the last prediction of every session.
    pub fn keep_last(&mut self) {
        let last: Vec<bool> =
            (0..self.rows.len()).map(|p| self.sessions.get(p + 1) != Some(&self.sessions[p])).collect();
        fn keep<T>(values: &mut Vec<T>, last: &[bool]) {
            let mut at = 0;
            values.retain(|_| {
                at += 1;
                last[at - 1]
            });
        }
        keep(&mut self.rows, &last);
        keep(&mut self.targets, &last);
        keep(&mut self.weights, &last);
        keep(&mut self.positions, &last);
        keep(&mut self.sessions, &last);
    }

    /// The clicks up to and with a flattened row.
    #[must_use]
    pub fn prefix(&self, row: usize) -> &[u32] {
        &self.items[row / self.input.length * self.input.length..=row]
    }
}

/// A stretch of a session: at most `max_len` inputs, of which those from `first` on are predicted.
struct Window {
    session: u32,
    start: u32,
    inputs: u32,
    first: u32,
}

/// All windows of the set in a random order, packed to about `positions` predictions each.
/// `wanted` says whether a session takes part.
pub fn batches(
    set: &TrainSet,
    max_len: usize,
    positions: usize,
    rng: &mut ChaCha8Rng,
    wanted: impl Fn(usize) -> bool,
) -> Vec<Batch> {
    let mut windows = Vec::new();
    for (s, session) in set.log.iter().enumerate() {
        if wanted(s) {
            cut(s as u32, session.len(), max_len, &mut windows);
        }
    }
    windows.shuffle(rng);
    // Similar lengths together, in an order that stays random within a length.
    windows.sort_by_key(|w| w.inputs);
    let mut out = group(set, &windows, positions);
    out.shuffle(rng);
    out
}

/// Packs windows in their order.
fn group(set: &TrainSet, windows: &[Window], positions: usize) -> Vec<Batch> {
    let starts = set.starts();
    let mut out = Vec::new();
    let mut group: Vec<&Window> = Vec::new();
    let mut count = 0;
    for window in windows {
        let new = (window.inputs - window.first) as usize;
        if count + new > positions && !group.is_empty() {
            out.push(pack(set, &starts, &group));
            group.clear();
            count = 0;
        }
        group.push(window);
        count += new;
    }
    if !group.is_empty() {
        out.push(pack(set, &starts, &group));
    }
    out
}

/// Batches for evaluation, in order: every position sees exactly the last `max_len` clicks before
/// it, as a device would.
#[must_use]
pub fn exact_batches(set: &TrainSet, max_len: usize, positions: usize) -> Vec<Batch> {
    let mut windows = Vec::new();
    for (s, session) in set.log.iter().enumerate() {
        let inputs = session.len().saturating_sub(1);
        if inputs > 0 {
            windows.push(Window {
                session: s as u32,
                start: 0,
                inputs: max_len.min(inputs) as u32,
                first: 0,
            });
        }
        for end in max_len + 1..=inputs {
            let start = (end - max_len) as u32;
            windows.push(Window {
                session: s as u32,
                start,
                inputs: max_len as u32,
                first: max_len as u32 - 1,
            });
        }
    }
    windows.sort_by_key(|w| w.inputs);
    group(set, &windows, positions)
}

fn cut(session: u32, clicks: usize, max_len: usize, out: &mut Vec<Window>) {
    let inputs = clicks.saturating_sub(1);
    let (mut start, mut done) = (0, 0);
    while done < inputs {
        let here = max_len.min(inputs - start);
        out.push(Window { session, start: start as u32, inputs: here as u32, first: (done - start) as u32 });
        done = start + here;
        start += max_len.div_ceil(2);
    }
}

fn pack(set: &TrainSet, starts: &[usize], group: &[&Window]) -> Batch {
    let length = group.iter().map(|w| w.inputs).max().unwrap_or(0) as usize;
    let mut batch = Batch {
        input: SessionBatch { sessions: group.len(), length, ..Default::default() },
        ..Default::default()
    };
    for (b, w) in group.iter().enumerate() {
        let clicks = set.log.session(w.session as usize);
        let (start, inputs) = (w.start as usize, w.inputs as usize);
        let base = starts[w.session as usize] + start;
        let pad = length - inputs;
        batch.items.extend(&clicks[start..start + inputs]);
        batch.items.extend(std::iter::repeat_n(0, pad));
        batch.input.kinds.extend(&set.kinds[base..base + inputs]);
        batch.input.kinds.extend(std::iter::repeat_n(0, pad));
        batch.input.gaps.extend(&set.gaps[base..base + inputs]);
        batch.input.gaps.extend(std::iter::repeat_n(0, pad));
        for j in w.first as usize..inputs {
            batch.rows.push(b * length + j);
            batch.targets.push(clicks[start + j + 1]);
            batch.weights.push(set.weights[w.session as usize]);
            batch.positions.push((base + j + 1) as u32);
            batch.sessions.push(w.session);
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn thinned_sessions_keep_their_numbers_and_what_is_known_of_their_clicks() {
        let mut set = TrainSet::default();
        for s in 0..200_u32 {
            let items: Vec<u32> = (1..=1 + s % 7).map(|i| 10 * s + i).collect();
            set.push_items(&items);
        }
        set.kinds = set.log.iter().flatten().map(|i| (i % 6) as u8).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let thin = set.thinned(0.7, &mut rng);
        assert_eq!(thin.log.len(), set.log.len());
        let share = thin.log.clicks() as f64 / set.log.clicks() as f64;
        assert!((0.6..0.85).contains(&share), "{share}");
        for (kept, all) in thin.log.iter().zip(set.log.iter()) {
            let mut rest = all.iter();
            assert!(!kept.is_empty() && kept.iter().all(|k| rest.any(|a| a == k)));
        }
        assert!(thin.log.iter().flatten().zip(&thin.kinds).all(|(i, &k)| (i % 6) as u8 == k));
        assert_eq!(thin.gaps.len(), thin.kinds.len());
    }

    #[test]
    fn every_click_but_the_first_is_predicted_once() {
        let mut set = TrainSet::default();
        let mut next = 1;
        for length in [2_u32, 3, 11, 47, 1, 8] {
            let session: Vec<u32> = (next..next + length).collect();
            next += length;
            set.log.push(&session);
            set.weights.push(1.0);
        }
        set.kinds = vec![0; set.log.clicks()];
        set.gaps = vec![0; set.log.clicks()];
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let all = batches(&set, 10, 16, &mut rng, |_| true);
        let mut targets: Vec<u32> = all.iter().flat_map(|b| b.targets.clone()).collect();
        targets.sort_unstable();
        let expected: Vec<u32> = set.log.iter().flat_map(|s| s[1..].to_vec()).collect();
        assert_eq!(targets, expected);
        for batch in &all {
            for (&row, &target) in batch.rows.iter().zip(&batch.targets) {
                // Items are numbered in order, so the input before a target is its predecessor.
                assert_eq!(batch.items[row] + 1, target);
            }
        }
    }
}
