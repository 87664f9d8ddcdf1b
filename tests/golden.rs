//! Checks the Rust code against a second implementation, `tests/golden/generate.py`, which works
//! in float64 from the formulas. Numbers agree to about 1e-5, rankings exactly.

#[path = "golden/fine_tuning.rs"]
mod fine_tuning;
#[path = "golden/manifests.rs"]
mod manifests;
#[path = "golden/model.rs"]
mod model;
#[path = "golden/optimiser.rs"]
mod optimiser;
#[path = "golden/ranking.rs"]
mod ranking;
#[path = "golden/shape.rs"]
mod shape;
#[path = "golden/shared.rs"]
mod shared;
#[path = "support/json.rs"]
mod support;
