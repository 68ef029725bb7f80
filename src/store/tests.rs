//! The store as a whole: what a commit makes exist, and what is left when it is cut short.

use std::fs;
use std::future::Future;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::snapshot::LEDGER;
use super::*;
use crate::period::Day;

const WHO: &str = "everybody";

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

fn zone(name: &str) -> Tz {
    name.parse().expect("a zone of the test")
}

async fn new_store(folder: &tempfile::TempDir) -> Store {
    Store::create_or_open(&folder.path().join("a störe #1"), zone("UTC")).await.expect("a store")
}

// Rows in which every integer column holds `value` and every text tells its row.
fn rows(table: Table, value: i64, count: usize) -> RecordBatch {
    let schema = table.file_schema();
    let column = |kind: &DataType| -> ArrayRef {
        match kind {
            DataType::Utf8 => Arc::new(StringArray::from_iter_values((0..count).map(|row| format!("t{row:03}")))),
            DataType::Int64 => Arc::new(Int64Array::from(vec![value; count])),
            DataType::Date32 => Arc::new(Date32Array::from(vec![0; count])),
            _ => Arc::new(TimestampMicrosecondArray::from(vec![value; count]).with_timezone("UTC")),
        }
    };
    let columns = schema.fields().iter().map(|field| column(field.data_type())).collect();
    RecordBatch::try_new(schema, columns).expect("rows of the table")
}

fn write(store: &Store, table: Table, day: Option<Day>, value: i64, count: usize) -> Vec<DataFile> {
    let batch = rows(table, value, count);
    let file =
        write_files(&store.table_root(table), day, &table.file_schema(), table.sort_key(), Packing::Fast, [Ok(batch)]);
    file.expect("written").into_iter().collect()
}

// A batch that gives each of `days` one event with the batch's number as its duration.
fn batch_files(store: &Store, batch: i64, days: &[Day]) -> BatchFiles {
    BatchFiles {
        events: days.iter().flat_map(|day| write(store, Table::Events, Some(*day), batch, 1)).collect(),
        rejects: write(store, Table::Rejects, None, batch, 2),
        batches: write(store, Table::Batches, None, batch, 1),
        batch_days: write(store, Table::BatchDays, None, batch, days.len()),
    }
}

// The lock of a writer, and what there is when it gets it.
async fn locked(store: &Store) -> (WriterLock, Snapshot) {
    let lock = store.lock().expect("the lock");
    (lock, store.snapshot().await.expect("a snapshot"))
}

async fn ingest(store: &Store, days: &[Day]) -> Snapshot {
    let (lock, base) = locked(store).await;
    let files = batch_files(store, base.last_batch + 1, days);
    store.commit_batch(&lock, &base, files).await.expect("committed")
}

fn rollup_files(store: &Store, days: &[Day], value: i64) -> RollupFiles {
    let files = |table| (table, days.iter().flat_map(|day| write(store, table, Some(*day), value, 1)).collect());
    RollupFiles { days: days.to_vec(), files: Table::ROLLUPS.map(files).into() }
}

async fn derive(store: &Store, base: &Snapshot, days: &[Day], who: &str) -> Result<Snapshot> {
    let lock = store.lock().expect("the lock");
    store.commit_rollups(&lock, base, rollup_files(store, days, base.last_batch), who).await?;
    store.snapshot().await
}

// An integer column of all rows that a snapshot shows, file by file.
fn values(snapshot: &Snapshot, table: Table, column: &str) -> Vec<i64> {
    let files = snapshot.table(table);
    let read = |file: &DataFile| {
        let file = File::open(files.root.join(&file.path)).expect("a file of the snapshot");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build);
        reader.expect("a Parquet file").map(|batch| batch.expect("rows")).collect::<Vec<_>>()
    };
    let batches = files.files.iter().flat_map(read);
    batches.flat_map(|batch| batch[column].as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[test]
fn a_new_store_is_empty_and_opens_again() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let root = folder.path().join("a/store");
        let missing = Store::open(&root, zone("UTC")).await.expect_err("no store yet");
        assert!(matches!(missing, Error::Usage(_)), "{missing}");
        Store::create_or_open(&root, zone("UTC")).await.expect("made");
        let store = Store::open(&root, zone("UTC")).await.expect("opened");
        let snapshot = store.snapshot().await.expect("a snapshot");
        assert_eq!(snapshot.tables.keys().copied().collect::<Vec<_>>(), Table::ALL);
        assert_eq!((snapshot.last_batch, snapshot.rollups_from, snapshot.rollups_who.clone()), (0, None, None));
        assert!(snapshot.tables.values().all(|table| table.files.is_empty() && table.version == Some(0)));
        assert_eq!(store.stale_rollups(&snapshot, WHO).await.expect("told"), Stale::All);
        let other = Store::create_or_open(&root, zone("Asia/Shanghai")).await.expect_err("another zone");
        assert!(matches!(other, Error::Definition(_)), "{other}");
    });
}

#[test]
fn a_store_that_was_half_made_is_completed() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        fs::remove_dir_all(store.table_root(Table::Rejects)).expect("removed");
        fs::remove_file(store.table_root(Table::Batches).join("_delta_log/00000000000000000000.json"))
            .expect("removed");
        let store = new_store(&folder).await;
        assert_eq!(ingest(&store, &[3]).await.last_batch, 1);
    });
}

#[test]
fn a_day_is_replaced_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        let first = ingest(&store, &[1, 2, 3]).await;
        let second = ingest(&store, &[2, 4]).await;
        assert_eq!(second.table(Table::Events).days(), [1, 2, 3, 4]);
        assert_eq!(values(&second, Table::Events, "duration_ms"), [1, 2, 1, 2]);
        assert_eq!((second.table(Table::Events).rows(), second.last_batch), (4, 2));
        assert_eq!(values(&second, Table::Rejects, "batch").iter().sum::<i64>(), 6);
        assert_eq!(values(&first, Table::Events, "duration_ms"), [1, 1, 1], "an old snapshot stays readable");
    });
}

#[test]
fn a_batch_without_new_events_exists() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        let first = derive(&store, &ingest(&store, &[1]).await, &[1], WHO).await.expect("derived");
        let second = ingest(&store, &[]).await;
        assert_eq!((first.last_batch, second.last_batch), (1, 2));
        assert_eq!(first.table(Table::Events).files, second.table(Table::Events).files);
        assert_eq!(store.stale_rollups(&second, WHO).await.expect("told"), Stale::Nothing);
    });
}

#[test]
fn of_two_writers_on_one_base_one_wins() {
    let folder = tempfile::tempdir().expect("a folder");
    let results = run(async {
        let store = Arc::new(new_store(&folder).await);
        let other = Arc::new(new_store(&folder).await);
        let lock = Arc::new(store.lock().expect("the lock"));
        let base = Arc::new(store.snapshot().await.expect("a snapshot"));
        let tasks = [store, other].map(|store| {
            let (lock, base) = (Arc::clone(&lock), Arc::clone(&base));
            tokio::spawn(async move {
                let files = batch_files(&store, 1, &[7]);
                store.commit_batch(&lock, &base, files).await
            })
        });
        futures::future::join_all(tasks).await
    });
    let results: Vec<_> = results.into_iter().map(|result| result.expect("no panic")).collect();
    let won: Vec<&Snapshot> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(won.len(), 1);
    assert!(results.iter().any(|result| matches!(result, Err(Error::Conflict(_)))));
    assert_eq!(values(won[0], Table::Events, "duration_ms"), [1]);
    assert_eq!(values(won[0], Table::Batches, "batch"), [1]);
    assert_eq!(values(won[0], Table::Rejects, "batch"), [1, 1]);
}

#[test]
fn what_a_killed_ingest_left_in_the_ledger_is_not_seen_and_then_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        let base = ingest(&store, &[1]).await;
        let BatchFiles { rejects, batches, batch_days, .. } = batch_files(&store, 2, &[1, 5]);
        for (table, files) in LEDGER.into_iter().zip([batches, rejects, batch_days]) {
            store.commit_ledger(table, &base, 2, files).await.expect("committed");
        }
        let after_kill = store.snapshot().await.expect("a snapshot");
        assert_eq!(after_kill.last_batch, 1);
        for table in LEDGER {
            assert_eq!(after_kill.table(table).files, base.table(table).files, "{}", table.name());
        }
        let lock = store.lock().expect("the lock");
        let files = BatchFiles { batches: write(&store, Table::Batches, None, 2, 1), ..BatchFiles::default() };
        let next = store.commit_batch(&lock, &after_kill, files).await.expect("committed");
        let mut batches = values(&next, Table::Batches, "batch");
        batches.sort_unstable();
        assert_eq!(batches, [1, 2]);
        assert_eq!(values(&next, Table::Rejects, "batch"), [1, 1]);
        assert_eq!(values(&next, Table::BatchDays, "batch"), [1]);
        let raw = store.log(Table::Rejects).read().await.expect("the log");
        assert_eq!(raw.files().expect("files").len(), 1, "the orphan is gone from the log");
    });
}

#[test]
fn a_batch_of_another_number_is_a_defect() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        let (lock, base) = locked(&store).await;
        let error = store.commit_batch(&lock, &base, batch_files(&store, 2, &[1])).await.expect_err("refused");
        assert!(matches!(error, Error::Internal(_)), "{error}");
    });
}

#[test]
fn nothing_is_committed_that_the_disk_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        let (lock, base) = locked(&store).await;
        let files = batch_files(&store, 1, &[1, 2]);
        let lost = DataFile { path: "day=1970-01-02/lost.parquet".into(), ..files.events[0].clone() };
        store.begin_sync(Table::Events, &[lost]);
        let error = store.commit_batch(&lock, &base, files).await.expect_err("refused");
        assert!(matches!(&error, Error::Storage(message) if message.contains("lost.parquet")), "{error}");
        let after = store.snapshot().await.expect("a snapshot");
        assert_eq!(after.last_batch, base.last_batch);
        for table in Table::ALL {
            assert_eq!(after.table(table).version, base.table(table).version, "{}", table.name());
        }
    });
}

#[test]
fn rollups_know_which_days_they_lack() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        let stale = async |snapshot: &Snapshot, who| store.stale_rollups(snapshot, who).await.expect("told");
        let first = derive(&store, &ingest(&store, &[1, 2, 3]).await, &[1, 2, 3], WHO).await.expect("derived");
        assert_eq!((first.rollups_from, first.rollups_who.as_deref()), (Some(1), Some(WHO)));
        assert_eq!(stale(&first, WHO).await, Stale::Nothing);
        assert_eq!(stale(&first, "nobody").await, Stale::All);
        ingest(&store, &[2, 4]).await;
        let third = ingest(&store, &[4, 5]).await;
        assert_eq!(stale(&third, WHO).await, Stale::Days(vec![2, 4, 5]));
        let error = derive(&store, &third, &[4, 5], WHO).await.expect_err("day 2 is left out");
        assert!(matches!(error, Error::Internal(_)) && error.to_string().contains("1970-01-03"), "{error}");
        let done = derive(&store, &third, &[2, 4, 5], WHO).await.expect("derived");
        assert_eq!(stale(&done, WHO).await, Stale::Nothing);
        assert_eq!(values(&done, Table::UserDay, "usage_ms"), [1, 3, 1, 3, 3]);
        let error = derive(&store, &done, &[1], "others").await.expect_err("other days are left out");
        assert!(matches!(error, Error::Internal(_)), "{error}");
        let others = derive(&store, &done, &[1, 2, 3, 4, 5], "others").await.expect("derived");
        assert_eq!(others.rollups_who.as_deref(), Some("others"));
        assert!(matches!(derive(&store, &done, &[1], "others").await, Err(Error::Conflict(_) | Error::Internal(_))));
    });
}

#[test]
fn a_kill_between_the_rollups_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        derive(&store, &ingest(&store, &[1, 2]).await, &[1, 2], WHO).await.expect("derived");
        let base = ingest(&store, &[2, 3]).await;
        let files = rollup_files(&store, &[2, 3], 2);
        let (log, parked) = (store.table_root(Table::OrgAppDay), store.root().join("parked"));
        fs::rename(&log, &parked).expect("the second table is out of reach");
        let lock = store.lock().expect("the lock");
        let killed = store.commit_rollups(&lock, &base, files, WHO).await;
        fs::rename(&parked, &log).expect("it is back");
        assert!(matches!(killed, Err(Error::Storage(_))), "{killed:?}");
        drop((lock, store));
        let store = new_store(&folder).await;
        let half = store.snapshot().await.expect("a snapshot");
        assert_eq!((half.rollups_from, &half.rollups_who), (None, &None));
        assert_eq!(half.table(Table::UserDay).days(), [1, 2, 3], "the first table got its commit");
        assert_eq!(store.stale_rollups(&half, WHO).await.expect("told"), Stale::Days(vec![2, 3]));
        let done = derive(&store, &half, &[2, 3], WHO).await.expect("derived");
        assert_eq!(store.stale_rollups(&done, WHO).await.expect("told"), Stale::Nothing);
        assert_eq!(done.table(Table::OrgAppDay).days(), [1, 2, 3]);
    });
}

// Takes a column out of what a table's log says of it, as if an earlier version had made the table.
fn forget_column(store: &Store, table: Table, column: &str) {
    let log = store.table_root(table).join("_delta_log");
    for entry in fs::read_dir(log).expect("a log") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("a commit");
        let field = format!(r#",{{\"name\":\"{column}\",\"type\":\"long\",\"nullable\":false,\"metadata\":{{}}}}"#);
        fs::write(&path, text.replace(&field, "")).expect("rewritten");
    }
}

#[test]
fn rollups_of_an_earlier_version_are_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        derive(&store, &ingest(&store, &[1, 2]).await, &[1, 2], WHO).await.expect("derived");
        forget_column(&store, Table::UserDay, "check_ins");
        for table in [Table::OrgUsersDay, Table::RoomDay, Table::AppUserDay, Table::ConcurrencyDay] {
            fs::remove_dir_all(store.table_root(table)).expect("removed");
        }
        drop(store);

        let store = new_store(&folder).await;
        let columns = async || {
            let state = store.log(Table::UserDay).read().await.expect("the log");
            state.property("delta.enableExpiredLogCleanup").expect("a property of the table");
            let schema = serde_json::to_value(state.metadata().expect("a description")).expect("JSON");
            schema["schemaString"].as_str().expect("text").matches("\"name\":").count()
        };
        assert_eq!(columns().await, 6, "as an earlier version made it");
        let old = store.snapshot().await.expect("a snapshot");
        assert_eq!((old.rollups_from, &old.rollups_who), (None, &None));
        assert_eq!(store.stale_rollups(&old, WHO).await.expect("told"), Stale::All);
        let error = derive(&store, &old, &[2], WHO).await.expect_err("day 1 is left out");
        assert!(matches!(error, Error::Internal(_)), "{error}");
        let new = derive(&store, &old, &[1, 2], WHO).await.expect("derived");
        assert_eq!(columns().await, 7);
        assert_eq!(store.stale_rollups(&new, WHO).await.expect("told"), Stale::Nothing);
        for table in Table::ROLLUPS {
            assert_eq!(new.table(table).days(), [1, 2], "{}", table.name());
            assert!(old.table(table).files.iter().all(|file| !new.table(table).files.contains(file)));
        }
        let again = new_store(&folder).await.snapshot().await.expect("a snapshot");
        assert_eq!(values(&again, Table::UserDay, "check_ins"), [1, 1]);
    });
}

#[test]
fn a_log_with_a_gap_means_all_days() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        let first = derive(&store, &ingest(&store, &[1]).await, &[1], WHO).await.expect("derived");
        let second = ingest(&store, &[1]).await;
        fs::remove_file(store.table_root(Table::Events).join("_delta_log/00000000000000000002.json")).expect("removed");
        assert_eq!(store.stale_rollups(&second, WHO).await.expect("told"), Stale::All);
        assert_eq!(store.stale_rollups(&first, WHO).await.expect("told"), Stale::Nothing);
    });
}

#[test]
fn many_commits_are_read_through_checkpoints() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        let lock = store.lock().expect("the lock");
        let mut last = store.snapshot().await.expect("a snapshot");
        for batch in 1..=120 {
            let events = write(&store, Table::Events, Some(batch % 7), batch.into(), 1);
            let batches = write(&store, Table::Batches, None, batch.into(), 1);
            let files = BatchFiles { events, batches, ..BatchFiles::default() };
            last = store.commit_batch(&lock, &last, files).await.expect("committed");
            if batch == 50 {
                let log = store.table_root(Table::Events).join("_delta_log");
                for missed in ["00000000000000000050.checkpoint.parquet", "_last_checkpoint"] {
                    fs::remove_file(log.join(missed)).expect("as if killed before the checkpoint");
                }
            }
        }
        for version in [50, 100] {
            let name = format!("_delta_log/{version:020}.checkpoint.parquet");
            assert!(store.table_root(Table::Events).join(name).exists(), "{version}");
        }
        for version in 0..60 {
            let name = format!("_delta_log/{version:020}.json");
            fs::remove_file(store.table_root(Table::Events).join(name)).expect("behind a checkpoint");
        }
        let again = new_store(&folder).await.snapshot().await.expect("a snapshot");
        assert_eq!(again.last_batch, 120);
        for table in Table::ALL {
            assert_eq!(again.table(table).files, last.table(table).files, "{}", table.name());
        }
        assert_eq!(values(&again, Table::Events, "duration_ms"), [119, 120, 114, 115, 116, 117, 118]);
    });
}

#[test]
fn a_snapshot_says_of_a_file_what_its_writer_said() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let store = new_store(&folder).await;
        let (lock, base) = locked(&store).await;
        let files = batch_files(&store, 1, &[1, 2]);
        let mut written = files.events.clone();
        written.sort_unstable_by_key(|file| file.day);
        let snapshot = store.commit_batch(&lock, &base, files).await.expect("committed");
        assert_eq!(snapshot.table(Table::Events).files, written);
        let again = new_store(&folder).await.snapshot().await.expect("a snapshot");
        assert_eq!(again.table(Table::Events).files, written);
    });
}

#[test]
fn what_is_read_while_another_writes_is_consistent() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let (store, reader) = (new_store(&folder).await, new_store(&folder).await);
        let writer = tokio::spawn(async move {
            for batch in 0..12 {
                let base = ingest(&store, &[batch % 3]).await;
                derive(&store, &base, &[0, 1, 2], WHO).await.expect("derived");
            }
        });
        while !writer.is_finished() {
            let seen = reader.snapshot().await.expect("a snapshot");
            let events = seen.table(Table::Events);
            assert_eq!(seen.table(Table::Batches).rows().cast_signed(), seen.last_batch);
            assert_eq!(events.version, Some(seen.last_batch));
            assert_eq!(values(&seen, Table::Events, "duration_ms").into_iter().max().unwrap_or(0), seen.last_batch);
            assert!(seen.rollups_from <= events.version, "{:?} of {:?}", seen.rollups_from, events.version);
            assert_ne!(reader.stale_rollups(&seen, WHO).await.expect("told"), Stale::Days(Vec::new()));
        }
        writer.await.expect("the writer");
    });
}

#[test]
fn work_in_progress_is_safe_from_other_writers() {
    let folder = tempfile::tempdir().expect("a folder");
    run(async {
        let (store, other) = (new_store(&folder).await, new_store(&folder).await);
        let work = store.work_folder().expect("a folder");
        fs::write(work.path().join("spill"), "").expect("a file");
        drop(other.lock().expect("the lock"));
        assert!(work.path().join("spill").exists());
        let path = work.path().to_owned();
        drop(work);
        assert!(!path.exists());
    });
}

#[test]
fn a_writer_waits_for_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let (store, other) = run(async { (new_store(&folder).await, new_store(&folder).await) });
    let lock = store.lock().expect("the lock");
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _lock = other.lock().expect("the lock");
            sender.send(()).expect("heard");
        });
        let waited = receiver.recv_timeout(std::time::Duration::from_millis(100));
        assert!(waited.is_err(), "the second writer did not wait");
        drop(lock);
        receiver.recv().expect("the second writer goes on");
    });
}
