//! Stickiness: ids of each entity by the number of periods in which they were active, in a trailing window of periods.
//! It does not know what being active means.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{UnionArgs, col, concat, lit};

use super::answer::{self, Kind, Shape, column, counts};
use super::events::Events;
use super::keys::{Keys, MAX_PERIODS, Read, Step};
use super::{Frame, Named};
use crate::calendar::{Periods, active_periods};
use crate::error::Result;
use crate::period::Day;

pub(super) const KEYS: &[&str] = &["entities", "grain", "origin", "window", "filter", "min_events"];

/// The lengths of periods that jobs without cohorts can count in.
pub(super) const GRAINS: &str = "day, week, month, and a number of days such as 21d";

/// What stickiness is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stickiness {
    pub(super) entities: Vec<&'static str>,
    pub(super) step: Step,
    pub(super) origin: Option<Day>,
    window: u32,
    pub(super) events: Option<Events>,
}

impl Stickiness {
    pub(super) fn read(keys: &Keys<'_>) -> Read<Self> {
        let events = keys.events(false)?;
        let step = keys.step(GRAINS, is_of_days)?;
        let origin = keys.origin([step])?;
        let window = keys.number("window", 1..=MAX_PERIODS, 28)?;
        Ok(Self { entities: keys.entities(events.is_some())?, step, origin, window, events })
    }

    /// The columns of stickiness.
    pub(super) fn schema(&self) -> SchemaRef {
        answer::schema(&self.columns())
    }

    fn columns(&self) -> [Shape<'static>; 5] {
        let periods = match self.step {
            Step::Day => "days_active",
            Step::Week => "weeks_active",
            Step::Month => "months_active",
            _ => "periods_active",
        };
        [
            ("entity", Kind::Text, false),
            (periods, Kind::Integer, false),
            ("entities", Kind::Integer, false),
            ("at_least", Kind::Integer, false),
            ("is_complete", Kind::Boolean, false),
        ]
    }

    /// A row for each entity and number of periods from 1 to the window, at the last day of the range.
    pub(super) fn run(&self, entities: &[Named], frame: Frame) -> Result<RecordBatch> {
        let columns = self.columns();
        let number = columns[1].0;
        let mut frames = Vec::new();
        for (entity, calendars) in entities {
            let periods = Periods::new(self.step.grain(self.origin, frame), calendars.range());
            let active = active_periods(calendars, &periods, self.window as usize);
            let counted = answer::frame(vec![
                column(number, (0..=i64::from(self.window)).collect::<Vec<_>>()),
                column("entities", counts(active)),
            ])?;
            let last = i64::try_from(periods.count()).unwrap_or(i64::MAX) - 1;
            let is_complete = periods.first_day(last - i64::from(self.window) + 1) >= frame.first_day
                && periods.last_day(last) <= frame.as_of;
            frames.push(counted.with_columns([lit(*entity).alias("entity"), lit(is_complete).alias("is_complete")]));
        }
        let all = concat(frames, UnionArgs::default()).and_then(|all| {
            let at_least = col("entities").cum_sum(true).over([col("entity")])?;
            Ok(all
                .with_column(at_least.alias("at_least"))
                .filter(col(number).gt(lit(0)))
                .sort_by_exprs([col("entity"), col(number)], answer::in_order()))
        });
        answer::collect(all, &columns)
    }
}

/// Whether periods of this length are made of days, the same ones for everybody.
pub(super) fn is_of_days(step: Step) -> bool {
    !matches!(step, Step::Hours24 | Step::Trailing(_))
}
