//! Adam (Kingma & Ba, ICLR 2015) over plain slices.
//!
//! Parameters live in CPU memory, so the optimiser does too: on a device the gradients of a step
//! come back in one read, and item rows can be updated sparsely. `tests` check it against Burn's.

use onshelf_core::weights::{Tensor, Weights};

use crate::error::ModelError;

/// Decay of the first moment.
pub const BETA1: f32 = 0.9;
/// Decay of the second moment.
pub const BETA2: f32 = 0.999;
/// Added to the denominator.
pub const EPSILON: f32 = 1e-8;

/// Moments of one parameter vector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Adam {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

impl Adam {
    /// No moments yet, for `n` parameters.
    #[must_use]
    pub fn new(n: usize) -> Self {
        Self { first: vec![0.0; n], second: vec![0.0; n], steps: 0 }
    }

    /// Adds the moments as tensors `<name>.first`, `<name>.second` and `<name>.steps`.
    pub fn write(&self, name: &str, out: &mut Weights) {
        put(out, format!("{name}.first"), &self.first);
        put(out, format!("{name}.second"), &self.second);
        put(out, format!("{name}.steps"), &[self.steps as f32]);
    }

    /// Reads what [`Self::write`] added, for `n` parameters; `None` where there is nothing.
    ///
    /// # Errors
    /// [`ModelError::Weights`] where the lengths differ.
    pub fn read(name: &str, n: usize, saved: &Weights) -> Result<Option<Self>, ModelError> {
        if !saved.floats.contains_key(&format!("{name}.first")) {
            return Ok(None);
        }
        let values = |part: &str, n: usize| {
            Ok::<_, ModelError>(saved.get(&format!("{name}.{part}"), &[n])?.values.clone())
        };
        Ok(Some(Self {
            first: values("first", n)?,
            second: values("second", n)?,
            steps: values("steps", 1)?[0] as i32,
        }))
    }

    /// One step on all parameters, with decoupled weight decay (`decay` 0: none).
    #[inline]
    pub fn step(&mut self, values: &mut [f32], gradient: &[f32], rate: f32, decay: f32) {
        self.steps += 1;
        let scale = step_scale(self.steps, rate);
        let moments = self.first.iter_mut().zip(&mut self.second);
        for ((value, g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
            *value -= rate * decay * *value;
            *value -= update(m, v, *g) * scale;
        }
    }
}

/// Moments of a table of rows of which each step touches a few ("lazy Adam"): rows that were not
/// touched keep their moments, and the bias correction counts each row's own steps.
#[derive(Clone, Debug)]
pub struct SparseAdam {
    width: usize,
    first: Vec<f32>,
    second: Vec<f32>,
    steps: Vec<i32>,
}

impl SparseAdam {
    /// No moments yet, for `rows` rows of `width` parameters.
    #[must_use]
    pub fn new(rows: usize, width: usize) -> Self {
        Self { width, first: vec![0.0; rows * width], second: vec![0.0; rows * width], steps: vec![0; rows] }
    }

    /// Adds the moments as tensors, as [`Adam::write`].
    pub fn write(&self, name: &str, out: &mut Weights) {
        put(out, format!("{name}.first"), &self.first);
        put(out, format!("{name}.second"), &self.second);
        let steps: Vec<f32> = self.steps.iter().map(|&s| s as f32).collect();
        put(out, format!("{name}.steps"), &steps);
    }

    /// Reads what [`Self::write`] added.
    ///
    /// # Errors
    /// [`ModelError::Weights`] where something is missing or the lengths differ.
    pub fn read(name: &str, rows: usize, width: usize, saved: &Weights) -> Result<Self, ModelError> {
        let values = |part: &str, n: usize| {
            Ok::<_, ModelError>(saved.get(&format!("{name}.{part}"), &[n])?.values.clone())
        };
        let steps = values("steps", rows)?.into_iter().map(|s| s as i32).collect();
        Ok(Self {
            width,
            first: values("first", rows * width)?,
            second: values("second", rows * width)?,
            steps,
        })
    }

    /// One step on row `row` of `table`.
    pub fn step(&mut self, table: &mut [f32], row: usize, gradient: &[f32], rate: f32) {
        self.rows(table).step(row, gradient, rate);
    }

    /// All rows of `table`, which must have as many, to step on.
    pub fn rows<'a>(&'a mut self, table: &'a mut [f32]) -> AdamRows<'a> {
        AdamRows {
            width: self.width,
            start: 0,
            table,
            first: &mut self.first,
            second: &mut self.second,
            steps: &mut self.steps,
        }
    }
}

/// Rows of a table with their moments. They can be split, so that threads step on disjoint ones.
pub struct AdamRows<'a> {
    width: usize,
    start: usize,
    table: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    steps: &'a mut [i32],
}

impl<'a> AdamRows<'a> {
    /// The rows before `row`, and those from it on.
    #[must_use]
    pub fn split_at(self, row: usize) -> (Self, Self) {
        let (width, start) = (self.width, self.start);
        let at = row - start;
        let (table, table_end) = self.table.split_at_mut(at * width);
        let (first, first_end) = self.first.split_at_mut(at * width);
        let (second, second_end) = self.second.split_at_mut(at * width);
        let (steps, steps_end) = self.steps.split_at_mut(at);
        (
            Self { width, start, table, first, second, steps },
            Self {
                width,
                start: row,
                table: table_end,
                first: first_end,
                second: second_end,
                steps: steps_end,
            },
        )
    }

    /// A row of the table, by its number in the whole table.
    #[inline]
    pub fn row(&mut self, row: usize) -> &mut [f32] {
        let at = row - self.start;
        &mut self.table[at * self.width..(at + 1) * self.width]
    }

    /// One step on a row.
    #[inline]
    pub fn step(&mut self, row: usize, gradient: &[f32], rate: f32) {
        let at = row - self.start;
        self.steps[at] += 1;
        let scale = step_scale(self.steps[at], rate);
        let range = at * self.width..(at + 1) * self.width;
        let moments = self.first[range.clone()].iter_mut().zip(&mut self.second[range.clone()]);
        for ((value, g), (m, v)) in self.table[range].iter_mut().zip(gradient).zip(moments) {
            *value -= update(m, v, *g) * scale;
        }
    }
}

fn put(out: &mut Weights, name: String, values: &[f32]) {
    out.floats.insert(name, Tensor { shape: vec![values.len()], values: values.to_vec() });
}

/// Updates the moments and gives the step without learning rate and bias correction.
#[inline(always)]
fn update(m: &mut f32, v: &mut f32, g: f32) -> f32 {
    *m = BETA1 * *m + (1.0 - BETA1) * g;
    *v = BETA2 * *v + (1.0 - BETA2) * g * g;
    *m / (v.sqrt() + EPSILON)
}

/// The learning rate with both bias corrections (the efficient form of the paper's section 2).
fn step_scale(steps: i32, rate: f32) -> f32 {
    rate * (1.0 - BETA2.powi(steps)).sqrt() / (1.0 - BETA1.powi(steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::{Module, Param};
    use burn::optim::{AdamConfig, GradientsParams};
    use burn::tensor::{Device, Tensor, TensorData};

    #[derive(Module, Debug)]
    struct Line {
        w: Param<Tensor<1>>,
    }

    #[test]
    fn agrees_with_burns_adam() {
        let device = Device::flex().autodiff();
        let start = [0.5_f32, -1.0, 2.0];
        let mut module = Line { w: Param::from_data(TensorData::from(start), &device) };
        let mut burns = AdamConfig::new().with_epsilon(EPSILON).init();
        let mut ours = Adam::new(3);
        let mut values = start.to_vec();
        for _ in 0..20 {
            // d/dw of sum(w^2 * [1, 2, 3])
            let gradient: Vec<f32> = values.iter().zip([1.0, 2.0, 3.0]).map(|(w, c)| 2.0 * c * w).collect();
            ours.step(&mut values, &gradient, 0.05, 0.0);
            let c = Tensor::<1>::from_floats([1.0, 2.0, 3.0], &device);
            let loss = (module.w.val().square() * c).sum();
            let grads = GradientsParams::from_grads(loss.backward(), &module);
            module = burns.step(0.05, module, grads);
        }
        let expected = module.w.val().into_data().try_into_vec_as::<f32>().unwrap();
        for (a, b) in values.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn a_sparse_row_moves_as_a_dense_vector() {
        let (mut dense, mut sparse) = (Adam::new(2), SparseAdam::new(3, 2));
        let mut vector = vec![1.0, -1.0];
        let mut table = vec![9.0, 9.0, 1.0, -1.0, 9.0, 9.0];
        for step in 0..5 {
            let g = [0.3 * step as f32, -0.1];
            dense.step(&mut vector, &g, 0.01, 0.0);
            sparse.step(&mut table, 1, &g, 0.01);
        }
        assert_eq!(&table[2..4], &vector[..]);
        assert_eq!((table[0], table[5]), (9.0, 9.0));
    }
}
