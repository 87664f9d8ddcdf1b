//! What it would take to have shoppers' devices add the noise, where aggregators add none: the table of
//! `docs/scale.md`.
//!
//! ```sh
//! cargo run --release -p onshelf-core --features protocol --example client_noise
//! ```
//!
//! N devices that keep to the protocol each add a discrete Gaussian of z·Δ/√N, N of which add up to what one aggregator
//! would add. A device's value is then as wide as the noise, so the grid has to reach from −R to R with R = 3C/√d + 8σ:
//! a draw outside is drawn again, which 8 deviations make rarer than δ over all devices and values. Steps must be at
//! most σ/2, or the sum of discrete Gaussians is none (Kairouz, Liu, Steinke 2021, theorem 1), and so fine that Δ stays
//! below 1.1 C.

use std::error::Error;
use std::io::Write as _;

use onshelf_core::privacy::encode::Encoding;
use onshelf_core::privacy::gaussian::noise_multiplier;
use onshelf_core::privacy::rotate::Seed;
use onshelf_core::protocol::shard::{SEED_BYTES, Vdaf};

/// Deviations of a device's noise that the grid holds.
const TAIL: f64 = 8.0;
/// The largest sensitivity, in C.
const SENSITIVITY: f64 = 1.1;
const DELTA: f64 = 1e-6;

/// A grid for `d` values with C = 1: a device's deviation, half of the range, the sensitivity.
struct Grid {
    sigma: f64,
    range: f64,
    sensitivity: f64,
}

/// Rounding adds to the sensitivity and so to the noise, which widens the grid: the fixed point of that.
fn grid(d: f64, bits: u32, z: f64, devices: f64) -> Option<Grid> {
    let mut sensitivity: f64 = 1.0;
    for _ in 0..100 {
        let sigma = z * sensitivity / devices.sqrt();
        let range = 3.0 / d.sqrt() + TAIL * sigma;
        let step = range / f64::from(1_u32 << (bits - 1));
        // As `Encoding::sensitivity`, with this step.
        let clip = step.recip();
        let mostly = clip * clip + d / 4.0 + clip + d.sqrt() / 2.0;
        let found = (clip + d.sqrt()).powi(2).min(mostly).sqrt() * step;
        if found > SENSITIVITY || sigma < 2.0 * step {
            return None;
        }
        if (found - sensitivity).abs() < 1e-9 {
            return Some(Grid { sigma, range, sensitivity });
        }
        sensitivity = found;
    }
    None
}

/// Bytes of a report: both shares, sealed, and what is around them.
fn report_bytes(d: usize, bits: u32) -> Result<usize, Box<dyn Error>> {
    let encoding = Encoding::new(d, bits, 1.0, Seed([0; 32]))?;
    let vdaf = Vdaf::new(&encoding, Vdaf::chunk_length(&encoding))?;
    let shares = vdaf.shard(&vec![0; encoding.length()], &[0; 16], &[0; SEED_BYTES])?;
    // Id and time; each share's extensions and length; key id, encapsulated key, tag and lengths of its ciphertext.
    let around = 24 + 4 + 2 * (6 + 1 + 34 + 4 + 16);
    Ok(shares.public.len() + shares.leader.len() + shares.helper.len() + around)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout();
    writeln!(out, "| d | honest devices | ε (rounds) | σ of one | grid | bits | report | a forged report |")?;
    writeln!(out, "| --- | --- | --- | --- | --- | --- | --- | --- |")?;
    for d in [1_024_usize, 4_096] {
        for devices in [1_000_u32, 10_000] {
            for (epsilon, rounds) in [(4.0, 12), (8.0, 12), (8.0, 1)] {
                let z = noise_multiplier(epsilon, DELTA, rounds)?;
                let found = (2..=16)
                    .find_map(|bits| Some((bits, grid(d as f64, bits, z, f64::from(devices))?)))
                    .ok_or("no grid of 16 bits or fewer")?;
                let (bits, Grid { sigma, range, sensitivity }) = found;
                writeln!(
                    out,
                    "| {d} | {devices} | {epsilon} ({rounds}) | {sigma:.3} C | ±{range:.2} C | {bits} (Δ = {sensitivity:.2} C) | {} KB | {:.0} C |",
                    report_bytes(d, bits)? / 1_000,
                    range * (d as f64).sqrt(),
                )?;
            }
        }
    }
    Ok(())
}
