//! A public random rotation: random signs, then the Walsh–Hadamard transform over √n. It keeps norms
//! and spreads a vector evenly, so that a coordinate seldom leaves ±3C/√n.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::version::{from_hex_32, to_hex};

/// What the hash of the sign stream begins with.
const DOMAIN: &[u8] = b"onshelf rotation 1";

/// Seed of the signs, public; in JSON 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seed(pub [u8; 32]);

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({})", to_hex(&self.0))
    }
}

impl From<Seed> for String {
    fn from(seed: Seed) -> Self {
        to_hex(&seed.0)
    }
}

impl TryFrom<String> for Seed {
    type Error = &'static str;

    fn try_from(hex: String) -> Result<Self, Self::Error> {
        from_hex_32(&hex).map(Self).ok_or("a seed must be 64 lower-case hexadecimal digits")
    }
}

/// Rotates in place. The length must be a power of two.
///
/// # Panics
/// If it is not: the caller pads.
pub fn rotate(x: &mut [f64], seed: &Seed) {
    flip(x, seed);
    hadamard(x);
}

/// Undoes [`rotate`].
///
/// # Panics
/// As [`rotate`].
pub fn unrotate(x: &mut [f64], seed: &Seed) {
    hadamard(x);
    flip(x, seed);
}

/// Negates coordinate `256 k + 8 i + j` where bit `j` (lowest first) of byte `i` of
/// SHA-256("onshelf rotation 1" ‖ seed ‖ k as 32 bits, big-endian) is set.
fn flip(x: &mut [f64], seed: &Seed) {
    for (block, part) in (0_u32..).zip(x.chunks_mut(256)) {
        let hash = Sha256::new()
            .chain_update(DOMAIN)
            .chain_update(seed.0)
            .chain_update(block.to_be_bytes())
            .finalize();
        for (at, value) in part.iter_mut().enumerate() {
            if hash[at / 8] >> (at % 8) & 1 == 1 {
                *value = -*value;
            }
        }
    }
}

/// The orthonormal Walsh–Hadamard transform in natural order; it is its own inverse.
fn hadamard(x: &mut [f64]) {
    assert!(x.len().is_power_of_two(), "{} is no power of two", x.len());
    let mut half = 1;
    while half < x.len() {
        for pair in x.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = (x.len() as f64).sqrt().recip();
    x.iter_mut().for_each(|v| *v *= scale);
}
