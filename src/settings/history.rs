//! Definitions that change from a day on: a table, or a list of tables that each say since when they hold.
//! It does not know what a definition defines.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::period::{Day, format_day};

/// A definition and its changes. Some definition holds on every day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct History<T> {
    // Never empty, in the order of days; the first holds from the beginning.
    entries: Vec<Entry<T>>,
}

/// A definition, and the day from which on it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry<T> {
    /// `None` = from the beginning.
    pub valid_from: Option<Day>,
    /// Its values.
    #[serde(flatten)]
    pub definition: T,
}

/// A run of days on which one entry holds, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch<'a, T> {
    /// The first of the days.
    pub first_day: Day,
    /// The last of the days.
    pub last_day: Day,
    /// The entry; it may hold on earlier and later days too.
    pub entry: &'a Entry<T>,
}

impl<T> History<T> {
    /// The entry that holds on a day.
    #[must_use]
    pub fn on(&self, day: Day) -> &Entry<T> {
        let begun = self.entries.partition_point(|entry| entry.valid_from.is_none_or(|from| from <= day));
        &self.entries[begun.saturating_sub(1)]
    }

    /// The entries that hold on some day from `first` to `last`, and on which of them.
    #[must_use]
    pub fn between(&self, first: Day, last: Day) -> Vec<Stretch<'_, T>> {
        let ends = self.entries.iter().skip(1).map(|next| next.valid_from.map_or(Day::MIN, |from| from - 1));
        let stretch =
            |(entry, end): (_, Day)| Stretch { first_day: entry_start(entry, first), last_day: end.min(last), entry };
        self.entries.iter().zip(ends.chain([Day::MAX])).map(stretch).filter(|s| s.first_day <= s.last_day).collect()
    }

    /// What holds on all days, to be changed: every entry's definition.
    pub fn definitions_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.entries.iter_mut().map(|entry| &mut entry.definition)
    }
}

fn entry_start<T>(entry: &Entry<T>, first: Day) -> Day {
    entry.valid_from.map_or(first, |from| from.max(first))
}

impl<T: Default> Default for History<T> {
    fn default() -> Self {
        Self { entries: vec![Entry { valid_from: None, definition: T::default() }] }
    }
}

/// A definition that is read key by key, so that an entry need only name what it changes.
pub trait Definition: Default + Clone {
    /// The keys of an entry, `valid_from` first.
    const KEYS: &'static [&'static str];

    /// Takes the value of one of the keys.
    fn read<'de, M: MapAccess<'de>>(&mut self, key: &str, values: &mut M) -> Result<(), M::Error>;
}

/// The key that says since when an entry holds.
pub(super) const VALID_FROM: &str = "valid_from";

impl<'de, T: Definition> Deserialize<'de> for History<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HistoryVisitor(PhantomData))
    }
}

struct HistoryVisitor<T>(PhantomData<T>);

impl<'de, T: Definition> Visitor<'de> for HistoryVisitor<T> {
    type Value = History<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table, or a list of tables that each say the day from which on they hold")
    }

    fn visit_map<M: MapAccess<'de>>(self, values: M) -> Result<Self::Value, M::Error> {
        let entry = After(None).visit_map(values)?;
        Ok(whole(vec![entry]))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
        let mut entries: Vec<Entry<T>> = Vec::new();
        while let Some(entry) = list.next_element_seed(After(entries.last()))? {
            entries.push(entry);
        }
        Ok(whole(entries))
    }
}

// Before the first day that is named, the dictionary's defaults hold.
fn whole<T: Default>(mut entries: Vec<Entry<T>>) -> History<T> {
    if entries.first().is_none_or(|first| first.valid_from.is_some()) {
        entries.insert(0, Entry { valid_from: None, definition: T::default() });
    }
    History { entries }
}

/// Reads the entry that follows another one: what it does not name stays as it was.
struct After<'a, T>(Option<&'a Entry<T>>);

impl<'de, T: Definition> DeserializeSeed<'de> for After<'_, T> {
    type Value = Entry<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, T: Definition> Visitor<'de> for After<'_, T> {
    type Value = Entry<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a table")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut values: M) -> Result<Self::Value, M::Error> {
        let mut valid_from = None;
        let mut definition = self.0.map_or_else(T::default, |before| before.definition.clone());
        while let Some(key) = values.next_key_seed(OneOf(T::KEYS))? {
            if key == VALID_FROM {
                let earlier = self.0.and_then(|before| before.valid_from);
                valid_from = Some(values.next_value_seed(DayAfter(earlier))?);
            } else {
                definition.read(key, &mut values)?;
            }
        }
        if self.0.is_some() && valid_from.is_none() {
            return Err(de::Error::custom(
                "an entry after the first needs `valid_from`, the day from which on it holds, as in \"2026-03-01\"",
            ));
        }
        Ok(Entry { valid_from, definition })
    }
}

/// Reads a key that must be known, so that an error points at it.
struct OneOf(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for OneOf {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let key = String::deserialize(deserializer)?;
        self.0.iter().find(|known| **known == key).copied().ok_or_else(|| de::Error::unknown_field(&key, self.0))
    }
}

/// Reads a day that must come after another one.
struct DayAfter(Option<Day>);

impl<'de> DeserializeSeed<'de> for DayAfter {
    type Value = Day;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Day, D::Error> {
        let day = super::day(deserializer)?;
        match self.0 {
            Some(earlier) if day <= earlier => Err(de::Error::custom(format!(
                "`{}` does not come after `{}`, the `{VALID_FROM}` of the entry before; order entries by their day",
                format_day(day),
                format_day(earlier)
            ))),
            _ => Ok(day),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::parse_day;
    use crate::settings::{DagSettings, DeepSettings, Settings};

    fn parse(text: &str) -> Settings {
        Settings::parse(text).expect("settings")
    }

    fn day(text: &str) -> Day {
        parse_day(text).expect("a day")
    }

    #[test]
    fn a_table_holds_on_all_days() {
        let history = parse("[dag]\nmin_apps = 4\n").dag;
        for text in ["0001-01-01", "2026-03-01", "9999-12-31"] {
            let entry = history.on(day(text));
            assert_eq!((entry.valid_from, entry.definition.min_apps), (None, 4));
        }
    }

    #[test]
    fn a_change_holds_from_its_day_and_names_only_what_changes() {
        let text = "[[dag]]\nmin_users = 2\n[[dag]]\nvalid_from = \"2026-03-10\"\nmin_apps = 4\n\
                    [[dag]]\nvalid_from = \"2026-04-01\"\norg_min_usage = \"5m\"\n";
        let history = parse(text).dag;
        let on = |text: &str| {
            let DagSettings { org_min_usage_ms, min_apps, min_users, .. } = history.on(day(text)).definition;
            (org_min_usage_ms, min_apps, min_users)
        };
        assert_eq!(on("2026-03-09"), (600_000, 3, 2));
        assert_eq!(on("2026-03-10"), (600_000, 4, 2));
        assert_eq!(on("2026-03-31"), (600_000, 4, 2));
        assert_eq!(on("2026-04-01"), (300_000, 4, 2));
        let days = |first: &str, last: &str| {
            let stretches = history.between(day(first), day(last));
            stretches
                .iter()
                .map(|s| format!("{} {}", format_day(s.first_day), format_day(s.last_day)))
                .collect::<Vec<_>>()
        };
        assert_eq!(days("2026-03-01", "2026-03-31"), ["2026-03-01 2026-03-09", "2026-03-10 2026-03-31"]);
        assert_eq!(days("2026-03-10", "2026-03-10"), ["2026-03-10 2026-03-10"]);
        assert_eq!(days("2026-05-01", "2026-05-02"), ["2026-05-01 2026-05-02"]);
    }

    #[test]
    fn before_the_first_day_named_the_defaults_hold() {
        for brackets in [("[", "]"), ("[[", "]]")] {
            let text = format!("{}deep{}\nvalid_from = \"2026-03-10\"\nsystems = 2\n", brackets.0, brackets.1);
            let history = parse(&text).deep;
            assert_eq!(history.on(day("2026-03-09")), &Entry { valid_from: None, definition: DeepSettings::default() });
            assert_eq!(history.on(day("2026-03-10")).definition.systems, 2);
        }
    }

    fn check_refused(text: &str, expected: &[&str]) {
        let message = Settings::parse(text).expect_err("must be refused").to_string();
        for part in expected {
            assert!(message.contains(part), "{part:?} is not in: {message}");
        }
    }

    #[test]
    fn a_wrong_entry_is_named_with_its_line() {
        let second = |rest: &str| format!("[[dag]]\nmin_apps = 2\n\n[[dag]]\n{rest}\n");
        check_refused(&second("min_apps = 4"), &["line 4", "needs `valid_from`"]);
        check_refused(&second("valid_from = \"2026-02-30\""), &["line 5", "2026-02-30", "not a day"]);
        check_refused(&second("min_app = 4"), &["line 5", "min_app", "min_apps", "valid_from"]);
        check_refused(&second("valid_from = \"2026-03-01\"\nmin_users = -1"), &["line 6", "min_users"]);
        let twice = "valid_from = \"2026-03-01\"\n[[dag]]\nvalid_from = \"2026-03-01\"";
        check_refused(&second(twice), &["line 7", "does not come after `2026-03-01`"]);
        check_refused("dag = 3\n", &["line 1", "a table, or a list of tables"]);
    }
}
