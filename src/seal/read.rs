//! Reading sealed events back from their Parquet files. It knows nothing of staged ones.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::RowGroupMetaData;

use super::rows::{CHUNK_ROWS, rows_at_once};
use crate::error::{Error, Result};
use crate::store::{DataFile, coded_schema};

/// A sealed file whose footer has been read.
#[derive(Debug)]
pub(super) struct SealedFile {
    path: PathBuf,
    footer: ArrowReaderMetadata,
}

impl SealedFile {
    /// Reads the footer of a file of the table in `root`.
    pub(super) fn open(root: &Path, file: &DataFile) -> Result<Self> {
        let path = root.join(&file.path);
        let opened = File::open(&path).map_err(|cause| Error::path("read", &path, cause))?;
        let footer = ArrowReaderMetadata::load(&opened, ArrowReaderOptions::new())
            .map_err(|cause| Error::path("read", &path, cause))?;
        Ok(Self { path, footer })
    }

    /// What its events take in memory, in bytes.
    pub(super) fn decoded_bytes(&self) -> u64 {
        self.footer.metadata().row_groups().iter().map(decoded_bytes).sum()
    }

    /// Its events with the given columns, or all, ids coded, in the order of the file.
    pub(super) fn batches(
        &self,
        columns: Option<&[&str]>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let failed = |cause: &dyn std::fmt::Display| Error::path("read", &self.path, cause);
        let file = File::open(&self.path).map_err(|cause| failed(&cause))?;
        let largest = self.footer.metadata().row_groups().iter().map(decoded_bytes).max().unwrap_or(0);
        let options = ArrowReaderOptions::new().with_schema(coded_schema(self.footer.schema()));
        let footer = ArrowReaderMetadata::try_new(Arc::clone(self.footer.metadata()), options)
            .map_err(|cause| failed(&cause))?;
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer)
            .with_batch_size(rows_at_once(largest).min(CHUNK_ROWS));
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        let reader = builder.build().map_err(|cause| failed(&cause))?;
        let path = self.path.clone();
        Ok(reader.map(move |batch| batch.map_err(|cause| Error::path("read", &path, cause))))
    }
}

fn decoded_bytes(group: &RowGroupMetaData) -> u64 {
    let rows = u64::try_from(group.num_rows()).unwrap_or(0);
    let column_bytes = |column: &parquet::file::metadata::ColumnChunkMetaData| {
        // Numbers take eight bytes a row; texts an offset and what is written here, or, if they stand in the file as
        // they are, about what they take there.
        let text = column.unencoded_byte_array_data_bytes().and_then(|bytes| u64::try_from(bytes).ok());
        let stored = u64::try_from(column.uncompressed_size()).unwrap_or(0);
        text.map_or((8 * rows).max(stored), |bytes| bytes + 4 * rows)
    };
    group.columns().iter().map(column_bytes).sum()
}
