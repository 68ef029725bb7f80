//! Growth accounting: who is new, stayed, came back or left in each period, for users, orgs and DAG orgs.
//! It does not know what being active means.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{LazyFrame, PolarsResult, UnionArgs, col, concat, lit};

use super::Frame;
use super::answer::{self, Kind, Shape, column, counts};
use super::events::Events;
use super::keys::{Keys, Read, Step};
use crate::calendar::{Calendars, Periods, growth};
use crate::error::Result;
use crate::period::Day;

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

pub(super) const KEYS: &[&str] = &["entities", "grains", "origin", "filter", "min_events"];

const GRAINS: &str = "day, week, month, a number of days such as 21d, and trailing_N";

/// What growth accounting is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Growth {
    pub(super) entities: Vec<&'static str>,
    pub(super) steps: Vec<Step>,
    pub(super) origin: Option<Day>,
    pub(super) events: Option<Events>,
}

/// The columns of growth accounting.
pub(super) fn schema() -> SchemaRef {
    answer::schema(COLUMNS)
}

impl Growth {
    pub(super) fn read(keys: &Keys<'_>) -> Read<Self> {
        let events = keys.events(false)?;
        let default = [Step::Day, Step::Week, Step::Month, Step::Trailing(28)];
        let steps = keys.steps(GRAINS, |step| step != Step::Hours24, &default)?;
        Ok(Self {
            entities: keys.entities(events.is_some())?,
            origin: keys.origin(steps.iter().copied())?,
            steps,
            events,
        })
    }

    /// Growth accounting of all entities: a row for every period of the observed range.
    pub(super) fn run(
        &self,
        entity: impl Fn(&'static str, Step) -> Result<Arc<Calendars>>,
        frame: Frame,
    ) -> Result<RecordBatch> {
        let mut frames = Vec::new();
        for name in &self.entities {
            for &step in &self.steps {
                let counted = self.count(entity(name, step)?.as_ref(), step, frame)?;
                frames.push(counted.with_columns([lit(*name).alias("entity"), lit(step.label()).alias("grain")]));
            }
        }
        answer::collect(concat(frames, UnionArgs::default()).and_then(accounts), COLUMNS)
    }

    /// Who is active, is new and began to be active in each period, and whether all its days are observed. An id seen in a
    /// period stays active for `reach` periods, this one included: a calendar period is a window of one, a trailing window
    /// one of so many days that moves on day by day.
    fn count(&self, calendars: &Calendars, step: Step, frame: Frame) -> Result<LazyFrame> {
        let reach = if let Step::Trailing(days) = step { days } else { 1 };
        let periods = Periods::new(step.grain(self.origin, frame), calendars.range());
        let moves = growth(calendars, &periods, reach);
        let each = || (0..).take(periods.count());
        let starts: Vec<Day> = each().map(|period| periods.first_day(period)).collect();
        let complete: Vec<bool> = each()
            .map(|period| {
                let begins = periods.first_day(period - i64::from(reach) + 1);
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
