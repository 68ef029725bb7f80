//! Streaks: ids of each entity by how many periods in a row they were active, at most ever and at present.
//! It does not know what being active means.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{UnionArgs, col, concat, lit};

use super::answer::{self, Kind, Shape, column, counts};
use super::events::Events;
use super::keys::{Keys, MAX_PERIODS, Read, Step};
use super::stickiness::{GRAINS, is_of_days};
use super::{Frame, Named};
use crate::calendar::{Periods, streaks};
use crate::error::Result;
use crate::period::Day;

pub(super) const KEYS: &[&str] = &["entities", "grain", "origin", "lengths", "filter", "min_events"];

const COLUMNS: &[Shape] = &[
    ("entity", Kind::Text, false),
    ("length", Kind::Integer, false),
    ("longest", Kind::Integer, false),
    ("longest_at_least", Kind::Integer, false),
    ("current", Kind::Integer, false),
    ("current_at_least", Kind::Integer, false),
];

/// What streaks are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Streaks {
    pub(super) entities: Vec<&'static str>,
    pub(super) step: Step,
    pub(super) origin: Option<Day>,
    lengths: u32,
    pub(super) events: Option<Events>,
}

/// The columns of streaks.
pub(super) fn schema() -> SchemaRef {
    answer::schema(COLUMNS)
}

impl Streaks {
    pub(super) fn read(keys: &Keys<'_>) -> Read<Self> {
        let events = keys.events(false)?;
        let step = keys.step(GRAINS, is_of_days)?;
        let origin = keys.origin([step])?;
        let lengths = keys.number("lengths", 1..=MAX_PERIODS, 28)?;
        Ok(Self { entities: keys.entities(events.is_some())?, step, origin, lengths, events })
    }

    /// A row for each entity and length from 1 on.
    pub(super) fn run(&self, entities: &[Named], frame: Frame) -> Result<RecordBatch> {
        let mut frames = Vec::new();
        for (entity, calendars) in entities {
            let periods = Periods::new(self.step.grain(self.origin, frame), calendars.range());
            let counted = streaks(calendars, &periods, self.lengths as usize);
            let counted = answer::frame(vec![
                column("length", (0..=i64::from(self.lengths) + 1).collect::<Vec<_>>()),
                column("longest", counts(counted.longest)),
                column("current", counts(counted.current)),
            ])?;
            frames.push(counted.with_column(lit(*entity).alias("entity")));
        }
        let lengths = i64::from(self.lengths);
        let all = concat(frames, UnionArgs::default()).and_then(|all| {
            let at_least = |name: &str| col(name).cum_sum(true).over([col("entity")]);
            Ok(all
                .with_columns([
                    at_least("longest")?.alias("longest_at_least"),
                    at_least("current")?.alias("current_at_least"),
                ])
                .filter(col("length").gt(lit(0)).and(col("length").lt_eq(lit(lengths))))
                .sort_by_exprs([col("entity"), col("length")], answer::in_order()))
        });
        answer::collect(all, COLUMNS)
    }
}
