//! Checks of every row of a result: sorted and unique by its key, nothing missing that must be there, values in bounds.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, make_comparator};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema, SchemaRef};
use arrow::util::display::array_value_to_string;

use crate::catalog::{Checks, Column, Query};
use crate::error::{Error, Result};
use crate::store::coded_type;

/// Checks batches that follow each other; it remembers the last key it saw.
pub(super) struct Checked {
    schema: SchemaRef,
    columns: Vec<Column>,
    // The places of the key's columns.
    key: Vec<usize>,
    // The key's columns of the last row.
    last: Option<Vec<ArrayRef>>,
}

impl Checked {
    /// Starts before the first row of a query's result.
    pub(super) fn new(query: &Query) -> Result<Self> {
        let schema = query.schema();
        let place = |name: &String| {
            schema.column_with_name(name).map(|(place, _)| place).ok_or_else(|| {
                Error::Internal(format!("key=`{name}` of {} is no column; the catalog let it through", query.name))
            })
        };
        let key = query.key.iter().map(place).collect::<Result<_>>()?;
        Ok(Self { schema, columns: query.columns.clone(), key, last: None })
    }

    /// The batch in the declared types, texts as codes if they came like that, or `Error::Data` that names the first bad row
    /// of the first bad column.
    pub(super) fn check(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let internal = |e: arrow::error::ArrowError| Error::Internal(e.to_string());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for ((array, field), column) in batch.columns().iter().zip(self.schema.fields()).zip(&self.columns) {
            // Texts that are coded as files have them are written like that.
            let stays = array.data_type() == &coded_type() && column.checks == Checks::default();
            arrays.push(if stays { Arc::clone(array) } else { cast(array, field.data_type()).map_err(internal)? });
        }
        for (column, array) in self.columns.iter().zip(&arrays) {
            if let Some((row, wrong)) = first_wrong(column, array) {
                let key = self.key_of(&arrays, row);
                return Err(Error::Data(format!("column `{}` {wrong} in the row with {key}", column.name)));
            }
        }
        self.check_order(&arrays)?;
        RecordBatch::try_new(self.schema_of(&arrays), arrays).map_err(internal)
    }

    // The declared columns, of which some may be coded.
    fn schema_of(&self, arrays: &[ArrayRef]) -> SchemaRef {
        let fields = self.schema.fields().iter().zip(arrays).map(|(field, array)| {
            if field.data_type() == array.data_type() {
                Arc::clone(field)
            } else {
                Arc::new(Field::new(field.name(), array.data_type().clone(), field.is_nullable()))
            }
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn check_order(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let key: Vec<ArrayRef> = self.key.iter().filter_map(|&place| arrays.get(place).cloned()).collect();
        let rows = key.first().map_or(0, Array::len);
        if rows == 0 {
            return Ok(());
        }
        if let Some(last) = &self.last {
            self.expect_rise(arrays, 0, compare(last, &key)?(0, 0))?;
        }
        let compare = compare(&key, &key)?;
        for row in 1..rows {
            self.expect_rise(arrays, row, compare(row - 1, row))?;
        }
        self.last = Some(key.iter().map(|array| array.slice(rows - 1, 1)).collect());
        Ok(())
    }

    // The row must come after the one before it.
    fn expect_rise(&self, arrays: &[ArrayRef], row: usize, order: Ordering) -> Result<()> {
        let what = match order {
            Ordering::Less => return Ok(()),
            Ordering::Equal => "comes twice",
            Ordering::Greater => "is out of order; end the query in ORDER BY its key",
        };
        Err(Error::Data(format!("the row with {} {what}", self.key_of(arrays, row))))
    }

    // The key of a row as `day=`2026-03-01`, org_id=`a``.
    fn key_of(&self, arrays: &[ArrayRef], row: usize) -> String {
        named_values(
            self.key.iter().filter_map(|&place| Some((self.schema.field(place).name(), arrays.get(place)?))),
            row,
        )
    }
}

// How a row of some columns and a row of others follow each other, nulls first.
fn compare(some: &[ArrayRef], others: &[ArrayRef]) -> Result<impl Fn(usize, usize) -> Ordering> {
    let of = |(one, other): (&ArrayRef, &ArrayRef)| make_comparator(one, other, SortOptions::default());
    let columns = some.iter().zip(others).map(of).collect::<std::result::Result<Vec<_>, _>>();
    let columns = columns.map_err(|e| Error::Internal(e.to_string()))?;
    Ok(move |row, other| {
        columns.iter().map(|compare| compare(row, other)).find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
    })
}

/// Values of a row, each as its column's name, an equals sign and the value in backticks; a missing one is empty.
pub fn named_values<'a>(columns: impl Iterator<Item = (&'a String, &'a ArrayRef)>, row: usize) -> String {
    let values = columns.map(|(name, array)| {
        let value =
            if array.is_null(row) { String::new() } else { array_value_to_string(array, row).unwrap_or_default() };
        format!("{name}=`{value}`")
    });
    values.collect::<Vec<_>>().join(", ")
}

fn first_wrong(column: &Column, array: &ArrayRef) -> Option<(usize, String)> {
    if !column.optional && array.null_count() > 0 {
        let row = (0..array.len()).find(|&row| array.is_null(row))?;
        return Some((row, "has no value, and is not optional".to_owned()));
    }
    let checks = &column.checks;
    if *checks == Checks::default() {
        return None;
    }
    let valid = (0..array.len()).filter(|&row| array.is_valid(row));
    let (row, why) = match array.data_type() {
        DataType::Int64 => {
            let values = array.as_primitive::<Int64Type>();
            find_outside(checks, valid.map(|row| (row, i128::from(values.value(row)))))?
        }
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>();
            find_outside(checks, valid.map(|row| (row, values.value(row))))?
        }
        DataType::Utf8 => {
            let values = array.as_string::<i32>();
            let known = |text: &str| checks.one_of.iter().any(|allowed| allowed == text);
            let row = { valid }.find(|&row| !known(values.value(row)))?;
            (row, format!("is none of {}", checks.one_of.join(", ")))
        }
        _ => return None,
    };
    let value = array_value_to_string(array, row).unwrap_or_default();
    Some((row, format!("is `{value}`, which {why}")))
}

fn find_outside(checks: &Checks, values: impl Iterator<Item = (usize, i128)>) -> Option<(usize, String)> {
    for (row, value) in values {
        if checks.min.is_some_and(|min| value < min) {
            return Some((row, "is below its check min".to_owned()));
        }
        if checks.max.is_some_and(|max| value > max) {
            return Some((row, "is above its check max".to_owned()));
        }
    }
    None
}
