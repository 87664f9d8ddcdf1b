//! Prio3SumVec of draft-irtf-cfrg-vdaf-08 between two aggregators: a vector of integers becomes two
//! shares, each of them random by itself, with a proof that every integer is within its bits.
//!
//! Proofs and fields are `prio`'s. Sharding is written out here because `prio`'s own draws its seeds from
//! the operating system; this one takes them as an argument, and gives the draft's test vectors.

use std::fmt;

use janus_messages::codec::Encode;
use prio::field::{Field128, FieldElement};
use prio::flp::Type;
use prio::flp::gadgets::{Mul, ParallelSum};
use prio::flp::types::SumVec;
use prio::vdaf::Vdaf as _;
use prio::vdaf::prio3::{Prio3SumVec, optimal_chunk_length};
use prio::vdaf::xof::{IntoFieldVec, Xof, XofTurboShake128};

use super::ProtocolError;
use crate::privacy::encode::Encoding;

/// Bytes of randomness that sharding takes: five seeds.
pub const SEED_BYTES: usize = 80;

/// Domain separators of the draft, table 9.
const MEASUREMENT_SHARE: u16 = 1;
const PROOF_SHARE: u16 = 2;
const JOINT_RANDOMNESS: u16 = 3;
const PROVE_RANDOMNESS: u16 = 4;
const JOINT_RAND_SEED: u16 = 6;
const JOINT_RAND_PART: u16 = 7;
/// One proof a report.
const PROOFS: u8 = 1;

type Flp = SumVec<Field128, ParallelSum<Field128, Mul<Field128>>>;

/// The verifiable function of a task: sums of vectors of bounded integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vdaf {
    length: usize,
    bits: u32,
    chunk: usize,
}

/// A sharded vector, encoded as the draft has it.
#[derive(Clone, PartialEq, Eq)]
pub struct Shares {
    /// What both aggregators see.
    pub public: Vec<u8>,
    /// The leader's input share.
    pub leader: Vec<u8>,
    /// The helper's input share: three seeds.
    pub helper: Vec<u8>,
}

impl fmt::Debug for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shares")
    }
}

impl Vdaf {
    /// The function of an encoding.
    ///
    /// # Errors
    /// [`ProtocolError::Task`] for a chunk length that is none.
    pub fn new(encoding: &Encoding, chunk_length: u32) -> Result<Self, ProtocolError> {
        let (length, bits) = (encoding.length(), encoding.bits());
        let chunk = chunk_length as usize;
        if !(1..=length * bits as usize).contains(&chunk) {
            return Err(ProtocolError::Task("chunk_length must be 1 to length × bits".into()));
        }
        Ok(Self { length, bits, chunk })
    }

    pub(super) fn checked(encoding: &Encoding, chunk_length: u32) -> Self {
        Self { length: encoding.length(), bits: encoding.bits(), chunk: chunk_length as usize }
    }

    /// The chunk length that gives the shortest proofs.
    #[must_use]
    pub fn chunk_length(encoding: &Encoding) -> u32 {
        optimal_chunk_length(encoding.length() * encoding.bits() as usize) as u32
    }

    /// `prio`'s form of it, for aggregators.
    ///
    /// # Errors
    /// [`ProtocolError::Task`], which a checked task never gives.
    pub fn prio(&self) -> Result<Prio3SumVec, ProtocolError> {
        Prio3SumVec::new_sum_vec(2, self.bits as usize, self.length, self.chunk)
            .map_err(|e| ProtocolError::Task(e.to_string()))
    }

    /// Integers of a vector.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Shards a vector of `length` integers below 2^bits under a report's id, with seeds that nobody can
    /// predict.
    ///
    /// # Errors
    /// [`ProtocolError::Message`] for another length or an integer out of range.
    pub fn shard(
        &self,
        vector: &[u32],
        report_id: &[u8; 16],
        seeds: &[u8; SEED_BYTES],
    ) -> Result<Shares, ProtocolError> {
        let wrong = |_| ProtocolError::Message("a vector that the task does not allow");
        if vector.len() != self.length {
            return Err(ProtocolError::Message("a vector of another length"));
        }
        let flp = Flp::new(self.bits as usize, self.length, self.chunk).map_err(wrong)?;
        let separator = Separator(self.prio()?);
        let seed = |at: usize| -> [u8; 16] { std::array::from_fn(|byte| seeds[at * 16 + byte]) };
        let [measurement_seed, proof_seed, helper_blind, leader_blind, prove_seed] =
            std::array::from_fn(seed);

        let vector: Vec<u128> = vector.iter().map(|v| u128::from(*v)).collect();
        let input = flp.encode_measurement(&vector).map_err(wrong)?;
        let helper_input = separator.stream(&measurement_seed, MEASUREMENT_SHARE, &[1], input.len());
        let leader_input: Vec<Field128> = input.iter().zip(&helper_input).map(|(x, y)| *x - *y).collect();

        let helper_part = separator.joint_part(1, &helper_blind, report_id, &helper_input);
        let leader_part = separator.joint_part(0, &leader_blind, report_id, &leader_input);
        let joint_seed =
            separator.seed(&[0; 16], JOINT_RAND_SEED, &[&leader_part[..], &helper_part].concat());
        let joint = separator.stream(&joint_seed, JOINT_RANDOMNESS, &[PROOFS], flp.joint_rand_len());
        let prove = separator.stream(&prove_seed, PROVE_RANDOMNESS, &[PROOFS], flp.prove_rand_len());

        let proof = flp.prove(&input, &prove, &joint).map_err(wrong)?;
        let helper_proof = separator.stream(&proof_seed, PROOF_SHARE, &[PROOFS, 1], proof.len());
        let mut leader = Vec::with_capacity((input.len() + proof.len() + 1) * 16);
        for value in leader_input.into_iter().chain(proof.iter().zip(&helper_proof).map(|(x, y)| *x - *y)) {
            put(&value, &mut leader);
        }
        leader.extend_from_slice(&leader_blind);
        Ok(Shares {
            public: [leader_part, helper_part].concat(),
            leader,
            helper: [measurement_seed, proof_seed, helper_blind].concat(),
        })
    }
}

/// Appends a field element, 16 bytes little-endian.
fn put(value: &Field128, out: &mut Vec<u8>) {
    // Encoding a field element into a vector cannot fail.
    let _ = value.encode(out);
}

/// The draft's random streams, separated by use.
struct Separator(Prio3SumVec);

impl Separator {
    fn xof(&self, seed: &[u8; 16], usage: u16) -> XofTurboShake128 {
        XofTurboShake128::init(seed, &self.0.domain_separation_tag(usage))
    }

    fn stream(&self, seed: &[u8; 16], usage: u16, binder: &[u8], length: usize) -> Vec<Field128> {
        let mut xof = self.xof(seed, usage);
        xof.update(binder);
        xof.into_seed_stream().into_field_vec(length)
    }

    fn seed(&self, seed: &[u8; 16], usage: u16, binder: &[u8]) -> [u8; 16] {
        let mut xof = self.xof(seed, usage);
        xof.update(binder);
        *xof.into_seed().as_ref()
    }

    fn joint_part(
        &self,
        aggregator: u8,
        blind: &[u8; 16],
        report_id: &[u8; 16],
        input: &[Field128],
    ) -> [u8; 16] {
        let mut binder = Vec::with_capacity(17 + input.len() * Field128::ENCODED_SIZE);
        binder.push(aggregator);
        binder.extend_from_slice(report_id);
        input.iter().for_each(|value| put(value, &mut binder));
        self.seed(blind, JOINT_RAND_PART, &binder)
    }
}

#[cfg(test)]
mod tests;
