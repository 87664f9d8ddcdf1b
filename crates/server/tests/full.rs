//! A database on a disk without room: what cannot be stored is not taken, and is said; what was taken stays; and when
//! there is room again everything goes on by itself, to the exact sum.

mod support;

use onshelf_server::problem::Problem;
use support::disk::SmallDisk;
use support::{BATCH, Databases, Options, Pair, sqlite, vector};

/// Puts the leader's or the helper's database on a small disk, the other's elsewhere.
async fn on_disk(disk: &SmallDisk, leader: bool, postgres: bool) -> Option<Databases> {
    let mut databases = sqlite();
    let url = if postgres {
        support::postgres::server()?.database_at(Some(&disk.tables())).await
    } else {
        format!("sqlite:{}", disk.path().join("small.db").display())
    };
    *(if leader { &mut databases.leader } else { &mut databases.helper }) = url;
    Some(databases)
}

async fn put(pair: &Pair, body: Vec<u8>) -> (u16, Option<String>, String) {
    let url = onshelf_core::protocol::report::upload_url(&pair.task);
    let request = pair.client.put(url).header("content-type", "application/dap-report").body(body);
    let answer = request.send().await.unwrap();
    let pause = answer.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
    (answer.status().as_u16(), pause, answer.text().await.unwrap())
}

async fn a_leader_without_room(postgres: bool) {
    let Some(disk) = SmallDisk::mount() else { return };
    let Some(databases) = on_disk(&disk, true, postgres).await else { return };
    let pair = Pair::new(databases, Options::default()).await;
    let length = pair.task.parameters().encoding.length();
    let mut sum = pair.upload_many(50).await;
    let mut taken = 50;
    disk.fill();
    // Some pages that were made before have room still.
    let (refused, vector) = loop {
        let vector = vector(taken, length, 15);
        let report = pair.seal(&vector).bytes;
        let (status, pause, body) = put(&pair, report.clone()).await;
        if status == 201 {
            sum.iter_mut().zip(&vector).for_each(|(s, v)| *s += i128::from(*v));
            taken += 1;
            assert!(taken < BATCH, "the disk is not full");
            continue;
        }
        let problem: Problem = serde_json::from_str(&body).unwrap();
        assert_eq!((status, problem.status), (507, 507), "{body}");
        assert!(problem.title.contains("no room") && problem.kind == "about:blank", "{body}");
        assert_eq!(pause.as_deref(), Some("60"));
        break (report, vector);
    };
    eprintln!("{taken} reports, then 507");
    // Nothing is half there, nothing that was there is gone, and what needs no room is answered.
    for _ in 0..3 {
        pair.driver.step().await;
    }
    let counts = pair.leader.store.counts(&pair.task.id()).await.unwrap();
    assert_eq!(counts.waiting + counts.aggregated, taken as u64);
    let metrics = pair.leader.metrics.text();
    assert!(
        metrics.contains("storage_failures_total{reason=\"full\",role=\"leader\"}")
            || metrics.contains("storage_failures_total{role=\"leader\",reason=\"full\"}"),
        "{metrics}"
    );
    let url = format!("{}hpke_config", pair.task.parameters().leader.url);
    assert_eq!(pair.client.get(url).send().await.unwrap().status(), 200);

    disk.empty();
    assert_eq!(put(&pair, refused).await.0, 201);
    assert_eq!(pair.rejected("replayed")[0], 0, "the report that was refused was not kept");
    sum.iter_mut().zip(&vector).for_each(|(s, v)| *s += i128::from(*v));
    let rest = pair.upload_many(BATCH - taken - 1).await;
    sum.iter_mut().zip(rest).for_each(|(s, v)| *s += v);
    finish(&pair, sum).await;
}

async fn a_helper_without_room(postgres: bool) {
    let Some(disk) = SmallDisk::mount() else { return };
    let Some(databases) = on_disk(&disk, false, postgres).await else { return };
    let pair = Pair::new(databases, Options::default()).await;
    let sum = pair.upload_many(BATCH).await;
    disk.fill();
    for step in 0..4 {
        pair.shifts[0].set(step * 10);
        pair.driver.step().await;
    }
    let metrics = pair.helper.metrics.text();
    assert!(metrics.contains("storage_failures_total"), "{metrics}");
    let sums = async |aggregator: &onshelf_server::Aggregator| {
        aggregator.store.counts(&pair.task.id()).await.unwrap().aggregated
    };
    assert_eq!(sums(&pair.leader).await, sums(&pair.helper).await, "what one counts the other does");
    disk.empty();
    pair.shifts[0].set(120);
    finish(&pair, sum).await;
}

/// The exact sum of a whole batch.
async fn finish(pair: &Pair, sum: Vec<i128>) {
    pair.work().await;
    let found = pair.collect().await.unwrap();
    assert_eq!((found.reports, found.sum), (BATCH as u64, sum));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_on_sqlite() {
    a_leader_without_room(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_on_postgresql() {
    a_leader_without_room(true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_on_sqlite() {
    a_helper_without_room(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_helper_on_postgresql() {
    a_helper_without_room(true).await;
}
