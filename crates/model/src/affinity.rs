//! What a shopper leans to: one number for every category and brand, added to the scores of the items
//! that have it. It never leaves the device.
//!
//! A leaning is how much more often the shopper clicked on a trait than the shipped student foretold:
//! `ln((1 + r · seen) / (1 + r · expected))`, where `seen` counts clicks and `expected` adds up the shares that
//! the whole catalogue's softmax gave to the trait before each click. This is the posterior mean of a Poisson
//! rate against its expectation under a Gamma prior of mean 1 and strength `1/r` (the multi-item Gamma–Poisson
//! shrinker of DuMouchel, *The American Statistician* 1999, with one component). Both counts fade, so that the
//! leanings follow the shopper. The scores are there anyway, since every click is foretold before it is learned
//! from.
//!
//! An encoder of item sequences knows nothing of categories and brands; this does, and an item that the
//! shopper never saw gains by it.

use std::collections::HashMap;

use onshelf_core::catalogue::Catalogue;

use crate::error::ModelError;

/// What was clicked and what was to be expected, one value a trait, both times the rate.
#[derive(Clone, Default, PartialEq)]
pub struct Counts {
    pub(crate) seen: Vec<f32>,
    pub(crate) expected: Vec<f32>,
}

impl Counts {
    /// Of nothing.
    #[must_use]
    pub fn none(traits: usize) -> Self {
        Self { seen: vec![0.0; traits], expected: vec![0.0; traits] }
    }

    /// Counts that give these leanings: for states of before there were any counts.
    #[must_use]
    pub fn of_leanings(leanings: &[f32]) -> Self {
        Self {
            seen: leanings.iter().map(|x| x.max(0.0).exp_m1()).collect(),
            expected: leanings.iter().map(|x| (-x).max(0.0).exp_m1()).collect(),
        }
    }

    /// The same, where no count is below nothing.
    pub(crate) fn checked(self) -> Result<Self, ModelError> {
        match self.seen.iter().chain(&self.expected).any(|x| *x < 0.0) {
            true => Err(ModelError::State("a count of clicks is negative".into())),
            false => Ok(self),
        }
    }

    /// The leanings, one a trait.
    #[must_use]
    pub fn leanings(&self) -> Vec<f32> {
        let both = self.seen.iter().zip(&self.expected);
        // Most traits of a shop were neither seen nor expected.
        both.map(|(s, e)| if s == e { 0.0 } else { s.ln_1p() - e.ln_1p() }).collect()
    }
}

/// The traits of the items: the elements of their category paths, and their brands.
#[derive(Clone, Debug, Default)]
pub struct Traits {
    /// Traits of each category path, by its number in the catalogue.
    of_path: Vec<Vec<u32>>,
    /// Trait of each brand, by its number; `None` for "no brand".
    of_brand: Vec<Option<u32>>,
    /// Number of the category path and the brand of each item, item 1 first.
    items: Vec<[u32; 2]>,
    names: Vec<String>,
}

impl Traits {
    /// Reads a catalogue.
    #[must_use]
    pub fn of(catalogue: &Catalogue) -> Self {
        let mut numbers: HashMap<&str, u32> = HashMap::new();
        let mut names: Vec<String> = Vec::new();
        let of_path: Vec<Vec<u32>> = (0..catalogue.category_codes() as u32)
            .map(|code| {
                let path = catalogue.category_of_code(code).iter();
                let mut traits: Vec<u32> = path
                    .map(|name| {
                        *numbers.entry(name).or_insert_with(|| {
                            names.push(name.clone());
                            names.len() as u32 - 1
                        })
                    })
                    .collect();
                traits.sort_unstable();
                traits.dedup();
                traits
            })
            .collect();
        let mut of_brand = vec![None; catalogue.brand_codes()];
        let items = (1..=catalogue.len() as u32)
            .map(|item| {
                let brand = catalogue.brand_code(item);
                if let (Some(name), None) = (catalogue.brand(item), of_brand[brand as usize]) {
                    of_brand[brand as usize] = Some(names.len() as u32);
                    names.push(name.to_owned());
                }
                [catalogue.category_code(item), brand]
            })
            .collect();
        Self { of_path, of_brand, items, names }
    }

    /// Number of traits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether nothing is known about the items.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What `affinity` (one value a trait) adds to an item's score.
    #[must_use]
    pub fn bonus(&self, affinity: &[f32], item: u32) -> f32 {
        let Some(&[path, brand]) = (item as usize).checked_sub(1).and_then(|at| self.items.get(at)) else {
            return 0.0;
        };
        self.path_bonus(affinity, path as usize) + self.brand_bonus(affinity, brand as usize)
    }

    fn path_bonus(&self, affinity: &[f32], path: usize) -> f32 {
        self.of_path[path].iter().map(|&t| affinity[t as usize]).sum()
    }

    fn brand_bonus(&self, affinity: &[f32], brand: usize) -> f32 {
        self.of_brand[brand].map_or(0.0, |t| affinity[t as usize])
    }

    /// Adds the bonus of every item to its score (`scores[i]` is item `i + 1`'s).
    pub fn add(&self, affinity: &[f32], scores: &mut [f32]) {
        if affinity.iter().all(|a| *a == 0.0) {
            return;
        }
        let paths: Vec<f32> = (0..self.of_path.len()).map(|p| self.path_bonus(affinity, p)).collect();
        let brands: Vec<f32> = (0..self.of_brand.len()).map(|b| self.brand_bonus(affinity, b)).collect();
        for (score, &[path, brand]) in scores.iter_mut().zip(&self.items) {
            *score += paths[path as usize] + brands[brand as usize];
        }
    }

    /// Counts a click on `item`, of which the shipped student's `scores` of all items said what to expect:
    /// `rate` is what a click counts against the prior's 1, `memory` (0–1) what is left of earlier ones.
    pub fn observe(&self, counts: &mut Counts, scores: &[f32], item: u32, rate: f32, memory: f32) {
        let Some(&[path, brand]) = (item as usize).checked_sub(1).and_then(|at| self.items.get(at)) else {
            return;
        };
        let top = scores.iter().copied().filter(|s| s.is_finite()).fold(f32::NEG_INFINITY, f32::max);
        let (mut paths, mut brands) = (vec![0.0_f32; self.of_path.len()], vec![0.0_f32; self.of_brand.len()]);
        let mut total = 0.0;
        for (score, &[path, brand]) in scores.iter().zip(&self.items) {
            let share = (score - top).exp();
            paths[path as usize] += share;
            brands[brand as usize] += share;
            total += share;
        }
        if !(total.is_finite() && total > 0.0) {
            return;
        }
        counts.seen.iter_mut().chain(&mut counts.expected).for_each(|x| *x *= memory);
        let scale = rate / total;
        for (traits, share) in self.of_path.iter().zip(&paths) {
            traits.iter().for_each(|&t| counts.expected[t as usize] += scale * share);
        }
        for (t, share) in self.of_brand.iter().zip(&brands) {
            if let Some(t) = t {
                counts.expected[*t as usize] += scale * share;
            }
        }
        self.of_path[path as usize].iter().for_each(|&t| counts.seen[t as usize] += rate);
        if let Some(t) = self.of_brand[brand as usize] {
            counts.seen[t as usize] += rate;
        }
    }

    /// The categories and brands that the shopper leans to, with their values, largest first.
    #[must_use]
    pub fn named(&self, affinity: &[f32]) -> Vec<(&str, f32)> {
        let mut out: Vec<(&str, f32)> = self
            .names
            .iter()
            .map(String::as_str)
            .zip(affinity.iter().copied())
            .filter(|x| x.1 > 0.0)
            .collect();
        out.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        out
    }
}

#[cfg(test)]
mod tests {
    use onshelf_core::catalogue::{CatalogueBuilder, ItemAttributes};

    use super::*;

    /// Four items: two shoes (one of brand A), a hat of brand A, and one nothing is known about.
    fn shop() -> Traits {
        let mut builder = CatalogueBuilder::new();
        for (category, brand) in [("shoes", None), ("shoes", Some("A")), ("hats", Some("A")), ("", None)] {
            let attributes = ItemAttributes {
                category: if category.is_empty() { vec![] } else { vec!["all".into(), category.into()] },
                brand: brand.map(str::to_owned),
                ..Default::default()
            };
            builder.push(&format!("{category}{brand:?}"), attributes, true).unwrap();
        }
        Traits::of(&builder.finish().unwrap())
    }

    #[test]
    fn a_leaning_is_the_log_of_seen_over_expected() {
        let traits = shop();
        assert_eq!(traits.len(), 4);
        let scores: [f32; 4] = [0.3, -0.2, 0.9, 0.1];
        let total: f32 = scores.iter().map(|s| s.exp()).sum();
        let share = |items: &[usize]| items.iter().map(|i| scores[*i].exp()).sum::<f32>() / total;
        let (rate, memory) = (0.5, 0.8);
        let mut counts = Counts::none(traits.len());
        traits.observe(&mut counts, &scores, 2, rate, memory);
        traits.observe(&mut counts, &scores, 1, rate, memory);
        // Both clicks were on shoes, the first on brand A; the second counts whole, the first for 0.8.
        let leaning = |first: f32, second: f32, share: f32| {
            let (seen, expected) = (rate * (memory * first + second), rate * (memory + 1.0) * share);
            ((1.0 + seen) / (1.0 + expected)).ln()
        };
        let leanings = counts.leanings();
        let of = |name: &str| leanings[traits.names.iter().position(|n| n == name).unwrap()];
        for (name, expected) in [
            ("all", leaning(1.0, 1.0, share(&[0, 1, 2]))),
            ("shoes", leaning(1.0, 1.0, share(&[0, 1]))),
            ("hats", leaning(0.0, 0.0, share(&[2]))),
            ("A", leaning(1.0, 0.0, share(&[1, 2]))),
        ] {
            assert!((of(name) - expected).abs() < 1e-5, "{name}: {}, expected {expected}", of(name));
        }
        // What older states kept gives the same leanings again.
        let again = Counts::of_leanings(&leanings).leanings();
        assert!(again.iter().zip(&leanings).all(|(a, b)| (a - b).abs() < 1e-5));
    }

    #[test]
    fn a_click_lifts_what_is_like_it_and_is_told_by_name() {
        let traits = shop();
        let mut counts = Counts::none(traits.len());
        traits.observe(&mut counts, &[0.0; 4], 2, 0.5, 1.0);
        let affinity = counts.leanings();
        let bonus: Vec<f32> = (1..=4).map(|i| traits.bonus(&affinity, i)).collect();
        assert!(bonus[1] > bonus[0] && bonus[0] > bonus[3] && bonus[1] > bonus[2]);
        assert_eq!(bonus[3], 0.0, "nothing is known about it");
        let mut scores = [0.0; 4];
        traits.add(&affinity, &mut scores);
        assert!(scores.iter().zip(&bonus).all(|(a, b)| (a - b).abs() < 1e-6));
        let names: Vec<&str> = traits.named(&affinity).iter().map(|n| n.0).collect();
        assert!(names.contains(&"A") && names.contains(&"shoes") && !names.contains(&"hats"), "{names:?}");
    }

    #[test]
    fn what_is_out_of_range_or_not_finite_changes_nothing() {
        let traits = shop();
        let mut counts = Counts::none(traits.len());
        for item in [0, 5] {
            traits.observe(&mut counts, &[0.0; 4], item, 1.0, 0.5);
        }
        traits.observe(&mut counts, &[f32::NAN; 4], 1, 1.0, 0.5);
        assert!(counts == Counts::none(traits.len()));
        assert_eq!(traits.bonus(&counts.leanings(), 9), 0.0);
        assert!(Traits::default().is_empty());
    }
}
