//! Options of `onshelf console`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use onshelf_collector::OperatorClient;
use onshelf_trainer::console::{self, ConsoleOptions};

use crate::collect_args::token;

#[derive(Args)]
pub(crate) struct ConsoleArgs {
    /// Folder of the published model versions.
    #[arg(long)]
    models: PathBuf,
    /// Folder of the ledger and the rounds.
    #[arg(long)]
    rounds: PathBuf,
    /// Folder of the built page.
    #[arg(long, default_value = "dist/console")]
    pages: PathBuf,
    /// Address of the leader; `ONSHELF_LEADER_TOKEN` is its operator's token.
    #[arg(long)]
    leader: String,
    /// Address of the helper; `ONSHELF_HELPER_TOKEN`.
    #[arg(long)]
    helper: String,
    /// Where to listen; a reverse proxy with TLS stands before it. `ONSHELF_CONSOLE_TOKEN` is what readers need.
    #[arg(long, default_value = "127.0.0.1:8303")]
    listen: SocketAddr,
}

impl ConsoleArgs {
    pub(crate) fn run(&self, ready: &dyn Fn(SocketAddr)) -> Result<()> {
        let leader = OperatorClient::new(&self.leader, token("ONSHELF_LEADER_TOKEN")?)?;
        let helper = OperatorClient::new(&self.helper, token("ONSHELF_HELPER_TOKEN")?)?;
        let options = ConsoleOptions {
            models: self.models.clone(),
            rounds: self.rounds.clone(),
            pages: self.pages.clone(),
            aggregators: [leader, helper],
            token: token("ONSHELF_CONSOLE_TOKEN")?,
            listen: self.listen,
        };
        console::run(options, ready)
    }
}
