//! The encoder on Burn: many sessions at once, with gradients where a server trains.

use burn::tensor::{Device, Int, Tensor, TensorData, activation};
use onshelf_core::version::StudentShape;
use onshelf_core::weights::{self, Weights};

use super::{EPSILON, GAPS, KINDS, Parts};
use crate::error::ModelError;

/// Added to scores of clicks that lie in the future; finite, so that no NaN can arise.
const FUTURE: f32 = -1e9;

type Block = super::Block<Tensor<1>, Tensor<2>>;

/// The encoder's parameters on a device.
pub struct Encoder {
    dim: usize,
    heads: usize,
    max_len: usize,
    parts: Parts<Tensor<1>, Tensor<2>>,
    device: Device,
}

/// Sessions of one length, as the encoder reads them: `[sessions, length]`, row-major, padded on
/// the **right** (a causal encoder never looks there).
#[derive(Clone, Debug, Default)]
pub struct SessionBatch {
    /// Number of sessions.
    pub sessions: usize,
    /// Clicks in each, at most the shape's `max_len`.
    pub length: usize,
    /// [`EventKind`](onshelf_core::event::EventKind) numbers.
    pub kinds: Vec<u8>,
    /// Buckets of [`super::gap_bucket`].
    pub gaps: Vec<u8>,
}

fn ints(values: impl Iterator<Item = i32>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.collect();
    let n = values.len();
    Tensor::from_data(TensorData::new(values, [n]), device)
}

impl Encoder {
    /// Copies the parameters to a device. With `train`, gradients of all of them are tracked (the
    /// device must have autodiff).
    ///
    /// # Errors
    /// [`ModelError::Weights`] where a tensor is missing, misshapen or not finite.
    pub fn new(
        weights: &Weights,
        shape: &StudentShape,
        device: &Device,
        train: bool,
    ) -> Result<Self, ModelError> {
        let one = |t: weights::Tensor| {
            let tensor = Tensor::<1>::from_data(TensorData::new(t.values, t.shape), device);
            if train { tensor.require_grad() } else { tensor }
        };
        let two = |t: weights::Tensor| {
            let tensor = Tensor::<2>::from_data(TensorData::new(t.values, t.shape), device);
            if train { tensor.require_grad() } else { tensor }
        };
        Ok(Self {
            dim: shape.dim,
            heads: shape.heads,
            max_len: shape.max_len,
            parts: Parts::read(weights, shape, one, two)?,
            device: device.clone(),
        })
    }

    /// The same parameters as leaves of a graph of its own: gradients of all of them are tracked.
    /// Values are shared, not copied.
    #[must_use]
    pub fn track(&self) -> Self {
        let one = |t: &Tensor<1>| t.clone().inner().autodiff().require_grad();
        let two = |t: &Tensor<2>| t.clone().inner().autodiff().require_grad();
        let block = |block: &Block| Block {
            norm_attention: one(&block.norm_attention),
            qkv: two(&block.qkv),
            distance: two(&block.distance),
            out: two(&block.out),
            norm_forward: one(&block.norm_forward),
            up: two(&block.up),
            up_bias: one(&block.up_bias),
            down: two(&block.down),
        };
        let parts = Parts {
            kinds: two(&self.parts.kinds),
            gaps: two(&self.parts.gaps),
            blocks: self.parts.blocks.iter().map(block).collect(),
            read_norm: one(&self.parts.read_norm),
            read_query: two(&self.parts.read_query),
            read_key: two(&self.parts.read_key),
            read_distance: two(&self.parts.read_distance),
            read_mix: two(&self.parts.read_mix),
        };
        Self { parts, device: self.device.clone().autodiff(), ..*self }
    }

    /// Every tracked tensor with its name, flattened order of [`tensors`].
    #[must_use]
    pub fn gradients(&self, grads: &burn::tensor::Gradients) -> Vec<(String, Tensor<1>)> {
        let mut list = Vec::new();
        let mut one = |name: String, t: &Tensor<1>| {
            list.extend(t.grad(grads).map(|g| (name, g)));
        };
        for (b, block) in self.parts.blocks.iter().enumerate() {
            one(format!("blocks.{b}.norm_attention"), &block.norm_attention);
            one(format!("blocks.{b}.norm_forward"), &block.norm_forward);
            one(format!("blocks.{b}.up_bias"), &block.up_bias);
        }
        one("read.norm".into(), &self.parts.read_norm);
        let mut two = |name: String, t: &Tensor<2>| {
            list.extend(t.grad(grads).map(|g| {
                let n = g.dims().iter().product::<usize>();
                (name, g.reshape([n]))
            }));
        };
        for (b, block) in self.parts.blocks.iter().enumerate() {
            two(format!("blocks.{b}.qkv"), &block.qkv);
            two(format!("blocks.{b}.distance"), &block.distance);
            two(format!("blocks.{b}.out"), &block.out);
            two(format!("blocks.{b}.up"), &block.up);
            two(format!("blocks.{b}.down"), &block.down);
        }
        two("kinds".into(), &self.parts.kinds);
        two("gaps".into(), &self.parts.gaps);
        two("read.query".into(), &self.parts.read_query);
        two("read.key".into(), &self.parts.read_key);
        two("read.distance".into(), &self.parts.read_distance);
        two("read.mix".into(), &self.parts.read_mix);
        list
    }

    /// Session vectors of length 1 for every position: `[sessions, length, dim]`. Position `j`
    /// depends on clicks `0..=j` only.
    ///
    /// `items` are the clicked items' vectors `[sessions, length, dim]`; `noisy` the same after
    /// dropout in training (else a clone).
    ///
    /// # Panics
    /// Where the batch is longer than `max_len`: a broken invariant of the caller.
    #[must_use]
    pub fn forward(&self, items: Tensor<3>, noisy: Tensor<3>, batch: &SessionBatch) -> Tensor<3> {
        let (b, l, d) = (batch.sessions, batch.length, self.dim);
        assert!(l <= self.max_len, "session longer than max_len");
        let kinds = ints(batch.kinds.iter().map(|&k| i32::from(k).min(KINDS as i32 - 1)), &self.device);
        let gaps = ints(batch.gaps.iter().map(|&g| i32::from(g).min(GAPS as i32 - 1)), &self.device);
        let context = self.parts.kinds.clone().select(0, kinds) + self.parts.gaps.clone().select(0, gaps);
        // Item vectors have length about 1: bring their elements to the order of 1.
        let mut x = noisy.reshape([b * l, d]) * (d as f32).sqrt() + context;
        let distances = self.distances(l);
        let future = self.future(l);
        for block in &self.parts.blocks {
            x = x.clone() + self.attend(block, x, b, l, &distances, &future);
            let inner = rms_norm(x.clone(), &block.norm_forward).matmul(block.up.clone())
                + block.up_bias.clone().unsqueeze();
            x = x + activation::relu(inner).matmul(block.down.clone());
        }
        let h = rms_norm(x, &self.parts.read_norm);
        let query = h.clone().matmul(self.parts.read_query.clone()).reshape([b, l, d]);
        let key = h.clone().matmul(self.parts.read_key.clone()).reshape([b, l, d]);
        let scores = query.matmul(key.swap_dims(1, 2)) / (d as f32).sqrt();
        let bias = self.parts.read_distance.clone().select(1, distances).reshape([1, l, l])
            + future.reshape([1, l, l]);
        let read = activation::softmax(scores + bias, 2).matmul(items);
        let session = read + h.matmul(self.parts.read_mix.clone()).reshape([b, l, d]);
        normalise(session)
    }

    fn attend(
        &self,
        block: &Block,
        x: Tensor<2>,
        b: usize,
        l: usize,
        distances: &Tensor<1, Int>,
        future: &Tensor<2>,
    ) -> Tensor<2> {
        let (d, heads) = (self.dim, self.heads);
        let width = d / heads;
        let qkv = rms_norm(x, &block.norm_attention).matmul(block.qkv.clone());
        let part = |n: usize| qkv.clone().narrow(1, n * d, d).reshape([b, l, heads, width]).swap_dims(1, 2);
        let scores = part(0).matmul(part(1).swap_dims(2, 3)) / (width as f32).sqrt();
        let bias = block.distance.clone().select(1, distances.clone()).reshape([1, heads, l, l])
            + future.clone().reshape([1, 1, l, l]);
        let mixed = activation::softmax(scores + bias, 3).matmul(part(2));
        mixed.swap_dims(1, 2).reshape([b * l, d]).matmul(block.out.clone())
    }

    /// `i - j` for every pair of positions (0 where `j` lies in the future), flattened.
    fn distances(&self, l: usize) -> Tensor<1, Int> {
        ints((0..l * l).map(|at| ((at / l) as i32 - (at % l) as i32).max(0)), &self.device)
    }

    /// 0 where position `i` may look at `j`, else a very low number: `[l, l]`.
    fn future(&self, l: usize) -> Tensor<2> {
        let mask: Vec<f32> = (0..l * l).map(|at| if at % l > at / l { FUTURE } else { 0.0 }).collect();
        Tensor::from_data(TensorData::new(mask, [l, l]), &self.device)
    }
}

/// Root-mean-square normalisation (Zhang & Sennrich, NeurIPS 2019) over the last dimension.
fn rms_norm(x: Tensor<2>, gain: &Tensor<1>) -> Tensor<2> {
    let mean = (x.clone() * x.clone()).mean_dim(1);
    x / (mean + EPSILON).sqrt() * gain.clone().unsqueeze()
}

fn normalise(x: Tensor<3>) -> Tensor<3> {
    let norm = (x.clone() * x.clone()).sum_dim(2);
    x / (norm + EPSILON).sqrt()
}
