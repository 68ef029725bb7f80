//! Jobs that a data frame says better than SQL: counts over activity calendars, shaped into tables by Polars.
//! A job gets the Parquet files of the tables it reads and gives one batch; it knows neither the store nor the engine.

mod answer;
mod growth;
mod input;
mod integration;
mod levels;
mod retention;
mod stickiness;
mod trailing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::calendar::{self, Calendars, ENTITIES, Range};
use crate::error::{Error, Result};
use crate::period::{Day, WeekStart};
use levels::LevelsByDay;

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
pub const JOBS: &[&str] = &["deep_window", "growth_accounting", "retention", "stickiness", "trailing_activity"];

/// The Parquet files of each table that a job reads, by the table's name.
pub type Inputs = BTreeMap<String, Vec<PathBuf>>;

/// The jobs of one run. They share the calendars of each entity, which are read once.
#[derive(Debug, Default)]
pub struct Jobs {
    calendars: Mutex<BTreeMap<Shelf, Arc<Calendars>>>,
}

/// What calendars depend on. A file keeps its name for as long as it keeps its rows.
type Shelf = (Vec<PathBuf>, &'static str, Range);

impl Jobs {
    /// Runs a job on the tables it reads and gives its rows in key order, in the schema that [`schema`] tells.
    /// `job` is the `[job]` table of `query.toml` as key and value.
    pub fn run(&self, job: &BTreeMap<String, String>, inputs: &Inputs, frame: Frame) -> Result<RecordBatch> {
        let job = Job::read(job)?;
        let Some(range) = Range::new(frame.first_day, frame.as_of) else {
            return Ok(RecordBatch::new_empty(job.schema()));
        };
        let of = |entity| self.calendars_of(files_of(inputs, calendar::TABLE)?, entity, range);
        match job {
            Job::DeepWindow => {
                let levels = LevelsByDay::read(files_of(inputs, levels::TABLE)?)?;
                integration::run(files_of(inputs, integration::TABLE)?, &levels, frame)
            }
            Job::Retention { entity } => retention::run(of(entity)?.as_ref(), frame),
            Job::GrowthAccounting => growth::run(&all(of)?, frame),
            Job::Stickiness => stickiness::run(&all(of)?),
            Job::TrailingActivity => trailing::run(&all(of)?),
        }
    }

    // Whoever asks while calendars are being read waits for them.
    fn calendars_of(&self, files: &[PathBuf], entity: &'static str, range: Range) -> Result<Arc<Calendars>> {
        let mut shelves = self.calendars.lock().unwrap_or_else(PoisonError::into_inner);
        let shelf = (files.to_vec(), entity, range);
        if let Some(calendars) = shelves.get(&shelf) {
            return Ok(Arc::clone(calendars));
        }
        let calendars = Arc::new(Calendars::read(files, entity, range)?);
        shelves.insert(shelf, Arc::clone(&calendars));
        Ok(calendars)
    }
}

/// The schema of a job's result, known without running it. Columns that may be empty are nullable.
pub fn schema(job: &BTreeMap<String, String>) -> Result<SchemaRef> {
    Job::read(job).map(Job::schema)
}

/// The settings that a job's result depends on, by the names that they have as parameters of SQL.
#[must_use]
pub fn parameters(job: &BTreeMap<String, String>) -> &'static [&'static str] {
    match Job::read(job) {
        Ok(Job::DeepWindow | Job::Stickiness | Job::TrailingActivity) => &["first_day", "as_of"],
        Ok(Job::GrowthAccounting | Job::Retention { .. }) | Err(_) => &["first_day", "as_of", "week_start"],
    }
}

/// The calendars of an entity under its name.
type Named = (&'static str, Arc<Calendars>);

fn all(of: impl Fn(&'static str) -> Result<Arc<Calendars>>) -> Result<Vec<Named>> {
    ENTITIES.into_iter().map(|entity| Ok((entity, of(entity)?))).collect()
}

fn files_of<'a>(inputs: &'a Inputs, table: &str) -> Result<&'a [PathBuf]> {
    inputs.get(table).map(Vec::as_slice).ok_or_else(|| {
        Error::Definition(format!("the job reads table `{table}`, which it was not given; add it to `reads`"))
    })
}

/// A job and its own keys, understood.
#[derive(Debug, Clone, Copy)]
enum Job {
    DeepWindow,
    GrowthAccounting,
    Retention { entity: &'static str },
    Stickiness,
    TrailingActivity,
}

impl Job {
    fn read(job: &BTreeMap<String, String>) -> Result<Self> {
        let Some(name) = job.get("name") else {
            return Err(Error::Definition(format!("[job] has no `name`; known: {}", JOBS.join(", "))));
        };
        let keys: &[&str] = if name == "retention" { &["name", "entity"] } else { &["name"] };
        let known = match name.as_str() {
            "deep_window" => Ok(Self::DeepWindow),
            "growth_accounting" => Ok(Self::GrowthAccounting),
            "retention" => Self::retention(job),
            "stickiness" => Ok(Self::Stickiness),
            "trailing_activity" => Ok(Self::TrailingActivity),
            _ => return Err(Error::Definition(format!("no job is called name=`{name}`; known: {}", JOBS.join(", ")))),
        };
        if let Some(unknown) = job.keys().find(|key| !keys.contains(&key.as_str())) {
            return Err(Error::Definition(format!(
                "[job] of `{name}` has an unknown key `{unknown}`; known: {}",
                keys.join(", ")
            )));
        }
        known
    }

    fn retention(job: &BTreeMap<String, String>) -> Result<Self> {
        let asked = job.get("entity").map_or("", String::as_str);
        ENTITIES.into_iter().find(|known| *known == asked).map(|entity| Self::Retention { entity }).ok_or_else(|| {
            Error::Definition(format!("[job] of `retention` has entity=`{asked}`; known: {}", ENTITIES.join(", ")))
        })
    }

    fn schema(self) -> SchemaRef {
        match self {
            Self::DeepWindow => integration::schema(),
            Self::GrowthAccounting => growth::schema(),
            Self::Retention { .. } => retention::schema(),
            Self::Stickiness => stickiness::schema(),
            Self::TrailingActivity => trailing::schema(),
        }
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
        let known = JOBS.join(", ");
        check_refused(&[], &format!("[job] has no `name`; known: {known}"));
        check_refused(&[("name", "milestones")], &format!("no job is called name=`milestones`; known: {known}"));
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
        let error = Jobs::default().run(&job(&[("name", "stickiness")]), &Inputs::new(), frame).expect_err("no table");
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
