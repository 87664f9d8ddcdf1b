//! Where items stand by what is known about them: a linear map from attributes to item vectors, learned
//! on the items that were clicked (Gantner et al., ICDM 2010), so that new ones have a place before
//! their first click.
//!
//! Attributes are the elements and beginnings of the category path, the brand, the words of the name and
//! a band of the price; each is one column, weighted so that a row has length 1. The map is a ridge
//! regression, weighted by the root of the clicks, solved by conjugate gradients (Hestenes & Stiefel,
//! 1952). How strongly it is held back is chosen on a tenth of the clicked items.

use std::collections::HashMap;

use onshelf_core::catalogue::Catalogue;
use rayon::prelude::*;

/// Strengths that are tried.
const RIDGES: [f32; 5] = [0.3, 1.0, 3.0, 10.0, 30.0];
/// Most rounds of the solver.
const ROUNDS: usize = 60;
/// Fewer clicked items with attributes teach nothing.
const FEWEST: usize = 20;

/// What is known about the items, as columns of a sparse matrix; row 0 is padding.
pub struct Attributes {
    rows: Vec<Vec<(u32, f32)>>,
    columns: usize,
}

impl Attributes {
    /// Reads a catalogue.
    #[must_use]
    pub fn of(catalogue: &Catalogue) -> Self {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut uses: Vec<u32> = Vec::new();
        let mut rows: Vec<Vec<(u32, f32)>> = vec![Vec::new()];
        for item in 1..=catalogue.len() as u32 {
            let mut row: Vec<u32> = words_of(catalogue, item)
                .into_iter()
                .map(|word| {
                    let next = numbers.len() as u32;
                    *numbers.entry(word).or_insert(next)
                })
                .collect();
            row.sort_unstable();
            row.dedup();
            uses.resize(numbers.len(), 0);
            row.iter().for_each(|&c| uses[c as usize] += 1);
            rows.push(row.into_iter().map(|c| (c, 1.0)).collect());
        }
        let mut out = Self { rows, columns: numbers.len() };
        // What a single item has says nothing about another.
        for row in &mut out.rows {
            row.retain(|&(c, _)| uses[c as usize] > 1);
            let scale = 1.0 / (row.len().max(1) as f32).sqrt();
            row.iter_mut().for_each(|e| e.1 = scale);
        }
        out
    }

    /// Whether anything is known about an item that is known about another as well.
    #[must_use]
    pub fn knows(&self, item: u32) -> bool {
        self.rows.get(item as usize).is_some_and(|row| !row.is_empty())
    }

    /// Learns the map from the items with a count. `vectors` are `[items + 1, dim]`, row 0 is padding.
    /// `None` where too few clicked items have attributes.
    #[must_use]
    pub fn fit(&self, vectors: &[f32], dim: usize, counts: &[u32]) -> Option<Placing<'_>> {
        let known: Vec<u32> =
            (1..counts.len() as u32).filter(|&i| counts[i as usize] > 0 && self.knows(i)).collect();
        if known.len() < FEWEST {
            return None;
        }
        let vector = |item: u32| &vectors[item as usize * dim..(item as usize + 1) * dim];
        let held = |item: u32| (item.wrapping_mul(0x9e37_79b1) >> 16).is_multiple_of(10);
        let (judge, learn): (Vec<u32>, Vec<u32>) = known.iter().partition(|&&i| held(i));
        let merit = |ridge: f32| {
            let placing = self.solve(&learn, vectors, dim, counts, ridge);
            judge.iter().filter_map(|&i| Some(dot(&placing.vector(i)?, vector(i)))).sum::<f32>()
        };
        let best = RIDGES.map(|r| (merit(r), r)).into_iter().max_by(|a, b| a.0.total_cmp(&b.0))?;
        Some(self.solve(&known, vectors, dim, counts, best.1))
    }

    /// `(XᵀWX + ridge)A = XᵀW(V - mean)`.
    fn solve(&self, items: &[u32], vectors: &[f32], dim: usize, counts: &[u32], ridge: f32) -> Placing<'_> {
        let weight = |i: u32| (counts[i as usize] as f32).sqrt();
        let vector = |item: u32| &vectors[item as usize * dim..(item as usize + 1) * dim];
        let mut mean = vec![0.0; dim];
        let total: f32 = items.iter().map(|&i| weight(i)).sum();
        for &i in items {
            mean.iter_mut().zip(vector(i)).for_each(|(m, v)| *m += weight(i) / total * v);
        }
        // One dimension of the vectors is one system; all share the matrix.
        let columns: Vec<Vec<f32>> = (0..dim)
            .into_par_iter()
            .map(|d| {
                let mut residual = vec![0.0; self.columns];
                for &i in items {
                    let value = weight(i) * (vectors[i as usize * dim + d] - mean[d]);
                    self.rows[i as usize].iter().for_each(|&(c, x)| residual[c as usize] += x * value);
                }
                let mut solution = vec![0.0; self.columns];
                let mut direction = residual.clone();
                let mut square = dot(&residual, &residual);
                let enough = 1e-6 * square;
                for _ in 0..ROUNDS {
                    if square <= enough {
                        break;
                    }
                    let mut image: Vec<f32> = direction.iter().map(|x| ridge * x).collect();
                    for &i in items {
                        let row = &self.rows[i as usize];
                        let value =
                            weight(i) * row.iter().map(|&(c, x)| x * direction[c as usize]).sum::<f32>();
                        row.iter().for_each(|&(c, x)| image[c as usize] += x * value);
                    }
                    let step = square / dot(&direction, &image).max(f32::MIN_POSITIVE);
                    solution.iter_mut().zip(&direction).for_each(|(s, d)| *s += step * d);
                    residual.iter_mut().zip(&image).for_each(|(r, i)| *r -= step * i);
                    let next = dot(&residual, &residual);
                    let keep = next / square;
                    direction.iter_mut().zip(&residual).for_each(|(d, r)| *d = r + keep * *d);
                    square = next;
                }
                solution
            })
            .collect();
        Placing { attributes: self, mean, columns }
    }
}

/// The learned map.
pub struct Placing<'a> {
    attributes: &'a Attributes,
    mean: Vec<f32>,
    /// By dimension of the vectors, then by attribute.
    columns: Vec<Vec<f32>>,
}

impl Placing<'_> {
    /// The vector of length 1 that an item's attributes give; `None` where nothing is known about it.
    #[must_use]
    pub fn vector(&self, item: u32) -> Option<Vec<f32>> {
        if !self.attributes.knows(item) {
            return None;
        }
        let row = &self.attributes.rows[item as usize];
        let mut out: Vec<f32> = self
            .columns
            .iter()
            .zip(&self.mean)
            .map(|(column, mean)| mean + row.iter().map(|&(c, x)| x * column[c as usize]).sum::<f32>())
            .collect();
        let norm = dot(&out, &out).sqrt();
        (norm > 1e-6).then(|| {
            out.iter_mut().for_each(|x| *x /= norm);
            out
        })
    }
}

/// Gives every item without a click the vector of its attributes and the mean bias of the clicked items.
/// Gives the items that got one.
pub fn place_unclicked(
    catalogue: &Catalogue,
    counts: &[u32],
    vectors: &mut [f32],
    biases: &mut [f32],
) -> Vec<u32> {
    let dim = vectors.len() / biases.len().max(1);
    let unclicked: Vec<u32> = (1..counts.len() as u32).filter(|&i| counts[i as usize] == 0).collect();
    if unclicked.is_empty() {
        return Vec::new();
    }
    let attributes = Attributes::of(catalogue);
    let Some(placing) = attributes.fit(vectors, dim, counts) else { return Vec::new() };
    let clicked: Vec<usize> = (1..counts.len()).filter(|&i| counts[i] > 0).collect();
    let bias = clicked.iter().map(|&i| biases[i]).sum::<f32>() / clicked.len().max(1) as f32;
    let placed: Vec<(u32, Vec<f32>)> =
        unclicked.into_iter().filter_map(|i| Some((i, placing.vector(i)?))).collect();
    for (item, vector) in &placed {
        let at = *item as usize;
        vectors[at * dim..(at + 1) * dim].copy_from_slice(vector);
        biases[at] = bias;
    }
    placed.into_iter().map(|p| p.0).collect()
}

/// Everything known about an item as words of their own kinds.
fn words_of(catalogue: &Catalogue, item: u32) -> Vec<String> {
    let path = catalogue.category(item);
    let mut out: Vec<String> = path.iter().map(|c| format!("category {c}")).collect();
    out.extend((2..=path.len()).map(|n| format!("path {}", path[..n].join(" / "))));
    out.extend(catalogue.brand(item).map(|b| format!("brand {b}")));
    if let Some(name) = catalogue.name(item) {
        let words = name.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
        out.extend(words.map(|w| format!("word {}", w.to_lowercase())));
    }
    // Bands of half an octave.
    out.extend(
        catalogue.price(item).filter(|p| *p > 0.0).map(|p| format!("price {}", (2.0 * p.log2()).round())),
    );
    out
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use onshelf_core::catalogue::{CatalogueBuilder, ItemAttributes};

    use super::*;

    /// Sixty items of three categories; each category's vectors point their own way.
    fn shop() -> (Catalogue, Vec<f32>, Vec<u32>) {
        let mut builder = CatalogueBuilder::new();
        let (mut vectors, mut counts) = (vec![0.0; 3], vec![0]);
        for i in 0..60_usize {
            let category = i % 3;
            let known = i < 57;
            let attributes = ItemAttributes {
                category: vec!["all".into(), format!("c{category}")],
                name: (i == 59).then(|| "Unheard".into()),
                ..Default::default()
            };
            builder.push(&i.to_string(), attributes, known).unwrap();
            let mut vector = [0.1, 0.1, 0.1];
            vector[category] = 1.0;
            vectors.extend(if known { vector } else { [0.0; 3] });
            counts.push(if known { 1 + i as u32 } else { 0 });
        }
        (builder.finish().unwrap(), vectors, counts)
    }

    #[test]
    fn new_items_stand_where_their_category_does() {
        let (catalogue, mut vectors, counts) = shop();
        let mut biases: Vec<f32> = counts.iter().map(|&c| c as f32).collect();
        assert_eq!(place_unclicked(&catalogue, &counts, &mut vectors, &mut biases), [58, 59, 60]);
        for item in 58..=60_usize {
            let vector = &vectors[item * 3..item * 3 + 3];
            assert!((dot(vector, vector) - 1.0).abs() < 1e-4);
            assert!(vector[(item - 1) % 3] > 0.9, "{item}: {vector:?}");
            // 57 items have one to 57 clicks.
            assert_eq!(biases[item], 29.0);
        }
    }

    #[test]
    fn nothing_is_made_up_where_nothing_is_known() {
        let (catalogue, vectors, counts) = shop();
        let attributes = Attributes::of(&catalogue);
        let placing = attributes.fit(&vectors, 3, &counts).unwrap();
        assert!(placing.vector(0).is_none() && placing.vector(61).is_none());
        let mut builder = CatalogueBuilder::new();
        (0..60).for_each(|i| {
            builder.push(&i.to_string(), ItemAttributes::default(), true).unwrap();
        });
        let bare = builder.finish().unwrap();
        assert!(Attributes::of(&bare).fit(&vectors, 3, &counts).is_none());
        let few = [vec![0], vec![1; 10], vec![0; 50]].concat();
        assert!(attributes.fit(&vectors, 3, &few).is_none());
    }

    #[test]
    fn what_one_item_alone_has_is_left_out() {
        let (catalogue, ..) = shop();
        let attributes = Attributes::of(&catalogue);
        assert_eq!(attributes.rows[60].len(), attributes.rows[57].len());
        assert!(words_of(&catalogue, 60).contains(&"word unheard".to_owned()));
    }
}
