//! The version that serves, the public data that judges the next one, and publishing it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use ed25519_dalek::SigningKey;
use onshelf_core::part::Part;
use onshelf_core::rank::CENTROIDS;
use onshelf_core::version::log::{Event, VersionLog};
use onshelf_core::version::{Manifest, Role, StudentShape, VerifiedManifest, to_hex};
use onshelf_core::weights::{Tensor, Weights};
use onshelf_model::shared::Scratch;
use onshelf_model::student::{Compute, LEVEL_TREND, Student, TREND};

use super::Folders;
use crate::corpus::{Corpus, CorpusOptions, part_of};
use crate::dataset::Dataset;
use crate::export::{VERSIONS_LOG, append_version, publish, read_key};
use crate::files::write_atomic;
use crate::progress::Progress;
use crate::sync::canary::{Segment, Verdict};
use crate::sync::judge::{Read, read};
use crate::sync::optimiser;

/// Most old sessions that a sum is followed by.
const OLD: usize = 10_000;
/// Most sessions of either half of those that decide.
const DECIDING: usize = 1_500;

/// The version that serves now.
pub struct Shop {
    serving: VerifiedManifest,
    weights: Vec<u8>,
    catalogue: Vec<u8>,
    key: SigningKey,
    data: Dataset,
    deciding: Option<u32>,
}

/// What is known without anybody's contribution.
pub struct Public {
    /// Sessions that choose, and sessions that judge.
    pub halves: [Vec<Read>; 2],
    /// Training clicks on each item.
    pub counts: Vec<u32>,
    /// Sessions of the period before, which a sum is followed by.
    pub old: Vec<Read>,
    contributions: Vec<Vec<f32>>,
    shape: StudentShape,
}

impl Public {
    /// The clip norm for a part: the median of what public sessions would contribute; `None` where most contribute
    /// nothing, as to bias levels that too few items share.
    ///
    /// # Errors
    /// Where the student has no such part.
    pub fn clip(&self, part: &Part) -> Result<Option<f64>> {
        let range = part.range(&self.shape)?;
        let norm = |c: &Vec<f32>| c[range.clone()].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
        let mut norms: Vec<f64> = self.contributions.iter().map(norm).collect();
        norms.sort_by(f64::total_cmp);
        let middle = norms.get(norms.len() / 2).copied().filter(|n| *n > 0.0);
        // Few decimals, which every reader of the task takes for the same number.
        Ok(middle.map(|clip| (clip * 1e4).ceil() / 1e4))
    }
}

impl Shop {
    /// Reads and verifies what serves: the collector trusts its own key only.
    pub(super) fn load(folders: &Folders) -> Result<Self> {
        let key = read_key(&folders.key)?;
        let path = folders.models.join("latest.json");
        let envelope = fs::read(&path).with_context(|| path.display().to_string())?;
        let serving = Manifest::verify(&envelope, &[to_hex(key.verifying_key().as_bytes())])?;
        let file = |role: Role| -> Result<Vec<u8>> {
            let entry = serving.manifest.file(role)?;
            let path = folders.models.join(&entry.path);
            let content = fs::read(&path).with_context(|| path.display().to_string())?;
            entry.verify(&content)?;
            Ok(content)
        };
        let (weights, catalogue) = (file(Role::Weights)?, file(Role::Catalogue)?);
        let data = Dataset::load(&folders.data)?;
        ensure!(
            data.catalogue.len() == serving.manifest.items as usize,
            "the data set has {} items, the version that serves {}; name the data set it was trained on, with newer \
             periods",
            data.catalogue.len(),
            serving.manifest.items
        );
        Ok(Self { serving, weights, catalogue, key, data, deciding: folders.deciding })
    }

    pub(super) fn shape(&self) -> &StudentShape {
        &self.serving.manifest.student
    }

    pub(super) fn digest(&self) -> &str {
        &self.serving.digest
    }

    pub(super) fn key(&self) -> &SigningKey {
        &self.key
    }

    pub(super) fn trusted(&self) -> Vec<String> {
        vec![to_hex(self.key.verifying_key().as_bytes())]
    }

    pub(super) fn student(&self) -> Result<Student> {
        Ok(Student::new(&Weights::from_safetensors(&self.weights)?, self.shape(), &Compute::Cpu)?)
    }

    /// The newest period of the log that the shop has anyway.
    pub(super) fn public(&self, progress: &dyn Progress) -> Result<Public> {
        let student = self.student()?;
        let newest = match self.deciding {
            Some(named) => named,
            None => self.data.periods().last().context("a data set without periods")?.period,
        };
        ensure!(!self.data.sessions.in_period(newest).is_empty(), "the data set has no period {newest}");
        let earlier = newest.saturating_sub(1);
        let corpus = Corpus::new(&self.data, &CorpusOptions { last_period: earlier, ..Default::default() })?;
        let all = corpus.tests(&self.data, self.data.sessions.in_period(newest));
        let stride = (all.log.len() / 2).div_ceil(DECIDING).max(1);
        progress.start("read the sessions that decide", None);
        let half =
            |half: usize| read(&student, &part_of(&all, |s| s % (2 * stride) == half * stride), progress);
        let halves = [half(0)?, half(1)?];
        progress.finish("");
        let before = corpus.tests(&self.data, self.data.sessions.in_period(earlier));
        let every = before.log.len().div_ceil(OLD).max(1);
        let old = read(&student, &part_of(&before, |s| s % every == 0), progress)?;
        let mut scratch = Scratch::default();
        let contribution = |r: &Read| optimiser::contribution(&student, r, &mut scratch);
        let contributions = halves[0].iter().take(400).map(contribution).collect::<Result<Vec<_>>>()?;
        Ok(Public { halves, counts: corpus.counts, old, contributions, shape: self.shape().clone() })
    }
}

/// Publishes the serving version with another trend; gives its name.
pub(super) fn with_trend(
    folders: &Folders,
    shop: &Shop,
    trend: &[f32],
    verdict: &Verdict,
    now: u64,
    step: &dyn Fn(&str),
) -> Result<String> {
    let shape = shop.shape();
    let (centroids, levels) = trend.split_at(CENTROIDS * shape.dim);
    let width = shape.dim / shape.subspaces;
    let mut weights = shop.weights.clone();
    for (name, shape, values) in
        [(TREND, vec![shape.subspaces, CENTROIDS, width], centroids), (LEVEL_TREND, vec![CENTROIDS], levels)]
    {
        weights = Weights::put_half(&weights, name, &Tensor { shape, values: values.to_vec() })?;
    }
    let mut manifest = Manifest { created: now, ..shop.serving.manifest.clone() };
    for d in verdict.differences.iter().filter(|d| d.segment == Segment::All) {
        manifest.metrics.insert("canary_ndcg_20_gain".into(), d.gain);
        manifest.metrics.insert("canary_ndcg_20_gain_error".into(), d.error);
    }
    step("publishing");
    Ok(publish(manifest, &weights, &shop.catalogue, &folders.key, &folders.models)?.version)
}

/// Lets an earlier version serve again (the one before the newest where none is named); gives its name.
///
/// # Errors
/// Where it never served, or its files are not whole.
pub fn roll_back(models: &Path, key_file: &Path, to: Option<&str>, now: u64) -> Result<String> {
    let key = read_key(key_file)?;
    let trusted = [to_hex(key.verifying_key().as_bytes())];
    let serving = {
        let path = models.join("latest.json");
        Manifest::verify(&fs::read(&path).with_context(|| path.display().to_string())?, &trusted)?
    };
    let wanted = match to {
        Some(version) => version.to_owned(),
        None => serving.manifest.previous.clone().context("the version that serves is the first")?,
    };
    let plain = wanted.len() == 16 && wanted.bytes().all(|b| b.is_ascii_hexdigit());
    ensure!(plain, "{wanted:?}: expected the 16 hex digits of a version");
    let path = models.join(format!("manifests/{wanted}.json"));
    let envelope = fs::read(&path).with_context(|| path.display().to_string())?;
    let earlier = Manifest::verify(&envelope, &trusted)?;
    ensure!(earlier.version == wanted, "{} is not version {wanted}", path.display());
    for file in &earlier.manifest.files {
        let content = fs::read(models.join(&file.path)).with_context(|| file.path.clone())?;
        file.verify(&content)?;
    }
    let log = fs::read(models.join(VERSIONS_LOG)).context(VERSIONS_LOG)?;
    ensure!(
        VersionLog::read(&log, &trusted)?.names(&earlier.digest),
        "version {wanted} never served: it is not in {VERSIONS_LOG}"
    );
    append_version(models, Event::RolledBack, &earlier.digest, now, &key)?;
    write_atomic(&models.join("latest.json"), &envelope)?;
    Ok(wanted)
}
