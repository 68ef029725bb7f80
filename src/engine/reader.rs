//! Bytes of Parquet files on this machine, for queries that run here. What a file says of itself is read once for all of
//! them, and each file is opened once for each scan. It knows no tables.

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::parquet::CachedParquetMetaData;
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::cache::cache_manager::{CachedFileMetadataEntry, FileMetadataCache};
use datafusion::parquet::arrow::arrow_reader::ArrowReaderOptions;
use datafusion::parquet::arrow::async_reader::AsyncFileReader;
use datafusion::parquet::errors::{ParquetError, Result as ParquetResult};
use datafusion::parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use object_store::ObjectMeta;

/// Where a file lies on this machine, beside its location in the words of an object store.
#[derive(Debug, Clone)]
pub(super) struct Place(pub(super) PathBuf);

/// Opens files, which never change under their names.
#[derive(Debug)]
pub(super) struct Files {
    known: Arc<FileMetadataCache>,
}

impl Files {
    /// Files of which this is known.
    pub(super) fn new(known: Arc<FileMetadataCache>) -> Self {
        Self { known }
    }
}

impl ParquetFileReaderFactory for Files {
    fn create_reader(
        &self,
        _partition: usize,
        file: PartitionedFile,
        _metadata_size: Option<usize>,
        _metrics: &ExecutionPlanMetricsSet,
    ) -> DataFusionResult<Box<dyn AsyncFileReader + Send>> {
        let place = file.extension::<Place>().cloned();
        let Some(Place(path)) = place else {
            return Err(DataFusionError::Internal(format!(
                "{} has no place on this machine",
                file.object_meta.location
            )));
        };
        Ok(Box::new(Reader { path, meta: file.object_meta, known: Arc::clone(&self.known), file: None }))
    }
}

// Reading does not leave the thread: handing a few pages to another one takes longer than reading them.
struct Reader {
    path: PathBuf,
    meta: ObjectMeta,
    known: Arc<FileMetadataCache>,
    file: Option<File>,
}

impl Reader {
    fn open(&mut self) -> ParquetResult<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => File::open(&self.path).map_err(|e| self.failed(&e))?,
        };
        Ok(self.file.insert(file))
    }

    fn read(&mut self, range: &Range<u64>) -> ParquetResult<Bytes> {
        let length = range.end.saturating_sub(range.start);
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        let file = self.open()?;
        let read = file.seek(SeekFrom::Start(range.start)).and_then(|_| file.take(length).read_to_end(&mut bytes));
        match read {
            Ok(read) if read as u64 == length => Ok(Bytes::from(bytes)),
            Ok(_) => Err(self.failed(&io::Error::from(io::ErrorKind::UnexpectedEof))),
            Err(error) => Err(self.failed(&error)),
        }
    }

    // With the index of pages, if there is one: it is small, and asked for wherever a query filters.
    fn metadata(&mut self) -> ParquetResult<Arc<ParquetMetaData>> {
        if let Some(entry) = self.known.get(&self.meta.location)
            && entry.is_valid_for(&self.meta)
            && let Some(known) = entry.file_metadata.as_any().downcast_ref::<CachedParquetMetaData>()
        {
            return Ok(Arc::clone(known.parquet_metadata()));
        }
        let reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = Arc::new(reader.parse_and_finish(self.open()?)?);
        let known = Arc::new(CachedParquetMetaData::new(Arc::clone(&metadata)));
        self.known.put(&self.meta.location, CachedFileMetadataEntry::new(self.meta.clone(), known));
        Ok(metadata)
    }

    fn failed(&self, error: &io::Error) -> ParquetError {
        ParquetError::General(format!("{}: {error}", self.path.display()))
    }
}

impl AsyncFileReader for Reader {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        ready(self.read(&range)).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, ParquetResult<Vec<Bytes>>> {
        ready(ranges.iter().map(|range| self.read(range)).collect()).boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, ParquetResult<Arc<ParquetMetaData>>> {
        ready(self.metadata()).boxed()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::execution::runtime_env::RuntimeEnv;
    use datafusion::parquet::arrow::ArrowWriter;
    use object_store::path::Path as ObjectPath;

    use super::*;

    #[tokio::test]
    async fn a_file_is_read_where_it_lies_and_asked_once_what_it_holds() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a table.parquet");
        let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(0..10));
        let batch = RecordBatch::try_from_iter([("number", rows)]).expect("rows");
        let mut writer =
            ArrowWriter::try_new(File::create(&path).expect("a file"), batch.schema(), None).expect("a writer");
        writer.write(&batch).and_then(|()| writer.close()).expect("written");
        let bytes = std::fs::read(&path).expect("the bytes");

        let files = Files::new(RuntimeEnv::default().cache_manager.get_file_metadata_cache());
        let location = ObjectPath::from_absolute_path(&path).expect("a location");
        let file = PartitionedFile::new(location, bytes.len() as u64).with_extension(Place(path.clone()));
        let open = || files.create_reader(0, file.clone(), None, &ExecutionPlanMetricsSet::new()).expect("a reader");
        let mut reader = open();
        assert_eq!(reader.get_bytes(0..4).await.expect("bytes"), bytes[..4]);
        let end = bytes.len() as u64;
        let ranges = reader.get_byte_ranges(vec![4..8, end - 4..end]).await.expect("bytes");
        assert_eq!(ranges, [&bytes[4..8], &bytes[bytes.len() - 4..]]);
        let error = reader.get_bytes(end - 1..end + 1).await.expect_err("there is no more");
        assert!(error.to_string().contains("a table.parquet"), "{error}");
        let metadata = reader.get_metadata(None).await.expect("metadata");
        assert_eq!((metadata.file_metadata().num_rows(), metadata.offset_index().is_some()), (10, true));

        std::fs::remove_file(&path).expect("taken away");
        assert!(Arc::ptr_eq(&open().get_metadata(None).await.expect("known"), &metadata));
        let error = open().get_bytes(0..4).await.expect_err("it is gone");
        assert!(error.to_string().contains("a table.parquet"), "{error}");
        let nowhere = PartitionedFile::new("elsewhere", end);
        assert!(files.create_reader(0, nowhere, None, &ExecutionPlanMetricsSet::new()).is_err());
    }
}
