//! A seeded workplace platform: the event log and the dimension files of a landscape of organisations, of any size.
//! The same plan gives the same bytes on any number of threads. It does not know the store or any metric.

mod activity;
mod apps;
mod columns;
mod dimensions;
mod landscape;
mod logs;
mod people;
mod random;
mod rhythm;
#[cfg(test)]
mod tests;
mod text;
mod words;
mod write;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use chrono_tz::Tz;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::period::{Day, format_day, parse_day};
use crate::settings::LogFormat;

use landscape::Landscape;
use logs::{Counts, Part, Scene};
use rhythm::Date;
use write::LogFile;

/// What to generate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Another seed is another landscape.
    pub seed: u64,
    /// The number of organisations, unless `events` is given.
    pub orgs: u32,
    /// The first day of the log.
    pub first_day: Day,
    /// The number of days.
    pub days: u32,
    /// The zone in which people live and days are cut.
    pub time_zone: Tz,
    /// The format of the log files.
    pub format: LogFormat,
    /// How log files are compressed. Parquet files use it inside; without it they use Snappy.
    pub compression: Option<Compression>,
    /// About how many events there shall be; decides the number of organisations.
    pub events: Option<u64>,
    /// Whether there are duplicates, late and broken records.
    pub dirt: bool,
    /// How many days go into one log file.
    pub days_per_file: u32,
}

/// The compression of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    /// gzip
    Gz,
    /// Zstandard
    Zst,
}

/// What was generated. `records = events + duplicates + sum of rejects`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Made {
    /// The log files in ingest order.
    pub files: Vec<PathBuf>,
    /// The dimension files.
    pub dimensions: Vec<PathBuf>,
    /// Organisations, in the orgs file or not.
    pub orgs: u64,
    /// Records in the log files; blank lines are none.
    pub records: u64,
    /// Distinct good events.
    pub events: u64,
    /// Records that repeat an event's id on its day, in the same file or a later one.
    pub duplicates: u64,
    /// Distinct events that stand in a file of later days than their own.
    pub late: u64,
    /// Broken records by the reason for which an ingest with default settings must reject them.
    pub rejects: BTreeMap<&'static str, u64>,
    /// The size of the log files in bytes.
    pub bytes: u64,
}

// Users in one log file; more are split over several files of a day, each small enough to be sorted in memory.
const USERS_PER_FILE: u32 = 150_000;
// A century.
const MOST_DAYS: u32 = 36_525;

impl Plan {
    /// A platform of 3,000 organisations over 18 weeks, about two million events.
    #[must_use]
    pub fn demo() -> Self {
        Self {
            seed: 42,
            orgs: 3000,
            first_day: parse_day("2025-01-27").unwrap_or_default(),
            days: 124,
            time_zone: Tz::Asia__Shanghai,
            format: LogFormat::Jsonl,
            compression: Some(Compression::Gz),
            events: None,
            dirt: true,
            days_per_file: 1,
        }
    }

    /// A platform that fits into a repository: 40 organisations, 75 days with a change of clocks.
    #[must_use]
    pub fn sample() -> Self {
        Self {
            seed: 7,
            orgs: 40,
            first_day: parse_day("2025-02-03").unwrap_or_default(),
            days: 75,
            time_zone: Tz::Europe__Berlin,
            days_per_file: 15,
            ..Self::demo()
        }
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: &str| Err(Error::Usage(format!("cannot generate: {what}")));
        let known = parse_day("1970-01-02").unwrap_or_default()..=parse_day("2150-01-01").unwrap_or_default();
        match self {
            _ if self.days == 0 || self.days > MOST_DAYS => {
                wrong(&format!("days=`{}`; allowed are 1 to {MOST_DAYS}", self.days))
            }
            _ if !known.contains(&self.first_day) => {
                wrong(&format!("first day `{}`; allowed are 1970-01-02 to 2150-01-01", format_day(self.first_day)))
            }
            _ if self.orgs == 0 || self.orgs > MOST_ORGS => {
                wrong(&format!("orgs=`{}`; allowed are 1 to {MOST_ORGS}", self.orgs))
            }
            _ if self.events == Some(0) => wrong("events=`0`; ask for at least one"),
            _ if self.days_per_file == 0 => wrong("days per file=`0`; at least one day goes into a file"),
            _ => Ok(()),
        }
    }
}

// About half a billion users.
const MOST_ORGS: u32 = 20_000_000;

/// Writes `logs/…` and the dimension files `orgs.csv`, `users.csv`, `apps.csv`, `campaigns.csv`, `account_lists.csv`,
/// `calendar.csv` into a folder, on the threads of the present rayon pool. The folder must not hold logs already: leftovers of another plan
/// would be read with the new ones. `progress` is told how many files of how many are written, from any thread.
pub fn generate(plan: &Plan, folder: &Path, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Made> {
    plan.check()?;
    let logs = folder.join("logs");
    prepare(&logs)?;
    let dates: Vec<Date> =
        (plan.first_day..).take(plan.days as usize).map(|day| Date::new(plan.time_zone, day)).collect();
    let landscape = Landscape::new(plan, count_orgs(plan, &dates)?);
    let scene = Scene { landscape: &landscape, dates: &dates, dirt: plan.dirt };
    let parts = parts(plan, landscape.users);
    let paths: Vec<PathBuf> = parts.iter().map(|part| logs.join(file_name(plan, part, landscape.users))).collect();
    let done = AtomicU64::new(0);
    let total = parts.len() as u64;
    progress(0, total);
    let counts: Vec<(Counts, u64)> = parts
        .par_iter()
        .zip(&paths)
        .map(|(part, path)| {
            let counts = write_part(plan, &scene, part, path)?;
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            Ok(counts)
        })
        .collect::<Result<_>>()?;
    let mut sum = Counts::default();
    for (counts, _) in &counts {
        sum.add(counts);
    }
    Ok(Made {
        dimensions: dimensions::write(plan, &landscape, folder)?,
        files: paths,
        orgs: landscape.companies().len() as u64,
        records: sum.records,
        events: sum.events,
        duplicates: sum.duplicates,
        late: sum.late,
        rejects: sum.rejects,
        bytes: counts.iter().map(|(_, bytes)| bytes).sum(),
    })
}

fn prepare(logs: &Path) -> Result<()> {
    fs::create_dir_all(logs).map_err(|e| Error::path("create folder", logs, e))?;
    let mut entries = fs::read_dir(logs).map_err(|e| Error::path("read folder", logs, e))?;
    if entries.next().is_some() {
        return Err(Error::Usage(format!("{} already holds files; name another folder or remove it", logs.display())));
    }
    Ok(())
}

fn write_part(plan: &Plan, scene: &Scene, part: &Part, path: &Path) -> Result<(Counts, u64)> {
    let mut file = LogFile::create(path, plan.format, plan.compression)?;
    let counts = scene.write(part, plan.format, &mut file).map_err(|e| e.within(path.display()))?;
    file.finish().map_err(|e| e.within(path.display()))?;
    let bytes = fs::metadata(path).map_err(|e| Error::path("read", path, e))?.len();
    Ok((counts, bytes))
}

// How many organisations make the wanted number of events: a small landscape is tried out on some days of the range.
fn count_orgs(plan: &Plan, dates: &[Date]) -> Result<u32> {
    const PILOT_ORGS: u32 = 4000;
    const PILOT_DAYS: u32 = 28;
    let Some(events) = plan.events else { return Ok(plan.orgs) };
    let pilot = Landscape::new(plan, PILOT_ORGS);
    let scene = Scene { landscape: &pilot, dates, dirt: false };
    let days = PILOT_DAYS.min(plan.days);
    let day = |place: u32| u64::from(place) * u64::from(plan.days) / u64::from(days);
    let made: u64 =
        (0..days).into_par_iter().map(|place| scene.count_day(i32::try_from(day(place)).unwrap_or(0))).sum();
    let wanted = u128::from(events) * u128::from(days) * u128::from(PILOT_ORGS);
    let orgs = wanted / (u128::from(made.max(1)) * u128::from(plan.days));
    u32::try_from(orgs.max(1)).ok().filter(|orgs| *orgs <= MOST_ORGS).ok_or_else(|| {
        Error::Usage(format!(
            "cannot generate: events=`{events}` are too many for {} days; ask for more days",
            plan.days
        ))
    })
}

fn parts(plan: &Plan, users: u32) -> Vec<Part> {
    let days = i32::try_from(plan.days).unwrap_or(0);
    let step = usize::try_from(plan.days_per_file).unwrap_or(1);
    let starts = (0..days).step_by(step);
    let files = starts.flat_map(|start| {
        let end = start.saturating_add_unsigned(plan.days_per_file).min(days);
        (0..users)
            .step_by(USERS_PER_FILE as usize)
            .map(move |first| (start..end, first..first.saturating_add(USERS_PER_FILE).min(users)))
    });
    (0..).zip(files).map(|(number, (days, users))| Part { days, users, number }).collect()
}

// By bytes in the order of days: ingests read files in the order of their names.
fn file_name(plan: &Plan, part: &Part, users: u32) -> String {
    let day = format_day(plan.first_day + part.days.start);
    let shard =
        if users > USERS_PER_FILE { format!(".{:04}", part.users.start / USERS_PER_FILE) } else { String::new() };
    let (format, compression) = match (plan.format, plan.compression) {
        (LogFormat::Parquet, _) => ("parquet", ""),
        (LogFormat::Jsonl, None) => ("jsonl", ""),
        (LogFormat::Jsonl, Some(Compression::Gz)) => ("jsonl", ".gz"),
        (LogFormat::Jsonl, Some(Compression::Zst)) => ("jsonl", ".zst"),
        (LogFormat::Csv, None) => ("csv", ""),
        (LogFormat::Csv, Some(Compression::Gz)) => ("csv", ".gz"),
        (LogFormat::Csv, Some(Compression::Zst)) => ("csv", ".zst"),
    };
    format!("{day}{shard}.{format}{compression}")
}
