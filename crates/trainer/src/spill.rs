//! Sorts more records than fit in memory: sorted runs in files of a temporary folder, merged while
//! they are read.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files::cannot_write;
use crate::stop;

/// The folder within the output; a killed run may leave it, and the next one removes it.
pub(crate) const FOLDER: &str = ".onshelf.tmp";

/// Runs that are merged at once. Each needs an open file and a buffer.
const FAN_IN: usize = 64;
const BUFFER: usize = 1 << 17;

/// What a [`Sorter`] sorts: a few numbers, of the same width in every record.
pub(crate) trait Record: Copy + Ord {
    /// Appends the record's bytes.
    fn encode(&self, out: &mut Vec<u8>);
    /// Takes a record's bytes from the front; `None` when there are too few.
    fn decode(bytes: &mut &[u8]) -> Option<Self>;
    /// Its bytes in a file.
    const BYTES: usize;
}

/// Takes a number's bytes from the front.
pub(crate) fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*number)
}

/// The temporary folder; it goes when this does.
#[derive(Debug)]
pub(crate) struct Spill {
    folder: PathBuf,
}

impl Spill {
    /// An empty folder within the output.
    pub(crate) fn create(output: &Path) -> Result<Self> {
        let folder = output.join(FOLDER);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| cannot_write(&folder))?;
        }
        fs::create_dir_all(&folder).with_context(|| cannot_write(&folder))?;
        Ok(Self { folder })
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// A sorter that keeps at most so many bytes of records in memory, and the rest here.
    pub(crate) fn sorter<R: Record>(&self, name: &'static str, memory: usize) -> Sorter<R> {
        let limit = (memory / size_of::<R>()).max(2);
        Sorter { folder: self.folder.clone(), name, limit, buffer: Vec::new(), runs: Vec::new(), made: 0 }
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// Takes records in any order.
pub(crate) struct Sorter<R> {
    folder: PathBuf,
    name: &'static str,
    /// Records in memory, at most.
    limit: usize,
    buffer: Vec<R>,
    runs: Vec<Run>,
    /// Runs so far, those that were merged into others included.
    made: usize,
}

impl<R: Record> Sorter<R> {
    /// Takes the next record.
    ///
    /// # Errors
    ///
    /// When a run cannot be written, or somebody asked to stop.
    pub(crate) fn push(&mut self, record: R) -> Result<()> {
        if self.buffer.len() == self.limit {
            self.spill()?;
        }
        self.buffer.push(record);
        Ok(())
    }

    /// The records in order. Those of a small log never leave memory.
    pub(crate) fn finish(mut self) -> Result<Sorted<R>> {
        if self.runs.is_empty() {
            self.buffer.sort_unstable();
            return Ok(Sorted { buffer: self.buffer, runs: Vec::new() });
        }
        self.spill()?;
        // Given back before the merge, since another sorter may be filled from it.
        self.buffer = Vec::new();
        while self.runs.len() > FAN_IN {
            let few: Vec<Run> = self.runs.drain(..FAN_IN).collect();
            let few = Sorted { buffer: Vec::new(), runs: few };
            self.write(few.iter()?)?;
        }
        Ok(Sorted { buffer: Vec::new(), runs: self.runs })
    }

    fn spill(&mut self) -> Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.sort_unstable();
        self.write(buffer.iter().map(|record| Ok(*record)))?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }

    /// Writes records in order as a new run.
    fn write(&mut self, records: impl Iterator<Item = Result<R>>) -> Result<()> {
        let path = self.folder.join(format!("{}-{}", self.name, self.made));
        self.made += 1;
        let file = File::create(&path).with_context(|| cannot_write(&path))?;
        let mut run = Run { path, records: 0 };
        let mut out = BufWriter::with_capacity(BUFFER, file);
        let mut bytes = Vec::with_capacity(R::BYTES);
        for record in records {
            stop::check()?;
            bytes.clear();
            record?.encode(&mut bytes);
            out.write_all(&bytes).with_context(|| cannot_write(&run.path))?;
            run.records += 1;
        }
        out.flush().with_context(|| cannot_write(&run.path))?;
        self.runs.push(run);
        Ok(())
    }
}

/// A file of sorted records; it goes when this does.
struct Run {
    path: PathBuf,
    records: u64,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Sorted records, which can be read more than once.
pub(crate) struct Sorted<R> {
    buffer: Vec<R>,
    runs: Vec<Run>,
}

impl<R: Record> Sorted<R> {
    /// The records in order.
    pub(crate) fn iter(&self) -> Result<Merge<'_, R>> {
        let mut readers = Vec::with_capacity(self.runs.len());
        let mut heads = BinaryHeap::with_capacity(self.runs.len());
        for (at, run) in self.runs.iter().enumerate() {
            let file = File::open(&run.path).with_context(|| run.path.display().to_string())?;
            let file = BufReader::with_capacity(BUFFER, file);
            let mut reader = Reader { file, path: &run.path, left: run.records };
            if let Some(first) = reader.next()? {
                heads.push(Reverse((first, at)));
            }
            readers.push(reader);
        }
        Ok(Merge { buffer: self.buffer.iter(), readers, heads })
    }
}

/// Reads a run from its beginning.
struct Reader<'a> {
    file: BufReader<File>,
    path: &'a Path,
    left: u64,
}

impl Reader<'_> {
    fn next<R: Record>(&mut self) -> Result<Option<R>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let mut bytes = [0; 64];
        let bytes = &mut bytes[..R::BYTES];
        let read = self.file.read_exact(bytes);
        read.with_context(|| format!("{}: a temporary file was changed", self.path.display()))?;
        Ok(R::decode(&mut &*bytes))
    }
}

/// All records in order.
pub(crate) struct Merge<'a, R> {
    buffer: std::slice::Iter<'a, R>,
    readers: Vec<Reader<'a>>,
    /// The next record of each run.
    heads: BinaryHeap<Reverse<(R, usize)>>,
}

impl<R: Record> Merge<'_, R> {
    fn merged(&mut self) -> Result<Option<R>> {
        stop::check()?;
        let Some(mut head) = self.heads.peek_mut() else {
            return Ok(self.buffer.next().copied());
        };
        let Reverse((record, at)) = *head;
        match self.readers[at].next()? {
            Some(next) => *head = Reverse((next, at)),
            None => drop(std::collections::binary_heap::PeekMut::pop(head)),
        }
        Ok(Some(record))
    }
}

impl<R: Record> Iterator for Merge<'_, R> {
    type Item = Result<R>;

    fn next(&mut self) -> Option<Self::Item> {
        self.merged().transpose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Record for u32 {
        const BYTES: usize = 4;

        fn encode(&self, out: &mut Vec<u8>) {
            out.extend(self.to_le_bytes());
        }

        fn decode(bytes: &mut &[u8]) -> Option<Self> {
            take(bytes).map(Self::from_le_bytes)
        }
    }

    fn sorted(spill: &Spill, numbers: &[u32], memory: usize) -> Sorted<u32> {
        let mut sorter = spill.sorter("numbers", memory);
        numbers.iter().for_each(|&number| sorter.push(number).unwrap());
        sorter.finish().unwrap()
    }

    proptest! {
        #[test]
        fn any_memory_gives_the_same_order(numbers in proptest::collection::vec(0_u32..50, 0..400), memory in 1_usize..2_000) {
            let output = tempfile::tempdir().unwrap();
            let spill = Spill::create(output.path()).unwrap();
            let mut expected = numbers.clone();
            expected.sort_unstable();
            let sorted = sorted(&spill, &numbers, memory);
            prop_assert!(sorted.runs.len() <= FAN_IN);
            for _ in 0..2 {
                let found: Vec<u32> = sorted.iter().unwrap().collect::<Result<_>>().unwrap();
                prop_assert_eq!(&found, &expected);
            }
        }
    }

    #[test]
    fn files_go_when_they_are_not_needed() {
        let output = tempfile::tempdir().unwrap();
        let folder = output.path().join(FOLDER);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("numbers-0"), "left by a run that was killed").unwrap();
        let spill = Spill::create(output.path()).unwrap();
        let numbers: Vec<u32> = (0..1_000).rev().collect();
        let sorted = sorted(&spill, &numbers, 40);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), sorted.runs.len());
        drop(sorted);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        drop(spill);
        assert!(!folder.exists());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_told_with_file_and_remedy() {
        let output = tempfile::tempdir().unwrap();
        let spill = Spill::create(output.path()).unwrap();
        let path = output.path().join(FOLDER).join("numbers-0");
        std::os::unix::fs::symlink("/dev/full", &path).unwrap();
        let mut sorter = spill.sorter("numbers", 40);
        let pushed = (0..100_u32).try_for_each(|number| sorter.push(number));
        let error = format!("{:#}", pushed.unwrap_err());
        for word in ["numbers-0", "free space", "unchanged", "No space left"] {
            assert!(error.contains(word), "{error}");
        }
    }
}
