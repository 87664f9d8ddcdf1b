//! DAP's messages: as the server takes them over HTTP, and what is inside of them once they are opened.

use axum::http::Method;
use janus_messages::codec::{Decode as _, Encode as _};
use janus_messages::query_type::TimeInterval;
use janus_messages::{
    AggregateShareAad, AggregateShareReq, AggregationJobContinueReq, AggregationJobInitializeReq,
    AggregationJobResp, BatchSelector, Collection, CollectionReq, Duration, HpkeCiphertext, HpkeConfigList,
    InputShareAad, Interval, PartialBatchSelector, PlaintextInputShare, PrepareError, PrepareInit,
    PrepareResp, PrepareStepResult, Report, ReportIdChecksum, ReportMetadata, Role as DapRole, TaskId, Time,
};
use onshelf_core::protocol::collect::{Batch, collection_request, open_collection};
use onshelf_core::protocol::hpke::{Keypair, PublicConfig, Purpose, open, seal};
use onshelf_server::aggregator::LoadedTask;
use onshelf_server::prepare::{begin, end, help};
use onshelf_server::store::StoredReport;
use prio::topology::ping_pong::PingPongMessage;

use crate::fixture::{Fixture, NOW, fixture, stream};
use crate::parts::{join, split};
use crate::{Seeds, Target};

pub(crate) const TARGETS: &[Target] = &[
    Target { name: "report", run: report, seeds: report_seeds },
    Target { name: "report_content", run: report_content, seeds: report_content_seeds },
    Target { name: "aggregation_job", run: aggregation_job, seeds: aggregation_job_seeds },
    Target { name: "aggregation_job_continue", run: job_continue, seeds: job_continue_seeds },
    Target { name: "aggregation_job_answer", run: job_answer, seeds: job_answer_seeds },
    Target { name: "aggregate_share", run: aggregate_share, seeds: aggregate_share_seeds },
    Target { name: "collection_request", run: collection, seeds: collection_seeds },
    Target { name: "collection_answer", run: collection_answer, seeds: collection_answer_seeds },
    Target { name: "hpke_config", run: hpke_config, seeds: hpke_config_seeds },
    Target { name: "request", run: request, seeds: request_seeds },
];

// ---------------------------------------------------------------- reports

/// An upload, as it comes.
fn report(bytes: &[u8]) {
    let f = fixture();
    f.ask(&f.leader, Method::PUT, &f.path("reports", bytes), Report::MEDIA_TYPE, bytes);
}

fn report_seeds() -> Seeds {
    let good = fixture().report(3).bytes;
    let cut = good[..good.len() / 2].to_vec();
    vec![("good", good), ("cut", cut), ("empty", Vec::new())]
}

/// What a report holds once it is opened: public share, both input shares, and the leader's message to the helper
/// (nothing: the one that it makes itself).
fn report_content(bytes: &[u8]) {
    let f = fixture();
    let [public, leader, helper, message] = split(bytes);
    let (metadata, task) = (metadata(f), TaskId::from(f.task.id()));
    let Ok(aad) = InputShareAad::new(task, metadata.clone(), public.to_vec()).get_encoded() else { return };
    let sealed = |to: &LoadedTask, role, share: &[u8]| {
        seal(to.key.public(), Purpose::InputShare(role), &aad, share, &mut stream(1)).expect("sealed")
    };
    let report = Report::new(
        metadata,
        public.to_vec(),
        sealed(&f.leader.task, DapRole::Leader, leader),
        sealed(&f.helper.task, DapRole::Helper, helper),
    );
    let Ok(body) = report.get_encoded() else { return };
    let stored = StoredReport { id: *report.metadata().id().as_ref(), body };
    let (begun, _) = begin(&f.leader.task, std::slice::from_ref(&stored));
    let Some(one) = begun.first() else { return };
    if let Ok(message) = PingPongMessage::get_decoded(message) {
        let init = PrepareInit::new(one.init.report_share().clone(), message);
        let _ = help(&f.helper.task, &[init]);
    }
    let helped = help(&f.helper.task, std::slice::from_ref(&one.init));
    if let Some(Ok((_, message))) = helped.into_iter().next() {
        let answer = PrepareResp::new(stored.id.into(), PrepareStepResult::Continue { message });
        let (sums, refused) =
            end(&f.leader.task, begun, &[answer]).expect("the answers are of these reports");
        // Else the two would count different reports, and the batch would be lost.
        assert_eq!((sums.reports(), refused.len()), (1, 0), "a report that only the helper counts");
    }
}

fn metadata(f: &Fixture) -> ReportMetadata {
    let report = Report::get_decoded(&f.report(3).bytes).expect("a report");
    report.metadata().clone()
}

fn report_content_seeds() -> Seeds {
    let f = fixture();
    let report = Report::get_decoded(&f.report(3).bytes).expect("a report");
    let aad =
        InputShareAad::new(f.task.id().into(), report.metadata().clone(), report.public_share().to_vec());
    let aad = aad.get_encoded().expect("encodes");
    let opened = |key: &Keypair, role, ciphertext: &HpkeCiphertext| {
        open(key, Purpose::InputShare(role), &aad, ciphertext).expect("opens")
    };
    let leader = opened(&f.leader.task.key, DapRole::Leader, report.leader_encrypted_input_share());
    let helper = opened(&f.helper.task.key, DapRole::Helper, report.helper_encrypted_input_share());
    let message = begun(f).1.message().get_encoded().expect("encodes");
    let public = report.public_share();
    let empty = PlaintextInputShare::new(Vec::new(), Vec::new()).get_encoded().expect("encodes");
    vec![
        ("good", join(&[public, &leader, &helper, &[]])),
        ("good-with-message", join(&[public, &leader, &helper, &message])),
        ("empty-shares", join(&[&[], &empty, &empty, &[]])),
        ("swapped", join(&[public, &helper, &leader, &message])),
    ]
}

// ---------------------------------------------------------------- aggregation

/// A good report as the leader begins with it, and what it sends.
fn begun(f: &Fixture) -> (Vec<onshelf_server::prepare::Begun>, PrepareInit) {
    let sealed = f.report(3);
    let (begun, _) = begin(&f.leader.task, &[StoredReport { id: sealed.id, body: sealed.bytes }]);
    let init = begun[0].init.clone();
    (begun, init)
}

fn aggregation_job(bytes: &[u8]) {
    let f = fixture();
    let media = AggregationJobInitializeReq::<TimeInterval>::MEDIA_TYPE;
    f.ask(&f.helper, Method::PUT, &f.path("aggregation_jobs/{job}", bytes), media, bytes);
}

fn job_of(inits: Vec<PrepareInit>) -> Vec<u8> {
    AggregationJobInitializeReq::new(Vec::new(), PartialBatchSelector::new_time_interval(), inits)
        .get_encoded()
        .expect("encodes")
}

fn aggregation_job_seeds() -> Seeds {
    let init = begun(fixture()).1;
    let twice = job_of(vec![init.clone(), init.clone()]);
    vec![("good", job_of(vec![init])), ("twice", twice), ("empty", job_of(Vec::new()))]
}

fn job_continue(bytes: &[u8]) {
    let f = fixture();
    let media = AggregationJobContinueReq::MEDIA_TYPE;
    f.ask(&f.helper, Method::POST, &f.path("aggregation_jobs/{job}", &[]), media, bytes);
}

fn job_continue_seeds() -> Seeds {
    vec![("good", vec![0, 1, 0, 0, 0, 0])]
}

/// What a helper may answer a job with.
fn job_answer(bytes: &[u8]) {
    let f = fixture();
    let Ok(answer) = AggregationJobResp::get_decoded(bytes) else { return };
    if let Some((sums, refused)) = end(&f.leader.task, begun(f).0, answer.prepare_resps()) {
        assert_eq!(sums.reports() + refused.len() as u64, 1, "a report is counted or refused");
    }
}

fn job_answer_seeds() -> Seeds {
    let f = fixture();
    let init = begun(f).1;
    let id = *init.report_share().metadata().id();
    let helped = help(&f.helper.task, &[init]).remove(0).expect("a good report");
    let results = [
        ("good", PrepareStepResult::Continue { message: helped.1 }),
        ("rejected", PrepareStepResult::Reject(PrepareError::VdafPrepError)),
        ("finished", PrepareStepResult::Finished),
    ];
    let answer = |result| AggregationJobResp::new(vec![PrepareResp::new(id, result)]).get_encoded();
    results.into_iter().map(|(name, result)| (name, answer(result).expect("encodes"))).collect()
}

// ---------------------------------------------------------------- collections

fn whole() -> Batch {
    Batch::whole(&fixture().task)
}

fn selector(batch: Batch) -> BatchSelector<TimeInterval> {
    let start = Time::from_seconds_since_epoch(batch.start);
    BatchSelector::new_time_interval(
        Interval::new(start, Duration::from_seconds(batch.duration)).expect("an interval"),
    )
}

fn aggregate_share(bytes: &[u8]) {
    let f = fixture();
    let media = AggregateShareReq::<TimeInterval>::MEDIA_TYPE;
    let status = f.ask(&f.helper, Method::POST, &f.path("aggregate_shares", bytes), media, bytes);
    assert_ne!(status, 200, "no batch is large enough to be released");
}

fn aggregate_share_seeds() -> Seeds {
    let request = |count| {
        let checksum = ReportIdChecksum::from([1; 32]);
        AggregateShareReq::new(selector(whole()), Vec::new(), count, checksum).get_encoded().expect("encodes")
    };
    vec![("good", request(1_000)), ("many", request(u64::MAX))]
}

fn collection(bytes: &[u8]) {
    let f = fixture();
    let path = f.path("collection_jobs/{job}", bytes);
    let media = CollectionReq::<TimeInterval>::MEDIA_TYPE;
    if f.ask(&f.leader, Method::PUT, &path, media, bytes) == 201 {
        assert_eq!(f.ask(&f.leader, Method::POST, &path, "", &[]), 202, "a job that was opened is there");
    }
}

fn collection_seeds() -> Seeds {
    let whole = whole();
    let odd = Batch { start: whole.start + 1, ..whole };
    let far = Batch { start: u64::MAX / 3_600 * 3_600 - 7_200, duration: 3_600 };
    let of = |batch| collection_request(batch).expect("encodes");
    vec![("good", of(whole)), ("odd", of(odd)), ("far", of(far))]
}

/// What a leader may answer a collector with: as it comes, and with two shares of any bytes that are sealed well.
fn collection_answer(bytes: &[u8]) {
    let f = fixture();
    let _ = open_collection(&f.task, &f.collector, whole(), bytes);
    let [count, leader, helper] = split(bytes);
    let count = count.iter().take(8).fold(0, |n, byte| n << 8 | u64::from(*byte));
    let answer = sealed_collection(f, count, leader, helper);
    if let Ok(sum) = open_collection(&f.task, &f.collector, whole(), &answer) {
        assert!(sum.reports >= 1_000 && sum.sum.len() == f.task.parameters().encoding.length());
        let _ = sum.mean_delta(&f.task);
    }
}

fn sealed_collection(f: &Fixture, count: u64, leader: &[u8], helper: &[u8]) -> Vec<u8> {
    let aad = AggregateShareAad::new(f.task.id().into(), Vec::new(), selector(whole()));
    let aad = aad.get_encoded().expect("encodes");
    let sealed = |role, share: &[u8]| {
        seal(f.collector.public(), Purpose::AggregateShare(role), &aad, share, &mut stream(2))
            .expect("sealed")
    };
    let (leader, helper) = (sealed(DapRole::Leader, leader), sealed(DapRole::Helper, helper));
    let interval = *selector(whole()).batch_interval();
    let selector = PartialBatchSelector::new_time_interval();
    Collection::<TimeInterval>::new(selector, count, interval, leader, helper).get_encoded().expect("encodes")
}

fn collection_answer_seeds() -> Seeds {
    let share = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].repeat(fixture().task.vdaf().length());
    let large = vec![255; share.len()];
    vec![
        ("content", join(&[&[3, 232], &share, &share])),
        ("content-not-in-the-field", join(&[&[3, 232], &share, &large])),
        ("sealed", sealed_collection(fixture(), 1_000, &share, &share)),
    ]
}

// ---------------------------------------------------------------- the rest

/// An HPKE configuration in each form that one comes in: a list, by itself, in a task's text.
fn hpke_config(bytes: &[u8]) {
    let own = fixture().leader.task.key.public();
    if own.is_listed(bytes) {
        assert!(HpkeConfigList::get_decoded(bytes).is_ok());
    }
    if let Ok(config) = PublicConfig::decode(bytes) {
        assert_eq!(config.encoded(), bytes, "what is read is written again to the letter");
    }
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(config) = PublicConfig::try_from(text.to_owned())
    {
        assert_eq!(PublicConfig::try_from(String::from(config.clone())), Ok(config));
    }
}

fn hpke_config_seeds() -> Seeds {
    let own = fixture().leader.task.key.public();
    let list = HpkeConfigList::new(vec![own.config().clone()]).get_encoded().expect("encodes");
    vec![("config", own.encoded()), ("list", list), ("text", String::from(own.clone()).into_bytes())]
}

/// Any request: a byte for role and method, address, media type, body.
fn request(bytes: &[u8]) {
    let f = fixture();
    let [kind, path, media, body] = split(bytes);
    let kind = kind.first().copied().unwrap_or_default();
    let methods = [Method::GET, Method::PUT, Method::POST, Method::DELETE, Method::OPTIONS, Method::HEAD];
    let method = methods[usize::from(kind >> 1) % methods.len()].clone();
    let (Ok(path), Ok(media)) = (std::str::from_utf8(path), std::str::from_utf8(media)) else { return };
    // A HEAD has no body to be looked at; axum answers it from GET.
    if method != Method::HEAD && path.starts_with('/') {
        f.ask(if kind & 1 == 0 { &f.leader } else { &f.helper }, method, path, media, body);
    }
}

fn request_seeds() -> Seeds {
    let f = fixture();
    let good = f.report(3).bytes;
    let path = f.path("reports", &[]);
    let job = f.path("aggregation_jobs/{job}", &[]);
    let config = format!("/hpke_config?task_id={}", f.task.id_text());
    vec![
        ("upload", join(&[&[2], path.as_bytes(), Report::MEDIA_TYPE.as_bytes(), &good])),
        ("delete-job", join(&[&[7], job.as_bytes(), &[], &[]])),
        ("config", join(&[&[0], config.as_bytes(), &[], &[]])),
        ("no-text", join(&[&[2], b"/tasks/%ff/reports", &[], &[]])),
        ("status", join(&[&[0], b"/onshelf/status", &[], &[]])),
        ("task", join(&[&[4], b"/onshelf/tasks", &[], &f.envelope])),
        ("late", join(&[&[2], format!("/tasks/{NOW}/reports").as_bytes(), b"text/plain; q=1", &[]])),
    ]
}
