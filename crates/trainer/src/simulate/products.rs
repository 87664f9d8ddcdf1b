//! The products of the made-up shop, and how they belong together.

use std::collections::HashSet;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::words::{BRANDS, COLOURS, LINES, Leaf, PATTERNS, has_patterns, leaves, named_by_colour};

/// How many substitutes and complements each product has.
const RELATED: usize = 4;
/// Leaves in a section, and in a department.
const SECTION: usize = 4;
const DEPARTMENT: usize = 12;

/// A product, as in `products.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Product {
    /// `sku-0001` and on.
    pub item_id: String,
    /// Such as "Teal stoneware mug".
    pub name: String,
    /// An invented brand.
    pub brand: String,
    /// Department, section and leaf.
    pub category: Vec<String>,
    /// In euros.
    pub price: f64,
    /// Pieces; 0 is sold out.
    pub stock: u32,
    /// The colour of its picture.
    pub colour: String,
    /// The pattern of its picture: plain, stripes, dots, check or leaf.
    pub pattern: String,
}

/// What decides who looks at a product.
#[derive(Debug, Clone, Default)]
pub(super) struct Traits {
    pub(super) leaf: usize,
    pub(super) brand: usize,
    pub(super) colour: usize,
    /// 0 (cheap) to 3 (dear) within its leaf.
    pub(super) level: usize,
    /// How often it is looked at, before anybody's taste.
    pub(super) popularity: f64,
    /// The day it comes into the shop; negative when it was there from the beginning.
    pub(super) arrives: i32,
    /// The day its fashion is at its height, if it has one.
    pub(super) peak: Option<i32>,
    /// Looked at instead of it, and together with it, the likeliest first.
    pub(super) substitutes: Vec<u32>,
    pub(super) complements: Vec<u32>,
}

impl Traits {
    /// How much it is looked at on a day, before anybody's taste.
    pub(super) fn weight(&self, day: i32) -> f64 {
        if day < self.arrives {
            return 0.0;
        }
        let distance = self.peak.map_or(i32::MAX, |peak| day.abs_diff(peak) as i32);
        // A week up, a week down, at most four times the usual.
        let fashion = f64::from((7 - distance.min(7)) * 3) / 7.0;
        self.popularity * (1.0 + fashion)
    }
}

/// Everything there is to look at.
pub(super) struct Stock {
    pub(super) products: Vec<Product>,
    pub(super) traits: Vec<Traits>,
    /// The products of each leaf.
    pub(super) by_leaf: Vec<Vec<u32>>,
}

/// Makes `count` products, spread evenly over the leaves, for `days` days.
pub(super) fn make(count: usize, days: u32, random: &mut ChaCha8Rng) -> Stock {
    let leaves = leaves();
    let mut names = HashSet::new();
    let mut stock = Stock {
        products: Vec::with_capacity(count),
        traits: Vec::with_capacity(count),
        by_leaf: vec![Vec::new(); leaves.len()],
    };
    for number in 0..count {
        let leaf = number % leaves.len();
        let traits = make_traits(leaf, days, random);
        let product = make_product(number, &leaves[leaf], &traits, &mut names, random);
        stock.by_leaf[leaf].push(number as u32);
        stock.products.push(product);
        stock.traits.push(traits);
    }
    for number in 0..count {
        stock.traits[number].substitutes = substitutes(number, &stock);
        stock.traits[number].complements = complements(number, &stock, random);
    }
    stock
}

fn make_traits(leaf: usize, days: u32, random: &mut ChaCha8Rng) -> Traits {
    let days = days as i32;
    Traits {
        leaf,
        // Eight brands to a department.
        brand: (leaf / DEPARTMENT * 5 + random.random_range(0..8)) % BRANDS.len(),
        colour: random.random_range(0..COLOURS.len()),
        level: random.random_range(0..4),
        // A long tail: the few most popular products have 20 times the weight of the median.
        popularity: 1.0 / (0.025 + random.random_range(0.0..1.0)),
        arrives: match random.random_range(0..7) {
            0 => random.random_range(0..days),
            _ => -1,
        },
        peak: (random.random_range(0..5) == 0).then(|| random.random_range(0..days)),
        ..Traits::default()
    }
}

fn make_product(
    number: usize,
    leaf: &Leaf,
    traits: &Traits,
    names: &mut HashSet<String>,
    random: &mut ChaCha8Rng,
) -> Product {
    let (pattern, pattern_word) = match has_patterns(leaf) && random.random_range(0..3) == 0 {
        true => PATTERNS[random.random_range(1..PATTERNS.len())],
        false => PATTERNS[0],
    };
    let (brand, brand_level) = BRANDS[traits.brand];
    // From 0.55 to 1.9 of the middle price over the four levels.
    let percent = 55 + traits.level as u32 * 38 + random.random_range(0..22);
    let euros = (leaf.price * percent * brand_level / 10_000).max(2);
    let cents = [0, 50, 90, 95][random.random_range(0..4)];
    Product {
        item_id: format!("sku-{:04}", number + 1),
        name: name(leaf, COLOURS[traits.colour], pattern_word, names, random),
        brand: brand.to_owned(),
        category: [leaf.department, leaf.section, leaf.name].map(str::to_owned).to_vec(),
        price: f64::from(euros * 100 + cents) / 100.0,
        stock: match random.random_range(0..25) {
            0 => 0,
            _ => random.random_range(1..60),
        },
        colour: COLOURS[traits.colour].to_owned(),
        pattern: pattern.to_owned(),
    }
}

/// A name that no product has yet, as far as there are words.
fn name(
    leaf: &Leaf,
    colour: &str,
    pattern: &str,
    names: &mut HashSet<String>,
    random: &mut ChaCha8Rng,
) -> String {
    let mut name = String::new();
    for attempt in 0..8 {
        let line = pick(&LINES, random);
        let material = pick(&leaf.materials.split(',').collect::<Vec<_>>(), random);
        let noun = pick(&leaf.nouns.split(',').collect::<Vec<_>>(), random);
        let with_line = !named_by_colour(leaf) || attempt >= 2 || random.random_range(0..4) == 0;
        let words = [
            if with_line { line } else { "" },
            if named_by_colour(leaf) { colour } else { "" },
            pattern,
            material,
            noun,
        ];
        let filled: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
        name = capitalised(&filled.join(" "));
        if names.insert(name.clone()) {
            break;
        }
    }
    name
}

fn pick<'a>(words: &[&'a str], random: &mut ChaCha8Rng) -> &'a str {
    words[random.random_range(0..words.len())]
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Products of the same leaf that are most alike.
fn substitutes(number: usize, stock: &Stock) -> Vec<u32> {
    let this = &stock.traits[number];
    let mut others: Vec<u32> = stock.by_leaf[this.leaf].clone();
    others.retain(|&other| other as usize != number);
    others.sort_by_key(|&other| {
        let that = &stock.traits[other as usize];
        // Ties, of which there are many, are broken differently for every product.
        let tie = (u64::from(other) + 1).wrapping_mul(number as u64 * 2 + 0x9e37_79b9) % 997;
        let unlike = this.level.abs_diff(that.level) * 2
            + usize::from(this.colour != that.colour)
            + usize::from(this.brand == that.brand);
        (unlike, tie)
    });
    others.truncate(RELATED);
    others
}

/// Products that go with it: two of the neighbouring leaf in its section, one of another section
/// of its department, one from somewhere else; of each leaf the one that matches best.
fn complements(number: usize, stock: &Stock, random: &mut ChaCha8Rng) -> Vec<u32> {
    let leaf = stock.traits[number].leaf;
    let section = leaf / SECTION * SECTION;
    let department = leaf / DEPARTMENT * DEPARTMENT;
    let beside = section + (leaf - section + 1) % SECTION;
    let across = department + (leaf - department + SECTION) % DEPARTMENT;
    let far = (leaf * 7 + 31) % stock.by_leaf.len();
    [beside, beside, across, far]
        .into_iter()
        .filter_map(|leaf| best_match(number, &stock.by_leaf[leaf], stock, random))
        .collect()
}

fn best_match(number: usize, among: &[u32], stock: &Stock, random: &mut ChaCha8Rng) -> Option<u32> {
    let this = &stock.traits[number];
    let score = |other: u32, luck: u32| {
        let that = &stock.traits[other as usize];
        u32::from(that.colour == this.colour) * 6
            + u32::from(that.brand == this.brand) * 4
            + u32::from(that.level == this.level) * 2
            + luck
    };
    among
        .iter()
        .filter(|&&other| other as usize != number)
        .map(|&other| (score(other, random.random_range(0..6)), other))
        .max()
        .map(|(_, other)| other)
}
