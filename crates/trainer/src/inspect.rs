//! `onshelf inspect`: what is in an artefact.

use std::fs;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use onshelf_core::catalogue::Catalogue;
use onshelf_core::version::log::VersionLog;
use onshelf_core::version::{Manifest, Role};
use onshelf_core::weights::Weights;
use serde_json::{Value, json};

use crate::dataset::Dataset;
use crate::export::VERSIONS_LOG;

/// Describes a data set, teacher, student, model version or safetensors file as JSON. With
/// `keys`, a model version's signature must be of one of them; without, of the key it names.
///
/// # Errors
/// Where the path is none of these, or what it holds is damaged.
pub fn inspect(path: &Path, keys: &[String]) -> Result<Value> {
    if path.is_dir() {
        for (name, kind) in
            [("dataset.json", "data set"), ("teacher.json", "teacher"), ("student.json", "student")]
        {
            if path.join(name).exists() {
                return folder(path, name, kind);
            }
        }
        if path.join("latest.json").exists() {
            return version(&path.join("latest.json"), keys);
        }
        bail!(
            "{}: no dataset.json, teacher.json, student.json or latest.json in it; this is not a folder that onshelf wrote",
            path.display()
        );
    }
    match path.extension().and_then(|e| e.to_str()) {
        Some("safetensors") => Ok(json!({ "kind": "weights", "tensors": tensors(path)? })),
        Some("json") => version(path, keys),
        _ => bail!("{}: expected a folder, a manifest (.json) or weights (.safetensors)", path.display()),
    }
}

fn folder(path: &Path, name: &str, kind: &str) -> Result<Value> {
    if kind == "data set" {
        // Loading checks the hashes.
        Dataset::load(path)?;
    }
    let file = path.join(name);
    let about: Value =
        serde_json::from_slice(&fs::read(&file)?).with_context(|| file.display().to_string())?;
    let mut out = json!({ "kind": kind, "about": about });
    for weights in ["network.safetensors", "student.safetensors"] {
        if path.join(weights).exists() {
            out["tensors"] = tensors(&path.join(weights))?;
        }
    }
    Ok(out)
}

fn tensors(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let weights = Weights::from_safetensors(&bytes).with_context(|| path.display().to_string())?;
    let floats =
        weights.floats.iter().map(|(name, t)| (name.clone(), json!({ "type": "f32", "shape": t.shape })));
    let codes = weights.bytes.iter().map(|(name, t)| (name.clone(), json!({ "type": "u8", "shape": t.0 })));
    Ok(Value::Object(floats.chain(codes).collect()))
}

fn version(path: &Path, keys: &[String]) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let own;
    let trusted = if keys.is_empty() {
        own = named_keys(&bytes);
        &own
    } else {
        keys
    };
    let verified = Manifest::verify(&bytes, trusted).with_context(|| path.display().to_string())?;
    let manifest = &verified.manifest;
    let root = path.parent().unwrap_or(Path::new("."));
    // Manifests by version lie one folder below the blobs.
    let root = if root.join("blobs").is_dir() { root.to_path_buf() } else { root.join("..") };
    let mut files = Vec::new();
    for file in &manifest.files {
        let content = fs::read(root.join(&file.path)).with_context(|| file.path.clone())?;
        file.verify(&content)?;
        if file.role == Role::Catalogue {
            Catalogue::from_json(&content)?;
        }
        packed(&root.join(format!("{}.gz", file.path)), &content)?;
        files.push(json!({ "role": file.role, "path": file.path, "bytes": file.bytes, "intact": true }));
    }
    let log = logged(&root.join(VERSIONS_LOG), trusted, &verified.digest)?;
    Ok(json!({
        "kind": "model version",
        "version": verified.version,
        "signature": if keys.is_empty() { "valid, of the key it names (pass --key to check whose)" } else { "valid, of a trusted key" },
        "manifest": manifest,
        "files": files,
        "versions_log": log,
    }))
}

/// A compressed copy, where there is one, must be of the same content: servers send it instead.
fn packed(path: &Path, content: &[u8]) -> Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let mut plain = Vec::with_capacity(content.len());
    let limit = content.len() as u64 + 1;
    let read = flate2::read::GzDecoder::new(fs::File::open(path)?).take(limit).read_to_end(&mut plain);
    read.with_context(|| path.display().to_string())?;
    ensure!(plain == content, "{}: not what it is a compressed copy of; export again", path.display());
    Ok(())
}

/// How many entries the public log of versions has, which has to name a version; `None` where there is no log:
/// releases before there was one wrote none.
fn logged(path: &Path, trusted: &[String], model: &str) -> Result<Option<usize>> {
    if !path.exists() {
        return Ok(None);
    }
    let read = || -> Result<usize> {
        let log = VersionLog::read(&fs::read(path)?, trusted)?;
        ensure!(log.names(model), "the log does not name this version");
        Ok(log.entries().len())
    };
    read().map(Some).with_context(|| path.display().to_string())
}

fn named_keys(envelope: &[u8]) -> Vec<String> {
    let parsed: Option<onshelf_core::version::Envelope> = serde_json::from_slice(envelope).ok();
    parsed.map(|e| e.signatures.into_iter().map(|s| s.keyid).collect()).unwrap_or_default()
}
