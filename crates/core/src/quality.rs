//! What counts as clean data: the stated rules, and the judge that applies them.
//!
//! The same code cleans the logs a teacher is trained on and, in the browser, the clicks of one
//! session before the student learns from them, so both learn from the same kind of click. No
//! clock is read here: the time of an event is part of the event.
//!
//! A *click* below is any event, searches included.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::event::{Click, EventKind};

/// How many recent events a [`Gate`] compares with when it looks for duplicates. A tracker that
/// fires twice may interleave the two kinds of one gesture (`select_item`, `view_item`,
/// `select_item`, `view_item`), so the previous event alone is not enough; eight covers that.
const DUPLICATE_MEMORY: usize = 8;

/// The longest flood rule a [`Gate`] follows, so that outside values cannot make it grow.
const MAX_FLOOD_CLICKS: usize = 10_000;

/// The rules, each with its switch. [`Rules::default`] is what onshelf ships with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Whether sessions of robots are dropped whole.
    pub robots: bool,
    /// A session with more clicks than this, duplicates not counted, is a robot's. Default 200:
    /// the longest of the 205,337 DIGINETICA sessions has fewer than half of that, while a
    /// crawler walks whole categories.
    pub max_clicks_per_session: usize,
    /// Whether clicks that come impossibly fast are dropped.
    pub floods: bool,
    /// At most this many clicks within any [`Self::flood_window_ms`]; each one beyond is a flood.
    /// Default 30 in 10 s, that is three a second for ten seconds: people reach such a rate for a
    /// moment (opening tabs), never for that long. At most 10,000.
    pub flood_clicks: usize,
    /// The window of [`Self::flood_clicks`] in milliseconds.
    pub flood_window_ms: i64,
    /// Whether repeated firings of one gesture are dropped.
    pub duplicates: bool,
    /// The same item and kind again within this many milliseconds is a duplicate. Default 1,000:
    /// double clicks and trackers that fire twice lie below it; coming back to an item takes a
    /// page load and longer.
    pub duplicate_window_ms: i64,
    /// For clicks without a time: whether the same item and kind twice in a row is a duplicate.
    /// Default `false`, because a repeated item is a real and frequent target (reloading, coming
    /// back from the cart), and without a clock the two cannot be told apart.
    pub consecutive_is_duplicate: bool,
    /// Whether views left at once are dropped.
    pub bounces: bool,
    /// A `view_item` with a known dwell below this many milliseconds is a mis-click. Default 800:
    /// a page is hardly painted and read before that. Only views bounce: adding to the cart or
    /// buying means something however quick it was. A view whose dwell is unknown is kept.
    pub bounce_dwell_ms: u32,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            robots: true,
            max_clicks_per_session: 200,
            floods: true,
            flood_clicks: 30,
            flood_window_ms: 10_000,
            duplicates: true,
            duplicate_window_ms: 1_000,
            consecutive_is_duplicate: false,
            bounces: true,
            bounce_dwell_ms: 800,
        }
    }
}

impl Rules {
    /// The default numbers with every rule switched off.
    #[must_use]
    pub fn off() -> Self {
        Self { robots: false, floods: false, duplicates: false, bounces: false, ..Self::default() }
    }
}

/// Why a click or a session is not learned from. The strings of [`Reason::as_str`] are stable:
/// they stand in reports and counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The same gesture again.
    Duplicate,
    /// Faster than a person.
    Flood,
    /// Left at once.
    Bounce,
    /// Part of a robot's session.
    Robot,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 4] = [Self::Duplicate, Self::Flood, Self::Bounce, Self::Robot];

    /// The stable name: `duplicate`, `flood`, `bounce` or `robot`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Flood => "flood",
            Self::Bounce => "bounce",
            Self::Robot => "robot",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a [`Gate`] says about one click.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Learn from it.
    Accept,
    /// The same gesture again.
    Duplicate,
    /// Faster than a person.
    Flood,
    /// Left at once.
    Bounce,
}

impl Verdict {
    /// Why the click is refused; `None` when it is accepted.
    #[must_use]
    pub const fn reason(self) -> Option<Reason> {
        match self {
            Self::Accept => None,
            Self::Duplicate => Some(Reason::Duplicate),
            Self::Flood => Some(Reason::Flood),
            Self::Bounce => Some(Reason::Bounce),
        }
    }
}

/// What is remembered of a recent click, to find its duplicates.
#[derive(Clone, Copy)]
struct Recent {
    item: u32,
    kind: EventKind,
    at: i64,
}

/// Judges the clicks of one session one by one, in the order they happened, in bounded memory.
///
/// A clock that goes backwards (a corrected device clock) is tolerated: the step back counts as
/// no time at all, and time goes on from there.
///
/// ```
/// use onshelf_core::event::{Click, EventKind};
/// use onshelf_core::quality::{Gate, Rules, Verdict};
///
/// let mut gate = Gate::new(Rules::default());
/// let click = Click::at(7, EventKind::ViewItem, 1_000);
/// assert_eq!(gate.judge(&click), Verdict::Accept);
/// assert_eq!(gate.judge(&Click { at_ms: Some(1_200), ..click }), Verdict::Duplicate);
/// ```
#[derive(Clone)]
pub struct Gate {
    rules: Rules,
    /// The last clock reading, and the same moment on a clock that never goes back.
    last_reading: Option<i64>,
    now: i64,
    /// Moments of the last `flood_clicks` clicks, oldest first.
    moments: VecDeque<i64>,
    /// The last few clicks, oldest first.
    recent: VecDeque<Recent>,
    /// The previous click when it had no time.
    previous_timeless: Option<(u32, EventKind)>,
    clicks: usize,
}

impl Gate {
    /// A gate at the start of a session.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            last_reading: None,
            now: 0,
            moments: VecDeque::new(),
            recent: VecDeque::new(),
            previous_timeless: None,
            clicks: 0,
        }
    }

    /// Judges the next click. When several rules hold, the first of flood, duplicate and bounce
    /// is named.
    pub fn judge(&mut self, click: &Click) -> Verdict {
        let now = click.at_ms.map(|reading| self.advance(reading));
        // Both memories are brought up to date whatever the verdict: a stream of refused clicks
        // must not look like silence.
        let flood = now.is_some_and(|now| self.is_flood(now));
        let duplicate = self.is_duplicate(click, now);
        let verdict = if flood {
            Verdict::Flood
        } else if duplicate {
            Verdict::Duplicate
        } else if self.is_bounce(click) {
            Verdict::Bounce
        } else {
            Verdict::Accept
        };
        if verdict != Verdict::Duplicate {
            self.clicks = self.clicks.saturating_add(1);
        }
        verdict
    }

    /// Clicks judged so far, duplicates not counted.
    #[must_use]
    pub fn clicks(&self) -> usize {
        self.clicks
    }

    /// Whether the session is too long for a person: nothing of it should be learned from.
    #[must_use]
    pub fn is_robot(&self) -> bool {
        self.rules.robots && self.clicks > self.rules.max_clicks_per_session
    }

    /// Moves the inner clock on by what the reading moved forward.
    fn advance(&mut self, reading: i64) -> i64 {
        if let Some(last) = self.last_reading {
            let step = reading.saturating_sub(last).max(0);
            self.now = self.now.saturating_add(step);
        }
        self.last_reading = Some(reading);
        self.now
    }

    fn is_flood(&mut self, now: i64) -> bool {
        let limit = self.rules.flood_clicks.min(MAX_FLOOD_CLICKS);
        if !self.rules.floods || limit == 0 {
            return false;
        }
        let full = self.moments.len() == limit;
        let oldest = if full { self.moments.pop_front() } else { None };
        self.moments.push_back(now);
        oldest.is_some_and(|oldest| now.saturating_sub(oldest) < self.rules.flood_window_ms)
    }

    fn is_duplicate(&mut self, click: &Click, now: Option<i64>) -> bool {
        // Two searches may be for different words, which are not known here.
        if !self.rules.duplicates || !click.kind.names_item() {
            self.previous_timeless = None;
            return false;
        }
        let Some(now) = now else {
            let this = (click.item, click.kind);
            let same = self.previous_timeless.replace(this) == Some(this);
            return same && self.rules.consecutive_is_duplicate;
        };
        self.previous_timeless = None;
        let window = self.rules.duplicate_window_ms;
        let duplicate = self.recent.iter().any(|recent| {
            recent.item == click.item && recent.kind == click.kind && now.saturating_sub(recent.at) <= window
        });
        if self.recent.len() == DUPLICATE_MEMORY {
            self.recent.pop_front();
        }
        self.recent.push_back(Recent { item: click.item, kind: click.kind, at: now });
        duplicate
    }

    fn is_bounce(&self, click: &Click) -> bool {
        self.rules.bounces
            && click.kind == EventKind::ViewItem
            && click.dwell_ms.is_some_and(|dwell| dwell < self.rules.bounce_dwell_ms)
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Clicks refused, by reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts([u64; Reason::ALL.len()]);

impl Counts {
    /// Clicks refused for one reason.
    #[must_use]
    pub const fn get(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    /// Counts `clicks` more for a reason.
    pub fn add(&mut self, reason: Reason, clicks: u64) {
        self.0[reason as usize] += clicks;
    }

    /// Clicks refused for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// What [`judge_session`] says about a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionVerdict {
    /// For each click, whether to learn from it; all `false` for a robot.
    pub keep: Vec<bool>,
    /// How many were refused and why. Every refused click is counted once: those of a robot's
    /// session as [`Reason::Robot`].
    pub reasons: Counts,
    /// Whether the session is a robot's.
    pub robot: bool,
}

/// Judges a whole session, its clicks in the order they happened.
#[must_use]
pub fn judge_session(clicks: &[Click], rules: &Rules) -> SessionVerdict {
    let mut gate = Gate::new(*rules);
    let mut reasons = Counts::default();
    let keep: Vec<bool> = clicks
        .iter()
        .map(|click| {
            let refused = gate.judge(click).reason();
            if let Some(reason) = refused {
                reasons.add(reason, 1);
            }
            refused.is_none()
        })
        .collect();
    if !gate.is_robot() {
        return SessionVerdict { keep, reasons, robot: false };
    }
    let mut reasons = Counts::default();
    reasons.add(Reason::Robot, clicks.len() as u64);
    SessionVerdict { keep: vec![false; clicks.len()], reasons, robot: true }
}

#[cfg(test)]
mod tests;
