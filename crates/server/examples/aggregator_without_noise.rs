//! An aggregator that adds no noise, for tests that kill processes and then want an exact sum. It gives
//! no privacy and is part of nothing that is installed.

use onshelf_server::config::Config;
use onshelf_server::noise::Noise;
use onshelf_server::service;
use tokio::sync::watch;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("the path of a configuration is needed")?;
    let config = Config::read(path.as_ref())?;
    let (_stop, stopped) = watch::channel(false);
    Ok(service::run_with(&config, stopped, Noise::none_for_tests()).await?)
}
