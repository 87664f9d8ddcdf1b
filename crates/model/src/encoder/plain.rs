//! The encoder on plain slices: one click at a time, with what the clicks before it left behind. A
//! processor needs no tensor library for vectors of this size, and a browser has none to download.

use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;

use super::{EPSILON, GAPS, KINDS, tensors};
use crate::error::ModelError;
use crate::slices::{add_product, add_scaled, dot, softmax};

struct Block {
    norm_attention: Vec<f32>,
    qkv: Vec<f32>,
    distance: Vec<f32>,
    out: Vec<f32>,
    norm_forward: Vec<f32>,
    up: Vec<f32>,
    up_bias: Vec<f32>,
    down: Vec<f32>,
}

/// The encoder's parameters.
pub(crate) struct PlainEncoder {
    dim: usize,
    heads: usize,
    max_len: usize,
    kinds: Vec<f32>,
    gaps: Vec<f32>,
    blocks: Vec<Block>,
    read_norm: Vec<f32>,
    read_query: Vec<f32>,
    read_key: Vec<f32>,
    read_distance: Vec<f32>,
    read_mix: Vec<f32>,
}

/// What the positions so far left for those to come.
#[derive(Clone, Default)]
pub(crate) struct Past {
    /// Keys and values of each block, `[positions, dim]`.
    blocks: Vec<[Vec<f32>; 2]>,
    /// Keys of the last attention, `[positions, dim]`.
    keys: Vec<f32>,
    /// The clicked items' vectors, `[positions, dim]`.
    items: Vec<f32>,
    /// Session vectors, `[positions, dim]`.
    pub(crate) vectors: Vec<f32>,
}

impl PlainEncoder {
    /// Copies the parameters.
    ///
    /// # Errors
    /// [`ModelError::Weights`] where a tensor is missing, misshapen or not finite.
    pub(crate) fn new(weights: &Weights, shape: &StudentShape) -> Result<Self, ModelError> {
        let all = tensors(shape);
        let find = |name: &str| -> Result<Vec<f32>, ModelError> {
            let dims = &all.iter().find(|(n, _)| n == name).expect("a name of `tensors`").1;
            Ok(weights.get(name, dims)?.values.clone())
        };
        let blocks = (0..shape.blocks)
            .map(|b| {
                let part = |part: &str| find(&format!("blocks.{b}.{part}"));
                Ok(Block {
                    norm_attention: part("norm_attention")?,
                    qkv: part("qkv")?,
                    distance: part("distance")?,
                    out: part("out")?,
                    norm_forward: part("norm_forward")?,
                    up: part("up")?,
                    up_bias: part("up_bias")?,
                    down: part("down")?,
                })
            })
            .collect::<Result<_, ModelError>>()?;
        Ok(Self {
            dim: shape.dim,
            heads: shape.heads,
            max_len: shape.max_len,
            kinds: find("kinds")?,
            gaps: find("gaps")?,
            blocks,
            read_norm: find("read.norm")?,
            read_query: find("read.query")?,
            read_key: find("read.key")?,
            read_distance: find("read.distance")?,
            read_mix: find("read.mix")?,
        })
    }

    /// Reads one more click, of which `item` is the vector, and adds its position's session vector.
    ///
    /// # Panics
    /// Beyond `max_len` clicks: a broken invariant of the caller.
    pub(crate) fn push(&self, past: &mut Past, item: &[f32], kind: u8, gap: u8) {
        let d = self.dim;
        let before = past.vectors.len() / d;
        assert!(before < self.max_len, "session longer than max_len");
        past.blocks.resize_with(self.blocks.len(), Default::default);
        past.items.extend_from_slice(item);
        let row = |table: &[f32], at: u8, rows: usize| {
            let at = usize::from(at).min(rows - 1) * d;
            table[at..at + d].to_vec()
        };
        // Item vectors have length about 1: bring their elements to the order of 1.
        let mut x = row(&self.kinds, kind, KINDS);
        add_scaled(&mut x, 1.0, &row(&self.gaps, gap, GAPS));
        add_scaled(&mut x, (d as f32).sqrt(), item);
        for (block, [keys, values]) in self.blocks.iter().zip(&mut past.blocks) {
            let mut qkv = vec![0.0; 3 * d];
            add_product(&mut qkv, &rms_norm(&x, &block.norm_attention), &block.qkv);
            keys.extend_from_slice(&qkv[d..2 * d]);
            values.extend_from_slice(&qkv[2 * d..]);
            let width = d / self.heads;
            let mut mixed = vec![0.0; d];
            for (head, mixed) in mixed.chunks_exact_mut(width).enumerate() {
                let own = head * width..(head + 1) * width;
                let distance = &block.distance[head * self.max_len..];
                attend(&qkv[own.clone()], keys, values, d, own, distance, mixed);
            }
            add_product(&mut x, &mixed, &block.out);
            let mut inner = block.up_bias.clone();
            add_product(&mut inner, &rms_norm(&x, &block.norm_forward), &block.up);
            inner.iter_mut().for_each(|x| *x = x.max(0.0));
            add_product(&mut x, &inner, &block.down);
        }
        let h = rms_norm(&x, &self.read_norm);
        let (mut query, mut key) = (vec![0.0; d], vec![0.0; d]);
        add_product(&mut query, &h, &self.read_query);
        add_product(&mut key, &h, &self.read_key);
        past.keys.extend_from_slice(&key);
        let mut session = vec![0.0; d];
        attend(&query, &past.keys, &past.items, d, 0..d, &self.read_distance, &mut session);
        add_product(&mut session, &h, &self.read_mix);
        let norm = (dot(&session, &session) + EPSILON).sqrt();
        past.vectors.extend(session.iter().map(|x| x / norm));
    }
}

/// Adds to `out` the values that the newest position reads; `own` are the columns of its head, and
/// `distance` the biases by distance.
fn attend(
    query: &[f32],
    keys: &[f32],
    values: &[f32],
    dim: usize,
    own: std::ops::Range<usize>,
    distance: &[f32],
    out: &mut [f32],
) {
    let newest = keys.len() / dim - 1;
    let scale = 1.0 / (query.len() as f32).sqrt();
    let mut shares: Vec<f32> = keys
        .chunks_exact(dim)
        .enumerate()
        .map(|(at, key)| dot(query, &key[own.clone()]) * scale + distance[newest - at])
        .collect();
    softmax(&mut shares);
    for (share, value) in shares.iter().zip(values.chunks_exact(dim)) {
        add_scaled(out, *share, &value[own.clone()]);
    }
}

/// Root-mean-square normalisation (Zhang & Sennrich, NeurIPS 2019).
fn rms_norm(x: &[f32], gain: &[f32]) -> Vec<f32> {
    let norm = (dot(x, x) / x.len() as f32 + EPSILON).sqrt();
    x.iter().zip(gain).map(|(x, g)| x / norm * g).collect()
}
