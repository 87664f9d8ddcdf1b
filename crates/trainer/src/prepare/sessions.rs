//! Sorted rows become clean sessions, one at a time.

use std::collections::BTreeMap;

use anyhow::Result;
use onshelf_core::quality::{Counts, Gate, Reason, Rules};

use super::events::{Event, NO_ITEM};
use crate::spill::Sorted;

/// How sessions are made of a sorted log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Making {
    /// An owner is a user, whose sessions end after so many milliseconds without a click.
    pub(super) gap_ms: Option<i64>,
    pub(super) has_times: bool,
    pub(super) rules: Rules,
}

/// What was dropped on the way.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    /// Clicks by reason.
    pub(super) clicks: BTreeMap<String, u64>,
    /// Sessions of robots.
    pub(super) robots: usize,
}

impl Dropped {
    pub(super) fn count(&mut self, reason: &str, clicks: u64) {
        if clicks > 0 {
            *self.clicks.entry(reason.to_owned()).or_default() += clicks;
        }
    }
}

impl Making {
    /// Hands over each session that has clicks after the rules and without events that name no
    /// item, its clicks in time order. Only one session is in memory.
    pub(super) fn each(
        &self,
        log: &Sorted<Event>,
        mut session: impl FnMut(&mut Vec<Event>) -> Result<()>,
    ) -> Result<Dropped> {
        let mut dropped = Dropped::default();
        let mut judge = Judge::new(&self.rules);
        let mut last: Option<Event> = None;
        for event in log.iter()? {
            let event = event?;
            let goes_on = last.is_some_and(|last| {
                last.owner == event.owner && self.gap_ms.is_none_or(|gap| event.time - last.time < gap)
            });
            if !goes_on {
                judge.finish(&mut dropped, &mut session)?;
                judge = Judge { kept: judge.kept, ..Judge::new(&self.rules) };
            }
            judge.push(&event, self.has_times);
            last = Some(event);
        }
        judge.finish(&mut dropped, &mut session)?;
        Ok(dropped)
    }
}

/// Judges a session as [`onshelf_core::quality::judge_session`] does, but without holding all of
/// it: of a robot's, which may be a large part of a log, nothing is kept.
struct Judge {
    gate: Gate,
    clicks: u64,
    reasons: Counts,
    kept: Vec<Event>,
}

impl Judge {
    fn new(rules: &Rules) -> Self {
        Self { gate: Gate::new(*rules), clicks: 0, reasons: Counts::default(), kept: Vec::new() }
    }

    fn push(&mut self, event: &Event, has_times: bool) {
        self.clicks += 1;
        match self.gate.judge(&event.click(has_times)).reason() {
            Some(reason) => self.reasons.add(reason, 1),
            None => self.kept.push(*event),
        }
        if self.gate.is_robot() {
            self.kept.clear();
        }
    }

    /// Counts what was dropped and hands over the rest; `kept` is empty afterwards.
    fn finish(
        &mut self,
        dropped: &mut Dropped,
        session: &mut impl FnMut(&mut Vec<Event>) -> Result<()>,
    ) -> Result<()> {
        if self.gate.is_robot() {
            dropped.robots += 1;
            dropped.count(Reason::Robot.as_str(), self.clicks);
            return Ok(());
        }
        for reason in Reason::ALL {
            dropped.count(reason.as_str(), self.reasons.get(reason));
        }
        let before = self.kept.len();
        self.kept.retain(|event| event.item != NO_ITEM);
        dropped.count("no_item", (before - self.kept.len()) as u64);
        if !self.kept.is_empty() {
            session(&mut self.kept)?;
            self.kept.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use onshelf_core::event::EventKind;
    use onshelf_core::quality::judge_session;
    use proptest::prelude::*;

    use super::super::events::NO_DWELL;
    use super::*;
    use crate::spill::Spill;

    fn event(time: i64, item: u32, dwell: Option<u32>, seq: u64) -> Event {
        let kind = if item == 0 { EventKind::Search } else { EventKind::ViewItem };
        let item = if item == 0 { NO_ITEM } else { item };
        Event { owner: 1, time, seq, item, period: 0, dwell: dwell.unwrap_or(NO_DWELL), kind }
    }

    proptest! {
        /// What the rules of the core say of a whole session holds for one that streams by.
        #[test]
        fn a_session_is_judged_as_the_core_judges_it(
            rows in proptest::collection::vec((0_i64..3_000, 0_u32..6, proptest::option::of(0_u32..2_000)), 1..60),
            limit in 3_usize..40,
            robots: bool,
        ) {
            let rules = Rules { robots, max_clicks_per_session: limit, flood_clicks: 5, flood_window_ms: 2_000, ..Rules::default() };
            let mut now = 0;
            let events: Vec<Event> = (0..).zip(&rows).map(|(seq, &(step, item, dwell))| {
                now += step;
                event(now, item, dwell, seq)
            }).collect();
            let clicks: Vec<_> = events.iter().map(|event| event.click(true)).collect();
            let expected = judge_session(&clicks, &rules);

            let output = tempfile::tempdir().unwrap();
            let spill = Spill::create(output.path()).unwrap();
            let mut sorter = spill.sorter("events", 256);
            events.iter().for_each(|event| sorter.push(*event).unwrap());
            let mut kept = Vec::new();
            let making = Making { gap_ms: None, has_times: true, rules };
            let dropped = making.each(&sorter.finish().unwrap(), |session| {
                kept.append(session);
                Ok(())
            }).unwrap();

            let keep = events.iter().zip(&expected.keep).filter(|(event, keep)| **keep && event.item != NO_ITEM);
            prop_assert_eq!(kept, keep.map(|(event, _)| *event).collect::<Vec<_>>());
            prop_assert_eq!(dropped.robots, usize::from(expected.robot));
            for reason in Reason::ALL {
                let found = dropped.clicks.get(reason.as_str()).copied().unwrap_or(0);
                prop_assert_eq!(found, expected.reasons.get(reason));
            }
        }
    }
}
