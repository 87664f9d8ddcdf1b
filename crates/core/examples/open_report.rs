//! Opens a report as both aggregators together would, checks its proof and prints what was contributed: for
//! tests of a client, which hold the keys of both. No aggregator can do this alone.
//!
//! ```sh
//! cargo run --release -p onshelf-core --features protocol --example open_report -- \
//!   TASK.json PUBLIC_KEY REPORT LEADER_SECRET HELPER_SECRET
//! ```
//!
//! `TASK.json` is a signed task, `PUBLIC_KEY` its signer's; secrets are 64 hexadecimal digits. Prints JSON:
//! the report's id and time, its integers, and the delta that they mean.

use std::error::Error;
use std::io::Write as _;

use janus_messages::codec::{Decode, Encode};
use janus_messages::{InputShareAad, PlaintextInputShare, Report, Role, TaskId};
use onshelf_core::protocol::hpke::{Keypair, Purpose, open};
use onshelf_core::protocol::manifest::{Aggregator, TaskManifest};
use onshelf_core::version::{from_hex_32, to_hex};
use prio::codec::ParameterizedDecode;
use prio::field::Field128;
use prio::topology::ping_pong::{PingPongContinuedValue, PingPongState, PingPongTopology};
use prio::vdaf::prio3::{Prio3InputShare, Prio3PublicShare};

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [task, key, report, leader, helper] = &args[..] else {
        return Err("TASK.json PUBLIC_KEY REPORT LEADER_SECRET HELPER_SECRET are needed".into());
    };
    let task = TaskManifest::verify(&std::fs::read(task)?, std::slice::from_ref(key))?;
    let bytes = std::fs::read(report)?;
    let report = Report::get_decoded(&bytes)?;
    let [mine, other] = prepared(&task, &report, [leader, helper])?;
    let sum: Vec<i128> = mine
        .iter()
        .zip(&other)
        .map(|(a, b)| i128::try_from(u128::from(*a + *b)))
        .collect::<Result<_, _>>()?;
    let told = serde_json::json!({
        "id": to_hex(&[report.metadata().id().as_ref().as_slice(), &[0; 16]].concat())[..32],
        "time": report.metadata().time().as_seconds_since_epoch(),
        "task": task.id_text(),
        "bytes": bytes.len(),
        "step": task.parameters().encoding.step(),
        "sum": sum.iter().map(|v| i64::try_from(*v)).collect::<Result<Vec<_>, _>>()?,
        "delta": task.parameters().encoding.decode_mean(&sum, 1)?,
    });
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

/// What an aggregator finds in its part.
fn opened(task: &TaskManifest, report: &Report, role: Role, secret: &str) -> Result<Vec<u8>, Failure> {
    let aggregator: &Aggregator =
        if role == Role::Leader { &task.parameters().leader } else { &task.parameters().helper };
    let secret = from_hex_32(secret).ok_or("a secret must be 64 hexadecimal digits")?;
    let key = Keypair::from_parts(aggregator.hpke.clone(), &secret)?;
    let public = report.public_share().to_vec();
    let aad = InputShareAad::new(TaskId::from(task.id()), report.metadata().clone(), public);
    let ciphertext = match role {
        Role::Leader => report.leader_encrypted_input_share(),
        _ => report.helper_encrypted_input_share(),
    };
    let plain = open(&key, Purpose::InputShare(role), &aad.get_encoded()?, ciphertext)?;
    Ok(PlaintextInputShare::get_decoded(&plain)?.payload().to_vec())
}

/// Both output shares, after prio's own verification of the proof.
fn prepared(task: &TaskManifest, report: &Report, secrets: [&str; 2]) -> Result<[Vec<Field128>; 2], Failure> {
    let vdaf = task.vdaf().prio()?;
    let (id, verify_key) = (*report.metadata().id().as_ref(), [7; 16]);
    let public = Prio3PublicShare::get_decoded_with_param(&vdaf, report.public_share())?;
    let leader = opened(task, report, Role::Leader, secrets[0])?;
    let leader = Prio3InputShare::get_decoded_with_param(&(&vdaf, 0), &leader)?;
    let helper = opened(task, report, Role::Helper, secrets[1])?;
    let helper = Prio3InputShare::get_decoded_with_param(&(&vdaf, 1), &helper)?;
    let (state, message) = vdaf.leader_initialized(&verify_key, &(), &id, &public, &leader)?;
    let transition = vdaf.helper_initialized(&verify_key, &(), &id, &public, &helper, &message)?;
    let (PingPongState::Finished(helper_out), reply) = transition.evaluate(&vdaf)? else {
        return Err("the helper is not done after one round".into());
    };
    let PingPongContinuedValue::FinishedNoMessage { output_share } =
        vdaf.leader_continued(state, &(), &reply)?
    else {
        return Err("the leader is not done after one round".into());
    };
    Ok([output_share.as_ref().to_vec(), helper_out.as_ref().to_vec()])
}
