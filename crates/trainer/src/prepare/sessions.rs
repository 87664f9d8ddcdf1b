//! From good rows to clean sessions in temporal order.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use anyhow::{Result, ensure};
use onshelf_core::event::{Click, EventKind};
use onshelf_core::quality::{Reason, Rules, judge_session};

use super::{PrepareOptions, Source};

/// Stands for the item of an event that names none.
pub(super) const NO_ITEM: u32 = u32::MAX;
/// Stands for an unknown dwell.
pub(super) const NO_DWELL: u32 = u32::MAX;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// A good row, packed: logs have tens of millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Event {
    /// Number of its session or user.
    pub(super) owner: u32,
    /// Number of its item in the order of the source, or [`NO_ITEM`].
    pub(super) item: u32,
    /// Unix milliseconds; 0 throughout when the source has no times.
    pub(super) time: i64,
    /// Its place in the source.
    pub(super) seq: u32,
    pub(super) period: u32,
    /// Milliseconds, or [`NO_DWELL`].
    pub(super) dwell: u32,
    pub(super) kind: EventKind,
}

/// Clean sessions in the order of their periods, and within a period by their first click.
pub(super) struct Arranged {
    /// Session after session, the clicks of each in time order.
    events: Vec<Event>,
    /// Clicks that were dropped, by reason.
    pub(super) filtered: BTreeMap<String, u64>,
    /// Sessions dropped as a robot's.
    pub(super) robots: usize,
    /// Why a rule could not be applied, by the rule's reason.
    pub(super) not_applicable: BTreeMap<&'static str, &'static str>,
    /// The rules as they were applied.
    pub(super) rules: Rules,
    /// How sessions and periods came about.
    pub(super) notes: Vec<String>,
}

impl Arranged {
    pub(super) fn sessions(&self) -> impl Iterator<Item = &[Event]> {
        self.events.chunk_by(|a, b| a.owner == b.owner)
    }
}

/// Makes sessions of events in the order of the source, whose items are numbered below `items`.
pub(super) fn arrange(
    mut events: Vec<Event>,
    items: usize,
    source: &Source,
    options: &PrepareOptions,
) -> Result<Arranged> {
    let mut notes = Vec::new();
    // Stable, so that clicks of the same moment keep the order of the source.
    events.sort_by_key(|event| (event.owner, event.time));
    if source.has_users(options) {
        notes.push("a session is the whole history of one user".to_owned());
    } else if source.by_user {
        cut(&mut events, i64::from(options.inactivity_minutes) * MINUTE_MS);
        notes.push(format!(
            "the log has no sessions: those of a user end after {} minutes without a click",
            options.inactivity_minutes
        ));
    }
    let not_applicable = not_applicable(&events, source, options);
    let rules = applied_rules(&options.rules, &not_applicable);
    let mut filtered = BTreeMap::new();
    let robots = apply_rules(&mut events, source, &rules, &mut filtered);
    drop_short_and_rare(&mut events, items, source, options, &mut filtered);
    ensure!(!events.is_empty(), "no click is left: all were filtered ({})", super::report::list(&filtered));
    notes.push(assign_periods(&mut events, source, options)?);
    Ok(Arranged { events: in_order(&events), filtered, robots, not_applicable, rules, notes })
}

/// Makes a new owner of every stretch of an owner's events without a gap of `gap_ms` or more.
fn cut(events: &mut [Event], gap_ms: i64) {
    let mut next = 0_u32;
    let mut previous: Option<Event> = None;
    for event in events {
        let goes_on =
            previous.is_some_and(|last| last.owner == event.owner && event.time - last.time < gap_ms);
        if previous.is_some() && !goes_on {
            next += 1;
        }
        previous = Some(*event);
        event.owner = next;
    }
}

/// Which rules this source does not allow, and why.
fn not_applicable(
    events: &[Event],
    source: &Source,
    options: &PrepareOptions,
) -> BTreeMap<&'static str, &'static str> {
    let mut reasons = BTreeMap::new();
    if !source.has_times {
        reasons.insert(Reason::Flood.as_str(), "the source has no times");
        if !options.rules.consecutive_is_duplicate {
            reasons.insert(Reason::Duplicate.as_str(), "the source has no times");
        }
    }
    if events.iter().all(|event| event.dwell == NO_DWELL) {
        reasons.insert(Reason::Bounce.as_str(), "the source has no dwell times");
    }
    if source.has_users(options) {
        reasons.insert(Reason::Robot.as_str(), "a history of years may be long");
    }
    reasons
}

fn applied_rules(asked: &Rules, not_applicable: &BTreeMap<&str, &str>) -> Rules {
    let may = |reason: Reason| !not_applicable.contains_key(reason.as_str());
    Rules {
        robots: asked.robots && may(Reason::Robot),
        floods: asked.floods && may(Reason::Flood),
        duplicates: asked.duplicates && may(Reason::Duplicate),
        bounces: asked.bounces && may(Reason::Bounce),
        ..*asked
    }
}

/// Drops what the rules refuse, and events that name no item; returns how many robots there were.
fn apply_rules(
    events: &mut Vec<Event>,
    source: &Source,
    rules: &Rules,
    filtered: &mut BTreeMap<String, u64>,
) -> usize {
    let mut keep = Vec::with_capacity(events.len());
    let mut robots = 0;
    let mut clicks = Vec::new();
    for session in events.chunk_by(|a, b| a.owner == b.owner) {
        clicks.clear();
        clicks.extend(session.iter().map(|event| click(event, source.has_times)));
        let verdict = judge_session(&clicks, rules);
        robots += usize::from(verdict.robot);
        for reason in Reason::ALL {
            count(filtered, reason.as_str(), verdict.reasons.get(reason));
        }
        keep.extend(verdict.keep);
    }
    retain(events, &keep);
    let before = events.len();
    events.retain(|event| event.item != NO_ITEM);
    count(filtered, "no_item", (before - events.len()) as u64);
    robots
}

fn click(event: &Event, has_times: bool) -> Click {
    Click {
        // The rules only compare items; 0 stands for none.
        item: event.item.wrapping_add(1),
        kind: event.kind,
        at_ms: has_times.then_some(event.time),
        dwell_ms: (event.dwell != NO_DWELL).then_some(event.dwell),
    }
}

fn count(filtered: &mut BTreeMap<String, u64>, reason: &str, clicks: u64) {
    if clicks > 0 {
        *filtered.entry(reason.to_owned()).or_default() += clicks;
    }
}

/// Drops rare items and short sessions until both limits hold: dropping the one may make more of
/// the other.
fn drop_short_and_rare(
    events: &mut Vec<Event>,
    items: usize,
    source: &Source,
    options: &PrepareOptions,
    filtered: &mut BTreeMap<String, u64>,
) {
    let min_session = options.min_session.unwrap_or(if source.prepared { 1 } else { 2 });
    loop {
        let before = events.len();
        let mut clicks = vec![0_usize; items];
        for event in events.iter() {
            clicks[event.item as usize] += 1;
        }
        events.retain(|event| clicks[event.item as usize] >= options.min_item_count);
        count(filtered, "rare_item", (before - events.len()) as u64);

        let common = events.len();
        let mut keep = Vec::with_capacity(common);
        for session in events.chunk_by(|a, b| a.owner == b.owner) {
            keep.resize(keep.len() + session.len(), session.len() >= min_session);
        }
        retain(events, &keep);
        count(filtered, "short_session", (common - events.len()) as u64);
        if events.len() == before {
            break;
        }
    }
}

fn retain(events: &mut Vec<Event>, keep: &[bool]) {
    let mut keep = keep.iter();
    events.retain(|_| keep.next().copied().unwrap_or(false));
}

/// Gives every session its period; the text says how.
fn assign_periods(events: &mut [Event], source: &Source, options: &PrepareOptions) -> Result<String> {
    let Some(days) = options.period_days else {
        return Ok(if source.has_periods {
            "periods are those of the source; a session id that comes again in a later period is \
             another session"
                .to_owned()
        } else {
            "everything is period 0".to_owned()
        });
    };
    ensure!(source.has_times, "--period-days needs times, which the source has not");
    ensure!(days > 0, "a period has at least one day");
    let first = events.iter().map(|event| event.time).min().unwrap_or(0);
    for session in events.chunk_by_mut(|a, b| a.owner == b.owner) {
        let period = (session[0].time - first) / (i64::from(days) * DAY_MS);
        session.iter_mut().try_for_each(|event| {
            event.period = u32::try_from(period)?;
            anyhow::Ok(())
        })?;
    }
    Ok(format!("a period is {days} days from the first click; a session belongs where it begins"))
}

/// The sessions by period, then by their first click.
fn in_order(events: &[Event]) -> Vec<Event> {
    let mut sessions: Vec<_> = events.chunk_by(|a, b| a.owner == b.owner).collect();
    sessions.sort_by_key(|session| (session[0].period, session[0].time, session[0].seq));
    sessions.concat()
}

/// The items that have clicks, in the order of their indices, and whether those are the source's
/// own numbers.
///
/// In the order of first appearance, unless the source is a prepared set whose ids are just the
/// numbers 1 to n: then figures and examples elsewhere name items by these numbers. Numbers that
/// would put an item of a later period before one of an earlier period are not kept, since "all
/// items seen so far" must be the first so many.
pub(super) fn number_items(arranged: &Arranged, ids: &[Rc<str>], source: &Source) -> (Vec<u32>, bool) {
    let mut events: Vec<&Event> = arranged.events.iter().collect();
    events.sort_by_key(|event| (event.period, event.time, event.seq));
    let mut seen = HashSet::new();
    let first: Vec<&Event> = events.into_iter().filter(|event| seen.insert(event.item)).collect();
    let order = || first.iter().map(|event| event.item).collect();
    if !source.prepared {
        return (order(), false);
    }
    match given_numbers(&first, ids) {
        Some(given) => (given, true),
        None => (order(), false),
    }
}

/// The items by their own numbers, if these are 1 to n and never run against the periods.
fn given_numbers(first: &[&Event], ids: &[Rc<str>]) -> Option<Vec<u32>> {
    let mut given = vec![None; first.len()];
    for event in first {
        let id = &*ids[event.item as usize];
        let number: usize = id.parse().ok().filter(|number: &usize| number.to_string() == id)?;
        *given.get_mut(number.checked_sub(1)?)? = Some((event.period, event.item));
    }
    let given: Vec<(u32, u32)> = given.into_iter().collect::<Option<_>>()?;
    let ascending = given.is_sorted_by_key(|(period, _)| *period);
    ascending.then(|| given.into_iter().map(|(_, item)| item).collect())
}

/// The share of clicks, other than the first of their session, on an item that the session had
/// before.
pub(super) fn repeat_share<'a>(sessions: impl Iterator<Item = &'a [u32]>) -> f64 {
    let (mut repeats, mut targets) = (0_u64, 0_u64);
    for session in sessions {
        let mut seen = HashSet::new();
        let distinct = session.iter().filter(|item| seen.insert(**item)).count();
        repeats += (session.len() - distinct) as u64;
        targets += session.len().saturating_sub(1) as u64;
    }
    if targets == 0 { 0.0 } else { repeats as f64 / targets as f64 }
}

/// The value below or at which the share `q` (0 to 1) of the sorted values lies.
pub(super) fn quantile(sorted: &[usize], q: f64) -> usize {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or(0)
}

/// Lengths in ascending order.
pub(super) fn sorted_lengths<'a>(sessions: impl Iterator<Item = &'a [u32]>) -> Vec<usize> {
    let mut lengths: Vec<usize> = sessions.map(<[u32]>::len).collect();
    lengths.sort_unstable();
    lengths
}
