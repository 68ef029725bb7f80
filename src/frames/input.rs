//! Columns of the tables that jobs read: there, full, and of the type that the job knows, or the table is refused.

use arrow::array::{Array, ArrayRef, RecordBatch};

use crate::error::{Error, Result};

/// A column without empty values.
pub(super) fn column<'a>(table: &str, batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let array = batch.column_by_name(name).ok_or_else(|| wrong(table, &format!("no column `{name}`")))?;
    if array.is_nullable() && array.logical_null_count() > 0 {
        return Err(wrong(table, &format!("empty values in column `{name}`")));
    }
    Ok(array)
}

/// A column is of another type.
pub(super) fn mistyped(table: &str, name: &str, needed: &str) -> Error {
    wrong(table, &format!("a column `{name}` that is not {needed}"))
}

/// A table is not what its name promises.
pub(super) fn wrong(table: &str, what: &str) -> Error {
    Error::Definition(format!("table `{table}` has {what}"))
}
