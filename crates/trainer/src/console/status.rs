//! What the console shows, as JSON; `www/console/src/types.ts` is the other side.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use onshelf_collector::OperatorClient;
use onshelf_core::privacy::gaussian::epsilon_of_rho;
use onshelf_core::version::log::VersionLog;
use onshelf_core::version::{Manifest, VerifiedManifest};
use serde_json::{Value, json};

use super::ConsoleOptions;
use crate::collect::ledger::{self, DELTA, Release};
use crate::collect::{LEDGER, Outcome, Round, Stage, rounds_of};
use crate::export::VERSIONS_LOG;

/// Everything.
pub(super) async fn of(options: &ConsoleOptions) -> Result<Value> {
    let [leader, helper] = &options.aggregators;
    let (leader, helper) = tokio::join!(aggregator("leader", leader), aggregator("helper", helper));
    let notice = [&leader, &helper]
        .iter()
        .find_map(|a| a["notice"].as_str().filter(|n| !n.is_empty()).map(str::to_owned))
        .unwrap_or_default();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    Ok(json!({
        "generated": now,
        "notice": notice,
        "aggregators": [leader, helper],
        "lineages": lineages(&options.rounds)?,
        "versions": versions(&options.models)?,
    }))
}

/// One aggregator's answer, or why there is none.
async fn aggregator(role: &str, client: &OperatorClient) -> Value {
    match client.status().await {
        Ok(status) => json!({
            "role": role, "url": client.url(), "error": null, "notice": status["notice"], "tasks": status["tasks"],
        }),
        Err(error) => {
            json!({ "role": role, "url": client.url(), "error": error.to_string(), "tasks": [] })
        }
    }
}

fn lineages(rounds: &Path) -> Result<Vec<Value>> {
    let path = rounds.join(LEDGER);
    let (releases, spent) = if path.exists() {
        (ledger::releases(&path)?, ledger::spent(&path)?)
    } else {
        (Vec::new(), Vec::new())
    };
    let mut out = Vec::new();
    for (lineage, rounds) in rounds_of(rounds)? {
        let spent = spent.iter().find(|s| s.lineage == lineage);
        let own: BTreeMap<&str, &Release> = releases.iter().map(|r| (r.task.as_str(), r)).collect();
        out.push(json!({
            "lineage": lineage,
            "budget": rounds.last().map(|r| r.budget),
            "delta": DELTA,
            "releases": spent.map_or(0, |s| s.releases),
            "epsilon": spent.map_or(0.0, |s| s.epsilon),
            "epsilon_of_all": spent.map_or(0.0, |s| s.epsilon_of_all),
            "rounds": rounds.iter().map(|r| round(r, own.get(r.task.as_str()).copied())).collect::<Result<Vec<_>>>()?,
        }));
    }
    Ok(out)
}

fn round(round: &Round, release: Option<&Release>) -> Result<Value> {
    let stage = match &round.stage {
        Stage::Open => json!("open"),
        Stage::Released { reports, .. } => json!({ "released": reports }),
        Stage::Over(Outcome::GivenUp) => json!("given_up"),
        Stage::Over(outcome) => serde_json::to_value(outcome)?,
    };
    // A round that was not released has cost nothing.
    let epsilon = release.map_or(Ok(0.0), |r| epsilon_of_rho(r.rho, DELTA))?;
    Ok(json!({
        "number": round.number, "task": round.task, "model": round.model, "part": round.part, "stage": stage,
        "reports": round.reports, "epsilon": epsilon, "released_at": release.map(|r| r.at),
    }))
}

/// The public log, oldest first, with what each version's manifest says of it.
fn versions(models: &Path) -> Result<Vec<Value>> {
    let read =
        |name: &str| fs::read(models.join(name)).with_context(|| models.join(name).display().to_string());
    let trusted: Vec<String> =
        serde_json::from_slice(&read("public-keys.json")?).context("public-keys.json")?;
    let log = VersionLog::read(&read(VERSIONS_LOG)?, &trusted).context(VERSIONS_LOG)?;
    let serving = Manifest::verify(&read("latest.json")?, &trusted).context("latest.json")?.digest;
    let manifest = |digest: &str| -> Option<VerifiedManifest> {
        let name = format!("manifests/{}.json", digest.get(..16)?);
        Manifest::verify(&fs::read(models.join(name)).ok()?, &trusted).ok()
    };
    let last = log.entries().iter().rposition(|e| e.model == serving);
    let version = |(at, entry): (usize, &onshelf_core::version::log::Entry)| {
        let found = manifest(&entry.model);
        Ok(json!({
            "at": entry.at,
            "event": serde_json::to_value(entry.event)?,
            "version": found.as_ref().map_or_else(|| entry.model[..16].to_owned(), |m| m.version.clone()),
            "digest": entry.model,
            "created": found.as_ref().map_or(entry.at, |m| m.manifest.created),
            "serving": Some(at) == last,
            "metrics": found.map(|m| m.manifest.metrics).unwrap_or_default(),
        }))
    };
    log.entries().iter().enumerate().map(version).collect()
}
