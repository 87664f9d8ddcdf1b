//! The session encoder: clicks in, one session vector per position out.
//!
//! Pre-norm causal transformer blocks (Vaswani et al. 2017; SASRec, Kang & McAuley, ICDM 2018)
//! with learned biases on the **distance** between clicks, so that positions count from the end
//! and one more click never changes what came before. A last attention reads the raw item vectors
//! themselves, so that sessions and items share one space (CORE, Hou et al., SIGIR 2022).

#[cfg(feature = "burn")]
mod graph;
pub(crate) mod plain;

use onshelf_core::version::StudentShape;
use onshelf_core::weights::{self, Weights};
use rand::{Rng, RngExt};

use crate::error::ModelError;

#[cfg(feature = "burn")]
pub use graph::{Encoder, SessionBatch};

/// Number of event kinds with a vector of their own.
pub const KINDS: usize = 6;
/// Number of buckets for the time since the previous click; bucket 0 means "unknown".
pub const GAPS: usize = 8;

const EPSILON: f32 = 1e-6;

/// Bucket of the time since the previous click, in milliseconds.
#[must_use]
pub fn gap_bucket(gap_ms: Option<i64>) -> u8 {
    const LIMITS: [i64; 6] = [5_000, 20_000, 60_000, 300_000, 1_800_000, 86_400_000];
    match gap_ms {
        None => 0,
        Some(gap) => 1 + LIMITS.iter().filter(|&&limit| gap >= limit).count() as u8,
    }
}

/// Name of the tensor `[max_len]` that is added to the scores of the session's own items, by the
/// number of clicks since each was last clicked. Session and items share one space, so the newest
/// item would always rank first; whether people come back to it is learned here (RepeatNet, Ren et
/// al., AAAI 2019, has the idea).
pub const REPEAT: &str = "repeat";

/// The session's items, each once, with the number of clicks since its last click (0: the newest).
pub fn latest(prefix: &[u32]) -> impl Iterator<Item = (u32, usize)> + '_ {
    let newer = move |back: usize, item: u32| prefix.iter().rev().take(back).any(|&i| i == item);
    prefix
        .iter()
        .rev()
        .copied()
        .enumerate()
        .filter(move |&(back, item)| item != 0 && !newer(back, item))
        .map(|(back, item)| (item, back))
}

/// Adds `repeat` to the scores of the session's own items (`scores[i]` is item `i + 1`'s).
pub fn boost_repeats(scores: &mut [f32], prefix: &[u32], repeat: &[f32]) {
    for (item, back) in latest(prefix) {
        if let (Some(score), Some(boost)) = (scores.get_mut(item as usize - 1), repeat.get(back)) {
            *score += boost;
        }
    }
}

/// Names and shapes of the encoder's tensors.
#[must_use]
pub fn tensors(shape: &StudentShape) -> Vec<(String, Vec<usize>)> {
    let (d, h, len) = (shape.dim, shape.hidden, shape.max_len);
    let mut list = vec![("kinds".to_owned(), vec![KINDS, d]), ("gaps".to_owned(), vec![GAPS, d])];
    for b in 0..shape.blocks {
        let name = |part: &str| format!("blocks.{b}.{part}");
        list.push((name("norm_attention"), vec![d]));
        list.push((name("qkv"), vec![d, 3 * d]));
        list.push((name("distance"), vec![shape.heads, len]));
        list.push((name("out"), vec![d, d]));
        list.push((name("norm_forward"), vec![d]));
        list.push((name("up"), vec![d, h]));
        list.push((name("up_bias"), vec![h]));
        list.push((name("down"), vec![h, d]));
    }
    list.push(("read.norm".to_owned(), vec![d]));
    list.push(("read.query".to_owned(), vec![d, d]));
    list.push(("read.key".to_owned(), vec![d, d]));
    list.push(("read.distance".to_owned(), vec![1, len]));
    list.push(("read.mix".to_owned(), vec![d, d]));
    list.push((REPEAT.to_owned(), vec![len]));
    list
}

/// Fresh parameters, named as in [`tensors`].
pub fn init(shape: &StudentShape, rng: &mut impl Rng) -> Weights {
    let mut out = Weights::default();
    for (name, dims) in tensors(shape) {
        let n = dims.iter().product();
        let values = if name.contains("norm") {
            vec![1.0; n]
        } else if name.contains("distance") {
            // A mild preference for recent clicks, as ALiBi (Press et al., ICLR 2022).
            (0..n).map(|i| -0.2 * (i % shape.max_len) as f32).collect()
        } else if name.contains("bias") || name == REPEAT {
            vec![0.0; n]
        } else {
            // Uniform with the variance of Glorot & Bengio (2010); outputs into the residual
            // stream start small.
            let (fan_in, fan_out) = (dims[0] as f32, dims[1] as f32);
            let small =
                if name.contains("out") || name.contains("down") || name.contains("mix") { 0.3 } else { 1.0 };
            let limit = small * (6.0 / (fan_in + fan_out)).sqrt();
            (0..n).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * limit).collect()
        };
        out.floats.insert(name, weights::Tensor { shape: dims, values });
    }
    out
}

/// A transformer block's vectors and matrices, wherever they are.
pub(crate) struct Block<V, M> {
    norm_attention: V,
    qkv: M,
    distance: M,
    out: M,
    norm_forward: V,
    up: M,
    up_bias: V,
    down: M,
}

/// The encoder's vectors and matrices, wherever they are.
pub(crate) struct Parts<V, M> {
    kinds: M,
    gaps: M,
    blocks: Vec<Block<V, M>>,
    read_norm: V,
    read_query: M,
    read_key: M,
    read_distance: M,
    read_mix: M,
}

impl<V, M> Parts<V, M> {
    /// Reads them, with what makes a vector and what makes a matrix of a tensor.
    ///
    /// # Errors
    /// [`ModelError::Weights`] where a tensor is missing, misshapen or not finite.
    fn read(
        weights: &Weights,
        shape: &StudentShape,
        vector: impl Fn(weights::Tensor) -> V,
        matrix: impl Fn(weights::Tensor) -> M,
    ) -> Result<Self, ModelError> {
        let all = tensors(shape);
        let find = |name: &str| -> Result<weights::Tensor, ModelError> {
            let dims = &all.iter().find(|(n, _)| n == name).expect("a name of `tensors`").1;
            Ok(weights.get(name, dims)?.clone())
        };
        let one = |name: &str| find(name).map(&vector);
        let two = |name: &str| find(name).map(&matrix);
        let blocks = (0..shape.blocks)
            .map(|b| {
                let name = |part: &str| format!("blocks.{b}.{part}");
                Ok(Block {
                    norm_attention: one(&name("norm_attention"))?,
                    qkv: two(&name("qkv"))?,
                    distance: two(&name("distance"))?,
                    out: two(&name("out"))?,
                    norm_forward: one(&name("norm_forward"))?,
                    up: two(&name("up"))?,
                    up_bias: one(&name("up_bias"))?,
                    down: two(&name("down"))?,
                })
            })
            .collect::<Result<_, ModelError>>()?;
        Ok(Self {
            kinds: two("kinds")?,
            gaps: two("gaps")?,
            blocks,
            read_norm: one("read.norm")?,
            read_query: two("read.query")?,
            read_key: two("read.key")?,
            read_distance: two("read.distance")?,
            read_mix: two("read.mix")?,
        })
    }
}
