//! The gradient of a fine-tuning step by hand: three small parameters need no automatic one.
//!
//! With `u = s + (s · down) · up + taste` and `q = u / √(|u|² + ε)`, the softmax of a row gives
//! `∂L/∂q = Σ (weight · chance − wanted) · v / T`; the normalisation takes away what points along `q`:
//! `∂L/∂u = (∂L/∂q − q (q · ∂L/∂q)) / √(|u|² + ε)`.

use onshelf_core::slices::{add_product, add_scaled, dot, softmax};
use onshelf_core::version::FineTuneConfig;
#[cfg(feature = "training")]
use rand::{Rng, RngExt};

use super::{Lesson, Personal, Sample};
use crate::error::ModelError;
use crate::student::Student;

const EPSILON: f32 = 1e-6;

/// A session vector on its way through the adapter.
struct Row<'a> {
    session: &'a [f32],
    /// `s · down`
    inner: Vec<f32>,
    /// `q`
    query: Vec<f32>,
    /// `√(|u|² + ε)`
    norm: f32,
}

impl<'a> Row<'a> {
    fn new(personal: &Personal, session: &'a [f32]) -> Self {
        let mut inner = vec![0.0; personal.adapter.rank()];
        add_product(&mut inner, session, &personal.adapter.down);
        let mut query = session.to_vec();
        add_product(&mut query, &inner, &personal.adapter.up);
        add_scaled(&mut query, 1.0, &personal.taste);
        let norm = (dot(&query, &query) + EPSILON).sqrt();
        query.iter_mut().for_each(|x| *x /= norm);
        Self { session, inner, query, norm }
    }

    /// `∂L/∂q`, where `pulls` are `∂L/∂logit` of the candidates.
    fn slope(&self, vectors: &[f32], pulls: impl Iterator<Item = f32>, scale: f32) -> Vec<f32> {
        let mut slope = vec![0.0; self.query.len()];
        for (vector, pull) in vectors.chunks_exact(self.query.len()).zip(pulls) {
            add_scaled(&mut slope, scale * pull, vector);
        }
        slope
    }

    /// Logits of the candidates whose `offsets` these are.
    fn logits(&self, vectors: &[f32], offsets: &[f32], scale: f32, out: &mut Vec<f32>) {
        let candidates = vectors.chunks_exact(self.query.len()).zip(offsets);
        out.clear();
        out.extend(candidates.map(|(v, o)| scale * dot(v, &self.query) + o));
    }
}

/// `∂L/∂down`, `∂L/∂up`, `∂L/∂taste`.
struct Slopes([Vec<f32>; 3]);

impl Slopes {
    fn none(dim: usize, rank: usize) -> Self {
        Self([vec![0.0; dim * rank], vec![0.0; rank * dim], vec![0.0; dim]])
    }

    /// Adds a row's share: `slope` is `∂L/∂q`.
    fn add(&mut self, personal: &Personal, row: &Row<'_>, mut slope: Vec<f32>) {
        let (dim, rank) = (row.query.len(), row.inner.len());
        let along = dot(&row.query, &slope);
        add_scaled(&mut slope, -along, &row.query);
        slope.iter_mut().for_each(|x| *x /= row.norm);

        let [by_down, by_up, by_taste] = &mut self.0;
        add_scaled(by_taste, 1.0, &slope);
        for (r, up) in personal.adapter.up.chunks_exact(dim).enumerate() {
            add_scaled(&mut by_up[r * dim..(r + 1) * dim], row.inner[r], &slope);
            let by_inner = dot(up, &slope);
            let column = by_down.iter_mut().skip(r).step_by(rank);
            column.zip(row.session).for_each(|(g, s)| *g += by_inner * s);
        }
    }
}

/// Loss (nats a click) and its gradient by `down`, `up` and `taste`, one behind the other.
pub(super) async fn gradient(
    personal: &Personal,
    student: &Student,
    lesson: &Lesson,
    sample: &Sample,
    proximal: f32,
) -> Result<(f64, Vec<f32>), ModelError> {
    let dim = student.shape().dim;
    let scale = 1.0 / student.shape().temperature;
    let rows: Vec<Row<'_>> =
        (0..lesson.rows()).map(|at| Row::new(personal, lesson.session(at, dim))).collect();
    let (loss, by_queries) = by_queries(student, &rows, sample, scale).await?;
    let mut slopes = Slopes::none(dim, personal.adapter.rank());
    rows.iter().zip(by_queries).for_each(|(row, slope)| slopes.add(personal, row, slope));
    let base = student.base();
    let pull = |gradient: &mut [f32], own: &[f32], home: &[f32]| {
        gradient.iter_mut().zip(own.iter().zip(home)).for_each(|(g, (x, h))| *g += proximal * (x - h));
    };
    let [mut by_down, mut by_up, mut by_taste] = slopes.0;
    pull(&mut by_down, &personal.adapter.down, &base.down);
    pull(&mut by_up, &personal.adapter.up, &base.up);
    add_scaled(&mut by_taste, proximal, &personal.taste);
    Ok((loss, [by_down, by_up, by_taste].concat()))
}

/// The loss (nats a click) and `∂L/∂q` of each row: on the GPU where there is one with room for it.
async fn by_queries(
    student: &Student,
    rows: &[Row<'_>],
    sample: &Sample,
    scale: f32,
) -> Result<(f64, Vec<Vec<f32>>), ModelError> {
    #[cfg(feature = "webgpu")]
    if let Some(gpu) = student.lessons().filter(|gpu| gpu.fits(rows.len(), sample.items.len())) {
        let queries: Vec<f32> = rows.iter().flat_map(|row| row.query.iter().copied()).collect();
        let rows = crate::gpu::Rows {
            queries: &queries,
            items: &sample.items,
            offsets: &sample.offsets,
            wanted: &sample.wanted,
            scale,
        };
        let (losses, slopes) = gpu.slopes(&rows).await?;
        return Ok((losses.iter().map(|l| f64::from(*l)).sum(), slopes));
    }
    #[cfg(not(feature = "webgpu"))]
    let _ = student;
    Ok(by_queries_here(rows, sample, scale))
}

fn by_queries_here(rows: &[Row<'_>], sample: &Sample, scale: f32) -> (f64, Vec<Vec<f32>>) {
    let count = sample.items.len();
    let mut loss = 0.0_f64;
    let mut chances = Vec::with_capacity(count);
    let mut slopes = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let own = at * count..(at + 1) * count;
        let (offsets, wanted) = (&sample.offsets[own.clone()], &sample.wanted[own]);
        row.logits(&sample.vectors, offsets, scale, &mut chances);
        let weight: f32 = wanted.iter().sum();
        let scored: f64 = chances.iter().zip(wanted).map(|(s, w)| f64::from(*w) * f64::from(*s)).sum();
        loss += f64::from(weight) * f64::from(softmax(&mut chances)) - scored;
        let pulls = chances.iter().zip(wanted).map(|(chance, wanted)| weight * chance - wanted);
        slopes.push(row.slope(&sample.vectors, pulls, scale));
    }
    (loss, slopes)
}

/// Elastic weight consolidation (Kirkpatrick et al., PNAS 2017): the adapter's part of `gradient`, which holds
/// the pull `proximal · (θ − base)`, gets `ewc · F · (θ − base)` in its place, where `F` is the diagonal Fisher
/// information. The taste vector has none and keeps its pull.
pub(super) fn consolidate(
    personal: &Personal,
    student: &Student,
    fisher: &[f32],
    config: &FineTuneConfig,
    gradient: &mut [f32],
) {
    let (own, base) = (&personal.adapter, student.base());
    let away = own.down.iter().zip(&base.down).chain(own.up.iter().zip(&base.up)).map(|(x, home)| x - home);
    for ((gradient, fisher), away) in gradient.iter_mut().zip(fisher).zip(away) {
        *gradient += (config.ewc * fisher - config.proximal) * away;
    }
}

/// Adds, for each row of a lesson, the squared gradient by `down` and `up` of the loss of an item that is drawn
/// from the model's own chances: from the clicks themselves it would not be the Fisher information (Kunstner,
/// Balles & Hennig, NeurIPS 2019).
#[cfg(feature = "training")]
pub(super) fn add_information(
    personal: &Personal,
    student: &Student,
    lesson: &Lesson,
    sample: &Sample,
    rng: &mut impl Rng,
    sum: &mut [f64],
) {
    let (dim, rows) = (student.shape().dim, lesson.rows());
    let scale = 1.0 / student.shape().temperature;
    let count = sample.offsets.len() / rows;
    let mut chances = Vec::with_capacity(count);
    for at in 0..rows {
        let row = Row::new(personal, lesson.session(at, dim));
        row.logits(&sample.vectors, &sample.offsets[at * count..(at + 1) * count], scale, &mut chances);
        softmax(&mut chances);
        let mut left: f32 = rng.random();
        let drawn = chances.iter().position(|chance| {
            left -= chance;
            left < 0.0
        });
        let drawn = drawn.unwrap_or(count - 1);
        let mut slopes = Slopes::none(dim, personal.adapter.rank());
        let pulls = chances.iter().enumerate().map(|(at, c)| if at == drawn { c - 1.0 } else { *c });
        slopes.add(personal, &row, row.slope(&sample.vectors, pulls, scale));
        let [down, up, _] = &slopes.0;
        let both = down.iter().chain(up);
        sum.iter_mut().zip(both).for_each(|(sum, slope)| *sum += f64::from(*slope).powi(2));
    }
}
