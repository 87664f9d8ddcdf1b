//! A student on a device of Burn's: shapes stay the same from click to click, since GPU memory is
//! pooled by shape.

use burn::tensor::{Device, Int, Tensor, TensorData};
use onshelf_core::rank::{CENTROIDS, ItemTable};
use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;

use super::SessionInput;
use crate::encoder::{Encoder, SessionBatch};
use crate::error::ModelError;

/// Encoder and item table on a device.
pub(super) struct OnDevice {
    pub(super) device: Device,
    encoder: Encoder,
    /// Those that score, `[subspaces, 256, dim / subspaces]`.
    centroids: Tensor<3>,
    /// `[256]`
    bias: Tensor<1>,
    /// `[items * (subspaces + 1)]`: where each code's entry is in the flat look-up table.
    indices: Tensor<1, Int>,
}

impl OnDevice {
    pub(super) fn new(
        weights: &Weights,
        shape: &StudentShape,
        table: &ItemTable,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let (m, row) = (table.subspaces(), table.subspaces() + 1);
        let width = table.dim() / m;
        let codes = table.codes().iter().enumerate();
        let indices: Vec<i32> = codes.map(|(at, &c)| (at % row * CENTROIDS) as i32 + i32::from(c)).collect();
        let n = indices.len();
        let centroids = TensorData::new(table.scoring().to_vec(), [m, CENTROIDS, width]);
        Ok(Self {
            encoder: Encoder::new(weights, shape, device, false)?,
            centroids: Tensor::from_data(centroids, device),
            bias: Tensor::from_data(TensorData::new(table.bias().to_vec(), [CENTROIDS]), device),
            indices: Tensor::from_data(TensorData::new(indices, [n]), device),
            device: device.clone(),
        })
    }

    /// Session vectors of every position, `[sessions, max_len, dim]`; what lies behind a session's end
    /// means nothing.
    pub(super) async fn encode(
        &self,
        table: &ItemTable,
        shape: &StudentShape,
        sessions: &[SessionInput],
    ) -> Result<Vec<f32>, ModelError> {
        let length = shape.max_len;
        let mut batch = SessionBatch { sessions: sessions.len(), length, ..Default::default() };
        let mut vectors = Vec::with_capacity(sessions.len() * length * shape.dim);
        for session in sessions {
            let pad = length - session.items.len();
            session.items.iter().for_each(|&i| table.push_vector(i, &mut vectors));
            vectors.resize(vectors.len() + pad * shape.dim, 0.0);
            batch.kinds.extend_from_slice(&session.kinds);
            batch.kinds.resize(batch.kinds.len() + pad, 0);
            batch.gaps.extend_from_slice(&session.gaps);
            batch.gaps.resize(batch.gaps.len() + pad, 0);
        }
        let dims = [sessions.len(), length, shape.dim];
        let x = Tensor::<3>::from_data(TensorData::new(vectors, dims), &self.device);
        read(self.encoder.forward(x.clone(), x, &batch)).await
    }

    /// Scores of all items for a query that is divided by the temperature already.
    pub(super) async fn score(&self, table: &ItemTable, query: Vec<f32>) -> Result<Vec<f32>, ModelError> {
        let (m, row) = (table.subspaces(), table.subspaces() + 1);
        let query = TensorData::new(query, [m, table.dim() / m, 1]);
        let query = Tensor::<3>::from_data(query, &self.device);
        let lut = self.centroids.clone().matmul(query).reshape([m * CENTROIDS]);
        let lut = Tensor::cat(vec![lut, self.bias.clone()], 0);
        read(lut.select(0, self.indices.clone()).reshape([table.items(), row]).sum_dim(1)).await
    }
}

/// Reads a tensor back without blocking.
pub(crate) async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    let data = tensor.into_data_async().await.map_err(|e| ModelError::Device(e.to_string()))?;
    data.try_into_vec_as::<f32>().map_err(|e| ModelError::Device(e.to_string()))
}
