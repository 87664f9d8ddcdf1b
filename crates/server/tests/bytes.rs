//! Bytes from outside give an error, never a panic: every reader with made-up bytes, and with good messages
//! that were changed. `PROPTEST_CASES` makes the run longer.

mod support;

use std::sync::OnceLock;

use janus_messages::codec::{Decode as _, Encode as _};
use janus_messages::query_type::TimeInterval;
use janus_messages::{
    AggregateShareReq, AggregationJobResp, BatchSelector, CollectionReq, Duration, Interval,
    ReportIdChecksum, Time,
};
use onshelf_core::protocol::collect::{Batch, collection_request, decode_share, open_collection};
use onshelf_core::protocol::hpke::PublicConfig;
use onshelf_core::protocol::manifest::TaskManifest;
use onshelf_server::{helper, prepare, upload};
use proptest::prelude::*;
use tokio::runtime::Runtime;

use support::{Options, Pair, sqlite, vector};

/// One pair for all cases; it never ends, since tests share it.
fn pair() -> &'static (Runtime, Pair) {
    static PAIR: OnceLock<(Runtime, Pair)> = OnceLock::new();
    PAIR.get_or_init(|| {
        let runtime = Runtime::new().unwrap();
        let pair = runtime.block_on(Pair::new(sqlite(), Options::default()));
        (runtime, pair)
    })
}

/// Good messages: the corpus that changes begin with.
fn corpus() -> &'static [Vec<u8>] {
    static CORPUS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let (_, pair) = pair();
        let batch = Batch::whole(&pair.task);
        let interval = Interval::new(
            Time::from_seconds_since_epoch(batch.start),
            Duration::from_seconds(batch.duration),
        );
        let selector = BatchSelector::<TimeInterval>::new_time_interval(interval.unwrap());
        let share = AggregateShareReq::new(selector, Vec::new(), 1_000, ReportIdChecksum::from([1; 32]));
        let job = [&[0, 0, 0, 0, 1][..], &[0; 4]].concat();
        vec![
            pair.seal(&vector(3, 8, 15)).bytes,
            collection_request(batch).unwrap(),
            share.get_encoded().unwrap(),
            pair.envelope.clone(),
            job,
        ]
    })
}

/// Every reader of the two roles and of the collector.
fn read_all(bytes: &[u8]) {
    let (runtime, pair) = pair();
    runtime.block_on(async {
        let task = pair.leader.task(&pair.task.id()).await.unwrap();
        let theirs = pair.helper.task(&pair.task.id()).await.unwrap();
        let _ = upload::upload(&pair.leader, &task, bytes.to_vec()).await;
        let _ = helper::aggregation_job(&pair.helper, &theirs, &[1; 16], bytes.to_vec()).await;
        let _ = helper::aggregate_share(&pair.helper, &theirs, bytes).await;
    });
    runtime.block_on(async {
        let task = pair.leader.task(&pair.task.id()).await.unwrap();
        if let Ok(request) = CollectionReq::<TimeInterval>::get_decoded(bytes) {
            let _ = helper::span(&task, request.query().batch_interval());
        }
        // What a helper may answer.
        if let Ok(answer) = AggregationJobResp::get_decoded(bytes) {
            let _ = prepare::end(&task, Vec::new(), answer.prepare_resps());
        }
    });
    let _ = PublicConfig::decode(bytes);
    let _ = decode_share(bytes, bytes.len() / 16);
    let _ = open_collection(&pair.task, &pair.collector, Batch::whole(&pair.task), bytes);
    let _ = TaskManifest::verify(bytes, &pair.leader.settings.task_keys);
    let _ = serde_json::from_slice::<TaskManifest>(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = onshelf_server::config::Config::parse(text, &|_| None);
    }
}

#[test]
fn the_corpus_itself_is_read() {
    corpus().iter().for_each(|bytes| read_all(bytes));
    let (runtime, pair) = pair();
    let counts = runtime.block_on(pair.leader.store.counts(&pair.task.id())).unwrap();
    assert!(counts.waiting >= 1, "the corpus' report was not taken");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(128), ..ProptestConfig::default() })]

    #[test]
    fn made_up_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }

    #[test]
    fn changed_messages_are_refused(
        which in 0_usize..5, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(), whether in any::<bool>(),
    ) {
        let mut bytes = corpus()[which].clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if whether {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_all(&bytes);
    }
}
