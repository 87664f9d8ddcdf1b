//! HPKE keys: several at a time, each with its end. A task keeps the key that it was made with.

use onshelf_core::protocol::hpke::{Keypair, PublicConfig};

use sha2::{Digest as _, Sha256};

use crate::random;
use crate::store::{Store, StoreError, Stored, StoredKey};

/// A key and its end.
#[derive(Clone, Debug)]
pub struct Key {
    /// The pair.
    pub pair: Keypair,
    /// When it is no longer used, seconds since 1970.
    pub expires: u64,
}

/// All keys, newest first.
///
/// # Errors
/// [`StoreError`].
pub async fn all(store: &dyn Store) -> Stored<Vec<Key>> {
    let key = |stored: &StoredKey| {
        let public = PublicConfig::decode(&stored.public).map_err(|_| StoreError::Damaged("a key"))?;
        let pair = Keypair::from_parts(public, &stored.private).map_err(|_| StoreError::Damaged("a key"))?;
        Ok(Key { pair, expires: stored.expires })
    };
    store.keys().await?.iter().map(key).collect()
}

/// Makes a key for new tasks, under an id that no other has.
///
/// # Errors
/// [`StoreError`]; [`StoreError::Damaged`] where all 256 ids are taken.
pub async fn rotate(store: &dyn Store, expires: u64) -> Stored<Key> {
    for _ in 0..1_000 {
        let [id] = random::array();
        let pair = Keypair::derive(id, &random::array());
        let stored = StoredKey { public: pair.public().encoded(), private: pair.private().to_vec(), expires };
        if store.put_key(id, &stored).await? {
            return Ok(Key { pair, expires });
        }
    }
    Err(StoreError::Damaged("the table of keys (no id is free)"))
}

/// Makes a key where none is used at this time.
///
/// # Errors
/// [`StoreError`].
pub async fn ensure(store: &dyn Store, now: u64, lifetime: u64) -> Stored<()> {
    if all(store).await?.iter().all(|key| key.expires <= now) {
        rotate(store, now + lifetime).await?;
    }
    Ok(())
}

/// The key of an oblivious HTTP gateway, from a secret. Its id comes from the key, so that keys that follow one
/// another rarely have the same.
#[must_use]
pub fn of_gateway(secret: &[u8; 32]) -> Keypair {
    let key = Keypair::derive(0, secret);
    let [id, ..]: [u8; 32] = Sha256::digest(key.public().config().public_key().as_ref()).into();
    Keypair::derive(id, secret)
}
