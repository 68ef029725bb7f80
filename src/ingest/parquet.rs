//! Parquet files: row groups become the values of records, a few thousand rows at a time.
//! It does not know what makes a record an event.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};

use crate::error::{Error, Result};
use crate::event::Reason;

use super::columns::{Harvest, Harvester};
use super::keep::Keep;
use super::mapping::Mapping;
use super::record::{FIELDS, Rules};
use super::table::{Table, rows_as_json};
use super::whole::{Columns, rows_at, wanted_schema};

const BATCH_ROWS: usize = 8192;
// Rows that are taken as they are come in as many as a day is sorted by, unless they are long.
const WHOLE_BATCH_ROWS: usize = 1 << 16;
const WHOLE_ROW_BYTES: i64 = 1 << 10;
const HARVEST_BYTES: usize = 8 << 20;

/// An opened file.
pub(super) struct ParquetFile {
    path: PathBuf,
    label: String,
    metadata: ArrowReaderMetadata,
    // The same, but asking for the columns as they are taken whole.
    whole: ArrowReaderMetadata,
}

impl ParquetFile {
    /// Reads the footer. `label` is what people call the file.
    pub(super) fn open(path: &Path, label: &str) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::path("read", path, e))?;
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|e| damaged(label, &e))?;
        let options = ArrowReaderOptions::new().with_schema(wanted_schema(metadata.schema()));
        let whole = ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options);
        let whole = whole.unwrap_or_else(|_| metadata.clone());
        Ok(Self { path: path.to_owned(), label: label.to_owned(), metadata, whole })
    }

    /// The columns of the file.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The stored size of each row group, in order.
    pub(super) fn group_bytes(&self) -> Vec<u64> {
        let groups = self.metadata.metadata().row_groups();
        groups.iter().map(|group| u64::try_from(group.compressed_size()).unwrap_or(0)).collect()
    }

    /// Reads a row group and gives its harvests in order, until `give` says no.
    pub(super) fn read(&self, group: usize, reading: &Reading, give: &mut dyn FnMut(Harvest) -> bool) -> Result<()> {
        let columns = match reading.mapping {
            Some(mapping) => mapping.columns().to_vec(),
            None => self.field_columns(reading.keep),
        };
        let mut part = Part {
            harvester: Harvester::new(reading.rules),
            columns: Columns::default(),
            rejected: Vec::new(),
            rows: 0,
        };
        let footer = self.metadata.metadata().row_group(group);
        let is_short = footer.total_byte_size() < WHOLE_ROW_BYTES.saturating_mul(footer.num_rows());
        let (metadata, batch_rows) = match reading {
            Reading { mapping: None, keep, .. } if keep.names().is_empty() && is_short => {
                (&self.whole, WHOLE_BATCH_ROWS)
            }
            _ => (&self.metadata, BATCH_ROWS),
        };
        for batch in self.reader(metadata, group, &columns, None, batch_rows)? {
            let batch = batch.map_err(|e| damaged(&self.label, &e))?;
            part.take(&batch, reading).map_err(|e| e.within(&self.label))?;
            if part.harvester.bytes() > HARVEST_BYTES && !give(part.harvester.harvest(reading.file, 0)?) {
                return Ok(());
            }
        }
        self.refuse(group, &mut part, reading, give)?;
        give(part.harvester.harvest(reading.file, part.rows)?);
        Ok(())
    }

    // Rejected rows are few: only they are read with all their columns, in one second pass over the group.
    fn refuse(
        &self,
        group: usize,
        part: &mut Part,
        reading: &Reading,
        give: &mut dyn FnMut(Harvest) -> bool,
    ) -> Result<()> {
        if part.rejected.is_empty() {
            return Ok(());
        }
        let rows = part.rejected.iter().map(|(row, _)| usize::try_from(*row).unwrap_or(usize::MAX));
        let total = usize::try_from(self.metadata.metadata().row_group(group).num_rows()).unwrap_or(usize::MAX);
        let selection = RowSelection::from_consecutive_ranges(rows.map(|row| row..row + 1), total);
        let columns: Vec<usize> = (0..self.schema().fields().len()).collect();
        let mut rejected = part.rejected.iter();
        for batch in self.reader(&self.metadata, group, &columns, Some(selection), BATCH_ROWS)? {
            let batch = batch.map_err(|e| damaged(&self.label, &e))?;
            // A column whose type JSON cannot show must not turn a rejected row into a failed ingest.
            let raw = rows_as_json(&batch).unwrap_or_else(|_| vec![String::new(); batch.num_rows()]);
            for (raw, (row, reason)) in raw.iter().zip(&mut rejected) {
                part.harvester.reject(row + 1, *reason, raw.as_bytes());
            }
            if !give(part.harvester.harvest(reading.file, 0)?) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn reader(
        &self,
        metadata: &ArrowReaderMetadata,
        group: usize,
        columns: &[usize],
        selection: Option<RowSelection>,
        batch_rows: usize,
    ) -> Result<ParquetRecordBatchReader> {
        let file = File::open(&self.path).map_err(|e| Error::path("read", &self.path, e))?;
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata.clone())
            .with_row_groups(vec![group])
            .with_batch_size(batch_rows)
            .with_projection(mask);
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        builder.build().map_err(|e| damaged(&self.label, &e))
    }

    fn field_columns(&self, keep: &Keep) -> Vec<usize> {
        let is_read = |name: &String| FIELDS.iter().any(|(field, _)| field == name) || keep.names().contains(name);
        let fields = self.schema().fields().iter().enumerate();
        fields.filter(|(_, field)| is_read(field.name())).map(|(place, _)| place).collect()
    }
}

/// How a file is read.
#[derive(Clone, Copy)]
pub(super) struct Reading<'a> {
    pub(super) rules: &'a Rules,
    pub(super) keep: &'a Keep,
    pub(super) mapping: Option<&'a Mapping>,
    /// The number of the file.
    pub(super) file: u32,
}

// A row group on its way: which of its rows are no events, and how many rows were taken.
struct Part {
    harvester: Harvester,
    columns: Columns,
    rejected: Vec<(u64, Reason)>,
    rows: u64,
}

impl Part {
    fn take(&mut self, batch: &RecordBatch, reading: &Reading) -> Result<()> {
        if self.take_whole(batch, reading)? {
            self.rows += batch.num_rows() as u64;
            return Ok(());
        }
        let mapped = reading.mapping.map(|mapping| mapping.run(batch)).transpose()?;
        let (fields, rows) = match &mapped {
            Some((fields, rows)) => (fields, Some(rows)),
            None => (batch, None),
        };
        take_rows(fields, reading, &mut self.harvester, |place, reason| {
            let row = rows.map_or(place as u64, |rows| rows.value(place).cast_unsigned());
            self.rejected.push((self.rows + row, reason));
        })?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    // Whether the batch could be taken as it is, but for the rows that are no events.
    fn take_whole(&mut self, batch: &RecordBatch, reading: &Reading) -> Result<bool> {
        if reading.mapping.is_some() || !reading.keep.names().is_empty() {
            return Ok(false);
        }
        let judge = self.harvester.judge();
        let Some(whole) = self.columns.judge(batch, judge, reading.rules.max_record_bytes, reading.file)? else {
            return Ok(false);
        };
        let mut refused = Vec::with_capacity(whole.suspects.len());
        if !whole.suspects.is_empty() {
            let suspects = rows_at(batch, &whole.suspects)?;
            let table = table(&suspects, reading)?;
            for (place, row) in whole.suspects.iter().enumerate() {
                match judge.event(&table.values(place)) {
                    Err(reason) => refused.push((self.rows + u64::from(*row), reason)),
                    // The long way has the last word.
                    Ok(_) => return Ok(false),
                }
            }
        }
        self.harvester.take_whole(&whole.batch, &whole.days, reading.file)?;
        self.rejected.extend(refused);
        Ok(true)
    }
}

fn table(batch: &RecordBatch, reading: &Reading) -> Result<Table> {
    Table::new(batch, reading.keep)
        .map_err(|e| Error::Data(format!("a column cannot be read: {e}; leave it out, or give it another type")))
}

/// Takes each row of a batch with event fields; tells those that are no events, by their place.
pub(super) fn take_rows(
    batch: &RecordBatch,
    reading: &Reading,
    harvester: &mut Harvester,
    mut refuse: impl FnMut(usize, Reason),
) -> Result<()> {
    let table = table(batch, reading)?;
    let max_bytes = reading.rules.max_record_bytes;
    let has_long = table.longest_row_bytes() > max_bytes;
    for row in 0..batch.num_rows() {
        let outcome = if has_long && table.row_bytes(row) > max_bytes {
            Err(Reason::TooLong)
        } else {
            harvester.record(&table.values(row), table.extra(row))
        };
        if let Err(reason) = outcome {
            refuse(row, reason);
        }
    }
    Ok(())
}

fn damaged(label: &str, cause: &dyn std::fmt::Display) -> Error {
    Error::Data(format!(
        "{label}: this is no Parquet file, or it is damaged ({cause}); nothing was ingested; replace the file or leave it out"
    ))
}
