//! What a part of a file becomes: accepted events as staged batches, one for each day, and rejects in order.
//! It does not know where records come from or what the store does with them.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder, UInt32Array};
use arrow::compute::take_record_batch;

use crate::error::{Error, Result};
use crate::event::Reason;
use crate::period::Day;
use crate::store::{Coder, coded_schema, staged_schema};

use super::chunks::lossy_raw;
use super::record::{Event, Judge, Rules, Values, cut_raw};

/// Records that are no events, in order. Lean, because a part of a file may hold nothing else.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    places: Vec<(u32, Reason)>,
    raw_ends: Vec<u32>,
    raw: String,
}

impl Refusals {
    /// Adds a record that begins at this line of its part, from 1. The text is cut at 4 KiB.
    pub(super) fn push(&mut self, line: u64, reason: Reason, raw: &str) {
        // A part is a few megabytes, and so are its lines and its text.
        self.places.push((u32::try_from(line).unwrap_or(u32::MAX), reason));
        self.raw.push_str(cut_raw(raw));
        self.raw_ends.push(u32::try_from(self.raw.len()).unwrap_or(u32::MAX));
    }

    /// How many.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Each with its line, from 1, within its part.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Reason, &str)> {
        let starts = std::iter::once(0).chain(self.raw_ends.iter().copied());
        self.places.iter().zip(starts.zip(&self.raw_ends)).map(|((line, reason), (start, end))| {
            let raw = self.raw.get(start as usize..*end as usize).unwrap_or_default();
            (u64::from(*line), *reason, raw)
        })
    }
}

/// A part of a file, read.
#[derive(Debug, Default)]
pub(super) struct Harvest {
    /// Accepted events in order, by day.
    pub(super) batches: Vec<(Day, RecordBatch)>,
    /// Refused records in order.
    pub(super) rejects: Refusals,
    /// All records.
    pub(super) read: u64,
    /// All lines (of Parquet: rows), also blank ones.
    pub(super) lines: u64,
}

/// Takes the records of a part of a file, in order.
pub(super) struct Harvester {
    judge: Judge,
    event_id: StringBuilder,
    ts: TimestampMicrosecondBuilder,
    user_id: Coder,
    org_id: Coder,
    app_id: Coder,
    action: Coder,
    duration_ms: Int64Builder,
    concurrent_id: Coder,
    extra: StringBuilder,
    days: Vec<Day>,
    text_bytes: usize,
    whole_bytes: usize,
    harvest: Harvest,
}

// What an event takes beside its texts, about.
const ROW_BYTES: usize = 64;

impl Harvester {
    /// Nothing is read yet.
    pub(super) fn new(rules: &Rules) -> Self {
        Self {
            judge: Judge::new(rules),
            event_id: StringBuilder::new(),
            ts: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            user_id: Coder::default(),
            org_id: Coder::default(),
            app_id: Coder::default(),
            action: Coder::default(),
            duration_ms: Int64Builder::new(),
            concurrent_id: Coder::default(),
            extra: StringBuilder::new(),
            days: Vec::new(),
            text_bytes: 0,
            whole_bytes: 0,
            harvest: Harvest::default(),
        }
    }

    /// The rules.
    pub(super) fn judge(&self) -> &Judge {
        &self.judge
    }

    /// Takes one record; the reason if it is no event (tell it with [`Self::reject`]).
    #[inline]
    pub(super) fn record(&mut self, values: &Values, extra: Option<&str>) -> std::result::Result<(), Reason> {
        let event = self.judge.event(values)?;
        self.accept(&event, extra);
        Ok(())
    }

    /// Takes a record that is no event.
    pub(super) fn reject(&mut self, line: u64, reason: Reason, raw: &[u8]) {
        self.harvest.read += 1;
        self.harvest.rejects.push(line, reason, &lossy_raw(raw));
    }

    /// How much text the accepted events hold, in bytes, about.
    pub(super) fn bytes(&self) -> usize {
        self.text_bytes + self.days.len() * ROW_BYTES + self.whole_bytes
    }

    /// Takes events that need no judge any more, behind all that were taken before. `batch` has the columns of staged
    /// events, ids coded.
    pub(super) fn take_whole(&mut self, batch: &RecordBatch, days: &[Day], file: u32) -> Result<()> {
        self.close_batch(file)?;
        self.harvest.read += batch.num_rows() as u64;
        self.whole_bytes += batch.num_rows() * ROW_BYTES;
        self.harvest.batches.extend(by_day(batch, days)?);
        Ok(())
    }

    /// Everything taken since the beginning, or since the last harvest. `file` is the number of the file.
    pub(super) fn harvest(&mut self, file: u32, lines: u64) -> Result<Harvest> {
        self.close_batch(file)?;
        self.whole_bytes = 0;
        let mut harvest = std::mem::take(&mut self.harvest);
        harvest.lines = lines;
        Ok(harvest)
    }

    fn close_batch(&mut self, file: u32) -> Result<()> {
        let days = std::mem::take(&mut self.days);
        if !days.is_empty() {
            let batch = self.batch(file, days.len())?;
            self.harvest.batches.extend(by_day(&batch, &days)?);
        }
        self.text_bytes = 0;
        Ok(())
    }

    fn accept(&mut self, event: &Event, extra: Option<&str>) {
        self.event_id.append_value(event.event_id);
        self.ts.append_value(event.ts_us);
        self.user_id.push(event.user_id);
        self.org_id.push(event.org_id);
        self.app_id.push(event.app_id);
        self.action.push(event.action);
        self.duration_ms.append_value(event.duration_ms);
        self.concurrent_id.push(event.concurrent_id);
        self.extra.append_option(extra);
        self.days.push(event.day);
        let ids = event.event_id.len() + event.user_id.len() + event.org_id.len() + event.app_id.len();
        self.text_bytes += ids + event.action.len() + event.concurrent_id.len() + extra.map_or(0, str::len);
        self.harvest.read += 1;
    }

    fn batch(&mut self, file: u32, rows: usize) -> Result<RecordBatch> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.event_id.finish()),
            Arc::new(self.ts.finish()),
            Arc::new(self.user_id.finish()),
            Arc::new(self.org_id.finish()),
            Arc::new(self.app_id.finish()),
            Arc::new(self.action.finish()),
            Arc::new(self.duration_ms.finish()),
            Arc::new(self.concurrent_id.finish()),
            Arc::new(self.extra.finish()),
            Arc::new(UInt32Array::from_value(file, rows)),
        ];
        RecordBatch::try_new(coded_schema(&staged_schema()), columns).map_err(internal)
    }
}

// One batch a day, in the order of days; within a day the order stays.
fn by_day(batch: &RecordBatch, days: &[Day]) -> Result<Vec<(Day, RecordBatch)>> {
    let Some(&first) = days.first() else { return Ok(Vec::new()) };
    if days.iter().all(|day| *day == first) {
        return Ok(vec![(first, batch.clone())]);
    }
    let mut rows: Vec<(Day, u32)> = days.iter().copied().zip(0..).collect();
    rows.sort_by_key(|(day, _)| *day);
    rows.chunk_by(|(left, _), (right, _)| left == right)
        .map(|run| {
            let places: UInt32Array = run.iter().map(|(_, row)| *row).collect();
            let day = run.first().map_or(first, |(day, _)| *day);
            Ok((day, take_record_batch(batch, &places).map_err(internal)?))
        })
        .collect()
}

/// An Arrow error that no input can cause.
pub(super) fn internal(cause: impl std::fmt::Display) -> Error {
    Error::Internal(format!("cannot build a batch of events: {cause}"))
}
