//! Signed manifests that another implementation made, good and bad ones.

use onshelf_core::version::{FileEntry, Manifest, Role, VersionError, sha256_hex, signing_key};
use serde::Deserialize;
use serde_json::Value;

use crate::support::golden;

#[derive(Deserialize)]
struct ManifestFile {
    secret: String,
    trusted: Vec<String>,
    payload: String,
    version: String,
    good: Vec<Value>,
    bad: Vec<Bad>,
    file: Content,
    hashes: Vec<Hash>,
}

#[derive(Deserialize)]
struct Bad {
    what: String,
    error: String,
    envelope: Value,
}

#[derive(Deserialize)]
struct Content {
    content: String,
    sha256: String,
}

#[derive(Deserialize)]
struct Hash {
    text: String,
    sha256: String,
}

#[test]
fn a_foreign_signers_manifest_is_read() {
    let file: ManifestFile = golden("manifest.json");
    for envelope in &file.good {
        let read = Manifest::verify(&serde_json::to_vec(envelope).unwrap(), &file.trusted).unwrap();
        assert_eq!(read.version, file.version);
        assert_eq!(read.manifest.name, "Läden & Söhne");
        assert_eq!(read.manifest.student.temperature, 0.25);
        let entry = read.manifest.file(Role::Weights).unwrap();
        assert_eq!(entry.verify(file.file.content.as_bytes()), Ok(()));
        assert_eq!(*entry, FileEntry::describe(Role::Weights, file.file.content.as_bytes(), "safetensors"));
        assert!(read.manifest.file(Role::Catalogue).is_err());
    }
}

#[test]
fn signing_gives_the_same_bytes() {
    let file: ManifestFile = golden("manifest.json");
    let manifest: Manifest = serde_json::from_str(&file.payload).unwrap();
    let (envelope, version) = manifest.sign(&signing_key(&file.secret).unwrap()).unwrap();
    // Ed25519 signatures are deterministic, so nothing may differ.
    assert_eq!(serde_json::from_slice::<Value>(&envelope).unwrap(), file.good[0]);
    assert_eq!(version, file.version);
}

#[test]
fn every_bad_manifest_is_refused_for_its_own_reason() {
    let file: ManifestFile = golden("manifest.json");
    for bad in &file.bad {
        let error = Manifest::verify(&serde_json::to_vec(&bad.envelope).unwrap(), &file.trusted)
            .expect_err(&bad.what);
        let fits = match bad.error.as_str() {
            "BadSignature" => matches!(error, VersionError::BadSignature(_)),
            "UntrustedKey" => matches!(error, VersionError::UntrustedKey { .. }),
            "Invalid" => matches!(error, VersionError::Invalid(_)),
            "TooNew" => matches!(error, VersionError::TooNew { found: 4, .. }),
            other => panic!("unknown expectation {other}"),
        };
        assert!(fits, "{}: {error:?}, expected {}", bad.what, bad.error);
        assert!(error.to_string().starts_with("manifest"), "{error}");
    }
}

#[test]
fn hashes_agree() {
    let file: ManifestFile = golden("manifest.json");
    for case in &file.hashes {
        assert_eq!(sha256_hex(case.text.as_bytes()), case.sha256);
    }
    assert_eq!(sha256_hex(file.file.content.as_bytes()), file.file.sha256);
}
