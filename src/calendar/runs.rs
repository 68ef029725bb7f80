//! The runs of a table of bits per month: rows of one month and one entity that follow each other, sorted by id.
//! It finds them from the statistics of row groups where these tell, and knows nothing of what the bits are for.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int64Type};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
    RowSelector,
};
use parquet::file::metadata::{PageIndexPolicy, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::TABLE;
use crate::error::{Error, Result};
use crate::period::{Day, Grain, format_day};

const BATCH_ROWS: usize = 1 << 13;

/// A run: where it stands in its file, its entity and its month.
#[derive(Debug)]
pub(super) struct Run {
    file: Arc<Opened>,
    pub(super) entity: String,
    /// The first day of the month.
    pub(super) month: Day,
    row_groups: std::ops::Range<usize>,
    // Rows of the first row group that come before.
    skip: usize,
    rows: usize,
}

#[derive(Debug)]
struct Opened {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
}

/// The runs in all files.
pub(super) fn find(files: &[PathBuf]) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for path in files {
        let file = Arc::new(open(path)?);
        for group in 0..file.metadata.metadata().num_row_groups() {
            for Segment { month, entity, skip, rows } in segments(&file, group)? {
                match runs.last_mut() {
                    Some(run) if Arc::ptr_eq(&run.file, &file) && (run.month, &run.entity) == (month, &entity) => {
                        run.row_groups.end = group + 1;
                        run.rows += rows;
                    }
                    _ => {
                        let (file, row_groups) = (Arc::clone(&file), group..group + 1);
                        runs.push(Run { file, entity, month, row_groups, skip, rows });
                    }
                }
            }
        }
    }
    Ok(runs)
}

impl Run {
    /// Starts to read the ids and bits of the run.
    pub(super) fn read(&self) -> Result<Rows> {
        let select = vec![RowSelector::skip(self.skip), RowSelector::select(self.rows)];
        let select = if self.skip == 0 { select.into_iter().skip(1).collect() } else { select };
        let reader = reader(&self.file, self.row_groups.clone(), &["id", "days"], Some(select))?;
        Ok(Rows { file: Arc::clone(&self.file), reader })
    }
}

/// The rows of a run, batch by batch.
pub(super) struct Rows {
    file: Arc<Opened>,
    reader: ParquetRecordBatchReader,
}

impl Rows {
    /// The next ids and their bits.
    pub(super) fn next(&mut self) -> Result<Option<(StringArray, Int64Array)>> {
        let Some(batch) = self.reader.next() else { return Ok(None) };
        let batch = batch.map_err(|e| Error::path("read", &self.file.path, e))?;
        Ok(Some((texts(&batch, "id")?, integers(&batch, "days")?)))
    }
}

/// `Error::Definition` that says what is wrong with the table.
pub(super) fn wrong_table(what: &str) -> Error {
    Error::Definition(format!("table `{TABLE}` has {what}"))
}

// Rows of one row group with the same month and entity.
struct Segment {
    month: Day,
    entity: String,
    skip: usize,
    rows: usize,
}

impl Segment {
    fn check(&self) -> Result<()> {
        if Grain::Month.first_day(Grain::Month.index(self.month)) != self.month {
            let month = format_day(self.month);
            return Err(wrong_table(&format!("month={month}; it must be the first of a month")));
        }
        Ok(())
    }
}

fn open(path: &Path) -> Result<Opened> {
    let file = File::open(path).map_err(|e| Error::path("open", path, e))?;
    let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Optional);
    let metadata = ArrowReaderMetadata::load(&file, options).map_err(|e| Error::path("read", path, e))?;
    Ok(Opened { path: path.to_owned(), metadata })
}

fn segments(file: &Opened, group: usize) -> Result<Vec<Segment>> {
    let told = told_by_statistics(file.metadata.metadata().row_group(group));
    let segments = match told {
        Some(segment) => vec![segment],
        None => segments_by_reading(file, group)?,
    };
    segments.iter().try_for_each(Segment::check)?;
    Ok(segments)
}

// The one segment of a row group whose least and greatest month and entity are the same.
fn told_by_statistics(group: &RowGroupMetaData) -> Option<Segment> {
    let of = |name: &str| {
        let column = group.columns().iter().find(|column| column.column_path().string() == name)?;
        column.statistics().filter(|s| s.null_count_opt() == Some(0) && s.min_is_exact() && s.max_is_exact())
    };
    let Statistics::Int32(months) = of("month")? else { return None };
    let Statistics::ByteArray(entities) = of("entity")? else { return None };
    let (month, entity) = (*months.min_opt()?, entities.min_opt()?);
    if months.max_opt() != Some(&month) || entities.max_opt() != Some(entity) {
        return None;
    }
    let rows = usize::try_from(group.num_rows()).ok()?;
    Some(Segment { month, entity: entity.as_utf8().ok()?.to_owned(), skip: 0, rows })
}

fn segments_by_reading(file: &Opened, group: usize) -> Result<Vec<Segment>> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut row = 0;
    for batch in reader(file, group..group + 1, &["month", "entity"], None)? {
        let batch = batch.map_err(|e| Error::path("read", &file.path, e))?;
        let (months, entities) = (dates(&batch, "month")?, texts(&batch, "entity")?);
        for (&month, place) in months.values().iter().zip(0..) {
            let entity = entities.value(place);
            match segments.last_mut() {
                Some(last) if last.month == month && last.entity == entity => last.rows += 1,
                _ => segments.push(Segment { month, entity: entity.to_owned(), skip: row, rows: 1 }),
            }
            row += 1;
        }
    }
    Ok(segments)
}

fn reader(
    file: &Opened,
    row_groups: std::ops::Range<usize>,
    columns: &[&str],
    select: Option<Vec<RowSelector>>,
) -> Result<ParquetRecordBatchReader> {
    let open = File::open(&file.path).map_err(|e| Error::path("open", &file.path, e))?;
    let projection =
        ProjectionMask::columns(file.metadata.metadata().file_metadata().schema_descr(), columns.iter().copied());
    let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(open, file.metadata.clone())
        .with_row_groups(row_groups.collect())
        .with_projection(projection)
        .with_batch_size(BATCH_ROWS);
    if let Some(select) = select {
        builder = builder.with_row_selection(RowSelection::from(select));
    }
    builder.build().map_err(|e| Error::path("read", &file.path, e))
}

fn texts(batch: &RecordBatch, name: &str) -> Result<StringArray> {
    let array = one(batch, name)?;
    let is_text = match array.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => matches!(**values, DataType::Utf8 | DataType::LargeUtf8),
        _ => false,
    };
    if !is_text {
        return Err(mistyped(name, array, "text"));
    }
    let array = cast(array, &DataType::Utf8).map_err(|e| wrong_table(&format!("column `{name}`: {e}")))?;
    Ok(array.as_string::<i32>().clone())
}

fn integers(batch: &RecordBatch, name: &str) -> Result<Int64Array> {
    let array = one(batch, name)?;
    if !array.data_type().is_integer() {
        return Err(mistyped(name, array, "an integer"));
    }
    let array = cast(array, &DataType::Int64).map_err(|e| wrong_table(&format!("column `{name}`: {e}")))?;
    Ok(array.as_primitive::<Int64Type>().clone())
}

fn dates(batch: &RecordBatch, name: &str) -> Result<Date32Array> {
    let array = one(batch, name)?;
    array.as_primitive_opt::<Date32Type>().cloned().ok_or_else(|| mistyped(name, array, "a date"))
}

fn mistyped(name: &str, array: &ArrayRef, needed: &str) -> Error {
    wrong_table(&format!("column `{name}` of type {}; it must be {needed}", array.data_type()))
}

fn one<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    let array = batch.column_by_name(name).ok_or_else(|| wrong_table(&format!("no column `{name}`")))?;
    if array.is_nullable() && array.logical_null_count() > 0 {
        return Err(wrong_table(&format!("empty values in column `{name}`")));
    }
    Ok(array)
}
