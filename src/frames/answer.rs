//! Between Polars and Arrow: columns into a frame, the frame's columns out in the types of a result, and exact rates.
//! It does not know the metrics.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use polars::prelude::{
    Column, DataFrame, IntoColumn, IntoLazy, LazyFrame, NamedFrom, PlSmallStr, PolarsError, PolarsResult, Series,
    SortMultipleOptions,
};

use crate::error::{Error, Result};

/// What a column of a result holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Date,
    Integer,
    Boolean,
    /// The quotient of two columns of the frame, empty where one is empty or the denominator is 0.
    Rate {
        above: &'static str,
        below: &'static str,
    },
}

/// A column of a result: its name, what it holds, and whether it may be empty.
pub(super) type Shape<'a> = (&'a str, Kind, bool);

const RATE: (u8, i8) = (38, 6);
const RATE_UNIT: i128 = 1_000_000;

/// The schema of a result.
pub(super) fn schema(columns: &[Shape<'_>]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, kind, optional)| {
            let data_type = match kind {
                Kind::Text => DataType::Utf8,
                Kind::Date => DataType::Date32,
                Kind::Integer => DataType::Int64,
                Kind::Boolean => DataType::Boolean,
                Kind::Rate { .. } => DataType::Decimal128(RATE.0, RATE.1),
            };
            Field::new(*name, data_type, *optional)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// A lazy frame of columns of one length.
pub(super) fn frame(columns: Vec<Column>) -> Result<LazyFrame> {
    let height = columns.first().map_or(0, Column::len);
    DataFrame::new(height, columns).map(IntoLazy::lazy).map_err(|e| internal(&e))
}

/// A column of a frame.
pub(super) fn column<T, Phantom: ?Sized>(name: &str, values: T) -> Column
where
    Series: NamedFrom<T, Phantom>,
{
    Series::new(PlSmallStr::from_str(name), values).into_column()
}

/// Rows by rising keys, in the order of text bytes, stable.
pub(super) fn in_order() -> SortMultipleOptions {
    SortMultipleOptions::default().with_maintain_order(true).with_multithreaded(false)
}

/// Counts as the integers of a frame.
pub(super) fn counts(values: impl IntoIterator<Item = u64>) -> Vec<i64> {
    values.into_iter().map(|count| i64::try_from(count).unwrap_or(i64::MAX)).collect()
}

/// Computes a frame and gives its columns in the types of a result: text from strings, dates from `i32` days since
/// 1970-01-01, integers from `i64`.
pub(super) fn collect(lazy: PolarsResult<LazyFrame>, columns: &[Shape<'_>]) -> Result<RecordBatch> {
    let arrays = lazy.and_then(LazyFrame::collect).and_then(|frame| {
        columns.iter().map(|(name, kind, _)| array(&frame, name, *kind)).collect::<PolarsResult<Vec<_>>>()
    });
    RecordBatch::try_new(schema(columns), arrays.map_err(|e| internal(&e))?)
        .map_err(|e| Error::Internal(format!("a job's columns are not those of its schema: {e}")))
}

fn array(frame: &DataFrame, name: &str, kind: Kind) -> PolarsResult<ArrayRef> {
    Ok(match kind {
        Kind::Text => Arc::new(frame.column(name)?.str()?.iter().collect::<StringArray>()),
        Kind::Date => Arc::new(frame.column(name)?.i32()?.iter().collect::<Date32Array>()),
        Kind::Integer => Arc::new(frame.column(name)?.i64()?.iter().collect::<Int64Array>()),
        Kind::Boolean => Arc::new(frame.column(name)?.bool()?.iter().collect::<BooleanArray>()),
        Kind::Rate { above, below } => {
            let pairs = frame.column(above)?.i64()?.iter().zip(frame.column(below)?.i64()?.iter());
            let values: Decimal128Array = pairs.map(|(above, below)| rate(above?, below?)).collect();
            Arc::new(values.with_data_type(DataType::Decimal128(RATE.0, RATE.1)))
        }
    })
}

/// A failure of Polars: the jobs' expressions are fixed, so it is never the user's.
fn internal(cause: &PolarsError) -> Error {
    Error::Internal(format!("a data frame job failed: {cause}"))
}

/// A quotient of counts (neither is negative) in millionths, half away from zero.
fn rate(above: i64, below: i64) -> Option<i128> {
    let (above, below) = (i128::from(above), i128::from(below));
    (below > 0).then(|| (2 * above * RATE_UNIT + below) / (2 * below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_round_half_away_from_zero() {
        assert_eq!(rate(1, 3), Some(333_333));
        assert_eq!(rate(2, 3), Some(666_667));
        assert_eq!(rate(1, 2_000_000), Some(1));
        assert_eq!(rate(1, 2_000_001), Some(0));
        assert_eq!(rate(0, 7), Some(0));
        assert_eq!(rate(7, 0), None);
        assert_eq!(rate(i64::MAX, 1), Some(i128::from(i64::MAX) * RATE_UNIT));
    }
}
