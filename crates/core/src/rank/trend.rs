//! What many shoppers taught about the items, as a movement of the centroids and bias levels that score.

use super::{CENTROIDS, ItemTable, TableError};

impl ItemTable {
    /// Values of a trend: those of the centroids, `[subspaces, 256, dim / subspaces]`, then those of the bias levels,
    /// `[256]`.
    #[must_use]
    pub fn trend_len(&self) -> usize {
        self.centroids.len() + self.bias.len()
    }

    /// The same table with another trend ([`Self::trend_len`] values) in place of the one it has.
    ///
    /// # Errors
    /// [`TableError`] for another length or a number that is not finite.
    pub fn with_trend(mut self, trend: Vec<f32>) -> Result<Self, TableError> {
        let (found, expected) = (trend.len(), self.trend_len());
        if found != expected {
            return Err(TableError::Length { what: "trend", found, expected });
        }
        let moved: Vec<f32> =
            self.centroids.iter().chain(&self.bias).zip(&trend).map(|(c, t)| c + t).collect();
        if !moved.iter().all(|x| x.is_finite()) {
            return Err(TableError::NotFinite("trend"));
        }
        (self.trend, self.moved) = (trend, moved);
        Ok(self)
    }

    /// The trend, [`Self::trend_len`] values; `None` where nobody taught anything yet.
    #[must_use]
    pub fn trend(&self) -> Option<&[f32]> {
        (!self.trend.is_empty()).then_some(&self.trend[..])
    }

    /// The centroids that score, moved by the trend: `[subspaces, 256, dim / subspaces]`.
    #[must_use]
    pub fn scoring(&self) -> &[f32] {
        self.moved.get(..self.centroids.len()).unwrap_or(&self.centroids)
    }

    /// The bias levels that score, moved by the trend: `[256]`.
    #[must_use]
    pub fn levels(&self) -> &[f32] {
        self.moved.get(self.centroids.len()..).unwrap_or(&self.bias)
    }

    /// Appends the vector of `item` that scores, moved by the trend; zeros for padding and unknown items.
    pub fn push_scoring(&self, item: u32, out: &mut Vec<f32>) {
        match self.codes_of(item) {
            Some(codes) => self.push_codes(self.scoring(), codes, out),
            None => out.resize(out.len() + self.dim, 0.0),
        }
    }

    /// Bias levels that fewer than `fewest` items have: to speak of such a level would be to speak of its items. Shares
    /// sum to one, so what is left out can be told from the rest; where it is of fewer than `fewest` items altogether,
    /// the next smallest level is left out as well.
    #[must_use]
    pub fn lonely_levels(&self, fewest: usize) -> Vec<u8> {
        let mut items = [0_usize; CENTROIDS];
        self.codes.chunks_exact(self.row()).for_each(|codes| items[usize::from(codes[self.subspaces])] += 1);
        let mut levels: Vec<u8> = (0..=u8::MAX).collect();
        levels.sort_by_key(|&level| items[usize::from(level)]);
        let mut together = 0;
        levels
            .into_iter()
            .take_while(|&level| {
                let own = items[usize::from(level)];
                let lonely = own < fewest || (1..fewest).contains(&together);
                together += own;
                lonely
            })
            .collect()
    }

    /// Adds each item's share (`shares[i]` is item `i + 1`'s) to the centroids that its vector is made of, and to its
    /// bias level: `masses` is `[subspaces + 1, 256]`.
    pub fn add_masses(&self, shares: &[f32], masses: &mut [f32]) {
        let (books, _) = masses.as_chunks_mut::<CENTROIDS>();
        for (codes, share) in self.codes.chunks_exact(self.row()).zip(shares) {
            for (book, code) in books.iter_mut().zip(codes) {
                book[*code as usize] += share;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three items of two subspaces of two dimensions.
    fn table() -> ItemTable {
        let centroids = (0..2 * CENTROIDS * 2).map(|x| (x as f32 * 0.37).sin()).collect();
        ItemTable::new(4, 2, vec![0, 1, 0, 0, 2, 1, 3, 2, 2], centroids, vec![0.5; CENTROIDS]).unwrap()
    }

    fn scores(table: &ItemTable, query: &[f32]) -> Vec<f32> {
        let (mut lut, mut scores) = (Vec::new(), Vec::new());
        table.score_all(query, &mut lut, &mut scores);
        scores
    }

    #[test]
    fn a_trend_moves_scores_and_not_the_vectors_that_are_read() {
        let (plain, query) = (table(), [0.3, -0.2, 0.9, 0.1]);
        let mut trend = vec![0.0; plain.trend_len()];
        // Centroid 2 of the second subspace: items 2 and 3.
        let at = (CENTROIDS + 2) * 2;
        trend[at..at + 2].copy_from_slice(&[1.0, -2.0]);
        let moved = plain.clone().with_trend(trend).unwrap();
        let (before, after) = (scores(&plain, &query), scores(&moved, &query));
        assert_eq!(before[0], after[0]);
        for item in [1, 2] {
            assert!((after[item] - before[item] - (0.9 - 0.2)).abs() < 1e-6);
            assert!((moved.score_one(&query, item as u32 + 1).unwrap() - after[item]).abs() < 1e-6);
        }
        let vector = |push: &dyn Fn(&mut Vec<f32>)| {
            let mut out = Vec::new();
            push(&mut out);
            out
        };
        assert_eq!(vector(&|out| moved.push_vector(2, out)), vector(&|out| plain.push_vector(2, out)));
        let scoring = vector(&|out| moved.push_scoring(2, out));
        let dot: f32 = scoring.iter().zip(query).map(|(a, b)| a * b).sum();
        assert!((dot + 0.5 - after[1]).abs() < 1e-6);
        assert_eq!(vector(&|out| moved.push_scoring(0, out)), [0.0; 4]);
        // Bias level 1: item 2.
        let mut trend = vec![0.0; plain.trend_len()];
        trend[plain.centroids().len() + 1] = 0.25;
        let moved = plain.clone().with_trend(trend).unwrap();
        let after = scores(&moved, &query);
        assert!((after[1] - before[1] - 0.25).abs() < 1e-6);
        assert_eq!((after[0], after[2]), (before[0], before[2]));
        assert_eq!([1, 2, 3, 4].map(|item| moved.bias_of(item)), [0.5, 0.75, 0.5, 0.0]);
        assert_eq!((moved.bias(), moved.scoring()), (plain.bias(), plain.scoring()));
    }

    #[test]
    fn masses_are_the_shares_of_the_items_of_each_centroid() {
        let table = table();
        let mut masses = vec![0.0; 3 * CENTROIDS];
        table.add_masses(&[0.5, 0.25, 0.125], &mut masses);
        assert_eq!((masses[0], masses[3]), (0.75, 0.125));
        assert_eq!((masses[CENTROIDS + 1], masses[CENTROIDS + 2]), (0.5, 0.375));
        assert_eq!(masses[2 * CENTROIDS..2 * CENTROIDS + 3], [0.5, 0.25, 0.125]);
        assert_eq!(masses.iter().sum::<f32>(), 3.0 * 0.875);
        assert_eq!(table.codes_of(3), Some(&[3_u8, 2, 2][..]));
        assert_eq!(table.codes_of(4), None);
        assert_eq!(table.lonely_levels(1).len(), CENTROIDS - 3, "those of no item");
        assert_eq!(table.lonely_levels(2).len(), CENTROIDS);
    }

    #[test]
    fn levels_that_are_left_out_hide_each_other() {
        // Of one subspace: levels 0, 1, 2 and 3 of 1, 2, 12 and 20 items.
        let levels = [0].into_iter().chain([1; 2]).chain([2; 12]).chain([3; 20]);
        let codes: Vec<u8> = levels.flat_map(|level| [0, level]).collect();
        let table = ItemTable::new(2, 1, codes, vec![0.5; 2 * CENTROIDS], vec![0.5; CENTROIDS]).unwrap();
        let found = |fewest| {
            let out = table.lonely_levels(fewest);
            (0..4).filter(|level| out.contains(level)).collect::<Vec<u8>>()
        };
        // One or two left out could be told from the rest; with level 2 they are fifteen items.
        assert_eq!([found(10), found(2), found(3)], [vec![0, 1, 2], vec![0, 1], vec![0, 1]]);
        assert_eq!((found(1), found(15), found(99)), (vec![], vec![0, 1, 2], vec![0, 1, 2, 3]));
    }

    #[test]
    fn a_trend_that_does_not_fit_is_refused() {
        let n = table().trend_len();
        assert_eq!(
            table().with_trend(vec![0.0; 3]).unwrap_err(),
            TableError::Length { what: "trend", found: 3, expected: n }
        );
        let mut broken = vec![0.0; n];
        broken[7] = f32::NAN;
        assert_eq!(table().with_trend(broken).unwrap_err(), TableError::NotFinite("trend"));
        assert_eq!(table().trend(), None);
        assert_eq!((table().scoring(), table().levels()), (table().centroids(), table().bias()));
    }
}
