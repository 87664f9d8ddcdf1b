//! The rows that are sorted: [`Event`]s by session, and then [`Placed`] clicks by period and time.

use onshelf_core::event::{Click, EventKind};

use crate::spill::{Record, take};

/// Stands for the item of an event that names none.
pub(super) const NO_ITEM: u32 = u32::MAX;
/// Stands for an unknown dwell.
pub(super) const NO_DWELL: u32 = u32::MAX;

/// A good row. In order, those of a session or user stand together, by time and then as in the
/// source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Event {
    /// Stands for its session or user.
    pub(super) owner: u128,
    /// Unix milliseconds; 0 throughout when the source has no times.
    pub(super) time: i64,
    /// Its place in the source.
    pub(super) seq: u64,
    /// Number of its item in the order of the source, or [`NO_ITEM`].
    pub(super) item: u32,
    pub(super) period: u32,
    /// Milliseconds, or [`NO_DWELL`].
    pub(super) dwell: u32,
    pub(super) kind: EventKind,
}

impl Event {
    /// The event as the rules see it.
    pub(super) fn click(&self, has_times: bool) -> Click {
        Click {
            // The rules only compare items; 0 stands for none.
            item: self.item.wrapping_add(1),
            kind: self.kind,
            at_ms: has_times.then_some(self.time),
            dwell_ms: (self.dwell != NO_DWELL).then_some(self.dwell),
        }
    }
}

impl Record for Event {
    const BYTES: usize = 45;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.owner.to_le_bytes());
        out.extend(self.time.to_le_bytes());
        out.extend(self.seq.to_le_bytes());
        out.extend(self.item.to_le_bytes());
        out.extend(self.period.to_le_bytes());
        out.extend(self.dwell.to_le_bytes());
        out.push(self.kind.code());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            owner: u128::from_le_bytes(take(bytes)?),
            time: i64::from_le_bytes(take(bytes)?),
            seq: u64::from_le_bytes(take(bytes)?),
            item: u32::from_le_bytes(take(bytes)?),
            period: u32::from_le_bytes(take(bytes)?),
            dwell: u32::from_le_bytes(take(bytes)?),
            kind: kind(bytes)?,
        })
    }
}

/// A click that is kept. In order, sessions stand by period and first click, and the clicks of each
/// by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Placed {
    /// The period that the source gives, else 0.
    pub(super) period: u32,
    /// Time of the first click of its session.
    pub(super) first_time: i64,
    /// Place of that click in the source, which no other session shares.
    pub(super) first_seq: u64,
    pub(super) time: i64,
    pub(super) seq: u64,
    pub(super) item: u32,
    pub(super) kind: EventKind,
}

impl Record for Placed {
    const BYTES: usize = 41;

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.period.to_le_bytes());
        out.extend(self.first_time.to_le_bytes());
        out.extend(self.first_seq.to_le_bytes());
        out.extend(self.time.to_le_bytes());
        out.extend(self.seq.to_le_bytes());
        out.extend(self.item.to_le_bytes());
        out.push(self.kind.code());
    }

    fn decode(bytes: &mut &[u8]) -> Option<Self> {
        Some(Self {
            period: u32::from_le_bytes(take(bytes)?),
            first_time: i64::from_le_bytes(take(bytes)?),
            first_seq: u64::from_le_bytes(take(bytes)?),
            time: i64::from_le_bytes(take(bytes)?),
            seq: u64::from_le_bytes(take(bytes)?),
            item: u32::from_le_bytes(take(bytes)?),
            kind: kind(bytes)?,
        })
    }
}

fn kind(bytes: &mut &[u8]) -> Option<EventKind> {
    let [code] = take(bytes)?;
    EventKind::from_code(code).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again<R: Record + std::fmt::Debug>(record: R) {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(bytes.len(), R::BYTES);
        assert_eq!(R::decode(&mut &*bytes), Some(record));
        assert_eq!(R::decode(&mut &bytes[1..]), None);
    }

    #[test]
    fn records_are_read_back() {
        let (time, kind) = (-5, EventKind::Purchase);
        again(Event { owner: u128::MAX - 1, time, seq: 1 << 40, item: 7, period: 8, dwell: NO_DWELL, kind });
        again(Placed { period: 1, first_time: 2, first_seq: u64::MAX, time, seq: 3, item: NO_ITEM, kind });
    }
}
