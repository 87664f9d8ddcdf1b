//! The privacy ledger: what was released about a lineage of models, written and flushed to the disk
//! **before** the release, so that a crash can only make the ledger say too much.
//!
//! The lines are `core::privacy::ledger`'s. One that was cut off by a crash has no line feed; it was never followed
//! by a release and is cut away by the next writer. Any other damage closes the ledger: nothing more is released.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use onshelf_core::privacy::gaussian::epsilon_of_rho;
use onshelf_core::privacy::ledger::Lines;
pub use onshelf_core::privacy::ledger::Release;
use serde::Serialize;

/// The largest budget of a lineage.
pub const CEILING: f64 = 8.0;
/// The budget of a lineage where none is named.
pub const BUDGET: f64 = 4.0;
/// δ of every budget.
pub const DELTA: f64 = 1e-6;
/// Participations of one shopper in a lineage: the browser refuses more.
pub const PARTICIPATIONS: usize = 12;

/// What a lineage has spent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spent {
    /// The line of models.
    pub lineage: String,
    /// Releases.
    pub releases: usize,
    /// ε at δ of a shopper who took part as often as browsers allow, in the rounds that cost most.
    pub epsilon: f64,
    /// ε at δ of one who took part in every round, which no browser of ours does.
    pub epsilon_of_all: f64,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It was written.
    Now,
    /// The same release stood there already: a crash came between.
    Before,
}

/// An open ledger; nobody else can open it meanwhile.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    file: Locked,
    releases: Vec<Release>,
    head: String,
    /// Bytes of whole lines.
    whole: u64,
}

/// A file that nobody else may lock, until it is dropped. Dropping unlocks it by name: closing alone does
/// not where the process was forked meanwhile (to start another program), as the fork has the same lock.
#[derive(Debug)]
struct Locked(File);

impl Drop for Locked {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// ε at δ of releases, of which a shopper takes part in `most`, the costliest.
fn epsilon(releases: &[&Release], most: usize) -> Result<f64> {
    let mut rhos: Vec<f64> = releases.iter().map(|r| r.rho).collect();
    rhos.sort_by(|a, b| b.total_cmp(a));
    Ok(epsilon_of_rho(rhos.iter().take(most).sum(), DELTA)?)
}

fn spent_of(releases: &[Release]) -> Result<Vec<Spent>> {
    let mut by: BTreeMap<&str, Vec<&Release>> = BTreeMap::new();
    releases.iter().for_each(|r| by.entry(&r.lineage).or_default().push(r));
    let spent = |(lineage, releases): (&str, Vec<&Release>)| {
        Ok(Spent {
            lineage: lineage.to_owned(),
            releases: releases.len(),
            epsilon: epsilon(&releases, PARTICIPATIONS)?,
            epsilon_of_all: epsilon(&releases, usize::MAX)?,
        })
    };
    by.into_iter().map(spent).collect()
}

/// What each lineage in the ledger at `path` has spent; a line that was cut off is passed over.
///
/// # Errors
/// Where the file cannot be read or is damaged.
pub fn spent(path: &Path) -> Result<Vec<Spent>> {
    spent_of(&releases(path)?)
}

/// The releases in the ledger at `path`, oldest first; a line that was cut off is passed over.
///
/// # Errors
/// As [`spent`].
pub fn releases(path: &Path) -> Result<Vec<Release>> {
    let about = || format!("the ledger {}", path.display());
    Ok(Lines::read(&fs::read(path).with_context(about)?).with_context(about)?.releases)
}

impl Ledger {
    /// Opens the ledger at `path`, or begins it, and locks it.
    ///
    /// # Errors
    /// Where it cannot be opened, is damaged, or is open elsewhere.
    pub fn open(path: &Path) -> Result<Self> {
        let about = || format!("the ledger {}", path.display());
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).with_context(about)?;
        }
        let new = !path.exists();
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(path).with_context(about)?;
        if file.try_lock().is_err() {
            bail!("the ledger {} is in use by another process", path.display());
        }
        let mut file = Locked(file);
        if new {
            file.0.sync_all().with_context(about)?;
            sync_folder(path).with_context(about)?;
        }
        let mut bytes = Vec::new();
        file.0.read_to_end(&mut bytes).with_context(about)?;
        let Lines { releases, head, whole } = Lines::read(&bytes).with_context(about)?;
        Ok(Self { path: path.to_owned(), file, releases, head, whole: whole as u64 })
    }

    /// Records a release, on the disk when this returns, if the lineage's budget (ε at δ = 1e-6, at most 8)
    /// allows it. `step` is told the steps on the way, for tests that kill the process at them.
    ///
    /// # Errors
    /// Where the budget is spent, the task was released in another batch, or the disk does not take it.
    /// Nothing may be released then.
    pub fn record(&mut self, release: Release, budget: f64, step: &dyn Fn(&str)) -> Result<Recorded> {
        ensure!(budget > 0.0 && budget <= CEILING, "a lineage's budget is above 0 and at most {CEILING}");
        if let Some(before) = self.releases.iter().find(|r| r.task == release.task) {
            // Floats are not compared by their last bit: they went through decimal text.
            let close = (before.noise_multiplier - release.noise_multiplier).abs() < 1e-9;
            let of = |r: &Release| (r.lineage.clone(), r.round, r.batch.clone());
            let same = close && of(before) == of(&release);
            ensure!(same, "task {} was released already, as another batch or with other noise", release.task);
            return Ok(Recorded::Before);
        }
        let mut lineage: Vec<&Release> =
            self.releases.iter().filter(|r| r.lineage == release.lineage).collect();
        lineage.push(&release);
        let after = epsilon(&lineage, PARTICIPATIONS)?;
        ensure!(
            after <= budget,
            "round {} would bring lineage {} to ε = {after:.3}, its budget is {budget}; begin a new lineage \
             from a model that was not learned from these shoppers",
            release.round,
            release.lineage
        );
        step("checked");
        self.write(&release, step)?;
        self.releases.push(release);
        Ok(Recorded::Now)
    }

    fn write(&mut self, release: &Release, step: &dyn Fn(&str)) -> Result<()> {
        let about = format!("writing the ledger {}", self.path.display());
        let (line, hash) = release.line(&self.head).context("a release that cannot be written")?;
        let (first, rest) = line.as_bytes().split_at(line.len() / 2);
        let mut write = || -> std::io::Result<()> {
            // What a crash cut off goes first: it would make the line after it unreadable.
            self.file.0.set_len(self.whole)?;
            self.file.0.seek(SeekFrom::Start(self.whole))?;
            step("cut");
            self.file.0.write_all(first)?;
            step("half");
            self.file.0.write_all(rest)?;
            step("written");
            self.file.0.sync_all()
        };
        write().context(about)?;
        step("flushed");
        self.whole += line.len() as u64;
        self.head = hash;
        Ok(())
    }

    /// What each lineage has spent.
    ///
    /// # Errors
    /// Where the accountant refuses a figure.
    pub fn spent(&self) -> Result<Vec<Spent>> {
        spent_of(&self.releases)
    }
}

/// A new file is only there for certain when its folder was flushed.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        Some(dir) => File::open(dir)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests;
