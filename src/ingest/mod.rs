//! Reading logs: files, folders, globs and stdin become staged events, rejects, and counts per file.
//! It knows formats and the rules for a record; it does not know the store's tables beyond the ledger it is given.

mod bytes;
mod chunks;
mod columns;
mod csv;
mod duration;
mod feed;
mod inputs;
mod json;
mod jsonl;
mod keep;
mod keys;
mod known;
mod mapping;
mod parallel;
mod parquet;
mod quotes;
mod record;
mod rejects;
mod shape;
mod table;
mod text;
mod timestamp;
mod whole;

pub use inputs::find;
pub use known::KnownFiles;

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};

use crate::error::Result;
use crate::settings::{LogFormat, Settings};
use crate::store::Staging;

use self::bytes::Progress;
use self::feed::{Feed, Step};
use self::inputs::sources;
use self::parallel::PLACES;
use self::rejects::Rejects;

const MAX_CHUNK_BYTES: u64 = 4 << 20;
const MIN_CHUNK_BYTES: u64 = 256 << 10;

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
    /// The files ingested before.
    pub known: &'a KnownFiles,
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
    /// Files of folders and globs that were not read, because their names tell no format or are hidden.
    pub passed_over: Vec<PathBuf>,
}

/// Reads all inputs. Bad records are counted, not fatal; `settings.ingest.max_rejected` is checked here, at the end:
/// beyond it the result is `Error::Data`.
///
/// Staged events take at most a quarter of `[engine] memory`, rejected records another quarter; more of these end the
/// ingest with `Error::Data`.
pub fn read(order: &Order) -> Result<Intake> {
    let threads = match order.settings.engine.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    let share = order.settings.engine.memory / (16 * (PLACES * threads) as u64);
    let chunk_bytes = usize::try_from(share.clamp(MIN_CHUNK_BYTES, MAX_CHUNK_BYTES)).unwrap_or(usize::MAX);
    read_in_chunks(order, threads, chunk_bytes)
}

fn read_in_chunks(order: &Order, threads: usize, chunk_bytes: usize) -> Result<Intake> {
    let settings = order.settings;
    let (sources, passed_over) = sources(&settings.ingest, order.inputs, order.work_folder)?;
    let total = sources.iter().map(|source| source.path.metadata().map_or(0, |metadata| metadata.len())).sum();
    let progress = Progress::new(total, order.progress);
    let mut gathered = Gathered {
        files: Vec::with_capacity(sources.len()),
        staging: Staging::new(order.work_folder, settings.engine.memory / 4),
        rejects: Rejects::new(settings.engine.memory / 4),
        line: 0,
    };
    let feed = Feed { order, threads, chunk_bytes, progress: &progress };
    feed.read(&sources, |step| gathered.add(step))?;
    gathered.rejects.check_share(&gathered.files, settings.ingest.max_rejected)?;
    Ok(Intake { files: gathered.files, staging: gathered.staging, rejects: gathered.rejects.finish()?, passed_over })
}

// What has been read so far.
struct Gathered {
    files: Vec<FileReport>,
    staging: Staging,
    rejects: Rejects,
    // The number of lines of the present file so far.
    line: u64,
}

impl Gathered {
    fn add(&mut self, step: Step) -> Result<()> {
        let harvest = match step {
            Step::Harvest(harvest) => harvest,
            Step::File(report) => {
                self.files.push(report);
                self.line = 0;
                return Ok(());
            }
            Step::Checksum(sha256) => {
                if let Some(file) = self.files.last_mut() {
                    file.sha256 = sha256;
                }
                return Ok(());
            }
        };
        let rejected = harvest.rejects.len() as u64;
        let Some(file) = self.files.last_mut() else { return Ok(()) };
        for (place, reason, raw) in harvest.rejects.iter() {
            self.rejects.add(&file.source, self.line + place, reason, raw)?;
        }
        file.read += harvest.read;
        file.rejected += rejected;
        file.accepted += harvest.read - rejected;
        self.line += harvest.lines;
        for (day, batch) in harvest.batches {
            self.staging.push(day, batch)?;
        }
        Ok(())
    }
}

/// The files that an input names, in ingest order, and what was passed over.
#[derive(Debug, Default)]
pub struct Found {
    /// Files to read.
    pub files: Vec<PathBuf>,
    /// Files in a folder whose names tell no format.
    pub passed_over: Vec<PathBuf>,
}

#[cfg(test)]
mod tests;
