//! Events of one ingest on their way to the store: per day, in ingest order, in memory until a limit, then on disk.

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::error::Result;
use crate::period::Day;

/// The column of a staged batch that holds the number of the file (within the ingest) a record came from.
pub const STAGED_FILE_COLUMN: &str = "file";

/// The columns of a staged batch: those of `events` and `file` (`UInt32`).
#[must_use]
pub fn staged_schema() -> SchemaRef {
    todo!()
}

/// Accepted events by day. Batches of a day come back in the order in which they were pushed.
#[derive(Debug)]
pub struct Staging {}

impl Staging {
    /// A staging area that spills to files in `folder` (Arrow IPC, LZ4) when it holds more than `memory` bytes.
    #[must_use]
    pub fn new(_folder: &Path, _memory: u64) -> Self {
        todo!()
    }

    /// Adds events of one day.
    pub fn push(&mut self, _day: Day, _batch: RecordBatch) -> Result<()> {
        todo!()
    }

    /// The days with events, in order.
    #[must_use]
    pub fn days(&self) -> Vec<Day> {
        todo!()
    }

    /// What the events of a day take in memory, in bytes.
    #[must_use]
    pub fn bytes(&self, _day: Day) -> u64 {
        todo!()
    }

    /// The events of a day in ingest order.
    pub fn read(&self, _day: Day) -> Result<Box<dyn Iterator<Item = Result<RecordBatch>> + '_>> {
        todo!()
    }
}
