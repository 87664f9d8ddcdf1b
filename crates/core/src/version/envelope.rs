//! DSSE v1 envelopes, for every payload that onshelf signs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer, SigningKey};
use serde::{Deserialize, Serialize};

use super::{MANIFEST_LIMIT, VersionError, public_key, to_hex};

/// DSSE envelope.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Envelope {
    /// What the payload is: a media type.
    #[serde(rename = "payloadType")]
    pub payload_type: String,
    /// Base64 of the payload.
    pub payload: String,
    /// One or more signatures.
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an [`Envelope`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EnvelopeSignature {
    /// The public key, 64 hex digits.
    pub keyid: String,
    /// Base64 of the 64 signature bytes.
    pub sig: String,
}

/// Signs a payload; gives the envelope's JSON.
pub(crate) fn seal(payload_type: &str, payload: &[u8], key: &SigningKey) -> Result<Vec<u8>, VersionError> {
    let signature = key.sign(&pre_authentication(payload_type, payload));
    let envelope = Envelope {
        payload_type: payload_type.into(),
        payload: BASE64.encode(payload),
        signatures: vec![EnvelopeSignature {
            keyid: to_hex(key.verifying_key().as_bytes()),
            sig: BASE64.encode(signature.to_bytes()),
        }],
    };
    serde_json::to_vec_pretty(&envelope).map_err(|e| VersionError::Invalid(e.to_string()))
}

/// Reads an envelope and gives its payload if a trusted key signed it.
pub(crate) fn open(
    payload_type: &str,
    envelope: &[u8],
    trusted_keys: &[String],
) -> Result<Vec<u8>, VersionError> {
    let (envelope, payload) = unsealed(payload_type, envelope)?;
    verify_signatures(&envelope, &payload, trusted_keys)?;
    Ok(payload)
}

/// Reads an envelope whoever signed it; only where something else vouches for the payload.
pub(crate) fn unverified(payload_type: &str, envelope: &[u8]) -> Result<Vec<u8>, VersionError> {
    Ok(unsealed(payload_type, envelope)?.1)
}

fn unsealed(payload_type: &str, envelope: &[u8]) -> Result<(Envelope, Vec<u8>), VersionError> {
    let invalid = |what: &str| VersionError::Invalid(what.to_owned());
    if envelope.len() > MANIFEST_LIMIT {
        return Err(invalid("longer than 1 MiB; is this the address of a manifest?"));
    }
    let envelope: Envelope = serde_json::from_slice(envelope).map_err(|e| {
        VersionError::Invalid(format!("not a DSSE envelope ({e}); is this the address of a manifest?"))
    })?;
    if envelope.payload_type != payload_type {
        return Err(VersionError::Invalid(format!(
            "payload type {:?}, expected {payload_type:?}",
            envelope.payload_type
        )));
    }
    let payload = BASE64.decode(&envelope.payload).map_err(|_| invalid("payload is not base64"))?;
    Ok((envelope, payload))
}

fn verify_signatures(envelope: &Envelope, payload: &[u8], trusted: &[String]) -> Result<(), VersionError> {
    let message = pre_authentication(&envelope.payload_type, payload);
    for key in trusted {
        let public = public_key(key)?;
        let name = to_hex(public.as_bytes());
        if let Some(s) = envelope.signatures.iter().find(|s| s.keyid == name) {
            let bytes = BASE64.decode(&s.sig).unwrap_or_default();
            let signature = Signature::from_slice(&bytes);
            let good = signature.is_ok_and(|s| public.verify_strict(&message, &s).is_ok());
            return if good { Ok(()) } else { Err(VersionError::BadSignature(name)) };
        }
    }
    let seen: Vec<String> = envelope.signatures.iter().map(|s| s.keyid.chars().take(64).collect()).collect();
    let found = if seen.is_empty() { "nobody".to_owned() } else { seen.join(", ") };
    Err(VersionError::UntrustedKey { found, trusted: trusted.len() })
}

/// DSSE's pre-authentication encoding: what is signed.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}
