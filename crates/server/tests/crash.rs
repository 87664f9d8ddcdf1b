//! Processes that are killed at random times lose no report and count none twice.
//!
//! 1,000 reports and 8 kills, so that CI stays short; `ONSHELF_KILLS=20` is the size that the bar names.
//! Two more kills fall into the collection.

#![allow(clippy::print_stderr, reason = "says what was done")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use onshelf_collector::{CollectorClient, Token};
use onshelf_core::protocol::collect::Batch;
use onshelf_core::protocol::hpke::{Keypair, PublicConfig};
use onshelf_core::protocol::manifest::{Aggregator as Named, TaskManifest};
use onshelf_core::protocol::report::{random_id, seal_integers, upload_url};
use onshelf_core::version::{signing_key, to_hex};
use onshelf_server::random;

use support::{BATCH, Databases, Options, now, parameters, postgres, sqlite, vector};

const TOKEN: &str = "a-token-of-the-crash-test";

/// A process that is started again whenever it was killed.
struct Process {
    config: PathBuf,
    child: Child,
}

impl Process {
    fn start(config: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let folder = program.parent().unwrap().parent().unwrap();
        let program = folder.join("examples/aggregator_without_noise");
        let child =
            Command::new(program).arg(config).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { config: config.to_owned(), child }
    }

    /// SIGKILL: nothing is flushed, closed or answered.
    fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        *self = Self::start(&self.config);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A deployment of processes: some leaders on one database, and a helper.
struct Processes {
    running: Vec<Process>,
    task: TaskManifest,
    envelope: Vec<u8>,
    collector: Keypair,
    _dir: tempfile::TempDir,
    _databases: Databases,
}

fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn config(role: &str, port: u16, database: &str, key: &str, secret: &str) -> String {
    let more = if role == "leader" {
        format!("collector_tokens = [\"{TOKEN}\"]\nhelper = {{ token = \"{TOKEN}\" }}\nworkers = 2")
    } else {
        format!("leader_tokens = [\"{TOKEN}\"]")
    };
    format!(
        "listen = \"127.0.0.1:{port}\"\n[{role}]\ndatabase = \"{database}\"\ntask_keys = [\"{key}\"]\n\
         verify_secret = \"{secret}\"\noperator_tokens = [\"{TOKEN}\"]\n{more}\n\
         limits = {{ job_reports = 20 }}\ntimes = {{ linger = 0, lease = 3, backoff = 1, peer = 5 }}\n"
    )
}

async fn wait(client: &reqwest::Client, url: &str) {
    for _ in 0..300 {
        if client.get(format!("{url}readyz")).send().await.is_ok_and(|answer| answer.status() == 200) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{url} did not start");
}

async fn own_key(client: &reqwest::Client, url: &str) -> PublicConfig {
    let answer = client.get(format!("{url}onshelf/keys")).bearer_auth(TOKEN).send().await.unwrap();
    let keys: serde_json::Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    PublicConfig::try_from(keys[0]["config"].as_str().unwrap().to_owned()).unwrap()
}

impl Processes {
    async fn new(databases: Databases, leaders: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let signer = signing_key(&to_hex(&random::array::<32>())).unwrap();
        let key = to_hex(signer.verifying_key().as_bytes());
        let secret = to_hex(&random::array::<32>());
        let client = reqwest::Client::new();
        let (mut running, mut urls) = (Vec::new(), Vec::new());
        for (role, database, count) in
            [("leader", &databases.leader, leaders), ("helper", &databases.helper, 1)]
        {
            for n in 0..count {
                let (path, port) = (dir.path().join(format!("{role}{n}.toml")), port());
                std::fs::write(&path, config(role, port, database, &key, &secret)).unwrap();
                running.push(Process::start(&path));
                let url = format!("http://127.0.0.1:{port}/");
                wait(&client, &url).await;
                urls.push(url);
            }
        }
        let helper = urls.pop().unwrap();
        let leader = urls[0].clone();
        let collector = Keypair::derive(9, &random::array());
        let leader = Named { hpke: own_key(&client, &leader).await, url: leader };
        let helper = Named { hpke: own_key(&client, &helper).await, url: helper };
        let task = TaskManifest::new(parameters(&Options::default(), leader, helper, &collector)).unwrap();
        let envelope = task.sign(&signer).unwrap();
        for url in [&task.parameters().leader.url, &task.parameters().helper.url] {
            let request =
                client.post(format!("{url}onshelf/tasks")).bearer_auth(TOKEN).body(envelope.clone());
            assert_eq!(request.send().await.unwrap().status(), 201);
        }
        Self { running, task, envelope, collector, _dir: dir, _databases: databases }
    }

    /// Uploads while processes are killed, repeating what was not answered; then the exact sum.
    async fn survive(mut self, kills: usize) {
        assert!(!self.envelope.is_empty());
        let length = self.task.parameters().encoding.length();
        let top = self.task.parameters().encoding.top();
        let reports: Vec<(Vec<u32>, Vec<u8>)> = (0..BATCH)
            .map(|n| {
                let vector = vector(n, length, top);
                let sealed = seal_integers(&self.task, &vector, now(), &mut random::fill).unwrap();
                (vector, sealed.bytes)
            })
            .collect();
        let expected: Vec<i128> =
            (0..length).map(|at| reports.iter().map(|(vector, _)| i128::from(vector[at])).sum()).collect();
        let (url, answered, done) =
            (upload_url(&self.task), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let uploading = tokio::spawn(upload_all(url, reports, answered.clone(), done.clone()));
        // Kills spread over the uploads and the aggregation behind them, at times nobody chose.
        for kill in 0..kills {
            let [pause, which] = random::array::<2>();
            tokio::time::sleep(Duration::from_millis(150 + 4 * u64::from(pause))).await;
            let which = usize::from(which) % self.running.len();
            self.running[which].kill_and_restart();
            eprintln!(
                "kill {} of process {which} after {} uploads",
                kill + 1,
                answered.load(Ordering::SeqCst)
            );
        }
        done.store(true, Ordering::SeqCst);
        uploading.await.unwrap();
        let client = CollectorClient::new(Token(TOKEN.into()), self.collector.clone(), None).unwrap();
        let job = random_id(&mut random::fill);
        let mut sum = None;
        for tries in 0..60 {
            if tries < 2 {
                // The collection is killed in its midst as well: first a leader, then the helper.
                let _ = client.start(&self.task, Batch::whole(&self.task), &job).await;
                let [pause] = random::array::<1>();
                tokio::time::sleep(Duration::from_millis(2 * u64::from(pause))).await;
                let which = if tries == 0 { 0 } else { self.running.len() - 1 };
                self.running[which].kill_and_restart();
                continue;
            }
            match client.collect(&self.task, Batch::whole(&self.task), &job, 5).await {
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
    Processes::new(sqlite(), 1).await.survive(kills()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_leaders_that_crash_on_one_postgresql_give_the_sum_of_one() {
    if let Some(databases) = postgres().await {
        Processes::new(databases, 3).await.survive(kills()).await;
    }
}
