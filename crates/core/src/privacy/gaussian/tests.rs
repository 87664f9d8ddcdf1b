use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::privacy::rotate::Seed;

fn near(a: f64, b: f64, relative: f64) {
    assert!((a - b).abs() <= relative * b.abs().max(1e-9), "{a} is not {b}");
}

#[test]
fn agrees_with_dp_accounting() {
    let golden: Value =
        serde_json::from_str(include_str!("../../../../../tests/golden/gaussian.json")).unwrap();
    let number = |row: &Value, name: &str| row[name].as_f64().unwrap();
    let rows = golden["epsilon_of"].as_array().unwrap();
    assert_eq!(rows.len(), 24);
    for row in rows {
        near(epsilon(number(row, "z"), number(row, "delta")).unwrap(), number(row, "epsilon"), 1e-7);
    }
    let rows = golden["z_of"].as_array().unwrap();
    assert_eq!(rows.len(), 15);
    for row in rows {
        let z = noise_multiplier(number(row, "epsilon"), number(row, "delta"), 1).unwrap();
        near(z, number(row, "z"), 1e-4);
    }
}

#[test]
fn the_usual_noise_multipliers() {
    for (epsilon, z) in [(1.0, 4.2247), (4.0, 1.1935), (8.0, 0.6529)] {
        let found = noise_multiplier(epsilon, 1e-6, 1).unwrap();
        assert!((found - z).abs() < 6e-5, "{found} is not {z}");
    }
}

#[test]
fn participations_compose() {
    let one = noise_multiplier(4.0, 1e-6, 1).unwrap();
    let twelve = noise_multiplier(4.0, 1e-6, 12).unwrap();
    near(twelve, one * 12_f64.sqrt(), 1e-12);
    near(epsilon_of_rho(rho(twelve, 12).unwrap(), 1e-6).unwrap(), 4.0, 1e-9);
    assert_eq!(epsilon_of_rho(0.0, 1e-6), Ok(0.0));
}

#[test]
fn what_is_out_of_range_is_refused() {
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 51.0] {
        assert_eq!(noise_multiplier(bad, 1e-6, 1), Err(GaussianError::Epsilon));
    }
    for bad in [0.0, 1.0, f64::NAN] {
        assert_eq!(noise_multiplier(1.0, bad, 1), Err(GaussianError::Delta));
    }
    assert_eq!(noise_multiplier(1.0, 1e-6, 0), Err(GaussianError::Participations));
    assert_eq!(epsilon(0.0, 1e-6), Err(GaussianError::Multiplier));
}

#[test]
fn a_policy_that_claims_too_much_is_not_read() {
    let policy = Policy::new(4.0, 1e-6, 12).unwrap();
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
    let z = policy.noise_multiplier().to_string();
    assert!(serde_json::from_str::<Policy>(&json.replace(&z, "1.1935")).is_err());
    assert!(serde_json::from_str::<Policy>(&json.replace("zero-out", "add-remove")).is_err());
}

#[test]
fn the_noise_covers_the_rounded_sensitivity() {
    let encoding = Encoding::new(4096, 4, 0.5, Seed([3; 32])).unwrap();
    let policy = Policy::new(4.0, 1e-6, 1).unwrap();
    let NoiseStd { numerator, denominator } = policy.noise(&encoding);
    let std = numerator as f64 / denominator as f64;
    // ((8/3)² + ¼) n + (8/3 + ½) √n squared steps at n = 4,096.
    let expected = 1.1935 * ((64.0 / 9.0 + 0.25) * 4096.0 + 19.0 / 6.0 * 64.0_f64).sqrt();
    near(std, expected, 1e-4);
    assert!(std >= policy.noise_multiplier() * encoding.sensitivity());
}

proptest! {
    #[test]
    fn epsilon_and_multiplier_are_inverse(e in 0.05_f64..20.0, log in -12.0_f64..-3.0) {
        let delta = 10_f64.powf(log);
        let z = noise_multiplier(e, delta, 1).unwrap();
        prop_assume!(z >= 0.05);
        prop_assert!((epsilon(z, delta).unwrap() - e).abs() < 1e-6);
    }
}
