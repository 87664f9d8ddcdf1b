//! Processes that are killed at random times lose no report and count none twice.
//!
//! 1,000 reports and 8 kills, so that CI stays short; `ONSHELF_KILLS=20` is the size that the bar names.
//! Two more kills fall into the collection.

#![allow(clippy::print_stderr, reason = "says what was done")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use onshelf_collector::{CollectorClient, Token};
use onshelf_core::protocol::collect::Batch;
use onshelf_core::protocol::report::{random_id, seal_integers, upload_url};
use onshelf_server::random;

use support::processes::{Processes, TOKEN};
use support::{BATCH, Databases, Options, now, postgres, sqlite, vector};

fn deployment(databases: Databases, leaders: usize) -> impl Future<Output = Processes> {
    let mut options = Options::default();
    options.limits.job_reports = 20;
    async move { Processes::new(databases, leaders, &options).await }
}

/// Uploads while processes are killed, repeating what was not answered; then the exact sum.
async fn survive(mut deployed: Processes, kills: usize) {
    let length = deployed.task.parameters().encoding.length();
    let top = deployed.task.parameters().encoding.top();
    let reports: Vec<(Vec<u32>, Vec<u8>)> = (0..BATCH)
        .map(|n| {
            let vector = vector(n, length, top);
            let sealed = seal_integers(&deployed.task, &vector, now(), &mut random::fill).unwrap();
            (vector, sealed.bytes)
        })
        .collect();
    let expected: Vec<i128> =
        (0..length).map(|at| reports.iter().map(|(vector, _)| i128::from(vector[at])).sum()).collect();
    let (url, answered, done) =
        (upload_url(&deployed.task), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let uploading = tokio::spawn(upload_all(url, reports, answered.clone(), done.clone()));
    // Kills spread over the uploads and the aggregation behind them, at times nobody chose.
    for kill in 0..kills {
        let [pause, which] = random::array::<2>();
        tokio::time::sleep(Duration::from_millis(150 + 4 * u64::from(pause))).await;
        let which = usize::from(which) % deployed.running.len();
        deployed.running[which].kill_and_restart();
        eprintln!("kill {} of process {which} after {} uploads", kill + 1, answered.load(Ordering::SeqCst));
    }
    done.store(true, Ordering::SeqCst);
    uploading.await.unwrap();
    let client = CollectorClient::new(Token(TOKEN.into()), deployed.collector.clone(), None).unwrap();
    let job = random_id(&mut random::fill);
    let mut sum = None;
    for tries in 0..60 {
        if tries < 2 {
            // The collection is killed in its midst as well: first a leader, then the helper.
            let _ = client.start(&deployed.task, Batch::whole(&deployed.task), &job).await;
            let [pause] = random::array::<1>();
            tokio::time::sleep(Duration::from_millis(2 * u64::from(pause))).await;
            let which = if tries == 0 { 0 } else { deployed.running.len() - 1 };
            deployed.running[which].kill_and_restart();
            continue;
        }
        match client.collect(&deployed.task, Batch::whole(&deployed.task), &job, 5).await {
            Ok(found) => {
                sum = Some(found);
                break;
            }
            Err(error) => eprintln!("collecting: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let sum = sum.expect("no sum");
    assert_eq!((sum.reports, sum.sum), (BATCH as u64, expected));
}

/// Uploads every report until it is answered with 201; paced so that kills fall among uploads.
async fn upload_all(
    url: String,
    reports: Vec<(Vec<u32>, Vec<u8>)>,
    answered: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
) {
    let client = reqwest::Client::new();
    for (_, bytes) in reports {
        for tries in 0.. {
            let request =
                client.put(&url).header("content-type", "application/dap-report").body(bytes.clone());
            let status =
                request.timeout(Duration::from_secs(5)).send().await.map(|answer| answer.status().as_u16());
            match status {
                Ok(201) => break,
                Ok(status) if status < 500 => panic!("an upload was refused with {status}"),
                _ if tries > 600 => panic!("the leader does not come back"),
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        answered.fetch_add(1, Ordering::SeqCst);
        if !done.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(8)).await;
        }
    }
}

fn kills() -> usize {
    std::env::var("ONSHELF_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(8)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_processes_lose_nothing_and_count_nothing_twice_on_sqlite() {
    survive(deployment(sqlite(), 1).await, kills()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_leaders_that_crash_on_one_postgresql_give_the_sum_of_one() {
    if let Some(databases) = postgres().await {
        survive(deployment(databases, 3).await, kills()).await;
    }
}
