//! Polars jobs: what a data frame says better than SQL (cohorts, growth accounting).
//! A job gets batches and parameters and gives one batch; it knows neither the store nor the engine.

mod answer;
mod growth;
mod retention;
mod visits;

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::{Error, Result};
use crate::period::{Day, WeekStart};

/// What every job is told.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The first observed day.
    pub first_day: Day,
    /// The last observed day, cut at the report day.
    pub as_of: Day,
    /// The day on which a week begins.
    pub week_start: WeekStart,
}

/// The names of the jobs that `[job] name` may say.
pub const JOBS: &[&str] = &["retention", "growth_accounting"];

/// The entities of table `entity_day`, in the order in which reports list them.
const ENTITIES: [&str; 3] = ["dag", "org", "user"];

/// The table that both jobs read: each day on which a user or an org was active, or an org was DAG.
const ENTITY_DAY: &str = "entity_day";

/// Runs a job on the input tables it reads and gives its rows in key order, in the schema that [`schema`] tells.
/// `job` is the `[job]` table of `query.toml` as key and value.
pub fn run(
    job: &BTreeMap<String, String>,
    inputs: &BTreeMap<String, Vec<RecordBatch>>,
    frame: Frame,
) -> Result<RecordBatch> {
    let job = Job::read(job)?;
    let batches = inputs.get(ENTITY_DAY).ok_or_else(|| {
        Error::Definition(format!("the job reads table `{ENTITY_DAY}`, which it was not given; add it to `reads`"))
    })?;
    match job {
        Job::Retention { entity } => retention::run(batches, entity, frame),
        Job::GrowthAccounting => growth::run(batches, frame),
    }
}

/// The schema of a job's result, known without running it. Columns that may be empty are nullable.
pub fn schema(job: &BTreeMap<String, String>) -> Result<SchemaRef> {
    Ok(match Job::read(job)? {
        Job::Retention { .. } => retention::schema(),
        Job::GrowthAccounting => growth::schema(),
    })
}

/// A job and its own keys, understood.
#[derive(Debug, Clone, Copy)]
enum Job {
    Retention { entity: &'static str },
    GrowthAccounting,
}

impl Job {
    fn read(job: &BTreeMap<String, String>) -> Result<Self> {
        let (name, keys): (_, &[&str]) = match job.get("name").map(String::as_str) {
            Some(name @ "retention") => (name, &["name", "entity"]),
            Some(name @ "growth_accounting") => (name, &["name"]),
            Some(name) => {
                return Err(Error::Definition(format!("no job is called name=`{name}`; known: {}", JOBS.join(", "))));
            }
            None => return Err(Error::Definition(format!("[job] has no `name`; known: {}", JOBS.join(", ")))),
        };
        if let Some(unknown) = job.keys().find(|key| !keys.contains(&key.as_str())) {
            return Err(Error::Definition(format!(
                "[job] of `{name}` has an unknown key `{unknown}`; known: {}",
                keys.join(", ")
            )));
        }
        if name == "growth_accounting" {
            return Ok(Self::GrowthAccounting);
        }
        let asked = job.get("entity").map_or("", String::as_str);
        ENTITIES.into_iter().find(|known| *known == asked).map(|entity| Self::Retention { entity }).ok_or_else(|| {
            Error::Definition(format!("[job] of `retention` has entity=`{asked}`; known: {}", ENTITIES.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn check_refused(pairs: &[(&str, &str)], expected: &str) {
        let error = schema(&job(pairs)).expect_err("a wrong job");
        assert!(matches!(error, Error::Definition(_)), "{error:?}");
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn wrong_jobs_are_refused() {
        check_refused(&[], "[job] has no `name`; known: retention, growth_accounting");
        check_refused(
            &[("name", "milestones")],
            "no job is called name=`milestones`; known: retention, growth_accounting",
        );
        check_refused(&[("name", "retention")], "[job] of `retention` has entity=``; known: dag, org, user");
        check_refused(
            &[("name", "retention"), ("entity", "app")],
            "[job] of `retention` has entity=`app`; known: dag, org, user",
        );
        check_refused(
            &[("name", "growth_accounting"), ("entity", "user")],
            "[job] of `growth_accounting` has an unknown key `entity`; known: name",
        );
    }

    #[test]
    fn a_missing_table_is_a_definition_error() {
        let frame = Frame { first_day: 0, as_of: 9, week_start: WeekStart::Monday };
        let error = run(&job(&[("name", "growth_accounting")]), &BTreeMap::new(), frame).expect_err("no table");
        assert!(matches!(error, Error::Definition(_)), "{error:?}");
    }

    #[test]
    fn every_named_job_has_a_schema() {
        for name in JOBS {
            let mut keys = job(&[("name", name)]);
            if *name == "retention" {
                keys.insert("entity".into(), "user".into());
            }
            assert!(!schema(&keys).expect("a schema").fields().is_empty());
        }
    }
}
