//! Deep integration over time: the counters of the trailing 28 days of each organisation, and its level.
//! It knows table `integration_day`; it does not know what makes a day one of production or of a stage, nor what a level
//! needs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, DictionaryArray, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Date32Type, Field, Int32Type, Schema, SchemaRef};
use hashbrown::HashMap;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::Frame;
use super::answer::{self, Kind, Shape};
use super::input::{column, mistyped, wrong};
use super::levels::{Counters, Levels, LevelsByDay};
use crate::error::{Error, Result};
use crate::period::{Day, format_day};

/// The table that is read.
pub(super) const TABLE: &str = "integration_day";

const COLUMNS: &[Shape] = &[
    ("org_id", Kind::Text, false),
    ("from_day", Kind::Date, false),
    ("until_day", Kind::Date, false),
    ("level", Kind::Integer, false),
    ("previous_level", Kind::Integer, true),
    ("systems", Kind::Integer, false),
    ("production_days", Kind::Integer, false),
    ("store_days", Kind::Integer, false),
    ("process_days", Kind::Integer, false),
    ("flow_days", Kind::Integer, false),
    ("decide_days", Kind::Integer, false),
];

/// The columns that say something of a day, in the order of `Counters::days`.
const FACTS: [&str; 6] = ["is_eligible", "is_production", "is_store", "is_process", "is_flow", "is_decide"];

const WINDOW: Day = 28;

/// The columns of the windows.
pub(super) fn schema() -> SchemaRef {
    answer::schema(COLUMNS)
}

/// The windows of all organisations.
pub(super) fn run(files: &[PathBuf], levels: &LevelsByDay, frame: Frame) -> Result<RecordBatch> {
    let mut days = Days::default();
    for path in files {
        days.read(path, frame.as_of)?;
    }
    let (names, days, systems) = days.by_org()?;
    let (used, windows) = (vec![0; systems.count], Windows::default());
    let mut sweep = Sweep { frame, levels, systems: &systems, used, windows };
    let mut rest = days.as_slice();
    for (org, name) in names.iter().enumerate() {
        let (of_org, after) = rest.split_at(rest.partition_point(|day| day.org as usize <= org));
        rest = after;
        sweep.org(name, of_org)?;
    }
    sweep.windows.batch()
}

/// A day of an organisation with an event.
#[derive(Debug, Clone, Copy)]
struct OrgDay {
    org: u32,
    day: Day,
    /// The set of systems used, by number.
    systems: u32,
    /// Bit `n` is the n-th of [`FACTS`].
    facts: u8,
}

/// What is read, with names as numbers in the order in which they came.
#[derive(Default)]
struct Days {
    rows: Vec<OrgDay>,
    orgs: Numbers,
    systems: Numbers,
}

#[derive(Default)]
struct Numbers {
    of: HashMap<String, u32>,
    names: Vec<String>,
}

impl Numbers {
    fn number(&mut self, name: &str) -> Result<u32> {
        if let Some(&number) = self.of.get(name) {
            return Ok(number);
        }
        let number = u32::try_from(self.names.len()).map_err(|_| wrong(TABLE, "more than 2^32 names"))?;
        self.of.insert(name.to_owned(), number);
        self.names.push(name.to_owned());
        Ok(number)
    }
}

impl Days {
    fn read(&mut self, path: &Path, as_of: Day) -> Result<()> {
        let broken = |error: &dyn std::fmt::Display| Error::path("read", path, error);
        let file = File::open(path).map_err(|e| Error::path("open", path, e))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|e| broken(&e))?;
        let options = ArrowReaderOptions::new().with_schema(with_dictionaries(metadata.schema()));
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(|e| broken(&e))?;
        // The names of a row group come once, and each row is a number: what is numbered once is not looked up again.
        let (mut orgs, mut systems) = (Numbered::default(), Numbered::default());
        for batch in builder.with_batch_size(1 << 14).build().map_err(|e| broken(&e))? {
            let batch = batch.map_err(|e| broken(&e))?;
            let days = column(TABLE, &batch, "day")?
                .as_primitive_opt::<Date32Type>()
                .ok_or_else(|| mistyped(TABLE, "day", "a date"))?;
            let facts = FACTS.map(|name| {
                column(TABLE, &batch, name)?.as_boolean_opt().ok_or_else(|| mistyped(TABLE, name, "a boolean")).cloned()
            });
            let facts: Vec<BooleanArray> = facts.into_iter().collect::<Result<_>>()?;
            let (orgs, org_keys) = orgs.of(&batch, "org_id", &mut self.orgs)?;
            let (systems, system_keys) = systems.of(&batch, "systems", &mut self.systems)?;
            for row in (0..batch.num_rows()).filter(|&row| days.value(row) <= as_of) {
                let number = |numbers: &[u32], key: i32| {
                    usize::try_from(key).ok().and_then(|key| numbers.get(key)).copied().unwrap_or_default()
                };
                let bit = |(fact, bit): (&BooleanArray, u32)| u8::from(fact.value(row)) << bit;
                self.rows.push(OrgDay {
                    org: number(orgs, org_keys.value(row)),
                    day: days.value(row),
                    systems: number(systems, system_keys.value(row)),
                    facts: facts.iter().zip(0..).map(bit).fold(0, |all, bit| all | bit),
                });
            }
        }
        Ok(())
    }

    /// The names of the organisations in order, their days in order with the places of those names, and the systems.
    fn by_org(self) -> Result<(Vec<String>, Vec<OrgDay>, Systems)> {
        let systems = Systems::of(&self.systems.names)?;
        let mut order: Vec<usize> = (0..self.orgs.names.len()).collect();
        order.sort_unstable_by_key(|&number| &self.orgs.names[number]);
        let mut places = vec![0; order.len()];
        for (&number, place) in order.iter().zip(0..) {
            places[number] = place;
        }
        let mut rows = self.rows;
        for row in &mut rows {
            row.org = places[row.org as usize];
        }
        rows.sort_unstable_by_key(|row| (row.org, row.day));
        let mut names = self.orgs.names;
        Ok((order.into_iter().map(|number| std::mem::take(&mut names[number])).collect(), rows, systems))
    }
}

/// The numbers of the values of one dictionary, which many batches share.
#[derive(Default)]
struct Numbered {
    values: Option<ArrayRef>,
    numbers: Vec<u32>,
}

impl Numbered {
    fn of(&mut self, batch: &RecordBatch, name: &str, all: &mut Numbers) -> Result<(&[u32], arrow::array::Int32Array)> {
        let column = column(TABLE, batch, name)?;
        let column: &DictionaryArray<Int32Type> =
            column.as_dictionary_opt().ok_or_else(|| mistyped(TABLE, name, "text"))?;
        if !self.values.as_ref().is_some_and(|known| Arc::ptr_eq(known, column.values())) {
            let values = column.values().as_string_opt::<i32>().ok_or_else(|| mistyped(TABLE, name, "text"))?;
            let numbers = values.iter().map(|value| all.number(value.unwrap_or_default()));
            self.numbers = numbers.collect::<Result<_>>()?;
            self.values = Some(Arc::clone(column.values()));
        }
        Ok((&self.numbers, column.keys().clone()))
    }
}

/// The sets of systems: for each set the numbers of its systems.
struct Systems {
    sets: Vec<Vec<u32>>,
    count: usize,
}

impl Systems {
    fn of(sets: &[String]) -> Result<Self> {
        let mut numbers = Numbers::default();
        // Names are escaped, so a `;` always parts two of them.
        let set =
            |text: &String| text.split(';').filter(|name| !name.is_empty()).map(|name| numbers.number(name)).collect();
        let sets = sets.iter().map(set).collect::<Result<_>>()?;
        Ok(Self { sets, count: numbers.names.len() })
    }
}

struct Sweep<'a> {
    frame: Frame,
    levels: &'a LevelsByDay,
    systems: &'a Systems,
    // Days of the window on which each system was used; all 0 between organisations.
    used: Vec<u32>,
    windows: Windows,
}

impl Sweep<'_> {
    /// One organisation: a day counts from itself until 28 days later, so counters change on such days only; the level
    /// may also change on a day on which other thresholds begin.
    fn org(&mut self, name: &str, days: &[OrgDay]) -> Result<()> {
        let Some(first) = days.first() else { return Ok(()) };
        if let Some(twice) = days.windows(2).find(|pair| pair[0].day == pair[1].day) {
            let day = format_day(twice[0].day);
            return Err(wrong(TABLE, &format!("day={day}, org_id=`{name}` twice")));
        }
        let (mut coming, mut leaving) = (days.iter().peekable(), days.iter().peekable());
        let (mut levels, mut other_levels) = self.levels.from(first.day)?;
        let mut counters = Counters::default();
        let mut shown: Option<Shown> = None;
        self.windows.begin();
        loop {
            let comes = coming.peek().map(|day| day.day);
            let leaves = leaving.peek().map(|day| day.day + WINDOW);
            let changes = other_levels.first().map(|(day, _)| *day);
            let next = comes.into_iter().chain(leaves).chain(changes).min();
            let Some(today) = next.filter(|&day| day <= self.frame.as_of) else { break };
            if let Some(day) = coming.next_if(|day| day.day == today) {
                self.count(&mut counters, day, 1);
            }
            if let Some(day) = leaving.next_if(|day| day.day + WINDOW == today) {
                self.count(&mut counters, day, -1);
            }
            if let Some(((day, begun), later)) = other_levels.split_first()
                && *day == today
            {
                (levels, other_levels) = (*begun, later);
            }
            let now = Shown::of(&counters, levels);
            if shown != Some(now) {
                self.windows.add(name, today, now, shown.map(|before| before.level), self.frame.as_of);
            }
            shown = Some(now);
        }
        // What has not left yet makes room for the next organisation.
        for day in leaving {
            self.count(&mut counters, day, -1);
        }
        Ok(())
    }

    fn count(&mut self, counters: &mut Counters, day: &OrgDay, step: i64) {
        counters.active += step;
        for (sum, bit) in counters.days.iter_mut().zip(0..) {
            *sum += i64::from(day.facts >> bit & 1) * step;
        }
        for &system in self.systems.sets.get(day.systems as usize).into_iter().flatten() {
            let Some(used) = self.used.get_mut(system as usize) else { continue };
            let was_used = *used > 0;
            *used = if step > 0 { *used + 1 } else { used.saturating_sub(1) };
            counters.systems += i64::from(*used > 0) - i64::from(was_used);
        }
    }
}

/// What a row says: the level, and the counters that it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    level: i64,
    systems: i64,
    days: [i64; 5],
}

impl Shown {
    fn of(counters: &Counters, levels: Levels) -> Self {
        let [_, days @ ..] = counters.days;
        Self { level: levels.reached(counters), systems: counters.systems, days }
    }
}

/// The columns of the result.
#[derive(Default)]
struct Windows {
    org_ids: Vec<String>,
    from: Vec<Day>,
    until: Vec<Day>,
    rows: Vec<Shown>,
    previous: Vec<Option<i64>>,
    // Where the rows of the organisation begin.
    start: usize,
}

impl Windows {
    fn begin(&mut self) {
        self.start = self.from.len();
    }

    fn add(&mut self, name: &str, day: Day, row: Shown, previous: Option<i64>, as_of: Day) {
        if self.from.len() > self.start
            && let Some(until) = self.until.last_mut()
        {
            *until = day - 1;
        }
        self.org_ids.push(name.to_owned());
        self.from.push(day);
        self.until.push(as_of);
        self.rows.push(row);
        self.previous.push(previous);
    }

    fn batch(self) -> Result<RecordBatch> {
        let number = |value: &dyn Fn(&Shown) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(self.rows.iter().map(value)))
        };
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(&self.org_ids)),
            Arc::new(Date32Array::from_iter_values(self.from.iter().copied())),
            Arc::new(Date32Array::from_iter_values(self.until.iter().copied())),
            number(&|row| row.level),
            Arc::new(self.previous.iter().copied().collect::<Int64Array>()),
            number(&|row| row.systems),
        ];
        columns.extend((0..5).map(|place| number(&|row| row.days[place])));
        RecordBatch::try_new(schema(), columns)
            .map_err(|e| Error::Internal(format!("a job's columns are not those of its schema: {e}")))
    }
}

// The same columns, text as numbers of a dictionary.
fn with_dictionaries(schema: &Schema) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            let kind = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            Arc::new(field.as_ref().clone().with_data_type(kind))
        }
        _ => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}
