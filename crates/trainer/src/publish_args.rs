//! Options of `onshelf export`, `onshelf push` and `onshelf inspect`.

use std::path::PathBuf;

use clap::Args;

#[derive(Args)]
pub(crate) struct ExportArgs {
    /// Folder of the data set.
    #[arg(long)]
    pub(crate) data: PathBuf,
    /// Folder of the student.
    #[arg(long)]
    pub(crate) student: PathBuf,
    /// File with the Ed25519 secret key; made if it is not there. Keep it off the web server.
    #[arg(long)]
    pub(crate) key: PathBuf,
    /// The shop's name for the model.
    #[arg(long, default_value = "shop")]
    pub(crate) name: String,
    /// Folder to publish into.
    #[arg(long)]
    pub(crate) out: PathBuf,
}

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// A folder that onshelf wrote, a manifest or a safetensors file.
    pub(crate) path: PathBuf,
    /// Public key that must have signed, 64 hex digits; may be repeated.
    #[arg(long)]
    pub(crate) key: Vec<String>,
}

#[derive(Args)]
pub(crate) struct PushArgs {
    /// Folder that `export` and `collect` publish into.
    #[arg(long)]
    pub(crate) models: PathBuf,
    /// `file:///folder`, or `s3://bucket/prefix` in builds with the feature `s3` (`AWS_…` in the environment).
    #[arg(long)]
    pub(crate) to: String,
}
