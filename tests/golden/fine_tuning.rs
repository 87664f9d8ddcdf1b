//! The fine-tuning loss and its gradient.
//!
//! Negatives are drawn, so the golden catalogues are such that the draw cannot matter: all items
//! that were not clicked look alike, and whatever is drawn stands for all of them. The sampled
//! softmax then is the full one.

use onshelf_core::version::FineTuneConfig;
use onshelf_model::personal::{Lesson, Personal};
use onshelf_model::student::{Compute, Student};
use pollster::block_on;
use serde::Deserialize;

use crate::shape::StudentFile;
use crate::support::{close, golden};

#[derive(Deserialize)]
struct PersonalFile {
    cases: Vec<Case>,
    crowded: Crowded,
}

/// Parameters and gradients stand as `down`, `up`, `taste`, one behind the other.
#[derive(Deserialize)]
struct Case {
    codes: Vec<Vec<u8>>,
    clicks: Vec<u32>,
    vectors: Vec<Vec<f32>>,
    base: Vec<f32>,
    theta: Vec<f32>,
    rate: f32,
    negatives: usize,
    proximal: f32,
    loss: f64,
    gradient: Vec<f32>,
    after: Vec<f32>,
}

#[derive(Deserialize)]
struct Crowded {
    codes: Vec<Vec<u8>>,
    clicks: Vec<u32>,
    vectors: Vec<Vec<f32>>,
    base: Vec<f32>,
    negatives: usize,
    loss: f64,
}

fn student(file: &StudentFile, codes: &[Vec<u8>], base: &[f32]) -> Student {
    let mut weights = file.weights(codes);
    let n = file.shape.dim * file.shape.adapter_rank;
    weights.floats.get_mut("adapter.down").unwrap().values = base[..n].to_vec();
    weights.floats.get_mut("adapter.up").unwrap().values = base[n..2 * n].to_vec();
    Student::new(&weights, &file.shape, &Compute::Cpu).unwrap()
}

fn config(rate: f32, negatives: usize, proximal: f32) -> FineTuneConfig {
    FineTuneConfig { learning_rate: rate, steps_per_click: 1, negatives, proximal, ..Default::default() }
}

#[test]
fn loss_gradient_and_step_agree_with_finite_differences() {
    let file = StudentFile::read();
    for case in golden::<PersonalFile>("personal.json").cases {
        let student = student(&file, &case.codes, &case.base);
        let lesson = Lesson::new(&case.vectors.concat(), &case.clicks, file.shape.dim).unwrap();
        assert_eq!(lesson.rows(), case.clicks.len() - 1);
        let config = config(case.rate, case.negatives, case.proximal);
        // Any seed: the draw does not matter.
        for seed in [1, 99] {
            let mut personal = Personal::new(&student, seed);
            let n = personal.adapter.down.len();
            personal.adapter.down = case.theta[..n].to_vec();
            personal.adapter.up = case.theta[n..2 * n].to_vec();
            personal.taste = case.theta[2 * n..].to_vec();
            let before = block_on(personal.loss(&student, &lesson, &config)).unwrap();
            let loss = block_on(personal.step(&student, &lesson, None, &config)).unwrap();
            assert!((loss - case.loss).abs() < 2e-5, "loss {loss}, expected {}", case.loss);
            assert!((before - loss).abs() < 1e-6, "asking for the loss must not learn");
            // After one step the first moment is a tenth of the gradient.
            let saved = personal.to_weights();
            let moment = |name: &str| saved.floats[name].values.iter().map(|m| m / 0.1).collect::<Vec<_>>();
            let gradient =
                [moment("moments.down.first"), moment("moments.up.first"), moment("moments.taste.first")];
            close("gradient", &gradient.concat(), &case.gradient, 2e-5);
            let after = [&personal.adapter.down[..], &personal.adapter.up, &personal.taste].concat();
            for ((found, expected), g) in after.iter().zip(&case.after).zip(&case.gradient) {
                // Adam's first step is the sign of the gradient: where that is all but 0, either may come.
                let allowed = if g.abs() > 1e-4 { 1e-4 * case.rate } else { 2.0 * case.rate };
                assert!((found - expected).abs() <= allowed + 2e-7, "{found}, expected {expected}");
            }
        }
    }
}

#[test]
fn more_draws_than_items_count_as_what_they_stand_for() {
    let file = StudentFile::read();
    let case = golden::<PersonalFile>("personal.json").crowded;
    let lesson = Lesson::new(&case.vectors.concat(), &case.clicks, file.shape.dim).unwrap();
    let student = student(&file, &case.codes, &case.base);
    let personal = Personal::new(&student, 5);
    let loss = block_on(personal.loss(&student, &lesson, &config(0.01, case.negatives, 0.0))).unwrap();
    assert!((loss - case.loss).abs() < 2e-5, "loss {loss}, the full softmax gives {}", case.loss);
}
