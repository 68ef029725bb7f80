//! What is in a store, as facts.

use std::path::PathBuf;

use arrow::array::AsArray;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use chrono::DateTime;
use datafusion::scalar::ScalarValue;
use serde::Serialize;

use crate::engine::{Engine, Parameters};
use crate::error::Result;
use crate::event::Table;
use crate::period::format_day;
use crate::settings::Settings;
use crate::store::{Stale, Store};

/// A store at one moment.
#[derive(Debug, Serialize)]
pub struct StoreStatus {
    /// The store's folder.
    pub path: PathBuf,
    /// The zone whose days are counted.
    pub time_zone: String,
    /// The tables.
    pub tables: Vec<TableStatus>,
    /// Whether the rollups follow from the events, as a sentence.
    pub rollups: String,
    /// The newest batches, newest first.
    pub batches: Vec<BatchStatus>,
}

/// A table at one moment.
#[derive(Debug, Serialize)]
pub struct TableStatus {
    /// The name in SQL.
    pub name: String,
    /// The version of its Delta log.
    pub version: i64,
    /// Parquet files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The first and last day, for tables by day that have any.
    pub days: Option<(String, String)>,
    /// The number of days with rows, for tables by day.
    pub day_count: Option<u64>,
}

/// A batch of the ledger: the sums over its files.
#[derive(Debug, Serialize)]
pub struct BatchStatus {
    /// Its number, from 1.
    pub batch: i64,
    /// The clock of the ingest, RFC 3339 in UTC.
    pub ingested_at: String,
    /// Files.
    pub files: u64,
    /// Records.
    pub read: u64,
    /// New events.
    pub accepted: u64,
    /// Records whose `event_id` the day had already.
    pub duplicate: u64,
    /// Records that were no events.
    pub rejected: u64,
}

const LAST_BATCHES: &str = "\
SELECT batch, max(ingested_at) AS ingested_at, count(*) AS files, sum(\"read\") AS records, sum(accepted) AS accepted,
    sum(duplicate) AS duplicate, sum(rejected) AS rejected
FROM batches
GROUP BY batch
ORDER BY batch DESC
LIMIT $batches";

/// Looks at a store without changing it.
pub async fn status(settings: &Settings, engine: &Engine, batches: u32) -> Result<StoreStatus> {
    let store = Store::open(&settings.store.path, settings.report.time_zone).await?;
    let (users, snapshot) = super::users_and_snapshot(settings, &store).await?;
    let rollups = match store.stale_rollups(&snapshot, &super::who_counts(settings, &users).hash()).await? {
        Stale::Nothing => "rollups follow from the events".to_owned(),
        Stale::Days(days) => format!("rollups of {} days are behind; the next run or ingest mends them", days.len()),
        Stale::All if snapshot.rollups_who.is_some() => {
            "rollups were made under other settings of who counts; the next run makes them anew".to_owned()
        }
        Stale::All => "rollups are missing or of another version; the next run or ingest makes them anew".to_owned(),
    };
    let tables = Table::ALL.map(|table| {
        let files = snapshot.table(table);
        let days = files.days();
        TableStatus {
            name: files.name.clone(),
            version: files.version.unwrap_or_default(),
            files: files.files.len() as u64,
            rows: files.rows(),
            bytes: files.bytes(),
            days: days.first().zip(days.last()).map(|(&first, &last)| (format_day(first), format_day(last))),
            day_count: table.by_day().then_some(days.len() as u64),
        }
    });
    engine.register(snapshot.table(Table::Batches))?;
    Ok(StoreStatus {
        path: store.root().to_owned(),
        time_zone: settings.report.time_zone.name().to_owned(),
        tables: tables.into(),
        rollups,
        batches: last_batches(engine, batches).await?,
    })
}

async fn last_batches(engine: &Engine, count: u32) -> Result<Vec<BatchStatus>> {
    let limit = Parameters::from([("batches".to_owned(), ScalarValue::Int64(Some(count.into())))]);
    let mut batches = Vec::new();
    for rows in engine.collect(LAST_BATCHES, &limit).await? {
        let instants = rows.column(1).as_primitive::<TimestampMicrosecondType>();
        let count =
            |column: usize, row: usize| rows.column(column).as_primitive::<Int64Type>().value(row).cast_unsigned();
        batches.extend((0..instants.len()).map(|row| {
            BatchStatus {
                batch: rows.column(0).as_primitive::<Int64Type>().value(row),
                ingested_at: DateTime::from_timestamp_micros(instants.value(row))
                    .map_or(String::new(), |instant| instant.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
                files: count(2, row),
                read: count(3, row),
                accepted: count(4, row),
                duplicate: count(5, row),
                rejected: count(6, row),
            }
        }));
    }
    Ok(batches)
}
