//! Product quantisation of an item table (Jégou et al., PAMI 2011).

use onshelf_core::rank::CENTROIDS;
use rand::{Rng, RngExt};

/// Codes and centroids of one subspace (or of the scalar biases, `width` 1).
#[derive(Clone, Debug)]
pub struct Codebook {
    /// `[256, width]`, row-major.
    pub centroids: Vec<f32>,
    /// One code a row of the data.
    pub codes: Vec<u8>,
}

/// k-means with k = 256 and k-means++ seeding (Arthur & Vassilvitskii 2007) on a sample;
/// `weights` say how much each row's error counts (its clicks, say).
///
/// # Panics
/// Where `data` is not a multiple of `width`: a broken invariant of the caller.
pub fn kmeans(
    data: &[f32],
    width: usize,
    weights: &[f32],
    iterations: usize,
    rng: &mut impl Rng,
) -> Codebook {
    assert!(width > 0 && data.len() == weights.len() * width, "rows and weights");
    let mut centroids = seed(data, width, weights, rng);
    let mut codes = vec![0_u8; weights.len()];
    for _ in 0..iterations {
        assign(data, width, &centroids, &mut codes);
        update(data, width, weights, &codes, &mut centroids, rng);
    }
    assign(data, width, &centroids, &mut codes);
    Codebook { centroids, codes }
}

impl Codebook {
    /// Joins levels (`width` 1) that fewer than `fewest` rows have to their nearest neighbours, until none is left; a
    /// level that nobody has keeps its place.
    pub fn join_small(&mut self, data: &[f32], weights: &[f32], fewest: usize) {
        struct Level {
            rows: Vec<usize>,
            value: f32,
            code: u8,
        }
        let mut levels: Vec<Level> = (0..=u8::MAX)
            .map(|code| {
                let rows = (0..self.codes.len()).filter(|&row| self.codes[row] == code).collect();
                Level { rows, value: self.centroids[usize::from(code)], code }
            })
            .filter(|level| !level.rows.is_empty())
            .collect();
        levels.sort_by(|a, b| a.value.total_cmp(&b.value));
        while levels.len() > 1 {
            let smallest = (0..levels.len()).min_by_key(|&at| levels[at].rows.len()).unwrap_or(0);
            if levels[smallest].rows.len() >= fewest {
                break;
            }
            let small = levels.remove(smallest);
            let off = |at: usize| levels.get(at).map_or(f32::INFINITY, |l| (l.value - small.value).abs());
            let near =
                if smallest > 0 && off(smallest - 1) <= off(smallest) { smallest - 1 } else { smallest };
            let joined = &mut levels[near];
            joined.rows.extend(small.rows);
            let mass = |rows: &[usize]| rows.iter().map(|&r| f64::from(weights[r])).sum::<f64>();
            let sum: f64 = joined.rows.iter().map(|&r| f64::from(weights[r]) * f64::from(data[r])).sum();
            joined.value = (sum / mass(&joined.rows).max(f64::MIN_POSITIVE)) as f32;
        }
        for level in levels {
            self.centroids[usize::from(level.code)] = level.value;
            level.rows.iter().for_each(|&row| self.codes[row] = level.code);
        }
    }
}

fn seed(data: &[f32], width: usize, weights: &[f32], rng: &mut impl Rng) -> Vec<f32> {
    let rows = weights.len();
    let sample: Vec<usize> = (0..rows.min(8192)).map(|_| rng.random_range(0..rows.max(1))).collect();
    let mut centroids = Vec::with_capacity(CENTROIDS * width);
    let mut nearest = vec![f32::INFINITY; sample.len()];
    while centroids.len() < CENTROIDS * width {
        let total: f32 = nearest.iter().map(|d| d.min(1e6)).sum();
        let row = if sample.is_empty() {
            centroids.resize(CENTROIDS * width, 0.0);
            break;
        } else if centroids.is_empty() || total <= 0.0 {
            sample[rng.random_range(0..sample.len())]
        } else {
            let mut left = rng.random::<f32>() * total;
            let at = nearest.iter().position(|d| {
                left -= d.min(1e6);
                left <= 0.0
            });
            sample[at.unwrap_or(sample.len() - 1)]
        };
        let start = centroids.len();
        centroids.extend_from_slice(&data[row * width..(row + 1) * width]);
        for (near, &r) in nearest.iter_mut().zip(&sample) {
            *near = near.min(distance(&data[r * width..(r + 1) * width], &centroids[start..]));
        }
    }
    centroids
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// The nearest centroid of every row.
pub fn assign(data: &[f32], width: usize, centroids: &[f32], codes: &mut [u8]) {
    for (row, code) in data.chunks_exact(width).zip(codes) {
        let mut best = (f32::INFINITY, 0);
        for (c, centroid) in centroids.chunks_exact(width).enumerate() {
            let d = distance(row, centroid);
            if d < best.0 {
                best = (d, c);
            }
        }
        *code = best.1 as u8;
    }
}

fn update(
    data: &[f32],
    width: usize,
    weights: &[f32],
    codes: &[u8],
    centroids: &mut [f32],
    rng: &mut impl Rng,
) {
    let mut sums = vec![0.0_f64; CENTROIDS * width];
    let mut mass = [0.0_f64; CENTROIDS];
    for ((row, &code), &w) in data.chunks_exact(width).zip(codes).zip(weights) {
        let c = code as usize;
        mass[c] += f64::from(w);
        for (s, &x) in sums[c * width..(c + 1) * width].iter_mut().zip(row) {
            *s += f64::from(w) * f64::from(x);
        }
    }
    for c in 0..CENTROIDS {
        let target = &mut centroids[c * width..(c + 1) * width];
        if mass[c] > 0.0 {
            for (t, s) in target.iter_mut().zip(&sums[c * width..]) {
                *t = (s / mass[c]) as f32;
            }
        } else if !codes.is_empty() {
            // An empty cell takes a random row.
            let row = rng.random_range(0..codes.len());
            target.copy_from_slice(&data[row * width..(row + 1) * width]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn few_distinct_rows_are_coded_exactly() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let data: Vec<f32> = (0..1000).flat_map(|i| [(i % 40) as f32, (i % 7) as f32]).collect();
        let book = kmeans(&data, 2, &vec![1.0; 1000], 12, &mut rng);
        let error: f32 = data
            .chunks_exact(2)
            .zip(&book.codes)
            .map(|(row, &c)| distance(row, &book.centroids[c as usize * 2..c as usize * 2 + 2]))
            .sum::<f32>()
            / 1000.0;
        // 280 distinct rows into 256 cells.
        assert!(error < 0.1, "{error}");
    }

    #[test]
    fn small_levels_join_their_nearest_neighbours() {
        // Three items about 0, twelve about 1, one at 3, eleven at 9.
        let value = |at: usize| [0.0, 1.0, 3.0, 9.0][[3, 15, 16].partition_point(|end| *end <= at)];
        let data: Vec<f32> = (0..27).map(value).collect();
        let mut weights = vec![1.0; 27];
        weights[15] = 4.0;
        let mut book = kmeans(&data, 1, &weights, 12, &mut ChaCha8Rng::seed_from_u64(7));
        book.join_small(&data, &weights, 10);
        let found = |row: usize| book.centroids[usize::from(book.codes[row])];
        assert!((0..16).all(|row| found(row) == found(0)) && (16..27).all(|row| found(row) == 9.0));
        assert!((found(0) - (12.0 + 4.0 * 3.0) / 19.0).abs() < 1e-6, "{}", found(0));
        // Fewer rows than a level needs: one level.
        book.join_small(&data, &weights, 100);
        assert!(book.codes.iter().all(|code| *code == book.codes[0]));
        kmeans(&[], 1, &[], 3, &mut ChaCha8Rng::seed_from_u64(7)).join_small(&[], &[], 10);
    }

    #[test]
    fn empty_and_tiny_tables_work() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        assert!(kmeans(&[], 3, &[], 3, &mut rng).codes.is_empty());
        let book = kmeans(&[1.0, 2.0], 2, &[1.0], 3, &mut rng);
        assert_eq!(&book.centroids[book.codes[0] as usize * 2..][..2], [1.0, 2.0]);
    }
}
