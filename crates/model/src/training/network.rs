//! A trained encoder with a full-precision item table: the teacher's neural part.

use burn::tensor::{Device, Tensor, TensorData};
use onshelf_core::version::StudentShape;
use onshelf_core::weights::{self, Weights};
use rayon::prelude::*;

use super::batch::Batch;
use super::items::ItemSource;
use super::wide::wide;
use crate::encoder::{self, Encoder, REPEAT, boost_repeats};
use crate::error::ModelError;

/// Encoder, item vectors and biases in evaluation mode.
pub struct Network {
    shape: StudentShape,
    encoder: Encoder,
    device: Device,
    /// Without the padding's row, `[items, dim]`.
    table: Tensor<2>,
    /// Without the padding's.
    biases: Vec<f32>,
    repeat: Vec<f32>,
}

impl Network {
    /// Builds a network on a device from the tensors that [`Network::weights`] wrote.
    ///
    /// # Errors
    /// [`ModelError::Weights`] naming the tensor that is missing, misshapen or not finite.
    pub fn new(
        weights: &Weights,
        shape: &StudentShape,
        items: usize,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let vectors = weights.get("items.vectors", &[items + 1, shape.dim])?;
        let biases = weights.get("items.biases", &[items + 1])?;
        let table = Tensor::from_data(
            TensorData::new(vectors.values[shape.dim..].to_vec(), [items, shape.dim]),
            device,
        );
        Ok(Self {
            shape: shape.clone(),
            encoder: Encoder::new(weights, shape, device, false)?,
            device: device.clone(),
            table,
            biases: biases.values[1..].to_vec(),
            repeat: weights.get(REPEAT, &[shape.max_len])?.values.clone(),
        })
    }

    /// Encoder and items as one set of tensors.
    #[must_use]
    pub fn weights(encoder: &Weights, vectors: &[f32], biases: &[f32]) -> Weights {
        let mut out = encoder.clone();
        let rows = biases.len();
        let shape = vec![rows, vectors.len() / rows.max(1)];
        out.floats.insert("items.vectors".into(), weights::Tensor { shape, values: vectors.to_vec() });
        out.floats
            .insert("items.biases".into(), weights::Tensor { shape: vec![rows], values: biases.to_vec() });
        out
    }

    /// Number of items.
    #[must_use]
    pub fn items(&self) -> usize {
        self.biases.len()
    }

    /// Logits of every item at every predicted position of a batch: `[rows, items]`, item 1 first.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub fn scores(&self, batch: &Batch, items: &impl ItemSource) -> Result<Vec<f32>, ModelError> {
        let sessions = session_vectors(&self.encoder, batch, items, &self.shape, &self.device)?;
        let p = batch.rows.len();
        let sessions = Tensor::<2>::from_data(TensorData::new(sessions, [p, self.shape.dim]), &self.device);
        let raw = values(sessions.matmul(self.table.clone().transpose()))?;
        let (raw, width) = (slice(&raw)?, self.biases.len());
        let scale = 1.0 / self.shape.temperature;
        let mut out = vec![0.0; p * width];
        let rows = out.par_chunks_exact_mut(width).zip(raw.par_chunks_exact(width)).zip(&batch.rows);
        rows.for_each(|((row, raw), &at)| {
            wide(|| {
                for ((score, s), b) in row.iter_mut().zip(raw).zip(&self.biases) {
                    *score = s * scale + b;
                }
            });
            boost_repeats(row, batch.prefix(at), &self.repeat);
        });
        Ok(out)
    }
}

impl Network {
    /// Turns logits `[rows, items]` into probabilities over the items with a count (index 0 is padding).
    pub fn probabilities(&self, logits: &mut [f32], counts: &[u32]) {
        logits.par_chunks_exact_mut(self.items()).for_each(|row| {
            for (x, &count) in row.iter_mut().zip(&counts[1..]) {
                if count == 0 {
                    *x = f32::NEG_INFINITY;
                }
            }
            super::teacher::softmax(row);
        });
    }
}

/// Session vectors of the predicted positions of a batch, `[rows, dim]`.
///
/// # Errors
/// [`ModelError::Device`].
pub fn session_vectors(
    encoder: &encoder::Encoder,
    batch: &Batch,
    items: &impl ItemSource,
    shape: &StudentShape,
    device: &Device,
) -> Result<Vec<f32>, ModelError> {
    let mut vectors = Vec::with_capacity(batch.items.len() * shape.dim);
    batch.items.iter().for_each(|&i| items.push_vector(i, &mut vectors));
    let dims = [batch.input.sessions, batch.input.length, shape.dim];
    let x = Tensor::<3>::from_data(TensorData::new(vectors, dims), device);
    let all = values(encoder.forward(x.clone(), x, &batch.input))?;
    let all = slice(&all)?;
    Ok(batch.rows.iter().flat_map(|&r| all[r * shape.dim..(r + 1) * shape.dim].iter().copied()).collect())
}

/// The values of a tensor, not copied where the device lets go of them.
pub(super) fn values<const D: usize>(tensor: Tensor<D>) -> Result<TensorData, ModelError> {
    tensor.try_into_data_as::<f32>().map_err(|e| ModelError::Device(e.to_string()))
}

pub(super) fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    tensor.try_into_vec_as::<f32>().map_err(|e| ModelError::Device(e.to_string()))
}

/// The values of a tensor's data, without a copy.
pub(super) fn slice(data: &TensorData) -> Result<&[f32], ModelError> {
    data.as_slice().map_err(|e| ModelError::Device(e.to_string()))
}
