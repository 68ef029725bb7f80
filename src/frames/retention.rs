//! The cohort tables of one entity: who of those first seen in a period came back, by day, week and month.
//! It does not know what being active means.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{DataFrame, DataType, LazyFrame, NULL, PolarsResult, col, len, lit, when};

use super::Frame;
use super::answer::{self, Kind};
use super::visits::{Calendar, NEXT, PERIOD, PREVIOUS, Visits, carried, internal};
use crate::error::Result;
use crate::period::{Day, Grain};

const COHORT: &str = "cohort";
const AGE: &str = "age";

/// The columns of a retention table.
pub(super) fn schema() -> SchemaRef {
    answer::schema(&[
        ("grain", Kind::Text, false),
        ("cohort", Kind::Date, false),
        ("period", Kind::Integer, false),
        ("cohort_size", Kind::Integer, false),
        ("on", Kind::Integer, true),
        ("on_or_after", Kind::Integer, true),
        ("on_or_before", Kind::Integer, true),
        ("on_rate", Kind::Rate, true),
        ("on_or_after_rate", Kind::Rate, true),
        ("is_complete", Kind::Boolean, false),
        ("mature_on", Kind::Date, false),
    ])
}

/// The retention table of one entity.
pub(super) fn run(batches: &[RecordBatch], entity: &str, frame: Frame) -> Result<RecordBatch> {
    if frame.first_day > frame.as_of {
        return Ok(RecordBatch::new_empty(schema()));
    }
    let visits = Visits::gather(batches, entity, frame)?;
    let mut rows = Vec::new();
    // In the order of the grains' names.
    for (grain, limit) in [(Grain::Day, 30), (Grain::Month, 12), (Grain::Week(frame.week_start), 26)] {
        let calendar = Calendar::new(grain, frame);
        for (cohort, ages) in cohorts(&visits, &calendar, limit)? {
            rows.extend(cells(&calendar, cohort, &ages, limit, frame.as_of));
        }
    }
    batch(&rows)
}

/// What happened to a cohort at one age, counted in ids.
#[derive(Debug, Default, Clone, Copy)]
struct Age {
    /// Seen at this age.
    seen: i64,
    /// Seen for the last time at this age.
    last: i64,
    /// Seen for the second time at this age.
    returned: i64,
}

/// The cohorts by the number of their period, each with its ages; everything past the limit is one age more.
fn cohorts(visits: &Visits, calendar: &Calendar, limit: i32) -> Result<BTreeMap<i32, BTreeMap<i32, Age>>> {
    let mut cohorts: BTreeMap<i32, BTreeMap<i32, Age>> = BTreeMap::new();
    for steps in visits.steps(calendar) {
        let counted = count(steps?, limit).collect().map_err(|e| internal(&e))?;
        add(&mut cohorts, &counted).map_err(|e| internal(&e))?;
    }
    Ok(cohorts)
}

/// One group-by says it all: an id's rows are in order, so its first, second and last row are known from its neighbours.
fn count(steps: LazyFrame, limit: i32) -> LazyFrame {
    let first_period = when(col(PREVIOUS).is_null()).then(col(PERIOD)).otherwise(lit(NULL));
    let age = col(PERIOD) - col(COHORT);
    steps
        .with_column(carried(first_period).alias(COHORT))
        .with_column(when(age.clone().gt(lit(limit))).then(lit(limit + 1)).otherwise(age).alias(AGE))
        .group_by([col(COHORT), col(AGE)])
        .agg([
            len().cast(DataType::Int64).alias("seen"),
            col(NEXT).is_null().sum().cast(DataType::Int64).alias("last"),
            col(PREVIOUS).eq(col(COHORT)).sum().cast(DataType::Int64).alias("returned"),
        ])
}

fn add(cohorts: &mut BTreeMap<i32, BTreeMap<i32, Age>>, counted: &DataFrame) -> PolarsResult<()> {
    let (cohort, age) = (counted.column(COHORT)?.i32()?, counted.column(AGE)?.i32()?);
    let counts = |name| counted.column(name)?.i64();
    let (seen, last, returned) = (counts("seen")?, counts("last")?, counts("returned")?);
    for row in 0..counted.height() {
        let (Some(cohort), Some(age)) = (cohort.get(row), age.get(row)) else { continue };
        let sum = cohorts.entry(cohort).or_default().entry(age).or_default();
        sum.seen += seen.get(row).unwrap_or(0);
        sum.last += last.get(row).unwrap_or(0);
        sum.returned += returned.get(row).unwrap_or(0);
    }
    Ok(())
}

/// One row of the table.
struct Cell {
    grain: &'static str,
    cohort: Day,
    period: i32,
    cohort_size: i64,
    /// Empty until the period is over.
    retained: Option<Retained>,
    mature_on: Day,
}

#[derive(Clone, Copy)]
struct Retained {
    on: i64,
    on_or_after: i64,
    on_or_before: Option<i64>,
}

/// The rows of a cohort, one for each period up to the one that holds the report day.
fn cells(calendar: &Calendar, cohort: i32, ages: &BTreeMap<i32, Age>, limit: i32, as_of: Day) -> Vec<Cell> {
    let at = |age: i32| ages.get(&age).copied().unwrap_or_default();
    let cohort_size = at(0).seen;
    let (mut on_or_after, mut on_or_before) = (cohort_size, 0);
    (0..=limit.min(calendar.last - cohort))
        .map(|period| {
            let Age { seen: on, last, returned } = at(period);
            on_or_before += returned;
            let mature_on = calendar.grain.last_day(cohort + period);
            let retained = Retained { on, on_or_after, on_or_before: (period > 0).then_some(on_or_before) };
            on_or_after -= last;
            Cell {
                grain: calendar.grain.name(),
                cohort: calendar.grain.first_day(cohort),
                period,
                cohort_size,
                retained: (mature_on <= as_of).then_some(retained),
                mature_on,
            }
        })
        .collect()
}

fn batch(rows: &[Cell]) -> Result<RecordBatch> {
    let retained = |value: fn(Retained) -> i64| rows.iter().map(move |row| row.retained.map(value));
    let share = |value: fn(Retained) -> i64| rows.iter().map(move |row| Some((value(row.retained?), row.cohort_size)));
    let columns = vec![
        answer::texts(rows.iter().map(|row| row.grain)),
        answer::dates(rows.iter().map(|row| row.cohort)),
        answer::integers(rows.iter().map(|row| Some(i64::from(row.period)))),
        answer::integers(rows.iter().map(|row| Some(row.cohort_size))),
        answer::integers(retained(|counts| counts.on)),
        answer::integers(retained(|counts| counts.on_or_after)),
        answer::integers(rows.iter().map(|row| row.retained.and_then(|counts| counts.on_or_before))),
        answer::rates(share(|counts| counts.on))?,
        answer::rates(share(|counts| counts.on_or_after))?,
        answer::booleans(rows.iter().map(|row| row.retained.is_some())),
        answer::dates(rows.iter().map(|row| row.mature_on)),
    ];
    answer::batch(schema(), columns)
}
