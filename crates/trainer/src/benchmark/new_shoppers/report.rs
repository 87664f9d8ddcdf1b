//! What was foretold, in figures.

use onshelf_core::metrics::{ndcg_at, recall_at};
use onshelf_core::version::FineTuneConfig;
use onshelf_model::shopper::Foretold;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::FIRST;
use crate::benchmark::machine;

/// Positions from here on are one row of the table.
const LAST: usize = 12;
/// Resamples of a bootstrap interval.
const RESAMPLES: usize = 2000;

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

/// Marks of some predictions.
fn marks<'a>(all: impl Iterator<Item = &'a Foretold>) -> Marks {
    let mut out = Marks::default();
    for f in all {
        out.tests += 1;
        for at in 0..f.ranks.len() {
            out.hr_10[at] += recall_at(f.ranks[at], 10);
            out.ndcg_10[at] += ndcg_at(f.ranks[at], 10);
            out.loss[at] += f.losses[at];
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

pub(super) fn line(
    strategy: &str,
    config: &FineTuneConfig,
    people: &[Vec<Foretold>],
    seed: u64,
) -> StrategyLine {
    let per_shopper = |value: &dyn Fn(&Foretold, usize) -> f64| -> Vec<f64> {
        let mean = |p: &[Foretold]| {
            let sum: f64 = p.iter().map(|f| value(f, 2) - value(f, 0)).sum();
            sum / p.len().max(1) as f64
        };
        people.iter().map(|p| mean(p)).collect()
    };
    // Of shoppers: better and worse mean rank.
    let rank = |f: &Foretold, which: usize| f.ranks[which].unwrap_or(usize::MAX) as f64;
    let moved = |shown: bool| {
        let (mut worse, mut better) = (0, 0);
        for p in people {
            let sum = |which: usize| p.iter().map(|f| rank(f, which)).sum::<f64>();
            let (before, after) = (sum(0), sum(if shown { 2 } else { 1 }));
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
            machine::describe()
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

pub(super) fn brief(l: &StrategyLine) -> String {
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
