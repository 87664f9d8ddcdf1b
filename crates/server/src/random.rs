//! The operating system's randomness, which an aggregator cannot do without.

/// Fills a slice with unpredictable bytes.
///
/// # Panics
/// Where the operating system has none: no key and no noise may be made then.
pub fn fill(bytes: &mut [u8]) {
    getrandom::fill(bytes).unwrap_or_else(|error| panic!("no randomness from the operating system: {error}"));
}

/// An array of unpredictable bytes.
#[must_use]
pub fn array<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}
