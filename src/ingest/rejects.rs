//! Rejected records of a whole ingest: kept as batches, counted, and judged against the share that is allowed.
//! It does not know why a record was refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder};

use crate::error::{Error, Result};
use crate::event::Reason;

use super::FileReport;
use super::columns::internal;

const BATCH_ROWS: usize = 8192;
const SHOWN: usize = 3;
// What a row takes beside its text.
const ROW_BYTES: usize = 24;

/// The rejects so far, columns `source, line, reason, raw`. They are held in memory, up to a limit.
pub(super) struct Rejects {
    batches: Vec<RecordBatch>,
    source: StringBuilder,
    line: Int64Builder,
    reason: StringBuilder,
    raw: StringBuilder,
    rows: usize,
    bytes: usize,
    max_bytes: u64,
    first: Vec<String>,
}

impl Rejects {
    /// None, with room for `max_bytes`.
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            batches: Vec::new(),
            source: StringBuilder::new(),
            line: Int64Builder::new(),
            reason: StringBuilder::new(),
            raw: StringBuilder::new(),
            rows: 0,
            bytes: 0,
            max_bytes,
            first: Vec::new(),
        }
    }

    /// Adds a reject of a source. Beyond the limit of memory the ingest ends, whatever share of it is rejected.
    pub(super) fn add(&mut self, source: &str, line: u64, reason: Reason, raw: &str) -> Result<()> {
        self.source.append_value(source);
        self.line.append_value(i64::try_from(line).unwrap_or(i64::MAX));
        self.reason.append_value(reason.name());
        self.raw.append_value(raw);
        if self.first.len() < SHOWN {
            self.first.push(format!("{source} line {line} {}", reason.name()));
        }
        self.rows += 1;
        self.bytes += source.len() + raw.len() + ROW_BYTES;
        if self.bytes as u64 > self.max_bytes {
            let rows: usize = self.rows + self.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
            return Err(Error::Data(format!(
                "there are more rejected records than memory can hold, rejected={rows} so far; nothing was ingested; \
                 first: {}; correct the source, or raise `[engine] memory`",
                self.first.join(", ")
            )));
        }
        if self.rows == BATCH_ROWS { self.close_batch() } else { Ok(()) }
    }

    /// Fails if more than the share `max_rejected` of all records was rejected.
    pub(super) fn check_share(&self, files: &[FileReport], max_rejected: f64) -> Result<()> {
        let read: u64 = files.iter().map(|file| file.read).sum();
        let rejected: u64 = files.iter().map(|file| file.rejected).sum();
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        let share = rejected as f64 / read as f64;
        // A share that is a decimal fraction, such as 29 of 100, divides to the very number that the setting says.
        if rejected == 0 || share <= max_rejected {
            return Ok(());
        }
        let mut worst: Vec<&FileReport> = files.iter().filter(|file| file.rejected > 0).collect();
        worst.sort_by_key(|file| std::cmp::Reverse(file.rejected));
        let worst: Vec<_> = worst
            .iter()
            .take(SHOWN)
            .map(|file| format!("{} ({} of {})", file.source, file.rejected, file.read))
            .collect();
        Err(Error::Data(format!(
            "too many records were rejected, rejected={rejected} of read={read}, max_rejected={max_rejected}; nothing \
             was ingested; most in: {}; first: {}; look at these lines and correct the source, or allow more with \
             `[ingest] max_rejected`",
            worst.join(", "),
            self.first.join(", ")
        )))
    }

    /// All rejects in order.
    pub(super) fn finish(mut self) -> Result<Vec<RecordBatch>> {
        if self.rows > 0 {
            self.close_batch()?;
        }
        Ok(self.batches)
    }

    fn close_batch(&mut self) -> Result<()> {
        let columns: [(&str, ArrayRef); 4] = [
            ("source", Arc::new(self.source.finish())),
            ("line", Arc::new(self.line.finish())),
            ("reason", Arc::new(self.reason.finish())),
            ("raw", Arc::new(self.raw.finish())),
        ];
        self.rows = 0;
        // Columns without a null could be taken for columns that cannot have one; either is good, if it is one of them.
        let columns = columns.into_iter().map(|(name, column)| (name, column, false));
        self.batches.push(RecordBatch::try_from_iter_with_nullable(columns).map_err(internal)?);
        Ok(())
    }
}
