//! `onshelf-server`: runs a leader, a helper, or for development both.

#![allow(clippy::print_stdout, reason = "a command line prints")]

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use clap::{Parser, Subcommand};
use janus_messages::TaskId;
use onshelf_core::version::to_hex;
use onshelf_server::aggregator::{system_clock, verify_key};
use onshelf_server::bench;
use onshelf_server::config::Config;
use onshelf_server::keys;
use onshelf_server::noise::Noise;
use onshelf_server::relay;
use onshelf_server::service;
use onshelf_server::store::Task;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing_subscriber::EnvFilter;

/// onshelf's aggregators: DAP-09 leader and helper.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, short, default_value = "onshelf-server.toml", env = "ONSHELF_SERVER_CONFIG", global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves until SIGTERM or Ctrl-C.
    Serve,
    /// Adds a signed task to every role that is configured.
    AddTask {
        /// The envelope's file.
        envelope: PathBuf,
    },
    /// Prints the public HPKE configurations, newest first.
    Keys {
        /// Makes a new key first; tasks keep the key they were made with.
        #[arg(long)]
        rotate: bool,
    },
    /// Prints a task's sums that were not released: each bucket's start, count and checksum. No share is printed.
    Buckets {
        /// The task's id, as the status has it.
        #[arg(allow_hyphen_values = true)]
        task: TaskId,
    },
    /// Forgets a bucket for good: where leader and helper count other reports in it, both have to.
    DropBucket {
        /// The task's id.
        #[arg(allow_hyphen_values = true)]
        task: TaskId,
        /// The bucket's start, seconds since 1970, as `buckets` has it.
        start: u64,
    },
    /// Relays oblivious HTTP: to be run by another party than those whose aggregator it leads to.
    Relay {
        /// Where to listen; a reverse proxy with TLS stands before it.
        #[arg(long)]
        listen: std::net::SocketAddr,
        /// Base address of the aggregator with the gateway, with a slash at the end.
        #[arg(long)]
        gateway: String,
    },
    /// Prints a task's verification key, 16 bytes in base64url, for a partner whose aggregator is none of ours. It is as
    /// secret as `verify_secret`.
    VerifyKey {
        /// The task's id, base64url; it may begin with `-`.
        #[arg(allow_hyphen_values = true)]
        task: TaskId,
    },
    /// Measures reports a second, verified end to end by a leader and a helper on this machine.
    Bench(bench::BenchArgs),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().json().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    if let Command::Bench(args) = &arguments.command {
        println!("{}", bench::run(args).await?);
        return Ok(());
    }
    if let Command::Relay { listen, gateway } = &arguments.command {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        tracing::info!(address = %listener.local_addr()?, "relaying");
        return Ok(service::serve(listener, relay::router(gateway)?, stopped()?).await?);
    }
    let config = Config::read(&arguments.config)?;
    match arguments.command {
        Command::Serve => serve(&config).await,
        Command::AddTask { envelope } => add_task(&config, &envelope).await,
        Command::Keys { rotate } => print_keys(&config, rotate).await,
        Command::Buckets { task } => buckets(&config, task.as_ref()).await,
        Command::DropBucket { task, start } => drop_bucket(&config, task.as_ref(), start).await,
        Command::VerifyKey { task } => print_verify_key(&config, &task),
        Command::Bench(_) | Command::Relay { .. } => bail!("handled above"),
    }
}

async fn serve(config: &Config) -> anyhow::Result<()> {
    Ok(service::run(config, stopped()?).await?)
}

/// True once the process is told to stop.
fn stopped() -> anyhow::Result<watch::Receiver<bool>> {
    let (stop, stopped) = watch::channel(false);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        tracing::info!("stopping");
        let _ = stop.send(true);
    });
    Ok(stopped)
}

async fn add_task(config: &Config, path: &std::path::Path) -> anyhow::Result<()> {
    let envelope = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    for aggregator in service::open(config, Noise::gaussian(), &system_clock()).await? {
        let task = aggregator.add_task(&envelope).await?;
        println!("{} {}", aggregator.role().name(), task.manifest.id_text());
    }
    Ok(())
}

async fn print_keys(config: &Config, rotate: bool) -> anyhow::Result<()> {
    for aggregator in service::open(config, Noise::gaussian(), &system_clock()).await? {
        if rotate {
            let expires = aggregator.now() + aggregator.settings.times.key_lifetime;
            keys::rotate(&*aggregator.store, expires).await?;
        }
        for key in keys::all(&*aggregator.store).await? {
            let config: String = key.pair.public().clone().into();
            println!("{} {config} until {}", aggregator.role().name(), key.expires);
        }
    }
    Ok(())
}

async fn buckets(config: &Config, task: &Task) -> anyhow::Result<()> {
    for aggregator in service::open(config, Noise::gaussian(), &system_clock()).await? {
        for bucket in aggregator.store.buckets(task).await? {
            let (sum, role) = (bucket.sum, aggregator.role().name());
            println!("{role} {} {} {}", bucket.start, sum.reports, to_hex(&sum.checksum));
        }
    }
    Ok(())
}

async fn drop_bucket(config: &Config, task: &Task, start: u64) -> anyhow::Result<()> {
    for aggregator in service::open(config, Noise::gaussian(), &system_clock()).await? {
        let role = aggregator.role().name();
        match aggregator.store.drop_bucket(task, start).await? {
            Some(reports) => println!("{role}: a bucket with {reports} reports is forgotten"),
            None => println!("{role}: there is no bucket of that start, or it was released"),
        }
    }
    Ok(())
}

fn print_verify_key(config: &Config, task: &TaskId) -> anyhow::Result<()> {
    for (role, section) in config.roles() {
        let key = verify_key(&section.settings(role)?.verify_secret, task.as_ref());
        println!("{} {}", role.name(), BASE64URL.encode(key));
    }
    Ok(())
}
