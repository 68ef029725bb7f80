//! The manifest of a report: what is in it and what it was made from. No clock, so that equal inputs give equal bytes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::catalog::{Column, Query};
use crate::error::{Error, Result};
use crate::period::{Day, format_day, parse_day};
use crate::settings::{DagSettings, DeepSettings, DimensionSettings, History, Settings, Stretch};
use crate::store::Snapshot;

/// The form of the manifest; a reader that knows another number must not guess.
const FORMAT: u32 = 1;

/// A report's files and what they were made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What all the files share.
    #[serde(flatten)]
    pub head: Head,
    /// The files by name, without the manifest.
    pub files: BTreeMap<String, FileEntry>,
}

/// What the numbers of a report depend on, beside the definition of each metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The form of the manifest.
    pub format: u32,
    /// The version of this program.
    pub version: String,
    /// The report's day: the last observed day that is looked at; `None` if there is none.
    #[serde(with = "optional_day")]
    pub as_of: Option<Day>,
    /// The first observed day; `None` if there is none.
    #[serde(with = "optional_day")]
    pub first_day: Option<Day>,
    /// The first day of the rows, if it was asked for.
    #[serde(with = "optional_day")]
    pub from: Option<Day>,
    /// The IANA zone.
    pub time_zone: String,
    /// `monday` or `sunday`.
    pub week_start: String,
    /// The hash of the settings that change numbers.
    pub settings: String,
    /// What defined DAG on the observed days.
    pub dag: Vec<InForce<DagSettings>>,
    /// What defined deep integration on the observed days.
    pub deep: Vec<InForce<DeepSettings>>,
    /// The hash of all definitions of the catalog.
    pub definitions: String,
    /// SHA-256 of each dimension file that was given, by its name in `[dimensions]`.
    pub dimensions: BTreeMap<String, String>,
    /// The version of each stored table that was read.
    pub store: BTreeMap<String, i64>,
}

/// A definition, and the observed days on which it was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce<T> {
    /// The first of the days.
    #[serde(with = "iso_day")]
    pub valid_from: Day,
    /// The last of the days.
    #[serde(with = "iso_day")]
    pub valid_until: Day,
    /// Its values.
    #[serde(flatten)]
    pub definition: T,
}

/// One file of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Rows without the header.
    pub rows: u64,
    /// The size.
    pub bytes: u64,
    /// The checksum, lower-case hex.
    pub sha256: String,
    /// The hash of the metric's definition and of all that it reads.
    pub definition: String,
    /// The columns that the rows are sorted by and unique in.
    pub key: Vec<String>,
    /// The columns, in order.
    pub columns: Vec<ColumnEntry>,
}

/// One column of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnEntry {
    /// The name in the header.
    pub name: String,
    /// The type as in `query.toml`.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Head {
    /// What a report over this snapshot depends on. `range` is the first and last observed day, `from` the day before
    /// which rows are left out, `definitions` the hash of all definitions. Reads the dimension files for their checksums.
    pub fn new(
        settings: &Settings,
        snapshot: &Snapshot,
        range: Option<(Day, Day)>,
        from: Option<Day>,
        definitions: String,
    ) -> Result<Self> {
        let versions =
            snapshot.tables.iter().filter_map(|(table, files)| Some((table.name().to_owned(), files.version?)));
        Ok(Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            as_of: range.map(|(_, last)| last),
            first_day: range.map(|(first, _)| first),
            from,
            time_zone: settings.report.time_zone.name().to_owned(),
            week_start: settings.report.week_start.name().to_owned(),
            settings: settings.numbers_hash(),
            dag: in_force(&settings.dag, range),
            deep: in_force(&settings.deep, range),
            definitions,
            dimensions: checksums(&settings.dimensions)?,
            store: versions.collect(),
        })
    }

    /// What makes numbers under another head incomparable; definitions are compared file by file.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        let pairs = [
            ("program version", self.version != other.version),
            ("as_of", self.as_of != other.as_of),
            ("first_day", self.first_day != other.first_day),
            ("from", self.from != other.from),
            ("time_zone", self.time_zone != other.time_zone),
            ("week_start", self.week_start != other.week_start),
            ("state of the store", self.store != other.store),
            ("set of settings", self.settings != other.settings),
            ("set of dimension files", self.dimensions != other.dimensions),
        ];
        pairs.into_iter().find(|(_, differs)| *differs).map(|(name, _)| name)
    }
}

impl FileEntry {
    pub(super) fn new(query: &Query, rows: u64, bytes: u64, sha256: String, definition: String) -> Self {
        let column = |c: &Column| ColumnEntry { name: c.name.clone(), kind: c.kind.name().to_owned() };
        let columns = query.columns.iter().map(column).collect();
        Self { rows, bytes, sha256, definition, key: query.key.clone(), columns }
    }
}

impl Manifest {
    /// Reads the manifest of a report.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).map_err(|e| Error::path("read", path, e))?;
        let manifest: Self = serde_json::from_slice(&text)
            .map_err(|e| Error::Data(format!("{}: not a manifest of a report: {e}", path.display())))?;
        if manifest.head.format != FORMAT {
            let format = manifest.head.format;
            return Err(Error::Data(format!("{}: format={format} is not known, only {FORMAT}", path.display())));
        }
        Ok(manifest)
    }

    /// The bytes of the file: JSON for people, keys in a fixed order.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|e| Error::Internal(e.to_string()))?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

fn in_force<T: Clone>(history: &History<T>, range: Option<(Day, Day)>) -> Vec<InForce<T>> {
    let stretches = range.map_or_else(Vec::new, |(first, last)| history.between(first, last));
    let in_force = |stretch: Stretch<T>| InForce {
        valid_from: stretch.first_day,
        valid_until: stretch.last_day,
        definition: stretch.entry.definition.clone(),
    };
    stretches.into_iter().map(in_force).collect()
}

fn checksums(files: &DimensionSettings) -> Result<BTreeMap<String, String>> {
    let named = [
        ("account_lists", &files.account_lists),
        ("apps", &files.apps),
        ("campaigns", &files.campaigns),
        ("orgs", &files.orgs),
        ("users", &files.users),
    ];
    let mut sums = BTreeMap::new();
    for (name, path) in named {
        if let Some(path) = path {
            let failed = |e| Error::path("read", path, e);
            let mut hasher = Sha256::new();
            std::io::copy(&mut File::open(path).map_err(failed)?, &mut hasher).map_err(failed)?;
            sums.insert(name.to_owned(), format!("{:x}", hasher.finalize()));
        }
    }
    Ok(sums)
}

// A day stands in JSON as an ISO date.
mod iso_day {
    use super::{Day, format_day, parse_day};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(day: &Day, serializer: S) -> Result<S::Ok, S::Error> {
        format_day(*day).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Day, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_day(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not a day")))
    }
}

mod optional_day {
    use super::{Day, format_day, parse_day};
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
    pub(super) fn serialize<S: Serializer>(day: &Option<Day>, serializer: S) -> Result<S::Ok, S::Error> {
        day.map(format_day).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Day>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        let read = |text: String| parse_day(&text).ok_or_else(|| de::Error::custom(format!("`{text}` is not a day")));
        text.map(read).transpose()
    }
}
