//! What a device contributes: the direction in which its clicks would move the shared trend.
//!
//! The trend moves the centroids and the bias levels that score ([`onshelf_core::part`]). A session's contribution is one step
//! of gradient descent on the cross-entropy of its clicks, rate 1, with the softmax over **all** items: with
//! `q` the query of a position and `p` the shares of the items, the centroid `c` of subspace `m` has the
//! gradient `(Σ p of its items − [the clicked item has it]) · q_m / temperature`, and a bias level the same without
//! query and temperature, but for levels of a few items, to which nobody contributes. The scores of all items are
//! there when a click is predicted; summing shares by centroid costs as much as the scan that made them.
//!
//! The step starts from the shipped student, without anything personal: what is learned here stays here.

use onshelf_core::part::{LEVEL_ITEMS, Part};
use onshelf_core::rank::CENTROIDS;
use onshelf_core::slices::{add_scaled, softmax};

use crate::error::ModelError;
use crate::student::Student;

/// Vectors to compute in, kept from session to session of one student.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    lut: Vec<f32>,
    scores: Vec<f32>,
    masses: Vec<f32>,
    /// Bias levels that too few items share to be spoken of.
    lonely: Option<Vec<u8>>,
}

/// Adds what a session asks of the trend: the negative gradient of the **sum** of its positions' losses, to
/// `out`, as long as the trend ([`onshelf_core::rank::ItemTable::trend_len`]). `vectors` and `items` are as in
/// [`crate::personal::Lesson::new`]. Gives the number of positions and the sum of their losses (nats).
///
/// # Errors
/// [`ModelError::Device`], or [`ModelError::NotFinite`] where a loss is not finite; `out` is then of no use.
pub async fn add_wish(
    student: &Student,
    vectors: &[f32],
    items: &[u32],
    scratch: &mut Scratch,
    out: &mut [f32],
) -> Result<(usize, f64), ModelError> {
    let shape = student.shape();
    let (table, width) = (student.table(), shape.dim / shape.subspaces);
    let clicks = vectors.len() / shape.dim;
    let items = &items[items.len().saturating_sub(clicks)..];
    let Scratch { lut, scores, masses, lonely } = scratch;
    let lonely = lonely.get_or_insert_with(|| table.lonely_levels(LEVEL_ITEMS));
    let (mut positions, mut loss) = (0, 0.0);
    for at in 1..items.len() {
        let Some(own) = table.codes_of(items[at]) else { continue };
        let query = student.base().apply(&vectors[(at - 1) * shape.dim..at * shape.dim], None);
        student.score(&query, &items[..at], lut, scores).await?;
        let score = scores[items[at] as usize - 1];
        loss += f64::from(softmax(scores) - score);
        positions += 1;
        masses.clear();
        masses.resize((shape.subspaces + 1) * CENTROIDS, 0.0);
        table.add_masses(scores, masses);
        for (m, code) in own.iter().enumerate() {
            masses[m * CENTROIDS + usize::from(*code)] -= 1.0;
        }
        for level in lonely.iter() {
            masses[shape.subspaces * CENTROIDS + usize::from(*level)] = 0.0;
        }
        let (centroids, levels) = out.split_at_mut(shape.subspaces * CENTROIDS * width);
        let (of_centroids, of_levels) = masses.split_at(shape.subspaces * CENTROIDS);
        let books = centroids.chunks_exact_mut(CENTROIDS * width).zip(of_centroids.chunks_exact(CENTROIDS));
        for ((book, masses), query) in books.zip(query.chunks_exact(width)) {
            for (centroid, mass) in book.chunks_exact_mut(width).zip(masses) {
                add_scaled(centroid, -mass / shape.temperature, query);
            }
        }
        add_scaled(levels, -1.0, of_levels);
    }
    if !f64::is_finite(loss) {
        return Err(ModelError::NotFinite { what: "loss", step: 0 });
    }
    Ok((positions, loss))
}

/// A shopper's contribution to a round: the part of what `sessions` (vectors and items each) ask of the
/// trend, divided by the root of the number of positions, so that long sessions say more, but not in proportion. `None`
/// where there is no click to learn from.
///
/// # Errors
/// As [`add_wish`]; [`ModelError::State`] where the student has no such part.
pub async fn contribution(
    student: &Student,
    part: &Part,
    sessions: &[(&[f32], &[u32])],
    scratch: &mut Scratch,
) -> Result<Option<Vec<f32>>, ModelError> {
    let range = part.range(student.shape()).map_err(|e| ModelError::State(e.to_string()))?;
    let mut all = vec![0.0; student.table().trend_len()];
    let mut positions = 0;
    for (vectors, items) in sessions {
        positions += add_wish(student, vectors, items, scratch, &mut all).await?.0;
    }
    if positions == 0 {
        return Ok(None);
    }
    let scale = (positions as f32).sqrt().recip();
    Ok(Some(all[range].iter().map(|x| scale * x).collect()))
}
