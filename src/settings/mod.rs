//! The settings file as values: what can be set, the defaults, and what is refused.
//! It reads no environment and opens nothing but the settings file; parts that do work take what they need from it.

mod definitions;
mod history;

use std::fmt;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::period::{Day, WeekStart, parse_day};

pub use definitions::{DagSettings, DeepSettings};
pub use history::{Entry, History, Stretch};

/// Everything that `orgpulse.toml` can say. Paths are as written; [`Settings::read`] makes them absolute to the file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the store is.
    pub store: StoreSettings,
    /// Where reports go.
    pub reports: ReportsSettings,
    /// Folders with metric definitions of one's own.
    pub queries: QueriesSettings,
    /// The dimension files.
    pub dimensions: DimensionSettings,
    /// How days and weeks are cut.
    pub report: ReportSettings,
    /// What is read, and what is refused.
    pub ingest: IngestSettings,
    /// Who counts as a human.
    pub who: WhoSettings,
    /// The thresholds of a daily active organisation, and their changes.
    pub dag: History<DagSettings>,
    /// The thresholds of deep integration, and their changes.
    pub deep: History<DeepSettings>,
    /// Memory and threads.
    pub engine: EngineSettings,
}

/// `[store]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// The store's folder.
    pub path: PathBuf,
}

/// `[reports]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportsSettings {
    /// The folder that gets one folder a report day.
    pub path: PathBuf,
}

/// `[queries]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QueriesSettings {
    /// A folder laid out like the built-in `queries/`; its folders are added to, or replace, the built-in ones.
    pub path: Option<PathBuf>,
}

/// `[dimensions]`: each file CSV or Parquet, each optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DimensionSettings {
    /// Organisations with history.
    pub orgs: Option<PathBuf>,
    /// Users.
    pub users: Option<PathBuf>,
    /// Apps with history.
    pub apps: Option<PathBuf>,
    /// Campaigns.
    pub campaigns: Option<PathBuf>,
    /// Named lists of companies.
    pub account_lists: Option<PathBuf>,
}

/// `[report]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReportSettings {
    /// The IANA zone whose calendar days are counted.
    #[serde(deserialize_with = "zone")]
    pub time_zone: Tz,
    /// The day on which a week begins.
    pub week_start: WeekStart,
}

/// `[ingest]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IngestSettings {
    /// Events before this day are rejected as `too_old`.
    #[serde(deserialize_with = "day")]
    pub earliest_day: Day,
    /// The share of rejected records above which an ingest commits nothing: 0 to 1.
    #[serde(deserialize_with = "share")]
    pub max_rejected: f64,
    /// The longest record in bytes.
    pub max_record_bytes: u64,
    /// How files are read, by name: the first match holds.
    #[serde(rename = "source")]
    pub sources: Vec<SourceSettings>,
}

/// `[[ingest.source]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceSettings {
    /// A glob on the file name.
    #[serde(rename = "match")]
    pub pattern: FileGlob,
    /// The form of `ts`.
    #[serde(default)]
    pub ts: TimestampForm,
    /// The format, for file names that do not tell it.
    pub format: Option<LogFormat>,
    /// A SQL select over `raw` that yields the event fields.
    pub select: Option<String>,
    /// Other fields to keep, as a JSON object in the column `extra`.
    #[serde(default)]
    pub keep: Vec<String>,
    /// A file, folder or glob that `orgpulse ingest` reads when it is given no path.
    pub path: Option<String>,
}

/// A glob that compiled.
#[derive(Debug, Clone)]
pub struct FileGlob(pub glob::Pattern);

/// The form of a source's timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestampForm {
    /// RFC 3339 with an offset.
    #[default]
    Rfc3339,
    /// Whole seconds since the epoch.
    S,
    /// Whole milliseconds since the epoch.
    Ms,
    /// Whole microseconds since the epoch.
    Us,
}

/// The format of a log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// `[who]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WhoSettings {
    /// Actions that count for nobody.
    pub exclude_actions: Vec<String>,
    /// Apps that count for nobody.
    pub exclude_apps: Vec<String>,
}

/// `[engine]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineSettings {
    /// Which engine runs SQL.
    pub kind: EngineKind,
    /// The memory for data, in bytes.
    #[serde(deserialize_with = "bytes")]
    pub memory: u64,
    /// Threads; 0 = all cores.
    pub threads: usize,
}

/// The engines that SQL can run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// DataFusion in this process.
    #[default]
    Local,
    /// Ballista in this process: a scheduler and an executor that talk over loopback (cargo feature `cluster`).
    Standalone,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { path: PathBuf::from("orgpulse-store") }
    }
}

impl Default for ReportsSettings {
    fn default() -> Self {
        Self { path: PathBuf::from("orgpulse-reports") }
    }
}

impl Default for ReportSettings {
    fn default() -> Self {
        Self { time_zone: Tz::UTC, week_start: WeekStart::Monday }
    }
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            earliest_day: parse_day("2000-01-01").unwrap_or_default(),
            max_rejected: 0.05,
            max_record_bytes: 1 << 20,
            sources: Vec::new(),
        }
    }
}

impl Default for WhoSettings {
    fn default() -> Self {
        Self { exclude_actions: vec!["push_received".into()], exclude_apps: Vec::new() }
    }
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self { kind: EngineKind::Local, memory: 2 << 30, threads: 0 }
    }
}

impl Settings {
    /// Reads a settings file. Relative paths in it are taken from the file's own folder.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::path("read settings", path, e))?;
        let mut settings = Self::parse(&text).map_err(|e| e.within(path.display()))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        settings.anchor(folder);
        Ok(settings)
    }

    /// Reads settings from TOML; an error names line, key, and what is allowed there.
    pub fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|e| Error::Definition(e.to_string().trim_end().to_owned()))
    }

    /// The hash of all settings that change numbers, as lower-case hex of SHA-256.
    #[must_use]
    pub fn numbers_hash(&self) -> String {
        let sources: Vec<_> = self
            .ingest
            .sources
            .iter()
            .map(|s| (s.pattern.0.as_str(), format!("{:?}", s.ts), s.select.as_deref(), &s.keep))
            .collect();
        let numbers = serde_json::json!({
            "time_zone": self.report.time_zone.name(),
            "week_start": format!("{:?}", self.report.week_start),
            "earliest_day": self.ingest.earliest_day,
            "max_rejected": self.ingest.max_rejected,
            "max_record_bytes": self.ingest.max_record_bytes,
            "sources": sources,
            "who": self.who,
            "dag": self.dag,
            "deep": self.deep,
        });
        format!("{:x}", Sha256::digest(numbers.to_string()))
    }

    fn anchor(&mut self, folder: &Path) {
        let dimensions = &mut self.dimensions;
        let optional = [
            &mut dimensions.orgs,
            &mut dimensions.users,
            &mut dimensions.apps,
            &mut dimensions.campaigns,
            &mut dimensions.account_lists,
            &mut self.queries.path,
        ];
        for path in optional.into_iter().flatten().chain([&mut self.store.path, &mut self.reports.path]) {
            *path = folder.join(&*path);
        }
        for path in self.ingest.sources.iter_mut().filter_map(|s| s.path.as_mut()) {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    }
}

impl<'de> Deserialize<'de> for FileGlob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        glob::Pattern::new(&text).map(Self).map_err(|e| de::Error::custom(format!("`{text}` is not a glob: {e}")))
    }
}

fn zone<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Tz, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_| {
        de::Error::custom(format!("`{text}` is not an IANA time zone; examples: \"UTC\", \"Asia/Shanghai\""))
    })
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Day, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_day(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not a day; write it as \"2000-01-31\"")))
}

fn share<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&share) {
        Ok(share)
    } else {
        Err(de::Error::custom(format!("`{share}` is not a share; allowed is 0 to 1, as in 0.05 for 5 %")))
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = u64;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a size such as \"512MB\" or \"4GB\", at least 64MB")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> std::result::Result<u64, E> {
            parse_bytes(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }
    deserializer.deserialize_str(Bytes)
}

/// Reads a memory size such as `512MB` (binary units); less than 64 MB is none.
#[must_use]
pub fn parse_bytes(text: &str) -> Option<u64> {
    parse_units(text, &[("MB", 1 << 20), ("GB", 1 << 30)]).filter(|&size| size >= 64 << 20)
}

// A whole number directly followed by one of the units; "1.5h" and "10 m" are refused.
fn parse_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let scale = units.iter().find(|(name, _)| *name == unit)?.1;
    number.parse::<u64>().ok()?.checked_mul(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_gives_the_defaults_of_the_dictionary() {
        let settings = Settings::parse("").expect("defaults");
        assert_eq!(settings.report.time_zone, Tz::UTC);
        assert_eq!(settings.dag.on(0).definition.org_min_usage_ms, 600_000);
        assert_eq!(settings.dag.on(0).definition.app_min_usage_ms, 60_000);
        assert_eq!(settings.who.exclude_actions, ["push_received"]);
        assert_eq!(settings.deep.on(0).definition.decide_days, 2);
    }

    fn check_refused(text: &str, expected: &[&str]) {
        let message = Settings::parse(text).expect_err("must be refused").to_string();
        for part in expected {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }

    #[test]
    fn wrong_settings_name_line_key_and_what_is_allowed() {
        check_refused("[dag]\nmin_app = 3\n", &["line 2", "min_app", "min_apps"]);
        check_refused("[dag]\nmin_apps = -1\n", &["line 2", "min_apps"]);
        check_refused("[dag]\norg_min_usage = \"1.5h\"\n", &["line 2", "org_min_usage", "ms, s, m or h"]);
        check_refused("[report]\ntime_zone = \"Mars\"\n", &["line 2", "time_zone", "IANA"]);
        check_refused("[report]\nweek_start = \"friday\"\n", &["line 2", "monday", "sunday"]);
        check_refused("[ingest]\nmax_rejected = 5.0\n", &["line 2", "0 to 1"]);
        check_refused("[engine]\nmemory = \"1KB\"\n", &["line 2", "memory", "64MB"]);
        check_refused("[[ingest.source]]\nmatch = \"*.csv\"\nts = \"minutes\"\n", &["line 3", "rfc3339"]);
        check_refused("[dags]\n", &["line 1", "dags"]);
    }

    #[test]
    fn the_hash_sees_numbers_and_not_paths() {
        let hash = |text: &str| Settings::parse(text).expect("settings").numbers_hash();
        assert_eq!(hash(""), hash("[store]\npath = \"elsewhere\"\n"));
        assert_ne!(hash(""), hash("[dag]\nmin_apps = 4\n"));
        assert_ne!(hash("[dag]\nmin_apps = 4\n"), hash("[dag]\nvalid_from = \"2026-03-01\"\nmin_apps = 4\n"));
        assert_eq!(hash(""), hash("[dag]\norg_min_usage = \"600s\"\n"));
    }
}
