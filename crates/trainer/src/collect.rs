//! `onshelf collect`: rounds of private sums, from the task that opens one to the version that comes of it.
//!
//! ```text
//! open ─► ledger ─► released ─► server optimiser ─► canary ─┬─► published: version n+1, versions.log
//!         (on the disk before the sum is asked for)         └─► refused, with reasons
//! ```
//!
//! | file in the folder of rounds | content |
//! | --- | --- |
//! | `ledger.jsonl` | [`ledger`] |
//! | `<lineage>/<round>.json` | [`Round`]: what was opened, and how far it came |
//! | `<lineage>/<round>.task.json` | the signed task |
//!
//! Each stage is written before the next begins, so a round that was interrupted goes on where it was.

pub mod aggregators;
pub mod ledger;
pub mod publish;
mod round;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use onshelf_core::part::Part;
use onshelf_core::privacy::encode::Encoding;
use onshelf_core::privacy::gaussian::Policy;
use onshelf_core::protocol::manifest::{Aggregator, MIN_BATCH, TASK_FORMAT, TaskManifest, TaskParameters};
use onshelf_core::protocol::shard::Vdaf;
use onshelf_core::version::from_hex_32;
use serde::{Deserialize, Serialize};

use crate::files::{make_secret, write_atomic, write_json};
use crate::progress::Progress;
use crate::sync::canary::Verdict;
use crate::sync::gate::gate;
use crate::sync::judge;
use crate::sync::optimiser::{self, Released};
use ledger::{Ledger, Release};
use publish::{Public, Shop};
pub use round::{Outcome, Round, Stage, all as rounds_of};

/// Bits of a value of a report.
const BITS: u32 = 4;

/// Where sums come from: the aggregators, or a file that somebody else collected.
pub trait Sums {
    /// The noised sum of all reports of a task. Called only after the ledger has the release on the disk;
    /// asked again after a crash, it has to give the same sum and no other.
    ///
    /// # Errors
    /// Where there is none, or of too few reports.
    fn sum(&mut self, task: &TaskManifest) -> Result<Sum>;
}

/// A noised sum.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sum {
    /// Reports in it.
    pub reports: u64,
    /// One integer for each of a report's; noise may carry it below zero.
    pub sum: Vec<i128>,
}

impl std::fmt::Debug for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sum({} reports)", self.reports)
    }
}

/// The aggregators and times of a round, as the operator configures them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Places {
    /// The aggregator that clients upload to.
    pub leader: Aggregator,
    /// The other one, of another operator.
    pub helper: Aggregator,
    /// The key that sums are sealed to.
    pub collector: onshelf_core::protocol::hpke::PublicConfig,
    /// Report times are rounded down to multiples of it, seconds.
    pub time_precision: u64,
    /// How long reports are taken, seconds.
    pub duration: u64,
}

/// Where a collector works, and on what.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The published model versions: `latest.json`, `versions.log`, …
    pub models: PathBuf,
    /// Ledger and rounds.
    pub rounds: PathBuf,
    /// A data set: the log that the shop has anyway. Its newest period decides, or the one named.
    pub data: PathBuf,
    /// The period that decides, where it is not the newest.
    pub deciding: Option<u32>,
    /// The key that signs versions and tasks.
    pub key: PathBuf,
}

/// What a round is opened with.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// The line of models that one budget covers.
    pub lineage: String,
    /// Its budget: ε at δ = 1e-6 over all participations of a shopper.
    pub epsilon: f64,
    /// Participations that ε is for.
    pub participations: u32,
    /// Fewest reports that anything is released of, at least 1,000.
    pub min_batch: u64,
    /// Seed of the rotation, public.
    pub rotation: [u8; 32],
    /// Now, seconds since 1970.
    pub now: u64,
}

/// Opens the next round of a lineage: signs its task and writes it beside the models (`task.json`, and
/// `tasks/<id>.json`), where browsers look for it.
///
/// # Errors
/// Where a round of the lineage is still open, parameters break a rule, or files cannot be used.
pub fn open(
    folders: &Folders,
    places: &Places,
    options: &OpenOptions,
    progress: &dyn Progress,
) -> Result<Round> {
    let before = round::newest(&folders.rounds, &options.lineage)?;
    if let Some(before) = before.as_ref().filter(|r| !r.is_over()) {
        anyhow::bail!("round {} of {} is still open; finish it first", before.number, options.lineage);
    }
    ensure!(options.min_batch >= MIN_BATCH, "nothing is released of fewer than {MIN_BATCH} reports");
    ensure!(options.epsilon <= ledger::CEILING, "a lineage's budget is at most {}", ledger::CEILING);
    let shop = Shop::load(folders)?;
    let next = before.map_or(0, |r| r.number + 1);
    let public = shop.public(progress)?;
    let (number, part, clip) = next_part(&shop, &public, next)?;
    let length = part.range(shop.shape())?.len();
    let encoding = Encoding::new(length, BITS, clip, onshelf_core::privacy::rotate::Seed(options.rotation))?;
    let policy = Policy::new(options.epsilon, ledger::DELTA, options.participations)?;
    let precision = places.time_precision.max(1);
    let start = options.now / precision * precision;
    let task = TaskManifest::new(TaskParameters {
        format: TASK_FORMAT,
        model: shop.digest().to_owned(),
        lineage: options.lineage.clone(),
        round: number,
        encoding,
        chunk_length: Vdaf::chunk_length(&encoding),
        policy,
        min_batch: options.min_batch,
        leader: places.leader.clone(),
        helper: places.helper.clone(),
        collector: places.collector.clone(),
        time_precision: places.time_precision,
        start,
        expires: start + places.duration.div_ceil(precision) * precision,
    })?;
    let envelope = task.sign(shop.key())?;
    // As everybody else reads it: its id is that of the numbers in the text.
    let task = TaskManifest::verify(&envelope, &shop.trusted())?;
    let round = Round::opened(&task, part, options.epsilon);
    write_atomic(&round.task_path(&folders.rounds), &envelope)?;
    round.save(&folders.rounds)?;
    write_atomic(&folders.models.join(format!("tasks/{}.json", task.id_text())), &envelope)?;
    write_atomic(&folders.models.join("task.json"), &envelope)?;
    Ok(round)
}

/// Takes the newest round of a lineage from where it is to its end: released, judged, published or refused.
/// `step` is told the steps on the way.
///
/// # Errors
/// Where the budget is spent, the sum is not there yet or of too few reports, or files cannot be used; the
/// round stays where it is then.
pub fn finish(
    folders: &Folders,
    lineage: &str,
    sums: &mut dyn Sums,
    now: u64,
    step: &dyn Fn(&str),
    progress: &dyn Progress,
) -> Result<Round> {
    let mut round = round::newest(&folders.rounds, lineage)?
        .with_context(|| format!("no round of {lineage} was opened"))?;
    ensure!(!round.is_over(), "round {} of {lineage} is over; open the next one", round.number);
    let shop = Shop::load(folders)?;
    ensure!(
        shop.digest() == round.model,
        "round {} was opened on version {}, but {} serves now; roll back, or give the round up",
        round.number,
        &round.model[..16],
        &shop.digest()[..16]
    );
    let task = round.task(&folders.rounds, &shop.trusted())?;
    if matches!(round.stage, Stage::Open) {
        release(folders, &mut round, &task, sums, now, step)?;
    }
    let Stage::Released { reports, mean } = &round.stage else {
        anyhow::bail!("round {} has no sum", round.number);
    };
    let encoding = task.parameters().encoding;
    let noise =
        std::f64::consts::SQRT_2 * task.parameters().policy.noise_multiplier() * encoding.sensitivity();
    let released = Released {
        part: round.part,
        mean: mean.clone(),
        noise: noise * encoding.step() / *reports as f64,
        clip: encoding.clip(),
    };
    let (outcome, trend) = judge_sum(&shop, &released, progress)?;
    let outcome = match trend {
        Some(trend) => {
            let version = publish::with_trend(folders, &shop, &trend, &outcome, now, step)?;
            Outcome::Published { version, verdict: outcome }
        }
        None => Outcome::Refused { verdict: outcome },
    };
    step("published");
    round.stage = Stage::Over(outcome);
    round.save(&folders.rounds)?;
    Ok(round)
}

/// The first round from `next` on whose part anybody can contribute to, with the part and its clip norm.
fn next_part(shop: &Shop, public: &Public, next: u64) -> Result<(u64, Part, f64)> {
    for number in next..next + Part::all(shop.shape())?.len() as u64 {
        let part = Part::of_round(shop.shape(), number)?;
        if let Some(clip) = public.clip(&part)? {
            return Ok((number, part, clip));
        }
    }
    anyhow::bail!("no session of the data set's newest period has anything to contribute")
}

/// Ledger first, then the sum.
fn release(
    folders: &Folders,
    round: &mut Round,
    task: &TaskManifest,
    sums: &mut dyn Sums,
    now: u64,
    step: &dyn Fn(&str),
) -> Result<()> {
    let p = task.parameters();
    let mut ledger = Ledger::open(&folders.rounds.join(LEDGER))?;
    let entry = Release::new(&p.lineage, p.round, &task.id_text(), "whole", &p.policy, now);
    ledger.record(entry, round.budget, step)?;
    step("recorded");
    let sum = sums.sum(task)?;
    ensure!(
        sum.reports >= p.min_batch,
        "the sum is of {} reports, the task allows nothing below {}",
        sum.reports,
        p.min_batch
    );
    let mean = p.encoding.decode_mean(&sum.sum, sum.reports)?;
    round.reports = Some(sum.reports);
    round.stage = Stage::Released { reports: sum.reports, mean };
    round.save(&folders.rounds)?;
    step("released");
    Ok(())
}

/// The ledger's name in the folder of rounds.
pub const LEDGER: &str = "ledger.jsonl";

/// What the canary says of the best step along a sum, and the trend after it where that may serve.
fn judge_sum(
    shop: &Shop,
    released: &Released,
    progress: &dyn Progress,
) -> Result<(Verdict, Option<Vec<f32>>)> {
    let public = shop.public(progress)?;
    let mut student = shop.student()?;
    let passes = optimiser::trends(&mut student, std::slice::from_ref(released), &public.old, 1, progress)?;
    gate(&mut student, passes, |student, half| {
        judge::clicks(student, &public.halves[half as usize], &public.counts)
    })
}

/// Gives the newest round up, whatever became of its reports; what the ledger says of it stays.
///
/// # Errors
/// Where no round is open.
pub fn give_up(folders: &Folders, lineage: &str) -> Result<Round> {
    let mut round = round::newest(&folders.rounds, lineage)?
        .filter(|r| !r.is_over())
        .with_context(|| format!("no round of {lineage} is open"))?;
    round.stage = Stage::Over(Outcome::GivenUp);
    round.save(&folders.rounds)?;
    Ok(round)
}

/// The signed task of the open round of a lineage, for aggregators.
///
/// # Errors
/// Where no round is open, or its task is not whole.
pub fn open_task(folders: &Folders, lineage: &str) -> Result<Vec<u8>> {
    let round = round::newest(&folders.rounds, lineage)?
        .filter(|r| !r.is_over())
        .with_context(|| format!("no round of {lineage} is open"))?;
    let path = round.task_path(&folders.rounds);
    std::fs::read(&path).with_context(|| path.display().to_string())
}

/// Reads the secret seed of a collector's HPKE key, 64 hex digits; makes it where there is none.
///
/// # Errors
/// Where the file is something else, or cannot be made.
pub fn read_or_make_seed(path: &Path) -> Result<[u8; 32]> {
    make_secret(path)?;
    read_seed(path)
}

/// Reads the secret seed of a collector's HPKE key, 64 hex digits.
///
/// # Errors
/// Where the file is something else.
pub fn read_seed(path: &Path) -> Result<[u8; 32]> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    from_hex_32(text.trim()).with_context(|| format!("{}: expected 64 hex digits", path.display()))
}

/// Sums from a JSON file (`{"reports": …, "sum": […]}`).
#[derive(Clone, Debug)]
pub struct FromFile(pub PathBuf);

impl Sums for FromFile {
    fn sum(&mut self, task: &TaskManifest) -> Result<Sum> {
        let text = std::fs::read(&self.0).with_context(|| self.0.display().to_string())?;
        let sum: Sum = serde_json::from_slice(&text).with_context(|| self.0.display().to_string())?;
        let wanted = task.parameters().encoding.length();
        ensure!(sum.sum.len() == wanted, "a sum of {} values, the task has {wanted}", sum.sum.len());
        Ok(sum)
    }
}

/// Sums from a DAP collection: the body that the leader answered, both shares in it.
pub struct FromCollection {
    /// The body.
    pub body: Vec<u8>,
    /// The collector's key.
    pub key: onshelf_core::protocol::hpke::Keypair,
}

impl Sums for FromCollection {
    fn sum(&mut self, task: &TaskManifest) -> Result<Sum> {
        use onshelf_core::protocol::collect::{Batch, open_collection};
        let found = open_collection(task, &self.key, Batch::whole(task), &self.body)?;
        Ok(Sum { reports: found.reports, sum: found.sum })
    }
}

/// Writes JSON for people beside a round.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    write_json(path, value)
}
