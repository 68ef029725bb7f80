//! Parquet files: how they are written, and the list of files that is a table at one moment.
//! It does not know what a version is or which files exist; the log decides that.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::errors::ParquetError;
use uuid::Uuid;

use super::codes::coded_type;
use super::groups::{GroupWriter, Packing, properties};
use super::stats::delta_stats;
use crate::error::{Error, Result};
use crate::period::{Day, format_day};

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

impl TableFiles {
    /// The number of rows in all files.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.files.iter().map(|file| file.rows).sum()
    }

    /// The size of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// The days that have files, in order, each once; empty for a table that is not by day.
    #[must_use]
    pub fn days(&self) -> Vec<Day> {
        let mut days: Vec<Day> = self.files.iter().filter_map(|file| file.day).collect();
        days.dedup();
        days
    }
}

/// Writes sorted batches as one Parquet file under `root` (in `day=YYYY-MM-DD/` if `day` is given). No batch, or only
/// empty ones: `None`, and no file. Holds at most one row group; a file that could not be finished is removed. It may be
/// gone or cut after a power cut, until it is committed to a table. A batch of other columns than `schema` is an
/// internal error, a full disk a storage error.
pub fn write_files(
    root: &Path,
    day: Option<Day>,
    schema: &SchemaRef,
    sort_key: &[&str],
    packing: Packing,
    batches: impl IntoIterator<Item = Result<RecordBatch>>,
) -> Result<Option<DataFile>> {
    let mut open: Option<OpenFile> = None;
    for batch in batches {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        let file = match &mut open {
            Some(file) => file,
            empty => empty.insert(OpenFile::create(root, day, schema, sort_key, packing)?),
        };
        file.write(schema, batch)?;
    }
    open.map(|file| file.finish(day, schema)).transpose()
}

/// The batch with exactly the columns of `schema`, so that neither metadata nor looser nullability gets into a file.
pub(super) fn conform(schema: &SchemaRef, batch: RecordBatch) -> Result<RecordBatch> {
    let same_names = schema.fields().iter().map(|field| field.name()).eq(names(&batch.schema()).iter());
    if !same_names {
        let (expected, found) = (names(schema).join(", "), names(&batch.schema()).join(", "));
        return Err(Error::Internal(format!("a batch has columns ({found}), expected ({expected})")));
    }
    // Coded texts are texts; the encoder looks into them itself.
    let is_coded = batch.columns().iter().any(|column| column.data_type() == &coded_type());
    let fields = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        if column.data_type() == &coded_type() && field.data_type() == &DataType::Utf8 {
            Arc::new(Field::new(field.name(), coded_type(), field.is_nullable()))
        } else {
            Arc::clone(field)
        }
    });
    let schema = if is_coded { Arc::new(Schema::new(fields.collect::<Vec<_>>())) } else { SchemaRef::clone(schema) };
    RecordBatch::try_new(schema, batch.into_parts().1)
        .map_err(|error| Error::Internal(format!("a batch does not have the columns of its table: {error}")))
}

/// Makes a folder and the missing ones above it, such that they outlive a power cut.
pub(super) fn create_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_folder(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made.map_err(|error| Error::path("create folder", path, error))?,
    }
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Makes the names in a folder outlive a power cut.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    sync("sync folder", path)
}

/// Makes a file, or the names in a folder, outlive a power cut.
pub(super) fn sync(doing: &str, path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_all()).map_err(|error| Error::path(doing, path, error))
}

fn names(schema: &Schema) -> Vec<String> {
    schema.fields().iter().map(|field| field.name().clone()).collect()
}

// A file that is being written; dropped before it is finished, it takes the half-written file with it.
struct OpenFile {
    path: PathBuf,
    name: String,
    writer: Option<GroupWriter>,
    finished: bool,
}

impl OpenFile {
    fn create(root: &Path, day: Option<Day>, schema: &SchemaRef, sort_key: &[&str], packing: Packing) -> Result<Self> {
        let properties = properties(schema, sort_key, packing)?;
        let file_name = format!("part-{}.parquet", Uuid::new_v4());
        let name = day.map_or_else(|| file_name.clone(), |day| format!("day={}/{file_name}", format_day(day)));
        let path = root.join(&name);
        let folder = path.parent().unwrap_or(root);
        fs::create_dir_all(folder).map_err(|error| Error::path("create folder", folder, error))?;
        let file = File::create_new(&path).map_err(|error| Error::path("create", &path, error))?;
        let mut open = Self { path, name, writer: None, finished: false };
        let writer = GroupWriter::new(file, schema, packing, properties);
        open.writer = Some(writer.map_err(|error| write_error(&open.path, error))?);
        Ok(open)
    }

    fn write(&mut self, schema: &SchemaRef, batch: RecordBatch) -> Result<()> {
        let batch = conform(schema, batch)?;
        let Some(writer) = &mut self.writer else { return Err(closed(&self.path)) };
        writer.write(&batch).map_err(|error| write_error(&self.path, error))
    }

    fn finish(mut self, day: Option<Day>, schema: &SchemaRef) -> Result<DataFile> {
        let Some(writer) = self.writer.take() else { return Err(closed(&self.path)) };
        let (metadata, file) = writer.finish().map_err(|error| write_error(&self.path, error))?;
        let bytes = file.metadata().map_err(|error| Error::path("write", &self.path, error))?.len();
        let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or_default();
        self.finished = true;
        let path = std::mem::take(&mut self.name);
        Ok(DataFile { path, bytes, rows, day, stats: delta_stats(schema, &metadata) })
    }
}

impl Drop for OpenFile {
    fn drop(&mut self) {
        if !self.finished {
            // Best effort: what stays behind is not in the log, so nobody reads it.
            drop(self.writer.take());
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn closed(path: &Path) -> Error {
    Error::Internal(format!("{} was written to after its end", path.display()))
}

// What the disk refuses is the user's to mend; what the encoder refuses is a defect here.
fn write_error(path: &Path, error: ParquetError) -> Error {
    match error {
        ParquetError::External(cause) if cause.is::<io::Error>() => Error::path("write", path, cause),
        other => Error::Internal(format!("cannot encode {}: {other}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    use super::*;

    fn schema() -> SchemaRef {
        let text = Field::new("name", DataType::Utf8, false);
        Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, false), text]))
    }

    fn batch(rows: std::ops::Range<i64>) -> RecordBatch {
        let names: Vec<String> = rows.clone().map(|row| format!("n{row}")).collect();
        let columns: Vec<arrow::array::ArrayRef> =
            vec![Arc::new(Int64Array::from_iter_values(rows)), Arc::new(StringArray::from(names))];
        RecordBatch::try_new(schema(), columns).expect("a batch")
    }

    fn files_in(root: &Path) -> usize {
        let entries = |path: &Path| fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries(root).map(|path| if path.is_dir() { entries(&path).count() } else { 1 }).sum()
    }

    #[test]
    fn a_file_holds_its_rows_and_says_how_they_are_sorted() {
        let root = tempfile::tempdir().expect("a folder");
        let batches = [Ok(batch(0..0)), Ok(batch(0..300_000)), Ok(batch(300_000..300_001))];
        let file = write_files(root.path(), Some(0), &schema(), &["number"], Packing::Fast, batches)
            .expect("written")
            .expect("a file");
        assert!(file.path.starts_with("day=1970-01-01/part-"), "{}", file.path);
        assert_eq!((file.rows, file.day), (300_001, Some(0)));
        let written = File::open(root.path().join(&file.path)).expect("the file");
        assert_eq!(file.bytes, written.metadata().expect("metadata").len());
        let reader = ParquetRecordBatchReaderBuilder::try_new(written).expect("a Parquet file");
        let metadata = Arc::clone(reader.metadata());
        assert_eq!(metadata.num_row_groups(), 2);
        let sorting = metadata.row_group(0).sorting_columns().expect("sorting columns");
        assert_eq!(sorting.iter().map(|column| column.column_idx).collect::<Vec<_>>(), [0]);
        let rows: Vec<RecordBatch> = reader.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
        assert_eq!(arrow::compute::concat_batches(&schema(), &rows).expect("one batch"), batch(0..300_001));
    }

    #[test]
    fn no_rows_are_no_file() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(write_files(root.path(), Some(1), &schema(), &[], Packing::Fast, []).expect("nothing"), None);
        assert_eq!(
            write_files(root.path(), None, &schema(), &[], Packing::Fast, [Ok(batch(0..0))]).expect("nothing"),
            None
        );
        assert_eq!(files_in(root.path()), 0);
    }

    #[test]
    fn an_error_takes_the_file_with_it() {
        let root = tempfile::tempdir().expect("a folder");
        let broken = [Ok(batch(0..10)), Err(Error::Data("broken".into()))];
        let error = write_files(root.path(), Some(1), &schema(), &[], Packing::Fast, broken)
            .expect_err("the error of the batches");
        assert!(matches!(error, Error::Data(_)), "{error}");
        assert_eq!(files_in(root.path()), 0);
    }

    #[test]
    fn other_columns_are_a_defect() {
        let root = tempfile::tempdir().expect("a folder");
        let other = batch(0..3).project(&[1, 0]).expect("columns in another order");
        for (sort_key, batch) in [(&[][..], other), (&["missing"][..], batch(0..3))] {
            let error =
                write_files(root.path(), None, &schema(), sort_key, Packing::Fast, [Ok(batch)]).expect_err("refused");
            assert!(matches!(error, Error::Internal(_)), "{error}");
        }
        assert_eq!(files_in(root.path()), 0);
    }

    #[test]
    fn a_disk_that_refuses_is_a_storage_error_with_the_path() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("file");
        fs::write(&root, "not a folder").expect("a file");
        let error = write_files(&root, None, &schema(), &[], Packing::Fast, [Ok(batch(0..3))]).expect_err("refused");
        assert!(matches!(error, Error::Storage(_)), "{error}");
        assert!(error.to_string().contains(&*root.to_string_lossy()), "{error}");
    }

    #[test]
    fn a_full_disk_is_a_storage_error() {
        let full = ParquetError::from(io::Error::from(io::ErrorKind::StorageFull));
        assert!(matches!(write_error(Path::new("f"), full), Error::Storage(_)));
    }
}
