//! A tiny shop whose items are named `i1`, `i2` and so on, the most popular first.

use std::collections::BTreeMap;

use onshelf_core::catalogue::{Catalogue, CatalogueBuilder, CatalogueError, ItemAttributes};
use onshelf_core::event::EventKind;
use onshelf_core::rank::CENTROIDS;
use onshelf_core::version::{FineTuneConfig, Manifest, PLAIN_FORMAT, StudentShape};
use onshelf_core::weights::{Tensor, Weights};
use onshelf_model::ModelError;
use onshelf_model::shopper::{Request, Shopper, Tracked};
use onshelf_model::student::Compute;
use pollster::block_on;

use crate::random::{Numbers, encoder_weights};

pub(crate) const ITEMS: usize = 50;
/// A Monday in 2026, Unix milliseconds.
pub(crate) const NOON: i64 = 1_767_614_400_000;
pub(crate) const MINUTE: i64 = 60_000;

pub(crate) fn shape() -> StudentShape {
    StudentShape {
        dim: 8,
        blocks: 1,
        heads: 2,
        hidden: 16,
        max_len: 10,
        subspaces: 4,
        adapter_rank: 2,
        temperature: 0.2,
        times: true,
    }
}

pub(crate) fn manifest(items: usize) -> Manifest {
    Manifest {
        format: PLAIN_FORMAT,
        name: "test".into(),
        created: 1,
        previous: None,
        student: shape(),
        frozen: None,
        fine_tune: FineTuneConfig {
            learning_rate: 0.02,
            steps_per_click: 2,
            negatives: 16,
            proximal: 0.05,
            ..Default::default()
        },
        items: items as u32,
        files: Vec::new(),
        metrics: BTreeMap::new(),
    }
}

/// A student whose item biases fall with the index: item 1 is the most popular.
pub(crate) fn weights(items: usize) -> Weights {
    let (shape, mut numbers) = (shape(), Numbers(3));
    let mut out = encoder_weights(&shape, &mut numbers);
    let mut put = |name: &str, shape: &[usize], values: Vec<f32>| {
        out.floats.insert(name.into(), Tensor { shape: shape.to_vec(), values });
    };
    put("items.centroids", &[shape.subspaces, CENTROIDS, 2], numbers.many(CENTROIDS * shape.dim, 0.5));
    put("items.bias", &[CENTROIDS], (0..CENTROIDS).map(|level| -(level as f32) / 20.0).collect());
    put("adapter.down", &[shape.dim, shape.adapter_rank], numbers.many(shape.dim * shape.adapter_rank, 0.5));
    put("adapter.up", &[shape.adapter_rank, shape.dim], vec![0.0; shape.dim * shape.adapter_rank]);
    let row = |item: usize| {
        [numbers.bits() as u8, numbers.bits() as u8, numbers.bits() as u8, numbers.bits() as u8, item as u8]
    };
    let codes: Vec<u8> = (0..items).flat_map(row).collect();
    out.bytes.insert("items.codes".into(), (vec![items, shape.subspaces + 1], codes));
    out
}

pub(crate) fn catalogue<S: AsRef<str>>(
    ids: impl IntoIterator<Item = S>,
) -> Result<Catalogue, CatalogueError> {
    let mut builder = CatalogueBuilder::new();
    for id in ids {
        builder.push(id.as_ref(), ItemAttributes::default(), true)?;
    }
    builder.finish()
}

pub(crate) fn numbered(items: usize) -> Catalogue {
    catalogue((1..=items).map(|i| format!("i{i}"))).unwrap()
}

pub(crate) fn load(version: &str, catalogue: Catalogue, weights: &Weights) -> Result<Shopper, ModelError> {
    let manifest = manifest(catalogue.len());
    Shopper::new(version.into(), manifest, catalogue, weights, &Compute::Cpu, 7)
}

pub(crate) fn shopper() -> Shopper {
    load("v1", numbered(ITEMS), &weights(ITEMS)).unwrap()
}

pub(crate) fn view(shopper: &mut Shopper, id: &str, at: i64) -> Tracked {
    shopper.track(id, EventKind::ViewItem, None, at)
}

/// A shopper who clicked on four items and was learned from.
pub(crate) fn learned() -> Shopper {
    let mut s = shopper();
    for (n, id) in ["i5", "i17", "i5", "i30"].into_iter().enumerate() {
        assert_eq!(view(&mut s, id, NOON + n as i64 * MINUTE), Tracked::Accepted);
        block_on(s.fine_tune(2)).unwrap();
    }
    s
}

pub(crate) fn shelf(count: usize) -> Request {
    Request { count, ..Request::default() }
}

pub(crate) fn ask(shopper: &mut Shopper, request: &Request) -> Vec<(String, f32)> {
    block_on(shopper.recommend(request)).unwrap().into_iter().map(|l| (l.item_id, l.score)).collect()
}

pub(crate) fn ids(shopper: &mut Shopper, request: &Request) -> Vec<String> {
    ask(shopper, request).into_iter().map(|l| l.0).collect()
}

pub(crate) fn by_popularity(n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("i{i}")).collect()
}
