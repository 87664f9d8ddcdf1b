//! The encoder on plain slices: one click at a time, with what the clicks before it left behind. A
//! processor needs no tensor library for vectors of this size, and a browser has none to download.

use onshelf_core::slices::{add_product, add_scaled, dot, softmax};
use onshelf_core::version::StudentShape;
use onshelf_core::weights::Weights;

use super::{EPSILON, GAPS, KINDS, Parts};
use crate::error::ModelError;

/// The encoder's parameters.
pub(crate) struct PlainEncoder {
    dim: usize,
    heads: usize,
    max_len: usize,
    parts: Parts<Vec<f32>, Vec<f32>>,
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
        Ok(Self {
            dim: shape.dim,
            heads: shape.heads,
            max_len: shape.max_len,
            parts: Parts::read(weights, shape, |t| t.values, |t| t.values)?,
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
        past.blocks.resize_with(self.parts.blocks.len(), Default::default);
        past.items.extend_from_slice(item);
        let row = |table: &[f32], at: u8, rows: usize| {
            let at = usize::from(at).min(rows - 1) * d;
            table[at..at + d].to_vec()
        };
        // Item vectors have length about 1: bring their elements to the order of 1.
        let mut x = row(&self.parts.kinds, kind, KINDS);
        add_scaled(&mut x, 1.0, &row(&self.parts.gaps, gap, GAPS));
        add_scaled(&mut x, (d as f32).sqrt(), item);
        for (block, [keys, values]) in self.parts.blocks.iter().zip(&mut past.blocks) {
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
        let h = rms_norm(&x, &self.parts.read_norm);
        let (mut query, mut key) = (vec![0.0; d], vec![0.0; d]);
        add_product(&mut query, &h, &self.parts.read_query);
        add_product(&mut key, &h, &self.parts.read_key);
        past.keys.extend_from_slice(&key);
        let mut session = vec![0.0; d];
        attend(&query, &past.keys, &past.items, d, 0..d, &self.parts.read_distance, &mut session);
        add_product(&mut session, &h, &self.parts.read_mix);
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
