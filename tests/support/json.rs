//! Reading golden files.

use std::path::Path;

use serde::de::DeserializeOwned;

/// A golden file that `tests/golden/generate.py` wrote.
pub(crate) fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Fails where two lists differ by more than `tolerance`, relative to numbers above 1.
#[track_caller]
pub(crate) fn close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}: length");
    for (at, (f, e)) in found.iter().zip(expected).enumerate() {
        let allowed = tolerance * e.abs().max(1.0);
        assert!((f - e).abs() <= allowed, "{what}[{at}]: {f}, expected {e}");
    }
}
