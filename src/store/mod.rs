//! The store: Delta tables whose Parquet files this program writes and whose log decides what exists.
//! It knows files, versions and days; it does not know what the columns mean.

mod files;
mod staging;
mod stats;

pub use files::{DataFile, TableFiles, write_files};
pub use staging::{STAGED_FILE_COLUMN, Staging, staged_schema};

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use chrono_tz::Tz;

use crate::error::Result;
use crate::event::Table;
use crate::period::Day;

/// An opened store. Cheap to clone is not promised; pass it by reference.
#[derive(Debug)]
pub struct Store {}

/// One consistent state of all tables, pinned by version.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The files of each table. Rows of a batch that never reached `events` are already left out.
    pub tables: BTreeMap<Table, TableFiles>,
    /// The newest batch that reached `events`; 0 = none.
    pub last_batch: i64,
    /// The version of `events` that the rollups were derived from; `None` = never.
    pub rollups_from: Option<i64>,
    /// The hash of who counts with which the rollups were derived.
    pub rollups_who: Option<String>,
}

/// Held while the store changes; the lock ends when it is dropped or the process dies.
#[derive(Debug)]
pub struct WriterLock(#[expect(dead_code, reason = "held for its lock")] File);

/// Everything that one ingest adds. Files are written already; nothing exists until it is committed.
#[derive(Debug, Default)]
pub struct BatchFiles {
    /// Full new content of each touched day.
    pub events: Vec<DataFile>,
    /// Rows for `rejects`.
    pub rejects: Vec<DataFile>,
    /// Rows for `batches`.
    pub batches: Vec<DataFile>,
    /// Rows for `batch_days`.
    pub batch_days: Vec<DataFile>,
}

/// New content of days in the rollups.
#[derive(Debug, Default)]
pub struct RollupFiles {
    /// The days that are replaced, also those for which no file is given.
    pub days: Vec<Day>,
    /// Files of `user_day`.
    pub user_day: Vec<DataFile>,
    /// Files of `org_app_day`.
    pub org_app_day: Vec<DataFile>,
}

/// Which days of the rollups do not follow from the present events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// The rollups are up to date.
    Nothing,
    /// These days differ.
    Days(Vec<Day>),
    /// All days, because who counts has changed.
    All,
}

impl Store {
    /// Opens the store, or makes it if the folder is empty or missing. Another zone than the store's is refused.
    pub async fn create_or_open(_root: &Path, _zone: Tz) -> Result<Self> {
        todo!()
    }

    /// Opens a store that exists.
    pub async fn open(_root: &Path, _zone: Tz) -> Result<Self> {
        todo!()
    }

    /// The store's folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        todo!()
    }

    /// The folder of one table.
    #[must_use]
    pub fn table_root(&self, _table: Table) -> std::path::PathBuf {
        todo!()
    }

    /// A fresh folder for work in progress inside the store (same file system); removed when dropped.
    pub fn work_folder(&self) -> Result<tempfile::TempDir> {
        todo!()
    }

    /// Waits until no other process writes. Clears what a killed writer left in the work folders.
    pub fn lock(&self) -> Result<WriterLock> {
        todo!()
    }

    /// The present state.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        todo!()
    }

    /// Commits a batch on top of `base`: ledger and rejects first, `events` last, which makes it exist.
    /// `Error::Conflict` if `events` moved since `base`.
    pub async fn commit_batch(&self, _lock: &WriterLock, _base: &Snapshot, _files: BatchFiles) -> Result<Snapshot> {
        todo!()
    }

    /// Commits rollups derived from `base.tables[Events]` with the given hash of who counts.
    pub async fn commit_rollups(
        &self,
        _lock: &WriterLock,
        _base: &Snapshot,
        _files: RollupFiles,
        _who: &str,
    ) -> Result<Snapshot> {
        todo!()
    }

    /// Compares the rollups' provenance with the present events.
    pub async fn stale_rollups(&self, _snapshot: &Snapshot, _who: &str) -> Result<Stale> {
        todo!()
    }
}
