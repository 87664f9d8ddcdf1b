//! Product quantisation of item vectors: a few bytes an item over shared centroids.

use anyhow::Result;
use onshelf_core::part::LEVEL_ITEMS;
use onshelf_core::rank::{CENTROIDS, ItemTable};
use onshelf_model::quantise::kmeans;
use onshelf_model::training::{FloatItems, ItemSource};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::progress::Progress;

/// Product-quantises item vectors into `m` subspaces, and their biases into levels that ten items and more share, so that
/// devices can speak of each; frequent items' errors count more.
pub(super) fn quantise(
    items: &FloatItems,
    counts: &[u32],
    m: usize,
    rng: &mut ChaCha8Rng,
    progress: &dyn Progress,
) -> Result<ItemTable> {
    let dim = items.dim();
    let width = dim / m;
    let n = counts.len() - 1;
    let vectors = &items.vectors[dim..];
    let biases = &items.biases[1..];
    let weights: Vec<f32> = counts[1..].iter().map(|&c| (c as f32).sqrt().max(0.01)).collect();
    progress.start("quantise items", Some(m as u64 + 1));
    let seeds: Vec<ChaCha8Rng> = (0..=m).map(|_| ChaCha8Rng::from_rng(rng)).collect();
    let books: Vec<_> = seeds
        .into_par_iter()
        .enumerate()
        .map(|(part, mut rng)| {
            let book = if part < m {
                let data: Vec<f32> = (0..n)
                    .flat_map(|i| {
                        vectors[i * dim + part * width..i * dim + (part + 1) * width].iter().copied()
                    })
                    .collect();
                kmeans(&data, width, &weights, 12, &mut rng)
            } else {
                let mut book = kmeans(biases, 1, &weights, 12, &mut rng);
                book.join_small(biases, &weights, LEVEL_ITEMS);
                book
            };
            progress.advance(1);
            book
        })
        .collect();
    let mut codes = Vec::with_capacity(n * (m + 1));
    for item in 0..n {
        codes.extend(books.iter().map(|b| b.codes[item]));
    }
    let centroids = books[..m].iter().flat_map(|b| b.centroids.iter().copied()).collect();
    Ok(ItemTable::new(dim, m, codes, centroids, books[m].centroids[..CENTROIDS].to_vec())?)
}
