//! Throughput, measured as it will be used: a leader and a helper with databases of their own speak over
//! HTTP on this machine; reports are uploaded, verified by both, and summed.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use cpu_time::ProcessTime;
use onshelf_core::privacy::encode::Encoding;
use onshelf_core::privacy::gaussian::Policy;
use onshelf_core::privacy::rotate::Seed;
use onshelf_core::protocol::hpke::Keypair;
use onshelf_core::protocol::manifest::{Aggregator as Named, TASK_FORMAT, TaskManifest, TaskParameters};
use onshelf_core::protocol::report::{SealedReport, seal_integers, upload_url};
use onshelf_core::protocol::shard::Vdaf;
use onshelf_core::version::{signing_key, to_hex};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::aggregator::{Aggregator, Limits, Peer, Role, Settings, Times, Token, system_clock};
use crate::http::router;
use crate::keys;
use crate::leader::Leader;
use crate::random;
use crate::service::serve;
use crate::store::SqlStore;

/// What is measured.
#[derive(Clone, Debug, Args)]
pub struct BenchArgs {
    /// Reports.
    #[arg(long, default_value_t = 1_000)]
    pub reports: usize,
    /// Values of a report.
    #[arg(long, default_value_t = 1_024)]
    pub dimension: usize,
    /// Bits of a value.
    #[arg(long, default_value_t = 8)]
    pub bits: u32,
    /// The leader's workers.
    #[arg(long, default_value_t = 2)]
    pub workers: usize,
    /// The leader's database; empty or new.
    #[arg(long)]
    pub leader_database: String,
    /// The helper's.
    #[arg(long)]
    pub helper_database: String,
}

/// A pair of aggregators with one task, on free ports of this machine.
struct Pair {
    leader: Arc<Aggregator>,
    task: TaskManifest,
    stop: watch::Sender<bool>,
}

fn settings(
    role: Role,
    task_key: &str,
    verify_secret: [u8; 32],
    token: &Token,
    helper: Option<Peer>,
) -> Settings {
    Settings {
        role,
        task_keys: vec![task_key.to_owned()],
        verify_secret,
        operator_tokens: Vec::new(),
        leader_tokens: vec![token.clone()],
        collector_tokens: vec![token.clone()],
        helper,
        gateway_keys: Vec::new(),
        limits: Limits::default(),
        times: Times { linger: 0, ..Times::default() },
    }
}

async fn pair(args: &BenchArgs) -> anyhow::Result<Pair> {
    let signer = signing_key(&to_hex(&random::array::<32>()))?;
    let (task_key, secret) = (to_hex(signer.verifying_key().as_bytes()), random::array());
    let token = Token(to_hex(&random::array::<16>()));
    let (stop, stopped) = watch::channel(false);
    let mut named = Vec::new();
    let mut aggregators = Vec::new();
    for (role, database) in [(Role::Leader, &args.leader_database), (Role::Helper, &args.helper_database)] {
        let store = Arc::new(SqlStore::open(database, 10).await?);
        let peer = (role == Role::Leader).then(|| Peer { url: None, token: token.clone() });
        let settings = settings(role, &task_key, secret, &token, peer);
        let aggregator = Arc::new(Aggregator::new(settings, store, system_clock()).await?);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/", listener.local_addr()?);
        let key = keys::all(&*aggregator.store).await?.remove(0);
        named.push(Named { url, hpke: key.pair.public().clone() });
        tokio::spawn(serve(listener, router(aggregator.clone(), false), stopped.clone()));
        aggregators.push(aggregator);
    }
    let encoding = Encoding::new(args.dimension, args.bits, 1.0, Seed(random::array()))?;
    let now = aggregators[0].now();
    let (helper, leader) = (named.remove(1), named.remove(0));
    let task = TaskManifest::new(TaskParameters {
        format: TASK_FORMAT,
        model: to_hex(&random::array::<32>()),
        lineage: "bench".into(),
        round: 1,
        encoding,
        chunk_length: Vdaf::chunk_length(&encoding),
        policy: Policy::new(4.0, 1e-6, 1)?,
        min_batch: 1_000,
        leader,
        helper,
        collector: Keypair::derive(1, &random::array()).public().clone(),
        time_precision: 3_600,
        start: now - now % 3_600,
        expires: now - now % 3_600 + 86_400,
    })?;
    let envelope = task.sign(&signer)?;
    for aggregator in &aggregators {
        aggregator.add_task(&envelope).await?;
    }
    Ok(Pair { leader: aggregators.remove(0), task, stop })
}

/// Measures, and gives what is printed.
///
/// # Errors
/// Where a database cannot be opened, or a report is refused.
pub async fn run(args: &BenchArgs) -> anyhow::Result<String> {
    let pair = pair(args).await?;
    let began = Instant::now();
    let reports = reports(&pair, args)?;
    let sealing = began.elapsed();
    let began = Instant::now();
    upload(&pair, &reports).await?;
    let uploading = began.elapsed();
    let (stop, stopped) = watch::channel(false);
    let (began, processor) = (Instant::now(), ProcessTime::now());
    let workers = Leader::new(pair.leader.clone())?.spawn(args.workers, &stopped);
    let wanted = args.reports as u64;
    loop {
        let counts = pair.leader.store.counts(&pair.task.id()).await?;
        if counts.aggregated >= wanted {
            break;
        }
        if began.elapsed() > Duration::from_secs(600) {
            bail!("{} of {wanted} reports after ten minutes", counts.aggregated);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (verifying, processor) = (began.elapsed(), processor.elapsed());
    stop.send(true)?;
    for worker in workers {
        worker.await?;
    }
    pair.stop.send(true)?;
    Ok(printed(args, reports[0].bytes.len(), [sealing, uploading, verifying], processor))
}

fn printed(
    args: &BenchArgs,
    bytes: usize,
    [sealing, uploading, verifying]: [Duration; 3],
    processor: Duration,
) -> String {
    let rate = |time: Duration| args.reports as f64 / time.as_secs_f64();
    let mut out = String::new();
    let _ =
        writeln!(out, "{} reports of ({}, {}), {bytes} bytes each", args.reports, args.dimension, args.bits);
    let _ = writeln!(out, "sealed by the client's code, one thread: {:.0} a second", rate(sealing));
    let _ = writeln!(out, "uploaded over HTTP, checked and stored: {:.0} a second", rate(uploading));
    let _ = writeln!(out, "verified by leader and helper and summed: {:.0} a second", rate(verifying));
    // Both roles' work without the databases': what is left when the machine does nothing else.
    let each = processor.as_secs_f64() / args.reports as f64;
    let _ = writeln!(out, "processor time of that: {:.2} ms a report, both roles", each * 1e3);
    let _ = write!(out, "end to end, upload to sum: {:.0} a second", rate(uploading + verifying));
    out
}

fn reports(pair: &Pair, args: &BenchArgs) -> anyhow::Result<Vec<SealedReport>> {
    let now = pair.leader.now();
    let length = pair.task.parameters().encoding.length();
    let one = |n: usize| {
        let vector: Vec<u32> = (0..length).map(|at| ((n + at) % (1 << args.bits)) as u32).collect();
        Ok(seal_integers(&pair.task, &vector, now, &mut random::fill)?)
    };
    (0..args.reports).map(one).collect()
}

async fn upload(pair: &Pair, reports: &[SealedReport]) -> anyhow::Result<()> {
    let client = crate::peer::http_client(60)?;
    let url = upload_url(&pair.task);
    let mut running = tokio::task::JoinSet::new();
    for report in reports {
        let request =
            client.put(&url).header("content-type", "application/dap-report").body(report.bytes.clone());
        running.spawn(async move { request.send().await.map(|answer| answer.status().as_u16()) });
        if running.len() >= 16 {
            taken(running.join_next().await)?;
        }
    }
    while let Some(answer) = running.join_next().await {
        taken(Some(answer))?;
    }
    Ok(())
}

type Answer = Result<reqwest::Result<u16>, tokio::task::JoinError>;

fn taken(answer: Option<Answer>) -> anyhow::Result<()> {
    match answer.context("no upload was running")??? {
        201 => Ok(()),
        status => bail!("an upload was answered with {status}"),
    }
}
