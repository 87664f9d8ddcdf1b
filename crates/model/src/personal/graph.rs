//! The same gradient on a device of Burn's, in one read.

use burn::tensor::{Device, Tensor, TensorData, activation};

use super::{Lesson, Personal, Sample};
use crate::error::ModelError;
use crate::student::{Student, read};

/// Loss (nats a click) and its gradient by `down`, `up` and `taste`, one behind the other.
pub(super) async fn gradient(
    personal: &Personal,
    student: &Student,
    lesson: &Lesson,
    sample: &Sample,
    proximal: f32,
    device: &Device,
) -> Result<(f64, Vec<f32>), ModelError> {
    let device = device.clone().autodiff();
    let (dim, rank, rows) = (student.shape().dim, personal.adapter.rank(), lesson.rows());
    let two = |values: &[f32], a: usize, b: usize| {
        Tensor::<2>::from_data(TensorData::new(values.to_vec(), [a, b]), &device)
    };
    let down = two(&personal.adapter.down, dim, rank).require_grad();
    let up = two(&personal.adapter.up, rank, dim).require_grad();
    let taste = two(&personal.taste, 1, dim).require_grad();
    let session = two(&lesson.sessions, rows, dim);
    let query = session.clone() + session.matmul(down.clone()).matmul(up.clone()) + taste.clone();
    let norm = ((query.clone() * query.clone()).sum_dim(1) + 1e-6).sqrt();
    let query = query / norm;
    let count = sample.offsets.len() / rows;
    let logits = query.matmul(two(&sample.vectors, count, dim).transpose()) / student.shape().temperature
        + two(&sample.offsets, rows, count);
    let chances = activation::log_softmax(logits, 1);
    let fit = (chances * two(&sample.wanted, rows, count)).sum() * -1.0;
    let base = student.base();
    let far = (down.clone() - two(&base.down, dim, rank)).square().sum()
        + (up.clone() - two(&base.up, rank, dim)).square().sum()
        + taste.clone().square().sum();
    let loss = fit.clone() + far * (proximal * 0.5);
    let grads = loss.backward();
    let flat = |t: &Tensor<2>| {
        t.grad(&grads).map(|g| {
            let n = g.dims().iter().product::<usize>();
            g.reshape([n])
        })
    };
    let parts: Option<Vec<Tensor<1>>> =
        [flat(&down), flat(&up), flat(&taste), Some(fit.inner())].into_iter().collect();
    let parts = parts.ok_or_else(|| ModelError::Device("no gradient came back".into()))?;
    let mut all = read(Tensor::cat(parts, 0)).await?;
    let loss = all.pop().unwrap_or(f32::NAN);
    Ok((f64::from(loss), all))
}
