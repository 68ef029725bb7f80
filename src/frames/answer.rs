//! From counted rows to Arrow: the columns of a result in their types, and exact rates.
//! It does not know the metrics.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Date32Array, Decimal128Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::error::{Error, Result};
use crate::period::Day;

/// What a column of a result holds.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Date,
    Integer,
    Boolean,
    Rate,
}

const RATE: (u8, i8) = (38, 6);
const RATE_UNIT: i128 = 1_000_000;

/// A schema from names, kinds, and whether the column may be empty.
pub(super) fn schema(columns: &[(&str, Kind, bool)]) -> SchemaRef {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, kind, optional)| {
            let data_type = match kind {
                Kind::Text => DataType::Utf8,
                Kind::Date => DataType::Date32,
                Kind::Integer => DataType::Int64,
                Kind::Boolean => DataType::Boolean,
                Kind::Rate => DataType::Decimal128(RATE.0, RATE.1),
            };
            Field::new(*name, data_type, *optional)
        })
        .collect();
    Arc::new(Schema::new(fields))
}

/// The batch of a result; the columns must be those of the schema.
pub(super) fn batch(schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(schema, columns)
        .map_err(|e| Error::Internal(format!("a job's columns are not those of its schema: {e}")))
}

pub(super) fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

pub(super) fn dates(values: impl Iterator<Item = Day>) -> ArrayRef {
    Arc::new(Date32Array::from_iter_values(values))
}

pub(super) fn integers(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

pub(super) fn booleans(values: impl Iterator<Item = bool>) -> ArrayRef {
    Arc::new(values.map(Some).collect::<BooleanArray>())
}

/// Quotients of two counts, empty where a count is unknown or the denominator is 0.
pub(super) fn rates(counts: impl Iterator<Item = Option<(i64, i64)>>) -> Result<ArrayRef> {
    let values: Decimal128Array = counts.map(|pair| pair.and_then(|(above, below)| rate(above, below))).collect();
    let values = values
        .with_precision_and_scale(RATE.0, RATE.1)
        .map_err(|e| Error::Internal(format!("a rate has no decimal: {e}")))?;
    Ok(Arc::new(values))
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
