//! Reports that wait are in the database, not in memory: a leader whose helper is away takes 10,000, and works them
//! off when it is back.
//!
//! Small reports, so that CI stays short. The real size, as `docs/server.md` has it:
//!
//! ```sh
//! ONSHELF_QUEUE_DIMENSION=1024 cargo test --release -p onshelf-server --test memory -- --nocapture
//! ```

#![cfg(target_os = "linux")]
#![allow(clippy::print_stderr, reason = "says what was measured")]

mod support;

use std::time::{Duration, Instant};

use onshelf_collector::{CollectorClient, Token};
use onshelf_core::protocol::collect::Batch;
use onshelf_core::protocol::report::{random_id, seal_integers, upload_url};
use onshelf_server::random;
use support::processes::{Processes, TOKEN};
use support::{Options, now, postgres, sqlite, vector};

fn set(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A count in the leader's status.
async fn count(deployed: &Processes, what: &str) -> u64 {
    let url = format!("{}onshelf/status", deployed.task.parameters().leader.url);
    let answer = reqwest::Client::new().get(url).bearer_auth(TOKEN).send().await.unwrap();
    let status: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    status["tasks"][0][what].as_u64().unwrap()
}

/// Seals and uploads, sixteen at a time; their sum and the bytes of one.
async fn upload(deployed: &Processes, reports: usize) -> (Vec<i128>, usize) {
    let encoding = deployed.task.parameters().encoding;
    let (client, url) = (reqwest::Client::new(), upload_url(&deployed.task));
    let (mut sum, mut size) = (vec![0; encoding.length()], 0);
    let mut running = tokio::task::JoinSet::new();
    for n in 0..reports {
        let vector = vector(n, encoding.length(), encoding.top());
        sum.iter_mut().zip(&vector).for_each(|(s, v)| *s += i128::from(*v));
        let (client, url, task) = (client.clone(), url.clone(), deployed.task.clone());
        running.spawn(async move {
            let sealing = move || seal_integers(&task, &vector, now(), &mut random::fill).unwrap().bytes;
            let body = tokio::task::spawn_blocking(sealing).await.unwrap();
            let size = body.len();
            let request = client.put(url).header("content-type", "application/dap-report").body(body);
            assert_eq!(request.send().await.unwrap().status(), 201);
            size
        });
        if running.len() >= 16 {
            size = running.join_next().await.unwrap().unwrap();
        }
    }
    while let Some(one) = running.join_next().await {
        size = one.unwrap();
    }
    (sum, size)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_that_wait_are_not_in_memory() {
    let reports = set("ONSHELF_QUEUE", 10_000);
    let dimension = set("ONSHELF_QUEUE_DIMENSION", 64);
    let mut databases = sqlite();
    if std::env::var_os("ONSHELF_QUEUE_POSTGRES").is_some() {
        databases = postgres().await.expect("a PostgreSQL");
    }
    let mut deployed =
        Processes::new(databases, 1, &Options { dimension, bits: 8, ..Options::default() }).await;
    deployed.running[1].kill();
    let start = deployed.running[0].peak_memory();
    let (sum, size) = upload(&deployed, reports).await;
    assert_eq!(count(&deployed, "waiting").await, reports as u64);
    let queued = deployed.running[0].peak_memory();
    deployed.running[1].restart();
    let began = Instant::now();
    while count(&deployed, "aggregated").await < reports as u64 {
        assert!(began.elapsed() < Duration::from_secs(600), "the queue is not worked off");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let drained = deployed.running[0].peak_memory();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let waiting = (reports * size) as u64;
    eprintln!(
        "{reports} reports of {size} bytes wait, {:.0} MiB; the leader's most memory: {:.0} MiB at its start, {:.0} MiB \
         with all of them waiting, {:.0} MiB when they were summed",
        mib(waiting),
        mib(start),
        mib(queued),
        mib(drained)
    );
    // Were they in memory it would have grown by all of their bytes. What it needs instead are the uploads that are read at
    // once and the jobs of two workers, whatever the number that waits.
    assert!(drained - start < waiting / 2, "the leader's memory grows with what waits");
    let collector = CollectorClient::new(Token(TOKEN.into()), deployed.collector.clone(), None).unwrap();
    let job = random_id(&mut random::fill);
    let found = collector.collect(&deployed.task, Batch::whole(&deployed.task), &job, 60).await.unwrap();
    assert_eq!((found.reports, found.sum), (reports as u64, sum));
}
