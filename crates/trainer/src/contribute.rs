//! `onshelf collect contribute`: a round's reports from the sessions of a log, as browsers would make them.
//!
//! For demonstrations and load tests. Every session is replayed by the code that the browser modules are made of
//! ([`Shopper`]), which also says what it contributes; the report is sealed and uploaded as theirs is. Real
//! shoppers are never asked by this command, and a real round must not be mixed with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, bail, ensure};
use onshelf_collector::Uploads;
use onshelf_core::catalogue::Catalogue;
use onshelf_core::event::EventKind;
use onshelf_core::part::Part;
use onshelf_core::protocol::manifest::TaskManifest;
use onshelf_core::protocol::report::{SealedReport, seal_delta};
use onshelf_core::version::{Manifest, Role, VerifiedManifest};
use onshelf_core::weights::Weights;
use onshelf_model::shopper::Shopper;
use onshelf_model::student::Compute;
use pollster::block_on;
use rayon::prelude::*;
use tokio::runtime::Builder;

use crate::dataset::Dataset;
use crate::progress::Progress;

/// Time between two clicks of a session whose log has no times, milliseconds.
const PACE_MS: i64 = 20_000;
/// Reports that are made before they are uploaded: bounds memory.
const AT_ONCE: usize = 64;

/// What is contributed.
#[derive(Clone, Debug)]
pub struct ContributeOptions {
    /// The published model versions, with `latest.json`, `task.json` and `public-keys.json`.
    pub models: PathBuf,
    /// Folder of a data set with the sessions.
    pub data: PathBuf,
    /// Whose sessions are replayed [default: the newest period].
    pub period: Option<u32>,
    /// Sessions that contribute, from the period's first on, at most one report each.
    pub shoppers: usize,
    /// Sessions of the period that are passed over first.
    pub skip: usize,
    /// Now, seconds since 1970.
    pub now: u64,
}

/// What a shopper's device has: the verified version and the round that is open.
struct Version {
    manifest: VerifiedManifest,
    weights: Weights,
    catalogue: Catalogue,
    task: TaskManifest,
    part: Part,
}

impl Version {
    fn load(models: &Path) -> Result<Self> {
        let read = |name: &str| fs::read(models.join(name)).with_context(|| name.to_owned());
        let trusted: Vec<String> = serde_json::from_slice(&read("public-keys.json")?)?;
        let manifest = Manifest::verify(&read("latest.json")?, &trusted)?;
        let file = |role: Role| -> Result<Vec<u8>> {
            let entry = manifest.manifest.file(role)?;
            let content = read(&entry.path)?;
            entry.verify(&content)?;
            Ok(content)
        };
        let weights = Weights::from_safetensors(&file(Role::Weights)?)?;
        let catalogue = Catalogue::from_json(&file(Role::Catalogue)?)?;
        let task = TaskManifest::verify(&read("task.json")?, &trusted).context("task.json")?;
        let p = task.parameters();
        ensure!(
            p.model == manifest.digest,
            "the round is for version {}, {} serves; open a new round",
            &p.model[..16],
            manifest.version
        );
        let part = Part::of_round(&manifest.manifest.student, p.round)?;
        Ok(Self { manifest, weights, catalogue, task, part })
    }

    fn device(&self, seed: u64) -> Result<Shopper> {
        let (version, manifest) = (self.manifest.version.clone(), self.manifest.manifest.clone());
        let catalogue = self.catalogue.clone();
        Ok(Shopper::new(version, manifest, catalogue, &self.weights, &Compute::Cpu, seed)?)
    }

    /// The report of one session; `None` where it has nothing to say.
    fn report(&self, device: &mut Shopper, items: &[String], now: u64) -> Result<Option<SealedReport>> {
        device.erase();
        for (at, item) in items.iter().enumerate() {
            device.track(item, EventKind::ViewItem, None, at as i64 * PACE_MS);
        }
        let Some(delta) = block_on(device.contribution(&self.part))? else { return Ok(None) };
        let mut failed = None;
        let sealed = seal_delta(&self.task, &delta, now, &mut |bytes| {
            if let Err(error) = getrandom::fill(bytes) {
                failed = Some(error);
            }
        })?;
        match failed {
            Some(error) => bail!("no randomness to seal a report: {error}"),
            None => Ok(Some(sealed)),
        }
    }
}

/// Uploads so many reports; gives how many the leader took.
///
/// # Errors
/// Where files cannot be used, no round is open, too few sessions have something to say, or the leader is away.
pub fn run(options: &ContributeOptions, progress: &dyn Progress) -> Result<usize> {
    let version = Version::load(&options.models)?;
    let data = Dataset::load(&options.data)?;
    let newest = data.periods().last().context("a data set without periods")?.period;
    let sessions: Vec<Vec<String>> = data
        .sessions
        .in_period(options.period.unwrap_or(newest))
        .filter(|&s| data.sessions.session(s).len() >= 2)
        .map(|s| {
            data.sessions.session(s).iter().filter_map(|&i| data.catalogue.id(i)).map(str::to_owned).collect()
        })
        .skip(options.skip)
        .collect();
    let uploads = Uploads::new(&version.task)?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let sent = AtomicUsize::new(0);
    progress.start("upload reports", Some(options.shoppers as u64));
    for some in sessions.chunks(AT_ONCE) {
        let missing = options.shoppers - sent.load(Ordering::Relaxed);
        if missing == 0 {
            break;
        }
        let some = &some[..some.len().min(missing)];
        let make = |device: &mut Result<Shopper>, items: &Vec<String>| -> Result<Option<SealedReport>> {
            crate::stop::check()?;
            let device = device.as_mut().map_err(|e| anyhow::anyhow!("{e:#}"))?;
            version.report(device, items, options.now)
        };
        let reports = some.par_iter().map_init(|| version.device(1), make).collect::<Result<Vec<_>>>()?;
        for report in reports.into_iter().flatten() {
            runtime.block_on(uploads.put(&report)).context("uploading to the leader")?;
            sent.fetch_add(1, Ordering::Relaxed);
            progress.advance(1);
        }
    }
    progress.finish("");
    let sent = sent.into_inner();
    ensure!(
        sent == options.shoppers,
        "only {sent} of {} sessions had something to contribute; name a period with more",
        options.shoppers
    );
    Ok(sent)
}
