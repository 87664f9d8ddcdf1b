//! Our aggregators against peers that share no code with us beyond prio: `janus_client`,
//! `janus_collector` (Divvi Up's Rust client and collector) and `@divviup/dap` (its TypeScript client).

#![allow(clippy::print_stderr, reason = "a skipped test says why")]

mod support;

use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use janus_collector::PrivateCollectorCredential;
use janus_messages::{Duration, Interval, Query, TaskId, Time};
use prio::vdaf::prio3::Prio3SumVec;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::watch;

use support::{BATCH, Databases, Options, Pair, sqlite, vector};

on_both_databases!(janus_clients_and_collector_get_the_exact_sum);

fn vdaf(pair: &Pair) -> Prio3SumVec {
    pair.task.vdaf().prio().unwrap()
}

/// Uploads through `janus_client`; the sum.
async fn upload_by_janus(pair: &Pair, count: usize) -> Vec<i128> {
    let p = pair.task.parameters();
    let client = janus_client::Client::new(
        TaskId::from(pair.task.id()),
        p.leader.url.parse().unwrap(),
        p.helper.url.parse().unwrap(),
        Duration::from_seconds(p.time_precision),
        vdaf(pair),
    );
    let client = client.await.unwrap();
    let (length, top) = (p.encoding.length(), p.encoding.top());
    let mut sum = vec![0; length];
    for n in 0..count {
        let vector: Vec<u128> = vector(n, length, top).into_iter().map(u128::from).collect();
        sum.iter_mut().zip(&vector).for_each(|(s, v)| *s += *v as i128);
        client.upload(&vector).await.unwrap();
    }
    sum
}

/// Collects through `janus_collector`.
async fn collect_by_janus(pair: &Pair) -> (u64, Vec<i128>) {
    let p = pair.task.parameters();
    let credential = serde_json::json!({
        "id": pair.collector.public().id(), "kem": "X25519HkdfSha256", "kdf": "Sha256", "aead": "AesGcm128",
        "public_key": BASE64URL.encode(pair.collector.public().config().public_key().as_ref()),
        "private_key": BASE64URL.encode(pair.collector.private()),
        "token": pair.token.0,
    });
    let credential: PrivateCollectorCredential = serde_json::from_value(credential).unwrap();
    let collector = janus_collector::Collector::new(
        TaskId::from(pair.task.id()),
        p.leader.url.parse().unwrap(),
        credential.authentication_token(),
        credential.hpke_keypair(),
        vdaf(pair),
    )
    .unwrap();
    let interval =
        Interval::new(Time::from_seconds_since_epoch(p.start), Duration::from_seconds(p.expires - p.start));
    let (stop, stopped) = watch::channel(false);
    let workers = pair.driver.spawn(1, &stopped);
    let collection = collector.collect(Query::new_time_interval(interval.unwrap()), &()).await.unwrap();
    stop.send(true).unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    let sum = collection.aggregate_result().iter().map(|v| *v as i128).collect();
    (collection.report_count(), sum)
}

async fn janus_clients_and_collector_get_the_exact_sum(databases: Databases) {
    let pair = Pair::new(databases, Options::default()).await;
    let mut expected = upload_by_janus(&pair, BATCH).await;
    let own = pair.upload_many(5).await;
    expected.iter_mut().zip(own).for_each(|(a, b)| *a += b);
    let (reports, sum) = collect_by_janus(&pair).await;
    assert_eq!((reports, sum), (BATCH as u64 + 5, expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn divvi_ups_typescript_client_is_understood() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !root.join("node_modules/@divviup/dap").exists() {
        eprintln!("SKIPPED: @divviup/dap is not installed (npm ci)");
        return;
    }
    for (dimension, bits) in [(64, 8), (1_024, 2)] {
        let pair = Pair::new(sqlite(), Options { dimension, bits, ..Options::default() }).await;
        let p = pair.task.parameters();
        let (length, theirs) = (p.encoding.length(), if dimension == 64 { 100 } else { 3 });
        let vectors: Vec<Vec<u32>> = (0..theirs).map(|n| vector(n, length, p.encoding.top())).collect();
        let task = serde_json::json!({
            "type": "sumVec", "bits": bits, "length": length, "chunkLength": p.chunk_length,
            "id": pair.task.id_text(), "leader": p.leader.url, "helper": p.helper.url,
            "timePrecisionSeconds": p.time_precision,
        });
        let input = serde_json::json!({ "task": task, "vectors": vectors });
        let mut node = tokio::process::Command::new("node")
            .arg(root.join("tests/interop/dap.mjs"))
            .current_dir(&root)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        node.stdin.take().unwrap().write_all(input.to_string().as_bytes()).await.unwrap();
        assert!(node.wait().await.unwrap().success());
        let mut expected = pair.upload_many(BATCH - theirs).await;
        for vector in vectors {
            expected.iter_mut().zip(vector).for_each(|(s, v)| *s += i128::from(v));
        }
        pair.work().await;
        let sum = pair.collect().await.unwrap();
        assert_eq!((sum.reports, sum.sum), (BATCH as u64, expected));
    }
}
