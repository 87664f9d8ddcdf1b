//! A **model version**: the signed manifest and the files that it names by content.
//!
//! The envelope is DSSE v1 (<https://github.com/secure-systems-lab/dsse>): the signature covers
//! the payload's exact bytes, so nothing has to be put into a canonical form. Signatures are
//! Ed25519 (RFC 8032), hashes SHA-256 (FIPS 180-4). `docs/formats.md` is normative.

pub(crate) mod envelope;
mod fine_tune;
pub mod log;

use std::collections::BTreeMap;

use ed25519_dalek::{SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

pub use envelope::{Envelope, EnvelopeSignature};
pub use fine_tune::{FineTuneConfig, Strategy};

/// The newest manifest format this build reads: 3 has a trend of bias levels among its tensors, which a reader has to know.
pub const MANIFEST_FORMAT: u32 = 3;
/// What versions with a trend of centroids alone are written as.
pub const TREND_FORMAT: u32 = 2;
/// What versions without a trend are written as, so that earlier releases go on reading them.
pub const PLAIN_FORMAT: u32 = 1;

/// DSSE payload type of a manifest.
pub const PAYLOAD_TYPE: &str = "application/vnd.onshelf.model-version+json";

/// Largest manifest that is read (1 MiB): it is parsed before anything is trusted.
pub const MANIFEST_LIMIT: usize = 1 << 20;

/// Why a model version was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VersionError {
    /// The envelope or the manifest inside does not parse, or breaks a rule.
    #[error("manifest: {0}")]
    Invalid(String),
    /// None of the signatures was made by a trusted key.
    #[error(
        "manifest: signed by key {found}, which is not among the {trusted} trusted keys; add the shop's public key to `publicKeys`, or load the shop's own model"
    )]
    UntrustedKey {
        /// Key ids in the envelope.
        found: String,
        /// How many keys the caller trusts.
        trusted: usize,
    },
    /// A signature of a trusted key does not match the manifest's bytes.
    #[error(
        "manifest: the signature of key {0} does not match; the manifest was changed after signing, fetch it again or publish it again"
    )]
    BadSignature(String),
    /// A public or secret key is not 32 bytes of hex.
    #[error("key {0:?}: expected 64 hexadecimal digits of an Ed25519 key")]
    BadKey(String),
    /// A file is shorter or longer than the manifest says.
    #[error(
        "file {path}: {found} bytes, the manifest says {expected}; the download is incomplete or the file was replaced, fetch it again"
    )]
    Length {
        /// The file's path.
        path: String,
        /// Its length in bytes.
        found: u64,
        /// The length that the manifest names.
        expected: u64,
    },
    /// A file's content is not what the manifest says.
    #[error(
        "file {path}: SHA-256 is {found}, the manifest says {expected}; the file is damaged or was replaced, fetch it again"
    )]
    Hash {
        /// The file's path.
        path: String,
        /// Its hash.
        found: String,
        /// The hash that the manifest names.
        expected: String,
    },
    /// The version was written by a newer onshelf.
    #[error("{what} has format {found}, this build reads up to {known}; update onshelf")]
    TooNew {
        /// What was read.
        what: &'static str,
        /// Its format.
        found: u32,
        /// The newest known format.
        known: u32,
    },
}

/// What a file of a model version is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Role {
    /// The student's tensors, safetensors.
    Weights,
    /// The catalogue, columnar JSON.
    Catalogue,
}

/// A file, named by its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// What it is for.
    pub role: Role,
    /// Where it is, relative to the folder of `latest.json`; it contains the hash, so it is immutable.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// Shape of a student: everything needed to read its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudentShape {
    /// Dimensions of item and session vectors.
    pub dim: usize,
    /// Transformer blocks.
    pub blocks: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward layer.
    pub hidden: usize,
    /// Longest session that is read: the last clicks count.
    pub max_len: usize,
    /// Subspaces of the product quantisation.
    pub subspaces: usize,
    /// Rank of the shared adapter.
    pub adapter_rank: usize,
    /// Softmax temperature: scores are divided by it.
    pub temperature: f32,
    /// Whether it was trained on times between clicks; if not, they are not read.
    #[serde(default)]
    pub times: bool,
}

/// What a model version says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1; 2 where the tensors have a trend of the centroids, 3 where they have one of the bias levels.
    pub format: u32,
    /// The shop's name for the model.
    pub name: String,
    /// When it was exported, seconds since 1970 (UTC).
    pub created: u64,
    /// The version it was made from, if any.
    pub previous: Option<String>,
    /// The student's shape.
    pub student: StudentShape,
    /// SHA-256 (hex) of all tensors but adapter and trend: two versions that share it differ in what is shared
    /// alone, and what a device learned on one carries over to the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
    /// How devices fine-tune.
    pub fine_tune: FineTuneConfig,
    /// Number of items in the catalogue.
    pub items: u32,
    /// The files.
    pub files: Vec<FileEntry>,
    /// Metrics on held-out data, by name, as printed by `onshelf evaluate`.
    pub metrics: BTreeMap<String, f64>,
}

/// A verified manifest and the name that its bytes give it.
#[derive(Clone, Debug, PartialEq)]
pub struct VerifiedManifest {
    /// What it says.
    pub manifest: Manifest,
    /// The version's name: the first 16 hex digits of the payload's SHA-256.
    pub version: String,
    /// The whole of that SHA-256, 64 hex digits: what tasks name a version by.
    pub digest: String,
}

impl Manifest {
    /// Signs: gives the envelope's JSON and the version's name.
    ///
    /// # Errors
    /// [`VersionError::Invalid`] where the manifest breaks its own rules.
    pub fn sign(&self, key: &SigningKey) -> Result<(Vec<u8>, String), VersionError> {
        self.check()?;
        let invalid = |e: serde_json::Error| VersionError::Invalid(e.to_string());
        let payload = serde_json::to_vec(self).map_err(invalid)?;
        let json = envelope::seal(PAYLOAD_TYPE, &payload, key)?;
        Ok((json, version_name(&payload)))
    }

    /// Reads an envelope, checks that a trusted key signed it, and only then reads the manifest.
    ///
    /// # Errors
    /// [`VersionError`] with what is wrong and how to mend it.
    pub fn verify(envelope: &[u8], trusted_keys: &[String]) -> Result<VerifiedManifest, VersionError> {
        let payload = envelope::open(PAYLOAD_TYPE, envelope, trusted_keys)?;
        check_format("manifest", &payload, MANIFEST_FORMAT)?;
        let manifest: Manifest = serde_json::from_slice(&payload)
            .map_err(|e| VersionError::Invalid(format!("signed payload: {e}; export it again")))?;
        manifest.check()?;
        let digest = sha256_hex(&payload);
        Ok(VerifiedManifest { version: version_name(&payload), digest, manifest })
    }

    /// The file of a role.
    ///
    /// # Errors
    /// [`VersionError::Invalid`] where there is none.
    pub fn file(&self, role: Role) -> Result<&FileEntry, VersionError> {
        self.files
            .iter()
            .find(|f| f.role == role)
            .ok_or_else(|| VersionError::Invalid(format!("names no {role:?} file; export it again")))
    }

    fn check(&self) -> Result<(), VersionError> {
        let s = &self.student;
        let rule = |holds: bool, what: &str| {
            if holds { Ok(()) } else { Err(VersionError::Invalid(what.to_owned())) }
        };
        rule((1..=1024).contains(&s.dim), "student.dim must be 1 to 1024")?;
        rule(
            s.heads >= 1 && s.dim.is_multiple_of(s.heads),
            "student.dim must be a multiple of student.heads",
        )?;
        rule(
            s.subspaces >= 1 && s.dim.is_multiple_of(s.subspaces),
            "student.dim must be a multiple of student.subspaces",
        )?;
        rule((1..=16).contains(&s.blocks), "student.blocks must be 1 to 16")?;
        rule((1..=8192).contains(&s.hidden), "student.hidden must be 1 to 8192")?;
        rule((1..=512).contains(&s.max_len), "student.max_len must be 1 to 512")?;
        rule(
            (1..=2048).contains(&s.adapter_rank) && s.adapter_rank * s.dim * 2 <= 4096,
            "the shared adapter must have at most 4,096 parameters",
        )?;
        rule(s.temperature.is_finite() && s.temperature > 0.0, "student.temperature must be above 0")?;
        let f = &self.fine_tune;
        rule(
            f.learning_rate.is_finite() && f.learning_rate > 0.0,
            "fine_tune.learning_rate must be above 0",
        )?;
        rule(f.proximal.is_finite() && f.proximal >= 0.0, "fine_tune.proximal must not be negative")?;
        rule((0.0..=1.0).contains(&f.memory), "fine_tune.memory must be 0 to 1")?;
        rule((0.0..=10.0).contains(&f.affinity_rate), "fine_tune.affinity_rate must be 0 to 10")?;
        rule((0.0..=1.0).contains(&f.affinity_memory), "fine_tune.affinity_memory must be 0 to 1")?;
        rule((0.0..=1.0).contains(&f.distil), "fine_tune.distil must be 0 to 1")?;
        rule((0.0..=1.0).contains(&f.replay), "fine_tune.replay must be 0 to 1")?;
        rule(f.ewc.is_finite() && f.ewc >= 0.0, "fine_tune.ewc must not be negative")?;
        let hex = |text: &String| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        rule(self.frozen.as_ref().is_none_or(hex), "frozen must be a SHA-256 in hex")?;
        rule(
            f.steps_per_click <= 100 && f.negatives <= 4096 && f.hard <= 4096,
            "fine_tune asks for too much work",
        )?;
        for file in &self.files {
            let plain = file.path.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
            rule(
                plain && !file.path.contains("..") && !file.path.starts_with('/'),
                "a file's path must be relative and plain",
            )?;
            rule(
                file.path.contains(&file.sha256) && file.sha256.len() == 64,
                "a file's path must contain its SHA-256",
            )?;
        }
        Ok(())
    }
}

impl FileEntry {
    /// Describes content; the path is `blobs/<sha256>.<extension>`.
    #[must_use]
    pub fn describe(role: Role, content: &[u8], extension: &str) -> Self {
        let sha256 = sha256_hex(content);
        Self { role, path: format!("blobs/{sha256}.{extension}"), bytes: content.len() as u64, sha256 }
    }

    /// Checks content against the entry.
    ///
    /// # Errors
    /// [`VersionError::Length`] or [`VersionError::Hash`].
    pub fn verify(&self, content: &[u8]) -> Result<(), VersionError> {
        if content.len() as u64 != self.bytes {
            return Err(VersionError::Length {
                path: self.path.clone(),
                found: content.len() as u64,
                expected: self.bytes,
            });
        }
        let found = sha256_hex(content);
        if found != self.sha256 {
            return Err(VersionError::Hash { path: self.path.clone(), found, expected: self.sha256.clone() });
        }
        Ok(())
    }
}

/// Reads only the format number first, so that a newer file gives a clear message.
pub(crate) fn check_format(what: &'static str, json: &[u8], known: u32) -> Result<(), VersionError> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format } = serde_json::from_slice(json)
        .map_err(|e| VersionError::Invalid(format!("{what} without a format number ({e})")))?;
    if format > known {
        return Err(VersionError::TooNew { what, found: format, known });
    }
    if format == 0 {
        return Err(VersionError::Invalid(format!("{what} has format 0, the first is 1")));
    }
    Ok(())
}

/// SHA-256 as lower-case hex.
#[must_use]
pub fn sha256_hex(content: &[u8]) -> String {
    to_hex(&Sha256::digest(content))
}

fn version_name(payload: &[u8]) -> String {
    sha256_hex(payload)[..16].to_owned()
}

/// Lower-case hex.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)] as char, DIGITS[usize::from(b & 15)] as char])
        .collect()
}

fn key_bytes(hex: &str) -> Result<[u8; 32], VersionError> {
    let bad = || VersionError::BadKey(hex.chars().take(8).collect::<String>() + "…");
    let hex = hex.trim().as_bytes();
    let mut out = [0; 32];
    if hex.len() != 64 {
        return Err(bad());
    }
    for (byte, pair) in out.iter_mut().zip(hex.chunks_exact(2)) {
        let digit = |c: u8| (c as char).to_digit(16).ok_or_else(bad);
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Ok(out)
}

/// 32 bytes of lower-case hex, as [`to_hex`] writes them.
#[must_use]
pub fn from_hex_32(hex: &str) -> Option<[u8; 32]> {
    key_bytes(hex).ok().filter(|bytes| to_hex(bytes) == hex)
}

/// Reads a public key, 64 hex digits.
///
/// # Errors
/// [`VersionError::BadKey`].
pub fn public_key(hex: &str) -> Result<VerifyingKey, VersionError> {
    let bytes = key_bytes(hex)?;
    VerifyingKey::from_bytes(&bytes)
        .map_err(|_| VersionError::BadKey(hex.chars().take(8).collect::<String>() + "…"))
}

/// Reads a secret key (RFC 8032 seed), 64 hex digits.
///
/// # Errors
/// [`VersionError::BadKey`], which never repeats more than the first digits.
pub fn signing_key(hex: &str) -> Result<SigningKey, VersionError> {
    key_bytes(hex).map(|b| SigningKey::from_bytes(&b))
}

#[cfg(test)]
mod tests;
