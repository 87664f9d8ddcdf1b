//! `onshelf registry push`: published model versions into a store that browsers are served from.
//!
//! The store has the same names as the folder that `export` and `collect` publish into. Files are named by their
//! content's hash and never change; what does change is a handful of small files, and those are written last, in an order
//! in which no reader finds a name that leads nowhere: files, manifests, tasks, `versions.log`, keys, `latest.json`,
//! `task.json`.
//!
//! | object | `Cache-Control` |
//! | --- | --- |
//! | `blobs/…`, `manifests/…`, `tasks/…` | a year, immutable |
//! | `versions.log`, `public-keys.json`, `latest.json`, `task.json` | to be asked for anew |
//!
//! A log of versions that is no continuation of the store's is refused: browsers remember it, and would refuse it too.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use object_store::path::Path as StorePath;
use object_store::{Attribute, Attributes, Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use onshelf_core::version::log::VersionLog;
use onshelf_core::version::sha256_hex;
use serde::Serialize;
use tokio::runtime::Builder;

use crate::export::VERSIONS_LOG;
use crate::store;

/// Folders whose files never change.
const IMMUTABLE: [&str; 3] = ["blobs", "manifests", "tasks"];
/// Files that change, in the order in which they are written.
const CHANGING: [&str; 4] = [VERSIONS_LOG, "public-keys.json", "latest.json", "task.json"];
const FOREVER: &str = "public, max-age=31536000, immutable";
const ANEW: &str = "no-cache";

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// Files that the store did not have.
    pub new: usize,
    /// Files that it had already.
    pub there: usize,
    /// Bytes sent.
    pub bytes: u64,
}

/// Pushes a folder to an address: `file:///folder`, or `s3://bucket/prefix` in builds with the feature `s3`
/// (credentials and endpoint from the environment, `AWS_…`).
///
/// # Errors
/// Where the folder holds no published version, a file is not what its name says, the store cannot be used, or it has another log
/// of versions.
pub fn push(models: &Path, to: &str) -> Result<Pushed> {
    let (target, _, path) = store::open(to)?;
    push_to(models, target.into(), &path)
}

/// The same to a store that is open.
fn push_to(models: &Path, target: Arc<dyn ObjectStore>, prefix: &str) -> Result<Pushed> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut registry =
            Registry { target, prefix: StorePath::from_url_path(prefix)?, done: Pushed::default() };
        registry.check_log(models).await?;
        for folder in IMMUTABLE {
            for name in names(&models.join(folder))? {
                let content = read(&models.join(folder).join(&name))?;
                check(folder, &name, &content)?;
                registry.put_once(&format!("{folder}/{name}"), content).await?;
            }
        }
        for name in CHANGING {
            if models.join(name).exists() {
                registry.put(name, read(&models.join(name))?).await?;
            }
        }
        Ok(registry.done)
    })
}

struct Registry {
    target: Arc<dyn ObjectStore>,
    prefix: StorePath,
    done: Pushed,
}

impl Registry {
    fn at(&self, name: &str) -> StorePath {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// The store's log has to be a beginning of ours.
    async fn check_log(&self, models: &Path) -> Result<()> {
        let ours = read(&models.join(VERSIONS_LOG)).context("nothing was published there yet")?;
        let trusted: Vec<String> = serde_json::from_slice(&read(&models.join("public-keys.json"))?)?;
        let log = VersionLog::read(&ours, &trusted).context(VERSIONS_LOG)?;
        let theirs = match self.target.get(&self.at(VERSIONS_LOG)).await {
            Ok(found) => found.bytes().await?,
            Err(Error::NotFound { .. }) => return Ok(()),
            Err(error) => return Err(error).context(VERSIONS_LOG),
        };
        let theirs = VersionLog::read(&theirs, &trusted).context("the store's versions.log")?;
        ensure!(
            log.goes_on_from(theirs.head()),
            "the store has another log of versions than {}: it belongs to another shop, or ours lacks what was published \
             elsewhere; browsers that saw the store's would refuse ours",
            models.display()
        );
        Ok(())
    }

    /// Writes what never changes; what is there stays.
    async fn put_once(&mut self, name: &str, content: Vec<u8>) -> Result<()> {
        let bytes = content.len() as u64;
        let options = PutOptions { mode: PutMode::Create, ..self.options(name, FOREVER) };
        match self.target.put_opts(&self.at(name), content.into(), options).await {
            Ok(_) => {
                self.done.new += 1;
                self.done.bytes += bytes;
                Ok(())
            }
            Err(Error::AlreadyExists { .. }) => {
                self.done.there += 1;
                Ok(())
            }
            Err(Error::NotImplemented { .. }) => bail!("{name}: the store cannot create without overwriting"),
            Err(error) => Err(error).with_context(|| name.to_owned()),
        }
    }

    async fn put(&mut self, name: &str, content: Vec<u8>) -> Result<()> {
        self.done.bytes += content.len() as u64;
        let options = self.options(name, ANEW);
        self.target
            .put_opts(&self.at(name), content.into(), options)
            .await
            .with_context(|| name.to_owned())?;
        Ok(())
    }

    /// What a web server in front of the store sends along; a local folder keeps none of it.
    fn options(&self, name: &str, cache: &'static str) -> PutOptions {
        if !store::keeps_attributes(&*self.target) {
            return PutOptions::default();
        }
        let mut attributes = Attributes::new();
        attributes.insert(Attribute::CacheControl, cache.into());
        attributes.insert(Attribute::ContentType, media_type(name).into());
        if name.ends_with(".gz") {
            attributes.insert(Attribute::ContentEncoding, "gzip".into());
        }
        PutOptions { attributes, ..PutOptions::default() }
    }
}

fn media_type(name: &str) -> &'static str {
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    match plain.rsplit_once('.') {
        Some((_, "json")) => "application/json",
        Some((_, "log")) => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// A blob's name begins with the hash of its content; one that does not hold it is damaged.
fn check(folder: &str, name: &str, content: &[u8]) -> Result<()> {
    let packed = Path::new(name).extension().is_some_and(|end| end == "gz");
    if folder != "blobs" || packed {
        return Ok(());
    }
    let named = name.split('.').next().unwrap_or_default();
    ensure!(sha256_hex(content) == named, "{folder}/{name} is not what its name says; publish it again");
    Ok(())
}

/// Plain files of a folder, in order; none where there is no such folder.
fn names(folder: &Path) -> Result<Vec<String>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut out: Vec<String> = entries
        .flatten()
        .filter(|entry| entry.path().is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    out.sort();
    Ok(out)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[test]
    fn what_is_no_published_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let error = push_to(dir.path(), Arc::new(InMemory::new()), "shop").unwrap_err();
        assert!(format!("{error:#}").contains("nothing was published"), "{error:#}");
    }

    #[test]
    fn a_blob_that_is_not_what_its_name_says_is_refused() {
        assert!(check("blobs", &format!("{}.json", sha256_hex(b"a")), b"a").is_ok());
        assert!(check("blobs", &format!("{}.json", sha256_hex(b"a")), b"b").is_err());
    }

    #[test]
    fn addresses_that_are_none_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for to in ["models", "ftp://example/models", "gopher://x"] {
            assert!(push(dir.path(), to).is_err(), "{to}");
        }
    }
}
