//! Oblivious HTTP (RFC 9458) with the one suite of [`super::hpke`]: a client's request goes through a relay of another
//! party, which sees its address and ciphertext, to a gateway, which sees the request and the relay's address.
//!
//! Key configurations must be the same for everybody, or a gateway could tell shoppers by their keys: who encapsulates
//! takes them through [`pinned_key`], with a hash that the page was shipped with.

use aes_gcm::aead::{Aead as _, KeyInit as _};
use aes_gcm::{Aes128Gcm, Nonce};
use hkdf::Hkdf;
use hpke::aead::{AeadCtxR, AesGcm128};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR};
use janus_messages::{HpkeAeadId, HpkeConfig, HpkeConfigId, HpkeKdfId, HpkeKemId, HpkePublicKey};
use sha2::Sha256;

use super::hpke::{Keypair, PublicConfig, Sender, sealed};
use super::{ProtocolError, Random};
use crate::version::sha256_hex;

/// Media type of an encapsulated request.
pub const REQUEST_MEDIA_TYPE: &str = "message/ohttp-req";
/// Media type of an encapsulated response.
pub const RESPONSE_MEDIA_TYPE: &str = "message/ohttp-res";
/// Media type of key configurations.
pub const KEYS_MEDIA_TYPE: &str = "application/ohttp-keys";

/// Key id and the suite's numbers, before the encapsulated key.
const HEADER: usize = 7;
/// The suite: X25519, HKDF-SHA256, AES-128-GCM.
const SUITE: [u8; 6] = [0, 0x20, 0, 1, 0, 1];
/// An X25519 key.
const KEY: usize = 32;
/// What a response's key comes from, and its nonce: the longer of AES-128-GCM's key and nonce.
const SECRET: usize = 16;

fn wrong(what: &'static str) -> impl Fn() -> ProtocolError {
    move || ProtocolError::Hpke(what)
}

/// Key configurations as a gateway offers them ([`KEYS_MEDIA_TYPE`]).
#[must_use]
pub fn encode_keys(keys: &[PublicConfig]) -> Vec<u8> {
    let mut out = Vec::new();
    for key in keys {
        let public = key.config().public_key().as_ref();
        let [kem, kdf, aead] = [&SUITE[..2], &SUITE[2..4], &SUITE[4..]];
        let one = [&[key.id()], kem, public, &[0, 4], kdf, aead].concat();
        out.extend_from_slice(&(one.len() as u16).to_be_bytes());
        out.extend_from_slice(&one);
    }
    out
}

/// The first key configuration with our suite.
///
/// # Errors
/// [`ProtocolError::Hpke`] where the bytes are no list, or none has it.
pub fn decode_keys(mut bytes: &[u8]) -> Result<PublicConfig, ProtocolError> {
    let bad = wrong("not a list of OHTTP key configurations");
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let (one, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or_else(&bad)?;
        bytes = rest;
        let (head, rest) = one.split_at_checked(3).ok_or_else(&bad)?;
        if head[1..] != SUITE[..2] {
            continue;
        }
        let (public, suites) = rest.split_at_checked(KEY).ok_or_else(&bad)?;
        let (length, suites) = suites.split_first_chunk::<2>().ok_or_else(&bad)?;
        if usize::from(u16::from_be_bytes(*length)) != suites.len() || !suites.len().is_multiple_of(4) {
            return Err(bad());
        }
        if suites.chunks_exact(4).any(|suite| suite == &SUITE[2..]) {
            return PublicConfig::new(HpkeConfig::new(
                HpkeConfigId::from(head[0]),
                HpkeKemId::X25519HkdfSha256,
                HpkeKdfId::HkdfSha256,
                HpkeAeadId::Aes128Gcm,
                HpkePublicKey::from(public.to_vec()),
            ));
        }
    }
    Err(wrong("no OHTTP key of X25519, HKDF-SHA256, AES-128-GCM")())
}

/// The hash (SHA-256, hex) of key configurations by which a page names them.
#[must_use]
pub fn key_hash(keys: &[u8]) -> String {
    sha256_hex(keys)
}

/// The first key configuration with our suite, of a list whose hash ([`key_hash`]) is the expected one.
///
/// # Errors
/// [`ProtocolError::GatewayKeys`] for another list, [`ProtocolError::Hpke`] as [`decode_keys`].
pub fn pinned_key(keys: &[u8], expected: &str) -> Result<PublicConfig, ProtocolError> {
    let found = key_hash(keys);
    if found != expected {
        return Err(ProtocolError::GatewayKeys { found, expected: expected.to_owned() });
    }
    decode_keys(keys)
}

fn info(header: &[u8]) -> Vec<u8> {
    [&b"message/bhttp request"[..], &[0], header].concat()
}

/// What a response is sealed with: the key and nonce of RFC 9458, section 4.4.
fn response_cipher(secret: &[u8; SECRET], enc: &[u8], nonce: &[u8]) -> Option<(Aes128Gcm, [u8; 12])> {
    let hkdf = Hkdf::<Sha256>::new(Some(&[enc, nonce].concat()), secret);
    let (mut key, mut iv) = ([0; 16], [0; 12]);
    hkdf.expand(b"key", &mut key).ok()?;
    hkdf.expand(b"nonce", &mut iv).ok()?;
    Some((Aes128Gcm::new_from_slice(&key).ok()?, iv))
}

/// A client's half of an exchange: opens the response.
pub struct Asked {
    context: Sender,
    enc: Vec<u8>,
}

/// Without keys.
impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Asked")
    }
}

/// Encapsulates a binary HTTP request for a gateway's key.
///
/// # Errors
/// [`ProtocolError::Hpke`].
pub fn encapsulate(
    key: &PublicConfig,
    request: &[u8],
    random: &mut Random<'_>,
) -> Result<(Vec<u8>, Asked), ProtocolError> {
    let header = [&[key.id()], &SUITE[..]].concat();
    let (enc, sealed, context) = sealed(key, &info(&header), &[], request, random)?;
    Ok(([&header[..], &enc, &sealed].concat(), Asked { context, enc }))
}

impl Asked {
    /// Opens the response to this request.
    ///
    /// # Errors
    /// [`ProtocolError::Hpke`] where it is not the gateway's response to this very request.
    pub fn open(self, response: &[u8]) -> Result<Vec<u8>, ProtocolError> {
        let bad = wrong("the response could not be opened");
        let mut secret = [0; SECRET];
        self.context.export(b"message/bhttp response", &mut secret).map_err(|_| bad())?;
        let (nonce, sealed) = response.split_at_checked(SECRET).ok_or_else(&bad)?;
        let (cipher, iv) = response_cipher(&secret, &self.enc, nonce).ok_or_else(&bad)?;
        cipher.decrypt(&Nonce::from(iv), sealed).map_err(|_| bad())
    }
}

/// Why a gateway cannot open a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// No key of ours has the id and suite that it names: the client's configuration is outdated.
    Key,
    /// It is none, or was changed.
    Message,
}

/// A gateway's half of an exchange: seals the response.
pub struct Opened {
    context: AeadCtxR<AesGcm128, HkdfSha256, X25519HkdfSha256>,
    enc: Vec<u8>,
}

/// Without keys.
impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

/// Opens an encapsulated request with one of a gateway's keys: the binary HTTP request, and what its response is
/// sealed with.
///
/// # Errors
/// [`Unopened`].
pub fn decapsulate(keys: &[Keypair], message: &[u8]) -> Result<(Vec<u8>, Opened), Unopened> {
    let bad = Unopened::Message;
    let (header, rest) = message.split_at_checked(HEADER).ok_or(bad)?;
    let (enc, sealed) = rest.split_at_checked(KEY).ok_or(bad)?;
    let key = keys.iter().find(|key| key.public().id() == header[0] && header[1..] == SUITE);
    let key = key.ok_or(Unopened::Key)?;
    let private = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(key.private()).map_err(|_| bad)?;
    let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(enc).map_err(|_| bad)?;
    let mut context = hpke::setup_receiver::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private,
        &encapsulated,
        &info(header),
    )
    .map_err(|_| bad)?;
    let request = context.open(sealed, &[]).map_err(|_| bad)?;
    Ok((request, Opened { context, enc: enc.to_vec() }))
}

impl Opened {
    /// Seals the response to this request.
    ///
    /// # Errors
    /// [`ProtocolError::Hpke`].
    pub fn seal(self, response: &[u8], random: &mut Random<'_>) -> Result<Vec<u8>, ProtocolError> {
        let bad = wrong("the response could not be sealed");
        let (mut secret, mut nonce) = ([0; SECRET], [0; SECRET]);
        self.context.export(b"message/bhttp response", &mut secret).map_err(|_| bad())?;
        random(&mut nonce);
        let (cipher, iv) = response_cipher(&secret, &self.enc, &nonce).ok_or_else(&bad)?;
        let sealed = cipher.encrypt(&Nonce::from(iv), response).map_err(|_| bad())?;
        Ok([&nonce[..], &sealed].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(bytes: &mut [u8]) {
        bytes.fill(9);
    }

    #[test]
    fn a_request_and_its_response_are_opened_by_the_other_side_alone() {
        let (key, other) = (Keypair::derive(7, &[1; 32]), Keypair::derive(7, &[2; 32]));
        let (message, asked) = encapsulate(key.public(), b"request", &mut random).unwrap();
        assert_eq!(decapsulate(std::slice::from_ref(&other), &message).unwrap_err(), Unopened::Message);
        let renamed = Keypair::derive(8, &[1; 32]);
        assert_eq!(decapsulate(&[renamed], &message).unwrap_err(), Unopened::Key);
        for at in 0..message.len() {
            let mut changed = message.clone();
            changed[at] ^= 1;
            assert!(decapsulate(std::slice::from_ref(&key), &changed).is_err(), "byte {at}");
        }
        let (request, opened) = decapsulate(&[other, key].map(|k| k)[1..], &message).unwrap();
        assert_eq!(request, b"request");
        let response = opened.seal(b"response", &mut random).unwrap();
        let mut changed = response.clone();
        changed[3] ^= 1;
        let key = Keypair::derive(7, &[1; 32]);
        let (_, again) = encapsulate(key.public(), b"request", &mut |b: &mut [u8]| b.fill(3)).unwrap();
        assert!(again.open(&response).is_err(), "the response to another request");
        let (_, same) = encapsulate(key.public(), b"request", &mut random).unwrap();
        assert!(same.open(&changed).is_err());
        assert_eq!(asked.open(&response).unwrap(), b"response");
    }

    #[test]
    fn key_configurations_come_back_and_others_are_passed_over() {
        let key = Keypair::derive(7, &[1; 32]).public().clone();
        let list = encode_keys(&[key.clone(), Keypair::derive(8, &[2; 32]).public().clone()]);
        assert_eq!(decode_keys(&list), Ok(key.clone()));
        // Another KEM before ours, of another length.
        let other = [&[0, 8, 1, 0, 0x10, 1, 2, 3, 4, 5][..], &list].concat();
        assert_eq!(decode_keys(&other), Ok(key));
        for cut in 0..41 {
            assert!(decode_keys(&list[..cut]).is_err(), "{cut}");
        }
        let hash = key_hash(&list);
        assert_eq!((hash.len(), pinned_key(&list, &hash)), (64, decode_keys(&list)));
        let other = encode_keys(&[Keypair::derive(7, &[3; 32]).public().clone()]);
        assert!(matches!(pinned_key(&other, &hash), Err(ProtocolError::GatewayKeys { .. })));
        assert!(matches!(pinned_key(b"none", &key_hash(b"none")), Err(ProtocolError::Hpke(_))));
    }
}
