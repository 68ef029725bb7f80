//! One day in memory: drop what it has already, sort, write it in parts, roll it up on the way.
//! It does not know which days there are, nor how days larger than the memory are cut.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::crossing::Crossing;
use super::dedupe::Dedupe;
use super::order::{Order, sort};
use super::rollup::{Lists, Rollup};
use super::rows::{PlainTexts, RowId, Rows, gather, position, rows_at_once};
use super::who::Who;
use super::{DayCounts, Threads};
use crate::error::{Error, Result};
use crate::event::Table;
use crate::period::Day;
use crate::store::{DataFile, Packing, write_files};

// A file of a rollup has so many batches of rows: until then they are held in memory.
pub(super) const ROLLUP_BATCHES_PER_FILE: usize = 4;

/// Where the files of a day go, and what they depend on.
#[derive(Debug)]
pub(super) struct Place<'a> {
    pub(super) day: Day,
    /// The folder of each table by day.
    pub(super) roots: BTreeMap<Table, PathBuf>,
    pub(super) who: &'a Who,
    /// A file of events ends with the organisation that fills it up to so many rows.
    pub(super) part_rows: usize,
    pub(super) threads: Threads,
}

/// Files that were written for a day.
#[derive(Debug, Default)]
pub(super) struct DayFiles {
    pub(super) events: Vec<DataFile>,
    pub(super) rollups: BTreeMap<Table, Vec<DataFile>>,
}

/// What became of a staged day.
#[derive(Debug, Default)]
pub(super) struct DayResult {
    pub(super) counts: DayCounts,
    /// Duplicates for each file of the ingest.
    pub(super) duplicates: Vec<u64>,
    /// Empty if all staged events were duplicates.
    pub(super) files: DayFiles,
}

impl DayResult {
    pub(super) fn new(files: usize) -> Self {
        Self { duplicates: vec![0; files], ..Self::default() }
    }

    /// Counts the events of a staged chunk.
    pub(super) fn count(&mut self, rows: &Rows, duplicate: &[bool]) -> Result<()> {
        let Some(file) = &rows.file else {
            return Err(Error::Internal("cannot seal events: a staged batch does not say its file".into()));
        };
        for (is_duplicate, &file) in duplicate.iter().zip(file.values()) {
            if *is_duplicate {
                self.count_duplicate(file)?;
            } else {
                self.counts.accepted += 1;
            }
        }
        Ok(())
    }

    /// Counts a duplicate of a file of the ingest.
    pub(super) fn count_duplicate(&mut self, file: u32) -> Result<()> {
        let count = self
            .duplicates
            .get_mut(file as usize)
            .ok_or_else(|| Error::Internal(format!("cannot seal events: file {file} is not one of this ingest")))?;
        *count += 1;
        self.counts.duplicate += 1;
        Ok(())
    }
}

/// Seals a day that fits in memory. `staged` is in ingest order; `sealed` has no order.
pub(super) fn seal_day(
    place: &Place<'_>,
    sealed: impl Iterator<Item = Result<Rows>>,
    staged: Vec<Rows>,
    files: usize,
) -> Result<DayResult> {
    let mut result = DayResult::new(files);
    let mut dedupe = Dedupe::new(staged.iter().map(|rows| PlainTexts::new(&rows.event_id)).collect());
    let mut chunks = Vec::new();
    for rows in sealed {
        let rows = rows?;
        dedupe.against(PlainTexts::new(&rows.event_id));
        chunks.push(rows);
    }
    let duplicate = dedupe.duplicate;
    for (rows, duplicate) in staged.iter().zip(&duplicate) {
        result.count(rows, duplicate)?;
    }
    if result.counts.accepted == 0 {
        return Ok(result);
    }
    let left_out =
        chunks.iter().map(|_| None).chain(duplicate.iter().map(|marks| Some(marks.as_slice()))).collect::<Vec<_>>();
    chunks.extend(staged);
    let order = sort(&chunks, &left_out, place.part_rows, place.threads)?;
    result.files = write_ordered(place, &chunks, &order)?;
    Ok(result)
}

fn write_ordered(place: &Place<'_>, chunks: &[Rows], order: &Order) -> Result<DayFiles> {
    let crossing = Crossing::default();
    let lists = if order.parts.len() == 1 { Lists::OfTheDay } else { Lists::OfMore };
    let write = |part: &Range<usize>| write_part(place, slices(chunks, order, part.clone()), lists, &crossing);
    let parts = match place.threads {
        Threads::One => order.parts.iter().map(write).collect::<Result<Vec<_>>>()?,
        Threads::All => order.parts.par_iter().map(write).collect::<Result<Vec<_>>>()?,
    };
    let mut files = DayFiles::default();
    for part in parts {
        files.extend(part);
    }
    crossing.end(place, &mut files)?;
    Ok(files)
}

// A range of sorted rows, in batches, ids coded.
fn slices<'a>(
    chunks: &'a [Rows],
    order: &'a Order,
    part: Range<usize>,
) -> impl Iterator<Item = Result<RecordBatch>> + 'a {
    let most = rows_at_once(chunks.iter().map(Rows::extra_bytes).sum());
    let positions = |ids: &[RowId]| ids.iter().map(|&id| position(id)).collect::<Vec<_>>();
    order.ids[part].chunks(most).map(move |ids| gather(chunks, &order.pool, &positions(ids)))
}

impl Place<'_> {
    /// The folder of a table.
    pub(super) fn root(&self, table: Table) -> Result<&Path> {
        let root = self.roots.get(&table);
        root.map(PathBuf::as_path).ok_or_else(|| Error::Internal(format!("{} is no table by day", table.name())))
    }
}

impl DayFiles {
    pub(super) fn extend(&mut self, other: Self) {
        self.events.extend(other.events);
        for (table, files) in other.rollups {
            self.rollups.entry(table).or_default().extend(files);
        }
    }
}

/// Writes sorted events that share no organisation with other parts of the day, and the rollups of organisations; what
/// crosses them goes to the one that ends the day.
pub(super) fn write_part(
    place: &Place<'_>,
    batches: impl Iterator<Item = Result<RecordBatch>>,
    lists: Lists,
    crossing: &Crossing,
) -> Result<DayFiles> {
    let mut rollup = Rollup::new(place.who, lists);
    let mut files = DayFiles::default();
    let table = Table::Events;
    let rolled_up = batches.map(|batch| {
        let batch = batch?;
        roll_up(place, &mut rollup, &batch, &mut files, crossing)?;
        Ok(batch)
    });
    let written = write_files(
        place.root(table)?,
        Some(place.day),
        &table.file_schema(),
        table.sort_key(),
        Packing::Small,
        rolled_up,
    )?;
    finish_rollup(place, rollup, &mut files, crossing)?;
    files.events.extend(written);
    Ok(files)
}

/// Adds a batch to a rollup and puts away what has become much.
pub(super) fn roll_up(
    place: &Place<'_>,
    rollup: &mut Rollup<'_>,
    batch: &RecordBatch,
    files: &mut DayFiles,
    crossing: &Crossing,
) -> Result<()> {
    rollup.add(batch)?;
    for (table, batches) in rollup.full() {
        if batches.len() >= ROLLUP_BATCHES_PER_FILE {
            write_rollup(place, table, batches, files)?;
        }
    }
    if crossing.is_much(rollup.uses()) {
        crossing.add(rollup.take_uses())?;
    }
    Ok(())
}

/// Ends a rollup and puts away the rest of it.
pub(super) fn finish_rollup(
    place: &Place<'_>,
    mut rollup: Rollup<'_>,
    files: &mut DayFiles,
    crossing: &Crossing,
) -> Result<()> {
    rollup.finish()?;
    for (table, batches) in rollup.full() {
        write_rollup(place, table, batches, files)?;
    }
    crossing.add(rollup.take_uses())
}

/// Writes the complete batches of a table as a file and takes them away.
pub(super) fn write_rollup(
    place: &Place<'_>,
    table: Table,
    batches: &mut Vec<RecordBatch>,
    files: &mut DayFiles,
) -> Result<()> {
    let batches = std::mem::take(batches).into_iter().map(Ok);
    let written = write_files(
        place.root(table)?,
        Some(place.day),
        &table.file_schema(),
        table.sort_key(),
        Packing::Fast,
        batches,
    )?;
    files.rollups.entry(table).or_default().extend(written);
    Ok(())
}
