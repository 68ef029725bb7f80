//! Rollups whose rows are of an organisation and something else, read once for all kernels of a run: a row becomes the
//! number of its pair of ids, and whether two counts of it are above zero. It does not know what is made of them.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use hashbrown::HashMap;

use super::days::{days, side_by_side};
use super::known::Known;
use super::parts::{Halt, Halted, Part};
use super::{Input, Inputs, files_of};
use crate::columns::{self, Chunk, Texts, Wanted};
use crate::period::Day;

/// The number of no organisation: personal use.
pub(super) const PERSONAL: u32 = 0;

/// The number of an id that is not of the part that is being looked at.
pub(super) const OUTSIDE: u32 = u32::MAX;

/// A rollup of pairs.
#[derive(Debug)]
pub(super) struct Rollup {
    /// The table's name.
    pub(super) table: &'static str,
    /// The organisation and the other id.
    pub(super) ids: [&'static str; 2],
    /// All events, human events, and what marks a row.
    pub(super) counts: [&'static str; 3],
    /// The place of the id by which it is divided if it is too large: the one that what is counted of pairs belongs to.
    pub(super) divided_by: usize,
}

/// The apps that organisations use. A row is marked if a machine did.
pub(super) static APPS: Rollup = Rollup {
    table: "org_app_day",
    ids: ["org_id", "app_id"],
    counts: ["events", "human_events", "machine_events"],
    divided_by: ORG,
};

/// The users that are active for organisations. A row is marked if they checked in.
pub(super) static USERS: Rollup = Rollup {
    table: "user_day",
    ids: ["org_id", "user_id"],
    counts: ["events", "human_events", "check_ins"],
    divided_by: OTHER,
};

// Places of ids.
pub(super) const ORG: usize = 0;
const OTHER: usize = 1;

// Pairs that are looked up before who numbers new ones gets a turn.
const TURN: usize = 1024;

/// The pairs of a rollup, or of a part of it, and the rows of its files for as long as there is room.
pub(super) struct Pairs {
    rollup: &'static Rollup,
    part: Part,
    // What may be taken, in bytes.
    memory: usize,
    files: Mutex<Files>,
    known: RwLock<Known>,
}

/// The rows of a file.
pub(super) struct FileOfPairs {
    /// In the order of the file, which is that of the organisations' ids.
    pub(super) rows: Vec<Row>,
    /// The first of them in the file, if a part of it is read that is divided by organisations.
    pub(super) first_row: usize,
    /// All events of them.
    pub(super) events: i64,
    // The organisations, and where the rows of each end.
    orgs: Vec<(u32, u32)>,
}

/// A row: its pair's number, and in the two lowest bits whether there was a human event, and whether it is marked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row(u32);

// Files by their paths, each read by one thread at a time.
struct Files {
    by_path: HashMap<PathBuf, Arc<Mutex<Option<Arc<FileOfPairs>>>>>,
    // What kept rows may still take, in bytes.
    room: usize,
}

impl Rollup {
    /// The column of the ids by which it is divided.
    pub(super) fn divided_by(&'static self) -> Wanted {
        Wanted { table: self.table, texts: &self.ids[self.divided_by..=self.divided_by], others: &[] }
    }
}

impl Row {
    const FLAGS: u32 = 2;
    /// There are no numbers for more.
    pub(super) const MOST_PAIRS: usize = 1 << (u32::BITS - Self::FLAGS);

    fn new(pair: u32, is_human: bool, is_marked: bool) -> Self {
        Self(pair << Self::FLAGS | u32::from(is_marked) << 1 | u32::from(is_human))
    }

    /// The number of its pair.
    pub(super) fn pair(self) -> usize {
        (self.0 >> Self::FLAGS) as usize
    }

    /// Whether it has a human event.
    pub(super) fn is_human(self) -> bool {
        self.0 & 1 != 0
    }

    /// Whether the count that marks it is above zero.
    pub(super) fn is_marked(self) -> bool {
        self.0 & 2 != 0
    }
}

impl FileOfPairs {
    /// The places of each organisation's rows, in the order of the file.
    pub(super) fn orgs(&self) -> impl Iterator<Item = (u32, Range<usize>)> {
        self.orgs.iter().scan(0, |start, &(org, end)| Some((org, std::mem::replace(start, end as usize)..end as usize)))
    }

    /// The rows of each organisation, in the order of the file.
    pub(super) fn by_org(&self) -> impl Iterator<Item = (u32, &[Row])> {
        self.orgs().map(|(org, places)| (org, &self.rows[places]))
    }

    /// What it takes in memory.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.rows.as_slice()) + size_of_val(self.orgs.as_slice())
    }
}

impl Pairs {
    /// Nothing is known yet; rows are kept up to `room` bytes, and what is known fits up to `memory` bytes.
    pub(super) fn new(rollup: &'static Rollup, part: Part, room: usize, memory: usize) -> Arc<Self> {
        let files = Mutex::new(Files { by_path: HashMap::new(), room });
        Arc::new(Self { rollup, part, memory, files, known: RwLock::new(Known::new(rollup)) })
    }

    /// The part of the rollup that is looked at.
    pub(super) fn part(&self) -> &Part {
        &self.part
    }

    /// The files of each day that a query sees, in order; days are read side by side.
    pub(super) fn days(
        self: &Arc<Self>,
        inputs: &Inputs,
    ) -> Halted<impl Iterator<Item = Halted<(Day, Vec<Arc<FileOfPairs>>)>> + Send + use<>> {
        let pairs = Arc::clone(self);
        let read = move |files: &[Input]| files.iter().map(|file| pairs.file(&file.path)).collect::<Halted<Vec<_>>>();
        Ok(side_by_side(days(files_of(inputs, self.rollup.table)?)?, move |(day, files)| Ok((*day, read(files)?))))
    }

    /// What is known by now. Who holds it keeps readers of files waiting, so it is to be let go before a day's rows are
    /// looked at; see [`Self::learn`]. It must not be asked for by who holds it already: a reader that waits stands between.
    pub(super) fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the ids of pairs those of the pairs that were met since.
    pub(super) fn learn(&self, ids: &mut Vec<(u32, u32)>) {
        ids.extend_from_slice(&self.known().ids[ids.len()..]);
    }

    /// Numbers texts that are the other ids of pairs, or ids like them. Those that are known, most of them after the first
    /// days, are looked up by many threads at once. Ids of other parts are [`OUTSIDE`].
    pub(super) fn others<'a>(&self, texts: Texts<'a>) -> columns::Known<'a, u32> {
        self.numbered(texts, OTHER)
    }

    /// Numbers the ids of organisations in the same way.
    pub(super) fn orgs<'a>(&self, texts: Texts<'a>) -> columns::Known<'a, u32> {
        self.numbered(texts, ORG)
    }

    // Many at a time, so that who numbers new ids gets a turn between them: it keeps all others waiting while it waits.
    fn numbered<'a>(&self, texts: Texts<'a>, place: usize) -> columns::Known<'a, u32> {
        let has_all = self.part.is_all() || self.rollup.divided_by != place;
        let found = texts.many(|texts| {
            let known = self.known();
            let names = known.names(place);
            if has_all {
                return names.find_each(texts);
            }
            texts.map(|text| if self.part.has(text) { names.find(0, text) } else { Some(OUTSIDE) }).collect()
        });
        let mut more = None;
        texts.numbered_as(found, |text| more.get_or_insert_with(|| self.more()).names_mut(place).number(0, text))
    }

    /// How many other ids are known.
    pub(super) fn count_of_others(&self) -> usize {
        self.known().others.len()
    }

    fn more(&self) -> RwLockWriteGuard<'_, Known> {
        self.known.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on if what is known fits into the memory, beside so many bytes.
    pub(super) fn fit(&self, beside: usize) -> Halted<()> {
        let known = self.known();
        let fits = known.bytes().saturating_add(beside) <= self.memory && known.ids.len() <= Row::MOST_PAIRS;
        fits.then_some(()).ok_or(Halt::Full)
    }

    /// A file's rows.
    pub(super) fn file(&self, path: &Path) -> Halted<Arc<FileOfPairs>> {
        let files = || self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let place = Arc::clone(files().by_path.entry_ref(path).or_default());
        let mut place = lock(&place);
        if let Some(file) = &*place {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(self.read(path)?);
        let mut files = files();
        if let Some(room) = files.room.checked_sub(file.bytes()) {
            files.room = room;
            *place = Some(Arc::clone(&file));
        }
        Ok(file)
    }

    fn read(&self, path: &Path) -> Halted<FileOfPairs> {
        let Rollup { table, ids, counts, divided_by } = self.rollup;
        let mut file = FileOfPairs { rows: Vec::new(), first_row: 0, events: 0, orgs: Vec::new() };
        let wanted = Wanted { table, texts: ids, others: counts };
        let chunks = wanted.read_where(path, ids[*divided_by], &|least, most| self.part.may_have(least, most))?;
        for chunk in chunks {
            self.read_chunk(&chunk?, &mut file)?;
            self.fit(size_of_val(file.rows.as_slice()))?;
        }
        file.rows.shrink_to_fit();
        file.orgs.shrink_to_fit();
        Ok(file)
    }

    fn read_chunk(&self, chunk: &Chunk, file: &mut FileOfPairs) -> Halted<()> {
        let Rollup { ids, counts, .. } = self.rollup;
        let [orgs, others] = [chunk.texts(ids[ORG])?, chunk.texts(ids[OTHER])?];
        let [events, human, marks] = counts.map(|name| chunk.numbers(name));
        let [events, human, marks] = [events?, human?, marks?];
        let (orgs, others) = (self.orgs(orgs), self.others(others));
        file.rows.reserve(chunk.rows());
        // The places of rows whose pair is new, in the file and here.
        let mut new = Vec::new();
        let pairs = (0..chunk.rows()).map(|row| (orgs.of(row), others.of(row))).collect::<Vec<_>>();
        let found = pairs.chunks(TURN).flat_map(|pairs| self.known().find_each(pairs));
        for (row, (&(org, other), pair)) in pairs.iter().zip(found).enumerate() {
            if org == OUTSIDE || other == OUTSIDE {
                continue;
            }
            if file.rows.is_empty() {
                file.first_row = chunk.start() + row;
            }
            if pair.is_none() {
                new.push((file.rows.len(), row));
            }
            file.rows.push(Row::new(pair.unwrap_or(0), human[row] > 0, marks[row] > 0));
            file.events += events[row];
            match file.orgs.last_mut() {
                Some((last, end)) if *last == org => *end += 1,
                last => {
                    let before = last.map_or(0, |(_, end)| *end);
                    file.orgs.push((org, before + 1));
                }
            }
        }
        let mut more = None;
        for (place, row) in new {
            let pair = more.get_or_insert_with(|| self.more()).number(pairs[row]);
            let flags = &mut file.rows[place];
            *flags = Row::new(pair, flags.is_human(), flags.is_marked());
        }
        Ok(())
    }
}

// Locks a file. Who would wait for another thread that reads it does other work meanwhile, such as to read the next one.
fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    loop {
        match place.try_lock() {
            Ok(place) => return place,
            Err(TryLockError::Poisoned(place)) => return place.into_inner(),
            Err(TryLockError::WouldBlock) if rayon::yield_now() == Some(rayon::Yield::Executed) => {}
            Err(TryLockError::WouldBlock) => return place.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    type Columns<'a> = ([&'a [&'static str]; 2], [&'a [i64]; 3]);

    fn write(path: &Path, (ids, counts): Columns<'_>) {
        let texts = APPS.ids.iter().zip(ids).map(|(name, texts)| (*name, StringArray::from(texts.to_vec())));
        let texts = texts.map(|(name, texts)| (name, Arc::new(texts) as ArrayRef));
        let counts = APPS.counts.iter().zip(counts).map(|(name, counts)| (*name, Int64Array::from(counts.to_vec())));
        let counts = counts.map(|(name, counts)| (name, Arc::new(counts) as ArrayRef));
        let rows = RecordBatch::try_from_iter(texts.chain(counts)).expect("rows");
        let mut file =
            ArrowWriter::try_new(File::create(path).expect("a file"), rows.schema(), None).expect("a writer");
        file.write(&rows).expect("written");
        file.close().expect("closed");
    }

    fn rows(pairs: &Pairs, path: &Path) -> Vec<(String, bool, bool)> {
        let file = pairs.file(path).expect("rows");
        let known = pairs.known();
        let row = |row: &Row| {
            let (org, app) = known.ids[row.pair()];
            let pair = format!("{}/{}", known.orgs.text(org), known.others.text(app));
            (pair, row.is_human(), row.is_marked())
        };
        file.rows.iter().map(row).collect()
    }

    #[test]
    fn rows_are_read_once_as_long_as_there_is_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        write(&one, ([&["", "a", "a"], &["x", "x", "y"]], [&[3, 4, 5], &[3, 0, 5], &[0, 4, 0]]));
        write(&other, ([&["a", "b"], &["y", "x"]], [&[1, 1], &[0, 1], &[0, 1]]));
        for (room, is_kept) in [(0, [false, false]), (28, [true, false]), (52, [true, true])] {
            let pairs = Pairs::new(&APPS, Part::default(), room, usize::MAX);
            let files = [&one, &other].map(|path| pairs.file(path).expect("rows"));
            assert_eq!(files.each_ref().map(|file| file.events), [12, 2]);
            assert_eq!(files[0].rows[2].pair(), files[1].rows[0].pair());
            assert_eq!(files[0].orgs().collect::<Vec<_>>(), [(PERSONAL, 0..1), (1, 1..3)]);
            let again = [&one, &other].map(|path| pairs.file(path).expect("rows"));
            assert_eq!([0, 1].map(|place| Arc::ptr_eq(&files[place], &again[place])), is_kept);
            let row = |pair: &str, is_human, is_marked| (pair.to_owned(), is_human, is_marked);
            assert_eq!(rows(&pairs, &one), [row("/x", true, false), row("a/x", false, true), row("a/y", true, false)]);
            assert_eq!(rows(&pairs, &other), [row("a/y", false, false), row("b/x", true, true)]);
            assert_eq!(pairs.known().ids.iter().filter(|(org, _)| *org == PERSONAL).count(), 1);
        }
    }
}
