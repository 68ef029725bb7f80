//! Checks of every row of a result: sorted and unique by its key, nothing missing that must be there, values in bounds.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type, SchemaRef};
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::display::array_value_to_string;

use crate::catalog::{Checks, Column, Query};
use crate::error::{Error, Result};

/// Checks batches that follow each other; it remembers the last key it saw.
pub(super) struct Checked {
    schema: SchemaRef,
    columns: Vec<Column>,
    // The places of the key's columns.
    key: Vec<usize>,
    converter: RowConverter,
    last: Option<OwnedRow>,
}

impl Checked {
    /// Starts before the first row of a query's result.
    pub(super) fn new(query: &Query) -> Result<Self> {
        let schema = query.schema();
        let (mut key, mut fields) = (Vec::new(), Vec::new());
        for name in &query.key {
            let (place, field) = schema.column_with_name(name).ok_or_else(|| {
                Error::Internal(format!("key=`{name}` of {} is no column; the catalog let it through", query.name))
            })?;
            key.push(place);
            fields.push(SortField::new(field.data_type().clone()));
        }
        let converter = RowConverter::new(fields).map_err(|e| Error::Internal(e.to_string()))?;
        Ok(Self { schema, columns: query.columns.clone(), key, converter, last: None })
    }

    /// The batch in the declared types, or `Error::Data` that names the first bad row of the first bad column.
    pub(super) fn check(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let internal = |e: arrow::error::ArrowError| Error::Internal(e.to_string());
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (array, field) in batch.columns().iter().zip(self.schema.fields()) {
            arrays.push(cast(array, field.data_type()).map_err(internal)?);
        }
        for (column, array) in self.columns.iter().zip(&arrays) {
            if let Some((row, wrong)) = first_wrong(column, array) {
                let key = self.key_of(&arrays, row);
                return Err(Error::Data(format!("column `{}` {wrong} in the row with {key}", column.name)));
            }
        }
        self.check_order(&arrays)?;
        RecordBatch::try_new(SchemaRef::clone(&self.schema), arrays).map_err(internal)
    }

    fn check_order(&mut self, arrays: &[ArrayRef]) -> Result<()> {
        let key: Vec<ArrayRef> = self.key.iter().filter_map(|&place| arrays.get(place).cloned()).collect();
        let rows = self.converter.convert_columns(&key).map_err(|e| Error::Internal(e.to_string()))?;
        let mut before = self.last.as_ref().map(OwnedRow::row);
        for (place, row) in rows.iter().enumerate() {
            if let Some(last) = before
                && row <= last
            {
                let what =
                    if row == last { "comes twice" } else { "is out of order; end the query in ORDER BY its key" };
                return Err(Error::Data(format!("the row with {} {what}", self.key_of(arrays, place))));
            }
            before = Some(row);
        }
        self.last = before.map(|row| row.owned());
        Ok(())
    }

    // The key of a row as `day=`2026-03-01`, org_id=`a``.
    fn key_of(&self, arrays: &[ArrayRef], row: usize) -> String {
        named_values(
            self.key.iter().filter_map(|&place| Some((self.schema.field(place).name(), arrays.get(place)?))),
            row,
        )
    }
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
