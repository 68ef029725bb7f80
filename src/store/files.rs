//! Parquet files: how they are written, and the list of files that is a table at one moment.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::period::Day;

/// One Parquet file of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Relative to the table's folder, with `/`.
    pub path: String,
    /// The size of the file.
    pub bytes: u64,
    /// The number of rows.
    pub rows: u64,
    /// The partition, for tables by day.
    pub day: Option<Day>,
    /// Delta statistics (JSON) of the columns, without the partition.
    pub stats: String,
}

/// A table at one moment: what an engine needs to scan it.
#[derive(Debug, Clone)]
pub struct TableFiles {
    /// The name in SQL.
    pub name: String,
    /// The folder that the paths of the files are relative to.
    pub root: PathBuf,
    /// The columns inside the files.
    pub schema: SchemaRef,
    /// Whether a column `day` (Date32, not null) comes from the partition.
    pub by_day: bool,
    /// The columns by which each file is sorted.
    pub sort_key: Vec<String>,
    /// The version of the Delta log; `None` for files outside a store.
    pub version: Option<i64>,
    /// The files, ordered by day, then path.
    pub files: Vec<DataFile>,
}

/// Writes sorted batches as one Parquet file under `root` (in `day=YYYY-MM-DD/` if `day` is given) and syncs it.
/// No batch, or only empty ones: `None`, and no file.
pub fn write_files(
    _root: &Path,
    _day: Option<Day>,
    _schema: &SchemaRef,
    _sort_key: &[&str],
    _batches: impl IntoIterator<Item = Result<RecordBatch>>,
) -> Result<Option<DataFile>> {
    todo!()
}
