//! Adam, dense and sparse, against trajectories computed from all gradients at once.

use onshelf_model::adam::{Adam, SparseAdam};
use serde::Deserialize;

use crate::support::{close, golden};

/// float32 keeps `1 - 0.999^t` to about 5e-5 in the first steps.
const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct AdamFile {
    dense: Vec<Dense>,
    sparse: Sparse,
}

#[derive(Deserialize)]
struct Dense {
    values: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    rate: f32,
    decay: f32,
    path: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct Sparse {
    rows: usize,
    width: usize,
    rate: f32,
    table: Vec<f32>,
    r#final: Vec<f32>,
    steps: Vec<Touch>,
}

#[derive(Deserialize)]
struct Touch {
    row: usize,
    gradient: Vec<f32>,
}

#[test]
fn every_step_of_adam_agrees() {
    for case in golden::<AdamFile>("adam.json").dense {
        let mut values = case.values;
        let mut adam = Adam::new(values.len());
        for (step, (gradient, expected)) in case.gradients.iter().zip(&case.path).enumerate() {
            adam.step(&mut values, gradient, case.rate, case.decay);
            close(&format!("step {step}"), &values, expected, TOLERANCE);
        }
    }
}

#[test]
fn sparse_adam_counts_each_rows_own_steps() {
    let case = golden::<AdamFile>("adam.json").sparse;
    let mut table = case.table.clone();
    let mut adam = SparseAdam::new(case.rows, case.width);
    for touch in &case.steps {
        adam.step(&mut table, touch.row, &touch.gradient, case.rate);
    }
    close("table", &table, &case.r#final, TOLERANCE);
    let untouched = (case.rows - 1) * case.width..;
    assert_eq!(table[untouched.clone()], case.table[untouched]);
}

#[test]
fn a_saved_optimiser_goes_on_as_if_nothing_had_happened() {
    let file = golden::<AdamFile>("adam.json");
    let case = &file.dense[0];
    let mut values = case.values.clone();
    let mut adam = Adam::new(values.len());
    for gradient in &case.gradients {
        let mut saved = Default::default();
        adam.write("a", &mut saved);
        adam = Adam::read("a", values.len(), &saved).unwrap().unwrap();
        adam.step(&mut values, gradient, case.rate, case.decay);
    }
    close("values", &values, case.path.last().unwrap(), TOLERANCE);

    let case = &file.sparse;
    let mut table = case.table.clone();
    let mut adam = SparseAdam::new(case.rows, case.width);
    for touch in &case.steps {
        let mut saved = Default::default();
        adam.write("a", &mut saved);
        adam = SparseAdam::read("a", case.rows, case.width, &saved).unwrap();
        adam.step(&mut table, touch.row, &touch.gradient, case.rate);
    }
    close("table", &table, &case.r#final, TOLERANCE);
}
