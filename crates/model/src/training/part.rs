//! A step on some of a batch's sessions: forward, loss and backward on one thread.
//!
//! Most operations of an encoder this small are too short to be worth spreading over threads one
//! by one, so a batch is cut into parts that run side by side from start to end. Their number
//! depends on the batch alone and their results are added in order: the same seed gives the same
//! bytes on any number of threads.

use std::ops::Range;

use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::batch::Batch;
use super::items::ItemSource;
use super::loss::{Loss, LossOut};
use super::network::{slice, values};
use crate::encoder::{Encoder, SessionBatch};
use crate::error::ModelError;

/// Clicks of a part: enough for matrix products, few enough for a processor's own cache.
const CLICKS: usize = 256;

/// Sessions of a batch and the predicted positions in them.
pub(super) struct Part {
    sessions: Range<usize>,
    positions: Range<usize>,
}

/// What every part reads.
pub(super) struct Shared<'a, I> {
    pub encoder: &'a Encoder,
    pub device: &'a Device,
    pub dim: usize,
    pub items: &'a I,
    /// Vectors of the candidates, `[candidates, dim]`.
    pub vectors: &'a Tensor<2>,
    pub loss: Loss<'a>,
    pub dropout: f32,
}

/// Gradients that one part adds.
pub(super) struct PartOut {
    pub loss: LossOut,
    /// By the encoder's parameters.
    pub encoder: Vec<(String, TensorData)>,
    /// By the vectors of the candidates.
    pub vectors: TensorData,
    /// By the vectors of the clicked items, `[clicks, dim]`.
    pub inputs: TensorData,
    /// The clicked items.
    pub clicks: Range<usize>,
}

impl Part {
    /// Cuts a batch.
    pub(super) fn of(batch: &Batch) -> Vec<Self> {
        let (sessions, length) = (batch.input.sessions, batch.input.length.max(1));
        let each = sessions.div_ceil((sessions * length).div_ceil(CLICKS).max(1)).max(1);
        (0..sessions)
            .step_by(each)
            .map(|first| {
                let sessions = first..(first + each).min(sessions);
                let position = |session: usize| batch.rows.partition_point(|&r| r < session * length);
                let positions = position(sessions.start)..position(sessions.end);
                Self { sessions, positions }
            })
            .filter(|part| !part.positions.is_empty())
            .collect()
    }

    /// Runs the part. `rng` draws the dropout.
    pub(super) fn run<I: ItemSource>(
        &self,
        shared: &Shared<'_, I>,
        rng: &mut ChaCha8Rng,
    ) -> Result<PartOut, ModelError> {
        let (batch, dim) = (shared.loss.batch, shared.dim);
        let length = batch.input.length;
        let clicks = self.sessions.start * length..self.sessions.end * length;
        let input = SessionBatch {
            sessions: self.sessions.len(),
            length,
            kinds: batch.input.kinds[clicks.clone()].to_vec(),
            gaps: batch.input.gaps[clicks.clone()].to_vec(),
        };
        // Forward through the encoder, with the items' vectors as leaves.
        let mut plain = Vec::with_capacity(clicks.len() * dim);
        batch.items[clicks.clone()].iter().for_each(|&i| shared.items.push_vector(i, &mut plain));
        let shape = [input.sessions, length, dim];
        let plain = Tensor::<3>::from_data(TensorData::new(plain, shape), shared.device).require_grad();
        let noisy = if shared.dropout > 0.0 {
            let mask = dropout_mask(clicks.len() * dim, shared.dropout, rng);
            plain.clone() * Tensor::from_data(TensorData::new(mask, shape), shared.device)
        } else {
            plain.clone()
        };
        let encoder = shared.encoder.track();
        let all = encoder.forward(plain.clone(), noisy, &input).reshape([clicks.len(), dim]);

        // Scores of the predicted positions against the candidates, softmax and its gradient.
        let sessions = values(all.clone().inner())?;
        let row = |at: usize| (batch.rows[at] - clicks.start) * dim;
        let mut rows = Vec::with_capacity(self.positions.len() * dim);
        for at in self.positions.clone() {
            rows.extend_from_slice(&slice(&sessions)?[row(at)..row(at) + dim]);
        }
        let cpu = shared.device.clone().inner();
        let rows = Tensor::<2>::from_data(TensorData::new(rows, [self.positions.len(), dim]), &cpu);
        let mut scores = values(rows.clone().matmul(shared.vectors.clone().transpose()))?;
        let loss = shared.loss.gradient(self.positions.clone(), slice_mut(&mut scores)?);
        let gradient = Tensor::<2>::from_data(scores, &cpu);
        let scale = 1.0 / shared.loss.temperature;
        let vectors = values(gradient.clone().transpose().matmul(rows) * scale)?;
        let row_gradient = values(gradient.matmul(shared.vectors.clone()) * scale)?;

        // Back through the encoder: the inner product with a constant has that constant as gradient.
        let mut upstream = vec![0.0; clicks.len() * dim];
        for (at, g) in self.positions.clone().zip(slice(&row_gradient)?.chunks_exact(dim)) {
            upstream[row(at)..row(at) + dim].copy_from_slice(g);
        }
        let upstream = Tensor::<2>::from_data(TensorData::new(upstream, [clicks.len(), dim]), shared.device);
        let grads = (all * upstream).sum().backward();
        let parameters = encoder.gradients(&grads);
        let parameters = parameters.into_iter().map(|(name, g)| Ok((name, values(g)?)));
        let inputs = plain.grad(&grads).ok_or_else(|| ModelError::Device("no gradient came back".into()))?;
        Ok(PartOut {
            loss,
            encoder: parameters.collect::<Result<_, ModelError>>()?,
            vectors,
            inputs: values(inputs)?,
            clicks,
        })
    }
}

/// 0 for a share of `dropout` of the elements, for the others what keeps the mean. Two elements of
/// 16 bits from each random word: the share is exact to 1/65536.
fn dropout_mask(n: usize, dropout: f32, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let limit = (f64::from(dropout) * 65_536.0).round().min(65_535.0) as u16;
    let kept = 65_536.0 / (65_536.0 - f32::from(limit));
    let mut bytes = vec![0; 2 * n];
    rng.fill_bytes(&mut bytes);
    let draw = |b: &[u8]| u16::from_le_bytes([b[0], b[1]]);
    bytes.chunks_exact(2).map(|b| if draw(b) < limit { 0.0 } else { kept }).collect()
}

fn slice_mut(data: &mut TensorData) -> Result<&mut [f32], ModelError> {
    data.as_mut_slice().map_err(|e| ModelError::Device(e.to_string()))
}
