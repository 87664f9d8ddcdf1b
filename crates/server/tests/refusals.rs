//! What changes nothing: reports and requests that are wrong in every way, refused with the right
//! problem document and counted by reason.

mod support;

use std::time::Duration;

use janus_messages::codec::{Decode as _, Encode as _};
use janus_messages::{
    HpkeCiphertext, InputShareAad, PlaintextInputShare, Report, ReportId, ReportMetadata, Role, TaskId, Time,
};
use onshelf_core::protocol::hpke::{PublicConfig, Purpose, seal};
use onshelf_core::protocol::report::{seal_integers, upload_url};
use onshelf_server::problem::Problem;
use onshelf_server::random;
use prio::vdaf::Client as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use support::{BATCH, Databases, Options, Pair, now, sqlite, vector};

on_both_databases!(forged_reports_change_nothing_and_are_counted);

/// A report with shares of our choice: what a client can send that does not run our code.
fn forge(pair: &Pair, time: u64, public: &[u8], leader: &[u8], helper: &[u8]) -> Report {
    let task = TaskId::from(pair.task.id());
    let metadata =
        ReportMetadata::new(ReportId::from(random::array::<16>()), Time::from_seconds_since_epoch(time));
    forge_with(pair, task, metadata, public, leader, helper)
}

fn forge_with(
    pair: &Pair,
    task: TaskId,
    metadata: ReportMetadata,
    public: &[u8],
    leader: &[u8],
    helper: &[u8],
) -> Report {
    let aad = InputShareAad::new(task, metadata.clone(), public.to_vec()).get_encoded().unwrap();
    let sealed = |to: &PublicConfig, role, share: &[u8]| -> HpkeCiphertext {
        let plain = PlaintextInputShare::new(Vec::new(), share.to_vec()).get_encoded().unwrap();
        seal(to, Purpose::InputShare(role), &aad, &plain, &mut random::fill).unwrap()
    };
    let p = pair.task.parameters();
    let leader = sealed(&p.leader.hpke, Role::Leader, leader);
    let helper = sealed(&p.helper.hpke, Role::Helper, helper);
    Report::new(metadata, public.to_vec(), leader, helper)
}

/// Shares of a vector by prio itself, for a task with more bits than ours: values out of range.
fn shares(
    bits: usize,
    length: usize,
    chunk: usize,
    value: u128,
    nonce: &[u8; 16],
) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let vdaf = prio::vdaf::prio3::Prio3SumVec::new_sum_vec(2, bits, length, chunk).unwrap();
    let (public, inputs) = vdaf.shard(&vec![value; length], nonce).unwrap();
    (public.get_encoded().unwrap(), inputs[0].get_encoded().unwrap(), inputs[1].get_encoded().unwrap())
}

async fn forged_reports_change_nothing_and_are_counted(databases: Databases) {
    let pair = Pair::new(databases, Options::default()).await;
    let expected = pair.upload_many(BATCH).await;
    let time = now() / 3_600 * 3_600;
    let chunk = pair.task.parameters().chunk_length as usize;

    // Twice as many values of half as many bits have the same length: the proof is of another circuit.
    let nonce = random::array();
    let (public, leader, helper) = shares(4, 8, chunk, 15, &nonce);
    let metadata = ReportMetadata::new(ReportId::from(nonce), Time::from_seconds_since_epoch(time));
    let good = forge_with(&pair, TaskId::from(pair.task.id()), metadata.clone(), &public, &leader, &helper);
    assert_eq!(pair.put(good.get_encoded().unwrap()).await.0, 201, "control: prio's own shares are taken");

    // One bit of the leader's share is 2 instead of 0 or 1: a value out of range.
    let mut outside = leader.clone();
    let second = u128::from_le_bytes(outside[16..32].try_into().unwrap());
    outside[16..32].copy_from_slice(&(second.wrapping_add(2)).to_le_bytes());
    let out_of_range = forge(&pair, time, &public, &outside, &helper);
    assert_eq!(pair.put(out_of_range.get_encoded().unwrap()).await.0, 201, "only both together can see it");

    // The proof of another report, the helper's seeds swapped, the public share changed.
    for (public, leader, helper) in
        [(&public, &leader, &vec![7; 48]), (&vec![9; 32], &leader, &helper), (&public, &leader, &helper)]
    {
        let forged = forge(&pair, time, public, leader, helper);
        assert_eq!(pair.put(forged.get_encoded().unwrap()).await.0, 201);
    }
    // The helper's ciphertext does not open.
    let sealed = pair.seal(&vector(5, 8, 15));
    let report = Report::get_decoded(&sealed.bytes).unwrap();
    let swapped = Report::new(
        report.metadata().clone(),
        report.public_share().to_vec(),
        report.leader_encrypted_input_share().clone(),
        report.leader_encrypted_input_share().clone(),
    );
    assert_eq!(pair.put(swapped.get_encoded().unwrap()).await.0, 201);
    pair.work().await;
    assert_eq!(pair.rejected("proof-failed")[1], 4, "{}", pair.helper.metrics.text());
    let sealed_to_other = pair.rejected("unknown-key")[1] + pair.rejected("not-opened")[1];
    assert_eq!(sealed_to_other, 1);

    let sum = pair.collect().await.unwrap();
    assert_eq!(sum.reports, BATCH as u64 + 1);
    let with_control: Vec<i128> = expected.iter().map(|v| v + 15).collect();
    assert_eq!(sum.sum, with_control);
    let counts = pair.leader.store.counts(&pair.task.id()).await.unwrap();
    assert_eq!(counts.rejected.get("proof-failed"), Some(&4), "{counts:?}");
}

async fn problem(answer: reqwest::Response) -> (u16, Problem) {
    let status = answer.status().as_u16();
    let media = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(media, "application/problem+json");
    let document: Problem = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(document.status, status);
    (status, document)
}

async fn upload_problem(pair: &Pair, body: Vec<u8>) -> (u16, String) {
    let request = pair.client.put(upload_url(&pair.task)).header("content-type", "application/dap-report");
    let (status, document) = problem(request.body(body).send().await.unwrap()).await;
    assert_eq!(document.taskid, Some(pair.task.id_text()));
    (status, document.kind.rsplit(':').next().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reports_are_refused_with_daps_reasons() {
    let pair = Pair::new(sqlite(), Options::default()).await;
    let good = pair.seal(&vector(1, 8, 15)).bytes;
    let report = Report::get_decoded(&good).unwrap();

    // A replay is taken without effect, so that a client may repeat a lost upload.
    assert_eq!(pair.put(good.clone()).await.0, 201);
    assert_eq!(pair.put(good.clone()).await.0, 201);
    assert_eq!(pair.rejected("replayed")[0], 1);

    for bytes in [Vec::new(), vec![0; 100], good[..good.len() - 1].to_vec(), [&good[..], &[0]].concat()] {
        assert_eq!(upload_problem(&pair, bytes).await, (400, "invalidMessage".into()));
    }
    assert_eq!(pair.rejected("malformed")[0], 4);

    // A changed byte of the leader's ciphertext, and the same report under another id.
    let mut tampered = good.clone();
    let at = tampered.len() - 200;
    tampered[at] ^= 1;
    let metadata = ReportMetadata::new(ReportId::from([1; 16]), *report.metadata().time());
    assert_eq!(upload_problem(&pair, tampered).await, (400, "reportRejected".into()));
    let renamed = Report::new(
        metadata,
        report.public_share().to_vec(),
        report.leader_encrypted_input_share().clone(),
        report.helper_encrypted_input_share().clone(),
    );
    assert_eq!(upload_problem(&pair, renamed.get_encoded().unwrap()).await, (400, "reportRejected".into()));
    assert_eq!(pair.rejected("not-opened")[0], 2);

    // Sealed for another task, with this one's keys.
    let metadata = ReportMetadata::new(ReportId::from([2; 16]), *report.metadata().time());
    let other = forge_with(&pair, TaskId::from([3; 32]), metadata, report.public_share(), &[0; 64], &[0; 48]);
    assert_eq!(upload_problem(&pair, other.get_encoded().unwrap()).await, (400, "reportRejected".into()));

    // Too early, before the task, after it.
    let p = pair.task.parameters();
    let at = |time| forge(&pair, time, report.public_share(), &[0; 64], &[0; 48]).get_encoded().unwrap();
    assert_eq!(upload_problem(&pair, at(now() + 3_700)).await, (400, "reportTooEarly".into()));
    assert_eq!(upload_problem(&pair, at(p.start - 3_600)).await, (400, "reportRejected".into()));
    pair.shifts[0].set(5 * 86_400);
    assert_eq!(upload_problem(&pair, at(p.expires)).await, (400, "reportRejected".into()));
    assert_eq!(upload_problem(&pair, at(now())).await, (400, "reportRejected".into()));
    pair.shifts[0].set(0);
    assert_eq!((pair.rejected("too-early")[0], pair.rejected("too-late")[0]), (1, 3));

    // A key that has ended.
    pair.shifts[0].set(181 * 86_400);
    let (status, document) = problem(pair.client.get(config_url(&pair)).send().await.unwrap()).await;
    assert_eq!((status, document.kind.ends_with("outdatedConfig")), (400, true));
    pair.shifts[0].set(0);
    let foreign = Report::new(
        report.metadata().clone(),
        report.public_share().to_vec(),
        HpkeCiphertext::new(255.into(), vec![0; 32], vec![0; 64]),
        report.helper_encrypted_input_share().clone(),
    );
    assert_eq!(upload_problem(&pair, foreign.get_encoded().unwrap()).await, (400, "outdatedConfig".into()));
    let counts = pair.leader.store.counts(&pair.task.id()).await.unwrap();
    assert_eq!(counts.waiting, 1, "only the good one waits");
    assert_eq!(counts.rejected["malformed"], 4);
}

fn config_url(pair: &Pair) -> String {
    format!("{}hpke_config?task_id={}", pair.task.parameters().leader.url, pair.task.id_text())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_refused_with_problem_documents() {
    let pair = Pair::new(sqlite(), Options::default()).await;
    let (leader, helper) =
        (pair.task.parameters().leader.url.clone(), pair.task.parameters().helper.url.clone());
    let task = format!("tasks/{}", pair.task.id_text());
    let other = format!("tasks/{}", "A".repeat(43));
    let job = "AAAAAAAAAAAAAAAAAAAAAA";
    let init = "application/dap-aggregation-job-init-req";
    let more = "application/dap-aggregation-job-continue-req";
    let share = "application/dap-aggregate-share-req";
    let collect = "application/dap-collect-req";
    let (put, post) = (reqwest::Method::PUT, reqwest::Method::POST);
    // Method, address, media type, whether a token is sent, body, status, end of the type.
    let cases = [
        (
            &put,
            format!("{leader}{other}/reports"),
            "application/dap-report",
            false,
            vec![],
            404,
            "unrecognizedTask",
        ),
        (
            &put,
            format!("{leader}tasks/x/reports"),
            "application/dap-report",
            false,
            vec![],
            400,
            "invalidMessage",
        ),
        (&put, format!("{leader}{task}/reports"), "text/plain", false, vec![], 415, "blank"),
        (
            &put,
            format!("{helper}{task}/aggregation_jobs/{job}"),
            init,
            false,
            vec![],
            403,
            "unauthorizedRequest",
        ),
        (&put, format!("{helper}{task}/aggregation_jobs/{job}"), more, true, vec![], 415, "blank"),
        (
            &put,
            format!("{helper}{task}/aggregation_jobs/{job}"),
            init,
            true,
            vec![1, 2],
            400,
            "invalidMessage",
        ),
        (&put, format!("{helper}{task}/aggregation_jobs/xyz"), init, true, vec![], 400, "invalidMessage"),
        (
            &put,
            format!("{helper}{other}/aggregation_jobs/{job}"),
            init,
            true,
            vec![],
            404,
            "unrecognizedTask",
        ),
        (&post, format!("{helper}{task}/aggregation_jobs/{job}"), more, true, vec![], 400, "invalidMessage"),
        (
            &post,
            format!("{helper}{task}/aggregation_jobs/{job}"),
            more,
            true,
            vec![0, 1, 0, 0, 0, 0],
            404,
            "unrecognizedAggregationJob",
        ),
        (&post, format!("{helper}{task}/aggregate_shares"), share, false, vec![], 403, "unauthorizedRequest"),
        (&post, format!("{helper}{task}/aggregate_shares"), share, true, vec![5], 400, "invalidMessage"),
        (&post, format!("{helper}{task}/aggregate_shares"), "x/y", true, vec![5], 415, "blank"),
        (
            &put,
            format!("{leader}{task}/collection_jobs/{job}"),
            collect,
            false,
            vec![],
            403,
            "unauthorizedRequest",
        ),
        (&put, format!("{leader}{task}/collection_jobs/{job}"), collect, true, vec![], 400, "invalidMessage"),
        (&put, format!("{leader}{task}/collection_jobs/{job}"), "x/y", true, vec![], 415, "blank"),
        (&post, format!("{leader}{task}/collection_jobs/{job}"), "", true, vec![], 404, "blank"),
        (&put, format!("{leader}nowhere"), "", true, vec![], 404, "blank"),
    ];
    for (method, url, media, token, body, status, kind) in cases {
        let mut request = pair.client.request(method.clone(), &url).header("content-type", media).body(body);
        if token {
            request = request.bearer_auth(&pair.token.0);
        }
        let (found, document) = problem(request.send().await.unwrap()).await;
        assert!(
            found == status && document.kind.ends_with(kind),
            "{method} {url} {media}: {found} {document:?}"
        );
    }
    // An interval that is no multiple of the precision.
    let p = pair.task.parameters();
    let crooked = onshelf_core::protocol::collect::Batch { start: p.start + 1, duration: 3_600 };
    let body = onshelf_core::protocol::collect::collection_request(crooked).unwrap();
    let request = pair.client.put(format!("{leader}{task}/collection_jobs/{job}")).bearer_auth(&pair.token.0);
    let answer = request.header("content-type", collect).body(body).send().await.unwrap();
    assert!(problem(answer).await.1.kind.ends_with("batchInvalid"));
    // DAP's older header is taken as well.
    let request = pair.client.post(format!("{leader}{task}/collection_jobs/{job}"));
    let answer = request.header("DAP-Auth-Token", &pair.token.0).send().await.unwrap();
    assert_eq!(answer.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_are_bounded_in_length_time_and_number() {
    let mut options = Options::default();
    options.limits.report_bytes = 10_000;
    options.limits.body_seconds = 1;
    options.limits.uploads_at_once = 2;
    options.limits.waiting_reports = 3;
    let pair = Pair::new(sqlite(), options).await;
    let put = |body: reqwest::Body| {
        pair.client
            .put(upload_url(&pair.task))
            .header("content-type", "application/dap-report")
            .body(body)
            .send()
    };
    let (status, _) = problem(put(vec![0; 10_001].into()).await.unwrap()).await;
    assert_eq!(status, 413);

    // Bodies of which the first byte comes and no more: two of them hold both places, then they end.
    let address =
        pair.task.parameters().leader.url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let head = format!(
        "PUT /tasks/{}/reports HTTP/1.1\r\nhost: x\r\ncontent-type: application/dap-report\r\n\
         content-length: 500\r\n\r\n1",
        pair.task.id_text()
    );
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (status, _) = problem(put(pair.seal(&vector(1, 8, 15)).bytes.into()).await.unwrap()).await;
    assert_eq!(status, 503);
    for mut stream in slow {
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
    }

    // Three may wait.
    for n in 0..3 {
        assert_eq!(put(pair.seal(&vector(n, 8, 15)).bytes.into()).await.unwrap().status(), 201);
    }
    let (status, _) = problem(put(pair.seal(&vector(9, 8, 15)).bytes.into()).await.unwrap()).await;
    assert_eq!(status, 429);
    assert_eq!(pair.rejected("queue-full")[0], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_rotate_and_end() {
    let mut options = Options::default();
    options.times.key_lifetime = 3_600;
    let pair = Pair::new(sqlite(), options).await;
    // A new key is for new tasks; the task keeps its own.
    let new = onshelf_server::keys::rotate(&*pair.leader.store, now() + 86_400).await.unwrap();
    assert_eq!(pair.put(pair.seal(&vector(1, 8, 15)).bytes).await.0, 201);
    let task = pair.another_task(|p| p.leader.hpke = new.pair.public().clone()).await;
    let sealed = seal_integers(&task, &vector(1, 8, 15), now(), &mut random::fill).unwrap();
    let request = pair.client.put(upload_url(&task)).header("content-type", "application/dap-report");
    assert_eq!(request.body(sealed.bytes).send().await.unwrap().status(), 201);
    // The helper's key ends before the job comes; then the leader's.
    pair.shifts[1].set(2 * 3_600);
    pair.work().await;
    assert_eq!(pair.rejected("unknown-key"), [2, 2]);
    pair.shifts[0].set(2 * 3_600);
    let late = upload_problem(&pair, pair.seal(&vector(2, 8, 15)).bytes).await;
    assert_eq!(late, (400, "outdatedConfig".into()));
    let (status, document) = problem(pair.client.get(config_url(&pair)).send().await.unwrap()).await;
    assert_eq!((status, document.kind.ends_with("outdatedConfig")), (400, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_whose_clock_is_behind_refuses_what_is_ahead_of_it() {
    let pair = Pair::new(sqlite(), Options::default()).await;
    pair.shifts[1].set(-2 * 3_600);
    pair.upload_many(5).await;
    pair.work().await;
    assert_eq!(pair.rejected("too-early"), [5, 5]);
    let counts = pair.leader.store.counts(&pair.task.id()).await.unwrap();
    assert_eq!((counts.waiting, counts.aggregated), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_whose_clock_is_ahead_sums_what_came_in_time() {
    let pair = Pair::new(sqlite(), Options::default()).await;
    // Past the task's end for the helper; whether a report came in time is the leader's to say.
    pair.shifts[1].set(5 * 86_400);
    pair.upload_many(5).await;
    pair.work().await;
    let sums = pair.helper.store.counts(&pair.task.id()).await.unwrap();
    assert_eq!((sums.aggregated, pair.rejected("too-late")), (5, [0, 0]));
    // A leader that is ahead has ended the task, and takes none.
    pair.shifts[0].set(5 * 86_400);
    assert_eq!(
        upload_problem(&pair, pair.seal(&vector(1, 8, 15)).bytes).await,
        (400, "reportRejected".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_need_a_token_a_signature_and_our_key() {
    let pair = Pair::new(sqlite(), Options::default()).await;
    let url = format!("{}onshelf/tasks", pair.task.parameters().leader.url);
    let post = |token: Option<&str>, body: Vec<u8>| {
        let mut request = pair.client.post(&url).body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        async move { request.send().await.unwrap() }
    };
    assert_eq!(post(None, pair.envelope.clone()).await.status(), 403);
    let taken = post(Some(&pair.token.0), pair.envelope.clone()).await;
    assert_eq!(taken.status(), 201);
    assert!(taken.text().await.unwrap().contains(&pair.task.id_text()));
    let other = onshelf_core::version::signing_key(&"33".repeat(32)).unwrap();
    let foreign = pair.task.sign(&other).unwrap();
    assert_eq!(post(Some(&pair.token.0), foreign).await.status(), 400);
    // The helper does not take a task whose helper key is not its own.
    let mut parameters = pair.task.parameters().clone();
    std::mem::swap(&mut parameters.leader.hpke, &mut parameters.helper.hpke);
    let swapped = onshelf_core::protocol::manifest::TaskManifest::new(parameters).unwrap();
    assert!(pair.helper.add_task(&swapped.sign(&other).unwrap()).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_see_counts_and_nobody_else_does() {
    let pair = Pair::new(sqlite(), Options::default()).await;
    pair.upload_many(2).await;
    let url = |path: &str| format!("{}{path}", pair.task.parameters().leader.url);
    assert_eq!(pair.client.get(url("onshelf/status")).send().await.unwrap().status(), 403);
    assert_eq!(pair.client.get(url("onshelf/keys")).send().await.unwrap().status(), 403);
    let status = pair.client.get(url("onshelf/status")).bearer_auth(&pair.token.0).send().await.unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.bytes().await.unwrap()).unwrap();
    assert_eq!(status["tasks"][0]["waiting"], 2);
    let metrics = pair.client.get(url("metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("onshelf_reports_uploaded_total{role=\"leader\"} 2"), "{metrics}");
    for path in ["healthz", "readyz"] {
        assert_eq!(pair.client.get(url(path)).send().await.unwrap().status(), 200);
    }
    let config = pair.client.get(config_url(&pair)).send().await.unwrap();
    assert_eq!(config.headers()["content-type"], "application/dap-hpke-config-list");
    assert_eq!(config.headers()["access-control-allow-origin"], "*");
}
