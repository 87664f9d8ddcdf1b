//! What somebody who sees contributions could find out, and what somebody who sees a release could. Every
//! attack is shown to work where nothing is in its way.

use onshelf_core::part::Part;
use onshelf_core::privacy::encode::Encoding;
use onshelf_core::privacy::gaussian::{epsilon, noise_multiplier};
use onshelf_core::privacy::rotate::Seed;
use onshelf_core::rank::{CENTROIDS, ItemTable};
use onshelf_core::weights::Weights;
use onshelf_model::shared::{Scratch, contribution};
use onshelf_model::student::{Compute, Student};
use onshelf_trainer::corpus::{Corpus, CorpusOptions};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::progress::Silent;
use onshelf_trainer::student;
use onshelf_trainer::sync::judge::{Read, read};
use pollster::block_on;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::built::{TRAINED_TO, built};

const DELTA: f64 = 1e-6;

/// The shop's student, and what shoppers of the next period contribute to the part that says most: all centroids.
fn contributions() -> (Student, Vec<(Read, Vec<f32>)>) {
    let loaded = student::load(&built().student_dir()).unwrap();
    let weights = Weights::from_safetensors(&loaded.file).unwrap();
    let student = Student::new(&weights, &loaded.info.student, &Compute::Cpu).unwrap();
    let data = Dataset::load(&built().data()).unwrap();
    let corpus =
        Corpus::new(&data, &CorpusOptions { last_period: TRAINED_TO, ..Default::default() }).unwrap();
    let set = corpus.tests(&data, data.sessions.in_period(TRAINED_TO + 1));
    let parts = Part::all(student.shape()).unwrap();
    assert_eq!(parts.len(), 2);
    let reads = read(&student, &set, &Silent).unwrap();
    let given = reads.into_iter().filter_map(|r| {
        let own = [(&r.vectors[..], &r.items[..])];
        let given = block_on(contribution(&student, &parts[0], &own, &mut Scratch::default())).unwrap();
        given.map(|given| (r, given))
    });
    let given = given.collect();
    (student, given)
}

/// The item whose centroids a vector moves most: what the clicked one's gradient looks like.
fn guess(table: &ItemTable, given: &[f32]) -> u32 {
    let width = table.dim() / table.subspaces();
    let length = |m: usize, code: u8| {
        let at = (m * CENTROIDS + usize::from(code)) * width;
        given[at..at + width].iter().map(|x| x * x).sum::<f32>().sqrt()
    };
    let score = |item: u32| -> f32 {
        let codes = &table.codes_of(item).unwrap()[..table.subspaces()];
        codes.iter().enumerate().map(|(m, code)| length(m, *code)).sum()
    };
    (1..=table.items() as u32).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap()
}

/// A normal number (Box and Muller, 1958).
fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let mut uniform = || (f64::from(rng.next_u32()) + 0.5) / 4_294_967_296.0;
    let (radius, angle) = ((-2.0 * uniform().ln()).sqrt(), std::f64::consts::TAU * uniform());
    radius * angle.cos()
}

fn encoding(given: &[(Read, Vec<f32>)]) -> Encoding {
    let norm = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
    let mut norms: Vec<f64> = given.iter().map(|g| norm(&g.1)).collect();
    norms.sort_by(f64::total_cmp);
    Encoding::new(given[0].1.len(), 4, norms[norms.len() / 2], Seed([9; 32])).unwrap()
}

/// The sum of 1,000 reports of the given shoppers, over and over.
fn sum_of(encoding: &Encoding, given: &[(Read, Vec<f32>)], rng: &mut ChaCha8Rng) -> Vec<i128> {
    let mut sum = vec![0_i128; encoding.length()];
    for (_, own) in given.iter().cycle().take(1_000) {
        let report = encoding.encode(own, &mut || rng.next_u32()).unwrap();
        sum.iter_mut().zip(report).for_each(|(s, v)| *s += i128::from(v));
    }
    sum
}

/// The same sum with the noise of so many aggregators of multiplier `z`.
fn noised(sum: &[i128], encoding: &Encoding, z: f64, aggregators: usize, rng: &mut ChaCha8Rng) -> Vec<i128> {
    let deviation = z * encoding.sensitivity();
    let noise = |rng: &mut ChaCha8Rng| (deviation * normal(rng)).round() as i128;
    sum.iter().map(|s| s + (0..aggregators).map(|_| noise(rng)).sum::<i128>()).collect()
}

#[test]
fn a_single_contribution_gives_its_clicks_away_and_a_release_does_not() {
    let (student, given) = contributions();
    let table = student.table();
    assert!(given.len() >= 40, "{}", given.len());
    let hit = |guess: u32, r: &Read| r.items[1..].contains(&guess);
    // Positive control: what is uploaded is secret-shared for a reason.
    let single = given.iter().filter(|(r, own)| hit(guess(table, own), r)).count();
    let share = single as f64 / given.len() as f64;
    assert!(share > 0.6, "an unprotected contribution named a clicked item in {share} of the cases only");
    // The same attack on a release of 1,000 is right about a shopper no more often than about strangers.
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let encoding = encoding(&given);
    let z = noise_multiplier(4.0, DELTA, 1).unwrap();
    let (inside, outside) = given.split_at(given.len() / 2);
    let sum = sum_of(&encoding, inside, &mut rng);
    let (mut own, mut strangers) = (0, 0);
    for _ in 0..10 {
        let released = noised(&sum, &encoding, z, 2, &mut rng);
        let found = guess(table, &encoding.decode_mean(&released, 1_000).unwrap());
        own += inside.iter().filter(|(r, _)| hit(found, r)).count();
        strangers += outside.iter().filter(|(r, _)| hit(found, r)).count();
    }
    let rate = |hits: usize, of: &[(Read, Vec<f32>)]| hits as f64 / (10 * of.len()) as f64;
    let (own, strangers) = (rate(own, inside), rate(strangers, outside));
    assert!(own < 0.25 && own - strangers < 0.15, "own {own}, strangers {strangers}");
}

#[test]
fn who_took_part_is_told_no_better_than_epsilon_allows_even_by_one_aggregator() {
    let (_, given) = contributions();
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let encoding = encoding(&given);
    let zero = encoding.encode(&vec![0.0; encoding.dimension()], &mut || rng.next_u32()).unwrap();
    // The canary: as long as the clip allows.
    let far: Vec<f32> = given[0].1.iter().map(|x| 100.0 * x).collect();
    let report = encoding.encode(&far, &mut || rng.next_u32()).unwrap();
    let step: Vec<f64> = report.iter().zip(&zero).map(|(r, z)| f64::from(*r) - f64::from(*z)).collect();
    let without = sum_of(&encoding, &given[1..], &mut rng);
    let with: Vec<i128> = without.iter().zip(&step).map(|(s, d)| s + *d as i128).collect();
    // The best test between two known sums: how far the release lies along their difference.
    let along = |sum: &[i128]| -> f64 {
        sum.iter().zip(&without).zip(&step).map(|((s, w), d)| (s - w) as f64 * d).sum()
    };
    // Positive control: without noise it never errs.
    assert!(along(&with) > 0.0 && along(&without) == 0.0);
    for claimed in [1.0, 4.0, 8.0] {
        let z = noise_multiplier(claimed, DELTA, 1).unwrap();
        // The other aggregator is corrupt: its noise is taken off.
        let mut draw = |sum: &[i128]| -> Vec<f64> {
            (0..600).map(|_| along(&noised(sum, &encoding, z, 1, &mut rng))).collect()
        };
        let (there, away) = (draw(&with), draw(&without));
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let spread = |v: &[f64]| mean(&v.iter().map(|x| (x - mean(v)).powi(2)).collect::<Vec<f64>>()).sqrt();
        // Two normals that lie so many deviations apart are what a multiplier of its inverse gives.
        let apart = (mean(&there) - mean(&away)) / (0.5 * (spread(&there) + spread(&away)));
        // Two standard errors of the difference, to either side.
        let error = 2.0 * (2.0 / there.len() as f64).sqrt();
        let surely = epsilon(1.0 / (apart - error).max(1e-3), DELTA).unwrap();
        let perhaps = epsilon(1.0 / (apart + error), DELTA).unwrap();
        assert!(surely < claimed, "claimed {claimed}, an attack shows {surely}");
        assert!(perhaps > claimed * 0.8, "the attack is too weak to say anything: {perhaps} of {claimed}");
    }
}
