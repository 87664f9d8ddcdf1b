//! What the tests share: a pair of aggregators over real HTTP with databases of their own, and a real
//! PostgreSQL that this process starts and that ends with it.

#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::print_stderr, reason = "a skipped test says why")]

pub(crate) mod disk;
pub(crate) mod postgres;
pub(crate) mod processes;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use onshelf_collector::{CollectError, CollectorClient};
use onshelf_core::privacy::encode::Encoding;
use onshelf_core::privacy::gaussian::Policy;
use onshelf_core::privacy::rotate::Seed;
use onshelf_core::protocol::collect::{Batch, NoisedSum};
use onshelf_core::protocol::hpke::Keypair;
use onshelf_core::protocol::manifest::{Aggregator as Named, TASK_FORMAT, TaskManifest, TaskParameters};
use onshelf_core::protocol::report::{SealedReport, random_id, seal_integers, upload_url};
use onshelf_core::protocol::shard::Vdaf;
use onshelf_core::version::{signing_key, to_hex};
use onshelf_server::aggregator::{
    Aggregator, Clock, Limits, Peer, Role, Settings, Times, Token, system_clock,
};
use onshelf_server::http::router;
use onshelf_server::keys;
use onshelf_server::leader::{Leader, Step};
use onshelf_server::noise::Noise;
use onshelf_server::random;
use onshelf_server::service::serve;
use onshelf_server::store::SqlStore;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Fewest reports of a batch, which no test can go below.
pub(crate) const BATCH: usize = 1_000;

/// Two fresh databases, and what keeps them.
pub(crate) struct Databases {
    pub(crate) leader: String,
    pub(crate) helper: String,
    keep: Option<tempfile::TempDir>,
}

/// SQLite files in a folder of their own.
pub(crate) fn sqlite() -> Databases {
    let dir = tempfile::tempdir().unwrap();
    let url = |name: &str| format!("sqlite:{}", dir.path().join(name).display());
    Databases { leader: url("leader.db"), helper: url("helper.db"), keep: Some(dir) }
}

/// Two databases in this process's PostgreSQL; `None`, with the reason printed, where there is none.
pub(crate) async fn postgres() -> Option<Databases> {
    let server = postgres::server()?;
    let (leader, helper) = (server.database().await, server.database().await);
    Some(Databases { leader, helper, keep: None })
}

/// What a pair is made with.
pub(crate) struct Options {
    pub(crate) noise: [Noise; 2],
    pub(crate) dimension: usize,
    pub(crate) bits: u32,
    pub(crate) policy: Policy,
    pub(crate) times: Times,
    pub(crate) limits: Limits,
    pub(crate) precision: u64,
    /// Replaces the helper's address for the leader.
    pub(crate) helper_url: Option<String>,
    /// Keys of both roles' gateways.
    pub(crate) gateway_keys: Vec<Keypair>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            noise: [Noise::none_for_tests(); 2],
            dimension: 8,
            bits: 4,
            policy: Policy::new(4.0, 1e-6, 1).unwrap(),
            times: Times { linger: 0, backoff: 1, lease: 30, peer: 5, ..Times::default() },
            limits: Limits::default(),
            precision: 3_600,
            helper_url: None,
            gateway_keys: Vec::new(),
        }
    }
}

/// A clock that tests move.
#[derive(Clone, Default)]
pub(crate) struct Shift(Arc<AtomicI64>);

impl Shift {
    pub(crate) fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }

    fn clock(&self) -> Clock {
        let (shift, system) = (self.0.clone(), system_clock());
        Arc::new(move || system().saturating_add_signed(shift.load(Ordering::SeqCst)))
    }
}

/// Leader and helper of one task.
pub(crate) struct Pair {
    pub(crate) leader: Arc<Aggregator>,
    pub(crate) helper: Arc<Aggregator>,
    pub(crate) driver: Leader,
    pub(crate) task: TaskManifest,
    pub(crate) envelope: Vec<u8>,
    pub(crate) collector: Keypair,
    pub(crate) token: Token,
    pub(crate) shifts: [Shift; 2],
    pub(crate) client: reqwest::Client,
    pub(crate) databases: Databases,
    signer: [u8; 32],
    stop: watch::Sender<bool>,
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}

pub(crate) fn now() -> u64 {
    system_clock()()
}

/// A task's parameters around now.
pub(crate) fn parameters(
    options: &Options,
    leader: Named,
    helper: Named,
    collector: &Keypair,
) -> TaskParameters {
    let encoding = Encoding::new(options.dimension, options.bits, 1.0, Seed([7; 32])).unwrap();
    let start = (now() - 86_400) / 86_400 * 86_400;
    TaskParameters {
        format: TASK_FORMAT,
        model: "ab".repeat(32),
        lineage: "test".into(),
        round: 1,
        encoding,
        chunk_length: Vdaf::chunk_length(&encoding),
        policy: options.policy,
        min_batch: BATCH as u64,
        leader,
        helper,
        collector: collector.public().clone(),
        time_precision: options.precision,
        start,
        expires: start + 4 * 86_400,
    }
}

impl Pair {
    pub(crate) async fn new(databases: Databases, options: Options) -> Self {
        let signer: [u8; 32] = random::array();
        let public = to_hex(signing_key(&to_hex(&signer)).unwrap().verifying_key().as_bytes());
        let (secret, token) = (random::array(), Token(to_hex(&random::array::<16>())));
        let (stop, stopped) = watch::channel(false);
        let shifts = [Shift::default(), Shift::default()];
        let (mut aggregators, mut named) = (Vec::new(), Vec::new());
        for (at, role) in [Role::Leader, Role::Helper].into_iter().enumerate() {
            let url = if at == 0 { &databases.leader } else { &databases.helper };
            let store = Arc::new(SqlStore::open(url, 5).await.unwrap());
            let peer = Peer { url: options.helper_url.clone(), token: token.clone() };
            let settings = Settings {
                role,
                task_keys: vec![public.clone()],
                verify_secret: secret,
                operator_tokens: vec![token.clone()],
                leader_tokens: vec![token.clone()],
                collector_tokens: vec![token.clone()],
                helper: (role == Role::Leader).then_some(peer),
                gateway_keys: options.gateway_keys.clone(),
                limits: options.limits,
                times: options.times,
            };
            let clock = shifts[at].clock();
            let one = Aggregator::with_noise(settings, store, clock, options.noise[at]).await.unwrap();
            let one = Arc::new(one);
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/", listener.local_addr().unwrap());
            let key = keys::all(&*one.store).await.unwrap().remove(0);
            named.push(Named { url, hpke: key.pair.public().clone() });
            tokio::spawn(serve(listener, router(one.clone(), false), stopped.clone()));
            aggregators.push(one);
        }
        let (helper, leader) = (aggregators.remove(1), aggregators.remove(0));
        let collector = Keypair::derive(200, &random::array());
        let parameters = parameters(&options, named[0].clone(), named[1].clone(), &collector);
        let task = TaskManifest::new(parameters).unwrap();
        let envelope = task.sign(&signing_key(&to_hex(&signer)).unwrap()).unwrap();
        leader.add_task(&envelope).await.unwrap();
        helper.add_task(&envelope).await.unwrap();
        let driver = Leader::new(leader.clone()).unwrap();
        let client = reqwest::Client::new();
        Self {
            leader,
            helper,
            driver,
            task,
            envelope,
            collector,
            token,
            shifts,
            client,
            databases,
            signer,
            stop,
        }
    }

    /// Another task of the same aggregators.
    pub(crate) async fn another_task(&self, change: impl FnOnce(&mut TaskParameters)) -> TaskManifest {
        let mut parameters = self.task.parameters().clone();
        change(&mut parameters);
        let task = TaskManifest::new(parameters).unwrap();
        let envelope = task.sign(&signing_key(&to_hex(&self.signer)).unwrap()).unwrap();
        self.leader.add_task(&envelope).await.unwrap();
        self.helper.add_task(&envelope).await.unwrap();
        task
    }

    /// A report of an honest client.
    pub(crate) fn seal(&self, vector: &[u32]) -> SealedReport {
        seal_integers(&self.task, vector, now(), &mut random::fill).unwrap()
    }

    /// Uploads; the answer's status and body.
    pub(crate) async fn put(&self, body: Vec<u8>) -> (u16, String) {
        let request =
            self.client.put(upload_url(&self.task)).header("content-type", "application/dap-report");
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Uploads `count` reports, eight at a time, and gives their sum.
    pub(crate) async fn upload_many(&self, count: usize) -> Vec<i128> {
        let length = self.task.parameters().encoding.length();
        let mut sum = vec![0; length];
        let mut running = tokio::task::JoinSet::new();
        for n in 0..count {
            let vector = vector(n, length, self.task.parameters().encoding.top());
            sum.iter_mut().zip(&vector).for_each(|(s, v)| *s += i128::from(*v));
            let report = self.seal(&vector);
            let request =
                self.client.put(upload_url(&self.task)).header("content-type", "application/dap-report");
            let request = request.body(report.bytes);
            running.spawn(async move { request.send().await.unwrap().status().as_u16() });
            if running.len() >= 8 {
                assert_eq!(running.join_next().await.unwrap().unwrap(), 201);
            }
        }
        while let Some(status) = running.join_next().await {
            assert_eq!(status.unwrap(), 201);
        }
        sum
    }

    /// Lets the leader work until it has nothing to do, for a minute at most.
    pub(crate) async fn work(&self) {
        for _ in 0..600 {
            match self.driver.step().await {
                Step::Done => {}
                Step::Later => tokio::time::sleep(Duration::from_millis(100)).await,
                Step::Idle => return,
            }
        }
        panic!("the leader did not come to an end");
    }

    /// The collector's client.
    pub(crate) fn collecting(&self) -> CollectorClient {
        CollectorClient::new(onshelf_collector::Token(self.token.0.clone()), self.collector.clone(), None)
            .unwrap()
    }

    /// Collects the whole task, while the leader works.
    pub(crate) async fn collect(&self) -> Result<NoisedSum, CollectError> {
        self.collect_batch(Batch::whole(&self.task), &random_id(&mut random::fill), 30).await
    }

    /// Collects a batch, while the leader works.
    pub(crate) async fn collect_batch(
        &self,
        batch: Batch,
        job: &str,
        patience: u64,
    ) -> Result<NoisedSum, CollectError> {
        let (stop, stopped) = watch::channel(false);
        let workers = self.driver.spawn(1, &stopped);
        let sum = self.collecting().collect(&self.task, batch, job, patience).await;
        stop.send(true).unwrap();
        for worker in workers {
            worker.await.unwrap();
        }
        sum
    }

    /// Refused reports of a reason, on both sides.
    pub(crate) fn rejected(&self, reason: &str) -> [u64; 2] {
        [self.leader.metrics.rejected(reason), self.helper.metrics.rejected(reason)]
    }
}

/// The n-th test vector.
pub(crate) fn vector(n: usize, length: usize, top: u32) -> Vec<u32> {
    (0..length).map(|at| ((n * 7 + at * 3) % (top as usize + 1)) as u32).collect()
}

/// Gives a test body to both databases.
#[macro_export]
macro_rules! on_both_databases {
    ($($body:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $body() { super::$body(super::support::sqlite()).await; })+
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $body() {
                if let Some(databases) = super::support::postgres().await {
                    super::$body(databases).await;
                }
            })+
        }
    };
}
