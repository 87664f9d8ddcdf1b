//! A signed model version of any size with random numbers in it: for measuring what a catalogue's size
//! costs a browser, not for ranking anything well.
//!
//! ```sh
//! cargo run --release -p onshelf-trainer --example made_up_model -- 1000000 8 OUT
//! ```

use std::path::PathBuf;

use anyhow::{Context, Result};
use onshelf_core::catalogue::{CatalogueBuilder, ItemAttributes};
use onshelf_core::rank::CENTROIDS;
use onshelf_core::version::{FineTuneConfig, Manifest, PLAIN_FORMAT, StudentShape};
use onshelf_core::weights::Tensor;
use onshelf_model::encoder;
use onshelf_model::student::Adapter;
use onshelf_trainer::{export, student};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next =
        |name: &str| args.next().with_context(|| format!("{name} is missing: ITEMS SUBSPACES OUT"));
    let (items, subspaces): (usize, usize) = (next("ITEMS")?.parse()?, next("SUBSPACES")?.parse()?);
    let out = PathBuf::from(next("OUT")?);
    // The shape of DIGINETICA's student.
    let shape = StudentShape {
        dim: 96,
        blocks: 2,
        heads: 2,
        hidden: 192,
        max_len: 20,
        subspaces,
        adapter_rank: 16,
        temperature: 0.07,
        times: false,
    };
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let mut weights = encoder::init(&shape, &mut rng);
    let mut adapter = Adapter::new(shape.dim, shape.adapter_rank, &mut rng);
    // As if devices had taught it something: what is zero could be left out without being missed.
    adapter.up.iter_mut().for_each(|x| *x = (rng.random::<f32>() - 0.5) * 0.2);
    adapter.write(&mut weights);
    for (name, tensor) in &mut weights.floats {
        if name == encoder::REPEAT || name.ends_with("up_bias") {
            tensor.values.iter_mut().for_each(|x| *x = (rng.random::<f32>() - 0.5) * 0.4);
        }
    }
    let row = subspaces + 1;
    let codes = (0..items * row).map(|_| rng.random()).collect();
    weights.bytes.insert("items.codes".into(), (vec![items, row], codes));
    let mut real = |shape: Vec<usize>, limit: f32| {
        let n = shape.iter().product();
        let values = (0..n).map(|_| (rng.random::<f32>() * 2.0 - 1.0) * limit).collect();
        Tensor { shape, values }
    };
    // Item vectors of length about 1.
    let limit = (3.0 / shape.dim as f32).sqrt();
    let centroids = real(vec![subspaces, CENTROIDS, shape.dim / subspaces], limit);
    weights.floats.insert("items.centroids".into(), centroids);
    weights.floats.insert("items.bias".into(), real(vec![CENTROIDS], 1.0));
    let mut catalogue = CatalogueBuilder::new();
    for item in 1..=items {
        catalogue.push(&item.to_string(), ItemAttributes::default(), true)?;
    }
    let manifest = Manifest {
        format: PLAIN_FORMAT,
        name: "made up".into(),
        created: 0,
        previous: None,
        student: shape,
        frozen: None,
        fine_tune: FineTuneConfig::tuned(),
        items: u32::try_from(items)?,
        files: Vec::new(),
        metrics: Default::default(),
    };
    let file = weights.to_packed(student::packing)?;
    let done = export::publish(
        manifest,
        &file,
        &catalogue.finish()?.to_json(),
        &out.join("secret.key"),
        &out.join("models"),
    )?;
    eprintln!(
        "{items} items: {} bytes of weights, {} with the catalogue, {} as sent",
        file.len(),
        done.bytes,
        done.sent
    );
    Ok(())
}
