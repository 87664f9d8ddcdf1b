//! One input of several messages: all but the last behind their length, two bytes.

/// Splits; what is missing is empty.
pub(crate) fn split<const N: usize>(mut bytes: &[u8]) -> [&[u8]; N] {
    let mut out = [&bytes[..0]; N];
    let last = N - 1;
    for part in &mut out[..last] {
        let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return out };
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        (*part, bytes) = rest.split_at(length);
    }
    out[last] = bytes;
    out
}

/// Joins. The last part may have any length, the others 65,535 bytes.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    let Some((last, others)) = parts.split_last() else { return out };
    for part in others {
        out.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
        out.extend_from_slice(part);
    }
    out.extend_from_slice(last);
    out
}
