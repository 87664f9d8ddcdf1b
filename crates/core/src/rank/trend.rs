//! What many shoppers taught about the items, as a movement of the centroids that score.

use super::{CENTROIDS, ItemTable, TableError};

impl ItemTable {
    /// The same table with another trend, `[subspaces, 256, dim / subspaces]`, in place of the one it has.
    ///
    /// # Errors
    /// [`TableError`] for another length or a number that is not finite.
    pub fn with_trend(mut self, trend: Vec<f32>) -> Result<Self, TableError> {
        let (found, expected) = (trend.len(), self.centroids.len());
        if found != expected {
            return Err(TableError::Length { what: "trend", found, expected });
        }
        let moved: Vec<f32> = self.centroids.iter().zip(&trend).map(|(c, t)| c + t).collect();
        if !moved.iter().all(|x| x.is_finite()) {
            return Err(TableError::NotFinite("trend"));
        }
        (self.trend, self.moved) = (trend, moved);
        Ok(self)
    }

    /// The trend, `[subspaces, 256, dim / subspaces]`; `None` where nobody taught anything yet.
    #[must_use]
    pub fn trend(&self) -> Option<&[f32]> {
        (!self.trend.is_empty()).then_some(&self.trend[..])
    }

    /// The centroids that score, moved by the trend: `[subspaces, 256, dim / subspaces]`.
    #[must_use]
    pub fn scoring(&self) -> &[f32] {
        if self.moved.is_empty() { &self.centroids } else { &self.moved }
    }

    /// Appends the vector of `item` that scores, moved by the trend; zeros for padding and unknown items.
    pub fn push_scoring(&self, item: u32, out: &mut Vec<f32>) {
        match self.codes_of(item) {
            Some(codes) => self.push_codes(self.scoring(), codes, out),
            None => out.resize(out.len() + self.dim, 0.0),
        }
    }

    /// Adds each item's share (`shares[i]` is item `i + 1`'s) to the centroids that its vector is made of:
    /// `masses` is `[subspaces, 256]`.
    pub fn add_masses(&self, shares: &[f32], masses: &mut [f32]) {
        let (books, _) = masses.as_chunks_mut::<CENTROIDS>();
        for (codes, share) in self.codes.chunks_exact(self.row()).zip(shares) {
            for (book, code) in books.iter_mut().zip(&codes[..self.subspaces]) {
                book[*code as usize] += share;
            }
        }
    }

    /// The centroids that the vector of `item` is made of, one a subspace; `None` for an unknown item.
    #[must_use]
    pub fn centroids_of(&self, item: u32) -> Option<&[u8]> {
        self.codes_of(item).map(|codes| &codes[..self.subspaces])
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
        let mut trend = vec![0.0; plain.centroids().len()];
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
    }

    #[test]
    fn masses_are_the_shares_of_the_items_of_each_centroid() {
        let table = table();
        let mut masses = vec![0.0; 2 * CENTROIDS];
        table.add_masses(&[0.5, 0.25, 0.125], &mut masses);
        assert_eq!((masses[0], masses[3]), (0.75, 0.125));
        assert_eq!((masses[CENTROIDS + 1], masses[CENTROIDS + 2]), (0.5, 0.375));
        assert_eq!(masses.iter().sum::<f32>(), 2.0 * 0.875);
        assert_eq!(table.centroids_of(3), Some(&[3_u8, 2][..]));
        assert_eq!(table.centroids_of(4), None);
    }

    #[test]
    fn a_trend_that_does_not_fit_is_refused() {
        let n = table().centroids().len();
        assert_eq!(
            table().with_trend(vec![0.0; 3]).unwrap_err(),
            TableError::Length { what: "trend", found: 3, expected: n }
        );
        let mut broken = vec![0.0; n];
        broken[7] = f32::NAN;
        assert_eq!(table().with_trend(broken).unwrap_err(), TableError::NotFinite("trend"));
        assert_eq!(table().trend(), None);
        assert_eq!(table().scoring(), table().centroids());
    }
}
