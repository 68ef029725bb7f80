//! The keys of a `[job]` table as values: what may stand under each, and what is refused in which words.
//! It does not know what a job does with them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use toml::Value;

use super::Frame;
use super::events::{self, Events};
use crate::period::{Day, Grain, parse_day};

/// A `[job]` table as it is written.
pub type Written = BTreeMap<String, Value>;

/// Why a `[job]` table is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The key at fault; `None` if one is missing.
    pub key: Option<String>,
    /// What is wrong and what is allowed.
    pub message: String,
}

pub(super) type Read<T> = Result<T, Refusal>;

/// From one day to another, both included; open where there is none.
pub(super) type Within = (Option<Day>, Option<Day>);

/// Who has activity calendars, in the order in which reports list them.
pub(super) const ENTITIES: [&str; 3] = ["dag", "org", "user"];
/// Who has events.
const WITH_EVENTS: [&str; 2] = ["org", "user"];

/// The most periods that a row can be of, or a window can have.
pub(super) const MAX_PERIODS: u32 = 400;
/// The longest trailing window, in days: a hundred years.
pub(super) const MAX_TRAILING: u32 = 36_525;

/// The length of a job's periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Day,
    Week,
    Month,
    /// So many days.
    Days(u32),
    /// 24 hours from each entity's own first start.
    Hours24,
    /// A window of so many days that moves on day by day.
    Trailing(u32),
}

impl Step {
    /// The word in `query.toml` and in the column `grain`.
    pub(super) fn label(self) -> String {
        match self {
            Self::Day => "day".to_owned(),
            Self::Week => "week".to_owned(),
            Self::Month => "month".to_owned(),
            Self::Days(days) => format!("{days}d"),
            Self::Hours24 => "24h".to_owned(),
            Self::Trailing(days) => format!("trailing_{days}"),
        }
    }

    /// How days are put together. Windows of hours and trailing windows go by days.
    pub(super) fn grain(self, origin: Option<Day>, frame: Frame) -> Grain {
        match self {
            Self::Day | Self::Hours24 | Self::Trailing(_) => Grain::Day,
            Self::Week => Grain::Week(frame.week_start),
            Self::Month => Grain::Month,
            Self::Days(days) => Grain::Days {
                length: i32::try_from(days).unwrap_or(i32::MAX),
                origin: origin.unwrap_or(frame.first_day),
            },
        }
    }

    fn read(text: &str) -> Option<Self> {
        let days = |text: &str, most: u32| text.parse().ok().filter(|days| (1..=most).contains(days));
        let step = match text {
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "24h" => Self::Hours24,
            _ => match (text.strip_suffix('d'), text.strip_prefix("trailing_")) {
                (Some(length), _) => Self::Days(days(length, MAX_PERIODS)?),
                (_, Some(length)) => Self::Trailing(days(length, MAX_TRAILING)?),
                _ => return None,
            },
        };
        (step.label() == text).then_some(step)
    }
}

/// The keys of one job's table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keys<'a> {
    job: &'a str,
    written: &'a Written,
}

impl<'a> Keys<'a> {
    /// The keys of a job, none but the known ones.
    pub(super) fn new(job: &'a str, written: &'a Written, known: &[&str]) -> Read<Self> {
        let keys = Self { job, written };
        let Some(unknown) = written.keys().find(|key| *key != "name" && !known.contains(&key.as_str())) else {
            return Ok(keys);
        };
        let known: Vec<&str> = std::iter::once("name").chain(known.iter().copied()).collect();
        let message = format!("[job] of `{job}`: the key `{unknown}` is not known; there are: {}", known.join(", "));
        Err(Refusal { key: Some(unknown.clone()), message })
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.written.contains_key(key)
    }

    /// A refusal of what stands under a key.
    pub(super) fn refuse(&self, key: &str, what: &str) -> Refusal {
        let shown = match self.written.get(key) {
            Some(Value::String(text)) => format!("{key}=`{text}`"),
            Some(value) => format!("{key}=`{value}`"),
            None => format!("`{key}`"),
        };
        Refusal { key: Some(key.to_owned()), message: format!("[job] of `{}`: {shown} {what}", self.job) }
    }

    fn missing(&self, key: &str, what: &str) -> Refusal {
        Refusal { key: None, message: format!("[job] of `{}`: there is no `{key}`; {what}", self.job) }
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, key: &str, words: &[(&str, T)], default: Option<T>) -> Read<T> {
        let allowed = || format!("allowed are: {}", words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", "));
        let Some(value) = self.written.get(key) else {
            return default.ok_or_else(|| self.missing(key, &allowed()));
        };
        let found = value.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| self.refuse(key, &format!("is not known; {}", allowed())))
    }

    /// A list of words, none twice and at least one.
    fn list<T>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Option<T>,
        allowed: &str,
        default: impl FnOnce() -> Vec<T>,
    ) -> Read<Vec<T>> {
        let Some(value) = self.written.get(key) else { return Ok(default()) };
        let refuse = || self.refuse(key, &format!("is not a list of {allowed}, each once"));
        let texts: Vec<&str> = value.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let all = value.as_array().is_some_and(|list| list.len() == texts.len() && !list.is_empty());
        if !all || texts.iter().collect::<BTreeSet<_>>().len() != texts.len() {
            return Err(refuse());
        }
        texts.into_iter().map(|text| read(text).ok_or_else(refuse)).collect()
    }

    /// A list of some words, none twice and at least one.
    pub(super) fn words<T: Copy>(&self, key: &str, words: &[(&str, T)], default: Vec<T>) -> Read<Vec<T>> {
        let read = |text: &str| words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        let allowed: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.list(key, read, &allowed.join(", "), || default)
    }

    /// A whole number.
    pub(super) fn number(&self, key: &str, allowed: RangeInclusive<u32>, default: u32) -> Read<u32> {
        let Some(value) = self.written.get(key) else { return Ok(default) };
        self.number_of(key, value, &allowed)
    }

    fn number_of(&self, key: &str, value: &Value, allowed: &RangeInclusive<u32>) -> Read<u32> {
        let number = value.as_integer().and_then(|number| u32::try_from(number).ok());
        number.filter(|number| allowed.contains(number)).ok_or_else(|| {
            self.refuse(key, &format!("is not a whole number from {} to {}", allowed.start(), allowed.end()))
        })
    }

    /// Whole numbers in order, at least one.
    pub(super) fn numbers(&self, key: &str, allowed: RangeInclusive<u32>, default: &[u32]) -> Read<Vec<u32>> {
        let Some(value) = self.written.get(key) else { return Ok(default.to_vec()) };
        let list = value.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| self.refuse(key, "is not a list of whole numbers"))?;
        let numbers = list.iter().map(|value| self.number_of(key, value, &allowed)).collect::<Read<Vec<u32>>>()?;
        if !numbers.is_sorted_by(|one, next| one < next) {
            return Err(self.refuse(key, "is not in rising order"));
        }
        Ok(numbers)
    }

    /// A day, as an ISO date in quotes or without.
    pub(super) fn day(&self, key: &str) -> Read<Option<Day>> {
        let Some(value) = self.written.get(key) else { return Ok(None) };
        let text = match value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        parse_day(&text).map(Some).ok_or_else(|| self.refuse(key, "is not a date such as 2026-01-31"))
    }

    /// The length of the periods that `grain` names.
    pub(super) fn step(&self, allowed: &str, is_allowed: impl Fn(Step) -> bool) -> Read<Step> {
        match self.written.get("grain").map(|value| value.as_str().and_then(Step::read)) {
            None => Ok(Step::Day),
            Some(Some(step)) if is_allowed(step) => Ok(step),
            Some(_) => Err(self.refuse("grain", &format!("is not known; allowed are: {allowed}"))),
        }
    }

    /// The lengths of periods that `grains` lists.
    pub(super) fn steps(&self, allowed: &str, is_allowed: impl Fn(Step) -> bool, default: &[Step]) -> Read<Vec<Step>> {
        let read = |text: &str| Step::read(text).filter(|step| is_allowed(*step));
        self.list("grains", read, allowed, || default.to_vec())
    }

    /// The lengths of periods that `grains` names, each with its last period.
    pub(super) fn steps_with_last(
        &self,
        allowed: &str,
        is_allowed: impl Fn(Step) -> bool,
        default: &[(Step, u32)],
    ) -> Read<Vec<(Step, u32)>> {
        let mut steps = Vec::new();
        match self.written.get("grains") {
            None => steps.extend(default),
            Some(Value::Table(table)) if !table.is_empty() => {
                for (label, last) in table {
                    let step = Step::read(label).filter(|step| is_allowed(*step)).ok_or_else(|| {
                        self.refuse("grains", &format!("has `{label}`, which is not known; allowed are: {allowed}"))
                    })?;
                    steps.push((step, self.number_of("grains", last, &(0..=MAX_PERIODS))?));
                }
            }
            Some(_) => {
                let what = "is not a table of grains and their last periods, such as { day = 30, week = 12 }";
                return Err(self.refuse("grains", what));
            }
        }
        Ok(steps)
    }

    /// A day on which one of the periods begins that have a number of days.
    pub(super) fn origin(&self, steps: impl IntoIterator<Item = Step>) -> Read<Option<Day>> {
        let origin = self.day("origin")?;
        if origin.is_some() && !steps.into_iter().any(|step| matches!(step, Step::Days(_))) {
            return Err(self.refuse("origin", "is for periods of a number of days, such as `21d`"));
        }
        Ok(origin)
    }

    /// Which events count, by the keys of the table that are about events; `always` if the job cannot do without them.
    pub(super) fn events(&self, always: bool) -> Read<Option<Events>> {
        let events = Events {
            filter: self.predicate("filter")?,
            start: self.predicate("start")?,
            returns: self.predicate("return")?,
            least: self.number("min_events", 1..=1_000_000, 1)?,
        };
        Ok((always || events != Events::ALL).then_some(events))
    }

    fn predicate(&self, key: &str) -> Read<Option<String>> {
        let Some(value) = self.written.get(key) else { return Ok(None) };
        let text = value.as_str().ok_or_else(|| self.refuse(key, "is not a text with a condition in SQL"))?;
        events::predicate(text).map(Some).map_err(|why| self.refuse(key, &why))
    }

    /// The one entity that the job is about.
    pub(super) fn entity(&self, events: bool) -> Read<&'static str> {
        let entity = self.word("entity", &ENTITIES.map(|entity| (entity, entity)), None)?;
        self.check_entity("entity", entity, events)?;
        Ok(entity)
    }

    /// The entities that the job is about, in the order of reports: all that it can be about, unless some are named.
    pub(super) fn entities(&self, events: bool) -> Read<Vec<&'static str>> {
        let default = if events { WITH_EVENTS.to_vec() } else { ENTITIES.to_vec() };
        let mut entities = self.words("entities", &ENTITIES.map(|entity| (entity, entity)), default)?;
        entities.sort_unstable();
        entities.iter().try_for_each(|entity| self.check_entity("entities", entity, events))?;
        Ok(entities)
    }

    fn check_entity(&self, key: &str, entity: &str, events: bool) -> Read<()> {
        if events && !WITH_EVENTS.contains(&entity) {
            let what = format!(
                "is about `{entity}`, which is a state of a day and has no events; conditions on events are for: {}",
                WITH_EVENTS.join(", ")
            );
            return Err(self.refuse(key, &what));
        }
        Ok(())
    }
}
