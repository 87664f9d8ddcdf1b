//! How a log is laid out, and how that is told by looking.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Result, anyhow, bail, ensure};

use super::input::{Input, LogFile};

/// The layouts that can be read. Every file may be compressed with gzip, Parquet excepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `csv`: delimited text with named columns, one event a row.
    Csv,
    /// `recbole`: atomic files, `.inter` with `name:type` headers, and `.item` beside it.
    RecBole,
    /// `parquet`: one event a row.
    Parquet,
    /// `periods`: a folder of `period_N.txt` with `session item` lines in time order, as ADER's
    /// DIGINETICA.
    Periods,
    /// `sequences`: a line per user, `user item item …` in time order, as S3-Rec's Amazon sets.
    Sequences,
    /// `rsc15`: `SessionId`, `ItemId`, `Time` (Unix seconds) between tabs, as session-rec's sets.
    /// Of a folder with `…_train_full.txt` and `…_test.txt`, those are periods 0 and 1.
    Rsc15,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Layout; 6] =
        [Self::Csv, Self::RecBole, Self::Parquet, Self::Periods, Self::Sequences, Self::Rsc15];

    /// The name for `--layout`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::RecBole => "recbole",
            Self::Parquet => "parquet",
            Self::Periods => "periods",
            Self::Sequences => "sequences",
            Self::Rsc15 => "rsc15",
        }
    }

    /// Whether a file of this name, without `.gz`, may be of this layout in a folder.
    fn takes(self, name: &str) -> bool {
        match self {
            Self::Csv => [".csv", ".tsv"].iter().any(|end| name.ends_with(end)) && !is_item_table(name),
            Self::RecBole => name.ends_with(".inter"),
            Self::Parquet => name.ends_with(".parquet"),
            Self::Periods => period_of(name).is_some(),
            Self::Sequences | Self::Rsc15 => name.ends_with(".txt"),
        }
    }

    fn takes_file(self, file: &LogFile) -> bool {
        self.takes(plain(file.base()))
    }

    /// The log files of an input, in the order to read them. Parquet may lie in folders of
    /// partitions.
    pub(super) fn files(self, input: &Input) -> Result<Vec<LogFile>> {
        if !input.is_folder() {
            return Ok(vec![input.file()]);
        }
        let mut files = if self == Self::Parquet { input.files_below()? } else { input.files()? };
        files.retain(|file| self.takes_file(file));
        if self == Self::Rsc15 && files.iter().any(|file| split_of(plain(file.base())).is_some()) {
            return both_parts(input, files);
        }
        // Stable, and the names are in order already.
        files.sort_by_key(|file| period_of(plain(file.base())));
        ensure!(!files.is_empty(), "{input} has no file of layout {self}");
        Ok(files)
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Layout {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|layout| layout.as_str() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            anyhow!("unknown layout {name:?}; known are {known}")
        })
    }
}

/// Whether a file of this name, without `.gz`, is the item table of a folder of CSV files.
fn is_item_table(name: &str) -> bool {
    matches!(name, "items.csv" | "items.tsv" | "items.jsonl")
}

/// The item table in a folder, if there is one.
pub(super) fn item_table(input: &Input) -> Result<Option<LogFile>> {
    if !input.is_folder() {
        return Ok(None);
    }
    Ok(input.files()?.into_iter().find(|file| is_item_table(plain(&file.name))))
}

/// `12` of `period_12.txt`.
pub(super) fn period_of(name: &str) -> Option<u32> {
    name.strip_prefix("period_")?.strip_suffix(".txt")?.parse().ok()
}

/// The period of a part of a split data set, as session-rec names them; its `train_tr` and
/// `train_valid` are both in `train_full`.
pub(super) fn split_of(name: &str) -> Option<u32> {
    match name.strip_suffix(".txt")? {
        stem if stem.ends_with("train_full") => Some(0),
        stem if stem.ends_with("test") => Some(1),
        _ => None,
    }
}

/// The training part and the test part of a folder, in this order.
fn both_parts(input: &Input, files: Vec<LogFile>) -> Result<Vec<LogFile>> {
    let mut parts: Vec<(u32, LogFile)> =
        files.into_iter().filter_map(|file| Some((split_of(plain(file.base()))?, file))).collect();
    parts.sort_by_key(|part| part.0);
    ensure!(
        parts.iter().map(|part| part.0).eq([0, 1]),
        "{input} needs one file …_train_full.txt and one …_test.txt; it has {}",
        parts.iter().map(|part| part.1.base()).collect::<Vec<_>>().join(", ")
    );
    Ok(parts.into_iter().map(|part| part.1).collect())
}

/// A file name without `.gz`.
pub(super) fn plain(name: &str) -> &str {
    name.strip_suffix(".gz").unwrap_or(name)
}

/// The name of a file or folder without its ending.
pub(super) fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match plain(&name).rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ => plain(&name).to_owned(),
    }
}

/// Tells the layout of an input by the names in a folder, or the first lines of a file.
pub(super) fn detect(input: &Input) -> Result<Layout> {
    if input.is_folder() {
        let files = input.files()?;
        // A text file of any other name is no hint, so the two `.txt` layouts are not tried.
        if files.iter().any(|file| split_of(plain(file.base())) == Some(0)) {
            return Ok(Layout::Rsc15);
        }
        let tried = [Layout::Periods, Layout::RecBole, Layout::Parquet, Layout::Csv];
        let found = tried.into_iter().find(|layout| files.iter().any(|file| layout.takes_file(file)));
        return match found {
            Some(layout) => Ok(layout),
            // An engine that writes partitions puts every file into a folder of its own.
            None if input.files_below()?.iter().any(|file| Layout::Parquet.takes_file(file)) => {
                Ok(Layout::Parquet)
            }
            None => bail!("no known layout in {input}; name it with --layout"),
        };
    }
    let file = input.file();
    for layout in [Layout::RecBole, Layout::Parquet] {
        if layout.takes_file(&file) {
            return Ok(layout);
        }
    }
    let lines = file.first_lines(3)?;
    let Some(first) = lines.first() else {
        bail!("{input} is empty");
    };
    if first.trim_start_matches('\u{feff}').starts_with("SessionId\tItemId\tTime") {
        return Ok(Layout::Rsc15);
    }
    let numbers = |line: &String| line.split(' ').all(|word| word.trim().parse::<u64>().is_ok());
    let longest = lines.iter().map(|line| line.split(' ').count()).max();
    if lines.iter().all(numbers) && longest > Some(2) {
        return Ok(Layout::Sequences);
    }
    if first.contains([',', '\t', ';', '|']) {
        return Ok(Layout::Csv);
    }
    bail!("the layout of {input} cannot be told; name it with --layout");
}
