//! Growth accounting: who is new, stayed, came back or left in each period, for users, orgs and DAG orgs.
//! It does not know what being active means.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{LazyFrame, PolarsResult, UnionArgs, col, concat, lit};

use super::answer::{self, Kind, Shape, column, counts};
use super::{Frame, Named};
use crate::calendar::{Calendars, Periods, growth};
use crate::error::Result;
use crate::period::{Day, Grain};

const COLUMNS: &[Shape] = &[
    ("entity", Kind::Text, false),
    ("grain", Kind::Text, false),
    ("period_start", Kind::Date, false),
    ("active", Kind::Integer, false),
    ("new", Kind::Integer, false),
    ("retained", Kind::Integer, false),
    ("resurrected", Kind::Integer, false),
    ("churned", Kind::Integer, false),
    ("quick_ratio", Kind::Rate { above: "gained", below: "churned" }, true),
    ("is_complete", Kind::Boolean, false),
];

/// The columns of growth accounting.
pub(super) fn schema() -> SchemaRef {
    answer::schema(COLUMNS)
}

/// Growth accounting of all entities: a row for every period of the observed range.
pub(super) fn run(entities: &[Named], frame: Frame) -> Result<RecordBatch> {
    let mut frames = Vec::new();
    for (entity, calendars) in entities {
        for window in windows(frame) {
            let counted = count(calendars, &window, frame)?;
            frames.push(counted.with_columns([lit(*entity).alias("entity"), lit(window.name).alias("grain")]));
        }
    }
    answer::collect(concat(frames, UnionArgs::default()).and_then(accounts), COLUMNS)
}

/// A grain of the report: an id seen in a period stays active for `reach` periods, this one included. A calendar
/// period is a window of one; `trailing_28` is a window of 28 that moves on day by day.
struct Window {
    name: &'static str,
    grain: Grain,
    reach: u32,
}

fn windows(frame: Frame) -> [Window; 4] {
    let calendar = |grain: Grain| Window { name: grain.name(), grain, reach: 1 };
    [
        calendar(Grain::Day),
        calendar(Grain::Week(frame.week_start)),
        calendar(Grain::Month),
        Window { name: "trailing_28", grain: Grain::Day, reach: 28 },
    ]
}

/// Who is active, is new and began to be active in each period, and whether all its days are observed.
fn count(calendars: &Calendars, window: &Window, frame: Frame) -> Result<LazyFrame> {
    let periods = Periods::new(window.grain, calendars.range());
    let moves = growth(calendars, &periods, window.reach);
    let each = || (0..).take(periods.count());
    let starts: Vec<Day> = each().map(|period| periods.first_day(period)).collect();
    let complete: Vec<bool> = each()
        .map(|period| {
            let begins = periods.first_day(period - i64::from(window.reach) + 1);
            begins >= frame.first_day && periods.last_day(period) <= frame.as_of
        })
        .collect();
    answer::frame(vec![
        column("period_start", starts),
        column("is_complete", complete),
        column("active", counts(moves.iter().map(|moved| moved.active))),
        column("new", counts(moves.iter().map(|moved| moved.new))),
        column("started", counts(moves.iter().map(|moved| moved.started))),
    ])
}

/// Who stayed, came back and left follows from who is active, who was in the period before, and who began.
fn accounts(counted: LazyFrame) -> PolarsResult<LazyFrame> {
    let series = [col("entity"), col("grain")];
    let before = col("active").shift(lit(1)).fill_null(lit(0)).over(&series)?;
    Ok(counted
        .sort_by_exprs([col("entity"), col("grain"), col("period_start")], answer::in_order())
        .with_column(before.alias("before"))
        .with_columns([
            (col("started") - col("new")).alias("resurrected"),
            (col("active") - col("started")).alias("retained"),
            (col("before") + col("started") - col("active")).alias("churned"),
            col("started").alias("gained"),
        ]))
}
