//! What a shopper leans to: one number for every category and brand, added to the scores of the items
//! that have it. It is learned by stochastic gradient descent on the shopper's own clicks, one step a
//! click, with the softmax over the whole catalogue: the scores are there anyway, since the click was
//! predicted before it is learned from. It never leaves the device.
//!
//! An encoder of item sequences knows nothing of categories and brands; this does, and an item that the
//! shopper never saw gains by it.

use std::collections::HashMap;

use onshelf_core::catalogue::Catalogue;

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

    /// The bonus of each category path, then of each brand.
    pub(crate) fn bonuses(&self, affinity: &[f32]) -> Vec<f32> {
        let paths = (0..self.of_path.len()).map(|p| self.path_bonus(affinity, p));
        paths.chain((0..self.of_brand.len()).map(|b| self.brand_bonus(affinity, b))).collect()
    }

    /// Path and brand of each item in one word; `None` where there are too many for that, or nothing is
    /// known about the items.
    #[cfg(feature = "webgpu")]
    pub(crate) fn packed(&self) -> Option<Packed> {
        let (paths, brands) = (self.of_path.len(), self.of_brand.len());
        let fit = paths.max(brands) <= 1 << 16 && !self.is_empty();
        fit.then(|| Packed { paths, brands, items: self.items.iter().map(|[p, b]| p | b << 16).collect() })
    }

    /// Adds the bonus of every item to its score (`scores[i]` is item `i + 1`'s).
    pub fn add(&self, affinity: &[f32], scores: &mut [f32]) {
        if affinity.iter().all(|a| *a == 0.0) {
            return;
        }
        let bonuses = self.bonuses(affinity);
        let (paths, brands) = bonuses.split_at(self.of_path.len());
        for (score, &[path, brand]) in scores.iter_mut().zip(&self.items) {
            *score += paths[path as usize] + brands[brand as usize];
        }
    }

    /// One step of gradient descent on the cross-entropy of `item` under `scores`, of all items.
    pub fn step(&self, affinity: &mut [f32], scores: &[f32], item: u32, rate: f32) {
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
        // The click asks for 1 where the model has a share.
        let down = rate / total;
        for (traits, share) in self.of_path.iter().zip(&paths) {
            traits.iter().for_each(|&t| affinity[t as usize] -= down * share);
        }
        for (t, share) in self.of_brand.iter().zip(&brands) {
            if let Some(t) = t {
                affinity[*t as usize] -= down * share;
            }
        }
        self.of_path[path as usize].iter().for_each(|&t| affinity[t as usize] += rate);
        if let Some(t) = self.of_brand[brand as usize] {
            affinity[t as usize] += rate;
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

/// Category path (low half) and brand of each item, item 1 first.
#[cfg(feature = "webgpu")]
pub(crate) struct Packed {
    pub(crate) paths: usize,
    pub(crate) brands: usize,
    pub(crate) items: Vec<u32>,
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
    fn a_step_is_the_gradient_of_the_cross_entropy() {
        let traits = shop();
        assert_eq!(traits.len(), 4);
        let base = [0.3, -0.2, 0.9, 0.1];
        let at = [0.2, -0.1, 0.4, 0.05];
        let loss = |affinity: &[f32]| {
            let mut scores = base;
            traits.add(affinity, &mut scores);
            let sum: f64 = scores.iter().map(|s| f64::from(*s).exp()).sum();
            sum.ln() - f64::from(scores[1])
        };
        let mut scores = base;
        traits.add(&at, &mut scores);
        let mut after = at;
        traits.step(&mut after, &scores, 2, 1.0);
        for t in 0..4 {
            let moved = |by: f32| {
                let mut there = at;
                there[t] += by;
                loss(&there)
            };
            let slope = (moved(1e-3) - moved(-1e-3)) / 2e-3;
            assert!((f64::from(at[t] - after[t]) - slope).abs() < 1e-3, "trait {t}");
        }
    }

    #[test]
    fn a_click_lifts_what_is_like_it_and_is_told_by_name() {
        let traits = shop();
        let mut affinity = vec![0.0; traits.len()];
        traits.step(&mut affinity, &[0.0; 4], 2, 0.5);
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
        let mut affinity = vec![0.0; traits.len()];
        for item in [0, 5] {
            traits.step(&mut affinity, &[0.0; 4], item, 1.0);
        }
        traits.step(&mut affinity, &[f32::NAN; 4], 1, 1.0);
        assert_eq!(affinity, [0.0; 4]);
        assert_eq!(traits.bonus(&affinity, 9), 0.0);
        assert!(Traits::default().is_empty());
    }
}
