//! The door: the only place that reads the clock, the environment and the command line, and that sets an exit code.

use std::process::ExitCode;

use chrono::Utc;
use clap::Parser;

fn main() -> ExitCode {
    let arguments = orgpulse::cli::Arguments::parse();
    #[expect(clippy::disallowed_methods, reason = "the one reading of the clock; everything else is told the time")]
    let now = Utc::now();
    orgpulse::cli::run(&arguments, now)
}
