//! The desk: what can be said on the command line, and which flow it starts. One file a command.

mod demo;
mod explain;
mod generate;
mod ingest;
mod init;
mod metrics;
mod org;
mod page;
mod run;
mod sql;
mod status;
mod summary;
mod terminal;
mod trial;

use std::path::PathBuf;
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};

use crate::error::{Error, Result};
use crate::period::{Day, parse_day};
use crate::settings::{Settings, parse_bytes};

use terminal::Terminal;

/// Steering metrics of a workplace platform: event logs in, daily active organisations, deep integration and
/// retention out.
#[derive(Debug, Parser)]
#[command(name = "orgpulse", version, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
struct Global {
    /// The settings file [default: ./orgpulse.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = "ORGPULSE_SETTINGS")]
    settings: Option<PathBuf>,
    /// The store's folder; overrides `[store] path`
    #[arg(long, global = true, value_name = "DIR", env = "ORGPULSE_STORE")]
    store: Option<PathBuf>,
    /// The reports' folder; overrides `[reports] path`
    #[arg(long, global = true, value_name = "DIR", env = "ORGPULSE_REPORTS")]
    reports: Option<PathBuf>,
    /// The time to take for now, as RFC 3339
    #[arg(long, global = true, value_name = "INSTANT", env = "ORGPULSE_NOW", value_parser = instant)]
    now: Option<DateTime<Utc>>,
    /// Threads; 0 = all cores; overrides `[engine] threads`
    #[arg(long, global = true, value_name = "N", env = "ORGPULSE_THREADS")]
    threads: Option<usize>,
    /// Memory for data, as in 512MB or 4GB; overrides `[engine] memory`
    #[arg(long, global = true, value_name = "SIZE", env = "ORGPULSE_MEMORY", value_parser = memory)]
    memory: Option<u64>,
    /// Say nothing but results and errors
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Print results as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it all at once: a made-up platform, from raw logs to reports
    Demo(demo::Demo),
    /// Write a commented settings file
    Init(init::Init),
    /// Read event logs into the store
    Ingest(ingest::Ingest),
    /// Compute the metrics and publish the reports
    Run(run::Run),
    /// Show what a number is made of, down to events
    Explain(explain::Explain),
    /// One page about one organisation
    Org(org::Org),
    /// Ask the store in SQL
    Sql(sql::Sql),
    /// The metrics: what they mean, and whether they still hold
    Metrics(metrics::Metrics),
    /// What is in the store
    Status(status::Status),
    /// Write a made-up event log of any size
    Generate(generate::Generate),
}

/// Carries out the command; an error is said on stderr and becomes the exit code.
#[must_use]
pub fn run(arguments: &Arguments, clock: DateTime<Utc>) -> ExitCode {
    let terminal = Terminal::new(arguments.global.quiet, arguments.global.json);
    match carry_out(arguments, clock, &terminal) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Terminal::fail(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn carry_out(arguments: &Arguments, clock: DateTime<Utc>, terminal: &Terminal) -> Result<()> {
    let global = &arguments.global;
    let now = global.now.unwrap_or(clock);
    // These two make files for others to read, so they need no settings and no store.
    match &arguments.command {
        Command::Init(command) => return command.carry_out(global.settings.clone()),
        Command::Generate(command) => return with_threads(global.threads.unwrap_or(0), || command.carry_out(terminal)),
        _ => {}
    }
    let settings = settings(global)?;
    with_threads(settings.engine.threads, || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(thread_count(settings.engine.threads))
            .enable_all()
            .build()
            .map_err(|e| Error::Internal(format!("cannot start threads: {e}")))?;
        runtime.block_on(async {
            match &arguments.command {
                Command::Demo(command) => command.carry_out(settings.clone(), global.now, terminal).await,
                Command::Ingest(command) => command.carry_out(&settings, now, terminal).await,
                Command::Run(command) => command.carry_out(&settings, terminal).await,
                Command::Explain(command) => command.carry_out(&settings, terminal).await,
                Command::Org(command) => command.carry_out(&settings, terminal).await,
                Command::Sql(command) => command.carry_out(&settings, terminal).await,
                Command::Metrics(command) => command.carry_out(&settings, terminal).await,
                Command::Status(command) => command.carry_out(&settings, terminal).await,
                Command::Init(_) | Command::Generate(_) => Ok(()),
            }
        })
    })
}

// Defaults < file < environment < flags; clap has merged the last two.
fn settings(global: &Global) -> Result<Settings> {
    let default = PathBuf::from("orgpulse.toml");
    let mut settings = match &global.settings {
        Some(path) if !path.is_file() => {
            return Err(Error::Usage(format!(
                "there is no settings file {}; `orgpulse init` writes one",
                path.display()
            )));
        }
        Some(path) => Settings::read(path)?,
        None if default.is_file() => Settings::read(&default)?,
        None => Settings::default(),
    };
    if let Some(store) = &global.store {
        settings.store.path.clone_from(store);
    }
    if let Some(reports) = &global.reports {
        settings.reports.path.clone_from(reports);
    }
    if let Some(threads) = global.threads {
        settings.engine.threads = threads;
    }
    if let Some(memory) = global.memory {
        settings.engine.memory = memory;
    }
    Ok(settings)
}

fn thread_count(threads: usize) -> usize {
    if threads > 0 { threads } else { std::thread::available_parallelism().map_or(1, usize::from) }
}

// Everything parallel below runs in this pool, so that one setting rules all stages.
fn with_threads(threads: usize, work: impl FnOnce() -> Result<()> + Send) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(thread_count(threads))
        .build_global()
        .map_err(|e| Error::Internal(format!("cannot start threads: {e}")))?;
    work()
}

fn instant(text: &str) -> std::result::Result<DateTime<Utc>, String> {
    DateTime::parse_from_rfc3339(text)
        .map(|instant| instant.with_timezone(&Utc))
        .map_err(|e| format!("{e}; write RFC 3339, as in 2026-01-31T09:00:00Z"))
}

fn memory(text: &str) -> std::result::Result<u64, String> {
    parse_bytes(text).ok_or_else(|| "write a size such as 512MB or 4GB, at least 64MB".to_owned())
}

fn day(text: &str) -> std::result::Result<Day, String> {
    parse_day(text).ok_or_else(|| "write a day such as 2026-01-31".to_owned())
}
