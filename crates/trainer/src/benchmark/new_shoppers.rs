//! New shoppers: people who never entered any training. A device replays each one's history click by
//! click, predicts the next click, and only then learns from it, as it would in a browser.
//!
//! A fifth of the users (by a fixed hash) are new shoppers; another tenth decides learning rates and
//! steps of each strategy; the rest teach. Items that were clicked
//! before are not shown again.

mod repeat;
mod report;
mod shipped;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::event::EventKind;
use onshelf_core::version::FineTuneConfig;
use onshelf_model::shopper::{Foretold, Shopper};
use onshelf_model::training::TrainSet;
use pollster::block_on;
use rayon::prelude::*;

use crate::dataset::Dataset;
use crate::files::{write_atomic, write_json};
use crate::progress::Progress;
use crate::stop;
use crate::student::DistillOptions;
use crate::teacher::{self, TrainOptions};

pub use report::{Gain, Marks, NewShoppers, StrategyLine};
use report::{brief, line};
pub(crate) use shipped::{Shipped, known};

/// Clicks before the first prediction.
const FIRST: usize = 3;
/// New shoppers that a browser repeats.
const REPEATED: usize = 200;
/// Milliseconds between two clicks of a replay.
const PACE_MS: i64 = 60_000;

/// A strategy's name, and how it learns but for rate and steps.
type Named = (&'static str, fn() -> FineTuneConfig);

/// The strategies of a device, each with what the ones before it have.
const STRATEGIES: [Named; 7] = [
    ("gradient", plain),
    ("proximal", || FineTuneConfig { proximal: 0.05, ..plain() }),
    ("ewc", || FineTuneConfig { proximal: 0.05, ewc: 0.05, ..plain() }),
    ("replay", || FineTuneConfig { proximal: 0.05, memory: 0.8, ..plain() }),
    ("distillation", || FineTuneConfig { distil: 0.5, proximal: 0.05, memory: 0.8, ..plain() }),
    ("leanings alone", || FineTuneConfig { steps_per_click: 0, ..leaning() }),
    ("distillation and leanings", || FineTuneConfig {
        distil: 0.5,
        proximal: 0.05,
        memory: 0.8,
        ..leaning()
    }),
];
/// Rates and steps that are tried.
pub const TRIED: [(f32, usize); 4] = [(0.001, 1), (0.003, 1), (0.003, 4), (0.01, 1)];

/// The newest click alone.
fn plain() -> FineTuneConfig {
    FineTuneConfig {
        negatives: 512,
        hard: 200,
        proximal: 0.0,
        memory: 0.0,
        distil: 0.0,
        affinity_rate: 0.0,
        ..FineTuneConfig::default()
    }
}

/// The newest click alone, and leanings as devices learn them.
fn leaning() -> FineTuneConfig {
    let FineTuneConfig { affinity_rate, affinity_memory, .. } = FineTuneConfig::tuned();
    FineTuneConfig { affinity_rate, affinity_memory, ..plain() }
}

/// Those of the strategies that were asked for by name; all where none was.
fn asked(names: &[String]) -> Result<Vec<Named>> {
    for name in names {
        ensure!(
            STRATEGIES.iter().any(|(known, _)| known == name),
            "{name:?} is no way to learn; known are {}",
            STRATEGIES.map(|s| s.0).join(", ")
        );
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|n| n == name);
    Ok(STRATEGIES.into_iter().filter(|(name, _)| wanted(name)).collect())
}

/// Who a user is in this protocol.
fn part(user: usize) -> usize {
    let hash = (user as u32).wrapping_mul(0x9e37_79b1) >> 16;
    match hash % 10 {
        0 | 1 => 2,
        2 => 1,
        _ => 0,
    }
}

/// The users' histories: those that teach, those that decide, those that are tested.
pub(crate) fn split(data: &Dataset) -> [TrainSet; 3] {
    let mut out = [TrainSet::default(), TrainSet::default(), TrainSet::default()];
    for s in 0..data.sessions.len() {
        let items = data.sessions.session(s);
        if items.len() > 1 {
            out[part(s)].push_items(items);
        }
    }
    out
}

/// Replays one history; gives what was foretold of every click after the first three.
fn replay(shopper: &mut Shopper, items: &[u32], steps: usize) -> Result<Vec<Foretold>> {
    shopper.erase();
    let mut out = Vec::new();
    for (at, &item) in items.iter().enumerate() {
        if at >= FIRST {
            out.push(block_on(shopper.foretell(item, &items[..at]))?);
        }
        let id = shopper.catalogue().id(item).context("an item without an id")?.to_owned();
        shopper.track(&id, EventKind::ViewItem, None, at as i64 * PACE_MS);
        block_on(shopper.fine_tune(steps))?;
    }
    Ok(out)
}

/// Replays many histories.
fn replays(
    shipped: &Shipped,
    people: &TrainSet,
    config: &FineTuneConfig,
    seed: u64,
    what: &str,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Foretold>>> {
    let histories: Vec<&[u32]> = people.log.iter().filter(|s| s.len() > FIRST).collect();
    progress.start(what, Some(histories.len() as u64));
    histories
        .par_iter()
        .map_init(
            || shipped.device("benchmark", config, seed),
            |device, items| {
                if stop::asked() {
                    return Err(stop::Stopped.into());
                }
                let device = device.as_mut().map_err(|e| anyhow::anyhow!("{e:#}"))?;
                progress.advance(1);
                replay(device, items, config.steps_per_click)
            },
        )
        .collect()
}

/// Runs the protocol on a data set whose sessions are users' histories, with so many settings tried for
/// each of the strategies `names` (none: all). The student, a model version of it and a replay for browsers, of the
/// last strategy, stay in `out`.
///
/// # Errors
/// Where a name is unknown, there are too few users, or a device fails; or on Ctrl-C.
pub fn run(
    data_dir: &Path,
    out: &Path,
    train: &TrainOptions,
    distil: &DistillOptions,
    tried: usize,
    names: &[String],
    progress: &dyn Progress,
) -> Result<NewShoppers> {
    let strategies = asked(names)?;
    let data = Dataset::load(data_dir)?;
    let hash = teacher::dataset_hash(data_dir)?;
    let [teach, decide, test] = split(&data);
    let shoppers = [teach.log.len(), decide.log.len(), test.log.len()];
    ensure!(
        shoppers.iter().all(|&n| n > 0),
        "{} users are too few to hold shoppers out; a fifth of them is tested and a tenth decides",
        data.sessions.len()
    );
    let shipped = Shipped::kept_or_made(&data, &hash, [teach, decide.clone()], train, distil, out, progress)?;
    let decide = known(&decide, &shipped.counts);
    let test = known(&test, &shipped.counts);
    let seed = train.seed;
    let mut lines = Vec::new();
    for (strategy, config) in strategies {
        let mut best: Option<(f64, FineTuneConfig)> = None;
        let steps = config().steps_per_click > 0;
        for (learning_rate, steps_per_click) in TRIED.into_iter().take(if steps { tried } else { 1 }) {
            let steps_per_click = if steps { steps_per_click } else { 0 };
            let config = FineTuneConfig { learning_rate, steps_per_click, ..config() };
            let what = format!("{strategy}, rate {learning_rate}, {steps_per_click} steps");
            let people = replays(&shipped, &decide, &config, seed, &what, progress)?;
            let all = line(strategy, &config, &people, seed);
            progress.finish(&format!("{what}: {}", brief(&all)));
            if best.as_ref().is_none_or(|b| all.all.ndcg_10[1] > b.0) {
                best = Some((all.all.ndcg_10[1], config));
            }
        }
        let (_, config) = best.context("no setting was tried")?;
        let people = replays(&shipped, &test, &config, seed, strategy, progress)?;
        let found = line(strategy, &config, &people, seed);
        progress.finish(&format!("{strategy} on new shoppers: {}", brief(&found)));
        lines.push(found);
    }
    if let Some(best) = lines.last() {
        let repeated = shipped.for_browsers(&test, &best.config, seed, REPEATED, out)?;
        progress.finish(&format!("{repeated} shoppers for browsers to repeat in {}", out.display()));
    }
    let done = NewShoppers { dataset: hash, seed, shoppers, bytes: shipped.about.bytes, lines };
    write_json(&out.join("new-shoppers.json"), &done)?;
    write_atomic(&out.join("new-shoppers.md"), done.to_markdown().as_bytes())?;
    Ok(done)
}
