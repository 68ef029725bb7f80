//! The values of a Parquet column as the text that would stand in a CSV file. It knows types, not columns.

use std::fmt::Display;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float16Type, Float32Type, Float64Type};
use arrow::error::ArrowError;

use crate::error::{Error, Result};

/// Refuses a column whose type has no text that could be meant.
pub(super) fn check(field: &Field) -> Result<()> {
    let kind = match field.data_type() {
        DataType::Dictionary(_, values) => values,
        kind => kind,
    };
    let name = field.name();
    match kind {
        DataType::Timestamp(_, None) => Err(Error::Data(format!(
            "column `{name}` is a timestamp without a zone; write dates, or timestamps adjusted to UTC"
        ))),
        DataType::Null
        | DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Date32
        | DataType::Date64
        | DataType::Timestamp(..) => Ok(()),
        kind if kind.is_numeric() => Ok(()),
        kind => Err(Error::Data(format!(
            "column `{name}` is of type {kind}; write texts, numbers, dates, or timestamps adjusted to UTC"
        ))),
    }
}

/// A column as text. A whole number is its digits, also where it is stored as a float, as data frames do that have no
/// other way to leave one out.
pub(super) fn of(column: &ArrayRef) -> std::result::Result<StringArray, ArrowError> {
    match column.data_type() {
        DataType::Float16 => Ok(numbers(column.as_primitive::<Float16Type>())),
        DataType::Float32 => Ok(numbers(column.as_primitive::<Float32Type>())),
        DataType::Float64 => Ok(numbers(column.as_primitive::<Float64Type>())),
        DataType::Dictionary(_, values) => of(&cast(column, values)?),
        // A date of milliseconds would be written with a time of day.
        DataType::Date64 => of(&cast(column, &DataType::Date32)?),
        _ => Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone()),
    }
}

fn numbers<T: ArrowPrimitiveType<Native: Display>>(column: &PrimitiveArray<T>) -> StringArray {
    column.iter().map(|value| value.map(|value| value.to_string())).collect()
}
