//! The student: a quantised item table, a small encoder and a low-rank shared adapter.
//!
//! `session → encoder (Burn) → session vector → adapter → look-up scores of all items`. On the
//! CPU scores come from [`ItemTable::score_all`]; on a GPU from one gather and one sum.

use burn::tensor::{Device, Int, Tensor, TensorData};
use onshelf_core::rank::{CENTROIDS, ItemTable};
use onshelf_core::version::StudentShape;
use onshelf_core::weights::{self, Weights, WeightsError};
use rand::{Rng, RngExt};

use crate::encoder::{Encoder, REPEAT, SessionBatch, boost_repeats, latest};
use crate::error::ModelError;

/// The last clicks of a session, oldest first, as a student reads them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SessionInput {
    /// Item indices, from 1.
    pub items: Vec<u32>,
    /// Event kinds.
    pub kinds: Vec<u8>,
    /// Buckets of the time since the click before ([`crate::encoder::gap_bucket`]).
    pub gaps: Vec<u8>,
}

impl std::fmt::Debug for SessionInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionInput({} clicks)", self.items.len())
    }
}

impl SessionInput {
    /// The session without click `at`.
    #[must_use]
    pub fn without(&self, at: usize) -> Self {
        let mut out = self.clone();
        out.items.remove(at);
        out.kinds.remove(at);
        out.gaps.remove(at);
        out
    }

    /// The last `n` clicks.
    #[must_use]
    pub fn last(&self, n: usize) -> Self {
        let from = self.items.len().saturating_sub(n);
        Self {
            items: self.items[from..].to_vec(),
            kinds: self.kinds[from..].to_vec(),
            gaps: self.gaps[from..].to_vec(),
        }
    }
}

/// The low-rank adapter: `q' = normalise(q + (q · down) · up)`; LoRA, Hu et al., ICLR 2022. It is
/// the only part of a student that is ever shared back.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// `[dim, rank]`
    pub down: Vec<f32>,
    /// `[rank, dim]`, zeros at first: an untrained adapter changes nothing.
    pub up: Vec<f32>,
    rank: usize,
}

impl Adapter {
    /// A random `down` and a zero `up`.
    pub fn new(dim: usize, rank: usize, rng: &mut impl Rng) -> Self {
        let limit = (3.0 / dim as f32).sqrt();
        let down = (0..dim * rank).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * limit).collect();
        Self { down, up: vec![0.0; dim * rank], rank }
    }

    /// Reads the tensors `adapter.down` and `adapter.up`.
    ///
    /// # Errors
    /// [`ModelError::Weights`].
    pub fn read(weights: &Weights, dim: usize, rank: usize) -> Result<Self, ModelError> {
        let down = weights.get("adapter.down", &[dim, rank])?.values.clone();
        let up = weights.get("adapter.up", &[rank, dim])?.values.clone();
        Ok(Self { down, up, rank })
    }

    /// Adds the tensors `adapter.down` and `adapter.up`.
    pub fn write(&self, weights: &mut Weights) {
        let dim = self.down.len() / self.rank.max(1);
        let tensor = |shape: [usize; 2], values: &Vec<f32>| weights::Tensor {
            shape: shape.to_vec(),
            values: values.clone(),
        };
        weights.floats.insert("adapter.down".into(), tensor([dim, self.rank], &self.down));
        weights.floats.insert("adapter.up".into(), tensor([self.rank, dim], &self.up));
    }

    /// The rank.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Applies the adapter and adds `taste`; the result has length 1.
    #[must_use]
    pub fn apply(&self, session: &[f32], taste: Option<&[f32]>) -> Vec<f32> {
        let mut inner = vec![0.0; self.rank];
        for (x, row) in session.iter().zip(self.down.chunks_exact(self.rank.max(1))) {
            inner.iter_mut().zip(row).for_each(|(i, w)| *i += x * w);
        }
        let mut out = session.to_vec();
        for (i, row) in inner.iter().zip(self.up.chunks_exact(session.len().max(1))) {
            out.iter_mut().zip(row).for_each(|(o, w)| *o += i * w);
        }
        if let Some(taste) = taste {
            out.iter_mut().zip(taste).for_each(|(o, t)| *o += t);
        }
        let norm = (out.iter().map(|x| x * x).sum::<f32>() + 1e-6).sqrt();
        out.iter_mut().for_each(|x| *x /= norm);
        out
    }
}

/// Where all items are scored.
enum Scorer {
    /// In plain memory.
    Cpu,
    /// On the device.
    Gpu(Box<GpuTable>),
}

/// The item table on a GPU.
struct GpuTable {
    /// `[subspaces, 256, dim / subspaces]`
    centroids: Tensor<3>,
    /// `[256]`
    bias: Tensor<1>,
    /// `[items * (subspaces + 1)]`: where each code's entry is in the flat look-up table.
    indices: Tensor<1, Int>,
}

/// A loaded student on one device.
pub struct Student {
    shape: StudentShape,
    table: ItemTable,
    encoder: Encoder,
    base: Adapter,
    repeat: Vec<f32>,
    scorer: Scorer,
    device: Device,
    parameters: usize,
}

impl Student {
    /// Reads the tensors of a model version. `gpu` scores on the device rather than in plain
    /// memory, and keeps every shape fixed.
    ///
    /// # Errors
    /// [`ModelError`] naming what is missing, misshapen or not finite.
    pub fn new(
        weights: &Weights,
        shape: &StudentShape,
        device: &Device,
        gpu: bool,
    ) -> Result<Self, ModelError> {
        let width = shape.dim / shape.subspaces;
        let codes =
            weights.bytes.get("items.codes").ok_or_else(|| WeightsError::Missing("items.codes".into()))?;
        if codes.0.len() != 2 || codes.0[1] != shape.subspaces + 1 {
            return Err(WeightsError::Shape {
                name: "items.codes".into(),
                found: format!("u8 {:?}", codes.0),
                expected: format!("u8 [items, {}]", shape.subspaces + 1),
            }
            .into());
        }
        let centroids = weights.get("items.centroids", &[shape.subspaces, CENTROIDS, width])?.values.clone();
        let bias = weights.get("items.bias", &[CENTROIDS])?.values.clone();
        let table = ItemTable::new(shape.dim, shape.subspaces, codes.1.clone(), centroids, bias)?;
        let scorer = if gpu { upload(&table, device) } else { Scorer::Cpu };
        Ok(Self {
            shape: shape.clone(),
            encoder: Encoder::new(weights, shape, device, false)?,
            base: Adapter::read(weights, shape.dim, shape.adapter_rank)?,
            repeat: weights.get(REPEAT, &[shape.max_len])?.values.clone(),
            table,
            scorer,
            device: device.clone(),
            parameters: weights.parameters(),
        })
    }

    /// The student's shape.
    #[must_use]
    pub fn shape(&self) -> &StudentShape {
        &self.shape
    }

    /// The items.
    #[must_use]
    pub fn table(&self) -> &ItemTable {
        &self.table
    }

    /// The shipped adapter.
    #[must_use]
    pub fn base(&self) -> &Adapter {
        &self.base
    }

    /// Ships another adapter of the same rank: for those who learn where it should start.
    #[cfg(feature = "training")]
    pub fn set_base(&mut self, base: Adapter) {
        self.base = base;
    }

    /// Number of shipped f32 parameters, the adapter included.
    #[must_use]
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// The device in use.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Session vectors before the adapter: one of `dim` values for **every position** of the last
    /// `max_len` clicks. Empty for an empty session.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub async fn encode(&self, session: &SessionInput) -> Result<Vec<f32>, ModelError> {
        let session = session.last(self.shape.max_len);
        let clicks = session.items.len();
        if clicks == 0 {
            return Ok(Vec::new());
        }
        let mut all = self.encode_batch(&[session]).await?;
        all.truncate(clicks * self.shape.dim);
        Ok(all)
    }

    /// Last session vectors of many sessions, `[sessions, dim]`; zeros for an empty one.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub async fn encode_last(&self, sessions: &[SessionInput]) -> Result<Vec<f32>, ModelError> {
        let sessions: Vec<SessionInput> = sessions.iter().map(|s| s.last(self.shape.max_len)).collect();
        let dim = self.shape.dim;
        let all = self.encode_batch(&sessions).await?;
        let length = all.len() / dim / sessions.len().max(1);
        let mut out = Vec::with_capacity(sessions.len() * dim);
        for (s, session) in sessions.iter().enumerate() {
            match session.items.len() {
                0 => out.resize(out.len() + dim, 0.0),
                n => out.extend_from_slice(&all[(s * length + n - 1) * dim..(s * length + n) * dim]),
            }
        }
        Ok(out)
    }

    async fn encode_batch(&self, sessions: &[SessionInput]) -> Result<Vec<f32>, ModelError> {
        let longest = sessions.iter().map(|s| s.items.len()).max().unwrap_or(0);
        // GPU memory is pooled by shape: keep it the same from click to click.
        let length = match self.scorer {
            Scorer::Cpu => longest,
            Scorer::Gpu(_) => self.shape.max_len,
        };
        if longest == 0 {
            return Ok(Vec::new());
        }
        let mut batch = SessionBatch { sessions: sessions.len(), length, ..Default::default() };
        let mut vectors = Vec::with_capacity(sessions.len() * length * self.shape.dim);
        for session in sessions {
            let pad = length - session.items.len();
            session.items.iter().for_each(|&i| self.table.push_vector(i, &mut vectors));
            vectors.resize(vectors.len() + pad * self.shape.dim, 0.0);
            batch.kinds.extend_from_slice(&session.kinds);
            batch.kinds.resize(batch.kinds.len() + pad, 0);
            batch.gaps.extend_from_slice(&session.gaps);
            batch.gaps.resize(batch.gaps.len() + pad, 0);
        }
        let dims = [sessions.len(), length, self.shape.dim];
        let x = Tensor::<3>::from_data(TensorData::new(vectors, dims), &self.device);
        read(self.encoder.forward(x.clone(), x, &batch)).await
    }

    /// What is added to `item`'s score after the clicks of `prefix`; 0 for items not among them.
    #[must_use]
    pub fn repeat_boost(&self, item: u32, prefix: &[u32]) -> f32 {
        latest(prefix)
            .find(|&(i, _)| i == item)
            .and_then(|(_, back)| self.repeat.get(back))
            .copied()
            .unwrap_or(0.0)
    }

    /// Logits of every item for a query (`scores[i]` is item `i + 1`'s):
    /// `(query · item) / temperature + bias`, and the repeat boost for the items of `prefix`, the
    /// clicks so far.
    ///
    /// # Errors
    /// [`ModelError::Device`].
    pub async fn score(
        &self,
        query: &[f32],
        prefix: &[u32],
        lut: &mut Vec<f32>,
        scores: &mut Vec<f32>,
    ) -> Result<(), ModelError> {
        let scaled: Vec<f32> = query.iter().map(|x| x / self.shape.temperature).collect();
        match &self.scorer {
            Scorer::Cpu => self.table.score_all(&scaled, lut, scores),
            Scorer::Gpu(gpu) => {
                let (m, row) = (self.shape.subspaces, self.shape.subspaces + 1);
                let query = TensorData::new(scaled, [m, self.shape.dim / m, 1]);
                let query = Tensor::<3>::from_data(query, &self.device);
                let lut = gpu.centroids.clone().matmul(query).reshape([m * CENTROIDS]);
                let lut = Tensor::cat(vec![lut, gpu.bias.clone()], 0);
                let sums = lut.select(0, gpu.indices.clone()).reshape([self.table.items(), row]).sum_dim(1);
                *scores = read(sums).await?;
            }
        }
        boost_repeats(scores, prefix, &self.repeat);
        Ok(())
    }
}

fn upload(table: &ItemTable, device: &Device) -> Scorer {
    let (m, row) = (table.subspaces(), table.subspaces() + 1);
    let width = table.dim() / m;
    let indices: Vec<i32> = table
        .codes()
        .iter()
        .enumerate()
        .map(|(at, &c)| (at % row * CENTROIDS) as i32 + i32::from(c))
        .collect();
    let n = indices.len();
    Scorer::Gpu(Box::new(GpuTable {
        centroids: Tensor::from_data(
            TensorData::new(table.centroids().to_vec(), [m, CENTROIDS, width]),
            device,
        ),
        bias: Tensor::from_data(TensorData::new(table.bias().to_vec(), [CENTROIDS]), device),
        indices: Tensor::from_data(TensorData::new(indices, [n]), device),
    }))
}

/// Reads a tensor back without blocking.
pub(crate) async fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, ModelError> {
    let data = tensor.into_data_async().await.map_err(|e| ModelError::Device(e.to_string()))?;
    data.try_into_vec_as::<f32>().map_err(|e| ModelError::Device(e.to_string()))
}
