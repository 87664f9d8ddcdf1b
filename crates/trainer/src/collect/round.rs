//! A round, and how far it came.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use onshelf_core::part::Part;
use onshelf_core::protocol::manifest::TaskManifest;
use serde::{Deserialize, Serialize};

use super::write;
use crate::files::read_versioned;
use crate::sync::canary::Verdict;

const FORMAT: u32 = 1;

/// What came of a round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A new version serves.
    Published {
        /// Its name.
        version: String,
        /// What the canary said.
        verdict: Verdict,
    },
    /// The canary refused.
    Refused {
        /// Why.
        verdict: Verdict,
    },
    /// The operator gave it up.
    GivenUp,
}

/// How far a round came.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Reports are taken.
    Open,
    /// The ledger has the release, and the sum is here.
    Released {
        /// Reports in it.
        reports: u64,
        /// Their mean, noise included.
        mean: Vec<f32>,
    },
    /// It is over.
    Over(Outcome),
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open => write!(f, "Open"),
            Self::Released { reports, .. } => write!(f, "Released({reports} reports)"),
            Self::Over(outcome) => write!(f, "Over({outcome:?})"),
        }
    }
}

/// One round of a lineage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Format of this file.
    pub format: u32,
    /// The line of models.
    pub lineage: String,
    /// Its number in the lineage, from 0.
    pub number: u64,
    /// SHA-256 (hex) of the manifest of the version that contributions start from.
    pub model: String,
    /// The task's id.
    pub task: String,
    /// What of the trend is synced.
    pub part: Part,
    /// The lineage's budget.
    pub budget: f64,
    /// Reports in its sum, once that is here.
    #[serde(default)]
    pub reports: Option<u64>,
    /// How far it came.
    pub stage: Stage,
}

impl Round {
    pub(super) fn opened(task: &TaskManifest, part: Part, budget: f64) -> Self {
        let p = task.parameters();
        Self {
            format: FORMAT,
            lineage: p.lineage.clone(),
            number: p.round,
            model: p.model.clone(),
            task: task.id_text(),
            part,
            budget,
            reports: None,
            stage: Stage::Open,
        }
    }

    /// Whether nothing more comes of it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    fn path(&self, rounds: &Path, end: &str) -> PathBuf {
        rounds.join(&self.lineage).join(format!("{:06}.{end}", self.number))
    }

    pub(super) fn task_path(&self, rounds: &Path) -> PathBuf {
        self.path(rounds, "task.json")
    }

    /// The signed task, checked to be this round's.
    pub(super) fn task(&self, rounds: &Path, trusted: &[String]) -> Result<TaskManifest> {
        let path = self.task_path(rounds);
        let envelope = fs::read(&path).with_context(|| path.display().to_string())?;
        let task = TaskManifest::verify(&envelope, trusted)?;
        ensure!(task.id_text() == self.task, "{}: not the task of round {}", path.display(), self.number);
        Ok(task)
    }

    pub(super) fn save(&self, rounds: &Path) -> Result<()> {
        write(&self.path(rounds, "json"), self)
    }
}

/// All rounds by lineage, oldest first.
///
/// # Errors
/// Where a file cannot be read.
pub fn all(rounds: &Path) -> Result<Vec<(String, Vec<Round>)>> {
    let mut out = Vec::new();
    if !rounds.exists() {
        return Ok(out);
    }
    for entry in fs::read_dir(rounds).with_context(|| rounds.display().to_string())?.flatten() {
        if !entry.path().is_dir() {
            continue;
        }
        let names = numbers(&entry.path())?;
        let own = names.iter().map(|n| read(&entry.path(), n)).collect::<Result<Vec<Round>>>()?;
        if !own.is_empty() {
            out.push((entry.file_name().to_string_lossy().into_owned(), own));
        }
    }
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(out)
}

/// The numbers of the rounds in a lineage's folder, in order.
fn numbers(dir: &Path) -> Result<Vec<String>> {
    let names = fs::read_dir(dir).with_context(|| dir.display().to_string())?.flatten();
    let numbered = |name: String| {
        name.strip_suffix(".json").filter(|n| n.bytes().all(|b| b.is_ascii_digit())).map(str::to_owned)
    };
    let mut out: Vec<String> =
        names.filter_map(|e| numbered(e.file_name().to_string_lossy().into_owned())).collect();
    out.sort();
    Ok(out)
}

fn read(dir: &Path, number: &str) -> Result<Round> {
    read_versioned(&dir.join(format!("{number}.json")), "collect open", FORMAT..=FORMAT)
}

/// The newest round of a lineage.
pub(super) fn newest(rounds: &Path, lineage: &str) -> Result<Option<Round>> {
    let dir = rounds.join(lineage);
    if !dir.exists() {
        return Ok(None);
    }
    numbers(&dir)?.last().map(|number| read(&dir, number)).transpose()
}
