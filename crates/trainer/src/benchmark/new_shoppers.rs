//! New shoppers: people who never entered any training. A device replays each one's history click by
//! click, predicts the next click, and only then learns from it, as it would in a browser.
//!
//! A fifth of the users (by a fixed hash) are new shoppers; another tenth decides learning rates and
//! steps of each strategy, and which adapter start is kept; the rest teach. Items that were clicked
//! before are not shown again.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::catalogue::Catalogue;
use onshelf_core::event::EventKind;
use onshelf_core::metrics::{ndcg_at, recall_at};
use onshelf_core::version::{FineTuneConfig, MANIFEST_FORMAT, Manifest, StudentShape};
use onshelf_core::weights::Weights;
use onshelf_model::Device;
use onshelf_model::shopper::{Foretold, Shopper};
use onshelf_model::training::TrainSet;
use pollster::block_on;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::export::mark_untrained;
use crate::files::{write_atomic, write_json};
use crate::progress::Progress;
use crate::stop;
use crate::student::{self, DistillOptions};
use crate::teacher::{self, LoadedTeacher, TrainOptions};

/// Clicks before the first prediction.
const FIRST: usize = 3;
/// Positions from here on are one row of the table.
const LAST: usize = 12;
/// Resamples of a bootstrap interval.
const RESAMPLES: usize = 2000;
/// Milliseconds between two clicks of a replay.
pub(crate) const PACE_MS: i64 = 60_000;

/// The strategies of a device.
pub(crate) const STRATEGIES: [(&str, f32, f32, f32); 4] = [
    // proximal, memory, distil
    ("gradient", 0.0, 0.0, 0.0),
    ("proximal", 0.05, 0.0, 0.0),
    ("replay", 0.05, 0.8, 0.0),
    ("distillation", 0.05, 0.8, 0.5),
];
const RATES: [f32; 3] = [0.003, 0.01, 0.03];
const STEPS: [usize; 2] = [1, 4];

/// HR@10, NDCG@10 of the shipped student, the personal model, and what the guard showed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Marks {
    /// Predictions.
    pub tests: usize,
    /// HR@10: shipped, personal, shown.
    pub hr_10: [f64; 3],
    /// NDCG@10: shipped, personal, shown.
    pub ndcg_10: [f64; 3],
    /// Mean loss (nats): shipped, personal, shown.
    pub loss: [f64; 3],
}

/// A difference per shopper and its 95 % bootstrap interval.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Gain {
    /// Mean over shoppers.
    pub mean: f64,
    /// Lower and upper end.
    pub interval: [f64; 2],
}

/// What a strategy did.
#[derive(Clone, Debug, Serialize)]
pub struct StrategyLine {
    /// Its name.
    pub strategy: String,
    /// How it learned.
    pub config: FineTuneConfig,
    /// Over all positions.
    pub all: Marks,
    /// By the number of clicks that were known; the last row holds all longer ones.
    pub by_position: Vec<(usize, Marks)>,
    /// What was shown against the shipped student, per shopper: HR@10, NDCG@10, loss (lower is better,
    /// so the sign is turned).
    pub gain: [Gain; 3],
    /// Share of shoppers whose mean rank got worse: personal model without guard, and as shown.
    pub harmed: [f64; 2],
    /// Share of shoppers whose mean rank got better: the same.
    pub helped: [f64; 2],
}

/// What the protocol says.
#[derive(Clone, Debug, Serialize)]
pub struct NewShoppers {
    /// SHA-256 of the data set's sessions.
    pub dataset: String,
    /// Seed of everything random.
    pub seed: u64,
    /// Shoppers that teach, decide, and are tested.
    pub shoppers: [usize; 3],
    /// Bytes of the student and its teacher.
    pub bytes: [u64; 2],
    /// The strategies.
    pub lines: Vec<StrategyLine>,
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

/// A student as devices get it.
pub(crate) struct Shipped {
    pub(crate) shape: StudentShape,
    pub(crate) weights: Weights,
    pub(crate) catalogue: Catalogue,
    pub(crate) bytes: [u64; 2],
    pub(crate) counts: Vec<u32>,
}

impl Shipped {
    /// Trains a teacher on `teach` and distils it; `decide` validates.
    pub(crate) fn make(
        data: &Dataset,
        hash: &str,
        [teach, decide]: [TrainSet; 2],
        train: &TrainOptions,
        distil: &DistillOptions,
        progress: &dyn Progress,
    ) -> Result<(Self, LoadedTeacher)> {
        let mut corpus = Corpus::of(teach, data.catalogue.len());
        corpus.validation = known(&decide, &corpus.counts);
        let state = teacher::fit(data, &corpus, train, hash.to_owned(), None, progress)?;
        let loaded = LoadedTeacher {
            teacher: state.ready(&corpus)?,
            weights: state.weights.clone(),
            info: state.info,
            corpus,
        };
        let done = student::fit(&loaded.source(&data.catalogue), distil, progress)?;
        let counts = loaded.corpus.counts.clone();
        let shipped = Self {
            shape: done.shape,
            weights: Weights::from_safetensors(&done.file)?,
            bytes: [done.file.len() as u64, loaded.bytes()?],
            catalogue: mark_untrained(&data.catalogue, &counts, &done.placed)?,
            counts,
        };
        Ok((shipped, loaded))
    }

    /// A device with this student on it.
    pub(crate) fn device(&self, config: &FineTuneConfig, seed: u64) -> Result<Shopper> {
        let manifest = Manifest {
            format: MANIFEST_FORMAT,
            name: "benchmark".into(),
            created: 0,
            previous: None,
            student: self.shape.clone(),
            fine_tune: config.clone(),
            items: self.catalogue.len() as u32,
            files: Vec::new(),
            metrics: Default::default(),
        };
        let catalogue = self.catalogue.clone();
        let device = Device::flex();
        Ok(Shopper::new("benchmark".into(), manifest, catalogue, &self.weights, &device, false, seed)?)
    }
}

/// Histories without items that have no count.
fn known(set: &TrainSet, counts: &[u32]) -> TrainSet {
    let mut out = TrainSet::default();
    for session in set.log.iter() {
        let kept: Vec<u32> = session.iter().copied().filter(|&i| counts[i as usize] > 0).collect();
        if kept.len() > 1 {
            out.push_items(&kept);
        }
    }
    out
}

/// Replays one history; gives what was foretold of every click after the first three.
pub(crate) fn replay(shopper: &mut Shopper, items: &[u32], steps: usize) -> Result<Vec<Foretold>> {
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
    let out = histories
        .par_iter()
        .map_init(
            || shipped.device(config, seed),
            |device, items| {
                if stop::asked() {
                    return Err(stop::Stopped.into());
                }
                let device = device.as_mut().map_err(|e| anyhow::anyhow!("{e:#}"))?;
                progress.advance(1);
                replay(device, items, config.steps_per_click)
            },
        )
        .collect::<Result<Vec<_>>>();
    out
}

/// Marks of some predictions.
fn marks<'a>(all: impl Iterator<Item = &'a Foretold>) -> Marks {
    let mut out = Marks::default();
    for f in all {
        out.tests += 1;
        let shown = usize::from(f.personal);
        for (at, which) in [0, 1, shown].into_iter().enumerate() {
            out.hr_10[at] += recall_at(f.ranks[which], 10);
            out.ndcg_10[at] += ndcg_at(f.ranks[which], 10);
            out.loss[at] += f.losses[which];
        }
    }
    let n = out.tests.max(1) as f64;
    out.hr_10.iter_mut().chain(&mut out.ndcg_10).chain(&mut out.loss).for_each(|x| *x /= n);
    out
}

/// The mean of values and its 95 % percentile bootstrap interval (Efron, 1979).
fn gain(values: &[f64], seed: u64) -> Gain {
    let n = values.len().max(1);
    let mean = values.iter().sum::<f64>() / n as f64;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| (0..values.len()).map(|_| values[rng.random_range(0..n)]).sum::<f64>() / n as f64)
        .collect();
    means.sort_by(f64::total_cmp);
    let at =
        |share: f64| means.get((share * (RESAMPLES - 1) as f64).round() as usize).copied().unwrap_or(mean);
    Gain { mean, interval: [at(0.025), at(0.975)] }
}

fn line(strategy: &str, config: &FineTuneConfig, people: &[Vec<Foretold>], seed: u64) -> StrategyLine {
    let per_shopper = |value: &dyn Fn(&Foretold, usize) -> f64| -> Vec<f64> {
        let mean = |p: &[Foretold]| {
            let sum: f64 = p.iter().map(|f| value(f, usize::from(f.personal)) - value(f, 0)).sum();
            sum / p.len().max(1) as f64
        };
        people.iter().map(|p| mean(p)).collect()
    };
    // Of shoppers: better and worse mean rank.
    let rank = |f: &Foretold, which: usize| f.ranks[which].unwrap_or(usize::MAX) as f64;
    let moved = |shown: bool| {
        let (mut worse, mut better) = (0, 0);
        for p in people {
            let sum = |which: &dyn Fn(&Foretold) -> usize| p.iter().map(|f| rank(f, which(f))).sum::<f64>();
            let after = sum(&|f| if shown { usize::from(f.personal) } else { 1 });
            let before = sum(&|_| 0);
            worse += usize::from(after > before);
            better += usize::from(after < before);
        }
        let n = people.len().max(1) as f64;
        (worse as f64 / n, better as f64 / n)
    };
    let (raw, shown) = (moved(false), moved(true));
    let at = |clicks: usize| {
        let mine = move |(n, _): &(usize, &Foretold)| {
            if clicks == LAST { n + FIRST >= LAST } else { n + FIRST == clicks }
        };
        marks(people.iter().flat_map(move |p| p.iter().enumerate().filter(mine)).map(|(_, f)| f))
    };
    StrategyLine {
        strategy: strategy.into(),
        config: config.clone(),
        all: marks(people.iter().flatten()),
        by_position: (FIRST..=LAST).map(|clicks| (clicks, at(clicks))).collect(),
        gain: [
            gain(&per_shopper(&|f, w| recall_at(f.ranks[w], 10)), seed),
            gain(&per_shopper(&|f, w| ndcg_at(f.ranks[w], 10)), seed),
            gain(&per_shopper(&|f, w| -f.losses[w]), seed),
        ],
        harmed: [raw.0, shown.0],
        helped: [raw.1, shown.1],
    }
}

/// Runs the protocol on a data set whose sessions are users' histories.
///
/// # Errors
/// Where there are too few users, or a device fails; or on Ctrl-C.
pub fn run(
    data_dir: &Path,
    out: &Path,
    train: &TrainOptions,
    distil: &DistillOptions,
    progress: &dyn Progress,
) -> Result<NewShoppers> {
    let data = Dataset::load(data_dir)?;
    let hash = teacher::dataset_hash(data_dir)?;
    let [teach, decide, test] = split(&data);
    let shoppers = [teach.log.len(), decide.log.len(), test.log.len()];
    ensure!(
        shoppers.iter().all(|&n| n > 0),
        "{} users are too few to hold shoppers out; a fifth of them is tested and a tenth decides",
        data.sessions.len()
    );
    let kept = out.join("student.safetensors");
    let shipped = if let Ok(file) = std::fs::read(&kept) {
        let corpus = Corpus::of(teach, data.catalogue.len());
        let weights = Weights::from_safetensors(&file)?;
        Shipped {
            shape: StudentShape {
                dim: 96,
                blocks: 2,
                heads: 2,
                hidden: 192,
                max_len: train.max_len,
                subspaces: distil.subspaces,
                adapter_rank: distil.adapter_rank,
                temperature: 0.07,
                times: false,
            },
            weights,
            bytes: [file.len() as u64, 1],
            catalogue: mark_untrained(&data.catalogue, &corpus.counts, &[])?,
            counts: corpus.counts,
        }
    } else {
        Shipped::make(&data, &hash, [teach, decide.clone()], train, distil, progress)?.0
    };
    if !kept.exists() {
        std::fs::create_dir_all(out)?;
        std::fs::write(&kept, shipped.weights.to_packed(student::packing)?)?;
    }
    if let Ok(text) = std::env::var("EXPLORE") {
        let decide = known(&decide, &shipped.counts);
        for part in text.split(';') {
            let v: Vec<f32> = part.split(',').map(|x| x.trim().parse().unwrap()).collect();
            let config = FineTuneConfig {
                learning_rate: v[0],
                steps_per_click: v[1] as usize,
                proximal: v[2],
                memory: v[3],
                distil: v[4],
                hard: v[5] as usize,
                negatives: v[6] as usize,
                affinity_rate: v[7],
            };
            let people = replays(&shipped, &decide, &config, train.seed, part, progress)?;
            progress.finish(&format!("X {part}: {}", brief(&line("x", &config, &people, train.seed))));
            for c in [0, 2, 3, 4, 5] {
                for tau in [-0.05, 0.0, 0.05, 0.1, 0.15, 0.2, 0.3] {
                    let mut sim = people.clone();
                    sim.iter_mut().flatten().for_each(|f| f.personal = f.guard.clicks >= c && f.guard.lead > tau);
                    let used = sim.iter().flatten().filter(|f| f.personal).count() as f64 / sim.iter().flatten().count() as f64;
                    let l = line("x", &config, &sim, train.seed);
                    progress.finish(&format!("G {part} c {c} tau {tau}: used {used:.2} harmed {:.3} helped {:.3} hr {:+.3} [{:+.3} {:+.3}] ndcg {:+.3} [{:+.3} {:+.3}] loss {:+.3}", l.harmed[1], l.helped[1], 100.0*l.gain[0].mean, 100.0*l.gain[0].interval[0], 100.0*l.gain[0].interval[1], 100.0*l.gain[1].mean, 100.0*l.gain[1].interval[0], 100.0*l.gain[1].interval[1], l.gain[2].mean));
                }
            }
        }
        anyhow::bail!("explored");
    }
    let decide = known(&decide, &shipped.counts);
    let test = known(&test, &shipped.counts);
    let seed = train.seed;
    let mut lines = Vec::new();
    for (strategy, proximal, memory, distil) in STRATEGIES {
        let mut best: Option<(f64, FineTuneConfig)> = None;
        for learning_rate in RATES {
            for steps_per_click in STEPS {
                let config = FineTuneConfig {
                    learning_rate,
                    steps_per_click,
                    proximal,
                    memory,
                    distil,
                    ..FineTuneConfig::default()
                };
                let what = format!("{strategy}, rate {learning_rate}, {steps_per_click} steps");
                let people = replays(&shipped, &decide, &config, seed, &what, progress)?;
                let all = line(strategy, &config, &people, seed);
                progress.finish(&format!("{what}: {}", brief(&all)));
                if best.as_ref().is_none_or(|b| all.all.loss[1] < b.0) {
                    best = Some((all.all.loss[1], config));
                }
            }
        }
        let (_, config) = best.context("no setting was tried")?;
        let people = replays(&shipped, &test, &config, seed, strategy, progress)?;
        let found = line(strategy, &config, &people, seed);
        progress.finish(&format!("{strategy} on new shoppers: {}", brief(&found)));
        lines.push(found);
    }
    let done = NewShoppers { dataset: hash, seed, shoppers, bytes: shipped.bytes, lines };
    write_json(&out.join("new-shoppers.json"), &done)?;
    write_atomic(&out.join("new-shoppers.md"), done.to_markdown().as_bytes())?;
    Ok(done)
}

impl NewShoppers {
    /// The tables as Markdown, in percent.
    #[must_use]
    pub fn to_markdown(&self) -> String {
        let p = |x: f64| x * 100.0;
        let [teach, decide, test] = self.shoppers;
        let mut out = format!(
            "New shoppers: {teach} teach, {decide} decide rates, {test} are tested; full ranking, clicked items \
             hidden. Student {} bytes, its teacher {}. Seed {}, data set {}. {}.\n\n\
             \"shown\" is what the guard let through. Differences are of what was shown against the shipped \
             student, means per shopper with 95 % bootstrap intervals; harmed and helped are shares of shoppers \
             whose mean rank got worse or better.\n\n\
             | strategy | HR@10 shipped, personal, shown | NDCG@10 | loss, nats | HR@10 gained | NDCG@10 gained | \
             nats gained | harmed without guard | harmed | helped |\n\
             | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |\n",
            self.bytes[0],
            self.bytes[1],
            self.seed,
            &self.dataset[..12.min(self.dataset.len())],
            super::machine::describe()
        );
        for l in &self.lines {
            let three = |x: [f64; 3], f: f64| format!("{:.2}, {:.2}, {:.2}", f * x[0], f * x[1], f * x[2]);
            let gained = |g: &Gain, f: f64| {
                format!("{:+.3} ({:+.3} to {:+.3})", f * g.mean, f * g.interval[0], f * g.interval[1])
            };
            out.push_str(&format!(
                "| {} (rate {}, {} steps) | {} | {} | {} | {} | {} | {} | {:.1} | {:.1} | {:.1} |\n",
                l.strategy,
                l.config.learning_rate,
                l.config.steps_per_click,
                three(l.all.hr_10, 100.0),
                three(l.all.ndcg_10, 100.0),
                three(l.all.loss, 1.0),
                gained(&l.gain[0], 100.0),
                gained(&l.gain[1], 100.0),
                gained(&l.gain[2], 1.0),
                p(l.harmed[0]),
                p(l.harmed[1]),
                p(l.helped[1])
            ));
        }
        for l in &self.lines {
            out.push_str(&format!(
                "\n{}, by the number of known clicks:\n\n| clicks | tests | HR@10 shipped | shown | NDCG@10 shipped | shown |\n\
                 | --- | --- | --- | --- | --- | --- |\n",
                l.strategy
            ));
            for (clicks, m) in &l.by_position {
                let more = if *clicks == LAST { " or more" } else { "" };
                out.push_str(&format!(
                    "| {clicks}{more} | {} | {:.2} | {:.2} | {:.2} | {:.2} |\n",
                    m.tests,
                    p(m.hr_10[0]),
                    p(m.hr_10[2]),
                    p(m.ndcg_10[0]),
                    p(m.ndcg_10[2])
                ));
            }
        }
        out
    }
}

fn brief(l: &StrategyLine) -> String {
    let p = |x: f64| x * 100.0;
    format!(
        "HR@10 {:.2} {:.2} {:.2}, NDCG@10 {:.2} {:.2} {:.2}, loss {:.3} {:.3} {:.3}, harmed {:.1} {:.1}, helped {:.1} {:.1}",
        p(l.all.hr_10[0]),
        p(l.all.hr_10[1]),
        p(l.all.hr_10[2]),
        p(l.all.ndcg_10[0]),
        p(l.all.ndcg_10[1]),
        p(l.all.ndcg_10[2]),
        l.all.loss[0],
        l.all.loss[1],
        l.all.loss[2],
        p(l.harmed[0]),
        p(l.harmed[1]),
        p(l.helped[0]),
        p(l.helped[1])
    )
}
