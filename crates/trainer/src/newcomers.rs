//! Items that a teacher has not seen: where they stand before their first lesson.

use std::cell::LazyCell;
use std::collections::HashMap;
use std::ops::Range;

use anyhow::{Result, ensure};
use onshelf_core::weights::Weights;

use crate::attributes::Attributes;
use crate::corpus::Corpus;
use crate::dataset::Dataset;
use crate::teacher::TeacherState;

/// How near an item must stand in a session to count as a neighbour, in clicks.
const NEAR: usize = 3;

/// Checks that a teacher's items are the data set's.
///
/// # Errors
/// Where the data set has other items.
pub fn fit_catalogue(state: &mut TeacherState, data: &Dataset, hash: &str) -> Result<()> {
    let rows = state.weights.floats.get("items.biases").map_or(0, |t| t.values.len());
    ensure!(
        state.info.dataset == hash || rows == data.catalogue.len() + 1,
        "the teacher knows {} items, the data set has {}; prepare the new logs together with the old ones, \
         so that items keep their numbers",
        rows.saturating_sub(1),
        data.catalogue.len()
    );
    state.info.dataset = hash.to_owned();
    Ok(())
}

/// Gives every item that is clicked for the first time in the sessions `fresh` the mean vector of the
/// known items clicked near it, weighted by nearness; else the one that its attributes give;
/// else it stays where chance put it. Gives how many there were of each.
pub fn place(
    weights: &mut Weights,
    data: &Dataset,
    known: &[u32],
    now: &Corpus,
    fresh: Range<usize>,
) -> [usize; 3] {
    let Some(table) = weights.floats.get("items.vectors") else { return [0; 3] };
    let dim = table.shape.get(1).copied().unwrap_or(1);
    let vectors = &table.values;
    let vector = |i: u32| &vectors[i as usize * dim..(i as usize + 1) * dim];
    let mut sums: HashMap<u32, Vec<f32>> = HashMap::new();
    for s in fresh {
        let session = now.train.log.session(s);
        for (at, &item) in session.iter().enumerate() {
            if known[item as usize] > 0 {
                continue;
            }
            let sum = sums.entry(item).or_insert_with(|| vec![0.0; dim]);
            let near = at.saturating_sub(NEAR)..session.len().min(at + NEAR + 1);
            for (other, &neighbour) in session[near.clone()].iter().enumerate() {
                let distance = (near.start + other).abs_diff(at);
                if distance > 0 && known[neighbour as usize] > 0 {
                    let weight = 1.0 / distance as f32;
                    sum.iter_mut().zip(vector(neighbour)).for_each(|(s, v)| *s += weight * v);
                }
            }
        }
    }
    // Learned only where an item needs it.
    let attributes = LazyCell::new(|| Attributes::of(&data.catalogue));
    let placing = LazyCell::new(|| attributes.fit(vectors, dim, known));
    let mut placed = [0; 3];
    let mut moved: Vec<(u32, Vec<f32>)> = Vec::new();
    for (item, sum) in sums {
        let (how, vector) = match normal(sum) {
            Some(v) => (0, v),
            None => match placing.as_ref().and_then(|p| p.vector(item)) {
                Some(v) => (1, v),
                None => {
                    placed[2] += 1;
                    continue;
                }
            },
        };
        placed[how] += 1;
        moved.push((item, vector));
    }
    if let Some(table) = weights.floats.get_mut("items.vectors") {
        for (item, vector) in moved {
            table.values[item as usize * dim..(item as usize + 1) * dim].copy_from_slice(&vector);
        }
    }
    placed
}

/// A vector of length 1, unless it is (nearly) zero.
fn normal(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    (norm > 1e-6).then(|| {
        vector.iter_mut().for_each(|x| *x /= norm);
        vector
    })
}
