use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    length: usize,
    bits: u32,
    chunk_length: usize,
    measurement: Vec<u32>,
    nonce: String,
    rand: String,
    public_share: String,
    input_shares: Vec<String>,
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    crate::version::to_hex(bytes)
}

#[test]
fn shares_are_those_of_the_drafts_reference_implementation() {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors.json")).unwrap();
    assert!(!vectors.vectors.is_empty());
    for v in vectors.vectors {
        let vdaf = Vdaf { length: v.length, bits: v.bits, chunk: v.chunk_length };
        let seeds: [u8; SEED_BYTES] = bytes(&v.rand).try_into().unwrap();
        let shares = vdaf.shard(&v.measurement, &bytes(&v.nonce).try_into().unwrap(), &seeds).unwrap();
        assert_eq!(hex(&shares.public), v.public_share);
        assert_eq!([hex(&shares.leader), hex(&shares.helper)].as_slice(), v.input_shares);
    }
}

#[test]
fn what_is_out_of_range_is_not_sharded() {
    let vdaf = Vdaf { length: 4, bits: 3, chunk: 2 };
    assert!(vdaf.shard(&[7, 0, 1, 2], &[0; 16], &[1; SEED_BYTES]).is_ok());
    assert!(vdaf.shard(&[8, 0, 1, 2], &[0; 16], &[1; SEED_BYTES]).is_err());
    assert!(vdaf.shard(&[0, 1, 2], &[0; 16], &[1; SEED_BYTES]).is_err());
}
