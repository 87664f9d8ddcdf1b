//! HPKE (RFC 9180) as DAP uses it: base mode, one context a message, X25519, HKDF-SHA256, AES-128-GCM.
//! That suite is every DAP aggregator's default; a configuration of another is refused.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use hpke::aead::{AeadCtxS, AesGcm128};
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use janus_messages::codec::{Decode, Encode};
use janus_messages::{
    HpkeAeadId, HpkeCiphertext, HpkeConfig, HpkeConfigId, HpkeConfigList, HpkeKdfId, HpkeKemId,
    HpkePublicKey, Role,
};
use serde::{Deserialize, Serialize};

use super::{ProtocolError, Random};

/// A public configuration of the one suite; in JSON base64url of DAP's `HpkeConfig`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicConfig(HpkeConfig);

impl PublicConfig {
    /// Takes a configuration of the supported suite.
    ///
    /// # Errors
    /// [`ProtocolError::Hpke`] for another suite or a key that is none.
    pub fn new(config: HpkeConfig) -> Result<Self, ProtocolError> {
        let suite = *config.kem_id() == HpkeKemId::X25519HkdfSha256
            && *config.kdf_id() == HpkeKdfId::HkdfSha256
            && *config.aead_id() == HpkeAeadId::Aes128Gcm;
        if !suite {
            return Err(ProtocolError::Hpke("only X25519, HKDF-SHA256, AES-128-GCM is supported"));
        }
        <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(config.public_key().as_ref())
            .map_err(|_| ProtocolError::Hpke("not an X25519 public key"))?;
        Ok(Self(config))
    }

    /// DAP's form of it.
    #[must_use]
    pub fn config(&self) -> &HpkeConfig {
        &self.0
    }

    /// The id by which ciphertexts name it.
    #[must_use]
    pub fn id(&self) -> u8 {
        u8::from(*self.0.id())
    }

    /// Whether an aggregator's encoded `HpkeConfigList` has it, to the letter. Bytes that are no list have
    /// nothing.
    #[must_use]
    pub fn is_listed(&self, list: &[u8]) -> bool {
        let list = HpkeConfigList::get_decoded(list);
        list.is_ok_and(|list| list.hpke_configs().contains(&self.0))
    }

    /// DAP's encoding.
    #[must_use]
    pub fn encoded(&self) -> Vec<u8> {
        // The key's length was checked, so that nothing can overflow its length field.
        self.0.get_encoded().unwrap_or_default()
    }

    /// Reads DAP's encoding.
    ///
    /// # Errors
    /// [`ProtocolError::Hpke`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        let config = HpkeConfig::get_decoded(bytes);
        Self::new(config.map_err(|_| ProtocolError::Hpke("not an HPKE configuration"))?)
    }
}

impl From<PublicConfig> for String {
    fn from(config: PublicConfig) -> Self {
        BASE64URL.encode(config.encoded())
    }
}

impl TryFrom<String> for PublicConfig {
    type Error = ProtocolError;

    fn try_from(text: String) -> Result<Self, ProtocolError> {
        let bytes = BASE64URL.decode(text);
        Self::decode(&bytes.map_err(|_| ProtocolError::Hpke("a configuration must be base64url"))?)
    }
}

/// A configuration with its private key.
#[derive(Clone)]
pub struct Keypair {
    public: PublicConfig,
    private: [u8; 32],
}

impl fmt::Debug for Keypair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keypair({})", self.public.id())
    }
}

impl Keypair {
    /// A key pair from 32 bytes that nobody can predict (RFC 9180, `DeriveKeyPair`).
    #[must_use]
    pub fn derive(id: u8, key_material: &[u8; 32]) -> Self {
        let (private, public) = X25519HkdfSha256::derive_keypair(key_material);
        let config = HpkeConfig::new(
            HpkeConfigId::from(id),
            HpkeKemId::X25519HkdfSha256,
            HpkeKdfId::HkdfSha256,
            HpkeAeadId::Aes128Gcm,
            HpkePublicKey::from(public.to_bytes().to_vec()),
        );
        Self { public: PublicConfig(config), private: private.to_bytes().into() }
    }

    /// A key pair that was stored.
    ///
    /// # Errors
    /// [`ProtocolError::Hpke`] where the halves do not belong together.
    pub fn from_parts(public: PublicConfig, private: &[u8]) -> Result<Self, ProtocolError> {
        let wrong = ProtocolError::Hpke("the private key is not that of the configuration");
        let secret = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(private).map_err(|_| wrong.clone())?;
        if X25519HkdfSha256::sk_to_pk(&secret).to_bytes().as_slice() != public.0.public_key().as_ref() {
            return Err(wrong);
        }
        let private = private.try_into().map_err(|_| wrong)?;
        Ok(Self { public, private })
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> &PublicConfig {
        &self.public
    }

    /// The private half, 32 bytes, for storage.
    #[must_use]
    pub fn private(&self) -> &[u8; 32] {
        &self.private
    }
}

/// What a ciphertext is for: DAP's application info.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purpose {
    /// A client's input share for an aggregator.
    InputShare(Role),
    /// An aggregator's share of a sum, for the collector.
    AggregateShare(Role),
}

impl Purpose {
    fn info(self) -> Vec<u8> {
        let (label, from, to): (&[u8], _, _) = match self {
            Self::InputShare(to) => (b"dap-09 input share", Role::Client, to),
            Self::AggregateShare(from) => (b"dap-09 aggregate share", from, Role::Collector),
        };
        [label, &[from as u8, to as u8]].concat()
    }
}

/// Encrypts to a configuration.
///
/// # Errors
/// [`ProtocolError::Hpke`].
pub fn seal(
    to: &PublicConfig,
    purpose: Purpose,
    associated: &[u8],
    plaintext: &[u8],
    random: &mut Random<'_>,
) -> Result<HpkeCiphertext, ProtocolError> {
    let (encapsulated, ciphertext, _) = sealed(to, &purpose.info(), associated, plaintext, random)?;
    Ok(HpkeCiphertext::new(*to.0.id(), encapsulated, ciphertext))
}

/// What seals, and exports secrets.
pub(super) type Sender = AeadCtxS<AesGcm128, HkdfSha256, X25519HkdfSha256>;

/// Encapsulated key, ciphertext, and the context of both. Not inlined: it is large, and modules should have it once.
#[inline(never)]
pub(super) fn sealed(
    to: &PublicConfig,
    info: &[u8],
    associated: &[u8],
    plaintext: &[u8],
    random: &mut Random<'_>,
) -> Result<(Vec<u8>, Vec<u8>, Sender), ProtocolError> {
    let failed = |_| ProtocolError::Hpke("could not be sealed");
    let key = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to.0.public_key().as_ref())
        .map_err(|_| ProtocolError::Hpke("not an X25519 public key"))?;
    let (encapsulated, mut context) = hpke::setup_sender_with_rng::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &key,
        info,
        &mut Source(random),
    )
    .map_err(failed)?;
    let ciphertext = context.seal(plaintext, associated).map_err(failed)?;
    Ok((encapsulated.to_bytes().to_vec(), ciphertext, context))
}

/// Decrypts.
///
/// # Errors
/// [`ProtocolError::Hpke`] where key, purpose, associated data or ciphertext do not fit.
pub fn open(
    key: &Keypair,
    purpose: Purpose,
    associated: &[u8],
    ciphertext: &HpkeCiphertext,
) -> Result<Vec<u8>, ProtocolError> {
    let wrong = |_| ProtocolError::Hpke("could not be opened");
    let private = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&key.private).map_err(wrong)?;
    let encapsulated =
        <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(ciphertext.encapsulated_key()).map_err(wrong)?;
    hpke::single_shot_open::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &private,
        &encapsulated,
        &purpose.info(),
        ciphertext.payload(),
        associated,
    )
    .map_err(wrong)
}

/// A [`Random`] as rand's traits want it.
struct Source<'a, 'b>(&'a mut Random<'b>);

impl TryRng for Source<'_, '_> {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        (self.0)(to);
        Ok(())
    }
}

impl TryCryptoRng for Source<'_, '_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_a_configuration_to_the_letter_or_not_at_all() {
        let [mine, other] = [1, 2].map(|n| Keypair::derive(n, &[n; 32]).public().clone());
        // The same key under another id is another configuration.
        let renamed = Keypair::derive(3, &[1; 32]).public().clone();
        let list = |of: &[&PublicConfig]| {
            let configs = of.iter().map(|c| c.config().clone()).collect();
            HpkeConfigList::new(configs).get_encoded().unwrap()
        };
        assert!(mine.is_listed(&list(&[&mine])));
        assert!(mine.is_listed(&list(&[&other, &mine])));
        assert!(!mine.is_listed(&list(&[&other, &renamed])));
        let good = list(&[&mine]);
        assert!(!mine.is_listed(&good[..good.len() - 1]));
        assert!(!mine.is_listed(&[&good[..], &[0]].concat()));
        assert!(!mine.is_listed(&[]));
    }
}
