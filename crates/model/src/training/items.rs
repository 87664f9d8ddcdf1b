//! Where item vectors come from while training: a plain table (teacher) or shared centroids
//! (student).

use onshelf_core::rank::{CENTROIDS, ItemTable};
use onshelf_core::weights::{Tensor, Weights};
use rand::{Rng, RngExt};
use rayon::prelude::*;

use super::wide::{dot, wide};
use crate::adam::{Adam, AdamRows, SparseAdam};
use crate::error::ModelError;
use crate::quantise::assign;

/// Item vectors and biases that can be read and trained.
pub trait ItemSource: Sync {
    /// Dimensions of an item vector.
    fn dim(&self) -> usize;
    /// Appends the vector of `item` (zeros for padding).
    fn push_vector(&self, item: u32, out: &mut Vec<f32>);
    /// The bias of `item`.
    fn bias(&self, item: u32) -> f32;
    /// One optimiser step. `items` ascend, each once; `vectors` holds a gradient of `dim` values an
    /// item, `biases` one.
    fn step(&mut self, items: &[u32], vectors: &[f32], biases: &[f32], rate: f32);
}

/// A table of unit vectors, one an item, row 0 for padding.
pub struct FloatItems {
    dim: usize,
    /// `[items + 1, dim]`, every row of length 1.
    pub vectors: Vec<f32>,
    /// `[items + 1]`.
    pub biases: Vec<f32>,
    vector_adam: SparseAdam,
    bias_adam: SparseAdam,
}

impl FloatItems {
    /// Random directions.
    pub fn new(items: usize, dim: usize, rng: &mut impl Rng) -> Self {
        let vectors = (0..(items + 1) * dim).map(|_| rng.random::<f32>() * 2.0 - 1.0).collect();
        Self::from_parts(dim, vectors, vec![0.0; items + 1])
    }

    /// Takes over vectors (normalised here) and biases.
    #[must_use]
    pub fn from_parts(dim: usize, mut vectors: Vec<f32>, biases: Vec<f32>) -> Self {
        vectors.chunks_exact_mut(dim).for_each(normalise);
        let rows = biases.len();
        Self {
            dim,
            vectors,
            biases,
            vector_adam: SparseAdam::new(rows, dim),
            bias_adam: SparseAdam::new(rows, 1),
        }
    }
}

impl FloatItems {
    /// Adds vectors, biases and moments, to be restored with [`Self::restore`].
    pub fn checkpoint(&self, out: &mut Weights) {
        let rows = self.biases.len();
        let mut put = |name: &str, shape: Vec<usize>, values: &[f32]| {
            out.floats.insert(name.into(), Tensor { shape, values: values.to_vec() });
        };
        put("items.vectors", vec![rows, self.dim], &self.vectors);
        put("items.biases", vec![rows], &self.biases);
        self.vector_adam.write("adam.items.vectors", out);
        self.bias_adam.write("adam.items.biases", out);
    }

    /// Takes over what [`Self::checkpoint`] gave.
    ///
    /// # Errors
    /// [`ModelError::Weights`] where it was made for another catalogue; nothing is changed then.
    pub fn restore(&mut self, saved: &Weights) -> Result<(), ModelError> {
        let (rows, dim) = (self.biases.len(), self.dim);
        let vectors = saved.get("items.vectors", &[rows, dim])?.values.clone();
        let biases = saved.get("items.biases", &[rows])?.values.clone();
        let vector_adam = SparseAdam::read("adam.items.vectors", rows, dim, saved)?;
        let bias_adam = SparseAdam::read("adam.items.biases", rows, 1, saved)?;
        *self = Self { dim, vectors, biases, vector_adam, bias_adam };
        Ok(())
    }
}

impl FloatItems {
    /// Brings every vector back to length 1.
    pub fn normalise(&mut self) {
        self.vectors.chunks_exact_mut(self.dim).for_each(normalise);
    }
}

#[inline(always)]
fn normalise(row: &mut [f32]) {
    let scale = 1.0 / dot(row, row).sqrt().max(1e-12);
    row.iter_mut().for_each(|x| *x *= scale);
}

impl ItemSource for FloatItems {
    fn dim(&self) -> usize {
        self.dim
    }

    fn push_vector(&self, item: u32, out: &mut Vec<f32>) {
        let start = item as usize * self.dim;
        if item == 0 {
            out.resize(out.len() + self.dim, 0.0);
        } else {
            out.extend_from_slice(&self.vectors[start..start + self.dim]);
        }
    }

    fn bias(&self, item: u32) -> f32 {
        self.biases[item as usize]
    }

    fn step(&mut self, items: &[u32], vectors: &[f32], biases: &[f32], rate: f32) {
        let table = self.vector_adam.rows(&mut self.vectors);
        let offsets = self.bias_adam.rows(&mut self.biases);
        step_rows(table, offsets, Gradients { dim: self.dim, items, vectors, biases }, rate);
    }
}

/// Gradients by vectors and biases of some items.
#[derive(Clone, Copy)]
struct Gradients<'a> {
    dim: usize,
    items: &'a [u32],
    vectors: &'a [f32],
    biases: &'a [f32],
}

/// Steps on the rows of the items, spread over threads.
fn step_rows(mut table: AdamRows<'_>, mut offsets: AdamRows<'_>, all: Gradients<'_>, rate: f32) {
    /// Fewer items are not worth a thread.
    const FEW: usize = 256;
    let Gradients { dim, items, vectors, biases } = all;
    if items.len() > FEW {
        let middle = items.len() / 2;
        let row = items[middle] as usize;
        let (table, offsets) = (table.split_at(row), offsets.split_at(row));
        let (items, vectors, biases) =
            (items.split_at(middle), vectors.split_at(middle * dim), biases.split_at(middle));
        let low = Gradients { dim, items: items.0, vectors: vectors.0, biases: biases.0 };
        let high = Gradients { dim, items: items.1, vectors: vectors.1, biases: biases.1 };
        rayon::join(
            || step_rows(table.0, offsets.0, low, rate),
            || step_rows(table.1, offsets.1, high, rate),
        );
        return;
    }
    wide(|| {
        let mut tangent = vec![0.0; dim];
        for ((&item, g), &gb) in items.iter().zip(vectors.chunks_exact(dim)).zip(biases) {
            let row = item as usize;
            let v = table.row(row);
            // Vectors stay on the unit sphere: only the tangential part of the gradient counts.
            let along = dot(v, g);
            for ((t, &gi), &vi) in tangent.iter_mut().zip(g).zip(&*v) {
                *t = gi - along * vi;
            }
            table.step(row, &tangent, rate);
            normalise(table.row(row));
            offsets.step(row, &[gb], rate);
        }
    });
}

/// Items as codes over trainable centroids.
pub struct CodedItems {
    dim: usize,
    subspaces: usize,
    /// `[items, subspaces + 1]`; the last code names the bias level.
    pub codes: Vec<u8>,
    /// `[subspaces, 256, dim / subspaces]`.
    pub centroids: Vec<f32>,
    /// `[256]`.
    pub levels: Vec<f32>,
    centroid_adam: Adam,
    level_adam: Adam,
    follow: Option<Follow>,
}

/// Where items would like to be, while their codes follow.
struct Follow {
    items: FloatItems,
    /// Rate of the vectors, as a multiple of the centroids'.
    factor: f32,
    steps: usize,
}

/// Steps between two assignments of codes.
const RECODE: usize = 100;

impl CodedItems {
    /// Starts from a quantised table.
    #[must_use]
    pub fn new(table: &ItemTable) -> Self {
        Self {
            dim: table.dim(),
            subspaces: table.subspaces(),
            codes: table.codes().to_vec(),
            centroids: table.centroids().to_vec(),
            levels: table.bias().to_vec(),
            centroid_adam: Adam::new(table.centroids().len()),
            level_adam: Adam::new(CENTROIDS),
            follow: None,
        }
    }

    /// Lets codes follow full-precision vectors, which learn from the gradients of the quantised ones
    /// as if they were these (the straight-through estimator; Bengio et al., 2013), at `factor` times
    /// the centroids' rate.
    #[must_use]
    pub fn following(mut self, items: FloatItems, factor: f32) -> Self {
        self.follow = Some(Follow { items, factor, steps: 0 });
        self
    }

    /// Gives every item the codes of the centroids that are nearest to its full-precision vector.
    fn recode(&mut self) {
        let Some(follow) = &self.follow else { return };
        let (dim, m) = (self.dim, self.subspaces);
        let width = dim / m;
        let centroids = &self.centroids;
        self.codes
            .par_chunks_exact_mut(m + 1)
            .zip(follow.items.vectors[dim..].par_chunks_exact(dim))
            .for_each(|(codes, vector)| {
                for (part, code) in codes[..m].iter_mut().enumerate() {
                    let book = &centroids[part * CENTROIDS * width..(part + 1) * CENTROIDS * width];
                    let own = std::slice::from_mut(code);
                    assign(&vector[part * width..(part + 1) * width], width, book, own);
                }
            });
    }

    /// The table as it is now.
    ///
    /// # Errors
    /// [`ModelError::Table`] where training made a number that is not finite.
    pub fn table(&self) -> Result<ItemTable, ModelError> {
        Ok(ItemTable::new(
            self.dim,
            self.subspaces,
            self.codes.clone(),
            self.centroids.clone(),
            self.levels.clone(),
        )?)
    }

    /// The tensors of the table, to be written beside the encoder's.
    #[must_use]
    pub fn weights(&self) -> Weights {
        let mut out = Weights::default();
        let row = self.subspaces + 1;
        out.bytes.insert("items.codes".into(), (vec![self.codes.len() / row, row], self.codes.clone()));
        let shape = vec![self.subspaces, CENTROIDS, self.dim / self.subspaces];
        out.floats.insert("items.centroids".into(), Tensor { shape, values: self.centroids.clone() });
        out.floats
            .insert("items.bias".into(), Tensor { shape: vec![CENTROIDS], values: self.levels.clone() });
        out
    }

    fn codes_of(&self, item: u32) -> Option<&[u8]> {
        let row = self.subspaces + 1;
        let start = (item as usize).checked_sub(1)? * row;
        self.codes.get(start..start + row)
    }
}

impl ItemSource for CodedItems {
    fn dim(&self) -> usize {
        self.dim
    }

    fn push_vector(&self, item: u32, out: &mut Vec<f32>) {
        let Some(codes) = self.codes_of(item) else {
            out.resize(out.len() + self.dim, 0.0);
            return;
        };
        let width = self.dim / self.subspaces;
        for (m, &code) in codes[..self.subspaces].iter().enumerate() {
            let start = (m * CENTROIDS + code as usize) * width;
            out.extend_from_slice(&self.centroids[start..start + width]);
        }
    }

    fn bias(&self, item: u32) -> f32 {
        self.codes_of(item).and_then(|c| c.last()).map_or(0.0, |&c| self.levels[c as usize])
    }

    fn step(&mut self, items: &[u32], vectors: &[f32], biases: &[f32], rate: f32) {
        let width = self.dim / self.subspaces;
        let mut centroids = vec![0.0; self.centroids.len()];
        let mut levels = vec![0.0; CENTROIDS];
        for ((&item, g), &gb) in items.iter().zip(vectors.chunks_exact(self.dim)).zip(biases) {
            let Some(codes) = self.codes_of(item) else { continue };
            for ((m, &code), part) in codes[..self.subspaces].iter().enumerate().zip(g.chunks_exact(width)) {
                let start = (m * CENTROIDS + code as usize) * width;
                for (c, x) in centroids[start..start + width].iter_mut().zip(part) {
                    *c += x;
                }
            }
            levels[codes[self.subspaces] as usize] += gb;
        }
        self.centroid_adam.step(&mut self.centroids, &centroids, rate, 0.0);
        self.level_adam.step(&mut self.levels, &levels, rate, 0.0);
        if let Some(follow) = &mut self.follow {
            follow.items.step(items, vectors, biases, rate * follow.factor);
            follow.steps += 1;
            if follow.steps.is_multiple_of(RECODE) {
                self.recode();
            }
        }
    }
}
