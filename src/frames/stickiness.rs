//! Stickiness: ids of each entity by the number of days on which they were active in the trailing 28.
//! It does not know what being active means.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{UnionArgs, col, concat, lit};

use super::Named;
use super::answer::{self, Kind, Shape, column, counts};
use crate::calendar::active_days;
use crate::error::Result;

const WINDOW: u32 = 28;

const COLUMNS: &[Shape] = &[
    ("entity", Kind::Text, false),
    ("days_active", Kind::Integer, false),
    ("entities", Kind::Integer, false),
    ("at_least", Kind::Integer, false),
    ("is_complete", Kind::Boolean, false),
];

/// The columns of stickiness.
pub(super) fn schema() -> SchemaRef {
    answer::schema(COLUMNS)
}

/// A row for each entity and number of days from 1 to 28, at the last day of the range.
pub(super) fn run(entities: &[Named]) -> Result<RecordBatch> {
    let mut frames = Vec::new();
    for (entity, calendars) in entities {
        let frame = answer::frame(vec![
            column("days_active", (0..=i64::from(WINDOW)).collect::<Vec<_>>()),
            column("entities", counts(active_days(calendars, WINDOW))),
        ])?;
        let is_complete = calendars.range().days() >= WINDOW as usize;
        frames.push(frame.with_columns([lit(*entity).alias("entity"), lit(is_complete).alias("is_complete")]));
    }
    let all = concat(frames, UnionArgs::default()).and_then(|all| {
        let at_least = col("entities").cum_sum(true).over([col("entity")])?;
        Ok(all
            .with_column(at_least.alias("at_least"))
            .filter(col("days_active").gt(lit(0)))
            .sort_by_exprs([col("entity"), col("days_active")], answer::in_order()))
    });
    answer::collect(all, COLUMNS)
}
