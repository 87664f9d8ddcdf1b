//! From a sorted log to clean sessions in temporal order.

use std::collections::BTreeMap;
use std::rc::Rc;

use anyhow::{Result, ensure};
use onshelf_core::quality::{Reason, Rules};

use super::collect::Collected;
use super::events::Placed;
use super::rare::Limits;
use super::sessions::Making;
use super::{PrepareOptions, Source};
use crate::spill::{Sorted, Sorter};

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;

/// Clean sessions in the order of their periods, and within a period by their first click.
pub(super) struct Arranged {
    placed: Sorted<Placed>,
    periods: Periods,
    /// Number of sessions.
    pub(super) sessions: usize,
    /// Number of clicks.
    pub(super) clicks: usize,
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

/// How sessions get their periods.
#[derive(Clone, Copy)]
struct Periods {
    /// The first click of all.
    first_ms: i64,
    /// The last click of all.
    last_ms: i64,
    cut: Cut,
}

/// Where a period ends.
#[derive(Clone, Copy)]
enum Cut {
    /// Where the source says.
    Source,
    /// After so many milliseconds.
    Every(i64),
    /// Once: so many milliseconds before the end.
    Last(i64),
}

impl Periods {
    fn of(self, click: &Placed) -> Result<u32> {
        Ok(match self.cut {
            Cut::Every(length) => u32::try_from((click.first_time - self.first_ms) / length)?,
            Cut::Last(length) => u32::from(click.first_time > self.last_ms - length),
            Cut::Source => click.period,
        })
    }
}

/// Makes sessions of what was collected, and sorts them with `sorter`.
pub(super) fn arrange(
    collected: &Collected,
    source: &Source,
    options: &PrepareOptions,
    mut sorter: Sorter<Placed>,
) -> Result<Arranged> {
    let mut notes = Vec::new();
    let mut gap_ms = None;
    if source.has_users(options) {
        notes.push("a session is the whole history of one user".to_owned());
    } else if source.by_user {
        gap_ms = Some(i64::from(options.inactivity_minutes) * MINUTE_MS);
        notes.push(format!(
            "the log has no sessions: those of a user end after {} minutes without a click",
            options.inactivity_minutes
        ));
    }
    let not_applicable = not_applicable(collected.has_dwell, source, options);
    let rules = applied_rules(&options.rules, &not_applicable);
    let making = Making { gap_ms, has_times: source.has_times, rules };
    let min_session = options.min_session.unwrap_or(if source.prepared { 1 } else { 2 });
    let limits =
        Limits::find(&collected.log, &making, collected.items.len(), options.min_item_count, min_session)?;

    let (mut sessions, mut clicks, mut first_ms, mut last_ms) = (0, 0, i64::MAX, i64::MIN);
    let (mut rare, mut short) = (0, 0);
    let mut dropped = making.each(&collected.log, |session| {
        let below = limits.apply(session);
        rare += below.rare;
        short += below.short;
        let Some(first) = session.first().copied() else {
            return Ok(());
        };
        sessions += 1;
        clicks += session.len();
        first_ms = first_ms.min(first.time);
        last_ms = last_ms.max(session.last().map_or(i64::MIN, |last| last.time));
        session.iter().try_for_each(|event| {
            sorter.push(Placed {
                period: event.period,
                first_time: first.time,
                first_seq: first.seq,
                time: event.time,
                seq: event.seq,
                item: event.item,
                kind: event.kind,
            })
        })
    })?;
    dropped.count("rare_item", rare);
    dropped.count("short_session", short);
    let (filtered, robots) = (dropped.clicks, dropped.robots);
    ensure!(clicks > 0, "no click is left: all were filtered ({})", super::report::list(&filtered));
    let (cut, note) = cut(source, options)?;
    notes.push(note);
    let periods = Periods { first_ms, last_ms, cut };
    let placed = sorter.finish()?;
    Ok(Arranged { placed, periods, sessions, clicks, filtered, robots, not_applicable, rules, notes })
}

/// Which rules this source does not allow, and why.
fn not_applicable(
    has_dwell: bool,
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
    if !has_dwell {
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

/// Where periods end; the text says how sessions get theirs.
fn cut(source: &Source, options: &PrepareOptions) -> Result<(Cut, String)> {
    let (name, Some(days)) = (match options.last_days {
        Some(days) => ("--last-days", Some(days)),
        None => ("--period-days", options.period_days),
    }) else {
        let note = if source.has_periods {
            "periods are those of the source; a session id that comes again in a later period is \
             another session"
        } else {
            "everything is period 0"
        };
        return Ok((Cut::Source, note.to_owned()));
    };
    ensure!(source.has_times, "{name} needs times, which the source has not");
    ensure!(days > 0, "{name} needs one day or more");
    let length = i64::from(days) * DAY_MS;
    Ok(if options.last_days.is_some() {
        (
            Cut::Last(length),
            format!("period 1 is of the sessions that begin in the last {days} days, period 0 of all before"),
        )
    } else {
        let note = format!("a period is {days} days from the first click; a session belongs where it begins");
        (Cut::Every(length), note)
    })
}

impl Arranged {
    /// Hands over each session with its period.
    pub(super) fn each(&self, mut session: impl FnMut(u32, &[Placed]) -> Result<()>) -> Result<()> {
        let mut clicks: Vec<Placed> = Vec::new();
        for click in self.placed.iter()? {
            let click = click?;
            if clicks.first().is_some_and(|first| first.first_seq != click.first_seq) {
                session(self.periods.of(&clicks[0])?, &clicks)?;
                clicks.clear();
            }
            clicks.push(click);
        }
        match clicks.first() {
            Some(first) => session(self.periods.of(first)?, &clicks),
            None => Ok(()),
        }
    }

    /// The items that have clicks, in the order of their indices, and whether those are the
    /// source's own numbers.
    ///
    /// In the order of first appearance, unless the source is a prepared set whose ids are just the
    /// numbers 1 to n: then figures and examples elsewhere name items by these numbers. Numbers that
    /// would put an item of a later period before one of an earlier period are not kept, since "all
    /// items seen so far" must be the first so many.
    pub(super) fn number_items(&self, ids: &[Rc<str>], source: &Source) -> Result<(Vec<u32>, bool)> {
        let mut firsts = vec![None; ids.len()];
        self.each(|period, clicks| {
            for click in clicks {
                let this = (period, click.time, click.seq);
                let first = firsts[click.item as usize].get_or_insert(this);
                *first = this.min(*first);
            }
            Ok(())
        })?;
        let firsts = (0_u32..).zip(firsts);
        let mut order: Vec<_> = firsts.filter_map(|(item, first)| Some((first?, item))).collect();
        order.sort_unstable();
        let given = if source.prepared { given_numbers(&order, ids) } else { None };
        Ok(match given {
            Some(given) => (given, true),
            None => (order.into_iter().map(|(_, item)| item).collect(), false),
        })
    }
}

/// The items by their own numbers, if these are 1 to n and never run against the periods.
fn given_numbers(order: &[((u32, i64, u64), u32)], ids: &[Rc<str>]) -> Option<Vec<u32>> {
    let mut given = vec![None; order.len()];
    for ((period, ..), item) in order {
        let id = &*ids[*item as usize];
        let number: usize = id.parse().ok().filter(|number: &usize| number.to_string() == id)?;
        *given.get_mut(number.checked_sub(1)?)? = Some((*period, *item));
    }
    let given: Vec<(u32, u32)> = given.into_iter().collect::<Option<_>>()?;
    let ascending = given.is_sorted_by_key(|(period, _)| *period);
    ascending.then(|| given.into_iter().map(|(_, item)| item).collect())
}
