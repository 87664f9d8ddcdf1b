//! `onshelf export`: a signed, content-addressed model version from a student.
//!
//! ```text
//! OUT/latest.json                 the newest manifest (a copy)
//! OUT/manifests/<version>.json    every manifest, by its version
//! OUT/blobs/<sha256>.safetensors  weights
//! OUT/blobs/<sha256>.json         catalogue
//! OUT/blobs/<sha256>.json.gz      the same, for servers that send files as they lie there
//! OUT/public-keys.json            the keys that browsers may trust, hex
//! OUT/versions.log                every version that ever served, signed, each entry with the hash of the one before
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use onshelf_core::catalogue::{Catalogue, CatalogueBuilder, ItemAttributes};
use onshelf_core::version::log::{Event, VersionLog};
use onshelf_core::version::{
    FileEntry, MANIFEST_FORMAT, Manifest, PLAIN_FORMAT, Role, TREND_FORMAT, sha256_hex, signing_key, to_hex,
};
use onshelf_core::weights::Weights;
use onshelf_model::student::{LEVEL_TREND, TREND};

use crate::corpus::{Corpus, CorpusOptions};
use crate::dataset::Dataset;
use crate::files::{make_secret, write_atomic, write_json};
use crate::{student, teacher};

/// What was published.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Exported {
    /// The version's name.
    pub version: String,
    /// Bytes of weights and catalogue.
    pub bytes: u64,
    /// The same as sent, where the server compresses the catalogue.
    pub sent: u64,
    /// The public key that browsers need, hex.
    pub public_key: String,
}

/// Publishes the student in `student_dir` into the folder `out`.
///
/// # Errors
/// Where a folder or the key cannot be used, or the student belongs to another data set.
pub fn export(
    data_dir: &Path,
    student_dir: &Path,
    key_file: &Path,
    name: &str,
    created: u64,
    out: &Path,
) -> Result<Exported> {
    let data = Dataset::load(data_dir)?;
    let loaded = student::load(student_dir)?;
    ensure!(
        loaded.info.dataset == teacher::dataset_hash(data_dir)?,
        "the student in {} was distilled on another data set than {}; name the right one",
        student_dir.display(),
        data_dir.display()
    );
    let corpus = Corpus::new(
        &data,
        &CorpusOptions {
            last_period: loaded.info.trained_to,
            validation: loaded.info.held_out,
            ..Default::default()
        },
    )?;
    let catalogue = mark_untrained(&data.catalogue, &corpus.counts, &loaded.info.placed)?.to_json();
    let validation = &loaded.info.validation;
    let manifest = Manifest {
        format: PLAIN_FORMAT,
        name: name.to_owned(),
        created,
        previous: None,
        student: loaded.info.student.clone(),
        frozen: None,
        fine_tune: loaded.info.fine_tune.clone(),
        items: u32::try_from(data.catalogue.len()).context("too many items")?,
        files: Vec::new(),
        metrics: BTreeMap::from([
            ("validation_recall_20".to_owned(), validation.recall_20),
            ("validation_mrr_20".to_owned(), validation.mrr_20),
        ]),
    };
    publish(manifest, &loaded.file, &catalogue, key_file, out)
}

/// SHA-256 (hex) of all tensors but what is shared: adapter and trend.
fn frozen(weights: &[u8]) -> Result<String> {
    let mut weights = Weights::from_safetensors(weights)?;
    let shared = |name: &str| name.starts_with("adapter.") || name == TREND || name == LEVEL_TREND;
    weights.floats.retain(|name, _| !shared(name));
    Ok(sha256_hex(&weights.to_safetensors()?))
}

/// Signs and writes a model version; fills in the files, the version before and what is frozen.
///
/// # Errors
/// Where the key or a file cannot be read or written.
pub fn publish(
    mut manifest: Manifest,
    weights: &[u8],
    catalogue: &[u8],
    key_file: &Path,
    out: &Path,
) -> Result<Exported> {
    manifest.files = vec![
        FileEntry::describe(Role::Weights, weights, "safetensors"),
        FileEntry::describe(Role::Catalogue, catalogue, "json"),
    ];
    manifest.previous = previous(out);
    manifest.frozen = Some(frozen(weights)?);
    // A reader that knows no trend, or not all of it, would rank by half of the model: it has to refuse.
    let tensors = Weights::from_safetensors(weights)?.floats;
    manifest.format = match [TREND, LEVEL_TREND].map(|name| tensors.contains_key(name)) {
        [_, true] => MANIFEST_FORMAT,
        [true, false] => TREND_FORMAT,
        [false, false] => PLAIN_FORMAT,
    };
    for (file, content) in manifest.files.iter().zip([weights, catalogue]) {
        write_atomic(&out.join(&file.path), content)?;
    }
    let packed = gzipped(catalogue)?;
    write_atomic(&out.join(format!("{}.gz", manifest.files[1].path)), &packed)?;
    let key = read_or_make_key(key_file)?;
    let (envelope, version) = manifest.sign(&key)?;
    write_atomic(&out.join(format!("manifests/{version}.json")), &envelope)?;
    let public_key = to_hex(key.verifying_key().as_bytes());
    write_json(&out.join("public-keys.json"), &[&public_key])?;
    // Before it serves: a browser takes no version that the log does not name.
    let model = Manifest::verify(&envelope, std::slice::from_ref(&public_key))?.digest;
    append_version(out, Event::Published, &model, manifest.created, &key)?;
    // Last: a reader that sees the new version finds all its files.
    write_atomic(&out.join("latest.json"), &envelope)?;
    let [bytes, sent] = [catalogue, &packed].map(|c| (weights.len() + c.len()) as u64);
    Ok(Exported { version, bytes, sent, public_key })
}

/// The same bytes for the same content: the header names no time.
fn gzipped(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

/// Name of the public log of versions.
pub const VERSIONS_LOG: &str = "versions.log";

/// Adds an entry to the public log of versions, which begins with what serves already.
pub(crate) fn append_version(
    out: &Path,
    event: Event,
    model: &str,
    at: u64,
    key: &ed25519_dalek::SigningKey,
) -> Result<()> {
    let path = out.join(VERSIONS_LOG);
    let trusted = [to_hex(key.verifying_key().as_bytes())];
    let mut bytes = if path.exists() { fs::read(&path).context(VERSIONS_LOG)? } else { Vec::new() };
    let mut log = VersionLog::read(&bytes, &trusted).context(
        "versions.log is not what this key wrote; publish into another folder, or with the key of this one",
    )?;
    if log.entries().is_empty()
        && let Ok(serving) = fs::read(out.join("latest.json"))
        && let Ok(serving) = Manifest::verify(&serving, &trusted)
        && serving.digest != model
    {
        // What was published before there was a log.
        bytes.extend(log.append(Event::Published, &serving.digest, serving.manifest.created, key)?);
    }
    if log.entries().last().is_some_and(|last| last.model == model) {
        return Ok(());
    }
    bytes.extend(log.append(event, model, at, key)?);
    write_atomic(&path, &bytes)
}

/// The version that `latest.json` names now, if there is one whose manifest is stored.
fn previous(out: &Path) -> Option<String> {
    let latest = fs::read(out.join("latest.json")).ok()?;
    let manifests = fs::read_dir(out.join("manifests")).ok()?;
    manifests
        .flatten()
        .find(|entry| fs::read(entry.path()).is_ok_and(|content| content == latest))
        .and_then(|entry| entry.path().file_stem().map(|stem| stem.to_string_lossy().into_owned()))
}

/// The catalogue with the items that have no place marked: training never saw them, and nothing is known
/// about them that is known about others.
pub(crate) fn mark_untrained(catalogue: &Catalogue, counts: &[u32], placed: &[u32]) -> Result<Catalogue> {
    let mut builder = CatalogueBuilder::new();
    for (index, &count) in (1_u32..).zip(&counts[1..]) {
        let id = catalogue.id(index).context("catalogue shorter than its counts")?;
        let attributes = ItemAttributes {
            name: catalogue.name(index).map(str::to_owned),
            brand: catalogue.brand(index).map(str::to_owned),
            category: catalogue.category(index).to_vec(),
            price: catalogue.price(index),
            stock: catalogue.stock(index),
        };
        builder.push(id, attributes, count > 0 || placed.binary_search(&index).is_ok())?;
    }
    Ok(builder.finish()?)
}

/// Reads the secret key (64 hex digits), or makes one that only the owner may read.
fn read_or_make_key(path: &Path) -> Result<ed25519_dalek::SigningKey> {
    make_secret(path)?;
    read_key(path)
}

/// Reads the secret key (64 hex digits).
pub(crate) fn read_key(path: &Path) -> Result<ed25519_dalek::SigningKey> {
    let text = fs::read_to_string(path).with_context(|| format!("reading the key {}", path.display()))?;
    signing_key(&text).with_context(|| format!("the key file {}", path.display()))
}
