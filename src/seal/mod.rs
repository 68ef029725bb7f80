//! Sealing days: staged events and the day's sealed ones become one sorted, deduplicated day and its rollups.
//! It writes files; it does not commit them.

mod crossing;
mod cut;
mod day;
mod dedupe;
mod ending;
mod large;
mod order;
mod output;
mod read;
mod rollup;
mod rows;
mod sorting;
mod spill;
mod survey;
mod sweep;
mod uses;
mod who;
mod work;

#[cfg(test)]
mod tests;

pub use who::Who;

use std::collections::BTreeMap;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use self::crossing::Crossing;
use self::day::{DayFiles, DayResult, Place, finish_rollup, roll_up, seal_day};
use self::large::{Room, seal_large_day};
use self::read::SealedFile;
use self::rollup::{Lists, ROLLUP_COLUMNS, Rollup};
use self::rows::{Rows, chunks};
use crate::error::Result;
use crate::event::Table;
use crate::period::{Day, format_day};
use crate::store::{DataFile, RollupFiles, Snapshot, Staging, Store};

// Files of a day are cut at about this size, so that one large day can be written by several threads. The number
// depends on nothing else, so that the files do not either.
const PART_ROWS: usize = 1 << 21;

// A piece of a day that does not fit in memory has far more events than this.
const SAMPLE_STEP: usize = 257;

// What sealing takes for each byte of events: the events, staged ones a second time when their batches are joined,
// the index that is sorted or, later, what crosses organisations, the slice and the row group that are being written.
const MEMORY_PER_BYTE: u64 = 3;

/// How much sealing may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Memory in bytes over all threads.
    pub memory: u64,
}

/// What became of one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayCounts {
    /// New events.
    pub accepted: u64,
    /// Events whose id the day had already.
    pub duplicate: u64,
    /// New events on a day not after the last observed day before this batch.
    pub late: u64,
}

/// The result of sealing, not yet committed.
#[derive(Debug, Default)]
pub struct Sealed {
    /// New content of the days that changed; a day with only duplicates is not rewritten.
    pub events: Vec<DataFile>,
    /// Their rollups.
    pub rollups: RollupFiles,
    /// Counts of each staged day.
    pub days: BTreeMap<Day, DayCounts>,
    /// Duplicates for each file of the ingest.
    pub duplicates: Vec<u64>,
}

/// Seals all staged days, several at once. `files` is the number of files of the ingest.
///
/// A day that takes more than its thread's share of the memory is sealed alone, and one that takes more than all of it
/// goes by way of work files in the store.
pub fn seal(
    store: &Store,
    snapshot: &Snapshot,
    staging: &Staging,
    files: usize,
    who: &Who,
    limits: Limits,
) -> Result<Sealed> {
    let sealed_files = files_by_day(snapshot);
    let last_observed = sealed_files.last_key_value().map(|(&day, _)| day);
    let days = staging.days();
    // A day at work on all threads may, while it waits for one of them, take up another day, and then the memory of
    // both: days run either side by side, each on one thread, or one after the other.
    let all = rayon::current_num_threads();
    let share = if days.len() < all { 0 } else { limits.memory / all as u64 };
    let tasks = days.into_iter().map(|day| {
        let sealed = sealed_files.get(&day).map_or(&[][..], Vec::as_slice);
        Task::new(staging, place(store, day, who), sealed, share)
    });
    let tasks = tasks.collect::<Result<Vec<_>>>()?;
    let (side_by_side, alone) = tasks.iter().partition::<Vec<_>, _>(|task| task.place.threads == Threads::One);
    let mut results = side_by_side
        .par_iter()
        .with_max_len(1)
        .map(|task| {
            let result = task.in_memory(files)?;
            begin_sync(store, &result.files);
            Ok((task.place.day, result))
        })
        .collect::<Result<BTreeMap<Day, DayResult>>>()?;
    for task in alone {
        let result = if task.memory <= limits.memory {
            task.in_memory(files)?
        } else {
            task.on_disk(store, files, limits.memory)?
        };
        begin_sync(store, &result.files);
        results.insert(task.place.day, result);
    }
    Ok(gather_results(results, files, last_observed))
}

/// Computes the rollups of sealed days again; a day without events gets empty ones.
///
/// Sealed files are sorted and no organisation is in two files of a day, so that each is rolled up in one pass that
/// takes a few batches of memory. What crosses organisations is held for each day, and beyond its share of the memory in
/// work files.
pub fn rebuild(store: &Store, snapshot: &Snapshot, days: &[Day], who: &Who, limits: Limits) -> Result<RollupFiles> {
    let sealed_files = files_by_day(snapshot);
    let folder = store.work_folder()?;
    let share = limits.memory / rayon::current_num_threads() as u64;
    let rolled_up = days.par_iter().with_max_len(1).map(|&day| {
        let place = place(store, day, who);
        let (mut files, crossing) = (DayFiles::default(), Crossing::with_memory(folder.path(), share, 1));
        for file in sealed_files.get(&day).into_iter().flatten() {
            let mut rollup = Rollup::new(who, Lists::OfTheDay);
            for batch in SealedFile::open(place.root(Table::Events)?, file)?.batches(Some(&ROLLUP_COLUMNS))? {
                roll_up(&place, &mut rollup, &batch?, &mut files, &crossing)
                    .map_err(|error| error.within(format!("{}/{}", Table::Events.name(), file.path)))?;
            }
            finish_rollup(&place, rollup, &mut files, &crossing)?;
        }
        crossing.end(&place, &mut files)?;
        begin_sync(store, &files);
        Ok(files)
    });
    let mut result = RollupFiles { days: days.to_vec(), ..RollupFiles::default() };
    for files in rolled_up.collect::<Result<Vec<_>>>()? {
        extend(&mut result.files, files.rollups);
    }
    Ok(result)
}

// How many threads work on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Threads {
    One,
    All,
}

// One staged day with what is sealed of it.
struct Task<'a> {
    place: Place<'a>,
    staging: &'a Staging,
    sealed: Vec<SealedFile>,
    memory: u64,
}

impl<'a> Task<'a> {
    fn new(staging: &'a Staging, mut place: Place<'a>, sealed: &[&DataFile], share: u64) -> Result<Self> {
        let sealed =
            sealed.iter().map(|file| SealedFile::open(place.root(Table::Events)?, file)).collect::<Result<Vec<_>>>()?;
        let bytes = sealed.iter().map(SealedFile::decoded_bytes).sum::<u64>() + staging.bytes(place.day);
        let memory = bytes.saturating_mul(MEMORY_PER_BYTE);
        place.threads = if memory <= share { Threads::One } else { Threads::All };
        Ok(Self { place, staging, sealed, memory })
    }

    fn in_memory(&self, files: usize) -> Result<DayResult> {
        let staged = self.read_staged().collect::<Result<Vec<_>>>()?;
        self.name_day(seal_day(&self.place, self.read_sealed(), staged, files))
    }

    fn on_disk(&self, store: &Store, files: usize, memory: u64) -> Result<DayResult> {
        let folder = store.work_folder()?;
        let room = Room { folder: folder.path(), memory, wanted: self.memory, sample_step: SAMPLE_STEP };
        self.name_day(seal_large_day(&self.place, || self.read_sealed(), || self.read_staged(), files, room))
    }

    fn read_staged(&self) -> impl Iterator<Item = Result<Rows>> {
        chunks(self.staging.read(self.place.day).unwrap_or_else(|error| Box::new(std::iter::once(Err(error)))))
    }

    fn read_sealed(&self) -> impl Iterator<Item = Result<Rows>> {
        self.sealed.iter().flat_map(|file| {
            let (batches, error) = match file.batches(None) {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            chunks(batches.into_iter().flatten().chain(error))
        })
    }

    fn name_day<T>(&self, result: Result<T>) -> Result<T> {
        result.map_err(|error| error.within(format!("day {}", format_day(self.place.day))))
    }
}

fn place<'a>(store: &Store, day: Day, who: &'a Who) -> Place<'a> {
    let roots = Table::ALL.into_iter().filter(|table| table.by_day()).map(|table| (table, store.table_root(table)));
    Place { day, roots: roots.collect(), who, part_rows: PART_ROWS, threads: Threads::One }
}

fn files_by_day(snapshot: &Snapshot) -> BTreeMap<Day, Vec<&DataFile>> {
    let mut days = BTreeMap::<Day, Vec<&DataFile>>::new();
    for file in snapshot.tables.get(&Table::Events).iter().flat_map(|table| &table.files) {
        if let Some(day) = file.day {
            days.entry(day).or_default().push(file);
        }
    }
    days
}

fn gather_results(results: BTreeMap<Day, DayResult>, files: usize, last_observed: Option<Day>) -> Sealed {
    let mut sealed = Sealed { duplicates: vec![0; files], ..Sealed::default() };
    for (day, result) in results {
        let is_late = last_observed.is_some_and(|last| day <= last);
        let late = if is_late { result.counts.accepted } else { 0 };
        sealed.days.insert(day, DayCounts { late, ..result.counts });
        for (total, duplicates) in sealed.duplicates.iter_mut().zip(result.duplicates) {
            *total += duplicates;
        }
        if result.counts.accepted > 0 {
            sealed.rollups.days.push(day);
        }
        sealed.events.extend(result.files.events);
        extend(&mut sealed.rollups.files, result.files.rollups);
    }
    sealed
}

// The disk works on what is written while the processors are at the next day.
fn begin_sync(store: &Store, files: &DayFiles) {
    store.begin_sync(Table::Events, &files.events);
    for (table, files) in &files.rollups {
        store.begin_sync(*table, files);
    }
}

fn extend(all: &mut BTreeMap<Table, Vec<DataFile>>, more: BTreeMap<Table, Vec<DataFile>>) {
    for (table, files) in more {
        all.entry(table).or_default().extend(files);
    }
}
