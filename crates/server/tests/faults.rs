//! A helper that is down, slow, or answers nonsense: nothing is lost, nothing is released wrongly, and when
//! it is well again the sum is exact.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use onshelf_core::protocol::collect::Batch;
use onshelf_core::protocol::report::random_id;
use onshelf_server::random;
use tokio::net::TcpListener;

use support::{BATCH, Options, Pair, postgres, sqlite, vector};

/// What stands between leader and helper.
#[derive(Clone)]
struct Between {
    mood: Arc<AtomicU8>,
    client: reqwest::Client,
    helper: Arc<std::sync::OnceLock<String>>,
}

async fn pass(State(between): State<Between>, request: Request) -> Response {
    let media = |kind: &'static str| [("content-type", kind)];
    match between.mood.load(Ordering::SeqCst) {
        1 => return StatusCode::BAD_GATEWAY.into_response(),
        2 => tokio::time::sleep(Duration::from_secs(30)).await,
        3 => return (StatusCode::CREATED, media("text/html"), "<html>hello</html>").into_response(),
        4 => {
            return (StatusCode::CREATED, media("application/dap-aggregation-job-resp"), "nonsense")
                .into_response();
        }
        // An answer that parses and is of no report.
        5 => {
            return (StatusCode::CREATED, media("application/dap-aggregation-job-resp"), vec![0; 4])
                .into_response();
        }
        6 => {
            return (StatusCode::OK, media("application/dap-aggregation-job-resp"), vec![7; 20 << 20])
                .into_response();
        }
        8 => return (StatusCode::OK, media("application/dap-aggregate-share"), "nonsense").into_response(),
        _ => {}
    }
    let url = format!("{}{}", between.helper.get().unwrap(), request.uri().path().trim_start_matches('/'));
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 26).await.unwrap();
    let sent =
        between.client.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
    let (status, headers) = (sent.status(), sent.headers().clone());
    // The helper did its work, and the answer is lost.
    if between.mood.load(Ordering::SeqCst) == 7 {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let mut response = Response::new(Body::from(sent.bytes().await.unwrap()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_that_is_not_well_delays_and_spoils_nothing() {
    let between =
        Between { mood: Arc::new(AtomicU8::new(1)), client: reqwest::Client::new(), helper: Arc::default() };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let app = Router::new().fallback(pass).with_state(between.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let mut options = Options { helper_url: Some(url), ..Options::default() };
    options.times.peer = 1;
    options.limits.job_reports = 400;
    let pair = Pair::new(sqlite(), options).await;
    between.helper.set(pair.task.parameters().helper.url.clone()).unwrap();
    let expected = pair.upload_many(BATCH).await;
    for mood in 1..=7 {
        between.mood.store(mood, Ordering::SeqCst);
        // Past the pause after the try before.
        pair.shifts[0].set(i64::from(mood) * 4);
        for _ in 0..3 {
            pair.driver.step().await;
        }
        let counts = pair.leader.store.counts(&pair.task.id()).await.unwrap();
        assert_eq!((counts.waiting, counts.aggregated), (BATCH as u64, 0), "mood {mood}");
    }
    // After the last mood the helper has summed what the leader has not: the same job, asked again, gets
    // the same answer.
    assert!(pair.helper.store.counts(&pair.task.id()).await.unwrap().aggregated > 0);
    between.mood.store(0, Ordering::SeqCst);
    pair.shifts[0].set(60);
    for _ in 0..50 {
        pair.driver.step().await;
        pair.shifts[0].set(120);
    }
    // The same while the batch is collected: the leader releases nothing before the helper has.
    let (job, whole) = (random_id(&mut random::fill), Batch::whole(&pair.task));
    pair.collecting().start(&pair.task, whole, &job).await.unwrap();
    for (n, mood) in (1..).zip([1, 2, 3, 4, 6, 8, 7]) {
        between.mood.store(mood, Ordering::SeqCst);
        pair.shifts[0].set(120 + n * 10);
        pair.driver.step().await;
        let counts = pair.leader.store.counts(&pair.task.id()).await.unwrap();
        assert_eq!((counts.aggregated, counts.collected), (BATCH as u64, 0), "mood {mood}");
        assert!(counts.failed_collections.is_empty(), "mood {mood}: {counts:?}");
    }
    assert_eq!(pair.helper.store.counts(&pair.task.id()).await.unwrap().collected, BATCH as u64);
    between.mood.store(0, Ordering::SeqCst);
    pair.shifts[0].set(240);
    let sum = pair.collect_batch(whole, &job, 30).await.unwrap();
    assert_eq!((sum.reports, sum.sum), (BATCH as u64, expected));
    assert!(pair.leader.metrics.text().contains("jobs_retried"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_away_is_said_and_nothing_is_taken() {
    let Some(databases) = postgres().await else { return };
    let pair = Pair::new(databases, Options::default()).await;
    pair.upload_many(1).await;
    support::postgres::server().unwrap().take_away(&pair.databases.leader).await;
    let (status, body) = pair.put(pair.seal(&vector(1, 8, 15)).bytes).await;
    assert_eq!(status, 503, "{body}");
    assert!(!body.contains("postgres"), "{body}");
    let url = format!("{}readyz", pair.task.parameters().leader.url);
    assert_eq!(pair.client.get(url).send().await.unwrap().status(), 503);
    let url = format!("{}healthz", pair.task.parameters().leader.url);
    assert_eq!(pair.client.get(url).send().await.unwrap().status(), 200);
}
