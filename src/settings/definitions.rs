//! What makes an organisation DAG or deeply integrated, key by key, as `[dag]` and `[deep]` say it.
//! It does not know how anything is counted.

use serde::de::value::MapDeserializer;
use serde::de::{self, Deserializer, MapAccess};
use serde::{Deserialize, Serialize};

use super::history::{Definition, History, VALID_FROM};
use super::{Settings, parse_units};
use crate::error::{Error, Result as Outcome};

/// The thresholds of a daily active organisation, as `[dag]` says them for some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DagSettings {
    /// The usage an organisation needs on the day, in ms.
    pub org_min_usage_ms: i64,
    /// The usage an app needs to count, in ms.
    pub app_min_usage_ms: i64,
    /// The number of such apps.
    pub min_apps: u32,
    /// The number of distinct users.
    pub min_users: u32,
}

/// The thresholds of deep integration, as `[deep]` says them for some days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeepSettings {
    /// Categories whose apps are no sign of integration.
    pub excluded_categories: Vec<String>,
    /// Days on a production system, for `connected`.
    pub production_days: u32,
    /// Distinct production systems, for `connected`.
    pub systems: u32,
    /// Days of storing, for `data_loop`.
    pub store_days: u32,
    /// Days of processing, for `data_loop`.
    pub process_days: u32,
    /// Days of passing on, for `data_loop`.
    pub flow_days: u32,
    /// Days of deciding, for `deep`.
    pub decide_days: u32,
}

impl Default for DagSettings {
    fn default() -> Self {
        Self { org_min_usage_ms: 600_000, app_min_usage_ms: 60_000, min_apps: 3, min_users: 1 }
    }
}

impl Default for DeepSettings {
    fn default() -> Self {
        Self {
            excluded_categories: vec!["communication".into(), "hr".into()],
            production_days: 8,
            systems: 1,
            store_days: 4,
            process_days: 4,
            flow_days: 4,
            decide_days: 2,
        }
    }
}

impl Definition for DagSettings {
    const KEYS: &'static [&'static str] = &[VALID_FROM, "org_min_usage", "app_min_usage", "min_apps", "min_users"];

    fn read<'de, M: MapAccess<'de>>(&mut self, key: &str, values: &mut M) -> Result<(), M::Error> {
        match key {
            "org_min_usage" => self.org_min_usage_ms = values.next_value::<Milliseconds>()?.0,
            "app_min_usage" => self.app_min_usage_ms = values.next_value::<Milliseconds>()?.0,
            "min_apps" => self.min_apps = values.next_value()?,
            "min_users" => self.min_users = values.next_value()?,
            _ => return Err(de::Error::unknown_field(key, Self::KEYS)),
        }
        Ok(())
    }
}

impl Definition for DeepSettings {
    const KEYS: &'static [&'static str] = &[
        VALID_FROM,
        "excluded_categories",
        "production_days",
        "systems",
        "store_days",
        "process_days",
        "flow_days",
        "decide_days",
    ];

    fn read<'de, M: MapAccess<'de>>(&mut self, key: &str, values: &mut M) -> Result<(), M::Error> {
        match key {
            "excluded_categories" => self.excluded_categories = values.next_value()?,
            "production_days" => self.production_days = values.next_value()?,
            "systems" => self.systems = values.next_value()?,
            "store_days" => self.store_days = values.next_value()?,
            "process_days" => self.process_days = values.next_value()?,
            "flow_days" => self.flow_days = values.next_value()?,
            "decide_days" => self.decide_days = values.next_value()?,
            _ => return Err(de::Error::unknown_field(key, Self::KEYS)),
        }
        Ok(())
    }
}

impl Settings {
    /// Sets one key of `[dag]` or `[deep]` on all days, whatever entries there are: `dag.min_apps=4`, the value as in the
    /// settings file; text may stand without quotes. `Error::Usage` for another key or a value that it cannot have.
    pub fn set_on_all_days(&mut self, assignment: &str) -> Outcome<()> {
        let refuse = |why: &str| Error::Usage(format!("cannot set `{assignment}`: {why}"));
        let keys = || {
            let named = |table, keys: &[&str]| keys.iter().map(move |key| format!("{table}.{key}")).collect::<Vec<_>>();
            [named("dag", values_of::<DagSettings>()), named("deep", values_of::<DeepSettings>())].concat().join(", ")
        };
        let (path, value) = assignment.split_once('=').ok_or_else(|| {
            refuse(&format!("write a key, an equals sign and a value, as in dag.min_apps=4; keys are {}", keys()))
        })?;
        let (path, value) = (path.trim(), value.trim());
        let value = value.parse().unwrap_or_else(|_| toml::Value::String(value.to_owned()));
        let known = match path.split_once('.') {
            Some(("dag", key)) => set(&mut self.dag, key, &value),
            Some(("deep", key)) => set(&mut self.deep, key, &value),
            Some(("who", _)) => {
                return Err(refuse(
                    "[who] decides what the store's rollups count, and they would have to be derived again; change the \
                     settings file beside a copy of the store",
                ));
            }
            _ => None,
        };
        let set = known.ok_or_else(|| refuse(&format!("no definition has the key `{path}`; keys are {}", keys())))?;
        set.map_err(|e| {
            let wrong = e.to_string();
            refuse(&format!(
                "{}; write the value as in the settings file, as in dag.min_apps=4, dag.org_min_usage=10m, \
                 deep.excluded_categories=[\"hr\"]",
                wrong.trim_end()
            ))
        })
    }
}

// The keys of an entry without the day from which on it holds.
fn values_of<T: Definition>() -> &'static [&'static str] {
    T::KEYS.split_first().map_or(&[], |(_, keys)| keys)
}

// `None` if there is no such key.
fn set<T: Definition>(history: &mut History<T>, key: &str, value: &toml::Value) -> Option<Result<(), toml::de::Error>> {
    let key = *values_of::<T>().iter().find(|known| **known == key)?;
    Some(history.definitions_mut().try_for_each(|definition| {
        let mut values = MapDeserializer::new([(key, value.clone())].into_iter());
        values.next_key::<String>()?;
        definition.read(key, &mut values)
    }))
}

struct Milliseconds(i64);

impl<'de> Deserialize<'de> for Milliseconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        parse_units(&text, &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)])
            .and_then(|ms| i64::try_from(ms).ok())
            .map(Self)
            .ok_or_else(|| {
                de::Error::custom(format!(
                    "`{text}` is not a duration; write a whole number with ms, s, m or h, as in \"10m\""
                ))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Settings {
        Settings::parse(text).expect("settings")
    }

    #[test]
    fn a_key_is_set_on_all_days() {
        let mut settings = parse("[[dag]]\n[[dag]]\nvalid_from = \"2026-03-10\"\nmin_users = 2\n");
        for assignment in ["dag.min_apps=4", "dag.org_min_usage = 15m", "deep.excluded_categories=[\"hr\"]"] {
            settings.set_on_all_days(assignment).expect(assignment);
        }
        let expected = parse(
            "[[dag]]\nmin_apps = 4\norg_min_usage = \"15m\"\n[[dag]]\nvalid_from = \"2026-03-10\"\nmin_users = 2\n\
             [deep]\nexcluded_categories = [\"hr\"]\n",
        );
        assert_eq!((settings.dag, settings.deep), (expected.dag, expected.deep));
    }

    fn check_not_set(assignment: &str, expected: &[&str]) {
        let error = Settings::default().set_on_all_days(assignment).expect_err("must be refused");
        assert!(matches!(error, Error::Usage(_)), "{error:?}");
        for part in expected.iter().chain(&[assignment]) {
            assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
        }
    }

    #[test]
    fn what_cannot_be_set_is_refused_with_what_can() {
        check_not_set("dag.min_apps", &["an equals sign", "dag.min_apps=4", "deep.decide_days"]);
        check_not_set("dag.min_app=4", &["`dag.min_app`", "dag.min_apps", "deep.decide_days"]);
        check_not_set("dag.valid_from=2026-03-01", &["no definition has the key"]);
        check_not_set("min_apps=4", &["`min_apps`", "dag.min_apps"]);
        check_not_set("dag.min_apps=many", &["invalid type", "many"]);
        check_not_set("dag.min_apps=-1", &["-1"]);
        check_not_set("dag.org_min_usage=600", &["expected a string"]);
        check_not_set("dag.org_min_usage=1.5h", &["not a duration"]);
        check_not_set("deep.excluded_categories=hr", &["expected a sequence"]);
        check_not_set("who.exclude_apps=[]", &["rollups", "copy of the store"]);
    }
}
