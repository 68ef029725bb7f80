//! Events of one ingest on their way to the store: per day, in ingest order, in memory until a limit, then on disk.
//! It does not look into events, and what it wrote is gone when it is dropped.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Take, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use tempfile::TempPath;

use super::codes::{code, coded_schema, compact};
use super::files::conform;
use crate::error::{Error, Result};
use crate::event::Table;
use crate::period::Day;

/// The column of a staged batch that holds the number of the file (within the ingest) a record came from.
pub const STAGED_FILE_COLUMN: &str = "file";

/// The columns of a staged batch: those of `events` and `file` (`UInt32`).
#[must_use]
pub fn staged_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let events = Table::Events.file_schema();
        let file = Arc::new(Field::new(STAGED_FILE_COLUMN, DataType::UInt32, false));
        Arc::new(Schema::new(events.fields().iter().cloned().chain([file]).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

// The columns of a batch as it is held.
fn held_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| coded_schema(&staged_schema()));
    Arc::clone(&SCHEMA)
}

/// Accepted events by day. Batches of a day come back in the order in which they were pushed, small ones joined.
#[derive(Debug)]
pub struct Staging {
    folder: PathBuf,
    memory: u64,
    held: u64,
    days: BTreeMap<Day, StagedDay>,
    spill: Option<TempPath>,
}

/// The batches of a day in ingest order, first from disk, then from memory.
type Batches<'a> = Box<dyn Iterator<Item = Result<RecordBatch>> + 'a>;

// A batch of this many rows or bytes is joined with no other.
const FULL_ROWS: usize = 8 * 1024;
const FULL_BYTES: u64 = 4 << 20;
// So many neighbours of one level become one batch of the next: a row is copied once per level, and a day never has
// more than this many small batches per level.
const FAN_IN: usize = 8;
const FULL: u8 = u8::MAX;

#[derive(Debug, Default)]
struct StagedDay {
    // In order: everything in `spilled` came before everything in `held`.
    spilled: Vec<Segment>,
    held: Vec<Held>,
    bytes: u64,
}

#[derive(Debug)]
struct Held {
    batch: RecordBatch,
    bytes: u64,
    level: u8,
}

// A whole Arrow IPC stream inside the spill file.
#[derive(Debug, Clone, Copy)]
struct Segment {
    offset: u64,
    bytes: u64,
}

impl Staging {
    /// A staging area that spills to one file in `folder` (Arrow IPC) when it holds more than `memory` bytes.
    #[must_use]
    pub fn new(folder: &Path, memory: u64) -> Self {
        Self { folder: folder.to_owned(), memory, held: 0, days: BTreeMap::new(), spill: None }
    }

    /// Adds events of one day, ids plain or coded; they come back coded. A batch that is a small part of a larger one is
    /// copied, so that it does not hold the whole.
    #[expect(clippy::needless_pass_by_value, reason = "what is staged is given away")]
    pub fn push(&mut self, day: Day, batch: RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let batch = compact(&code(&batch).map_err(defect)?).map_err(defect)?;
        let batch = conform(&held_schema(), batch)?;
        let added = Held::new(if is_small_part(&batch)? { copy(&batch)? } else { batch }, 0);
        let staged = self.days.entry(day).or_default();
        let before = staged.held_bytes();
        staged.held.push(added);
        staged.join_neighbours()?;
        let after = staged.held_bytes();
        staged.bytes = staged.bytes + after - before;
        self.held = self.held + after - before;
        if self.held > self.memory { self.spill() } else { Ok(()) }
    }

    /// The days with events, in order.
    #[must_use]
    pub fn days(&self) -> Vec<Day> {
        self.days.keys().copied().collect()
    }

    /// What the events of a day take in memory, in bytes: measured for those in memory, and when they were spilled for
    /// those on disk.
    #[must_use]
    pub fn bytes(&self, day: Day) -> u64 {
        self.days.get(&day).map_or(0, |staged| staged.bytes)
    }

    /// The events of a day in ingest order, one batch at a time; several threads may read at once.
    pub fn read(&self, day: Day) -> Result<Batches<'_>> {
        let Some(staged) = self.days.get(&day) else { return Ok(Box::new(std::iter::empty())) };
        let held = staged.groups().map(join);
        let Some(path) = self.spill.as_deref().filter(|_| !staged.spilled.is_empty()) else {
            return Ok(Box::new(held));
        };
        let spilled = staged.spilled.iter().flat_map(move |segment| match segment.open(path) {
            Ok(reader) => Box::new(reader.map(|batch| batch.map_err(|error| spill_error("read", path, error)))),
            Err(error) => Box::new(std::iter::once(Err(error))) as Batches<'_>,
        });
        Ok(Box::new(spilled.chain(held)))
    }

    // All days go at once, into one file: however many days there are, that is one open file and few large writes.
    fn spill(&mut self) -> Result<()> {
        let path = match &self.spill {
            Some(path) => path,
            None => self.spill.insert(new_spill_file(&self.folder)?),
        };
        let broken = |error| Error::path("write", path, error);
        let mut file = File::options().append(true).open(path).map_err(broken)?;
        let mut offset = file.seek(SeekFrom::End(0)).map_err(broken)?;
        for staged in self.days.values_mut().filter(|staged| !staged.held.is_empty()) {
            let mut out = Counted { inner: BufWriter::new(&file), bytes: 0 };
            write_stream(&mut out, staged.groups().map(join), path)?;
            out.flush().map_err(broken)?;
            staged.spilled.push(Segment { offset, bytes: out.bytes });
            offset += out.bytes;
            staged.held = Vec::new();
        }
        self.held = 0;
        Ok(())
    }
}

impl StagedDay {
    fn held_bytes(&self) -> u64 {
        self.held.iter().map(|held| held.bytes).sum()
    }

    fn join_neighbours(&mut self) -> Result<()> {
        while let Some(level) = self.held.last().map(|held| held.level).filter(|level| *level != FULL) {
            let alike = self.held.iter().rev().take(FAN_IN).take_while(|held| held.level == level).count();
            if alike < FAN_IN {
                break;
            }
            let neighbours = self.held.split_off(self.held.len() - FAN_IN);
            self.held.push(Held::new(join(&neighbours)?, level + 1));
        }
        Ok(())
    }

    // Neighbours that together make one batch of a decent size.
    fn groups(&self) -> impl Iterator<Item = &[Held]> {
        let mut rest = self.held.as_slice();
        std::iter::from_fn(move || {
            let (mut rows, mut bytes) = (0, 0);
            let fits = |held: &&Held| {
                rows += held.batch.num_rows();
                bytes += held.bytes;
                rows <= FULL_ROWS && bytes <= FULL_BYTES
            };
            let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
            let (group, others) = rest.split_at(count);
            rest = others;
            (!group.is_empty()).then_some(group)
        })
    }
}

impl Held {
    fn new(batch: RecordBatch, level: u8) -> Self {
        let bytes = batch.get_array_memory_size() as u64;
        let full = batch.num_rows() >= FULL_ROWS || bytes >= FULL_BYTES;
        Self { batch, bytes, level: if full { FULL } else { level } }
    }
}

impl Segment {
    fn open(self, path: &Path) -> Result<StreamReader<BufReader<Take<File>>>> {
        let broken = |error| Error::path("read", path, error);
        let mut file = File::open(path).map_err(broken)?;
        file.seek(SeekFrom::Start(self.offset)).map_err(broken)?;
        StreamReader::try_new(BufReader::new(file.take(self.bytes)), None)
            .map_err(|error| spill_error("read", path, error))
    }
}

struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

fn write_stream(out: impl Write, batches: impl Iterator<Item = Result<RecordBatch>>, path: &Path) -> Result<()> {
    let broken = |error| spill_error("write", path, error);
    // Coded events are small, and compressing them would cost more than the disk does.
    let mut writer = StreamWriter::try_new(out, &held_schema()).map_err(broken)?;
    for batch in batches {
        writer.write(&batch?).map_err(broken)?;
    }
    writer.finish().map_err(broken)
}

fn new_spill_file(folder: &Path) -> Result<TempPath> {
    let file = tempfile::Builder::new().prefix("staged-").suffix(".arrows").tempfile_in(folder);
    Ok(file.map_err(|error| Error::path("create a file in", folder, error))?.into_temp_path())
}

fn join(neighbours: &[Held]) -> Result<RecordBatch> {
    match neighbours {
        [one] => Ok(one.batch.clone()),
        many => concat_batches(&held_schema(), many.iter().map(|held| &held.batch)).map_err(defect),
    }
}

// Arrow returns a lone array as it is, so the rows are joined with nothing to get memory of their own.
fn copy(batch: &RecordBatch) -> Result<RecordBatch> {
    concat_batches(&held_schema(), [batch, &batch.slice(0, 0)]).map_err(defect)
}

fn is_small_part(batch: &RecordBatch) -> Result<bool> {
    const OVERHEAD: usize = 4096;
    let used = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    let used = used.sum::<std::result::Result<usize, ArrowError>>().map_err(defect)?;
    Ok(batch.get_array_memory_size() > 2 * used + OVERHEAD)
}

#[expect(clippy::needless_pass_by_value, reason = "takes what `map_err` gives")]
fn defect(error: ArrowError) -> Error {
    Error::Internal(format!("cannot join staged events: {error}"))
}

fn spill_error(doing: &str, path: &Path, error: ArrowError) -> Error {
    match error {
        ArrowError::IoError(_, cause) => Error::path(doing, path, cause),
        other => Error::Internal(format!("cannot {doing} {}: {other}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array};
    use arrow::datatypes::Int64Type;

    use super::super::codes::decode;
    use super::*;

    // Rows whose `duration_ms` counts up from `first`.
    fn batch(first: i64, rows: i64) -> RecordBatch {
        let text = |name: &'static str| {
            let values = (first..first + rows).map(move |row| format!("{name}-{row}")).collect::<Vec<_>>();
            Arc::new(StringArray::from(values)) as ArrayRef
        };
        let numbers = Int64Array::from_iter_values(first..first + rows);
        let instants = TimestampMicrosecondArray::from_iter_values(first..first + rows).with_timezone("UTC");
        let extra = (0..rows).map(|row| (row % 2 == 0).then_some("{}")).collect::<StringArray>();
        let files = UInt32Array::from_iter_values((0..rows).map(|_| 7));
        let columns: Vec<ArrayRef> = vec![
            text("event"),
            Arc::new(instants),
            text("user"),
            text("org"),
            text("app"),
            text("action"),
            Arc::new(numbers),
            text(""),
            Arc::new(extra),
            Arc::new(files),
        ];
        RecordBatch::try_new(staged_schema(), columns).expect("a staged batch")
    }

    fn rows(staging: &Staging, day: Day) -> Vec<i64> {
        let batches = staging.read(day).expect("readable").map(|batch| batch.expect("a batch"));
        let durations = batches.map(|batch| batch["duration_ms"].as_primitive::<Int64Type>().values().to_vec());
        durations.flatten().collect()
    }

    fn check_order(memory: u64, batch_rows: i64, spills: bool) {
        let folder = tempfile::tempdir().expect("a folder");
        let mut staging = Staging::new(folder.path(), memory);
        let (days, rounds) = (4, 40);
        for round in 0..rounds {
            for day in (0..days).rev() {
                staging.push(day, batch(round * batch_rows, batch_rows)).expect("pushed");
            }
        }
        assert_eq!(staging.spill.is_some(), spills, "memory={memory}");
        assert_eq!(staging.days(), (0..days).collect::<Vec<_>>());
        for day in 0..days {
            assert_eq!(rows(&staging, day), (0..rounds * batch_rows).collect::<Vec<_>>(), "memory={memory} day={day}");
            assert!(staging.bytes(day) > 0);
        }
        drop(staging);
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "spilled events stay behind");
    }

    #[test]
    fn events_come_back_in_order() {
        check_order(u64::MAX, 8, false);
        check_order(0, 8, true);
        check_order(60_000, 8, true);
        check_order(400_000, 700, true);
        check_order(u64::MAX, 9_000, false);
    }

    #[test]
    fn all_columns_survive_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut staging = Staging::new(folder.path(), 0);
        staging.push(3, batch(5, 100)).expect("pushed");
        let read = staging.read(3).expect("readable").collect::<Result<Vec<_>>>().expect("batches");
        let read = read.iter().map(|batch| decode(batch).expect("texts")).collect::<Vec<_>>();
        assert_eq!(read, [batch(5, 100)]);
        assert_eq!(staging.read(4).expect("readable").count(), 0);
        assert_eq!(staging.bytes(4), 0);
    }

    #[test]
    fn slices_of_a_chunk_do_not_hold_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut staging = Staging::new(folder.path(), u64::MAX);
        for chunk in 0..64 {
            let rows = batch(chunk * 6272, 6272);
            for day in 0..784 {
                staging.push(day, rows.slice(usize::try_from(day * 8).expect("a row"), 8)).expect("pushed");
            }
        }
        let rows_of_a_day = 64 * 8;
        let held: usize = staging.days.values().map(|day| day.held.len()).sum();
        assert_eq!(held, 784, "64 slices a day are one batch");
        assert_eq!(rows(&staging, 100).len(), rows_of_a_day);
        let whole = batch(0, 6272).get_array_memory_size() as u64 * 64;
        assert!(staging.held < 2 * whole, "{} bytes held for {whole}", staging.held);
        assert_eq!(staging.held, (0..784).map(|day| staging.bytes(day)).sum::<u64>());
    }

    #[test]
    fn long_texts_are_not_joined_beyond_measure() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut staging = Staging::new(folder.path(), u64::MAX);
        let mut columns = batch(0, 8).columns().to_vec();
        columns[8] = Arc::new(StringArray::from(vec!["x".repeat(1 << 20); 8]));
        let long = RecordBatch::try_new(staged_schema(), columns).expect("a staged batch");
        for _ in 0..20 {
            staging.push(0, long.clone()).expect("pushed");
        }
        let sizes = staging.read(0).expect("readable").map(|batch| batch.expect("a batch").num_rows());
        assert_eq!(sizes.collect::<Vec<_>>(), [8; 20]);
    }

    #[test]
    fn other_columns_are_a_defect() {
        let folder = tempfile::tempdir().expect("a folder");
        let wrong = batch(0, 3).project(&[0, 1]).expect("two columns");
        let error = Staging::new(folder.path(), 0).push(0, wrong).expect_err("refused");
        assert!(matches!(error, Error::Internal(_)), "{error}");
    }

    #[test]
    fn a_missing_folder_is_a_storage_error() {
        let mut staging = Staging::new(Path::new("/nowhere/at/all"), 0);
        let error = staging.push(0, batch(0, 3)).expect_err("refused");
        assert!(matches!(error, Error::Storage(_)), "{error}");
    }

    #[test]
    fn threads_may_read_at_once() {
        fn shared<T: Send + Sync>() {}
        shared::<Staging>();
    }
}
