//! The `onshelf` command line.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use onshelf_trainer::corpus::{Corpus, CorpusOptions};
use onshelf_trainer::dataset::Dataset;
use onshelf_trainer::device::{self, DeviceChoice};
use onshelf_trainer::prepare::{self, PrepareOptions};
use onshelf_trainer::progress::{Progress, for_command};
use onshelf_trainer::student::DistillOptions;
use onshelf_trainer::teacher::TrainOptions;
use onshelf_trainer::told::told;
use onshelf_trainer::update::{self, Strategy, UpdateOptions};
use onshelf_trainer::{evaluate, export, inspect, memory, registry, replay, stop, student, teacher};

mod benchmark_args;
mod collect_args;
mod console_args;
mod prepare_args;
mod publish_args;
mod simulate_args;

/// A training step allocates and frees tens of megabytes; the C library gives them back to the
/// kernel each time, and a third of a step went into page faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// From a shop's logs to a model that learns in the shopper's browser.
#[derive(Parser)]
#[command(name = "onshelf", version, about)]
struct Cli {
    /// Print progress and results as JSON lines instead of bars and tables.
    #[arg(long, global = true)]
    json: bool,
    /// What trains: flex (processors), wgpu or cuda (each in builds with that feature).
    #[arg(long, global = true, default_value_t)]
    device: DeviceChoice,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read and clean logs into a data set.
    Prepare(prepare_args::PrepareArgs),
    /// Train a teacher. Goes on from its checkpoint if there is one.
    Train(TrainArgs),
    /// Teach a teacher the periods that came after it.
    Update(UpdateArgs),
    /// Distil a teacher into a student for browsers.
    Distill(DistillArgs),
    /// Metrics of a model and of simple methods beside it, on later periods.
    Evaluate(EvaluateArgs),
    /// Rerun a published protocol with baselines, and write its tables and plots.
    Benchmark(benchmark_args::BenchmarkArgs),
    /// Publish a student as a signed model version.
    Export(publish_args::ExportArgs),
    /// Copy published model versions to a store that browsers are served from.
    Push(publish_args::PushArgs),
    /// Say what is in a data set, teacher, student, model version or weights file.
    Inspect(publish_args::InspectArgs),
    /// Rounds of private sums: open one, finish it with its sum, go back to an earlier version.
    Collect(collect_args::CollectArgs),
    /// Serve the operator's console: rounds, refused reports, ε, versions; read only.
    Console(console_args::ConsoleArgs),
    /// What was released of shoppers' contributions, and the ε spent on it, by lineage.
    Ledger(collect_args::LedgerArgs),
    /// Make up a shop: products, shoppers and their clicks.
    Simulate(simulate_args::SimulateArgs),
}

#[derive(Args)]
struct TrainArgs {
    /// Folder of the data set.
    #[arg(long)]
    data: PathBuf,
    /// Folder of the teacher.
    #[arg(long)]
    out: PathBuf,
    /// Newest period to train on [default: the newest there is].
    #[arg(long)]
    last_period: Option<u32>,
    /// Seed of everything random.
    #[arg(long, default_value_t = TrainOptions::default().seed)]
    seed: u64,
    /// Passes over the sessions.
    #[arg(long, default_value_t = TrainOptions::default().passes)]
    passes: usize,
    /// Dimensions of item vectors.
    #[arg(long, default_value_t = TrainOptions::default().dim)]
    dim: usize,
    /// Transformer blocks.
    #[arg(long, default_value_t = TrainOptions::default().blocks)]
    blocks: usize,
    /// Attention heads.
    #[arg(long, default_value_t = TrainOptions::default().heads)]
    heads: usize,
    /// Longest session that is read, in clicks.
    #[arg(long, default_value_t = TrainOptions::default().max_len)]
    max_len: usize,
    /// Predicted positions of a step; 0: by the number of clicks, at most 1,024.
    #[arg(long, default_value_t = TrainOptions::default().positions)]
    positions: usize,
    /// Sampled negatives of a step.
    #[arg(long, default_value_t = TrainOptions::default().negatives)]
    negatives: usize,
    /// Peak learning rate of the encoder.
    #[arg(long, default_value_t = TrainOptions::default().rate)]
    rate: f32,
    /// Peak learning rate of item vectors.
    #[arg(long, default_value_t = TrainOptions::default().item_rate)]
    item_rate: f32,
    /// Dropout on item vectors (0-1).
    #[arg(long, default_value_t = TrainOptions::default().dropout)]
    dropout: f32,
    /// Softmax temperature.
    #[arg(long, default_value_t = TrainOptions::default().temperature)]
    temperature: f32,
    /// Periods after which a session counts half; 0: all count fully.
    #[arg(long, default_value_t = TrainOptions::default().half_life)]
    half_life: f64,
    /// Share of the newest period that is held out for validation (0-0.5).
    #[arg(long, default_value_t = TrainOptions::default().validation)]
    validation: f64,
}

#[derive(Args)]
struct UpdateArgs {
    /// Folder of the data set, with the new periods.
    #[arg(long)]
    data: PathBuf,
    /// Folder of the teacher; it stays as it is.
    #[arg(long)]
    from: PathBuf,
    /// Folder of the new version.
    #[arg(long)]
    out: PathBuf,
    /// Newest period to learn [default: the newest there is].
    #[arg(long)]
    to: Option<u32>,
    /// How to learn without forgetting.
    #[arg(long, value_enum, default_value_t = UpdateOptions::default().strategy)]
    strategy: Strategy,
    /// Seed of everything random.
    #[arg(long, default_value_t = UpdateOptions::default().seed)]
    seed: u64,
    /// Most passes over the lessons; validation sessions decide how many are kept.
    #[arg(long, default_value_t = UpdateOptions::default().passes)]
    passes: usize,
    /// Clicks of older sessions for each new one, where the strategy replays.
    #[arg(long, default_value_t = UpdateOptions::default().replay)]
    replay: f64,
    /// Share of the loss that follows the old network, where the strategy distils (0-1).
    #[arg(long, default_value_t = UpdateOptions::default().distil)]
    distil: f32,
    /// Strength of elastic weight consolidation.
    #[arg(long, default_value_t = UpdateOptions::default().ewc)]
    ewc: f32,
    /// Factors on the learning rates of the first training, comma-separated; validation sessions decide.
    #[arg(long, value_delimiter = ',', default_values_t = UpdateOptions::default().scales)]
    scales: Vec<f32>,
}

#[derive(Args)]
struct DistillArgs {
    /// Folder of the data set.
    #[arg(long)]
    data: PathBuf,
    /// Folder of the teacher.
    #[arg(long)]
    teacher: PathBuf,
    /// Folder of the student.
    #[arg(long)]
    out: PathBuf,
    /// Seed of everything random.
    #[arg(long, default_value_t = DistillOptions::default().seed)]
    seed: u64,
    /// Subspaces of the item table; an item takes one byte more.
    #[arg(long, default_value_t = DistillOptions::default().subspaces)]
    subspaces: usize,
    /// Rank of the shared adapter.
    #[arg(long, default_value_t = DistillOptions::default().adapter_rank)]
    adapter_rank: usize,
    /// Passes over the taught positions with full-precision items.
    #[arg(long, default_value_t = DistillOptions::default().passes)]
    passes: usize,
    /// Passes with quantised items.
    #[arg(long, default_value_t = DistillOptions::default().coded_passes)]
    coded_passes: usize,
    /// How many of the newest positions the teacher is asked about.
    #[arg(long, default_value_t = DistillOptions::default().taught)]
    taught: usize,
    /// How often the teacher is asked about the same sessions with clicks left out at random.
    #[arg(long, default_value_t = DistillOptions::default().thinned)]
    thinned: usize,
    /// Sessions that the adapter's start is meta-learned from; it is kept where it helps (0: none).
    #[arg(long, default_value_t = DistillOptions::default().meta)]
    meta: usize,
    /// Sessions that the Fisher information of the adapter is estimated on, for `ewc` on devices (0: none is shipped).
    #[arg(long, default_value_t = DistillOptions::default().fisher)]
    fisher: usize,
    /// Items that the teacher names at each position.
    #[arg(long, default_value_t = DistillOptions::default().k)]
    k: usize,
    /// Share of the loss that follows the teacher rather than the click (0-1).
    #[arg(long, default_value_t = DistillOptions::default().distil)]
    distil: f32,
    /// Peak learning rate of the encoder.
    #[arg(long, default_value_t = DistillOptions::default().rates[0])]
    rate: f32,
    /// Peak learning rate of item vectors.
    #[arg(long, default_value_t = DistillOptions::default().item_rates[0])]
    item_rate: f32,
    /// Dropout on item vectors (0-1).
    #[arg(long, default_value_t = DistillOptions::default().dropout)]
    dropout: f32,
}

#[derive(Args)]
struct EvaluateArgs {
    /// Folder of the data set.
    #[arg(long)]
    data: PathBuf,
    /// Folder of a teacher.
    #[arg(long)]
    teacher: Option<PathBuf>,
    /// Folder of a student.
    #[arg(long)]
    student: Option<PathBuf>,
    /// Periods to test on, comma-separated [default: all after the last trained one].
    #[arg(long, value_delimiter = ',')]
    periods: Vec<u32>,
    /// Newest period the baselines see, where neither teacher nor student is named.
    #[arg(long)]
    trained_to: Option<u32>,
    /// Write the table as JSON to this file.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Write real sessions with the student's rankings to this file, for a browser to repeat.
    #[arg(long, requires = "student")]
    replay: Option<PathBuf>,
    /// Number of sessions in the replay.
    #[arg(long, default_value_t = 100)]
    replay_sessions: usize,
    /// Only write the replay: no table.
    #[arg(long, requires = "replay")]
    replay_only: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    stop::listen();
    let progress = for_command(cli.json);
    match run(&cli, progress.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if cli.json {
                eprintln!("{}", serde_json::json!({ "error": told(&error) }));
            } else {
                eprintln!("onshelf: {}", told(&error));
            }
            ExitCode::from(if error.is::<stop::Stopped>() { 130 } else { 1 })
        }
    }
}

#[expect(clippy::print_stdout, reason = "results go to standard output")]
fn print(json: bool, value: &impl serde::Serialize, text: &str) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(value)?);
    } else {
        println!("{}", text.trim_end());
    }
    Ok(())
}

fn say(cli: &Cli, (value, text): (serde_json::Value, String)) -> Result<()> {
    print(cli.json, &value, &text)
}

fn run(cli: &Cli, progress: &dyn Progress) -> Result<()> {
    device::choose(cli.device)?;
    match &cli.command {
        Command::Prepare(args) => {
            let options: PrepareOptions = args.options()?;
            let report = prepare::run(&options, progress)?;
            let peak =
                memory::peak().map(|bytes| format!("\npeak memory: {} MiB\n", bytes.div_ceil(1 << 20)));
            print(cli.json, &report, &(report.to_text() + &peak.unwrap_or_default()))
        }
        Command::Train(args) => train(cli, args, progress),
        Command::Update(args) => run_update(cli, args, progress),
        Command::Distill(args) => distill(cli, args, progress),
        Command::Evaluate(args) => run_evaluate(cli, args, progress),
        Command::Benchmark(args) => say(cli, args.run(progress)?),
        Command::Export(args) => {
            let created = created()?;
            let done = export::export(&args.data, &args.student, &args.key, &args.name, created, &args.out)?;
            let text = format!(
                "model version {} in {} ({} bytes)\npublic key {}",
                done.version,
                args.out.display(),
                done.bytes,
                done.public_key
            );
            print(cli.json, &done, &text)
        }
        Command::Inspect(args) => {
            let about = inspect::inspect(&args.path, &args.key)?;
            print(cli.json, &about, &serde_json::to_string_pretty(&about)?)
        }
        Command::Collect(args) => say(cli, args.run(created()?, progress)?),
        Command::Push(args) => {
            let done = registry::push(&args.models, &args.to)?;
            let text =
                format!("{} new files, {} were there, {} bytes sent", done.new, done.there, done.bytes);
            print(cli.json, &done, &text)
        }
        Command::Console(args) => args.run(&|at| {
            let url = format!("http://{at}/");
            let _ = print(cli.json, &serde_json::json!({ "console": url }), &format!("the console: {url}"));
        }),
        Command::Ledger(args) => say(cli, args.run()?),
        Command::Simulate(args) => {
            let told = args.run(progress)?;
            print(cli.json, &serde_json::json!({ "simulated": told }), &told)
        }
    }
}

/// Seconds since 1970, or `SOURCE_DATE_EPOCH` so that a build can be repeated.
fn created() -> Result<u64> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Ok(text) => text.parse().context("SOURCE_DATE_EPOCH is not a number of seconds"),
        Err(_) => Ok(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs()),
    }
}

fn train(cli: &Cli, args: &TrainArgs, progress: &dyn Progress) -> Result<()> {
    let last_period = match args.last_period {
        Some(period) => period,
        None => Dataset::info(&args.data)?.periods.last().context("the data set has no period")?.period,
    };
    let options = TrainOptions {
        seed: args.seed,
        last_period,
        passes: args.passes,
        dim: args.dim,
        blocks: args.blocks,
        heads: args.heads,
        max_len: args.max_len,
        temperature: args.temperature,
        positions: args.positions,
        negatives: args.negatives,
        rate: args.rate,
        item_rate: args.item_rate,
        decay: TrainOptions::default().decay,
        dropout: args.dropout,
        half_life: args.half_life,
        validation: args.validation,
    };
    let info = teacher::train(&args.data, &args.out, &options, progress)?;
    let text = format!(
        "teacher in {}: validation R@20 {:.2} MRR@20 {:.2} ({:.0} s of training)",
        args.out.display(),
        info.validation.recall_20 * 100.0,
        info.validation.mrr_20 * 100.0,
        info.seconds
    );
    print(cli.json, &info, &text)
}

fn run_update(cli: &Cli, args: &UpdateArgs, progress: &dyn Progress) -> Result<()> {
    let options = UpdateOptions {
        strategy: args.strategy,
        seed: args.seed,
        passes: args.passes,
        replay: args.replay,
        distil: args.distil,
        ewc: args.ewc,
        scales: args.scales.clone(),
        rerank: true,
    };
    let reports = update::update(&args.data, &args.from, &args.out, args.to, &options, progress)?;
    let mut text = String::new();
    for r in &reports {
        text.push_str(&format!(
            "period {}: validation R@20 {:.2}, earlier sessions {:.2} (before {:.2}); {} new items\n",
            r.period,
            r.teacher.recall_20 * 100.0,
            r.earlier[1].recall_20 * 100.0,
            r.earlier[0].recall_20 * 100.0,
            r.newcomers.iter().sum::<usize>()
        ));
    }
    text.push_str(&format!("teacher in {}", args.out.display()));
    print(cli.json, &reports, &text)
}

fn distill(cli: &Cli, args: &DistillArgs, progress: &dyn Progress) -> Result<()> {
    let defaults = DistillOptions::default();
    let options = DistillOptions {
        seed: args.seed,
        subspaces: args.subspaces,
        adapter_rank: args.adapter_rank,
        passes: args.passes,
        coded_passes: args.coded_passes,
        taught: args.taught,
        thinned: args.thinned,
        k: args.k,
        meta: args.meta,
        fisher: args.fisher,
        distil: args.distil,
        rates: [args.rate, defaults.rates[1]],
        item_rates: [args.item_rate, defaults.item_rates[1]],
        dropout: args.dropout,
        ..defaults
    };
    let info = student::distill(&args.data, &args.teacher, &args.out, &options, progress)?;
    let text = format!(
        "student in {}: validation R@20 {:.2} MRR@20 {:.2}, {} bytes (its teacher {})",
        args.out.display(),
        info.validation.recall_20 * 100.0,
        info.validation.mrr_20 * 100.0,
        info.bytes[0],
        info.bytes[1]
    );
    print(cli.json, &info, &text)
}

fn run_evaluate(cli: &Cli, args: &EvaluateArgs, progress: &dyn Progress) -> Result<()> {
    let data = Dataset::load(&args.data)?;
    let teacher = args.teacher.as_ref().map(|dir| teacher::load(dir, &args.data, &data)).transpose()?;
    let student = args.student.as_ref().map(|dir| student::load(dir)).transpose()?;
    let trained_to = teacher
        .as_ref()
        .map(|t| t.info.options.last_period)
        .or(student.as_ref().map(|s| s.info.trained_to))
        .or(args.trained_to)
        .context("name --teacher, --student or --trained-to")?;
    if let Some(s) = &student {
        anyhow::ensure!(
            s.info.dataset == teacher::dataset_hash(&args.data)?,
            "the student was distilled on another data set than {}; name the right one",
            args.data.display()
        );
        anyhow::ensure!(
            s.info.trained_to == trained_to,
            "teacher and student saw different periods; evaluate them one by one"
        );
    }
    // All methods see the same sessions; the few that the teacher held out for validation count as seen by none.
    let corpus = match &teacher {
        Some(t) => &t.corpus,
        None => {
            // A student saw what its teacher saw.
            let validation = student.as_ref().map_or(0.0, |s| s.info.held_out);
            &Corpus::new(&data, &CorpusOptions { last_period: trained_to, validation, ..Default::default() })?
        }
    };
    let mut periods = args.periods.clone();
    if periods.is_empty() {
        periods = data.sessions.by_period().map(|p| p.0).filter(|&p| p > trained_to).collect();
    }
    if let (Some(path), Some(s)) = (&args.replay, &student) {
        let period = *periods.last().context("no period to replay")?;
        let written = replay::write(&data, corpus, s, period, args.replay_sessions, path)?;
        progress.finish(&format!("{written} sessions of period {period} in {}", path.display()));
    }
    if args.replay_only {
        return Ok(());
    }
    let table = evaluate::evaluate(
        &data,
        corpus,
        trained_to,
        &periods,
        teacher.as_ref(),
        student.as_ref(),
        progress,
    )?;
    if let Some(path) = &args.out {
        table.save(path)?;
    }
    print(cli.json, &table, &table.to_text())
}
