//! The cohort tables of one entity: who of those first seen in a period came back, by day, week and month.
//! It does not know what being active means.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{DataType, Expr, LazyFrame, NULL, PolarsResult, UnionArgs, col, concat, lit, when};

use super::Frame;
use super::answer::{self, Kind, Shape, column, counts};
use crate::calendar::{Age, Calendars, Periods, retention};
use crate::error::Result;
use crate::period::Grain;

const COLUMNS: &[Shape] = &[
    ("grain", Kind::Text, false),
    ("cohort", Kind::Date, false),
    ("period", Kind::Integer, false),
    ("cohort_size", Kind::Integer, false),
    ("on", Kind::Integer, true),
    ("on_or_after", Kind::Integer, true),
    ("on_or_before", Kind::Integer, true),
    ("on_rate", Kind::Rate { above: "on", below: "cohort_size" }, true),
    ("on_or_after_rate", Kind::Rate { above: "on_or_after", below: "cohort_size" }, true),
    ("is_complete", Kind::Boolean, false),
    ("mature_on", Kind::Date, false),
];

/// The columns of a retention table.
pub(super) fn schema() -> SchemaRef {
    answer::schema(COLUMNS)
}

/// The retention table of one entity.
pub(super) fn run(calendars: &Calendars, frame: Frame) -> Result<RecordBatch> {
    let mut grains = Vec::new();
    for (grain, limit) in [(Grain::Day, 30), (Grain::Week(frame.week_start), 26), (Grain::Month, 12)] {
        let periods = Periods::new(grain, calendars.range());
        let counted = count(calendars, &periods, limit)?;
        grains.push(name(counted, &periods)?.with_column(lit(grain.name()).alias("grain")));
    }
    answer::collect(concat(grains, UnionArgs::default()).and_then(|all| cells(all, frame)), COLUMNS)
}

/// What happened to each cohort at each age up to the period that holds the report day: numbers of periods and ids.
fn count(calendars: &Calendars, periods: &Periods, limit: u32) -> Result<LazyFrame> {
    let mut rows: Vec<(i64, i64, Age)> = Vec::new();
    for (ages, cohort) in retention(calendars, periods, limit).into_iter().zip(0..) {
        if ages.first().is_some_and(|first| first.seen > 0) {
            rows.extend(ages.into_iter().zip(0..).map(|(age, period)| (cohort, period, age)));
        }
    }
    let number = |value: fn(&(i64, i64, Age)) -> i64| rows.iter().map(value).collect::<Vec<_>>();
    let ids = |value: fn(&Age) -> u64| counts(rows.iter().map(|(_, _, age)| value(age)));
    answer::frame(vec![
        column("cohort_number", number(|row| row.0)),
        column("period", number(|row| row.1)),
        column("seen", ids(|age| age.seen)),
        column("last", ids(|age| age.last)),
        column("returned", ids(|age| age.returned)),
    ])
}

/// The days on which the cohort's period begins and the row's period ends. Periods after the range have no row.
fn name(counted: LazyFrame, periods: &Periods) -> Result<LazyFrame> {
    let numbers: Vec<i64> = (0..).take(periods.count()).collect();
    let days = |day: &dyn Fn(i64) -> i32| numbers.iter().map(|&number| day(number)).collect::<Vec<_>>();
    let calendar = answer::frame(vec![
        column("number", numbers.clone()),
        column("cohort", days(&|number| periods.first_day(number))),
        column("mature_on", days(&|number| periods.last_day(number))),
    ])?;
    let starts = calendar.clone().select([col("number"), col("cohort")]);
    let ends = calendar.select([col("number"), col("mature_on")]);
    Ok(counted
        .inner_join(starts, col("cohort_number"), col("number"))
        .with_column((col("cohort_number") + col("period")).alias("period_number"))
        .inner_join(ends, col("period_number"), col("number")))
}

/// From ids at each age to the cells of the table: sums over the ages of a cohort, empty until the period is over.
fn cells(named: LazyFrame, frame: Frame) -> PolarsResult<LazyFrame> {
    let cohort = [col("grain"), col("cohort")];
    let over = |value: Expr| value.over(&cohort);
    let gone_before = over(col("last").cum_sum(false) - col("last"))?;
    let complete = |value: Expr| when(col("is_complete")).then(value).otherwise(lit(NULL).cast(DataType::Int64));
    let not_first = when(col("period").gt(lit(0))).then(col("back")).otherwise(lit(NULL).cast(DataType::Int64));
    Ok(named
        .sort_by_exprs([col("grain"), col("cohort"), col("period")], answer::in_order())
        .with_columns([
            over(col("seen").first())?.alias("cohort_size"),
            gone_before.alias("gone_before"),
            over(col("returned").cum_sum(false))?.alias("back"),
            col("mature_on").lt_eq(lit(frame.as_of)).alias("is_complete"),
        ])
        .with_columns([
            complete(col("seen")).alias("on"),
            complete(col("cohort_size") - col("gone_before")).alias("on_or_after"),
            complete(not_first).alias("on_or_before"),
        ]))
}
