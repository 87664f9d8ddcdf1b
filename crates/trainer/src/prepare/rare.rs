//! Rare items and short sessions: dropping the one may make more of the other.

use anyhow::Result;

use super::events::Event;
use super::sessions::Making;
use crate::spill::Sorted;

/// Which items are dropped, found in rounds: each round drops the items that are rare by then, and
/// after them the sessions that are short by then. A session's fate follows from the rounds of its
/// items, so that the log is read again instead of being kept in memory or written anew.
pub(super) struct Limits {
    min_session: usize,
    /// The round in which each item is dropped; [`NEVER`] if it stays.
    round: Vec<u32>,
    rounds: u32,
}

const NEVER: u32 = 0;

/// Clicks of a session that a limit drops.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Below {
    pub(super) rare: u64,
    pub(super) short: u64,
}

impl Limits {
    /// Finds the rare among `items` items.
    pub(super) fn find(
        log: &Sorted<Event>,
        making: &Making,
        items: usize,
        min_item_count: usize,
        min_session: usize,
    ) -> Result<Self> {
        let mut limits = Self { min_session, round: vec![NEVER; items], rounds: 0 };
        if min_item_count <= 1 {
            return Ok(limits);
        }
        loop {
            let mut clicks = vec![0_u64; items];
            making.each(log, |session| {
                // The first round counts what is there before anything is dropped.
                if limits.rounds > 0 {
                    limits.apply(session);
                }
                session.iter().for_each(|event| clicks[event.item as usize] += 1);
                Ok(())
            })?;
            limits.rounds += 1;
            let mut found = false;
            for (round, &clicks) in limits.round.iter_mut().zip(&clicks) {
                if *round == NEVER && clicks > 0 && clicks < min_item_count as u64 {
                    *round = limits.rounds;
                    found = true;
                }
            }
            // After the first round, short sessions may have made more items rare.
            if !found && limits.rounds > 1 {
                return Ok(limits);
            }
        }
    }

    /// Drops clicks of a session, and tells why.
    pub(super) fn apply(&self, session: &mut Vec<Event>) -> Below {
        let mut below = Below::default();
        for round in 1..=self.rounds.max(1) {
            let before = session.len();
            session.retain(|event| self.round[event.item as usize] != round);
            below.rare += (before - session.len()) as u64;
            if session.len() < self.min_session {
                below.short += session.len() as u64;
                session.clear();
                break;
            }
        }
        below
    }
}
