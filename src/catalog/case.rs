//! Cases: the examples of a query as `cases/<name>/` says them. It reads what a case is; running it is not done here.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::{self, Deserializer};
use toml::Spanned;

use super::definition::{no_toml, refuse};
use super::folders::{Folder, Origin};
use crate::error::{Error, Result};
use crate::period::{Day, parse_day};
use crate::settings::Settings;

/// The dimension files that a case may have.
const DIMENSIONS: [&str; 6] = ["orgs", "users", "apps", "campaigns", "account_lists", "calendar"];

/// One example of a query: a small world, and the table that it gives.
#[derive(Debug, Clone)]
pub struct Case {
    /// The folder's name.
    pub name: String,
    /// What the example shows, in a sentence.
    pub why: String,
    /// The report day, if it is not the default.
    pub as_of: Option<Day>,
    /// The first day of the rows, if it is not the default.
    pub from: Option<Day>,
    /// The clock, if it matters.
    pub now: Option<DateTime<Utc>>,
    /// What the query is asked with, by the names of its arguments.
    pub arguments: BTreeMap<String, String>,
    /// Settings that differ from the defaults, as the text of a settings file.
    pub settings: String,
    /// Logs, one ingest each, in order.
    pub events: Vec<Part>,
    /// Dimension files, named as in `[dimensions]`.
    pub dimensions: Vec<Part>,
    /// The table that must come out; the file may be missing while a case is being written.
    pub expect: Origin,
    /// Whether the file is there.
    pub has_expect: bool,
}

/// One input file of a case.
#[derive(Debug, Clone)]
pub struct Part {
    /// The file's name.
    pub name: String,
    /// Where its bytes are.
    pub origin: Origin,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    why: Spanned<String>,
    #[serde(default, deserialize_with = "day")]
    as_of: Option<Day>,
    #[serde(default, deserialize_with = "day")]
    from: Option<Day>,
    #[serde(default, deserialize_with = "instant")]
    now: Option<DateTime<Utc>>,
    #[serde(default)]
    arguments: BTreeMap<String, String>,
    #[serde(default)]
    settings: toml::Table,
}

/// The cases of a query, by name.
pub(super) fn read(folder: &Folder) -> Result<Vec<Case>> {
    let mut by_case: BTreeMap<&str, BTreeMap<&str, &Origin>> = BTreeMap::new();
    for (path, origin) in &folder.files {
        if let Some((case, file)) = path.strip_prefix("cases/").and_then(|path| path.split_once('/')) {
            by_case.entry(case).or_default().insert(file, origin);
        }
    }
    by_case.into_iter().map(|(name, files)| read_case(folder, name, &files)).collect()
}

fn read_case(folder: &Folder, name: &str, files: &BTreeMap<&str, &Origin>) -> Result<Case> {
    let missing =
        || Error::Definition(format!("{}/cases/{name}: there is no case.toml; it says why = \"…\"", folder.place()));
    let origin = files.get("case.toml").ok_or_else(missing)?;
    let (text, place) = folder.text(&format!("cases/{name}/case.toml"))?.ok_or_else(missing)?;
    let definition: Definition = toml::from_str(&text).map_err(|e| no_toml(&place, &e))?;
    if definition.why.get_ref().trim().is_empty() {
        return Err(refuse(&place, &text, &definition.why.span(), "`why` is empty; say what the case shows"));
    }
    let settings = toml::to_string(&definition.settings).map_err(|e| Error::Definition(format!("{place}: {e}")))?;
    Settings::parse(&settings).map_err(|e| e.within(format!("{place}, [settings]")))?;
    let (events, dimensions) = inputs(&place, files)?;
    Ok(Case {
        name: name.to_owned(),
        why: definition.why.into_inner(),
        as_of: definition.as_of,
        from: definition.from,
        now: definition.now,
        arguments: definition.arguments,
        settings,
        events,
        dimensions,
        expect: origin.beside("expect.csv"),
        has_expect: files.contains_key("expect.csv"),
    })
}

fn inputs(place: &str, files: &BTreeMap<&str, &Origin>) -> Result<(Vec<Part>, Vec<Part>)> {
    let (mut batches, mut dimensions) = (BTreeMap::new(), Vec::new());
    for (&name, &origin) in files {
        let part = Part { name: name.to_owned(), origin: origin.clone() };
        if name == "case.toml" || name == "expect.csv" {
        } else if name.strip_suffix(".csv").is_some_and(|stem| DIMENSIONS.contains(&stem)) {
            dimensions.push(part);
        } else if let Some(batch) = batch_number(name) {
            if batches.insert(batch, part).is_some() {
                return Err(Error::Definition(format!(
                    "{place}: two event files are batch {batch}; number them apart"
                )));
            }
        } else {
            return Err(Error::Definition(format!(
                "{place}: `{name}` is no file of a case; allowed are: events.csv, events.jsonl, events.N.csv, \
                 events.N.jsonl, {}.csv, expect.csv",
                DIMENSIONS.join(".csv, ")
            )));
        }
    }
    if batches.len() > 1 && batches.contains_key(&0) {
        return Err(Error::Definition(format!("{place}: several event files need numbers, as in events.1.csv")));
    }
    Ok((batches.into_values().collect(), dimensions))
}

// `events.csv` is batch 0, which stands alone; `events.12.jsonl` is batch 12.
fn batch_number(name: &str) -> Option<u32> {
    let stem = name.strip_suffix(".csv").or_else(|| name.strip_suffix(".jsonl"))?;
    match stem.strip_prefix("events")? {
        "" => Some(0),
        number => number.strip_prefix('.')?.parse().ok().filter(|&n| n > 0),
    }
}

fn day<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<Day>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || de::Error::custom(format!("`{text}` is not a day; write it as \"2000-01-31\""));
    parse_day(&text).map(Some).ok_or_else(wrong)
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<DateTime<Utc>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    DateTime::parse_from_rfc3339(&text)
        .map(|instant| Some(instant.to_utc()))
        .map_err(|e| de::Error::custom(format!("`{text}` is not an instant such as \"2026-01-31T08:00:00Z\": {e}")))
}
