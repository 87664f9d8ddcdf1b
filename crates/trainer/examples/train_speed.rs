//! How fast a training step is: the twin of `benches/peers/train_pytorch.py`, with the same batches
//! and the same measures. Prints one JSON object.
//!
//! ```sh
//! cargo run --release -p onshelf-trainer --example train_speed -- --data build/diginetica/data \
//!     --last-period 14 --positions 1024 --negatives 1024 --steps 60
//! ```
#![allow(clippy::print_stdout, reason = "a program that prints its result")]

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use clap::Parser;
use onshelf_core::version::StudentShape;
use onshelf_model::training::{Candidates, FloatItems, StepOptions, Stepper, batches};
use onshelf_model::{Device, encoder};
use onshelf_trainer::corpus::{Corpus, CorpusOptions};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::teacher::schedule;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// As in the command line: training allocates and frees megabytes a step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Times training steps on a data set. Defaults are those of `onshelf train`.
#[derive(Parser)]
#[command(args_override_self = true)]
struct Args {
    /// Folder that `onshelf prepare` wrote.
    #[arg(long)]
    data: PathBuf,
    /// Newest period to train on.
    #[arg(long)]
    last_period: u32,
    /// Predicted positions of a step.
    #[arg(long, default_value_t = 1024)]
    positions: usize,
    /// Sampled negatives of a step.
    #[arg(long, default_value_t = 1024)]
    negatives: usize,
    /// Timed steps.
    #[arg(long, default_value_t = 60)]
    steps: usize,
    /// Steps before the clock starts.
    #[arg(long, default_value_t = 20)]
    warm_up: usize,
    /// Dropout on item vectors (0-1).
    #[arg(long, default_value_t = 0.4)]
    dropout: f32,
    /// Seed of everything random.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads; 0: one for each processor.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

fn main() -> Result<()> {
    let args = Args::parse();
    rayon::ThreadPoolBuilder::new().num_threads(args.threads).build_global()?;
    let data = Dataset::load(&args.data)?;
    let options = CorpusOptions { last_period: args.last_period, validation: 0.05, ..Default::default() };
    let corpus = Corpus::new(&data, &options)?;
    let shape = StudentShape {
        dim: 96,
        blocks: 2,
        heads: 2,
        hidden: 192,
        max_len: 20,
        subspaces: 1,
        adapter_rank: 1,
        temperature: 0.07,
        times: data.sessions.has_times(),
    };
    let mut rng = ChaCha8Rng::seed_from_u64(args.seed);
    let mut stepper = Stepper::new(encoder::init(&shape, &mut rng), shape.clone(), &Device::flex());
    let mut items = FloatItems::new(corpus.items, shape.dim, &mut rng);
    let candidates = Candidates::new(&corpus.counts, 0.5, args.negatives);
    let work = batches(&corpus.train, shape.max_len, args.positions, &mut rng, |_| true);
    let wanted = args.warm_up + args.steps;
    ensure!(work.len() >= wanted, "{} steps are in a pass, {wanted} are asked for", work.len());

    let (mut losses, mut tokens) = (Vec::new(), 0);
    let (mut started, mut cpu) = (Instant::now(), cpu_seconds());
    for (at, batch) in work.iter().take(wanted).enumerate() {
        if at == args.warm_up {
            (started, cpu) = (Instant::now(), cpu_seconds());
        }
        let scale = schedule(at as f32 / work.len() as f32 / 7.0, 7);
        let step = StepOptions {
            rate: 1e-3 * scale,
            item_rate: 2e-2 * scale,
            decay: 0.01,
            dropout: args.dropout,
            distil: 0.0,
            certain: 0,
        };
        losses.push(stepper.step(&mut items, batch, &candidates, None, &step, &mut rng)?);
        if at >= args.warm_up {
            tokens += batch.rows.len();
        }
    }
    let spent = started.elapsed().as_secs_f64();
    let cpu = cpu_seconds().zip(cpu).map(|(now, then)| now - then);
    let last = &losses[losses.len().saturating_sub(50)..];
    let out = serde_json::json!({
        "tokens_per_second": round(tokens as f64 / spent, 1),
        "ms_per_step": round(spent / args.steps as f64 * 1e3, 2),
        "cpu_ms_per_step": cpu.map(|c| round(c / args.steps as f64 * 1e3, 2)),
        "steps": args.steps,
        "warm_up_steps": args.warm_up,
        "tokens": tokens,
        "positions": args.positions,
        "negatives": args.negatives,
        "loss_last_50": round(last.iter().sum::<f64>() / last.len() as f64, 4),
        "peak_rss_mib": peak_rss_mib(),
        "threads": rayon::current_num_threads(),
    });
    println!("{out}");
    Ok(())
}

fn round(x: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (x * scale).round() / scale
}

/// User and system time of this process so far; `None` where the kernel does not tell.
fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses and may have spaces.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / 100.0)
}

/// The largest resident set so far.
fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    Some(round(line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()? / 1024.0, 1))
}
