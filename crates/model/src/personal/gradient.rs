//! The gradient of a fine-tuning step by hand: three small parameters need no automatic one.
//!
//! With `u = s + (s · down) · up + taste` and `q = u / √(|u|² + ε)`, the softmax of a row gives
//! `∂L/∂q = Σ (weight · chance − wanted) · v / T`; the normalisation takes away what points along `q`:
//! `∂L/∂u = (∂L/∂q − q (q · ∂L/∂q)) / √(|u|² + ε)`.

use onshelf_core::slices::{add_product, add_scaled, dot, softmax};

use super::{Lesson, Personal, Sample};
use crate::student::Student;

const EPSILON: f32 = 1e-6;

/// Loss (nats a click) and its gradient by `down`, `up` and `taste`, one behind the other.
pub(super) fn gradient(
    personal: &Personal,
    student: &Student,
    lesson: &Lesson,
    sample: &Sample,
    proximal: f32,
) -> (f64, Vec<f32>) {
    let (dim, rank, rows) = (student.shape().dim, personal.adapter.rank(), lesson.rows());
    let scale = 1.0 / student.shape().temperature;
    let count = sample.offsets.len() / rows;
    let adapter = &personal.adapter;
    let (mut by_down, mut by_up) = (vec![0.0; dim * rank], vec![0.0; rank * dim]);
    let mut by_taste = vec![0.0; dim];
    let mut loss = 0.0_f64;
    let mut chances = Vec::with_capacity(count);
    for row in 0..rows {
        let session = lesson.session(row, dim);
        let mut inner = vec![0.0; rank];
        add_product(&mut inner, session, &adapter.down);
        let mut query = session.to_vec();
        add_product(&mut query, &inner, &adapter.up);
        add_scaled(&mut query, 1.0, &personal.taste);
        let norm = (dot(&query, &query) + EPSILON).sqrt();
        query.iter_mut().for_each(|x| *x /= norm);

        let own = row * count..(row + 1) * count;
        let (offsets, wanted) = (&sample.offsets[own.clone()], &sample.wanted[own]);
        let candidates = sample.vectors.chunks_exact(dim);
        chances.clear();
        chances.extend(candidates.clone().zip(offsets).map(|(v, o)| scale * dot(v, &query) + o));
        let weight: f32 = wanted.iter().sum();
        let scored: f64 = chances.iter().zip(wanted).map(|(s, w)| f64::from(*w) * f64::from(*s)).sum();
        loss += f64::from(weight) * f64::from(softmax(&mut chances)) - scored;

        let mut slope = vec![0.0; dim];
        for ((vector, chance), wanted) in candidates.zip(&chances).zip(wanted) {
            add_scaled(&mut slope, scale * (weight * chance - wanted), vector);
        }
        let along = dot(&query, &slope);
        add_scaled(&mut slope, -along, &query);
        slope.iter_mut().for_each(|x| *x /= norm);

        add_scaled(&mut by_taste, 1.0, &slope);
        for (r, up) in adapter.up.chunks_exact(dim).enumerate() {
            add_scaled(&mut by_up[r * dim..(r + 1) * dim], inner[r], &slope);
            let by_inner = dot(up, &slope);
            by_down.iter_mut().skip(r).step_by(rank).zip(session).for_each(|(g, s)| *g += by_inner * s);
        }
    }
    let base = student.base();
    let pull = |gradient: &mut [f32], own: &[f32], home: &[f32]| {
        gradient.iter_mut().zip(own.iter().zip(home)).for_each(|(g, (x, h))| *g += proximal * (x - h));
    };
    pull(&mut by_down, &adapter.down, &base.down);
    pull(&mut by_up, &adapter.up, &base.up);
    add_scaled(&mut by_taste, proximal, &personal.taste);
    (loss, [by_down, by_up, by_taste].concat())
}
