//! The store: Delta tables whose Parquet files this program writes and whose log decides what exists.
//! It knows files, versions and days; it does not know what the columns mean.

mod bits;
mod coder;
mod codes;
mod commit;
mod files;
mod groups;
mod layout;
mod log;
mod numbers;
mod pages;
mod snapshot;
mod staging;
mod stats;
mod syncs;
mod texts;

pub use bits::bit_width;
pub use coder::Coder;
pub use codes::{CODED_COLUMNS, code, coded_schema, coded_type, decode, is_same_list};
pub use commit::{BatchFiles, RollupFiles, Stale};
pub use files::{DataFile, TableFiles, write_files};
pub use groups::Packing;
pub use snapshot::Snapshot;
pub use staging::{STAGED_FILE_COLUMN, Staging, staged_schema};
pub use stats::{column_bounds, day_bounds};

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use chrono_tz::Tz;

use self::layout::Session;
use self::log::Log;
use self::syncs::Syncs;
use crate::error::{Error, Result};
use crate::event::Table;

const KEPT: &str = "_kept";

/// An opened store. Cheap to clone is not promised; pass it by reference.
#[derive(Debug)]
pub struct Store {
    root: PathBuf,
    logs: [Log; Table::ALL.len()],
    // Made when something is written for the first time, so that a store can be read from a disk that is read-only.
    session: Mutex<Option<Session>>,
    syncs: Syncs,
}

/// Held while the store changes; the lock ends when it is dropped or the process dies.
#[derive(Debug)]
pub struct WriterLock(#[expect(dead_code, reason = "held for its lock")] File);

impl Store {
    /// Opens the store, or makes it if the folder is empty or missing. Another zone than the store's is refused
    /// (`Error::Definition`), and so are a folder with other things in it and a store of a later format (`Error::Usage`).
    pub async fn create_or_open(root: &Path, zone: Tz) -> Result<Self> {
        layout::mark(root, zone)?;
        Self::open(root, zone).await
    }

    /// Opens a store that exists; `Error::Usage` if there is none. Tables that a killed program did not come to make
    /// are made now.
    #[expect(clippy::unused_async, reason = "a store behind a network will have to wait here")]
    pub async fn open(root: &Path, zone: Tz) -> Result<Self> {
        layout::check_mark(root, zone)?;
        let root = layout::find(root)?;
        let logs = Table::ALL.map(|table| Log::new(&root, table));
        let store = Self { root, logs, session: Mutex::new(None), syncs: Syncs::default() };
        for log in store.logs.iter().filter(|log| !log.exists()) {
            log.create(&store.session_folder()?)?;
        }
        Ok(store)
    }

    /// The store's folder, absolute.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of one table.
    #[must_use]
    pub fn table_root(&self, table: Table) -> PathBuf {
        self.log(table).root().to_owned()
    }

    /// A fresh folder for work in progress inside the store (same file system); removed when dropped. It is safe from
    /// [`Store::lock`] of other processes for as long as this store is open.
    pub fn work_folder(&self) -> Result<tempfile::TempDir> {
        let session = self.session_folder()?;
        tempfile::tempdir_in(&session).map_err(|error| Error::path("create a folder in", &session, error))
    }

    /// The folder for results that are kept from one run to the next. Nothing in it is part of the store: it may be
    /// removed at any time, and is then computed again.
    pub fn kept_folder(&self) -> Result<PathBuf> {
        let folder = self.root.join(KEPT);
        files::create_folder(&folder)?;
        Ok(folder)
    }

    /// Waits until no other process writes. Clears what killed processes left in the work folders. What is committed
    /// under the lock must be based on a snapshot taken under it.
    pub fn lock(&self) -> Result<WriterLock> {
        let lock = WriterLock(layout::lock_writer(&self.root)?);
        layout::clear_work(&self.root)?;
        Ok(lock)
    }

    fn log(&self, table: Table) -> &Log {
        &self.logs[table as usize]
    }

    fn session_folder(&self) -> Result<PathBuf> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match &mut *session {
            Some(session) => session,
            none => none.insert(Session::start(&self.root)?),
        };
        Ok(session.folder().to_owned())
    }
}

#[cfg(test)]
mod tests;
