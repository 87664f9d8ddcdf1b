//! The packed sessions of a data set.

use std::ops::Range;

use anyhow::{Result, bail, ensure};
use onshelf_core::event::EventKind;
use safetensors::{Dtype, SafeTensors};

/// The sessions of a data set, in the order of their periods, packed.
#[derive(Debug, Clone, PartialEq)]
pub struct Sessions {
    items: Vec<u32>,
    kinds: Vec<EventKind>,
    /// Empty when the source has no times.
    times: Vec<i64>,
    has_times: bool,
    /// Where each session begins in the columns above, and the end of the last.
    offsets: Vec<u64>,
    periods: Vec<u32>,
}

impl Sessions {
    /// No sessions yet. `has_times` says whether every click will have a time.
    #[must_use]
    pub fn new(has_times: bool) -> Self {
        Self {
            items: Vec::new(),
            kinds: Vec::new(),
            times: Vec::new(),
            has_times,
            offsets: vec![0],
            periods: Vec::new(),
        }
    }

    /// Adds a session: for each click, in time order, its item (from 1), kind and time in Unix
    /// milliseconds (ignored in a set without times).
    ///
    /// # Errors
    ///
    /// When `period` is before that of the previous session.
    pub fn push(
        &mut self,
        period: u32,
        clicks: impl IntoIterator<Item = (u32, EventKind, i64)>,
    ) -> Result<()> {
        let last = self.periods.last().copied().unwrap_or(0);
        ensure!(period >= last, "session of period {period} after period {last}");
        for (item, kind, time) in clicks {
            self.items.push(item);
            self.kinds.push(kind);
            if self.has_times {
                self.times.push(time);
            }
        }
        self.offsets.push(self.items.len() as u64);
        self.periods.push(period);
        Ok(())
    }

    /// Number of sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.periods.len()
    }

    /// Whether there is no session.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.periods.is_empty()
    }

    /// Number of clicks in all sessions.
    #[must_use]
    pub fn clicks(&self) -> usize {
        self.items.len()
    }

    /// Whether clicks have times.
    #[must_use]
    pub fn has_times(&self) -> bool {
        self.has_times
    }

    /// The items of session `i`, oldest first.
    ///
    /// # Panics
    ///
    /// This and the other accessors of one session when `i` is not below [`Self::len`].
    #[must_use]
    pub fn session(&self, i: usize) -> &[u32] {
        &self.items[self.range(i)]
    }

    /// The kinds of the clicks of session `i`.
    #[must_use]
    pub fn kinds(&self, i: usize) -> &[EventKind] {
        &self.kinds[self.range(i)]
    }

    /// The times of the clicks of session `i` in Unix milliseconds; `None` without times.
    #[must_use]
    pub fn times(&self, i: usize) -> Option<&[i64]> {
        self.has_times.then(|| &self.times[self.range(i)])
    }

    /// The period of session `i`, from 0.
    #[must_use]
    pub fn period(&self, i: usize) -> u32 {
        self.periods[i]
    }

    /// The sessions of a period; empty when it has none.
    #[must_use]
    pub fn in_period(&self, period: u32) -> Range<usize> {
        let start = self.before_period(period).end;
        start..self.periods.partition_point(|&p| p <= period)
    }

    /// The sessions of all periods before one.
    #[must_use]
    pub fn before_period(&self, period: u32) -> Range<usize> {
        0..self.periods.partition_point(|&p| p < period)
    }

    /// Each period that has sessions, ascending, with its sessions.
    pub fn by_period(&self) -> impl Iterator<Item = (u32, Range<usize>)> + '_ {
        let mut start = 0;
        std::iter::from_fn(move || {
            let period = *self.periods.get(start)?;
            let sessions = self.in_period(period);
            start = sessions.end;
            Some((period, sessions))
        })
    }

    fn range(&self, i: usize) -> Range<usize> {
        self.offsets[i] as usize..self.offsets[i + 1] as usize
    }

    pub(super) fn from_bytes(bytes: &[u8], items_known: usize, has_times: bool) -> Result<Self> {
        let tensors = SafeTensors::deserialize(bytes)?;
        let kinds = column(&tensors, "kinds", Dtype::U8, |[code]: [u8; 1]| code)?;
        let sessions = Self {
            items: column(&tensors, "items", Dtype::U32, u32::from_le_bytes)?,
            kinds: kinds.into_iter().map(EventKind::from_code).collect::<Result<_, _>>()?,
            times: column(&tensors, "times", Dtype::I64, i64::from_le_bytes)?,
            has_times,
            offsets: column(&tensors, "offsets", Dtype::U64, u64::from_le_bytes)?,
            periods: column(&tensors, "periods", Dtype::U32, u32::from_le_bytes)?,
        };
        sessions.check(items_known)?;
        Ok(sessions)
    }

    /// Checks what the accessors rely on.
    fn check(&self, items_known: usize) -> Result<()> {
        let clicks = self.items.len();
        let times = if self.has_times { clicks } else { 0 };
        ensure!(self.kinds.len() == clicks, "kinds: not one per click");
        ensure!(self.times.len() == times, "times: {} instead of {times}", self.times.len());
        ensure!(self.offsets.len() == self.periods.len() + 1, "offsets: not one more than periods");
        ensure!(
            self.offsets.first() == Some(&0)
                && self.offsets.is_sorted()
                && self.offsets.last() == Some(&(clicks as u64)),
            "offsets: not ascending from 0 to {clicks}"
        );
        ensure!(self.periods.is_sorted(), "periods: not ascending");
        let known = 1..=items_known as u64;
        let stranger = self.items.iter().find(|&&item| !known.contains(&u64::from(item)));
        if let Some(item) = stranger {
            bail!("items: index {item} is not in the catalogue of {items_known}");
        }
        Ok(())
    }
}

fn column<T, const N: usize>(
    tensors: &SafeTensors<'_>,
    name: &str,
    dtype: Dtype,
    value: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>> {
    let tensor = tensors.tensor(name)?;
    ensure!(
        tensor.dtype() == dtype && tensor.shape().len() == 1,
        "{name}: {:?} {:?} instead of a list of {dtype:?}",
        tensor.dtype(),
        tensor.shape()
    );
    let (values, _) = tensor.data().as_chunks::<N>();
    Ok(values.iter().map(|bytes| value(*bytes)).collect())
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::collections::HashMap;

    use safetensors::View;

    use super::super::FORMAT;
    use super::*;

    impl Sessions {
        /// The file as the safetensors library writes it, good or damaged.
        pub(in crate::dataset) fn to_bytes(&self) -> Result<Vec<u8>> {
            let kinds = self.kinds.iter().map(|kind| kind.code()).collect();
            let tensors = [
                ("items", Column::new(Dtype::U32, le_bytes(&self.items, |v| v.to_le_bytes()))),
                ("kinds", Column::new(Dtype::U8, kinds)),
                ("times", Column::new(Dtype::I64, le_bytes(&self.times, |v| v.to_le_bytes()))),
                ("offsets", Column::new(Dtype::U64, le_bytes(&self.offsets, |v| v.to_le_bytes()))),
                ("periods", Column::new(Dtype::U32, le_bytes(&self.periods, |v| v.to_le_bytes()))),
            ];
            let about = HashMap::from([("format".to_owned(), FORMAT.to_string())]);
            Ok(safetensors::serialize(tensors, Some(about))?)
        }
    }

    /// One tensor to be written.
    struct Column {
        dtype: Dtype,
        shape: [usize; 1],
        bytes: Vec<u8>,
    }

    impl Column {
        fn new(dtype: Dtype, bytes: Vec<u8>) -> Self {
            let shape = [bytes.len() * 8 / dtype.bitsize()];
            Self { dtype, shape, bytes }
        }
    }

    impl View for Column {
        fn dtype(&self) -> Dtype {
            self.dtype
        }

        fn shape(&self) -> &[usize] {
            &self.shape
        }

        fn data(&self) -> Cow<'_, [u8]> {
            Cow::Borrowed(&self.bytes)
        }

        fn data_len(&self) -> usize {
            self.bytes.len()
        }
    }

    fn le_bytes<T: Copy, const N: usize>(values: &[T], bytes: impl Fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| bytes(value)).collect()
    }

    fn sample() -> Sessions {
        let view = |item: u32| (item, EventKind::ViewItem, i64::from(item));
        let mut sessions = Sessions::new(true);
        sessions.push(0, [view(1), view(2)]).unwrap();
        sessions.push(2, [view(3)]).unwrap();
        sessions
    }

    #[test]
    fn broken_columns_are_refused() {
        let good = sample();
        let broken: [fn(&mut Sessions); 6] = [
            |s| s.items[0] = 0,
            |s| s.items[0] = 4,
            |s| s.offsets[1] = 99,
            |s| s.periods[0] = 7,
            |s| s.times.clear(),
            |s| s.kinds.clear(),
        ];
        for (case, damage) in broken.into_iter().enumerate() {
            let mut sessions = good.clone();
            damage(&mut sessions);
            let bytes = sessions.to_bytes().unwrap();
            assert!(Sessions::from_bytes(&bytes, 3, true).is_err(), "case {case}");
        }
        assert!(Sessions::from_bytes(&good.to_bytes().unwrap(), 3, true).is_ok());
    }

    #[test]
    fn periods_never_go_back() {
        let mut sessions = sample();
        assert!(sessions.push(1, []).is_err());
    }
}
