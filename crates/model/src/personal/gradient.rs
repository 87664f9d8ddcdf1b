//! The gradient of a fine-tuning step by hand: three small parameters need no automatic one.
//!
//! With `u = s + (s · down) · up + taste` and `q = u / √(|u|² + ε)`, the softmax of a row gives
//! `∂L/∂q = Σ (weight · chance − wanted) · v / T`; the normalisation takes away what points along `q`:
//! `∂L/∂u = (∂L/∂q − q (q · ∂L/∂q)) / √(|u|² + ε)`.

use onshelf_core::slices::{add_product, add_scaled, dot, softmax};

use super::{Lesson, Personal, Sample};
use crate::error::ModelError;
use crate::student::Student;

const EPSILON: f32 = 1e-6;

/// What the rows of a lesson ask for.
struct Rows {
    /// `session · down` of each row, `[rows, rank]`.
    inner: Vec<f32>,
    /// Normalised, `[rows, dim]`.
    queries: Vec<f32>,
    /// Their lengths before that.
    norms: Vec<f32>,
}

/// Loss (nats a click) and its gradient by `down`, `up` and `taste`, one behind the other.
pub(super) async fn gradient(
    personal: &Personal,
    student: &Student,
    lesson: &Lesson,
    sample: &Sample,
    proximal: f32,
) -> Result<(f64, Vec<f32>), ModelError> {
    let rows = rows(personal, lesson, student.shape().dim);
    let scale = 1.0 / student.shape().temperature;
    let (loss, slopes) = slopes(student, &rows, sample, scale).await?;
    let mut all = by_parameters(personal, lesson, &rows, &slopes);
    pull(&mut all, personal, student, proximal);
    Ok((loss, all))
}

fn rows(personal: &Personal, lesson: &Lesson, dim: usize) -> Rows {
    let (adapter, count) = (&personal.adapter, lesson.rows());
    let rank = adapter.rank();
    let mut rows =
        Rows { inner: vec![0.0; count * rank], queries: lesson.sessions.clone(), norms: Vec::new() };
    let parts = rows.inner.chunks_exact_mut(rank).zip(rows.queries.chunks_exact_mut(dim));
    for (row, (inner, query)) in parts.enumerate() {
        add_product(inner, lesson.session(row, dim), &adapter.down);
        add_product(query, inner, &adapter.up);
        add_scaled(query, 1.0, &personal.taste);
        let norm = (dot(query, query) + EPSILON).sqrt();
        query.iter_mut().for_each(|x| *x /= norm);
        rows.norms.push(norm);
    }
    rows
}

/// The loss, and its slope by each row's query: on the GPU where there is one with room for it.
async fn slopes(
    student: &Student,
    rows: &Rows,
    sample: &Sample,
    scale: f32,
) -> Result<(f64, Vec<f32>), ModelError> {
    #[cfg(feature = "webgpu")]
    if let Some(gpu) = student.lessons().filter(|gpu| gpu.fits(rows.norms.len(), sample.items.len())) {
        let rows = crate::gpu::Rows {
            queries: &rows.queries,
            items: &sample.items,
            offsets: &sample.offsets,
            wanted: &sample.wanted,
            scale,
        };
        let (losses, slopes) = gpu.slopes(&rows).await?;
        return Ok((losses.iter().map(|l| f64::from(*l)).sum(), slopes));
    }
    Ok(slopes_here(rows, sample, student.shape().dim, scale))
}

fn slopes_here(rows: &Rows, sample: &Sample, dim: usize, scale: f32) -> (f64, Vec<f32>) {
    let count = sample.items.len();
    let mut slopes = vec![0.0; rows.queries.len()];
    let mut loss = 0.0_f64;
    let mut chances = Vec::with_capacity(count);
    let parts = rows.queries.chunks_exact(dim).zip(slopes.chunks_exact_mut(dim));
    for (row, (query, slope)) in parts.enumerate() {
        let own = row * count..(row + 1) * count;
        let (offsets, wanted) = (&sample.offsets[own.clone()], &sample.wanted[own]);
        let candidates = sample.vectors.chunks_exact(dim);
        chances.clear();
        chances.extend(candidates.clone().zip(offsets).map(|(v, o)| scale * dot(v, query) + o));
        let weight: f32 = wanted.iter().sum();
        let scored: f64 = chances.iter().zip(wanted).map(|(s, w)| f64::from(*w) * f64::from(*s)).sum();
        loss += f64::from(weight) * f64::from(softmax(&mut chances)) - scored;
        for ((vector, chance), wanted) in candidates.zip(&chances).zip(wanted) {
            add_scaled(slope, scale * (weight * chance - wanted), vector);
        }
    }
    (loss, slopes)
}

/// From the slopes by the queries to those by `down`, `up` and `taste`.
fn by_parameters(personal: &Personal, lesson: &Lesson, rows: &Rows, slopes: &[f32]) -> Vec<f32> {
    let (dim, rank) = (personal.taste.len(), personal.adapter.rank());
    let mut all = vec![0.0; 2 * dim * rank + dim];
    let (by_down, rest) = all.split_at_mut(dim * rank);
    let (by_up, by_taste) = rest.split_at_mut(rank * dim);
    for (row, slope) in slopes.chunks_exact(dim).enumerate() {
        let query = &rows.queries[row * dim..(row + 1) * dim];
        let along = dot(query, slope);
        let mut slope = slope.to_vec();
        add_scaled(&mut slope, -along, query);
        slope.iter_mut().for_each(|x| *x /= rows.norms[row]);
        add_scaled(by_taste, 1.0, &slope);
        let inner = &rows.inner[row * rank..(row + 1) * rank];
        for (r, up) in personal.adapter.up.chunks_exact(dim).enumerate() {
            add_scaled(&mut by_up[r * dim..(r + 1) * dim], inner[r], &slope);
            let by_inner = dot(up, &slope);
            let session = lesson.session(row, dim);
            by_down.iter_mut().skip(r).step_by(rank).zip(session).for_each(|(g, s)| *g += by_inner * s);
        }
    }
    all
}

/// Adds the pull towards the shipped student.
fn pull(all: &mut [f32], personal: &Personal, student: &Student, proximal: f32) {
    let (adapter, base) = (&personal.adapter, student.base());
    let own = adapter.down.iter().chain(&adapter.up).chain(&personal.taste);
    let home = base.down.iter().chain(&base.up).copied().chain(std::iter::repeat(0.0));
    all.iter_mut().zip(own.zip(home)).for_each(|(g, (x, h))| *g += proximal * (x - h));
}
