//! A leader and a helper with one task, always the same: keys, times and reports come from fixed seeds, so that what
//! was found once is found again. Their databases are SQLite in memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, header};
use onshelf_core::privacy::encode::Encoding;
use onshelf_core::privacy::gaussian::Policy;
use onshelf_core::privacy::rotate::Seed;
use onshelf_core::protocol::hpke::Keypair;
use onshelf_core::protocol::manifest::{Aggregator as Named, TASK_FORMAT, TaskManifest, TaskParameters};
use onshelf_core::protocol::report::{SealedReport, seal_integers};
use onshelf_core::protocol::shard::Vdaf;
use onshelf_core::version::{signing_key, to_hex};
use onshelf_server::aggregator::{Aggregator, LoadedTask, Peer, Role, Settings, Token};
use onshelf_server::http::router;
use onshelf_server::keys::of_gateway;
use onshelf_server::problem::{PROBLEM_MEDIA_TYPE, Problem};
use onshelf_server::store::{SqlStore, Store as _, StoredKey};
use sha2::{Digest as _, Sha256};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceExt as _;

/// The time of all runs, seconds since 1970.
pub(crate) const NOW: u64 = 1_800_003_600;
/// The token that both roles take.
pub(crate) const TOKEN: &str = "fuzz-fuzz-fuzz-fuzz";
/// The secret key that signs whatever is signed, hex.
const SIGNER: &str = "1111111111111111111111111111111111111111111111111111111111111111";
/// The secret of both gateways' key.
pub(crate) const GATEWAY: [u8; 32] = [4; 32];
/// After so many messages the aggregators forget what they stored, before the next input.
const FORGET: usize = 512;

/// One of the two.
pub(crate) struct Side {
    pub(crate) task: Arc<LoadedTask>,
    aggregator: Arc<Aggregator>,
    router: Router,
}

/// Both, and who speaks to them.
pub(crate) struct Fixture {
    pub(crate) leader: Side,
    pub(crate) helper: Side,
    pub(crate) task: TaskManifest,
    pub(crate) envelope: Vec<u8>,
    pub(crate) collector: Keypair,
    runtime: Runtime,
    asked: AtomicUsize,
}

/// The key that whatever is signed is signed with.
pub(crate) fn signer() -> ed25519_dalek::SigningKey {
    signing_key(SIGNER).expect("a key")
}

/// Its public half, as readers are told it.
pub(crate) fn trusted() -> [String; 1] {
    [to_hex(signer().verifying_key().as_bytes())]
}

/// A stream of bytes that looks random: SHA-256 of a counter.
pub(crate) fn stream(seed: u64) -> impl FnMut(&mut [u8]) {
    let mut counter = 0_u64;
    move |to: &mut [u8]| {
        for chunk in to.chunks_mut(32) {
            let block = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(counter.to_be_bytes());
            chunk.copy_from_slice(&block.finalize()[..chunk.len()]);
            counter += 1;
        }
    }
}

/// The fixture of this process. Targets take it once for each input: what an input does in several messages is not
/// forgotten in between.
pub(crate) fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    let fixture = FIXTURE.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        let made = runtime.block_on(make());
        let (leader, helper, task, envelope, collector) = made;
        Fixture { leader, helper, task, envelope, collector, runtime, asked: AtomicUsize::new(0) }
    });
    fixture.forget();
    fixture
}

/// The key pair of a role, or of the collector.
fn pair(id: u8) -> Keypair {
    Keypair::derive(id, &[id; 32])
}

/// What both have agreed on.
fn task() -> TaskManifest {
    let encoding = Encoding::new(8, 4, 1.0, Seed([7; 32])).expect("an encoding");
    let named =
        |name: &str, id| Named { url: format!("https://{name}.example/"), hpke: pair(id).public().clone() };
    TaskManifest::new(TaskParameters {
        format: TASK_FORMAT,
        model: "ab".repeat(32),
        lineage: "fuzz".into(),
        round: 1,
        encoding,
        chunk_length: Vdaf::chunk_length(&encoding),
        policy: Policy::new(4.0, 1e-6, 1).expect("a policy"),
        min_batch: 1_000,
        leader: named("leader", 1),
        helper: named("helper", 2),
        collector: pair(3).public().clone(),
        time_precision: 3_600,
        start: NOW - 3_600,
        expires: NOW - 3_600 + 86_400,
    })
    .expect("a task")
}

async fn side(role: Role, id: u8, envelope: &[u8]) -> Side {
    let store = SqlStore::open("sqlite::memory:", 1).await.expect("a database");
    let key = pair(id);
    let stored =
        StoredKey { public: key.public().encoded(), private: key.private().to_vec(), expires: NOW + 86_400 };
    assert!(store.put_key(id, &stored).await.expect("a database"));
    let tokens = || vec![Token(TOKEN.into())];
    let settings = Settings {
        role,
        task_keys: trusted().to_vec(),
        verify_secret: [9; 32],
        operator_tokens: tokens(),
        leader_tokens: tokens(),
        collector_tokens: tokens(),
        gateway_keys: vec![of_gateway(&GATEWAY)],
        helper: Some(Peer { url: None, token: Token(TOKEN.into()) }),
        limits: Default::default(),
        times: Default::default(),
    };
    let aggregator =
        Aggregator::new(settings, Arc::new(store), Arc::new(|| NOW)).await.expect("an aggregator");
    let aggregator = Arc::new(aggregator);
    let task = aggregator.add_task(envelope).await.expect("the task");
    Side { task, router: router(aggregator.clone(), false), aggregator }
}

async fn make() -> (Side, Side, TaskManifest, Vec<u8>, Keypair) {
    let task = task();
    let envelope = task.sign(&signer()).expect("a signature");
    let leader = side(Role::Leader, 1, &envelope).await;
    let helper = side(Role::Helper, 2, &envelope).await;
    (leader, helper, task, envelope, pair(3))
}

impl Fixture {
    /// A report of an honest client, always the same for a number.
    pub(crate) fn report(&self, n: u32) -> SealedReport {
        let vector: Vec<u32> = (0..8).map(|at| (n + at) % 16).collect();
        seal_integers(&self.task, &vector, NOW, &mut stream(n.into())).expect("a report")
    }

    /// The address of a resource of the task; `{job}` becomes an id made of the body, since another body under
    /// the same id is another case.
    pub(crate) fn path(&self, resource: &str, body: &[u8]) -> String {
        let job = Sha256::digest(body);
        let job = janus_messages::AggregationJobId::from(std::array::from_fn::<u8, 16, _>(|at| job[at]));
        format!("/tasks/{}/{}", self.task.id_text(), resource.replace("{job}", &job.to_string()))
    }

    /// Forgets what was stored, after [`FORGET`] messages.
    fn forget(&self) {
        if self.asked.load(Ordering::Relaxed) < FORGET {
            return;
        }
        self.asked.store(0, Ordering::Relaxed);
        self.runtime.block_on(async {
            for side in [&self.leader, &self.helper] {
                let (store, id) = (&side.aggregator.store, &side.task.id);
                store.drop_task(id).await.expect("a database");
                store.put_task(id, &self.envelope, NOW).await.expect("a database");
            }
        });
    }

    /// Sends a request to a role in this process, as axum would hand it over, and checks what every answer
    /// promises: no status of ours for a defect, and a problem document with each refusal. The status; 0 for what
    /// HTTP itself does not allow, which never arrives.
    pub(crate) fn ask(&self, side: &Side, method: Method, path: &str, media: &str, body: &[u8]) -> u16 {
        self.answer(side, method, path, media, body).0
    }

    /// As [`Self::ask`], with the answer's body.
    pub(crate) fn answer(
        &self,
        side: &Side,
        method: Method,
        path: &str,
        media: &str,
        body: &[u8],
    ) -> (u16, Vec<u8>) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::CONTENT_TYPE, media)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .body(Body::from(body.to_vec()));
        let Ok(request) = request else { return (0, Vec::new()) };
        self.runtime.block_on(async {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let answer = side.router.clone().oneshot(request).await.unwrap_or_else(|never| match never {});
            let status = answer.status().as_u16();
            assert!(status < 500, "answered with {status}");
            let media = answer.headers().get(header::CONTENT_TYPE).map(|value| value.as_bytes().to_vec());
            let body = to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
            if status >= 400 {
                assert_eq!(media.as_deref(), Some(PROBLEM_MEDIA_TYPE.as_bytes()), "{status}");
                let problem: Problem = serde_json::from_slice(&body).expect("a problem document");
                assert_eq!(problem.status, status);
            }
            (status, body.into())
        })
    }
}
