//! `orgpulse generate`: a made-up log of any size.

use std::path::PathBuf;

use chrono_tz::Tz;
use clap::Args;

use crate::error::Result;
use crate::generate::{self, Compression, Plan};
use crate::period::Day;
use crate::settings::LogFormat;

use super::terminal::{Terminal, grouped, size};

/// Write a made-up event log with its dimension files. The same arguments give the same bytes.
#[derive(Debug, Args)]
pub(super) struct Generate {
    /// The folder to write to; logs go to its `logs/`
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// About how many events; decides how many organisations there are
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// How many organisations
    #[arg(long, value_name = "N", conflicts_with = "events")]
    orgs: Option<u32>,
    /// How many days
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3660))]
    days: Option<u32>,
    /// The first day
    #[arg(long, value_name = "DAY", value_parser = super::day)]
    first_day: Option<Day>,
    /// The zone in whose working hours people work
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<Tz>,
    /// The format of the logs
    #[arg(long, value_enum)]
    format: Option<LogFormat>,
    /// How JSONL and CSV logs are compressed
    #[arg(long, value_enum)]
    compression: Option<Compression>,
    /// Another number, another platform
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// No duplicate, late or broken records
    #[arg(long)]
    clean: bool,
    /// Begin from the small platform of `sample-data/` instead of the demo's
    #[arg(long)]
    sample: bool,
}

impl Generate {
    pub(super) fn carry_out(&self, terminal: &Terminal) -> Result<()> {
        let plan = self.plan();
        let bar = terminal.bar("making", 0);
        let made = generate::generate(&plan, &self.folder, &|done, total| {
            bar.set_length(total);
            bar.set_position(done);
        })?;
        bar.finish_and_clear();
        if terminal.wants_json() {
            return Terminal::print_json(&made);
        }
        Terminal::print(format!(
            "wrote {} records in {} files, {}, to {}",
            grouped(made.records),
            grouped(made.files.len() as u64),
            size(made.bytes),
            self.folder.display()
        ))
    }

    fn plan(&self) -> Plan {
        let base = if self.sample { Plan::sample() } else { Plan::demo() };
        Plan {
            seed: self.seed.unwrap_or(base.seed),
            orgs: self.orgs.unwrap_or(base.orgs),
            events: self.events,
            days: self.days.unwrap_or(base.days),
            first_day: self.first_day.unwrap_or(base.first_day),
            time_zone: self.time_zone.unwrap_or(base.time_zone),
            format: self.format.unwrap_or(base.format),
            compression: self.compression,
            dirt: !self.clean,
            days_per_file: base.days_per_file,
        }
    }
}
