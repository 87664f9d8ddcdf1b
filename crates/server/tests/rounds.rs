//! Whole rounds: reports over HTTP, two aggregators with databases of their own, one noised sum.

mod support;

use onshelf_collector::CollectError;
use onshelf_core::protocol::collect::Batch;
use onshelf_core::protocol::report::{random_id, seal_delta};
use onshelf_server::noise::Noise;
use onshelf_server::random;
use support::{BATCH, Databases, Options, Pair, now, sqlite, vector};

on_both_databases!(
    a_round_gives_the_exact_sum,
    below_the_minimum_batch_nothing_is_released,
    a_batch_is_released_once
);

async fn a_round_gives_the_exact_sum(databases: Databases) {
    let pair = Pair::new(databases, Options::default()).await;
    let expected = pair.upload_many(BATCH + 7).await;
    pair.work().await;
    let sum = pair.collect().await.unwrap();
    assert_eq!((sum.reports, sum.sum), (BATCH as u64 + 7, expected));
    // Nothing that could be read is left: no share of a report, no sum without noise.
    for aggregator in [&pair.leader, &pair.helper] {
        let counts = aggregator.store.counts(&pair.task.id()).await.unwrap();
        assert_eq!((counts.waiting, counts.aggregated, counts.collected), (0, 0, BATCH as u64 + 7));
    }
    for url in [&pair.databases.leader, &pair.databases.helper] {
        let database = sqlx::AnyPool::connect(url).await.unwrap();
        for left in ["FROM reports WHERE LENGTH(body) > 0", "FROM buckets"] {
            let query = format!("SELECT COUNT(*) {left}");
            let (count,): (i64,) = sqlx::query_as(&query).fetch_one(&database).await.unwrap();
            assert_eq!(count, 0, "{left}");
        }
        let (ids,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM reports").fetch_one(&database).await.unwrap();
        assert_eq!(ids, BATCH as i64 + 7, "ids stay, against replays");
    }
}

async fn below_the_minimum_batch_nothing_is_released(databases: Databases) {
    let pair = Pair::new(databases, Options::default()).await;
    pair.upload_many(BATCH - 1).await;
    pair.work().await;
    let job = random_id(&mut random::fill);
    let early = pair.collect_batch(Batch::whole(&pair.task), &job, 2).await;
    assert!(matches!(early, Err(CollectError::Pending(2))), "{early:?}");
    // The helper refuses by itself, whatever its leader says.
    let small = pair.helper.store.counts(&pair.task.id()).await.unwrap();
    assert_eq!((small.aggregated, small.collected), (BATCH as u64 - 1, 0));
    let std = pair.task.noise();
    let noise = move |share: &[u8]| Noise::gaussian().add(share, std).unwrap();
    let span = onshelf_server::store::Span { start: 0, end: 1 << 40 };
    let closed =
        pair.helper.store.close_batch(&pair.task.id(), span, BATCH as u64, None, &noise).await.unwrap();
    assert_eq!(closed, onshelf_server::store::Closing::TooFew(BATCH as u64 - 1));
    // When the task is over no more can come, and the collector is told.
    for shift in &pair.shifts {
        shift.set(6 * 86_400);
    }
    let late = pair.collect_batch(Batch::whole(&pair.task), &job, 20).await;
    let Err(CollectError::Refused { status: 400, kind }) = late else { panic!("{late:?}") };
    assert!(kind.ends_with("invalidBatchSize"), "{kind}");
}

async fn a_batch_is_released_once(databases: Databases) {
    let noise = [Noise::gaussian(); 2];
    let pair = Pair::new(databases, Options { noise, ..Options::default() }).await;
    pair.upload_many(BATCH).await;
    pair.work().await;
    let job = random_id(&mut random::fill);
    let first = pair.collect_batch(Batch::whole(&pair.task), &job, 30).await.unwrap();
    // The same job gives the same noise, not a second draw to average with.
    let again = pair.collect_batch(Batch::whole(&pair.task), &job, 30).await.unwrap();
    assert_eq!(first.sum, again.sum);
    // Another job of the same times, or of times that overlap, gives nothing.
    let refused = |result: Result<_, CollectError>| match result {
        Err(CollectError::Refused { status: 400, kind }) => kind,
        other => panic!("{other:?}"),
    };
    let kind = refused(pair.collect().await);
    assert!(kind.ends_with("batchQueriedTooManyTimes"), "{kind}");
    let whole = Batch::whole(&pair.task);
    let part = Batch { start: whole.start, duration: whole.duration - 3_600 };
    let kind = refused(pair.collect_batch(part, &random_id(&mut random::fill), 30).await);
    assert!(kind.ends_with("batchOverlap"), "{kind}");
    // Nor after the job was deleted: what was released stays released.
    let url =
        format!("{}tasks/{}/collection_jobs/{job}", pair.task.parameters().leader.url, pair.task.id_text());
    let deleted = pair.client.delete(url).bearer_auth(&pair.token.0).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    let kind = refused(pair.collect().await);
    assert!(kind.ends_with("batchQueriedTooManyTimes"), "{kind}");
    // A report for the released times changes nothing and is counted.
    let (status, body) = pair.put(pair.seal(&vector(1, 8, 15)).bytes).await;
    assert_eq!(status, 400);
    assert!(body.contains("reportRejected"), "{body}");
    assert_eq!(pair.rejected("batch-collected")[0], 1);
}

/// Deviation of a noised sum from the sum, over the standard deviation that one aggregator has to add.
async fn noise_of(noise: [Noise; 2]) -> f64 {
    let options = Options { noise, dimension: 1_024, bits: 2, ..Options::default() };
    let pair = Pair::new(sqlite(), options).await;
    let expected = pair.upload_many(BATCH).await;
    pair.work().await;
    let sum = pair.collect().await.unwrap();
    let n = expected.len() as f64;
    let square = sum.sum.iter().zip(&expected).map(|(a, b)| ((a - b) as f64).powi(2)).sum::<f64>() / n;
    let std = pair.task.noise();
    square.sqrt() / (std.numerator as f64 / std.denominator as f64)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_noise_of_a_released_sum_is_that_of_two_aggregators() {
    // 1,024 draws: the standard error of the deviation is 1/√(2n), 2.2 %. Four of them.
    let both = noise_of([Noise::gaussian(); 2]).await;
    assert!((both / 2_f64.sqrt() - 1.0).abs() < 0.09, "{both}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_corrupt_aggregator_leaves_the_whole_noise_of_the_other() {
    for noise in [[Noise::none_for_tests(), Noise::gaussian()], [Noise::gaussian(), Noise::none_for_tests()]]
    {
        let one = noise_of(noise).await;
        assert!((one - 1.0).abs() < 0.09, "{one}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deltas_come_back_as_their_mean() {
    let pair = Pair::new(sqlite(), Options { bits: 8, ..Options::default() }).await;
    let delta: Vec<f32> = (0..8_i8).map(|v| f32::from(v - 4) * 0.05).collect();
    for _ in 0..BATCH {
        let report = seal_delta(&pair.task, &delta, now(), &mut random::fill).unwrap();
        assert_eq!(pair.put(report.bytes).await.0, 201);
    }
    pair.work().await;
    let mean = pair.collect().await.unwrap().mean_delta(&pair.task).unwrap();
    // Rounding by half a step of 1/128 · 3/√8 at most, averaged over a thousand reports.
    let close = mean.iter().zip(&delta).all(|(a, b)| (a - b).abs() < 1e-3);
    assert!(close, "{mean:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_is_forgotten() {
    let pair = Pair::new(sqlite(), Options::default()).await;
    pair.upload_many(3).await;
    assert_eq!(onshelf_server::leader::upkeep(&pair.leader).await.unwrap(), 0);
    pair.shifts[0].set(30 * 86_400);
    assert_eq!(onshelf_server::leader::upkeep(&pair.leader).await.unwrap(), 1);
    assert!(pair.leader.task(&pair.task.id()).await.is_err());
    let counts = pair.leader.store.counts(&pair.task.id()).await.unwrap();
    assert_eq!(counts.waiting, 0);
}
