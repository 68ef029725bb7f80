//! Work files: batches of rows that a day puts aside, compressed, and reads again in order.
//! It does not know what the rows are.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use crate::error::{Error, Result};

/// Readers of many work files at once read batches of so many rows.
pub(super) const RUN_BATCH_ROWS: usize = 2048;

/// Creates a work file for batches of these columns.
pub(super) fn create(path: &Path, schema: &SchemaRef) -> Result<StreamWriter<BufWriter<File>>> {
    let file = File::create_new(path).map_err(|cause| Error::path("create", path, cause))?;
    IpcWriteOptions::default()
        .try_with_compression(Some(CompressionType::LZ4_FRAME))
        .and_then(|options| StreamWriter::try_new_with_options(BufWriter::new(file), schema, options))
        .map_err(|cause| Error::path("write", path, cause))
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
