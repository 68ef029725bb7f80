//! One day that does not fit in memory: the same rows as [`super::day`] makes, by way of files.
//!
//! Events are spread over partitions by the hash of their id, so that duplicates meet; each partition is deduplicated
//! and sorted alone; then the sorted partitions are merged. An organisation of any size streams through the merge.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::SchemaRef;

use super::crossing::Crossing;
use super::day::{DayFiles, DayResult, Place, slices, write_part};
use super::dedupe::Dedupe;
use super::merge::Merge;
use super::order::sort;
use super::rollup::Lists;
use super::rows::{Rows, chunks, plain};
use super::work::{RUN_BATCH_ROWS, create, read, remove};
use crate::error::{Error, Result};
use crate::event::Table;
use crate::store::staged_schema;

// A merge reads from all partitions at once.
const MOST_PARTITIONS: u64 = 256;
// This part of the memory is for what crosses organisations; the rest is for the merge and the files being written.
const SHARE_OF_CROSSING: u64 = 4;

/// How much a large day may take, and where its work files go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room<'a> {
    pub(super) folder: &'a Path,
    /// Memory in bytes.
    pub(super) memory: u64,
    /// What the day would take in memory, in bytes.
    pub(super) wanted: u64,
}

/// Seals a day of any size. `staged` is in ingest order; `sealed` has no order.
pub(super) fn seal_large_day(
    place: &Place<'_>,
    sealed: impl Iterator<Item = Result<Rows>>,
    staged: impl Iterator<Item = Result<Rows>>,
    files: usize,
    room: Room<'_>,
) -> Result<DayResult> {
    let mut result = DayResult::new(files);
    // Half of the memory, since a partition is never quite as large as the others.
    let count = room.wanted.div_ceil((room.memory / 2).max(1)).clamp(2, MOST_PARTITIONS);
    let sealed = spread(sealed, count, &room.folder.join("sealed"), &Table::Events.file_schema(), |rows| {
        Ok((plain(&rows.batch)?, vec![false; rows.len()]))
    })?;
    let staged =
        spread(staged, count, &room.folder.join("staged"), &staged_schema(), |rows| first_of_each(rows, &mut result))?;
    let mut runs = Vec::new();
    for (sealed, staged) in sealed.into_iter().zip(staged) {
        let run = room.folder.join(format!("run-{}", runs.len()));
        seal_partition(place, [&sealed, &staged], &run, &mut result)?;
        runs.push(run);
    }
    if result.counts.accepted == 0 {
        return Ok(result);
    }
    let runs = runs.iter().map(|run| read(run)).collect::<Result<Vec<_>>>()?;
    let mut merge = Merge::new(runs, place.part_rows)?;
    let mut written = DayFiles::default();
    let mut crossing = Crossing::with_memory(room.folder, room.memory / SHARE_OF_CROSSING);
    while merge.begin_part() {
        let batches = std::iter::from_fn(|| merge.next_batch().transpose());
        written.extend(write_part(place, batches, Lists::OfMore, &mut crossing)?);
    }
    crossing.end(place, &mut written)?;
    result.files = written;
    Ok(result)
}

// Duplicates inside one chunk go at once: a log that writes the same id everywhere must not end in one partition.
fn first_of_each(rows: &Rows, result: &mut DayResult) -> Result<(RecordBatch, Vec<bool>)> {
    let Some(file) = &rows.file else {
        return Err(Error::Internal("cannot seal events: a staged batch does not say its file".into()));
    };
    let duplicate = Dedupe::new(std::slice::from_ref(rows)).duplicate.pop().unwrap_or_default();
    result.count_duplicates(rows, &duplicate)?;
    let columns = plain(&rows.batch)?.columns().iter().cloned().chain([Arc::new(file.clone()) as _]).collect();
    let batch = RecordBatch::try_new(staged_schema(), columns)
        .map_err(|cause| Error::Internal(format!("staged events do not fit: {cause}")))?;
    Ok((batch, duplicate))
}

// Deduplicates and sorts one partition into a work file.
fn seal_partition(place: &Place<'_>, [sealed, staged]: [&Path; 2], run: &Path, result: &mut DayResult) -> Result<()> {
    let staged_rows = chunks(read(staged)?).collect::<Result<Vec<_>>>()?;
    let mut dedupe = Dedupe::new(&staged_rows);
    let mut rows = Vec::new();
    for sealed in chunks(read(sealed)?) {
        let sealed = sealed?;
        dedupe.against(&sealed);
        rows.push(sealed);
    }
    let duplicate = dedupe.duplicate;
    for (rows, duplicate) in staged_rows.iter().zip(&duplicate) {
        result.count(rows, duplicate)?;
    }
    let none = std::iter::repeat_n(None, rows.len());
    let left_out = none.chain(duplicate.iter().map(|marks| Some(marks.as_slice()))).collect::<Vec<_>>();
    rows.extend(staged_rows);
    let order = sort(&rows, &left_out, usize::MAX, place.threads)?;
    let mut writer = create(run, &Table::Events.file_schema())?;
    for batch in slices(&rows, &order, 0..order.ids.len()) {
        let batch = plain(&batch?)?;
        for start in (0..batch.num_rows()).step_by(RUN_BATCH_ROWS) {
            let part = batch.slice(start, RUN_BATCH_ROWS.min(batch.num_rows() - start));
            writer.write(&part).map_err(|cause| Error::path("write", run, cause))?;
        }
    }
    writer.finish().map_err(|cause| Error::path("write", run, cause))?;
    remove(sealed)?;
    remove(staged)
}

// Writes each chunk's rows, but those that `prepare` marks, to the files of their partitions.
fn spread(
    all: impl Iterator<Item = Result<Rows>>,
    count: u64,
    path: &Path,
    schema: &SchemaRef,
    mut prepare: impl FnMut(&Rows) -> Result<(RecordBatch, Vec<bool>)>,
) -> Result<Vec<PathBuf>> {
    let paths = (0..count).map(|number| path.with_extension(number.to_string())).collect::<Vec<_>>();
    let mut writers = paths.iter().map(|path| create(path, schema)).collect::<Result<Vec<_>>>()?;
    let mut members = vec![Vec::new(); writers.len()];
    for rows in all {
        let rows = rows?;
        let (batch, left_out) = prepare(&rows)?;
        for (row, _) in (0..).zip(&left_out).filter(|(_, is_out)| !**is_out) {
            members[partition(&rows, row as usize, count)].push(row);
        }
        for ((members, writer), path) in members.iter_mut().zip(&mut writers).zip(&paths) {
            if members.is_empty() {
                continue;
            }
            let rows = UInt32Array::from(std::mem::take(members));
            let part = take_record_batch(&batch, &rows)
                .map_err(|cause| Error::Internal(format!("cannot partition events: {cause}")))?;
            writer.write(&part).map_err(|cause| Error::path("write", path, cause))?;
        }
    }
    for (writer, path) in writers.iter_mut().zip(&paths) {
        writer.finish().map_err(|cause| Error::path("write", path, cause))?;
    }
    Ok(paths)
}

// Events without id meet no duplicates; any spread does for them.
#[expect(clippy::cast_possible_truncation, reason = "less than the number of partitions")]
fn partition(rows: &Rows, row: usize, count: u64) -> usize {
    let event_id = rows.event_id.value(row).as_bytes();
    let hash = if event_id.is_empty() { scramble(row as u64) } else { fnv1a(event_id) };
    (scramble(hash) % count) as usize
}

// The same in every run and on every machine, so that a run can be repeated to the byte. FNV-1a, 64 bits.
fn fnv1a(text: &[u8]) -> u64 {
    text.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

// The finaliser of MurmurHash3: each bit depends on all.
fn scramble(hash: u64) -> u64 {
    let hash = (hash ^ hash >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ hash >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}
