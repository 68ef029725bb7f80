//! A `[job]` table, understood: which job it names, with which keys, what it reads and which columns it gives.
//! It runs nothing.

use std::collections::BTreeMap;

use arrow::datatypes::SchemaRef;

use super::events::{self, Events};
use super::growth::Growth;
use super::keys::{Keys, Read, Refusal, Step, Within, Written};
use super::retention::Retention;
use super::stickiness::Stickiness;
use super::streaks::Streaks;
use super::trailing::Trailing;
use super::{growth, integration, levels, retention, stickiness, streaks, trailing};
use crate::calendar;
use crate::period::Day;

/// The names of the jobs that `[job] name` may say.
const JOBS: [&str; 6] = ["deep_window", "growth_accounting", "retention", "stickiness", "streaks", "trailing_activity"];

/// A job and its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The keys with their values as they are written in TOML.
    pub written: BTreeMap<String, String>,
    pub(super) kind: Kind,
}

/// A query over events whose result a job reads, in the columns of `activity_calendar`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventQuery {
    /// The name under which the job finds the result.
    pub table: String,
    /// One SELECT over the tables that the job reads.
    pub sql: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    DeepWindow,
    Growth(Growth),
    Retention(Retention),
    Stickiness(Stickiness),
    Streaks(Streaks),
    Trailing(Trailing),
}

/// What of a job is about events.
struct About<'a> {
    events: &'a Events,
    entities: &'a [&'static str],
    steps: Vec<Step>,
    origin: Option<Day>,
    within: Within,
}

impl Job {
    /// Reads a `[job]` table.
    pub fn read(written: &Written) -> Read<Self> {
        let known = || format!("there are: {}", JOBS.join(", "));
        let Some(name) = written.get("name") else {
            return Err(Refusal { key: None, message: format!("[job] has no `name`; {}", known()) });
        };
        let name = name.as_str().unwrap_or_default();
        let keys = |known: &[&str]| Keys::new(name, written, known);
        let kind = match name {
            "deep_window" => keys(&[]).map(|_| Kind::DeepWindow)?,
            "growth_accounting" => Kind::Growth(Growth::read(&keys(growth::KEYS)?)?),
            "retention" => Kind::Retention(Retention::read(&keys(retention::KEYS)?)?),
            "stickiness" => Kind::Stickiness(Stickiness::read(&keys(stickiness::KEYS)?)?),
            "streaks" => Kind::Streaks(Streaks::read(&keys(streaks::KEYS)?)?),
            "trailing_activity" => Kind::Trailing(Trailing::read(&keys(trailing::KEYS)?)?),
            _ => {
                let message = format!("[job] name=`{name}` is no job; {}", known());
                return Err(Refusal { key: Some("name".to_owned()), message });
            }
        };
        let written = written.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
        Ok(Self { written, kind })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.kind {
            Kind::DeepWindow => "deep_window",
            Kind::Growth(_) => "growth_accounting",
            Kind::Retention(_) => "retention",
            Kind::Stickiness(_) => "stickiness",
            Kind::Streaks(_) => "streaks",
            Kind::Trailing(_) => "trailing_activity",
        }
    }

    /// The columns of the result. Those that may be empty are nullable.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        match &self.kind {
            Kind::DeepWindow => integration::schema(),
            Kind::Growth(_) => growth::schema(),
            Kind::Retention(job) => job.schema(),
            Kind::Stickiness(job) => job.schema(),
            Kind::Streaks(_) => streaks::schema(),
            Kind::Trailing(job) => job.schema(),
        }
    }

    /// The tables that it reads, each needed.
    #[must_use]
    pub fn reads(&self) -> &'static [&'static str] {
        match &self.kind {
            Kind::DeepWindow => &[levels::TABLE, integration::TABLE],
            _ if self.about().is_some() => events::READS,
            _ => &[calendar::TABLE],
        }
    }

    /// How many days before its month a row may depend on; `None` = on all of them.
    #[must_use]
    pub fn looks_back(&self) -> Option<i32> {
        match &self.kind {
            Kind::DeepWindow => Some(integration::LOOKS_BACK),
            Kind::Trailing(job) => Some(job.looks_back()),
            Kind::Growth(_) | Kind::Retention(_) | Kind::Stickiness(_) | Kind::Streaks(_) => None,
        }
    }

    /// The settings that the result depends on, by the names that they have as parameters of SQL.
    #[must_use]
    pub fn parameters(&self) -> &'static [&'static str] {
        match &self.kind {
            kind if kind.steps().contains(&Step::Hours24) => &["first_day", "as_of", "time_zone", "week_start"],
            kind if kind.steps().contains(&Step::Week) => &["first_day", "as_of", "week_start"],
            _ => &["first_day", "as_of"],
        }
    }

    /// The queries whose results it reads beside its tables; none if it reads the state of every entity's active days.
    #[must_use]
    pub fn event_queries(&self) -> Vec<EventQuery> {
        let Some(About { events, entities, steps, origin, within }) = self.about() else { return Vec::new() };
        let mut queries = Vec::new();
        for entity in entities {
            if steps.contains(&Step::Hours24) {
                let sql = events.by_window(entity, within);
                queries.push(EventQuery { table: event_table(entity, Step::Hours24), sql });
            }
            if let Some(step) = steps.iter().find(|step| **step != Step::Hours24) {
                let with_starts = matches!(self.kind, Kind::Retention(_));
                let sql = events.by_day(entity, &steps, origin, with_starts);
                queries.push(EventQuery { table: event_table(entity, *step), sql });
            }
        }
        queries
    }

    /// The conditions over events that it has, with their keys: each must be right as the WHERE of a query over `events`.
    #[must_use]
    pub fn conditions(&self) -> Vec<(&'static str, &str)> {
        self.about().map_or_else(Vec::new, |about| about.events.conditions().collect())
    }

    fn about(&self) -> Option<About<'_>> {
        let ever = Within::default();
        let (events, entities, origin, within) = match &self.kind {
            Kind::DeepWindow => return None,
            Kind::Growth(job) => (&job.events, job.entities.as_slice(), job.origin, ever),
            Kind::Retention(job) => (&job.events, std::slice::from_ref(&job.entity), job.origin, job.within),
            Kind::Stickiness(job) => (&job.events, job.entities.as_slice(), job.origin, ever),
            Kind::Streaks(job) => (&job.events, job.entities.as_slice(), job.origin, ever),
            Kind::Trailing(job) => (&job.events, job.entities.as_slice(), None, ever),
        };
        Some(About { events: events.as_ref()?, entities, steps: self.kind.steps(), origin, within })
    }
}

impl Kind {
    fn steps(&self) -> Vec<Step> {
        match self {
            Self::DeepWindow => Vec::new(),
            Self::Growth(job) => job.steps.clone(),
            Self::Retention(job) => job.steps.iter().map(|(step, _)| *step).collect(),
            Self::Stickiness(job) => vec![job.step],
            Self::Streaks(job) => vec![job.step],
            Self::Trailing(_) => vec![Step::Day],
        }
    }
}

/// The table that holds an entity's calendars for periods of a length, if they are made from events.
pub(super) fn event_table(entity: &str, step: Step) -> String {
    match step {
        Step::Hours24 => format!("events of each {entity} by windows of 24 hours"),
        _ => format!("events of each {entity} by day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> Read<Job> {
        Job::read(&toml::from_str(toml).expect("toml of the test"))
    }

    fn check_refused(toml: &str, key: Option<&str>, expected: &str) {
        let refusal = read(toml).expect_err("a wrong job");
        assert_eq!((refusal.key.as_deref(), refusal.message.as_str()), (key, expected), "{toml}");
    }

    /// A wrong key of a job that is right without it.
    fn check_key(job: &str, key: &str, value: &str, expected: &str) {
        let toml = match job {
            "retention" if key != "entity" => format!("name = \"retention\"\nentity = \"user\"\n{key} = {value}"),
            _ => format!("name = \"{job}\"\n{key} = {value}"),
        };
        let shown = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
        check_refused(&toml, Some(key), &format!("[job] of `{job}`: {key}=`{shown}` {expected}"));
    }

    #[test]
    fn wrong_jobs_are_refused() {
        let known = JOBS.join(", ");
        check_refused("", None, &format!("[job] has no `name`; there are: {known}"));
        check_refused("name = \"dream\"", Some("name"), &format!("[job] name=`dream` is no job; there are: {known}"));
        let expected = "[job] of `retention`: there is no `entity`; allowed are: dag, org, user";
        check_refused("name = \"retention\"", None, expected);
        let expected = "[job] of `deep_window`: the key `days` is not known; there are: name";
        check_refused("name = \"deep_window\"\ndays = 28", Some("days"), expected);
        let expected = "[job] of `growth_accounting`: the key `entity` is not known; \
                        there are: name, entities, grains, origin, filter, min_events";
        check_refused("name = \"growth_accounting\"\nentity = \"user\"", Some("entity"), expected);
    }

    #[test]
    fn wrong_keys_are_refused_with_what_is_allowed() {
        check_key("retention", "entity", "\"app\"", "is not known; allowed are: dag, org, user");
        check_key(
            "retention",
            "cohort",
            "\"ever\"",
            "is not known; allowed are: first_ever, first_in_range, recurring",
        );
        check_key("retention", "from", "\"2026-01-01\"", "is for cohort=`first_in_range` and cohort=`recurring`");
        check_key(
            "retention",
            "grains",
            "[\"day\"]",
            "is not a table of grains and their last periods, such as { day = 30, week = 12 }",
        );
        check_key("retention", "grains", "{ day = 401 }", "is not a whole number from 0 to 400");
        let grains = "which is not known; allowed are: day, week, month, 24h, and a number of days such as 21d";
        check_key("retention", "grains", "{ year = 1 }", &format!("has `year`, {grains}"));
        check_key("retention", "grains", "{ 021d = 1 }", &format!("has `021d`, {grains}"));
        check_key("retention", "origin", "\"2026-01-01\"", "is for periods of a number of days, such as `21d`");
        check_key("retention", "returning", "[]", "is not a list of on, on_or_after, on_or_before, each once");
        check_key(
            "retention",
            "rates",
            "[\"on\", \"on\"]",
            "is not a list of on, on_or_after, on_or_before, each once",
        );
        check_key("retention", "min_events", "0", "is not a whole number from 1 to 1000000");
        check_key("retention", "min_events", "\"3\"", "is not a whole number from 1 to 1000000");
        check_key("retention", "filter", "3", "is not a text with a condition in SQL");
        check_key("retention", "start", "\"true; true\"", "is not one condition in SQL: `;` follows after `true`");
        let words = "is not a list of day, week, month, a number of days such as 21d, and trailing_N, each once";
        check_key("growth_accounting", "grains", "[\"24h\"]", words);
        check_key("growth_accounting", "grains", "[\"trailing_0\"]", words);
        check_key("growth_accounting", "entities", "[\"app\"]", "is not a list of dag, org, user, each once");
        let no_events =
            "is about `dag`, which is a state of a day and has no events; conditions on events are for: org, user";
        check_refused(
            "name = \"stickiness\"\nentities = [\"dag\"]\nmin_events = 2",
            Some("entities"),
            &format!("[job] of `stickiness`: entities=`[\"dag\"]` {no_events}"),
        );
        check_refused(
            "name = \"retention\"\nentity = \"dag\"\ngrains = { 24h = 7 }",
            Some("entity"),
            &format!("[job] of `retention`: entity=`dag` {no_events}"),
        );
        check_key("stickiness", "window", "401", "is not a whole number from 1 to 400");
        let grain = "is not known; allowed are: day, week, month, and a number of days such as 21d";
        check_key("stickiness", "grain", "\"24h\"", grain);
        check_key("streaks", "lengths", "0", "is not a whole number from 1 to 400");
        check_key("trailing_activity", "windows", "[7, 7]", "is not in rising order");
        check_key("trailing_activity", "windows", "[]", "is not a list of whole numbers");
        check_key("trailing_activity", "windows", "[36526]", "is not a whole number from 2 to 36525");
    }

    #[test]
    fn ranges_of_starts_are_right_or_refused() {
        let job = |rest: &str| format!("name = \"retention\"\nentity = \"user\"\ncohort = \"first_in_range\"\n{rest}");
        assert!(read(&job("from = 2026-01-31\nuntil = \"2026-02-01\"")).is_ok());
        let until = "[job] of `retention`: until=`2026-01-30` is before from=`2026-01-31`";
        check_refused(&job("from = 2026-01-31\nuntil = 2026-01-30"), Some("until"), until);
        let from = "[job] of `retention`: from=`soon` is not a date such as 2026-01-31";
        check_refused(&job("from = \"soon\""), Some("from"), from);
        let recurring = "name = \"retention\"\nentity = \"user\"\ncohort = \"recurring\"\ngrains = { 24h = 7 }";
        let message = "[job] of `retention`: cohort=`recurring` has no windows of 24 hours, which begin with one start; \
                       take the grain day";
        check_refused(recurring, Some("cohort"), message);
    }

    #[test]
    fn only_what_needs_events_reads_them() {
        let reads = |toml: &str| read(toml).expect("a job").reads();
        assert_eq!(reads("name = \"deep_window\""), ["deep_definitions", "integration_day"]);
        assert_eq!(reads("name = \"retention\"\nentity = \"dag\""), ["activity_calendar"]);
        assert_eq!(reads("name = \"stickiness\"\nmin_events = 1"), ["activity_calendar"]);
        for events in ["min_events = 2", "filter = \"true\""] {
            assert_eq!(reads(&format!("name = \"streaks\"\n{events}")), events::READS, "{events}");
        }
        assert_eq!(reads("name = \"retention\"\nentity = \"org\"\ngrains = { 24h = 7 }"), events::READS);
    }
}
