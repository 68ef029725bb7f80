//! Rows of a rollup on their way to a file: values in, batches of the table's columns out.
//! It does not know what the values mean or where the batches go.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, TimestampMicrosecondType};

use crate::error::{Error, Result};
use crate::event::Table;

const BATCH_ROWS: usize = 1 << 16;

/// Rows of a table whose first columns are texts; the others are integers, instants as microseconds.
pub(super) struct Output<const TEXTS: usize, const NUMBERS: usize> {
    table: Table,
    texts: [StringBuilder; TEXTS],
    numbers: [Int64Builder; NUMBERS],
    rows: usize,
    full: Vec<RecordBatch>,
}

impl<const TEXTS: usize, const NUMBERS: usize> Output<TEXTS, NUMBERS> {
    pub(super) fn new(table: Table) -> Self {
        let texts = std::array::from_fn(|_| StringBuilder::new());
        let numbers = std::array::from_fn(|_| Int64Builder::new());
        Self { table, texts, numbers, rows: 0, full: Vec::new() }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, texts: [&str; TEXTS], numbers: [i64; NUMBERS]) -> Result<()> {
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
        }
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_value(number);
        }
        self.rows += 1;
        if self.rows == BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    /// Makes a batch of the rows that wait for one.
    pub(super) fn flush(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let schema = self.table.file_schema();
        let texts = self.texts.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let numbers = self.numbers.iter_mut().map(|column| Arc::new(column.finish()));
        let numbers = numbers.zip(&schema.fields()[TEXTS..]).map(|(column, field)| match field.data_type() {
            DataType::Timestamp(_, zone) => {
                let instants = column.reinterpret_cast::<TimestampMicrosecondType>().with_timezone_opt(zone.clone());
                Arc::new(instants) as ArrayRef
            }
            _ => column as ArrayRef,
        });
        let columns = texts.chain(numbers).collect();
        let batch = RecordBatch::try_new(schema, columns)
            .map_err(|cause| Error::Internal(format!("rows of {} do not fit: {cause}", self.table.name())))?;
        self.full.push(batch);
        Ok(())
    }

    /// The table, and its complete batches so far, in the order of the rows.
    pub(super) fn full(&mut self) -> (Table, &mut Vec<RecordBatch>) {
        (self.table, &mut self.full)
    }
}
