//! The words a made-up shop is made of. Every brand is invented.

/// A leaf of the category tree.
pub(super) struct Leaf {
    pub(super) department: &'static str,
    pub(super) section: &'static str,
    pub(super) name: &'static str,
    /// The middle of its prices in euros.
    pub(super) price: u32,
    /// What its products are, between commas.
    pub(super) nouns: &'static str,
    /// What they are made of or made for, between commas.
    pub(super) materials: &'static str,
}

/// Brands with their price level in percent of the usual.
pub(super) const BRANDS: [(&str, u32); 40] = [
    ("Ashgrove Lane", 90),
    ("Bramble & Pike", 120),
    ("Calder Row", 100),
    ("Dunmarrow", 150),
    ("Eastwick Mill", 80),
    ("Fennick", 110),
    ("Gorsefield", 70),
    ("Hartsedge", 140),
    ("Ivy & Ember", 125),
    ("Juniper Tallow", 160),
    ("Kestrel Yard", 105),
    ("Lumen Vale", 130),
    ("Mossbank", 75),
    ("Northby", 95),
    ("Oakmere", 115),
    ("Pellaro", 190),
    ("Quillon", 145),
    ("Rook & Sparrow", 85),
    ("Saltmarsh", 100),
    ("Thornaby Works", 135),
    ("Umberline", 170),
    ("Velmora", 210),
    ("Westerholt", 120),
    ("Yarrowby", 65),
    ("Zephyrine", 180),
    ("Alder & Finch", 110),
    ("Brightwater Co", 90),
    ("Copperhill", 125),
    ("Driftwell", 80),
    ("Elmstone", 105),
    ("Foxhollow", 95),
    ("Greyling", 155),
    ("Hollin & Reed", 115),
    ("Inkwell Park", 70),
    ("Larkspur Lane", 100),
    ("Merrowdale", 140),
    ("Nettlecombe", 60),
    ("Orrin Blake", 200),
    ("Pippin Street", 85),
    ("Silverbirch", 130),
];

/// Colours of products.
pub(super) const COLOURS: [&str; 14] = [
    "red", "orange", "amber", "green", "teal", "blue", "indigo", "violet", "pink", "brown", "black", "white",
    "grey", "cream",
];

/// Patterns of products, and the word a name has for them.
pub(super) const PATTERNS: [(&str, &str); 5] =
    [("plain", ""), ("stripes", "striped"), ("dots", "dotted"), ("check", "checked"), ("leaf", "leaf-print")];

/// Words for a line of products, to tell like names apart.
pub(super) const LINES: [&str; 24] = [
    "Harbour", "Meadow", "Alba", "Solstice", "Linden", "Coast", "Ember", "Nimbus", "Willow", "Aurora",
    "Cedar", "Drift", "Heron", "Orchard", "Pebble", "Tundra", "Vista", "Clover", "Dune", "Fjord", "Lark",
    "Mistral", "Sable", "Thistle",
];

/// The leaves: four of a section follow one another, twelve of a department.
const LEAVES: &str = include_str!("leaves.tsv");

/// The leaves in the order of the tree.
pub(super) fn leaves() -> Vec<Leaf> {
    let rows = LEAVES.lines().skip(1);
    rows.map(|row| {
        let fields: Vec<&'static str> = row.split('\t').collect();
        let [department, section, name, price, nouns, materials] = fields[..] else {
            panic!("leaves.tsv has six columns");
        };
        Leaf {
            department,
            section,
            name,
            price: price.parse().expect("leaves.tsv has prices in whole euros"),
            nouns,
            materials,
        }
    })
    .collect()
}

/// Whether the products of a leaf have patterns.
pub(super) fn has_patterns(leaf: &Leaf) -> bool {
    matches!(leaf.department, "Home" | "Outdoor" | "Fashion" | "Toys" | "Garden" | "Office")
}

/// Whether a product of the leaf is named by its colour; a book is not.
pub(super) fn named_by_colour(leaf: &Leaf) -> bool {
    !matches!(leaf.department, "Books" | "Beauty")
}
