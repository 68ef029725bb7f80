//! Trailing activity: how many ids of each entity were active on each day, and over the windows that end on it.
//! It does not know what being active means.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use polars::prelude::{UnionArgs, col, concat, lit};

use super::Named;
use super::answer::{self, Kind, Shape, column, counts};
use crate::calendar::trailing;
use crate::error::Result;

const COLUMNS: &[Shape] = &[
    ("entity", Kind::Text, false),
    ("day", Kind::Date, false),
    ("active", Kind::Integer, false),
    ("active_7d", Kind::Integer, false),
    ("active_28d", Kind::Integer, false),
];

/// The columns of trailing activity.
pub(super) fn schema() -> SchemaRef {
    answer::schema(COLUMNS)
}

/// A row for each entity and each day of the range.
pub(super) fn run(entities: &[Named]) -> Result<RecordBatch> {
    let mut frames = Vec::new();
    for (entity, calendars) in entities {
        let (range, counted) = (calendars.range(), trailing(calendars));
        let columns = vec![
            column("day", (range.first()..=range.last()).collect::<Vec<_>>()),
            column("active", counts(counted.active)),
            column("active_7d", counts(counted.active_7d)),
            column("active_28d", counts(counted.active_28d)),
        ];
        frames.push(answer::frame(columns)?.with_column(lit(*entity).alias("entity")));
    }
    let all = concat(frames, UnionArgs::default())
        .map(|all| all.sort_by_exprs([col("entity"), col("day")], answer::in_order()));
    answer::collect(all, COLUMNS)
}
