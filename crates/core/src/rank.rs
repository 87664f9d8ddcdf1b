//! Ranking the whole catalogue: a product-quantised item table, look-up scoring, top-k.
//!
//! The table follows Jégou et al., *Product quantization for nearest neighbor search* (PAMI
//! 2011) and RecJPQ (Petrov & Macdonald, WSDM 2024): an item's vector is the concatenation of
//! one centroid per subspace, its scalar bias is one more code. Scoring builds one small table
//! per subspace and adds up `subspaces + 1` look-ups an item.
//!
//! A **trend** moves the centroids and bias levels that score, not those that sessions are read with: what many
//! shoppers taught ([`crate::part`]). It is added where the look-up table is made and costs an item nothing.

mod diverse;
mod trend;

use thiserror::Error;

pub use diverse::diversify;

/// Centroids per subspace: codes are bytes.
pub const CENTROIDS: usize = 256;

/// What can be wrong with an item table.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableError {
    /// A column has another length than the configuration says.
    #[error("item table: {what} has {found} values, expected {expected}; export the model version again")]
    Length {
        /// Which part.
        what: &'static str,
        /// How many values it has.
        found: usize,
        /// How many it should have.
        expected: usize,
    },
    /// The dimension is not a multiple of the number of subspaces.
    #[error("item table: {dim} dimensions cannot be cut into {subspaces} equal subspaces")]
    Split {
        /// Dimensions of an item vector.
        dim: usize,
        /// Number of subspaces.
        subspaces: usize,
    },
    /// A value is NaN or infinite.
    #[error("item table: {0} holds a value that is not finite; the model version is broken")]
    NotFinite(&'static str),
}

/// The quantised items: codes `[items, subspaces + 1]`, centroids `[subspaces, 256, dim/subspaces]`,
/// bias levels `[256]`. The last code of a row names the item's bias.
#[derive(Clone, PartialEq)]
pub struct ItemTable {
    dim: usize,
    subspaces: usize,
    items: usize,
    codes: Vec<u8>,
    centroids: Vec<f32>,
    bias: Vec<f32>,
    /// Of the shape of centroids and bias levels, or empty: added to them for scoring.
    trend: Vec<f32>,
    /// Centroids and bias levels, with the trend; empty where there is no trend.
    moved: Vec<f32>,
}

impl std::fmt::Debug for ItemTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ItemTable({} items × {} dimensions, {} bytes an item)", self.items, self.dim, self.row())
    }
}

impl ItemTable {
    /// Checks and takes over the parts.
    ///
    /// # Errors
    /// [`TableError`] where lengths disagree or a number is not finite.
    pub fn new(
        dim: usize,
        subspaces: usize,
        codes: Vec<u8>,
        centroids: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<Self, TableError> {
        if subspaces == 0 || dim == 0 || !dim.is_multiple_of(subspaces) {
            return Err(TableError::Split { dim, subspaces });
        }
        let row = subspaces + 1;
        let items = codes.len() / row;
        let check = |what, found, expected| {
            if found == expected { Ok(()) } else { Err(TableError::Length { what, found, expected }) }
        };
        check("codes", codes.len(), items * row)?;
        check("centroids", centroids.len(), CENTROIDS * dim)?;
        check("bias", bias.len(), CENTROIDS)?;
        if !centroids.iter().all(|x| x.is_finite()) {
            return Err(TableError::NotFinite("centroids"));
        }
        if !bias.iter().all(|x| x.is_finite()) {
            return Err(TableError::NotFinite("bias"));
        }
        Ok(Self { dim, subspaces, items, codes, centroids, bias, trend: Vec::new(), moved: Vec::new() })
    }

    /// Number of items (index 0, padding, is not one).
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// Dimensions of an item vector.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of subspaces.
    #[must_use]
    pub fn subspaces(&self) -> usize {
        self.subspaces
    }

    /// The codes, `[items, subspaces + 1]`, item 1 first.
    #[must_use]
    pub fn codes(&self) -> &[u8] {
        &self.codes
    }

    /// The centroids, `[subspaces, 256, dim / subspaces]`.
    #[must_use]
    pub fn centroids(&self) -> &[f32] {
        &self.centroids
    }

    /// The bias levels without the trend, `[256]`.
    #[must_use]
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    fn row(&self) -> usize {
        self.subspaces + 1
    }

    /// What `item` is made of: a centroid a subspace, its bias level last; `None` for an unknown item.
    #[must_use]
    pub fn codes_of(&self, item: u32) -> Option<&[u8]> {
        let start = (item as usize).checked_sub(1)? * self.row();
        self.codes.get(start..start + self.row())
    }

    /// Appends the vector of `item` to `out`, as sessions are read with it; zeros for padding and unknown items.
    pub fn push_vector(&self, item: u32, out: &mut Vec<f32>) {
        let Some(codes) = self.codes_of(item) else {
            out.resize(out.len() + self.dim, 0.0);
            return;
        };
        self.push_codes(&self.centroids, codes, out);
    }

    fn push_codes(&self, centroids: &[f32], codes: &[u8], out: &mut Vec<f32>) {
        let width = self.dim / self.subspaces;
        for (m, &code) in codes[..self.subspaces].iter().enumerate() {
            let start = (m * CENTROIDS + code as usize) * width;
            out.extend_from_slice(&centroids[start..start + width]);
        }
    }

    /// The bias of `item`, moved by the trend; 0 for padding and unknown items.
    #[must_use]
    pub fn bias_of(&self, item: u32) -> f32 {
        self.codes_of(item).map_or(0.0, |codes| self.levels()[codes[self.subspaces] as usize])
    }

    /// The look-up table of a session vector, with the trend: `[subspaces + 1, 256]`, the biases last.
    ///
    /// # Panics
    /// Where `query` is not `dim` long: a broken invariant of the caller.
    pub fn lookup(&self, query: &[f32], lut: &mut Vec<f32>) {
        assert_eq!(query.len(), self.dim, "session vector");
        let width = self.dim / self.subspaces;
        lut.clear();
        for (m, q) in query.chunks_exact(width).enumerate() {
            let centroids = &self.scoring()[m * CENTROIDS * width..(m + 1) * CENTROIDS * width];
            lut.extend(centroids.chunks_exact(width).map(|c| dot(c, q)));
        }
        lut.extend_from_slice(self.levels());
    }

    /// Scores every item (`scores[i]` is item `i + 1`'s): the dot product of its vector (moved by
    /// the trend) and the session vector, plus its bias.
    pub fn score_all(&self, query: &[f32], lut: &mut Vec<f32>, scores: &mut Vec<f32>) {
        self.lookup(query, lut);
        scores.clear();
        scores.reserve(self.items);
        match self.row() {
            25 => scan::<25>(&self.codes, lut, scores),
            17 => scan::<17>(&self.codes, lut, scores),
            row => scores.extend(self.codes.chunks_exact(row).map(|codes| sum_codes(codes, lut))),
        }
    }

    /// The score of one item, as [`Self::score_all`] gives it; `None` for an unknown item.
    #[must_use]
    pub fn score_one(&self, query: &[f32], item: u32) -> Option<f32> {
        let mut lut = Vec::new();
        self.lookup(query, &mut lut);
        self.score_looked_up(&lut, item)
    }

    /// The same with a look-up table that is there already.
    #[must_use]
    pub fn score_looked_up(&self, lut: &[f32], item: u32) -> Option<f32> {
        self.codes_of(item).map(|codes| sum_codes(codes, lut))
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn sum_codes(codes: &[u8], lut: &[f32]) -> f32 {
    codes.iter().zip(lut.chunks_exact(CENTROIDS)).map(|(&c, table)| table[c as usize]).sum()
}

/// [`sum_codes`] with the row's length known to the compiler: it unrolls, without bound checks.
fn scan<const ROW: usize>(codes: &[u8], lut: &[f32], scores: &mut Vec<f32>) {
    let (tables, _) = lut.as_chunks::<CENTROIDS>();
    let Ok(tables) = <&[[f32; CENTROIDS]; ROW]>::try_from(tables) else { return };
    let (rows, _) = codes.as_chunks::<ROW>();
    scores.extend(rows.iter().map(|row| {
        let mut sum = 0.0;
        for (code, table) in row.iter().zip(tables) {
            sum += table[*code as usize];
        }
        sum
    }));
}

/// The `k` best of a stream of scored items: a bounded heap, ties to the lower index.
#[derive(Clone, Debug)]
pub struct TopK {
    k: usize,
    heap: std::collections::BinaryHeap<Worst>,
}

/// Orders a heap so that its top is the worst kept item.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Worst {
    score: f32,
    item: u32,
}

impl Eq for Worst {}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.score.total_cmp(&self.score).then(self.item.cmp(&other.item))
    }
}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl TopK {
    /// Keeps the best `k`.
    #[must_use]
    pub fn new(k: usize) -> Self {
        Self { k, heap: std::collections::BinaryHeap::with_capacity(k + 1) }
    }

    /// Offers an item. Scores that are not finite are never kept.
    pub fn offer(&mut self, item: u32, score: f32) {
        if self.k == 0 || !score.is_finite() {
            return;
        }
        let entry = Worst { score, item };
        if self.heap.len() < self.k {
            self.heap.push(entry);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && entry < *worst
        {
            *worst = entry;
        }
    }

    /// The kept items, best first.
    #[must_use]
    pub fn into_sorted(self) -> Vec<(u32, f32)> {
        self.heap.into_sorted_vec().into_iter().map(|w| (w.item, w.score)).collect()
    }
}

/// The best `k` items for which `allow` holds, best first.
pub fn top_k(scores: &[f32], k: usize, mut allow: impl FnMut(u32) -> bool) -> Vec<(u32, f32)> {
    let mut best = TopK::new(k);
    for (i, &score) in scores.iter().enumerate() {
        let full = best.heap.len() >= k;
        // Filters cost more than a comparison: ask them only about items that could enter.
        if full && best.heap.peek().is_some_and(|w| score <= w.score) {
            continue;
        }
        let item = i as u32 + 1;
        if allow(item) {
            best.offer(item, score);
        }
    }
    best.into_sorted()
}

/// Lets at most `cap` items of each group through, in order, until `k` are kept (`cap` 0: no cap).
/// A shelf that runs short is filled with the best of the rest, so it is never shorter than asked.
pub fn cap_per_group<G: Eq + std::hash::Hash>(
    ranked: &[(u32, f32)],
    k: usize,
    cap: usize,
    mut group: impl FnMut(u32) -> G,
) -> Vec<(u32, f32)> {
    if cap == 0 {
        return ranked.iter().copied().take(k).collect();
    }
    let mut seen = std::collections::HashMap::new();
    let (mut kept, mut rest) = (Vec::with_capacity(k), Vec::new());
    for &entry in ranked {
        let n: &mut usize = seen.entry(group(entry.0)).or_default();
        if *n < cap && kept.len() < k {
            *n += 1;
            kept.push(entry);
        } else {
            rest.push(entry);
        }
    }
    let missing = k.saturating_sub(kept.len());
    kept.extend(rest.into_iter().take(missing));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(items: usize, subspaces: usize, width: usize, seed: u64) -> ItemTable {
        let mut state = seed | 1;
        let mut next = move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            state >> 33
        };
        let codes = (0..items * (subspaces + 1)).map(|_| next() as u8).collect();
        let mut real = |n: usize| (0..n).map(|_| (next() % 2000) as f32 / 1000.0 - 1.0).collect::<Vec<_>>();
        let centroids = real(CENTROIDS * subspaces * width);
        let bias = real(CENTROIDS);
        ItemTable::new(subspaces * width, subspaces, codes, centroids, bias).unwrap()
    }

    proptest! {
        #[test]
        fn look_up_equals_decode_and_dot(seed: u64, subspaces in 1usize..20, width in 1usize..5) {
            let t = table(50, subspaces, width, seed);
            let query: Vec<f32> = (0..t.dim()).map(|i| (i as f32 * 0.7).sin()).collect();
            let (mut lut, mut scores) = (Vec::new(), Vec::new());
            t.score_all(&query, &mut lut, &mut scores);
            prop_assert_eq!(scores.len(), 50);
            for item in 1..=50 {
                let mut v = Vec::new();
                t.push_vector(item, &mut v);
                let bias = t.bias()[*t.codes_of(item).unwrap().last().unwrap() as usize];
                prop_assert!((dot(&v, &query) + bias - scores[item as usize - 1]).abs() < 1e-4);
                prop_assert!((t.score_one(&query, item).unwrap() - scores[item as usize - 1]).abs() < 1e-5);
            }
        }

        #[test]
        fn top_k_is_the_head_of_a_full_sort(scores in prop::collection::vec(-10i8..10, 0..200), k in 0usize..30) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            let mut all: Vec<(u32, f32)> = scores.iter().enumerate().map(|(i, &s)| (i as u32 + 1, s)).collect();
            all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            all.truncate(k);
            prop_assert_eq!(top_k(&scores, k, |_| true), all);
        }

        #[test]
        fn every_listed_item_is_allowed(scores in prop::collection::vec(-10i8..10, 0..200), k in 0usize..30) {
            let scores: Vec<f32> = scores.into_iter().map(f32::from).collect();
            prop_assert!(top_k(&scores, k, |i| i % 3 == 0).iter().all(|(i, _)| i % 3 == 0));
        }

        #[test]
        fn caps_hold_unless_the_shelf_would_run_short(n in 0usize..60, k in 0usize..20, cap in 1usize..4) {
            let ranked: Vec<(u32, f32)> = (1..=n as u32).map(|i| (i, -(i as f32))).collect();
            let kept = cap_per_group(&ranked, k, cap, |i| i % 5);
            prop_assert_eq!(kept.len(), k.min(n));
            if k <= cap * 5.min(n) && n >= 25 {
                for g in 0..5 {
                    prop_assert!(kept.iter().filter(|(i, _)| i % 5 == g).count() <= cap.max(k.saturating_sub(4 * cap)));
                }
            }
        }
    }

    #[test]
    fn scores_that_are_not_finite_are_never_shown() {
        assert_eq!(top_k(&[f32::NAN, 1.0, f32::INFINITY, f32::NEG_INFINITY], 4, |_| true), [(2, 1.0)]);
    }

    #[test]
    fn wrong_parts_are_refused() {
        let ok = table(3, 4, 2, 1);
        let refuse = |codes: Vec<u8>, centroids: Vec<f32>, bias: Vec<f32>| {
            ItemTable::new(8, 4, codes, centroids, bias).unwrap_err()
        };
        assert!(matches!(
            refuse(vec![0; 4], ok.centroids.clone(), ok.bias.clone()),
            TableError::Length { what: "codes", .. }
        ));
        assert!(matches!(
            refuse(vec![0; 5], vec![0.0; 3], ok.bias.clone()),
            TableError::Length { what: "centroids", .. }
        ));
        assert!(matches!(
            refuse(vec![0; 5], ok.centroids.clone(), vec![f32::NAN; 256]),
            TableError::NotFinite("bias")
        ));
        assert!(matches!(ItemTable::new(7, 4, vec![], vec![], vec![]), Err(TableError::Split { .. })));
    }

    #[test]
    fn padding_is_zeros() {
        let t = table(3, 4, 2, 1);
        let mut v = Vec::new();
        t.push_vector(0, &mut v);
        t.push_vector(99, &mut v);
        assert_eq!(v, vec![0.0; 16]);
        assert_eq!(t.score_one(&[0.0; 8], 0), None);
    }
}
