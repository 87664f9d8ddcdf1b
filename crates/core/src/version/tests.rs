use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

fn key(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn public(n: u8) -> String {
    to_hex(key(n).verifying_key().as_bytes())
}

fn manifest() -> Manifest {
    Manifest {
        format: PLAIN_FORMAT,
        name: "shop".into(),
        created: 1,
        previous: None,
        student: StudentShape {
            dim: 8,
            blocks: 1,
            heads: 2,
            hidden: 16,
            max_len: 20,
            subspaces: 4,
            adapter_rank: 2,
            temperature: 0.07,
            times: true,
        },
        frozen: None,
        fine_tune: FineTuneConfig {
            learning_rate: 0.01,
            steps_per_click: 4,
            negatives: 64,
            proximal: 0.1,
            ..Default::default()
        },
        items: 3,
        files: vec![FileEntry::describe(Role::Weights, b"weights", "safetensors")],
        metrics: BTreeMap::new(),
    }
}

#[test]
fn what_is_signed_verifies_and_is_named_by_content() {
    let (envelope, version) = manifest().sign(&key(1)).unwrap();
    let read = Manifest::verify(&envelope, &[public(2), public(1)]).unwrap();
    assert_eq!(read.manifest, manifest());
    assert_eq!(read.version, version);
    let other = Manifest { name: "other".into(), ..manifest() };
    assert_ne!(other.sign(&key(1)).unwrap().1, version);
}

#[test]
fn foreign_and_missing_keys_are_refused() {
    let (envelope, _) = manifest().sign(&key(1)).unwrap();
    assert!(matches!(Manifest::verify(&envelope, &[public(2)]), Err(VersionError::UntrustedKey { .. })));
    assert!(matches!(Manifest::verify(&envelope, &[]), Err(VersionError::UntrustedKey { .. })));
    assert!(matches!(Manifest::verify(&envelope, &["zz".into()]), Err(VersionError::BadKey(_))));
}

#[test]
fn any_changed_payload_byte_breaks_the_signature() {
    let (envelope, _) = manifest().sign(&key(1)).unwrap();
    let parsed: Envelope = serde_json::from_slice(&envelope).unwrap();
    let payload = BASE64.decode(&parsed.payload).unwrap();
    for at in [0, payload.len() / 2, payload.len() - 1] {
        let mut changed = payload.clone();
        changed[at] ^= 1;
        let forged = Envelope { payload: BASE64.encode(changed), ..parsed.clone() };
        let bytes = serde_json::to_vec(&forged).unwrap();
        assert!(matches!(Manifest::verify(&bytes, &[public(1)]), Err(VersionError::BadSignature(_))));
    }
}

#[test]
fn a_newer_format_says_so() {
    let newer = Manifest { format: MANIFEST_FORMAT + 1, ..manifest() };
    let (envelope, _) = newer.sign(&key(1)).unwrap();
    let error = Manifest::verify(&envelope, &[public(1)]).unwrap_err();
    assert_eq!(
        error,
        VersionError::TooNew { what: "manifest", found: MANIFEST_FORMAT + 1, known: MANIFEST_FORMAT }
    );
    assert!(error.to_string().contains("update onshelf"));
}

#[test]
fn files_are_checked_by_length_then_hash() {
    let file = FileEntry::describe(Role::Weights, b"weights", "safetensors");
    assert_eq!(file.verify(b"weights"), Ok(()));
    assert!(matches!(file.verify(b"weight"), Err(VersionError::Length { found: 6, expected: 7, .. })));
    assert!(matches!(file.verify(b"weightz"), Err(VersionError::Hash { .. })));
}

#[test]
fn paths_cannot_leave_the_folder() {
    let mut m = manifest();
    m.files[0].path = format!("../{}", m.files[0].sha256);
    assert!(m.sign(&key(1)).is_err());
}

#[test]
fn not_a_manifest() {
    for bytes in [&b"<html>"[..], b"", b"{}", &[0xff; 10]] {
        assert!(matches!(Manifest::verify(bytes, &[public(1)]), Err(VersionError::Invalid(_))));
    }
}
