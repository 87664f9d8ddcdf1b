use janus_messages::{InputShareAad, PlaintextInputShare, Report};
use prio::codec::ParameterizedDecode;
use prio::topology::ping_pong::{PingPongContinuedValue, PingPongState, PingPongTopology};
use prio::vdaf::prio3::{Prio3InputShare, Prio3PublicShare};

use super::super::hpke::{PublicConfig, seal};
use super::super::manifest::tests::{key, parameters, task};
use super::super::report::{SealedReport, seal_delta, seal_integers};
use super::*;

/// A stream that repeats nothing and needs no generator: SHA-256 of a counter.
fn stream(seed: u8) -> impl FnMut(&mut [u8]) {
    use sha2::{Digest, Sha256};
    let mut counter = 0_u64;
    move |out: &mut [u8]| {
        for part in out.chunks_mut(32) {
            let block = Sha256::digest([&[seed][..], &counter.to_be_bytes()].concat());
            part.copy_from_slice(&block[..part.len()]);
            counter += 1;
        }
    }
}

/// What an aggregator finds in a report.
fn opened(report: &Report, role: Role, with: &Keypair) -> (Vec<u8>, [u8; 16]) {
    let aad = InputShareAad::new(
        TaskId::from(task().id()),
        report.metadata().clone(),
        report.public_share().to_vec(),
    );
    let ciphertext = match role {
        Role::Leader => report.leader_encrypted_input_share(),
        _ => report.helper_encrypted_input_share(),
    };
    let plain = open(with, Purpose::InputShare(role), &aad.get_encoded().unwrap(), ciphertext).unwrap();
    let share = PlaintextInputShare::get_decoded(&plain).unwrap();
    assert!(share.extensions().is_empty());
    (share.payload().to_vec(), *report.metadata().id().as_ref())
}

/// Prepares a report by prio's own topology; both output shares.
fn prepared(sealed: &SealedReport) -> [Vec<Field128>; 2] {
    let vdaf = task().vdaf().prio().unwrap();
    let verify_key = [5; 16];
    let report = Report::get_decoded(&sealed.bytes).unwrap();
    let public = Prio3PublicShare::get_decoded_with_param(&vdaf, report.public_share()).unwrap();
    let (leader, id) = opened(&report, Role::Leader, &key(1));
    let leader = Prio3InputShare::get_decoded_with_param(&(&vdaf, 0), &leader).unwrap();
    let (helper, _) = opened(&report, Role::Helper, &key(2));
    let helper = Prio3InputShare::get_decoded_with_param(&(&vdaf, 1), &helper).unwrap();
    let (state, message) = vdaf.leader_initialized(&verify_key, &(), &id, &public, &leader).unwrap();
    let transition = vdaf.helper_initialized(&verify_key, &(), &id, &public, &helper, &message).unwrap();
    let (PingPongState::Finished(helper_out), reply) = transition.evaluate(&vdaf).unwrap() else { panic!() };
    let PingPongContinuedValue::FinishedNoMessage { output_share } =
        vdaf.leader_continued(state, &(), &reply).unwrap()
    else {
        panic!()
    };
    [output_share.as_ref().to_vec(), helper_out.as_ref().to_vec()]
}

fn collection(reports: u64, shares: &[Vec<Field128>; 2], to: &PublicConfig, batch: Batch) -> Vec<u8> {
    let selector = BatchSelector::<TimeInterval>::new_time_interval(batch.interval().unwrap());
    let aad = AggregateShareAad::new(TaskId::from(task().id()), Vec::new(), selector).get_encoded().unwrap();
    let sealed = |share: &[Field128], from| {
        let plain: Vec<u8> = share.iter().flat_map(|v| v.get_encoded().unwrap()).collect();
        seal(to, Purpose::AggregateShare(from), &aad, &plain, &mut stream(9)).unwrap()
    };
    Collection::<TimeInterval>::new(
        janus_messages::PartialBatchSelector::new_time_interval(),
        reports,
        batch.interval().unwrap(),
        sealed(&shares[0], Role::Leader),
        sealed(&shares[1], Role::Helper),
    )
    .get_encoded()
    .unwrap()
}

#[test]
fn a_sealed_delta_comes_back_as_itself() {
    let now = parameters().start + 4_000;
    let delta: Vec<f32> = (0..12_u8).map(|v| (f32::from(v) - 6.0) * 0.04).collect();
    let sealed = seal_delta(&task(), &delta, now, &mut stream(1)).unwrap();
    let report = Report::get_decoded(&sealed.bytes).unwrap();
    assert_eq!(report.metadata().time().as_seconds_since_epoch(), parameters().start + 3_600);
    let shares = prepared(&sealed);
    // The same report a thousand times, which is the fewest that a collection may be of.
    let times = Field128::from(1_000);
    let shares = shares.map(|share| share.into_iter().map(|v| v * times).collect());
    let batch = Batch::whole(&task());
    let body = collection(1_000, &shares, key(3).public(), batch);
    let sum = open_collection(&task(), &key(3), batch, &body).unwrap();
    let mean = sum.mean_delta(&task()).unwrap();
    let step = parameters().encoding.step();
    // Rounding moves each of sixteen rotated values by less than a step.
    let error: f64 = mean.iter().zip(&delta).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt();
    assert!(error < step * 4.0, "{error} of steps of {step}");
    assert!(mean.iter().any(|v| *v != 0.0));
}

#[test]
fn sums_are_exact_and_negative_ones_stay_so() {
    let now = parameters().start;
    let vector: Vec<u32> = (0..16).collect();
    let [leader, helper] = prepared(&seal_integers(&task(), &vector, now, &mut stream(2)).unwrap());
    let minus_twenty: Vec<Field128> = leader.iter().map(|v| *v - Field128::from(20)).collect();
    let batch = Batch::whole(&task());
    let body = collection(1_234, &[minus_twenty, helper], key(3).public(), batch);
    let sum = open_collection(&task(), &key(3), batch, &body).unwrap();
    assert_eq!(sum, NoisedSum { reports: 1_234, sum: (0..16).map(|v| v - 20).collect() });
    assert!(!format!("{sum:?}").contains("-20"));
}

#[test]
fn a_collection_for_another_key_batch_or_count_is_refused() {
    let batch = Batch::whole(&task());
    let shares = [vec![Field128::from(1); 16], vec![Field128::from(2); 16]];
    let body = |reports, n: u8, batch| collection(reports, &shares, key(n).public(), batch);
    let good = body(1_000, 3, batch);
    assert!(open_collection(&task(), &key(3), batch, &good).is_ok());
    assert!(open_collection(&task(), &key(4), batch, &good).is_err());
    let other = Batch { start: batch.start, duration: 3_600 };
    assert!(open_collection(&task(), &key(3), other, &good).is_err());
    assert!(open_collection(&task(), &key(3), batch, &body(999, 3, batch)).is_err());
    for cut in [0, 1, 40, good.len() - 1] {
        assert!(open_collection(&task(), &key(3), batch, &good[..cut]).is_err());
    }
}

#[test]
fn reports_differ_and_name_nothing() {
    let now = parameters().start;
    let delta = [0.01; 12];
    let mut random = stream(3);
    let a = seal_delta(&task(), &delta, now, &mut random).unwrap();
    let b = seal_delta(&task(), &delta, now, &mut random).unwrap();
    assert_ne!(a.id, b.id);
    assert_ne!(a.bytes, b.bytes);
    assert_eq!(a.bytes.len(), b.bytes.len(), "length tells nothing");
    assert_eq!(format!("{a:?}"), format!("SealedReport({} bytes)", a.bytes.len()));
    assert!(matches!(
        seal_delta(&task(), &delta, parameters().expires, &mut random),
        Err(ProtocolError::Closed { .. })
    ));
    assert!(matches!(seal_delta(&task(), &delta[1..], now, &mut random), Err(ProtocolError::Encode(_))));
}
