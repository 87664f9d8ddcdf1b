//! Uploads reports whose sum is known, and collects a sum: what shows that aggregators of any make add up exactly.
//!
//! ```sh
//! known_reports TASK.json PUBLIC_KEY id
//! known_reports TASK.json PUBLIC_KEY upload COUNT
//! known_reports TASK.json PUBLIC_KEY collect SEED JOB
//! known_reports collector SEED
//! ```
//!
//! `TASK.json` is a signed task, `PUBLIC_KEY` its signer's. Reports are sealed by the code that the browser module is
//! made of. A collection is asked for with the token in `ONSHELF_COLLECTOR_TOKEN`, and opened with the key of the seed
//! (64 hexadecimal digits) that `onshelf collect --collector-key` keeps in a file. Prints JSON.

use std::error::Error;
use std::io::Write as _;
use std::time::Instant;

use onshelf_collector::{CollectorClient, Token, Uploads};
use onshelf_core::protocol::collect::Batch;
use onshelf_core::protocol::hpke::Keypair;
use onshelf_core::protocol::manifest::TaskManifest;
use onshelf_core::protocol::report::seal_integers;
use onshelf_core::version::from_hex_32;
use onshelf_server::aggregator::system_clock;
use onshelf_server::random;
use serde_json::{Value, json};
use tokio::task::JoinSet;

type Failure = Box<dyn Error + Send + Sync>;

/// Uploads that run at once.
const AT_ONCE: usize = 16;
/// Longest wait for a sum, seconds.
const PATIENCE: u64 = 600;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let task = |path: &str, key: &str| -> Result<TaskManifest, Failure> {
        Ok(TaskManifest::verify(&std::fs::read(path)?, &[key.to_owned()])?)
    };
    let told = match words[..] {
        [path, key, "id"] => json!({ "task": task(path, key)?.id_text() }),
        [path, key, "upload", count] => upload(&task(path, key)?, count.parse()?).await?,
        [path, key, "collect", seed, job] => collect(&task(path, key)?, &collector(seed)?, job).await?,
        ["collector", seed] => json!({ "config": collector(seed)?.public() }),
        _ => return Err("see the head of known_reports.rs".into()),
    };
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// The n-th report's integers: every value of the range occurs at every place.
fn vector(n: usize, length: usize, top: u32) -> Vec<u32> {
    (0..length).map(|at| ((n * 7 + at * 3) % (top as usize + 1)) as u32).collect()
}

async fn upload(task: &TaskManifest, count: usize) -> Result<Value, Failure> {
    let encoding = &task.parameters().encoding;
    let mut sum = vec![0_u64; encoding.length()];
    let began = Instant::now();
    let mut reports = Vec::with_capacity(count);
    for n in 0..count {
        let vector = vector(n, encoding.length(), encoding.top());
        sum.iter_mut().zip(&vector).for_each(|(s, v)| *s += u64::from(*v));
        reports.push(seal_integers(task, &vector, system_clock()(), &mut random::fill)?);
    }
    let sealing = began.elapsed();
    let (began, uploads) = (Instant::now(), Uploads::new(task)?);
    let mut running = JoinSet::new();
    for report in reports {
        if running.len() >= AT_ONCE {
            running.join_next().await.transpose()?.transpose()?;
        }
        let uploads = uploads.clone();
        running.spawn(async move { uploads.put(&report).await });
    }
    while let Some(done) = running.join_next().await {
        done??;
    }
    Ok(json!({
        "reports": count,
        "sum": sum,
        "sealing_s": sealing.as_secs_f64(),
        "uploading_s": began.elapsed().as_secs_f64(),
    }))
}

/// The collector's key, as `onshelf collect` derives it.
fn collector(seed: &str) -> Result<Keypair, Failure> {
    let seed = from_hex_32(seed).ok_or("a seed must be 64 hexadecimal digits")?;
    Ok(Keypair::derive(1, &seed))
}

async fn collect(task: &TaskManifest, key: &Keypair, job: &str) -> Result<Value, Failure> {
    let token = Token(std::env::var("ONSHELF_COLLECTOR_TOKEN")?);
    let (began, client) = (Instant::now(), CollectorClient::new(token, key.clone(), None)?);
    let found = client.collect(task, Batch::whole(task), job, PATIENCE).await?;
    let sum: Vec<i64> = found.sum.iter().map(|v| i64::try_from(*v)).collect::<Result<_, _>>()?;
    Ok(json!({ "reports": found.reports, "sum": sum, "collecting_s": began.elapsed().as_secs_f64() }))
}
