//! One consistent state of all tables, read while other processes may commit.
//! It knows how the tables of a store hang together; changing them is not its part.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::try_join_all;

use super::Store;
use super::files::{DataFile, TableFiles};
use super::log::LogState;
use super::stats::integer_bounds;
use crate::error::{Error, Result};
use crate::event::Table;

/// The transaction on `events` that makes a batch exist; its version is the number of the batch.
pub(super) const INGEST: &str = "ingest";
/// The transaction on a rollup; its version is the version of `events` that it was derived from.
pub(super) const DERIVED: &str = "events";
/// The property of a rollup that holds the hash of who counted when it was derived. A property is part of every
/// checkpoint and read with the table; a commit's own notes are neither.
pub(super) const WHO: &str = "orgpulse.who";
/// The tables with a row or more per batch, which count only once the batch reached `events`. `batches` goes first:
/// see [`Store::commit_batch`].
pub(super) const LEDGER: [Table; 3] = [Table::Batches, Table::Rejects, Table::BatchDays];

const TRIES: u32 = 20;

/// One consistent state of all tables, pinned by version.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The files of each table. Rows of a batch that never reached `events` are already left out.
    pub tables: BTreeMap<Table, TableFiles>,
    /// The newest batch that reached `events`; 0 = none.
    pub last_batch: i64,
    /// The version of `events` that the rollups were derived from; `None` = never, or the rollups differ in it.
    pub rollups_from: Option<i64>,
    /// The hash of who counts with which the rollups were derived; `None` as in `rollups_from`.
    pub rollups_who: Option<String>,
}

/// Where a rollup comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Derived {
    /// The version of `events`.
    pub(super) from: i64,
    /// The hash of who counts.
    pub(super) who: String,
}

impl Snapshot {
    /// The files of one table.
    ///
    /// # Panics
    /// Never for a snapshot that a store gave: it holds every table.
    #[must_use]
    pub fn table(&self, table: Table) -> &TableFiles {
        &self.tables[&table]
    }

    // The version of a table that a store read.
    pub(super) fn version(&self, table: Table) -> Result<i64> {
        let version = self.tables.get(&table).and_then(|files| files.version);
        version.ok_or_else(|| Error::Internal(format!("a snapshot has no version of table {}", table.name())))
    }
}

impl Store {
    /// The present state.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        for _ in 0..TRIES {
            if let Some(snapshot) = self.read_once().await? {
                return Ok(snapshot);
            }
        }
        let root = self.root().display();
        Err(Error::Conflict(format!("the store {root} changes faster than it can be read: run the command again")))
    }

    // Events are read first. What the other tables got from later batches can be told and left out; only rollups of
    // later events cannot, so then everything is read again (`None`).
    async fn read_once(&self) -> Result<Option<Snapshot>> {
        let events = self.log(Table::Events).read().await?;
        let last_batch = events.transaction(INGEST).await?.unwrap_or(0);
        let mut tables =
            BTreeMap::from([(Table::Events, self.table_files(Table::Events, &events, events.files()?.to_vec()))]);
        let mut derived = Vec::new();
        for (table, state) in self.read_all(&Table::ROLLUPS).await? {
            let found = derived_of(&state).await?;
            if found.as_ref().is_some_and(|derived| derived.from > events.version()) {
                return Ok(None);
            }
            derived.push(found);
            tables.insert(table, self.table_files(table, &state, state.files()?.to_vec()));
        }
        for (table, state) in self.read_all(&LEDGER).await? {
            let (known, _orphans) = split_ledger(&self.table_root(table), state.files()?, last_batch)?;
            tables.insert(table, self.table_files(table, &state, known));
        }
        let derived =
            derived.first().cloned().flatten().filter(|first| derived.iter().all(|d| d.as_ref() == Some(first)));
        let (rollups_from, rollups_who) = derived.map(|derived| (derived.from, derived.who)).unzip();
        Ok(Some(Snapshot { tables, last_batch, rollups_from, rollups_who }))
    }

    // The newest versions of tables. A log is read in many small steps, which wait for each other.
    async fn read_all(&self, tables: &[Table]) -> Result<Vec<(Table, Arc<LogState>)>> {
        try_join_all(tables.iter().map(async |&table| Ok((table, self.log(table).read().await?)))).await
    }

    fn table_files(&self, table: Table, state: &LogState, files: Vec<DataFile>) -> TableFiles {
        TableFiles {
            name: table.name().to_owned(),
            root: self.table_root(table),
            schema: table.file_schema(),
            by_day: table.by_day(),
            sort_key: table.sort_key().iter().map(|&column| column.to_owned()).collect(),
            version: Some(state.version()),
            files,
        }
    }
}

/// Where a version of a rollup comes from; `None` if it was never derived.
pub(super) async fn derived_of(state: &LogState) -> Result<Option<Derived>> {
    let (from, who) = (state.transaction(DERIVED).await?, state.property(WHO));
    Ok(from.zip(who).map(|(from, who)| Derived { from, who }))
}

/// Splits the files of a ledger table: those of batches that reached `events`, and orphans of killed ingests.
pub(super) fn split_ledger(
    root: &std::path::Path,
    files: &[DataFile],
    last_batch: i64,
) -> Result<(Vec<DataFile>, Vec<DataFile>)> {
    let (mut known, mut orphans) = (Vec::new(), Vec::new());
    for file in files {
        match integer_bounds(&file.stats, "batch") {
            Some((_, newest)) if newest <= last_batch => known.push(file.clone()),
            Some((oldest, _)) if oldest > last_batch => orphans.push(file.clone()),
            _ => {
                let cause = format!("the log does not tell whether its rows are of batches up to {last_batch}");
                return Err(Error::path("use", &root.join(&file.path), cause));
            }
        }
    }
    Ok((known, orphans))
}
