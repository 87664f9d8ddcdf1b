//! Object stores by their addresses.

use anyhow::{Context, Result, bail};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

/// The store of a `file://` or `s3://` address, what the address begins with, and the path in it.
///
/// # Errors
/// For another kind of address, and where the store cannot be used.
pub fn open(url: &str) -> Result<(Box<dyn ObjectStore>, String, String)> {
    let (scheme, rest) = url.split_once("://").with_context(|| format!("{url}: an address has ://"))?;
    match scheme {
        "file" => {
            let path = rest.strip_prefix("localhost").unwrap_or(rest);
            Ok((Box::new(LocalFileSystem::new()), "file://".into(), path.to_owned()))
        }
        "s3" | "s3a" => {
            let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
            let store = s3(bucket).with_context(|| url.to_owned())?;
            Ok((store, format!("{scheme}://{bucket}"), path.to_owned()))
        }
        _ => bail!("{url}: known are files and folders of this machine, file:// and s3://"),
    }
}

/// Whether a store keeps media types and the like; a folder does not, and refuses them.
pub(crate) fn keeps_attributes(store: &dyn ObjectStore) -> bool {
    !store.to_string().starts_with("LocalFileSystem")
}

/// Access and credentials come from the environment, as the crate documents them (`AWS_…`).
#[cfg(feature = "s3")]
fn s3(bucket: &str) -> Result<Box<dyn ObjectStore>> {
    let builder = object_store::aws::AmazonS3Builder::from_env().with_bucket_name(bucket);
    Ok(Box::new(builder.build()?))
}

#[cfg(not(feature = "s3"))]
fn s3(_: &str) -> Result<Box<dyn ObjectStore>> {
    bail!("this onshelf was built without S3; build it with `--features s3`")
}
