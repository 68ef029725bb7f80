//! Jobs that a data frame says better than SQL: counts over activity calendars, shaped into tables by Polars.
//! A job gets the Parquet files of the tables it reads and gives one batch; it knows neither the store nor the engine.

mod answer;
mod events;
mod growth;
mod integration;
mod job;
mod keys;
mod levels;
mod retention;
mod stickiness;
mod streaks;
mod trailing;

pub use job::{EventQuery, Job};
pub use keys::{Refusal, Written};

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use chrono_tz::Tz;

use crate::calendar::{self, Calendars, Entities, Range};
use crate::error::{Error, Result};
use crate::period::{Day, WeekStart};
use events::Events;
use job::Kind;
use keys::Step;
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
    /// The reporting zone.
    pub time_zone: Tz,
}

/// The Parquet files of each table that a job reads, by the table's name.
pub type Inputs = BTreeMap<String, Vec<PathBuf>>;

/// The jobs of one run. They share the calendars of each entity, which are read once.
#[derive(Debug, Default)]
pub struct Jobs {
    // By the files, which keep their names for as long as they keep their rows.
    shelves: Mutex<BTreeMap<Vec<PathBuf>, Shelf>>,
}

/// What was read of some files.
#[derive(Debug)]
struct Shelf {
    entities: Entities,
    calendars: BTreeMap<(&'static str, Range), Arc<Calendars>>,
}

impl Jobs {
    /// Runs a job on the tables it reads, those of its event queries among them, and gives its rows in key order, in the
    /// schema that it tells; texts may be coded.
    pub fn run(&self, job: &Job, inputs: &Inputs, frame: Frame) -> Result<RecordBatch> {
        let Some(range) = Range::new(frame.first_day, frame.as_of) else {
            return Ok(RecordBatch::new_empty(job.schema()));
        };
        let over = Over { jobs: self, inputs, range };
        match &job.kind {
            Kind::DeepWindow => {
                let levels = LevelsByDay::read(files_of(inputs, levels::TABLE)?)?;
                integration::run(files_of(inputs, integration::TABLE)?, &levels, frame)
            }
            Kind::Retention(job) => job.run(|step| over.histories(job.entity, step, job.events.as_ref()), frame),
            Kind::Growth(job) => job.run(|entity, step| over.active(entity, step, job.events.as_ref()), frame),
            Kind::Stickiness(job) => job.run(&over.all(&job.entities, job.step, job.events.as_ref())?, frame),
            Kind::Streaks(job) => job.run(&over.all(&job.entities, job.step, job.events.as_ref())?, frame),
            Kind::Trailing(job) => job.run(&over.all(&job.entities, Step::Day, job.events.as_ref())?),
        }
    }

    // Whoever asks while calendars are being read waits for them.
    fn calendars_of(&self, files: &[PathBuf], entity: &'static str, range: Range) -> Result<Arc<Calendars>> {
        let mut shelves = self.shelves.lock().unwrap_or_else(PoisonError::into_inner);
        let Shelf { entities, calendars } = match shelves.entry(files.to_vec()) {
            Entry::Occupied(shelf) => shelf.into_mut(),
            Entry::Vacant(place) => {
                place.insert(Shelf { entities: Entities::find(files)?, calendars: BTreeMap::new() })
            }
        };
        match calendars.entry((entity, range)) {
            Entry::Occupied(calendars) => Ok(Arc::clone(calendars.get())),
            Entry::Vacant(place) => Ok(Arc::clone(place.insert(Arc::new(entities.read(entity, range)?)))),
        }
    }
}

/// The calendars of an entity under its name.
type Named = (&'static str, Arc<Calendars>);

/// When each id of an entity started and when it was seen, in calendars that were read beside each other, or the same.
struct Histories {
    starts: Arc<Calendars>,
    returns: Arc<Calendars>,
}

/// What a job looks at.
#[derive(Clone, Copy)]
struct Over<'a> {
    jobs: &'a Jobs,
    inputs: &'a Inputs,
    range: Range,
}

impl Over<'_> {
    /// The days on which each id of an entity was active, or had the events that a period of this length needs.
    fn active(self, entity: &'static str, step: Step, events: Option<&Events>) -> Result<Arc<Calendars>> {
        let Some(events) = events else {
            return self.jobs.calendars_of(files_of(self.inputs, calendar::TABLE)?, entity, self.range);
        };
        let files = files_of(self.inputs, &job::event_table(entity, step))?;
        Entities::find(files)?.read(&events.returns_of(step), self.range).map(Arc::new)
    }

    fn all(self, entities: &[&'static str], step: Step, events: Option<&Events>) -> Result<Vec<Named>> {
        entities.iter().map(|&entity| Ok((entity, self.active(entity, step, events)?))).collect()
    }

    fn histories(self, entity: &'static str, step: Step, events: Option<&Events>) -> Result<Histories> {
        let Some(events) = events else {
            let calendars = self.active(entity, step, None)?;
            return Ok(Histories { starts: Arc::clone(&calendars), returns: calendars });
        };
        let files = files_of(self.inputs, &job::event_table(entity, step))?;
        let entities = [events::START, &events.returns_of(step)];
        let [starts, returns] = Entities::find(files)?.read_beside(entities, self.range)?;
        Ok(Histories { starts: Arc::new(starts), returns: Arc::new(returns) })
    }
}

fn files_of<'a>(inputs: &'a Inputs, table: &str) -> Result<&'a [PathBuf]> {
    inputs.get(table).map(Vec::as_slice).ok_or_else(|| {
        Error::Definition(format!("the job reads table `{table}`, which it was not given; add it to `reads`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_table_is_a_definition_error() {
        let frame = Frame { first_day: 0, as_of: 9, week_start: WeekStart::Monday, time_zone: Tz::UTC };
        let job = Job::read(&toml::from_str("name = \"stickiness\"").expect("toml")).expect("a job");
        let error = Jobs::default().run(&job, &Inputs::new(), frame).expect_err("no table");
        assert!(matches!(error, Error::Definition(_)), "{error:?}");
    }
}
