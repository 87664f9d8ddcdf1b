use proptest::prelude::*;

use super::*;

/// A generator for tests (xorshift*).
fn words(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32) as u32
    }
}

fn norm(x: &[f64]) -> f64 {
    x.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn delta(dimension: usize, seed: u64) -> Vec<f32> {
    let mut next = words(seed);
    (0..dimension).map(|_| (f64::from(next()) / 4_294_967_296.0 - 0.5) as f32).collect()
}

#[test]
fn the_sign_stream_is_the_documented_one() {
    // Signs of the first eight coordinates by
    // python3 -c "import hashlib;print(hashlib.sha256(b'onshelf rotation 1'+bytes(32)+bytes(4)).digest()[0])"
    let mut x = vec![0.0; 8];
    let mut first = [0.0; 8];
    for at in 0..8 {
        x.fill(0.0);
        x[at] = 8.0_f64.sqrt();
        rotate(&mut x, &Seed([0; 32]));
        first[at] = x[0];
    }
    let byte = first.iter().enumerate().fold(0_u8, |byte, (at, v)| byte | u8::from(*v < 0.0) << at);
    assert_eq!(byte, 245);
}

#[test]
fn a_mean_of_many_reports_is_the_mean_of_their_deltas() {
    let encoding = Encoding::new(100, 4, 1.0, Seed([9; 32])).unwrap();
    let mut random = words(7);
    let x: Vec<f32> = delta(100, 1).iter().map(|v| v * 0.1).collect();
    let mut sum = vec![0_i128; encoding.length()];
    for _ in 0..4_000 {
        let report = encoding.encode(&x, &mut random).unwrap();
        sum.iter_mut().zip(report).for_each(|(s, q)| *s += i128::from(q));
    }
    let mean = encoding.decode_mean(&sum, 4_000).unwrap();
    // A coordinate's rounding has a standard deviation of at most half a step.
    let tolerance = 5.0 * encoding.step() / 2.0 / 4_000_f64.sqrt();
    assert!(mean.iter().zip(&x).all(|(a, b)| f64::from((a - b).abs()) < tolerance));
}

#[test]
fn bad_input_is_refused() {
    let encoding = Encoding::new(4, 4, 1.0, Seed([0; 32])).unwrap();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(encoding.encode(&[0.0, bad, 0.0, 0.0], &mut words(1)), Err(EncodeError::NotFinite));
    }
    let length = EncodeError::Length { found: 3, expected: 4 };
    assert_eq!(encoding.encode(&[0.0; 3], &mut words(1)), Err(length));
    assert_eq!(encoding.decode_mean(&[0; 4], 0), Err(EncodeError::Sum));
    assert_eq!(encoding.decode_mean(&[i128::MIN; 4], 1), Err(EncodeError::Sum));
    for (dimension, bits, clip) in [(0, 4, 1.0), (4097, 4, 1.0), (8, 1, 1.0), (8, 17, 1.0), (8, 4, f64::NAN)]
    {
        assert!(Encoding::new(dimension, bits, clip, Seed([0; 32])).is_err());
    }
    let json = serde_json::to_string(&encoding).unwrap();
    assert_eq!(serde_json::from_str::<Encoding>(&json).unwrap(), encoding);
    assert!(serde_json::from_str::<Encoding>(&json.replace("\"bits\":4", "\"bits\":40")).is_err());
}

#[test]
fn a_delta_of_zero_is_the_neighbour_that_accounting_means() {
    let encoding = Encoding::new(64, 4, 1.0, Seed([0; 32])).unwrap();
    let report = encoding.encode(&[0.0; 64], &mut words(3)).unwrap();
    assert!(report.iter().all(|q| *q == encoding.zero()));
    assert_eq!(encoding.decode_mean(&[i128::from(encoding.zero()) * 5; 64], 5).unwrap(), vec![0.0; 64]);
}

/// The bound as Kairouz et al. write it, in the delta's units with granularity `gamma`, computed apart.
fn conditional_rounding_bound(c: f64, gamma: f64, d: f64, beta: f64) -> f64 {
    let root = (2.0 * (1.0 / beta).ln()).sqrt();
    let mostly = c * c + gamma * gamma * d / 4.0 + root * gamma * (c + gamma * d.sqrt() / 2.0);
    mostly.min((c + gamma * d.sqrt()).powi(2)).sqrt()
}

#[test]
fn the_norm_bound_is_the_papers_and_most_draws_keep_it() {
    for (dimension, bits) in [(1024, 4), (4096, 4), (1024, 8), (64, 2), (1, 16)] {
        let encoding = Encoding::new(dimension, bits, 2.5, Seed([1; 32])).unwrap();
        let bound = conditional_rounding_bound(2.5, encoding.step(), dimension as f64, (-0.5_f64).exp());
        assert!((encoding.sensitivity() * encoding.step() - bound).abs() < 1e-12 * bound);
    }
    // One draw of each of 500 vectors at the clip norm: the theorem allows 61 % of them beyond the bound.
    let encoding = Encoding::new(256, 4, 1.0, Seed([2; 32])).unwrap();
    let mut beyond = 0;
    for seed in 0..500 {
        let mut x = clip(&delta(256, seed).iter().map(|v| v * 100.0).collect::<Vec<_>>(), 1.0).unwrap();
        rotate(&mut x, &Seed([2; 32]));
        let (mut random, mut norm) = (words(seed + 1), 0.0);
        for v in &x {
            let steps = v / encoding.step();
            let up = f64::from(random()) < (steps - steps.floor()) * 4_294_967_296.0;
            norm += (steps.floor() + f64::from(u8::from(up))).powi(2);
        }
        beyond += u32::from(norm.sqrt() > encoding.sensitivity());
    }
    assert!(beyond < 305, "{beyond} of 500 draws beyond the bound");
}

proptest! {
    #[test]
    fn clipping_bounds_the_norm(x in prop::collection::vec(any::<f32>(), 1..50), c in 1e-3_f64..10.0) {
        prop_assume!(x.iter().all(|v| v.is_finite()));
        prop_assert!(norm(&clip(&x, c).unwrap()) <= c * (1.0 + 1e-12));
    }

    #[test]
    fn rotation_keeps_the_norm_and_is_undone(power in 0_u32..13, seed: [u8; 32], from: u64) {
        let x: Vec<f64> = delta(1 << power, from).into_iter().map(f64::from).collect();
        let mut y = x.clone();
        rotate(&mut y, &Seed(seed));
        prop_assert!((norm(&x) - norm(&y)).abs() < 1e-9);
        unrotate(&mut y, &Seed(seed));
        prop_assert!(x.iter().zip(&y).all(|(a, b)| (a - b).abs() < 1e-12));
    }

    #[test]
    fn a_report_stays_within_bits_and_sensitivity(
        dimension in 1_usize..600, bits in 2_u32..=16, scale in 0.0_f32..100.0, from: u64,
    ) {
        let encoding = Encoding::new(dimension, bits, 1.0, Seed([5; 32])).unwrap();
        let x: Vec<f32> = delta(dimension, from).iter().map(|v| v * scale).collect();
        let report = encoding.encode(&x, &mut words(from ^ 1));
        let report = report.unwrap();
        let zero = f64::from(encoding.zero());
        let steps: Vec<f64> = report.iter().map(|q| f64::from(*q) - zero).collect();
        prop_assert!(report.iter().all(|q| *q <= encoding.top()));
        prop_assert!(norm(&steps) <= encoding.sensitivity() + 1e-9);
    }
}
