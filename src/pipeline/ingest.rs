//! From logs to sealed days: read, seal, commit.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::engine::{Engine, Parameters};
use crate::error::{Error, Result};
use crate::event::Table;
use crate::ingest::{self as reading, FileReport, Input, KnownFiles, Order};
use crate::period::format_day;
use crate::seal::{self, Sealed};
use crate::settings::Settings;
use crate::store::{BatchFiles, DataFile, Packing, Snapshot, Store, write_files};

/// What an ingest did, for a person or as JSON.
#[derive(Debug, Serialize)]
pub struct IngestReport {
    /// The number of the batch; none if every file had been ingested before.
    pub batch: Option<i64>,
    /// What became of each file: read = accepted + duplicate + rejected.
    pub files: Vec<FileReport>,
    /// The sums over all files.
    pub total: Total,
    /// Files in the given folders whose names tell no format.
    pub passed_over: Vec<PathBuf>,
    /// The first and last day that got new events.
    pub days: Option<(String, String)>,
    /// What else was done, in sentences.
    pub notes: Vec<String>,
}

/// Sums over the files of an ingest.
#[derive(Debug, Default, Serialize)]
pub struct Total {
    /// Records.
    pub read: u64,
    /// New events.
    pub accepted: u64,
    /// Records whose `event_id` the day had already.
    pub duplicate: u64,
    /// Records that are no events.
    pub rejected: u64,
}

/// Ingests all inputs as one batch, or nothing of them.
pub async fn ingest(
    settings: &Settings,
    engine: &Engine,
    inputs: &[Input],
    now: DateTime<Utc>,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<IngestReport> {
    let store = Store::create_or_open(&settings.store.path, settings.report.time_zone).await?;
    let lock = store.lock()?;
    let (users, snapshot) = super::users_and_snapshot(settings, &store).await?;
    let who = super::who_counts(settings, &users);
    let (snapshot, note) = super::refresh_rollups(&store, &lock, snapshot, &who, super::limits(settings)).await?;

    let known = known_files(engine, &snapshot).await?;
    let work = store.work_folder()?;
    let order = Order { settings, inputs, known: &known, now, work_folder: work.path(), progress };
    let mut intake = reading::read(&order)?;
    let mut report = IngestReport {
        batch: None,
        files: Vec::new(),
        total: Total::default(),
        passed_over: std::mem::take(&mut intake.passed_over),
        days: None,
        notes: note.into_iter().collect(),
    };
    if intake.files.iter().all(|file| file.skipped) {
        report.files = intake.files;
        return Ok(report);
    }

    let mut sealed = seal::seal(&store, &snapshot, &intake.staging, intake.files.len(), &who, super::limits(settings))?;
    for (file, &duplicate) in intake.files.iter_mut().zip(&sealed.duplicates) {
        file.duplicate = duplicate;
        file.accepted -= duplicate;
    }
    let batch = snapshot.last_batch + 1;
    let files = BatchFiles {
        events: std::mem::take(&mut sealed.events),
        rejects: rejects(&store, batch, intake.rejects)?,
        batches: ledger(&store, batch, &intake.files, now)?,
        batch_days: batch_days(&store, batch, &sealed)?,
    };
    let snapshot = store.commit_batch(&lock, &snapshot, files).await?;
    let touched = days_with_news(&sealed);
    store.commit_rollups(&lock, &snapshot, sealed.rollups, &who.hash()).await?;

    report.batch = Some(batch);
    report.total = total(&intake.files);
    report.files = intake.files;
    report.days = touched;
    Ok(report)
}

fn total(files: &[FileReport]) -> Total {
    files.iter().fold(Total::default(), |sum, file| Total {
        read: sum.read + file.read,
        accepted: sum.accepted + file.accepted,
        duplicate: sum.duplicate + file.duplicate,
        rejected: sum.rejected + file.rejected,
    })
}

fn days_with_news(sealed: &Sealed) -> Option<(String, String)> {
    let mut news = sealed.days.iter().filter(|(_, counts)| counts.accepted > 0).map(|(&day, _)| day);
    let first = news.next()?;
    Some((format_day(first), format_day(news.next_back().unwrap_or(first))))
}

async fn known_files(engine: &Engine, snapshot: &Snapshot) -> Result<KnownFiles> {
    engine.register(snapshot.table(Table::Batches))?;
    let batches = engine.collect("SELECT DISTINCT bytes, sha256 FROM batches", &Parameters::new()).await?;
    let files = batches.iter().flat_map(|batch| {
        let (bytes, sha256) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        let bytes = bytes.values().iter().map(|bytes| bytes.cast_unsigned());
        bytes.zip(sha256.iter().flatten().map(str::to_owned))
    });
    Ok(files.collect())
}

fn rejects(store: &Store, batch: i64, rejects: Vec<RecordBatch>) -> Result<Vec<DataFile>> {
    let with_batch = rejects.into_iter().map(|rows| {
        let mut columns: Vec<ArrayRef> = vec![Arc::new(Int64Array::from_value(batch, rows.num_rows()))];
        columns.extend(rows.columns().iter().cloned());
        new_batch(Table::Rejects, columns)
    });
    write(store, Table::Rejects, with_batch)
}

fn ledger(store: &Store, batch: i64, files: &[FileReport], now: DateTime<Utc>) -> Result<Vec<DataFile>> {
    // A skipped file changed nothing, so the ledger does not list it again.
    let files: Vec<&FileReport> = files.iter().filter(|file| !file.skipped).collect();
    let count = |value: fn(&FileReport) -> u64| -> ArrayRef {
        let values: Int64Array = files.iter().map(|file| Some(value(file).cast_signed())).collect();
        Arc::new(values)
    };
    let text = |value: fn(&FileReport) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(files.iter().map(|file| value(file))))
    };
    let instants = vec![now.timestamp_micros(); files.len()];
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_value(batch, files.len())),
        text(|file| &file.source),
        text(|file| &file.sha256),
        count(|file| file.bytes),
        count(|file| file.read),
        count(|file| file.accepted),
        count(|file| file.duplicate),
        count(|file| file.rejected),
        Arc::new(TimestampMicrosecondArray::from(instants).with_timezone("UTC")),
    ];
    write(store, Table::Batches, [new_batch(Table::Batches, columns)])
}

fn batch_days(store: &Store, batch: i64, sealed: &Sealed) -> Result<Vec<DataFile>> {
    let count = |value: fn(&seal::DayCounts) -> u64| -> ArrayRef {
        let values: Int64Array = sealed.days.values().map(|counts| Some(value(counts).cast_signed())).collect();
        Arc::new(values)
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_value(batch, sealed.days.len())),
        Arc::new(sealed.days.keys().copied().map(Some).collect::<Date32Array>()),
        count(|counts| counts.accepted),
        count(|counts| counts.duplicate),
        count(|counts| counts.late),
    ];
    write(store, Table::BatchDays, [new_batch(Table::BatchDays, columns)])
}

fn new_batch(table: Table, columns: Vec<ArrayRef>) -> Result<RecordBatch> {
    RecordBatch::try_new(table.file_schema(), columns)
        .map_err(|e| Error::Internal(format!("cannot make rows of {}: {e}", table.name())))
}

fn write(store: &Store, table: Table, batches: impl IntoIterator<Item = Result<RecordBatch>>) -> Result<Vec<DataFile>> {
    let file =
        write_files(&store.table_root(table), None, &table.file_schema(), table.sort_key(), Packing::Small, batches)?;
    Ok(file.into_iter().collect())
}
