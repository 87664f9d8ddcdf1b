//! Options of `onshelf collect` and `onshelf ledger`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use onshelf_collector::Token;
use onshelf_core::protocol::hpke::Keypair;
use onshelf_trainer::collect::aggregators::{FromLeader, Pair};
use onshelf_trainer::collect::{
    self, Folders, FromCollection, FromFile, LEDGER, OpenOptions, Outcome, Places, Round, Stage, Sums,
    ledger, publish, read_or_make_seed, read_seed,
};
use onshelf_trainer::contribute::{self, ContributeOptions};
use onshelf_trainer::progress::Progress;
use serde_json::{Map, Value, json};

#[derive(Args)]
pub(crate) struct CollectArgs {
    #[command(subcommand)]
    step: Step,
}

#[derive(Subcommand)]
enum Step {
    /// Open the next round of a lineage: sign its task and put it beside the models.
    Open(OpenArgs),
    /// Give the open round's task to the aggregators again.
    Announce(AnnounceArgs),
    /// Record the release, ask the leader for the sum, judge what comes of it, and publish it or refuse it. Goes on where
    /// an earlier run was interrupted.
    Finish(FinishArgs),
    /// Make up reports from a log's sessions and upload them, as browsers do: for demonstrations.
    Contribute(ContributeArgs),
    /// Give the open round up. What the ledger says of it stays.
    GiveUp(RoundArgs),
    /// Let an earlier version serve again.
    RollBack(RollBackArgs),
}

#[derive(Args)]
struct RoundArgs {
    /// Folder of the published model versions.
    #[arg(long)]
    models: PathBuf,
    /// Folder of the ledger and the rounds.
    #[arg(long)]
    rounds: PathBuf,
    /// Folder of a data set: the log that the shop has anyway. Its newest period decides.
    #[arg(long)]
    data: PathBuf,
    /// The period that decides, where it is not the newest.
    #[arg(long)]
    deciding: Option<u32>,
    /// File with the Ed25519 secret key that signed the versions.
    #[arg(long)]
    key: PathBuf,
    /// The line of models that one privacy budget covers.
    #[arg(long, default_value = "shop")]
    lineage: String,
}

impl RoundArgs {
    fn folders(&self) -> Folders {
        Folders {
            models: self.models.clone(),
            rounds: self.rounds.clone(),
            data: self.data.clone(),
            deciding: self.deciding,
            key: self.key.clone(),
        }
    }
}

#[derive(Args)]
struct OpenArgs {
    #[command(flatten)]
    round: RoundArgs,
    #[command(flatten)]
    pair: PairArgs,
    /// File with the seed of the collector's HPKE key, 64 hex digits; made where there is none.
    #[arg(long, required_unless_present = "places")]
    collector_key: Option<PathBuf>,
    /// The number of the collector's HPKE configuration.
    #[arg(long, default_value_t = 1)]
    collector_key_id: u8,
    /// Report times are rounded down to multiples of so many seconds.
    #[arg(long, default_value_t = 3_600)]
    time_precision: u64,
    /// How long reports are taken, seconds.
    #[arg(long, default_value_t = 7 * 86_400)]
    duration: u64,
    /// JSON file with `leader`, `helper` (`url`, `hpke`), `collector` (or name --collector-key), `time_precision`,
    /// `duration` and `noise` (which of both are known to add noise), where the aggregators cannot be asked from here;
    /// they have to be given the task then.
    #[arg(long, conflicts_with_all = ["leader", "helper"])]
    places: Option<PathBuf>,
    /// The lineage's budget: ε at δ = 1e-6 over a shopper's participations (at most 8).
    #[arg(long, default_value_t = ledger::BUDGET)]
    epsilon: f64,
    /// Participations of a shopper that ε is for (at most 12).
    #[arg(long, default_value_t = ledger::PARTICIPATIONS as u32)]
    participations: u32,
    /// Fewest reports that anything is released of (at least 1,000).
    #[arg(long, default_value_t = 1_000)]
    min_batch: u64,
}

/// Both aggregators, as operators reach them. Tokens come from the environment, out of the sight of `ps`.
#[derive(Args)]
struct PairArgs {
    /// Address of the leader: `https`, or `http` on this machine. `ONSHELF_LEADER_TOKEN` is its operator's token.
    #[arg(long, requires = "helper", required_unless_present = "places")]
    leader: Option<String>,
    /// Address of the helper; `ONSHELF_HELPER_TOKEN`.
    #[arg(long, requires = "leader")]
    helper: Option<String>,
}

impl PairArgs {
    fn pair(&self) -> Result<Pair> {
        let leader = self.leader.as_deref().context("name --leader")?;
        let helper = self.helper.as_deref().context("name --helper")?;
        Pair::new((leader, token("ONSHELF_LEADER_TOKEN")?), (helper, token("ONSHELF_HELPER_TOKEN")?))
    }
}

/// A token from the environment.
pub(crate) fn token(name: &str) -> Result<Token> {
    let found = std::env::var(name).ok().filter(|t| !t.is_empty());
    Ok(Token(found.with_context(|| format!("set the environment variable {name} to the token"))?))
}

#[derive(Args)]
struct AnnounceArgs {
    #[command(flatten)]
    round: RoundArgs,
    /// Address of the leader; `ONSHELF_LEADER_TOKEN` is its operator's token.
    #[arg(long)]
    leader: String,
    /// Address of the helper; `ONSHELF_HELPER_TOKEN`.
    #[arg(long)]
    helper: String,
}

#[derive(Args)]
struct FinishArgs {
    #[command(flatten)]
    round: RoundArgs,
    /// The sum as JSON (`reports`, `sum`), where it was collected elsewhere.
    #[arg(long, required_unless_present = "collector_key", conflicts_with = "collector_key")]
    sum: Option<PathBuf>,
    /// How long to wait for the leader's answer, seconds. `ONSHELF_COLLECTOR_TOKEN` is the leader's token for the
    /// collector.
    #[arg(long, default_value_t = 600)]
    patience: u64,
    /// The leader's answer to the collection job, `application/dap-collection`, where it was fetched elsewhere.
    #[arg(long, requires = "collector_key")]
    collection: Option<PathBuf>,
    /// File with the seed of the collector's HPKE key, 64 hex digits.
    #[arg(long)]
    collector_key: Option<PathBuf>,
    /// The number of the collector's HPKE configuration.
    #[arg(long, default_value_t = 1)]
    collector_key_id: u8,
}

#[derive(Args)]
struct RollBackArgs {
    /// Folder of the published model versions.
    #[arg(long)]
    models: PathBuf,
    /// File with the Ed25519 secret key that signed them.
    #[arg(long)]
    key: PathBuf,
    /// The version, 16 hex digits [default: the one before].
    #[arg(long)]
    to: Option<String>,
}

#[derive(Args)]
struct ContributeArgs {
    /// Folder of the published model versions, with the open round's task.
    #[arg(long)]
    models: PathBuf,
    /// Folder of a data set.
    #[arg(long)]
    data: PathBuf,
    /// Whose sessions contribute [default: the newest period's].
    #[arg(long)]
    period: Option<u32>,
    /// Reports.
    #[arg(long)]
    shoppers: usize,
    /// Sessions of the period that are passed over first.
    #[arg(long, default_value_t = 0)]
    skip: usize,
}

impl ContributeArgs {
    fn run(&self, now: u64, progress: &dyn Progress) -> Result<(Value, String)> {
        let options = ContributeOptions {
            models: self.models.clone(),
            data: self.data.clone(),
            period: self.period,
            shoppers: self.shoppers,
            skip: self.skip,
            now,
        };
        let sent = contribute::run(&options, progress)?;
        Ok((json!({ "reports": sent }), format!("the leader took {sent} reports")))
    }
}

#[derive(Args)]
pub(crate) struct LedgerArgs {
    /// Folder of the ledger and the rounds.
    #[arg(long)]
    rounds: PathBuf,
}

impl CollectArgs {
    pub(crate) fn run(&self, now: u64, progress: &dyn Progress) -> Result<(Value, String)> {
        match &self.step {
            Step::Open(args) => {
                let (places, pair) = args.places(now)?;
                let mut rotation = [0; 32];
                getrandom::fill(&mut rotation).map_err(|e| anyhow::anyhow!("no randomness: {e}"))?;
                let options = OpenOptions {
                    lineage: args.round.lineage.clone(),
                    epsilon: args.epsilon,
                    participations: args.participations,
                    min_batch: args.min_batch,
                    rotation,
                    now,
                };
                let folders = args.round.folders();
                let round = collect::open(&folders, &places, &options, progress)?;
                if let Some(pair) = pair {
                    let task = collect::open_task(&folders, &round.lineage)?;
                    pair.announce(&task).context(
                        "the round is open, but not known to both; go on with `onshelf collect announce`",
                    )?;
                }
                told(&round)
            }
            Step::Announce(args) => {
                let pair = Pair::new(
                    (&args.leader, token("ONSHELF_LEADER_TOKEN")?),
                    (&args.helper, token("ONSHELF_HELPER_TOKEN")?),
                )?;
                pair.announce(&collect::open_task(&args.round.folders(), &args.round.lineage)?)?;
                Ok((json!({ "announced": args.round.lineage }), "both aggregators have the task".into()))
            }
            Step::Finish(args) => {
                let folders = args.round.folders();
                let mut sums = args.sums()?;
                let lineage = &args.round.lineage;
                told(&collect::finish(&folders, lineage, &mut *sums, now, &|_| {}, progress)?)
            }
            Step::Contribute(args) => args.run(now, progress),
            Step::GiveUp(args) => told(&collect::give_up(&args.folders(), &args.lineage)?),
            Step::RollBack(args) => {
                let version = publish::roll_back(&args.models, &args.key, args.to.as_deref(), now)?;
                Ok((json!({ "serving": version }), format!("version {version} serves again")))
            }
        }
    }
}

impl OpenArgs {
    /// Where reports and sums go, and whom to give the task.
    fn places(&self, now: u64) -> Result<(Places, Option<Pair>)> {
        let key = match &self.collector_key {
            Some(path) => Some(Keypair::derive(self.collector_key_id, &read_or_make_seed(path)?)),
            None => None,
        };
        if let Some(path) = &self.places {
            let named = || path.display().to_string();
            let text = std::fs::read(path).with_context(named)?;
            let mut places: Map<String, Value> = serde_json::from_slice(&text).with_context(named)?;
            noise_is_added(places.remove("noise").as_ref()).with_context(named)?;
            if let Some(key) = &key {
                let own = serde_json::to_value(key.public())?;
                let before = places.insert("collector".into(), own.clone());
                let same = before.is_none_or(|before| before == own);
                ensure!(same, "{}: `collector` is not the key of --collector-key; leave it out", named());
            }
            return Ok((serde_json::from_value(places.into()).with_context(named)?, None));
        }
        let (key, pair) = (key.context("name --collector-key")?, self.pair.pair()?);
        Ok((pair.places(&key, self.time_precision, self.duration, now)?, Some(pair)))
    }
}

impl FinishArgs {
    fn sums(&self) -> Result<Box<dyn Sums>> {
        if let Some(path) = &self.sum {
            return Ok(Box::new(FromFile(path.clone())));
        }
        let seed = read_seed(self.collector_key.as_ref().context("name --collector-key")?)?;
        let key = Keypair::derive(self.collector_key_id, &seed);
        let Some(path) = &self.collection else {
            let (token, patience) = (token("ONSHELF_COLLECTOR_TOKEN")?, self.patience);
            return Ok(Box::new(FromLeader { key, token, patience }));
        };
        let body = std::fs::read(path).with_context(|| path.display().to_string())?;
        ensure!(!body.is_empty(), "{} is empty: the sum is not there yet", path.display());
        Ok(Box::new(FromCollection { body, key }))
    }
}

/// A round in words.
fn told(round: &Round) -> Result<(Value, String)> {
    let mut text = format!("round {} of {} ({}): ", round.number, round.lineage, round.part);
    match &round.stage {
        Stage::Open => write!(text, "open, task {}", round.task)?,
        Stage::Released { reports, .. } => write!(text, "the sum of {reports} reports is here")?,
        Stage::Over(Outcome::GivenUp) => write!(text, "given up")?,
        Stage::Over(Outcome::Published { version, verdict }) => {
            write!(text, "published as {version}")?;
            for d in &verdict.differences {
                write!(
                    text,
                    "\n  {:?}: {:+.5} ± {:.5} in NDCG@20 ({} sessions)",
                    d.segment, d.gain, d.error, d.sessions
                )?;
            }
        }
        Stage::Over(Outcome::Refused { verdict }) => {
            write!(text, "refused by the canary")?;
            verdict.reasons.iter().try_for_each(|reason| write!(text, "\n  {reason}"))?;
        }
    }
    // The sum itself is in the round's file.
    let stage = match &round.stage {
        Stage::Open => json!("open"),
        Stage::Released { reports, .. } => json!({ "released": reports }),
        Stage::Over(outcome) => serde_json::to_value(outcome)?,
    };
    let (number, lineage, task, part) = (round.number, &round.lineage, &round.task, round.part);
    Ok((json!({ "round": number, "lineage": lineage, "task": task, "part": part, "stage": stage }), text))
}

/// The ledger counts what a release costs with the noise of one aggregator; servers that are not ours may add none.
fn noise_is_added(noise: Option<&Value>) -> Result<()> {
    let names: Vec<String> = noise.map_or_else(|| Ok(Vec::new()), |n| serde_json::from_value(n.clone()))?;
    let known = names.iter().all(|name| ["leader", "helper"].contains(&name.as_str()));
    ensure!(
        known && !names.is_empty(),
        "`noise` has to name who adds the task's noise to its share of the sum: \"leader\", \"helper\" or both, in a list. \
         Where neither does, the sum tells of single shoppers, and no round may be opened"
    );
    Ok(())
}

impl LedgerArgs {
    pub(crate) fn run(&self) -> Result<(Value, String)> {
        let spent = ledger::spent(&self.rounds.join(LEDGER))?;
        let mut text = format!(
            "lineage: releases, ε at δ = {:.0e} of a shopper of {} rounds, of one of all\n",
            ledger::DELTA,
            ledger::PARTICIPATIONS
        );
        for s in &spent {
            writeln!(text, "{}: {}, {:.3}, {:.3}", s.lineage, s.releases, s.epsilon, s.epsilon_of_all)?;
        }
        Ok((serde_json::to_value(&spent)?, text))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        open: OpenArgs,
    }

    /// What `open` makes of a file of places and, perhaps, of the collector's key beside it.
    fn places(content: &Value, with_key: bool) -> Result<Places> {
        let dir = tempfile::tempdir()?;
        let at = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(at("places.json"), content.to_string())?;
        std::fs::write(at("collector.key"), "07".repeat(32))?;
        let mut line = vec!["open".to_owned()];
        for name in ["models", "rounds", "data", "key"] {
            line.extend([format!("--{name}"), at(name)]);
        }
        line.extend(["--places".into(), at("places.json")]);
        if with_key {
            line.extend(["--collector-key".into(), at("collector.key")]);
        }
        let (places, pair) = Line::try_parse_from(line)?.open.places(0)?;
        assert!(pair.is_none(), "nobody is asked");
        Ok(places)
    }

    #[test]
    fn places_name_the_collectors_key_or_take_it_from_its_seed() {
        let key = |id, byte| Keypair::derive(id, &[byte; 32]).public().clone();
        let aggregator =
            |name: &str, id| json!({ "url": format!("https://{name}.example/"), "hpke": key(id, id) });
        let mut content = json!({
            "leader": aggregator("leader", 1), "helper": aggregator("helper", 2),
            "time_precision": 60, "duration": 3_600, "noise": ["helper"],
        });
        assert!(places(&content, false).is_err(), "no key at all");
        assert_eq!(places(&content, true).unwrap().collector, key(1, 7));
        content["collector"] = json!(key(1, 7));
        assert_eq!(places(&content, true).unwrap().collector, key(1, 7));
        assert_eq!(places(&content, false).unwrap().collector, key(1, 7));
        content["collector"] = json!(key(3, 3));
        assert_eq!(places(&content, false).unwrap().collector, key(3, 3));
        let error = places(&content, true).unwrap_err().to_string();
        assert!(error.contains("--collector-key"), "{error}");
        assert!(places(&json!([]), true).is_err());
        for bad in [json!([]), json!(["collector"]), json!("helper"), Value::Null] {
            content["collector"] = json!(key(1, 7));
            content["noise"] = bad;
            let error = format!("{:#}", places(&content, true).unwrap_err());
            assert!(error.contains("noise") || error.contains("invalid type"), "{error}");
        }
    }
}
