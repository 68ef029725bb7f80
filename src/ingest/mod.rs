//! Reading logs: files, folders, globs and stdin become staged events, rejects, and counts per file.
//! It knows formats and the rules for a record; it does not know the store's tables beyond the ledger it is given.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::settings::{LogFormat, Settings};
use crate::store::Staging;

/// Where records come from.
#[derive(Debug, Clone)]
pub enum Input {
    /// A file, a folder (read recursively), or a glob.
    Path(String),
    /// Standard input.
    Stdin(LogFormat),
}

/// What an ingest is told beside its settings.
#[expect(missing_debug_implementations, reason = "holds a closure")]
pub struct Order<'a> {
    /// The settings.
    pub settings: &'a Settings,
    /// The inputs, in order.
    pub inputs: &'a [Input],
    /// SHA-256 (hex) of the files ingested before.
    pub known: &'a HashSet<String>,
    /// The clock.
    pub now: DateTime<Utc>,
    /// A folder for spilled data.
    pub work_folder: &'a Path,
    /// Told how many bytes of how many were read, from any thread.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
}

/// One file of an ingest and what became of its records.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct FileReport {
    /// The path as given or found; `-` for standard input.
    pub source: String,
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Whether it was ingested before, so nothing was read.
    pub skipped: bool,
    /// Records, blank lines and headers not counted.
    pub read: u64,
    /// Records that became events.
    pub accepted: u64,
    /// Records whose `event_id` the day had already; known once the days are sealed.
    pub duplicate: u64,
    /// Records that are no events.
    pub rejected: u64,
}

/// What was read. `accepted` in the reports still includes duplicates.
#[derive(Debug)]
pub struct Intake {
    /// The files in ingest order; the number in staged batches is the place in this list.
    pub files: Vec<FileReport>,
    /// Accepted events.
    pub staging: Staging,
    /// Rejected records in order, columns `source, line, reason, raw`.
    pub rejects: Vec<RecordBatch>,
}

/// Reads all inputs. Bad records are counted, not fatal; `settings.ingest.max_rejected` is checked here, at the end:
/// beyond it the result is `Error::Data`.
pub fn read(_order: &Order) -> Result<Intake> {
    todo!()
}

/// The files that an input names, in ingest order, and what was passed over.
#[derive(Debug, Default)]
pub struct Found {
    /// Files to read.
    pub files: Vec<PathBuf>,
    /// Files in a folder whose names tell no format.
    pub passed_over: Vec<PathBuf>,
}
