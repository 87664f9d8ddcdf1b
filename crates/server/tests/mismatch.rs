//! Leader and helper that count other reports: it is said loudly, nothing is released and nothing lost, and once
//! both operators have dropped the bucket that differs the rest is released, once.

mod support;

use onshelf_collector::CollectError;
use onshelf_core::protocol::collect::Batch;
use onshelf_core::protocol::report::{random_id, seal_integers};
use onshelf_server::noise::Noise;
use onshelf_server::random;
use onshelf_server::store::Closing;
use support::{BATCH, Databases, Options, Pair, now, vector};

on_both_databases!(a_batch_that_is_counted_differently_is_not_lost);

async fn a_batch_that_is_counted_differently_is_not_lost(databases: Databases) {
    let pair = Pair::new(databases, Options::default()).await;
    let id = pair.task.id();
    let sum = pair.upload_many(BATCH).await;
    // Some of an hour before.
    for n in 0..7 {
        let before = now() - 3_600;
        let report = seal_integers(&pair.task, &vector(n, 8, 15), before, &mut random::fill).unwrap();
        assert_eq!(pair.put(report.bytes).await.0, 201);
    }
    pair.work().await;
    // What no run of these programs makes: the helper counts one more in that hour.
    let hour = pair.helper.store.buckets(&id).await.unwrap()[0].start;
    let database = sqlx::AnyPool::connect(&pair.databases.helper).await.unwrap();
    let query = sqlx::query("UPDATE buckets SET reports = reports + 1 WHERE start = $1");
    query.bind(i64::try_from(hour).unwrap()).execute(&database).await.unwrap();

    let (job, whole) = (random_id(&mut random::fill), Batch::whole(&pair.task));
    let failed = pair.collect_batch(whole, &job, 20).await;
    let Err(CollectError::Refused { status: 400, kind }) = failed else { panic!("{failed:?}") };
    assert!(kind.ends_with("batchMismatch"), "{kind}");
    for aggregator in [&pair.leader, &pair.helper] {
        assert_eq!(aggregator.metrics.mismatched.get(), 1);
        let counts = aggregator.store.counts(&id).await.unwrap();
        assert_eq!(counts.collected, 0, "{counts:?}");
        assert!(counts.aggregated >= BATCH as u64 + 7, "{counts:?}");
    }
    let status = format!("{}onshelf/status", pair.task.parameters().leader.url);
    let status = pair.client.get(status).bearer_auth(&pair.token.0).send().await.unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.bytes().await.unwrap()).unwrap();
    assert_eq!(status["tasks"][0]["failed_collections"][&kind], 1, "{status}");

    // The operators compare, and both drop what differs.
    let [leaders, helpers] = [&pair.leader, &pair.helper].map(|one| one.store.clone());
    let (mine, theirs) = (leaders.buckets(&id).await.unwrap(), helpers.buckets(&id).await.unwrap());
    let differs: Vec<u64> = mine
        .iter()
        .zip(&theirs)
        .filter(|(a, b)| (a.sum.reports, a.sum.checksum) != (b.sum.reports, b.sum.checksum))
        .map(|(a, _)| a.start)
        .collect();
    assert_eq!(differs, [hour]);
    assert_eq!(leaders.drop_bucket(&id, hour).await.unwrap(), Some(7));
    assert_eq!(helpers.drop_bucket(&id, hour).await.unwrap(), Some(8));
    assert_eq!(helpers.drop_bucket(&id, hour).await.unwrap(), None);

    // The same job of the same batch, which the collector's ledger has paid for already.
    let found = pair.collect_batch(whole, &job, 30).await.unwrap();
    assert_eq!((found.reports, found.sum.clone()), (BATCH as u64, sum));
    let again = pair.collect_batch(whole, &job, 30).await.unwrap();
    assert_eq!(found, again);
    let other = pair.collect().await;
    assert!(matches!(other, Err(CollectError::Refused { .. })), "{other:?}");
    assert_eq!(
        leaders.drop_bucket(&id, now() / 3_600 * 3_600).await.unwrap(),
        None,
        "what was released stays"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_is_held_takes_no_report_and_has_no_noise() {
    let pair = Pair::new(support::sqlite(), Options::default()).await;
    pair.upload_many(BATCH).await;
    pair.work().await;
    let (id, store) = (pair.task.id(), &pair.leader.store);
    let span = onshelf_server::store::Span { start: 0, end: 1 << 40 };
    let Closing::Held(held) = store.hold_batch(&id, span, BATCH as u64).await.unwrap() else { panic!() };
    assert_eq!((held.reports, held.share.len()), (BATCH as u64, 0));
    assert_eq!(store.hold_batch(&id, span, BATCH as u64).await.unwrap(), Closing::Held(held.clone()));
    let (status, body) = pair.put(pair.seal(&vector(1, 8, 15)).bytes).await;
    assert_eq!(status, 400, "{body}");
    // Let go, it takes them again.
    store.free_batch(&id, span).await.unwrap();
    assert_eq!(pair.put(pair.seal(&vector(1, 8, 15)).bytes).await.0, 201);
    pair.work().await;
    // Closed, it stays closed.
    let std = pair.task.noise();
    let noise = move |share: &[u8]| Noise::gaussian().add(share, std).unwrap();
    let closed = store.close_batch(&id, span, BATCH as u64, None, &noise).await.unwrap();
    let Closing::Closed(sum) = closed.clone() else { panic!("{closed:?}") };
    assert_eq!((sum.reports, sum.share.is_empty()), (BATCH as u64 + 1, false));
    store.free_batch(&id, span).await.unwrap();
    assert_eq!(store.hold_batch(&id, span, BATCH as u64).await.unwrap(), closed);
}
