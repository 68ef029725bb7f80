//! Work files: batches of rows that a day puts aside, as they lie in memory, and reads again in order.
//! It does not know what the rows are.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use crate::error::{Error, Result};

/// A work file that takes batches. Packing them would cost more than the disk does.
pub(super) struct WorkFile {
    path: PathBuf,
    writer: StreamWriter<BufWriter<File>>,
}

impl WorkFile {
    /// Creates a file for batches of these columns.
    pub(super) fn create(path: &Path, schema: &SchemaRef) -> Result<Self> {
        let file = File::create_new(path).map_err(|cause| Error::path("create", path, cause))?;
        let writer = StreamWriter::try_new(BufWriter::new(file), schema);
        Ok(Self { path: path.to_owned(), writer: writer.map_err(|cause| Error::path("write", path, cause))? })
    }

    /// Adds a batch.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.writer.write(batch).map_err(|cause| Error::path("write", &self.path, cause))
    }

    /// Writes the end.
    pub(super) fn finish(mut self) -> Result<()> {
        self.writer.finish().map_err(|cause| Error::path("write", &self.path, cause))
    }
}

/// The batches of a work file, in the order in which they were written.
pub(super) fn read(path: &Path) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
    let file = File::open(path).map_err(|cause| Error::path("read", path, cause))?;
    let reader = StreamReader::try_new(BufReader::new(file), None).map_err(|cause| Error::path("read", path, cause))?;
    let path = path.to_owned();
    Ok(reader
        .map(move |batch: std::result::Result<_, ArrowError>| batch.map_err(|cause| Error::path("read", &path, cause))))
}

/// Removes a work file that is not needed any more.
pub(super) fn remove(path: &Path) -> Result<()> {
    std::fs::remove_file(path).map_err(|cause| Error::path("remove", path, cause))
}
