//! The gate before a new version: on sessions that contributed nothing it may not be worse than the one
//! that serves, in the mean and in any segment of shoppers.
//!
//! Both versions foretell the same clicks; the difference of NDCG@20, which sees both whether a click was among the
//! first 20 and where, is averaged over each session, and sessions are compared by a paired t test: clicks of one
//! session are not independent, sessions are.
//!
//! Segments are of what is known before a click. What the click turns out to be is none: chances sum to one, so a
//! version that learned that some items are wanted less by now, and others more, is worse at every click on the former,
//! however much it gains.

use serde::{Deserialize, Serialize};

/// How many standard errors a segment may lose before the version is refused: one-sided 95 %.
const CERTAIN: f64 = 1.645;
/// Fewest sessions that a segment is judged by.
const FEWEST: usize = 30;

/// A kind of clicks that is watched by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// All clicks.
    All,
    /// Clicks after one or two others.
    EarlyClicks,
    /// Clicks after more.
    LateClicks,
    /// Clicks after one on an item that training clicked often: the half of the clicks with the larger counts there.
    AfterKnownItems,
    /// Clicks after one on another item.
    AfterRareItems,
    /// Clicks on often clicked items: in rounds that earlier releases judged.
    KnownItems,
    /// Clicks on others: in rounds that earlier releases judged.
    RareItems,
}

impl Segment {
    /// All that are judged by.
    pub const ALL: [Self; 5] =
        [Self::All, Self::EarlyClicks, Self::LateClicks, Self::AfterKnownItems, Self::AfterRareItems];

    /// Whether a foretold click belongs to it.
    fn holds(self, click: &Click) -> bool {
        match self {
            Self::All => true,
            Self::EarlyClicks => click.before <= 2,
            Self::LateClicks => click.before > 2,
            Self::AfterKnownItems => click.after_known,
            Self::AfterRareItems => !click.after_known,
            Self::KnownItems | Self::RareItems => false,
        }
    }
}

/// How well one click was foretold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Click {
    /// Its session.
    pub session: usize,
    /// Clicks before it.
    pub before: usize,
    /// Whether training clicked the item of the click before it often.
    pub after_known: bool,
    /// Its NDCG@20: 1/log2(1 + rank) among the first 20, else 0.
    pub value: f64,
}

/// A segment's paired difference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Which clicks.
    pub segment: Segment,
    /// Sessions with such clicks.
    pub sessions: usize,
    /// Mean gain in NDCG@20 (0 to 1).
    pub gain: f64,
    /// Its standard error.
    pub error: f64,
}

/// What the gate says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Every segment with enough sessions.
    pub differences: Vec<Difference>,
    /// Why the version is refused; empty: it may be published.
    pub reasons: Vec<String>,
}

impl Verdict {
    /// Whether the version may be published.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.reasons.is_empty()
    }
}

/// The paired difference of a segment; `None` with too few sessions.
fn difference(segment: Segment, before: &[Click], after: &[Click]) -> Option<Difference> {
    let mut sessions: Vec<(usize, f64, f64)> = Vec::new();
    for (old, new) in before.iter().zip(after).filter(|(old, _)| segment.holds(old)) {
        match sessions.last_mut().filter(|last| last.0 == old.session) {
            Some(last) => (last.1, last.2) = (last.1 + new.value - old.value, last.2 + 1.0),
            None => sessions.push((old.session, new.value - old.value, 1.0)),
        }
    }
    let n = sessions.len();
    if n < FEWEST {
        return None;
    }
    let gains = || sessions.iter().map(|(_, sum, clicks)| sum / clicks);
    let gain = gains().sum::<f64>() / n as f64;
    let variance = gains().map(|g| (g - gain).powi(2)).sum::<f64>() / (n as f64 - 1.0);
    Some(Difference { segment, sessions: n, gain, error: (variance / n as f64).sqrt() })
}

/// Compares two versions on the same clicks in the same order.
#[must_use]
pub fn verdict(before: &[Click], after: &[Click]) -> Verdict {
    let mut out = Verdict { differences: Vec::new(), reasons: Vec::new() };
    let same = before.len() == after.len()
        && before.iter().zip(after).all(|(a, b)| (a.session, a.before) == (b.session, b.before));
    if !same {
        out.reasons.push("the versions foretold different clicks".into());
        return out;
    }
    out.differences = Segment::ALL.into_iter().filter_map(|s| difference(s, before, after)).collect();
    let Some(all) = out.differences.first().filter(|d| d.segment == Segment::All) else {
        out.reasons.push(format!("fewer than {FEWEST} sessions to judge by"));
        return out;
    };
    if all.gain <= 0.0 || all.gain.is_nan() {
        out.reasons.push(format!("no gain in all: {:+.5} in NDCG@20", all.gain));
    }
    for d in &out.differences[1..] {
        if d.gain + CERTAIN * d.error < 0.0 {
            out.reasons.push(format!("worse in {:?}: {:+.5} ± {:.5} in NDCG@20", d.segment, d.gain, d.error));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 200 sessions of three clicks after others, the last after one on a rare item.
    fn clicks(value: impl Fn(usize, usize) -> f64) -> Vec<Click> {
        let of = |session| (1..4).map(move |before| (session, before));
        (0..200)
            .flat_map(of)
            .map(|(session, before)| Click {
                session,
                before,
                after_known: before < 3,
                value: value(session, before),
            })
            .collect()
    }

    #[test]
    fn what_is_better_passes_and_what_is_worse_does_not() {
        let before = clicks(|_, _| 0.2);
        assert!(verdict(&before, &clicks(|s, _| if s % 3 == 0 { 0.25 } else { 0.2 })).passes());
        let worse = verdict(&before, &clicks(|s, _| if s % 3 == 0 { 0.15 } else { 0.2 }));
        assert!(!worse.passes() && worse.reasons[0].contains("no gain"), "{:?}", worse.reasons);
        assert!(!verdict(&before, &before).passes(), "nothing gained");
    }

    #[test]
    fn a_gain_in_all_does_not_hide_a_segment_that_loses() {
        let before = clicks(|_, _| 0.2);
        let after = clicks(|_, before| if before < 3 { 0.3 } else { 0.1 });
        let found = verdict(&before, &after);
        assert!(found.differences[0].gain > 0.0);
        assert!(found.reasons.iter().any(|r| r.contains("AfterRareItems")), "{:?}", found.reasons);
        // A loss that may be chance is none: one session in a hundred, and back.
        let chance = clicks(|s, b| {
            if b < 3 {
                0.3
            } else if s == 7 {
                0.0
            } else {
                0.2
            }
        });
        assert!(verdict(&before, &chance).passes());
    }

    #[test]
    fn errors_are_of_sessions_not_of_clicks() {
        let before = clicks(|_, _| 0.0);
        let after = clicks(|s, _| if s % 2 == 0 { 1.0 } else { 0.0 });
        let all = verdict(&before, &after).differences[0];
        assert_eq!((all.sessions, all.gain), (200, 0.5));
        assert!((all.error - 0.5 / (199.0_f64).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn too_little_to_judge_by_is_refused() {
        let few: Vec<Click> = clicks(|_, _| 0.2).into_iter().filter(|c| c.session < 20).collect();
        assert!(verdict(&few, &few).reasons[0].contains("fewer than"));
        let other = clicks(|_, _| 0.2);
        assert!(verdict(&few, &other).reasons[0].contains("different clicks"));
    }
}
